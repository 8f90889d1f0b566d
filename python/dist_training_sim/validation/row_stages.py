"""How a row's layers lie on pipeline stages where it does not say so itself."""

from __future__ import annotations

from ..frameworks import FrameworkDefaults
from ..models import Block, Model, OpKind
from .corpus import Row

__all__ = ["chunks_of", "layers_before_prediction", "layers_by_cost", "stages_of"]


def stages_of(row: Row, layers: int, pp: int, defaults: FrameworkDefaults) -> int:
    """Chunks per stage (`vpp`): stated, else the framework's."""
    if pp == 1:
        return 1
    if stated := row.count("parallel.vpp"):
        return stated
    if any(word.startswith("schedule=interleaved") for word in row.words("features")):
        return defaults.interleaved_chunks
    return chunks_of(layers, pp) if defaults.layer_per_chunk else 1


def chunks_of(layers: int, pp: int) -> int:
    """One layer per chunk, embedding and loss counted as layers where that makes equal stages; 1 where neither does."""
    for slots in (layers + 2, layers):
        if slots % pp == 0:
            return slots // pp
    return 1


def layers_before_prediction(layers: int, stages: int) -> tuple[int, ...]:
    """Full stages from the front, so that the last has room for the prediction module and its loss.

    As the layouts of Megatron-Bridge's DeepSeek-V3 recipes: 4 layers on each of 15 stages and 1 on the last.
    """
    each = -(-layers // stages)
    return tuple(max(0, min(each, layers - each * stage)) for stage in range(stages))


def layers_by_cost(model: Model, pp: int, *, closes_at_share: bool = False) -> tuple[int, ...]:
    """Layers of each stage when blocks are placed by the weights of their matmuls, the LM head included.

    A block goes to the current stage; once the cost so far passes the stage's share of the total, the next block opens
    the next stage (nanotron `pipeline_parallel`). The head stays on the last stage. `closes_at_share`: a stage whose
    share is exactly reached is full, as after the fix that the sweep's rows name.
    """
    costs = [_matmul_weights(run.block) for run in model.layers for _ in range(run.repeat)]
    total = sum(costs) + _matmul_weights(model.head)
    counts, placed, stage = [0] * pp, 0.0, 0
    for cost in costs:
        counts[stage] += 1
        placed += cost
        share = total * (stage + 1) / pp
        if (placed > share or (closes_at_share and placed >= share)) and stage + 1 < pp:
            stage += 1
    return tuple(counts)


def _matmul_weights(block: Block) -> float:
    kinds = (OpKind.MATMUL, OpKind.GROUPED_MATMUL)
    return sum(op.in_features * op.out_features * max(1.0, op.experts) for op in block.ops if op.kind in kinds)
