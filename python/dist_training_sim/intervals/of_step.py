"""Interval of a simulated step, from its model, cluster and strategy."""

from __future__ import annotations

from ..hardware import Cluster
from ..models import Model, OpKind
from ..parallel import Strategy
from .interval import Interval
from .lookup import interval_of
from .situation import Situation, step_situation

__all__ = ["interval_of_step", "situation_of_step"]


def interval_of_step(step_time_s: float, model: Model, cluster: Cluster, strategy: Strategy) -> Interval | None:
    """Interval of a predicted step time, in seconds.

    Parameters
    ----------
    strategy
        As given or resolved; degrees that it leaves open do not matter.
    """
    return interval_of(situation_of_step(model, cluster, strategy), step_time_s)


def situation_of_step(model: Model, cluster: Cluster, strategy: Strategy) -> Situation:
    """Situation of a predicted step time among the measured ones."""
    return step_situation(
        kind=_kind(model),
        generation=cluster.node.device.generation,
        devices=cluster.device_count,
        tp=strategy.tp,
        pp=strategy.pp,
        cp=strategy.cp,
        device=cluster.node.device.name,
        model=f"{model.name}, {model.parameters:,} parameters",
    )


def _kind(model: Model) -> str:
    """As measured runs call it: moe, vision (samples of a fixed size), else dense."""
    if model.tokens_per_sample:
        return "vision"
    ops = (op for run in model.layers for op in run.block.ops)
    return "moe" if any(op.kind is OpKind.GROUPED_MATMUL for op in ops) else "dense"
