"""The tables behind intervals: errors by stratum, and the factors that make intervals hold for sources left out."""

from __future__ import annotations

import gzip
import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

from ..intervals.errors import Errors, Factors, Table
from ..intervals.pool import Pool, pooled
from ..intervals.situation import BADGES, RULES

__all__ = ["Measured", "factors_of", "scored", "table_of", "write_tables"]

MOST_VALUES = 40  # of one source in one stratum
_SOURCE_POWER = 0.7  # as in the fit of step times (step_fit)
_PRIOR_WEIGHT = 10  # the factor of a badge of this weight (27 rows of one source) is half its own, half that of all
_ROUNDING = 1e-12
_GENERATION = 1  # where a step time's coordinates name the generation of the device


@dataclass(frozen=True)
class Measured:
    """Errors of one use.

    Attributes
    ----------
    errors
        Every row, its source left out of the fit.
    far
        Of step times the same rows with all devices of their generation left out: what to expect of a device that
        nobody measured.
    """

    use: str
    errors: tuple[Errors, ...]
    far: tuple[Errors, ...] = ()

    @property
    def sources(self) -> list[str]:
        """Names of the sources."""
        return sorted({e.source for e in self.errors})


def table_of(measured: Measured) -> Table:
    """Table of a use, as the package holds it."""
    kept = tuple(Errors(e.source, e.stratum, e.rows, _thinned(e.values)) for e in measured.errors)
    return Table(measured.use, kept, factors_of(measured, kept))


def scored(measured: Measured, kept: Sequence[Errors], without: str = "") -> Iterator[tuple[Errors, Pool, bool]]:
    """Every group of errors beside the pool of the others that speaks for it, and whether its generation is left out.

    Parameters
    ----------
    without
        Source that is left out everywhere.
    """
    rule = RULES[measured.use]
    for e in measured.errors:
        pool = pooled(kept, rule, e.stratum, (e.source, without)) if e.source != without else None
        if pool:
            yield e, pool, False
    for e in measured.far:
        others = [k for k in kept if k.stratum[_GENERATION] != e.stratum[_GENERATION]]
        pool = pooled(others, rule, e.stratum, (e.source, without)) if e.source != without else None
        if pool:
            yield e, pool, True


def factors_of(measured: Measured, kept: Sequence[Errors], without: str = "") -> Factors:
    """Of each badge the smallest factors that cover 50 and 90 % of the rows of sources left out.

    A source of n rows weighs n^0.7: one long table does not speak for all. Those of a badge are no less than those of a
    surer one.
    """
    needed: dict[str, list[_Needed]] = {badge: [] for badge in BADGES}
    weights = _row_weights(measured.errors)
    for e, pool, _ in scored(measured, kept, without):
        sizes = pool.size_at(0.5), pool.size_at(0.9)
        needed[pool.badge] += [_Needed(value / sizes[0], value / sizes[1], weights[e.source]) for value in e.values]
    everything = [each for rows in needed.values() for each in rows]
    low, high = ([_between(needed[badge], everything, at, q) for badge in BADGES] for at, q in enumerate((0.5, 0.9)))
    low, high = list(accumulate(low, max)), list(accumulate(high, max))
    return {badge: (round(a, 3), round(b, 3)) for badge, a, b in zip(BADGES, low, high, strict=True)}


class _Needed(NamedTuple):
    """Factors on the 50 % and the 90 % interval that would just cover a row."""

    low: float
    high: float
    weight: float


def _row_weights(errors: Iterable[Errors]) -> dict[str, float]:
    """Weight of each row of a source."""
    counts: Counter[str] = Counter()
    for e in errors:
        counts[e.source] += e.rows
    return {source: count ** (_SOURCE_POWER - 1) for source, count in counts.items()}


def _between(own: Sequence[_Needed], everything: Sequence[_Needed], at: int, share: float) -> float:
    """Factor of a badge, drawn towards that of all where it has few rows."""
    if not everything:
        return 1.0
    common = _conformal([(row[at], row.weight) for row in everything], share)
    mine = _conformal([(row[at], row.weight) for row in own], share) if own else common
    weight = sum(row.weight for row in own)
    return (weight * mine + _PRIOR_WEIGHT * common) / (weight + _PRIOR_WEIGHT)


def _conformal(values: Sequence[tuple[float, float]], share: float) -> float:
    """Quantile of weighted values, with room for one more."""
    ordered = sorted(values)
    reached = list(accumulate(weight for _, weight in ordered))
    at = bisect_left(reached, share * reached[-1] * (1 + 1 / len(ordered)) - _ROUNDING)
    return ordered[min(at, len(ordered) - 1)][0]


def _thinned(values: Sequence[float]) -> tuple[float, ...]:
    """Sorted values, or evenly spaced quantiles of many; four digits."""
    values = sorted(values)
    if len(values) > MOST_VALUES:
        values = [values[round(i * (len(values) - 1) / (MOST_VALUES - 1))] for i in range(MOST_VALUES)]
    return tuple(round(value, 4) for value in values)


def write_tables(tables: Iterable[Table], path: Path) -> None:
    """Write tables as gzipped JSON; the bytes depend on the values only."""
    uses: dict[str, Any] = {
        table.use: {
            "factors": {badge: list(pair) for badge, pair in table.factors.items()},
            "errors": [
                {"source": e.source, "stratum": list(e.stratum), "rows": e.rows, "errors": list(e.values)}
                for e in table.errors
            ],
        }
        for table in tables
    }
    text = json.dumps({"uses": uses}, separators=(",", ":"), ensure_ascii=False)
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
