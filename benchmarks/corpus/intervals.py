"""Refit the intervals of predictions from the packaged corpus, and print how often they hold.

    python benchmarks/corpus/intervals.py [--check]

Writes python/dist_training_sim/intervals/errors.json.gz; with --check it only prints. Run it after every change that
moves predictions.
"""

from __future__ import annotations

import sys

from dist_training_sim.intervals.lookup import FILE
from dist_training_sim.intervals.situation import BADGES
from dist_training_sim.validation import validate
from dist_training_sim.validation.refit import coverage_of, refitted, write_table


def main(check: bool) -> None:
    """Refit, print the coverage with each source left out, and write."""
    rows = validate(use=tuple(BADGES), by=(), workers=None).rows
    tables = refitted(rows)
    print(f"{'use':<10} {'badge':<13} {'rows':>5} {'in 50 %':>8} {'in 90 %':>8} {'high/low of 90 %':>17}")
    for line in coverage_of(rows, tables):
        print(f"{line.use:<10} {line.group:<13} {line.rows:5} {line.in50:8.1%} {line.in90:8.1%} {line.width90:17.2f}")
    for use, table in tables.items():
        factors = "; ".join(f"{low:g}, {high:g}" for low, high in table.widening)
        print(f"widening of {use} (50 %, 90 %) by coordinates given up: {factors}")
    if not check:
        write_table(tables, FILE)
        print(f"{FILE.name}: {FILE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main("--check" in sys.argv[1:])
