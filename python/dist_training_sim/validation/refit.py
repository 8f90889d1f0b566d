"""Errors of a corpus by stratum, the widening that covers sources left out, and how often the intervals hold."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..intervals import Situation
from ..intervals.lookup import Errors, Table, bounds_of, interval_from, pool_of
from ..intervals.situation import BADGES
from .results import RowResult

__all__ = ["Coverage", "coverage_of", "refitted", "write_table"]

MOST_VALUES = 40  # of one source in one stratum
FEWEST_TO_WIDEN = 20
NARROWEST, WIDEST = 0.5, 10.0


@dataclass(frozen=True)
class Coverage:
    """How often measurements lie in their intervals when their source is left out.

    Attributes
    ----------
    rows
        Rows that were tried.
    in50, in90
        Share within the 50 % and the 90 % interval.
    width90
        Median ratio of the ends of the 90 % interval.
    """

    use: str
    group: str
    rows: int
    in50: float
    in90: float
    width90: float


def refitted(rows: Iterable[RowResult]) -> dict[str, Table]:
    """Table of each use that has intervals, from the rows that count."""
    usable = [row for row in rows if row.included and row.situation and row.error is not None and row.error > -1]
    by_use = {use: [row for row in usable if row.use == use] for use in BADGES}
    return {use: _table(use, members) for use, members in by_use.items() if members}


def _table(use: str, rows: Sequence[RowResult]) -> Table:
    parts: dict[tuple[str, tuple[str, ...]], list[float]] = {}
    for row in rows:
        parts.setdefault((row.labels["source"], _situation(row).coordinates), []).append(_error(row))
    errors = tuple(
        Errors(source, stratum, len(values), _thinned(sorted(values)))
        for (source, stratum), values in sorted(parts.items())
    )
    return Table(use, errors, _widening(Table(use, errors, ()), rows))


def _widening(table: Table, rows: Sequence[RowResult]) -> tuple[tuple[float, float], ...]:
    """For each number of coordinates given up the smallest factors that cover 50 and 90 % of rows of sources left out.

    They never fall with distance; a distance at which few rows stand takes those of the one before.
    """
    needed: dict[int, list[tuple[float, float]]] = {}
    for row in rows:
        pool, given_up = pool_of(table, _situation(row), row.labels["source"])
        if pool:
            needed.setdefault(given_up, []).append(_needed(pool, _error(row)))
    factors: list[tuple[float, float]] = []
    for given_up in range(len(BADGES[table.use])):
        found = needed.get(given_up, [])
        before = factors[-1] if factors else (NARROWEST, NARROWEST)
        new = [_smallest([pair[at] for pair in found], share, before[at]) for at, share in enumerate((0.5, 0.9))]
        factors.append((new[0], new[1]))
    return tuple(factors)


def _smallest(needed: Sequence[float], share: float, before: float) -> float:
    if len(needed) < FEWEST_TO_WIDEN:
        return max(1.0, before)
    ordered = sorted(needed)
    factor = ordered[min(len(ordered) - 1, math.ceil(share * (len(ordered) + 1)) - 1)]
    return round(min(WIDEST, max(before, factor)), 2)


def _needed(pool: Sequence[Errors], error: float) -> tuple[float, float]:
    """Factors at which the 50 % and the 90 % interval just reach an error."""
    low50, high50, low90, high90 = bounds_of(pool, 1.0, 1.0)
    middle, *_ = bounds_of(pool, 0.0, 0.0)
    sides = (high50 - middle, high90 - middle) if error >= middle else (middle - low50, middle - low90)
    first, second = (abs(error - middle) / side if side > 1e-9 else WIDEST for side in sides)
    return first, second


def coverage_of(rows: Iterable[RowResult], tables: dict[str, Table]) -> list[Coverage]:
    """Coverage of each use, then of each of its badges, with every row's own source left out."""
    tried: dict[tuple[str, str], list[tuple[bool, bool, float]]] = {}
    for row in rows:
        if not (row.included and row.situation and row.measured and row.use in tables):
            continue
        interval = interval_from(tables[row.use], row.situation, float(row.predicted or 0), row.labels["source"])
        if interval:
            seen = (
                *(interval.covers(float(row.measured), 50), interval.covers(float(row.measured))),
                interval.high90 / interval.low90,
            )
            for group in ("all", interval.badge):
                tried.setdefault((row.use, group), []).append(seen)
    return [_coverage(use, group, seen) for (use, group), seen in tried.items()]


def _coverage(use: str, group: str, seen: Sequence[tuple[bool, bool, float]]) -> Coverage:
    widths = sorted(width for _, _, width in seen)
    in50, in90 = (sum(row[at] for row in seen) / len(seen) for at in (0, 1))
    return Coverage(use, group, len(seen), in50, in90, widths[len(widths) // 2])


def write_table(tables: dict[str, Table], path: Path) -> None:
    """Write the tables as gzipped JSON; the bytes depend on the values only."""
    uses: dict[str, Any] = {
        use: {
            "widening": [list(pair) for pair in table.widening],
            "errors": [
                {"source": e.source, "stratum": list(e.stratum), "rows": e.rows, "errors": list(e.values)}
                for e in table.errors
            ],
        }
        for use, table in tables.items()
    }
    text = json.dumps({"uses": uses}, separators=(",", ":"), ensure_ascii=False)
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def _situation(row: RowResult) -> Situation:
    assert row.situation is not None
    return row.situation


def _error(row: RowResult) -> float:
    """Logarithm of measured over predicted."""
    return -math.log1p(float(row.error or 0.0))


def _thinned(values: Sequence[float]) -> tuple[float, ...]:
    """Sorted values, or evenly spaced quantiles of many; four digits."""
    if len(values) > MOST_VALUES:
        values = [values[round(i * (len(values) - 1) / (MOST_VALUES - 1))] for i in range(MOST_VALUES)]
    return tuple(round(value, 4) for value in values)
