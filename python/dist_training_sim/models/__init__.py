"""Architectures as data: ops, blocks and models, with builders for transformers and vision networks."""

from __future__ import annotations

from .._callable import make_callable
from . import ops, transformer, vision
from .lora import with_lora
from .model import Block, LayerRun, Model, layer_runs
from .op import Op, OpKind, Rows, Sharding

__all__ = [
    "Block",
    "LayerRun",
    "Model",
    "Op",
    "OpKind",
    "Rows",
    "Sharding",
    "layer_runs",
    "ops",
    "transformer",
    "vision",
    "with_lora",
]

make_callable(__name__)  # dts.models() lists the catalogue
