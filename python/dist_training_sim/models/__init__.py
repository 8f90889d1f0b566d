"""Architectures as data: ops, blocks and models, with builders for transformers and vision networks."""

from __future__ import annotations

from .._callable import make_callable
from . import ops, state_space, transformer, vision
from .lora import with_lora
from .model import Block, LayerRun, Model, layer_runs
from .op import Op, OpKind, Rows, Sharding
from .prediction import with_prediction
from .vision_tower import VisionTower, frozen, with_vision

__all__ = [
    "Block",
    "LayerRun",
    "Model",
    "Op",
    "OpKind",
    "Rows",
    "Sharding",
    "VisionTower",
    "frozen",
    "layer_runs",
    "ops",
    "state_space",
    "transformer",
    "vision",
    "with_lora",
    "with_prediction",
    "with_vision",
]

make_callable(__name__)  # dts.models() lists the catalogue
