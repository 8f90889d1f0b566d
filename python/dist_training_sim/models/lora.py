"""LoRA: frozen weights with low-rank adapters beside chosen matmuls, written as ops (Hu et al. arXiv:2106.09685)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from ..errors import Problems, suggest
from .matrix_ops import matmul
from .model import Block, LayerRun, Model
from .op import BLOCK_INPUT, Op, OpKind, Sharding
from .pointwise_ops import elementwise

__all__ = ["with_lora"]

SHARDED = (Sharding.COLUMN, Sharding.ROW)
ADD_BYTES = 6  # two reads and one write of 2 bytes


def with_lora(model: Model, rank: int, targets: Collection[str] | None = None) -> Model:
    """Copy of a model whose own weights are frozen, with trained adapters `x A B` added to the targets' outputs.

    Frozen matmuls have no weight gradient, no gradient reduction and no optimizer states, and keep no input. `A` is
    split as a row-split target's inputs are, `B` as a column-split target's outputs are; the other half of each pair is
    replicated (Megatron-Bridge's parallel adapters). Left out: dropout of the adapter's input.

    Parameters
    ----------
    model
        The base model.
    rank
        Features between `A` and `B`, >= 1.
    targets
        Names of column- or row-split matmuls in the layers; None = all of them.

    Raises
    ------
    ConfigError
        If the rank is no positive integer, a target names no such matmul, or there is none.
    """
    known = {op.name for run in model.layers for op in run.block.ops if _adaptable(op)}
    chosen = known if targets is None else set(targets)
    problems = Problems()
    problems.count("rank", rank)
    for name in sorted(chosen - known):
        problems.add("targets", name, "a column- or row-split matmul of the layers", suggest(name, known))
    if not chosen:
        problems.add("targets", "none", "at least one column- or row-split matmul")
    problems.raise_if_any()
    layers = tuple(LayerRun(_adapted(run.block, rank, chosen), run.repeat) for run in model.layers)
    stem, head = _adapted(model.stem, rank, ()), _adapted(model.head, rank, ())
    return replace(
        model,
        name=f"{model.name}-lora{rank}",
        stem=stem,
        layers=layers,
        head=head,
        encoder=_frozen_runs(model.encoder, rank),
        prediction=_frozen_runs(model.prediction, rank),
    )


def _frozen_runs(runs: tuple[LayerRun, ...], rank: int) -> tuple[LayerRun, ...]:
    return tuple(LayerRun(_adapted(run.block, rank, ()), run.repeat) for run in runs)


def _adaptable(op: Op) -> bool:
    return op.kind is OpKind.MATMUL and op.sharding in SHARDED


def _adapted(block: Block, rank: int, targets: Collection[str]) -> Block:
    """Freeze a block's ops and put each target's adapter behind it; who read the target reads the sum."""
    ops: list[Op] = []
    renamed: dict[str, str] = {}
    for op in block.ops:
        read = renamed.get(op.input, op.input)
        base = replace(op, trainable=False, input=read)
        before = read or (ops[-1].name if ops else BLOCK_INPUT)
        ops.append(base)
        if op.name in targets and _adaptable(op):
            ops.extend(_adapter(base, before, rank))
            renamed[op.name] = ops[-1].name
    return replace(block, ops=tuple(ops))


def _adapter(base: Op, read: str, rank: int) -> tuple[Op, Op, Op]:
    """`A`, `B` and the sum; backward of the sum joins the two gradients of the target's input."""
    column = base.sharding is Sharding.COLUMN
    down = Sharding.SEQUENCE if column else Sharding.ROW
    up = Sharding.COLUMN if column else Sharding.SEQUENCE
    joined = ADD_BYTES * base.in_features / base.out_features
    region = Sharding.HEADS if column else Sharding.SEQUENCE
    return (
        matmul(f"{base.name}.lora_a", base.in_features, rank, down, input=read),
        matmul(f"{base.name}.lora_b", rank, base.out_features, up),
        elementwise(f"{base.name}.lora", base.out_features, ADD_BYTES, joined, region),
    )
