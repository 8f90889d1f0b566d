"""Refit intervals, the error budget and the accuracy page from the packaged measurements; prints the table.

    python benchmarks/corpus/refresh.py [--check]

Run it after every change that moves predictions, and commit what it writes:

- python/dist_training_sim/intervals/errors.json.gz   errors by stratum, for the intervals of predictions
- python/tests/fixtures/error_budget.json             errors by group, which test_accuracy.py lets only fall
- docs/guide/accuracy.md, docs/img/accuracy.png       the same numbers for people

With --check nothing is written.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import page
from dist_training_sim.intervals.lookup import FILE
from dist_training_sim.validation import RowResult, validate
from dist_training_sim.validation.refit import coverage_of, refitted, write_table
from dist_training_sim.validation.summary import Group, summarise

ROOT = Path(__file__).parents[2]
BUDGET = ROOT / "python" / "tests" / "fixtures" / "error_budget.json"
GROUPINGS = ((), ("source",), ("accelerator",), ("kind",), ("source", "accelerator"))


def main(check: bool) -> None:
    """Predict all rows, print the coverage with each source left out, and write."""
    rows = validate(workers=None).rows
    tables = refitted(rows)
    budget = rounded({"groups": budget_of(rows), "coverage": [vars(line) for line in coverage_of(rows, tables)]})
    print(page.tables_of(budget))
    for use, table in tables.items():
        factors = "; ".join(f"{low:g}, {high:g}" for low, high in table.widening)
        print(f"widening of {use} (50 %, 90 %) by coordinates given up: {factors}")
    if not check:
        write_table(tables, FILE)
        BUDGET.write_text(f"{json.dumps(budget, indent=1)}\n", encoding="utf-8")
        page.write(budget, rows)


def budget_of(rows: Iterable[RowResult]) -> list[dict[str, Any]]:
    """Figures of all groups of all groupings that have rows."""
    rows = list(rows)
    groups = [group for by in GROUPINGS for group in summarise(rows, by) if len(group.key) == len(by) + 1 and group.n]
    return [figures(group) for group in groups]


def figures(group: Group) -> dict[str, Any]:
    """What the budget holds of a group."""
    names = ("n", "median_error", "mean_error", "p90_error", "bias")
    return {**group.key, **{name: getattr(group, name) for name in names}}


def rounded(value: Any) -> Any:
    """Floats with four digits after the point."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return round(value, 4) if isinstance(value, float) else value


if __name__ == "__main__":
    main("--check" in sys.argv[1:])
