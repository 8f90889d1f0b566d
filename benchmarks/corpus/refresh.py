"""Intervals, the error budget and the accuracy page, anew from the packaged measurements.

    python benchmarks/corpus/refresh.py            predict, write, print the tables; two to four minutes on two cores
    python benchmarks/corpus/refresh.py --fast     the same, but the worth of effects stays as it stands
    python benchmarks/corpus/refresh.py --check    write nothing: fit the constants anew and fail where anything differs

Run it after every change that moves predictions, and commit what it writes:

- python/dist_training_sim/intervals/errors.json.gz   errors by stratum, for the intervals of predictions
- python/tests/fixtures/error_budget.json             errors by group, which test_accuracy.py lets only fall
- docs/guide/accuracy.md, docs/img/accuracy.png       the same numbers for people
- docs/guide/cost.md                                  its table of published runs

Constants are not written: `dts validate --refit` shows them, and `catalog/fitted.yaml` is its `yaml`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import ablation
import cost_anchors
import page
from budget import budget_of, fit_coverage, rounded
from dist_training_sim.catalog.fitted import GROUPS, Fitted
from dist_training_sim.intervals.errors import FILE, Table, packaged_table
from dist_training_sim.validation import packaged_corpus, validate
from dist_training_sim.validation.interval_table import write_tables
from dist_training_sim.validation.step_fit import check_steps, fit_steps
from figure import draw

sys.path.insert(0, str(page.ROOT / "docs"))
import likeness

BUDGET = page.ROOT / "python" / "tests" / "fixtures" / "error_budget.json"
FIGURE = "accuracy.png"
FACTOR_SLACK = 0.02  # a factor on a clock, or of intervals, may differ from the packaged one by so much
COST_SLACK = 0.2  # one on a host's or a step's cost, which is a few percent of a step
FIGURE_SLACK = 0.005  # a figure of the budget


def main(arguments: list[str]) -> int:
    """Predict all rows, leave every source out, and write or compare."""
    runs = packaged_corpus(["step_time"])[0]
    rows = list(validate(workers=None).rows)
    budget, tables = budget_of(rows, check_steps(runs))
    held = json.loads(BUDGET.read_text(encoding="utf-8"))
    fast = "--fast" in arguments or "--check" in arguments
    if "--check" not in arguments:
        write_tables(tables, FILE)
        rows = [row for row in rows if row.use != "fit"] + list(validate(use="fit", workers=None).rows)
    budget["coverage"] += fit_coverage(rows)
    budget["ablation"] = held["ablation"] if fast else rounded([vars(worth) for worth in ablation.worths(rows)])
    sys.stdout.write(f"{page.tables_of(budget)}\n")
    if "--check" in arguments:
        moved = [*_moved_constants(runs), *_moved_figures(budget, held), *_moved_factors(tables)]
        apart = likeness.stale(FIGURE, draw(_shown(rows)))
        return _report([*moved, *([f"docs/img/{FIGURE}: {apart}"] if apart else [])])
    BUDGET.write_text(f"{json.dumps(budget, indent=1)}\n", encoding="utf-8")
    page.write(budget)
    cost_anchors.write()
    likeness.keep(draw(_shown(rows)), FIGURE)
    return 0


def _shown(rows: Iterable[Any]) -> list[Any]:
    return [row for row in rows if row.use == "step_time" and row.included]


def _report(moved: list[str]) -> int:
    sys.stdout.write("".join(f"{line}\n" for line in moved) or "constants, budget and intervals are up to date\n")
    return 1 if moved else 0


def _moved_constants(runs: Path) -> Iterator[str]:
    """Fitted factors that a fresh fit does not confirm."""
    fresh, held = fit_steps(runs).fitted, Fitted.packaged()
    for group in GROUPS:
        now, then = getattr(fresh, group), getattr(held, group)
        for name in sorted({*now, *then}):
            a, b = now.get(name, (1.0, 0))[0], then.get(name, (1.0, 0))[0]
            if abs(a / b - 1) > (FACTOR_SLACK if group == "sustained" else COST_SLACK):
                yield f"fitted.yaml {group} {name}: {b:g}, a fresh fit says {a:g} (dts validate --refit)"
    if abs(fresh.every_device[0] / held.every_device[0] - 1) > FACTOR_SLACK:
        yield f"fitted.yaml every_device: {held.every_device[0]:g}, a fresh fit says {fresh.every_device[0]:g}"


def _moved_figures(now: Any, held: Any, where: str = "budget") -> Iterator[str]:
    """Numbers of the budget that differ, with their place."""
    if isinstance(now, dict) and isinstance(held, dict) and now.keys() == held.keys():
        names = " ".join(str(now[key]) for key in ("use", "source", "accelerator", "kind", "group", "id") if key in now)
        for key in now:
            yield from _moved_figures(now[key], held[key], f"{where} {names} {key}")
    elif isinstance(now, list) and isinstance(held, list) and len(now) == len(held):
        for one, other in zip(now, held, strict=True):
            yield from _moved_figures(one, other, where)
    elif isinstance(now, float) and isinstance(held, (int, float)):
        if abs(now - held) > FIGURE_SLACK * max(1.0, abs(held)):
            yield f"{where}: {held}, now {now}"
    elif now != held:
        yield f"{where}: differs"


def _moved_factors(tables: list[Table]) -> Iterator[str]:
    packaged = packaged_table()
    for table in tables:
        held = packaged.get(table.use)
        if held is None or any(
            abs(a - b) > FACTOR_SLACK
            for badge, pair in table.factors.items()
            for a, b in zip(pair, held.factors[badge], strict=True)
        ):
            yield f"intervals of {table.use}: factors {dict(table.factors)}, held {held and dict(held.factors)}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
