"""Goals of accuracy: which rows are in a set, and when one is met."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from dist_training_sim.validation import Row, RowResult
from dist_training_sim.validation.goals import GOALS, Goal, check_goals
from dist_training_sim.validation.labels import labels_of

LABELS = {"source": "Us/repo", "accelerator": "A100-SXM-80GB", "kind": "dense"}
ALL: Callable[[object], bool] = lambda at: True  # noqa: E731


def result(error: float | None, use: str = "step_time", included: bool = True, **labels: str) -> RowResult:
    measured = 1.0
    predicted = None if error is None else 1 + error
    return RowResult("row", use, predicted, measured, error, included, "", {**LABELS, **labels})


def test_median_and_ninetieth_percentile_of_counted_rows() -> None:
    rows = [result(0.01 * i) for i in range(1, 11)]  # 1 to 10 %
    rows += [result(9.0, included=False), result(None), result(9.0, use="memory")]
    (check,) = check_goals(rows, [Goal("all", "step_time", ALL, 0.055, 0.09)])
    assert check.n == 10
    assert check.median_error == pytest.approx(0.055)
    assert check.p90_error == pytest.approx(0.09)
    assert check.bias == pytest.approx(0.055)
    assert check.met
    (short,) = check_goals(rows, [Goal("all", "step_time", ALL, 0.055, 0.08)])
    assert not short.met


def test_a_set_without_rows_is_left_out() -> None:
    assert check_goals([result(0.1)], [Goal("none", "kernels", ALL, 1, 1)]) == []


def test_the_worst_source_of_ten_rows_is_told() -> None:
    rows = [result(0.01, source="good") for _ in range(10)] + [result(-0.2, source="bad") for _ in range(10)]
    rows += [result(0.9, source="small") for _ in range(9)]
    (check,) = check_goals(rows, [Goal("each", "step_time", ALL, 0.1, 0.1, of_each=True)])
    assert (check.n, check.median_error, check.bias, check.met) == (2, 0.2, -0.2, False)
    few = [Goal("each", "step_time", ALL, 0.1, 0.1, of_each=True)]
    assert check_goals(rows[-9:], few) == []


@pytest.mark.parametrize(
    ("name", "labels", "holds"),
    [
        ("SimuMax B200, dense", {"source": "SimuMax v1.2 B200", "kind": "dense"}, True),
        ("SimuMax B200, dense", {"source": "SimuMax v1.2 B200", "kind": "moe"}, False),
        ("MLPerf, language models", {"source": "MLCommons MLPerf Training v5.1", "kind": "vision"}, False),
        ("memory-bound kernels, data-centre GPUs", {"kind": "memory-bound", "accelerator": "RTX3090"}, False),
        ("memory-bound kernels, data-centre GPUs", {"kind": "memory-bound", "accelerator": "H100-SXM-80GB"}, True),
    ],
)
def test_sets(name: str, labels: dict[str, str], holds: bool) -> None:
    goal = next(goal for goal in GOALS if goal.name == name)
    assert goal.holds({**LABELS, **labels}) is holds


@pytest.mark.parametrize(("side", "kind"), [(511, "small matmul"), (512, "matmul")])
def test_matmuls_with_a_short_side_are_a_kind_of_their_own(side: int, kind: str) -> None:
    shape = {"m": 4096, "n": side, "k": 4096}
    row = {"gpu": "A100-SXM-80GB", "kernel": "gemm (torch)", "dtype": "bf16", "shape": shape, "source": "Us/repo"}
    assert labels_of(Row("r", row))["kind"] == kind
