"""Low-rank adapters (Hu et al. 2021, arXiv:2106.09685): frozen weights, two small matmuls beside each target."""

from __future__ import annotations

from dataclasses import replace

from ..models import Block, Model, Op, OpKind, ops
from ..models.op import Sharding

__all__ = ["QUERY_KEY_VALUE", "low_rank"]

QUERY_KEY_VALUE = ("qkv", "q_up", "kv_up")
_ATTENTION = (*QUERY_KEY_VALUE, "proj")


def low_rank(model: Model, rank: int = 16, targets: tuple[str, ...] = _ATTENTION) -> Model:
    """Copy of a model with every weight frozen and adapters beside projections of its attention.

    Parameters
    ----------
    rank
        Inner width of an adapter, 16 as in MLPerf's fine-tuning task.
    targets
        Names of the matmuls; all projections of attention as in that task.
    """
    runs = tuple(replace(run, block=_adapted(run.block, rank, targets)) for run in model.layers)
    return replace(model, stem=_frozen(model.stem), layers=runs, head=_frozen(model.head))


def _frozen(block: Block) -> Block:
    return replace(block, ops=tuple(replace(op, trainable=False) for op in block.ops))


def _adapted(block: Block, rank: int, targets: tuple[str, ...]) -> Block:
    listed: list[Op] = []
    previous = ""
    for op in _frozen(block).ops:
        listed.append(op)
        if op.name in targets and op.kind is OpKind.MATMUL:
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
