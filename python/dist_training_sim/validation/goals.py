"""What errors the project aims at on the packaged measurements, and what they are."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from .results import RowResult
from .summary import percentile

__all__ = ["GOALS", "Goal", "GoalCheck", "check_goals"]

_LEAST_ROWS = 10
_DATA_CENTRE = ("A100", "H100", "H200", "H800", "GH200", "B200", "B300", "GB200", "GB300", "V100", "MI3")


@dataclass(frozen=True)
class Goal:
    """Median and 90th percentile of the absolute errors of a set of rows, at most.

    Attributes
    ----------
    name
        The set, in words.
    use
        Quantity: one of `USES`.
    holds
        Whether a row with such labels is in the set.
    median_error, p90_error
        Shares.
    of_each
        The goal of each source on its own, of those with at least ten rows; the worst of them is told.
    """

    name: str
    use: str
    holds: Callable[[Mapping[str, str]], bool]
    median_error: float
    p90_error: float
    of_each: bool = False


@dataclass(frozen=True)
class GoalCheck:
    """One goal beside what was found; of `of_each` goals `n` counts sources."""

    goal: Goal
    n: int
    median_error: float
    p90_error: float
    bias: float

    @property
    def met(self) -> bool:
        """Whether both errors are within the goal."""
        return self.median_error <= self.goal.median_error and self.p90_error <= self.goal.p90_error


def _source(*parts: str, kind: str = "") -> Callable[[Mapping[str, str]], bool]:
    """Rows of sources whose title holds one of the parts, of one kind of model or any."""
    return lambda at: any(part in at["source"] for part in parts) and kind in ("", at["kind"])


def _kernel(kind: str) -> Callable[[Mapping[str, str]], bool]:
    return lambda at: at["kind"] == kind and at["accelerator"].startswith(_DATA_CENTRE)


def _mlperf(at: Mapping[str, str]) -> bool:
    return "MLPerf" in at["source"] and at["kind"] in ("dense", "moe")


GOALS: tuple[Goal, ...] = (
    Goal("step time, all", "step_time", lambda at: True, 0.05, 0.16),
    Goal("dense models", "step_time", lambda at: at["kind"] == "dense", 0.05, 0.15),
    Goal("models with experts", "step_time", lambda at: at["kind"] == "moe", 0.10, 0.25),
    Goal("worst source of ten rows and more", "step_time", lambda at: True, 0.09, 0.25, of_each=True),
    Goal("vTrain, 64 to 512 A100", "step_time", _source("ground_truth_multi"), 0.04, 0.15),
    Goal("vTrain, 1 to 8 A100", "step_time", _source("ground_truth_single"), 0.05, 0.16),
    Goal("Korthikanti 2022", "step_time", _source("Reducing Activation Recomputation"), 0.03, 0.06),
    Goal("Megatron-LM 2021", "step_time", _source("Efficient Large-Scale Language Model Training"), 0.04, 0.08),
    Goal("llm-foundry", "step_time", _source("llm-foundry"), 0.04, 0.10),
    Goal("SimuMax B200, dense", "step_time", _source("SimuMax", kind="dense"), 0.02, 0.05),
    Goal("SimuMax B200, experts", "step_time", _source("SimuMax", kind="moe"), 0.04, 0.08),
    Goal("MLPerf, language models", "step_time", _mlperf, 0.06, 0.16),
    Goal("TPU v7", "step_time", lambda at: at["accelerator"] == "TPU-v7", 0.12, 0.30),
    Goal("Trainium 1", "step_time", lambda at: at["accelerator"].startswith("Trainium1"), 0.12, 0.30),
    Goal("matmul of 512 and more a side, data-centre GPUs", "kernels", _kernel("matmul"), 0.05, 0.14),
    Goal("attention, data-centre GPUs", "kernels", _kernel("attention"), 0.05, 0.15),
    Goal("memory-bound kernels, data-centre GPUs", "kernels", _kernel("memory-bound"), 0.10, 0.25),
)


def check_goals(rows: Iterable[RowResult], goals: Sequence[Goal] = GOALS) -> list[GoalCheck]:
    """Every goal of whose set some rows count.

    Parameters
    ----------
    rows
        Of `validate` on the packaged measurements.
    goals
        What to compare with.
    """
    counted = [row for row in rows if row.included and row.error is not None]
    checks = (_check(goal, counted) for goal in goals)
    return [check for check in checks if check is not None]


def _check(goal: Goal, counted: Sequence[RowResult]) -> GoalCheck | None:
    rows = [row for row in counted if row.use == goal.use and goal.holds(row.labels)]
    if not goal.of_each:
        return _figures(goal, rows) if rows else None
    sources: dict[str, list[RowResult]] = {}
    for row in rows:
        sources.setdefault(row.labels["source"], []).append(row)
    each = [_figures(goal, members) for members in sources.values() if len(members) >= _LEAST_ROWS]
    if not each:
        return None
    bias = max((check.bias for check in each), key=abs)
    return GoalCheck(goal, len(each), max(c.median_error for c in each), max(c.p90_error for c in each), bias)


def _figures(goal: Goal, rows: Sequence[RowResult]) -> GoalCheck:
    errors = [row.error or 0.0 for row in rows]
    sizes = [abs(error) for error in errors]
    return GoalCheck(goal, len(errors), statistics.median(sizes), percentile(sizes, 0.9), statistics.median(errors))
