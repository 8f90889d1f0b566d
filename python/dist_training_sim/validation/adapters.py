"""Low-rank adapters (Hu et al. 2021, arXiv:2106.09685): frozen weights, two small matmuls beside each target."""

from __future__ import annotations

from dataclasses import replace

from ..models import Block, Model, Op, OpKind, ops
from ..models.op import Sharding

__all__ = ["low_rank"]

_TARGETS = ("qkv", "q_up", "kv_up", "proj")


def low_rank(model: Model, rank: int = 16) -> Model:
    """Copy of a model with every weight frozen and adapters beside the attention projections.

    Parameters
    ----------
    rank
        Inner width of an adapter, 16 as in MLPerf's fine-tuning task and the recipes of NeMo.
    """
    runs = tuple(replace(run, block=_adapted(run.block, rank)) for run in model.layers)
    return replace(model, stem=_frozen(model.stem), layers=runs, head=_frozen(model.head))


def _frozen(block: Block) -> Block:
    return replace(block, ops=tuple(replace(op, trainable=False) for op in block.ops))


def _adapted(block: Block, rank: int) -> Block:
    listed: list[Op] = []
    previous = ""
    for op in _frozen(block).ops:
        listed.append(op)
        if op.name in _TARGETS and op.kind is OpKind.MATMUL:
            listed += _adapter(op, op.input or previous, rank)
        previous = listed[-1].name
    return replace(block, ops=tuple(listed))


def _adapter(target: Op, reads: str, rank: int) -> list[Op]:
    """`A` reads what the target reads, `B` produces what the target produces; their product is added to it.

    Beside a column-parallel target `A` is whole on every rank; beside a row-parallel one it is split as the target is.
    """
    row = target.sharding is Sharding.ROW
    down = ops.matmul(
        f"{target.name}_down", target.in_features, rank, Sharding.ROW if row else Sharding.SEQUENCE, input=reads
    )
    up = ops.matmul(f"{target.name}_up_lora", rank, target.out_features, Sharding.SEQUENCE if row else Sharding.COLUMN)
    placed = Sharding.SEQUENCE if row else Sharding.HEADS
    return [down, up, ops.residual(f"{target.name}_add_lora", target.out_features, placed)]
