"""How often intervals hold for sources that neither the fit, nor the errors, nor the factors have seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp
from statistics import median

from ..intervals.lookup import interval_from
from .interval_table import Measured, factors_of, scored, table_of

__all__ = ["Coverage", "coverage_of"]


@dataclass(frozen=True)
class Coverage:
    """How often measurements lie in their intervals.

    Attributes
    ----------
    use, group
        What was predicted, and `all` or a badge; of comparisons what the two jobs share.
    rows
        Rows that were tried.
    in50, in90
        Share within the 50 % and the 90 % interval.
    width50, width90
        Median ratio of the ends of the intervals; of whether a job fits the share that is left open.
    """

    use: str
    group: str
    rows: int
    in50: float
    in90: float
    width50: float
    width90: float


def coverage_of(measured: Measured) -> list[Coverage]:
    """Coverage of a use and of each of its badges; each source is judged by the factors and errors of the others.

    Rows whose generation of devices is left out count under `extrapolated` alone.
    """
    kept = table_of(measured).errors
    seen: dict[str, list[tuple[bool, bool, float, float]]] = {"all": []}
    factors = {source: factors_of(measured, kept, source) for source in measured.sources}
    for e, pool, far in scored(measured, kept):
        interval = interval_from(pool, factors[e.source], 1.0)
        ratios = interval.high50 / interval.low50, interval.high90 / interval.low90
        lines = [(interval.covers(exp(v), 50), interval.covers(exp(v)), *ratios) for v in e.values]
        finer = interval.stratum if measured.use == "comparison" else interval.badge
        for group in (finer,) if far else ("all", finer):
            seen.setdefault(group, []).extend(lines)
    return [line_of(measured.use, group, rows) for group, rows in seen.items() if rows]


def line_of(use: str, group: str, rows: Sequence[tuple[bool, bool, float, float]]) -> Coverage:
    """Coverage of some rows: whether each lies in the two intervals, and how wide they are."""
    in50, in90 = (sum(row[at] for row in rows) / len(rows) for at in (0, 1))
    return Coverage(use, group, len(rows), in50, in90, *(median(_column(rows, at)) for at in (2, 3)))


def _column(rows: Iterable[tuple[bool, bool, float, float]], at: int) -> list[float]:
    return [float(row[at]) for row in rows]
