"""What the error budget holds: errors by group, also of sources left out, coverage of intervals, other tools' rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import expm1
from pathlib import Path
from statistics import median
from typing import Any

from dist_training_sim.intervals.errors import Table
from dist_training_sim.validation import RowResult, packaged_corpus, read_rows, validate
from dist_training_sim.validation.coverage import coverage_of, line_of
from dist_training_sim.validation.goals import GoalCheck, check_goals
from dist_training_sim.validation.interval_errors import measured_errors
from dist_training_sim.validation.interval_table import table_of
from dist_training_sim.validation.ranking import rankings
from dist_training_sim.validation.step_fit import StepFit
from dist_training_sim.validation.summary import Group, percentile, summarise

ANCHORS = Path(__file__).parent / "anchors.jsonl"
GROUPINGS = ((), ("source",), ("accelerator",), ("scale",), ("kind",), ("source", "accelerator"))


def budget_of(rows: Sequence[RowResult], steps: StepFit) -> tuple[dict[str, Any], list[Table]]:
    """The budget, and the tables behind intervals."""
    measured = measured_errors(rows, steps, read_rows(packaged_corpus(["collectives"])[0]))
    coverage = [line for one in measured.values() for line in coverage_of(one)]
    budget = {
        "groups": groups_of(rows, steps),
        "goals": [goal_line(check) for check in check_goals(rows)],
        "coverage": [vars(line) for line in coverage],
        "rankings": [vars(line) for line in rankings(rows, steps, measured["comparison"])],
        "anchors": anchors(),
    }
    return rounded(budget), [table_of(one) for one in measured.values()]


def goal_line(check: GoalCheck) -> dict[str, Any]:
    """A goal and what was found, as plain data."""
    found = {name: getattr(check, name) for name in ("n", "median_error", "p90_error", "bias", "met")}
    goal = check.goal
    return {"goal": goal.name, **found, "median_goal": goal.median_error, "p90_goal": goal.p90_error}


def groups_of(rows: Sequence[RowResult], steps: StepFit) -> list[dict[str, Any]]:
    """Figures of all groups of all groupings that have rows."""
    unseen = {name: expm1(float(error)) for name, error in zip(steps.rows, steps.left_out, strict=True)}
    groups = [group for by in GROUPINGS for group in summarise(rows, by) if len(group.key) == len(by) + 1 and group.n]
    return [_figures(group, rows, unseen) for group in groups if "" not in group.key.values()]


def _figures(group: Group, rows: Iterable[RowResult], unseen: dict[str, float]) -> dict[str, Any]:
    names = ("n", "median_error", "mean_error", "p90_error", "bias")
    figures = {**group.key, **{name: getattr(group, name) for name in names}}
    if group.key["use"] == "step_time":
        sizes = [abs(unseen[row.id]) for row in rows if row.included and _is_in(row, group.key)]
        figures |= {"left_out_median": median(sizes), "left_out_p90": percentile(sizes, 0.9)}
    return figures


def _is_in(row: RowResult, key: dict[str, str]) -> bool:
    return all(({**row.labels, "use": row.use})[name] == value for name, value in key.items())


def fit_coverage(rows: Iterable[RowResult]) -> list[dict[str, Any]]:
    """Coverage of whether jobs fit, by the packaged errors of memory; the width is the share that is left open."""
    seen = [
        (
            row.interval.covers(bool(row.measured), 50),
            row.interval.covers(bool(row.measured)),
            float(row.interval.low50 != row.interval.high50),
            float(row.interval.low90 != row.interval.high90),
        )
        for row in rows
        if row.use == "fit" and row.included and row.interval
    ]
    line = replace(line_of("fit", "all", seen), width50=_mean(seen, 2), width90=_mean(seen, 3))
    return [rounded(vars(line))]


def _mean(seen: Sequence[tuple[Any, ...]], at: int) -> float:
    return float(sum(row[at] for row in seen)) / len(seen)


def anchors() -> list[dict[str, Any]]:
    """Our errors on the rows that other tools were measured on."""
    report = validate(ANCHORS, use="step_time", by=("source",))
    rows = [{"id": row.id, "source": row.labels["source"], "error": row.error} for row in report.rows]
    assert all(row["error"] is not None for row in rows)
    return rows


def rounded(value: Any) -> Any:
    """Floats with four digits after the point."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return round(value, 4) if isinstance(value, float) else value
