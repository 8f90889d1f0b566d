"""Interval of a prediction: quantiles of the errors of the nearest measurements, wider the farther they are.

Errors are logarithms of measured over predicted. Within a stratum a source of n rows weighs as much as √n single rows,
because its rows share one cluster and one software. The quantiles leave room for the finite number of rows (split
conformal prediction: Vovk, Gammerman, Shafer, Algorithmic Learning in a Random World, 2005). A factor per number of
coordinates given up widens them, the smallest that covers the rows of sources left out (`validation.refit`). How often
that holds: docs/guide/accuracy.md.
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from .interval import Interval
from .situation import BADGES, Situation

__all__ = ["FILE", "Errors", "Table", "bounds_of", "interval_of", "packaged_table"]

FILE = Path(__file__).parent / "errors.json.gz"
# Rows and sources that a stratum needs: chosen by the coverage and the width of the intervals with sources left out.
FEWEST = {"step_time": (30, 4), "memory": (30, 4), "kernels": (30, 1)}


@dataclass(frozen=True)
class Errors:
    """Errors of one source in one stratum, sorted; many are thinned to quantiles, `rows` counts them all."""

    source: str
    stratum: tuple[str, ...]
    rows: int
    values: tuple[float, ...]


@dataclass(frozen=True)
class Table:
    """All errors of one use, and for each number of coordinates given up the factors of the 50 % and 90 % interval."""

    use: str
    errors: tuple[Errors, ...]
    widening: tuple[tuple[float, float], ...]


def interval_of(situation: Situation, predicted: float, *, without: str = "") -> Interval | None:
    """Interval of a prediction, in its unit; None where nothing comparable was measured.

    Parameters
    ----------
    without
        Source to leave out: for its own rows, as if it were unknown.
    """
    table = packaged_table().get(situation.use)
    return None if table is None else interval_from(table, situation, predicted, without)


def interval_from(table: Table, situation: Situation, predicted: float, without: str) -> Interval | None:
    """Interval of a prediction by a table."""
    pool, given_up = pool_of(table, situation, without)
    if not pool:
        return None
    factors = table.widening[min(given_up, len(table.widening) - 1)]
    low50, high50, low90, high90 = (predicted * math.exp(end) for end in bounds_of(pool, *factors))
    return Interval(
        *(low50, high50, min(low90, predicted), max(high90, predicted)),
        badge=BADGES[situation.use][given_up],
        stratum=", ".join(situation.stratum(given_up)) or "all",
        rows=sum(errors.rows for errors in pool),
        sources=len({errors.source for errors in pool}),
    )


def pool_of(table: Table, situation: Situation, without: str) -> tuple[list[Errors], int]:
    """Errors of the narrowest stratum that has enough of them, and the number of coordinates given up."""
    pool: list[Errors] = []
    fewest_rows, fewest_sources = FEWEST[table.use]
    last = len(situation.coordinates)
    for given_up in range(last + 1):
        stratum = situation.stratum(given_up)
        pool = [e for e in table.errors if e.source != without and e.stratum[: len(stratum)] == stratum]
        enough = sum(e.rows for e in pool) >= fewest_rows and len({e.source for e in pool}) >= fewest_sources
        if enough:
            return pool, given_up
    return pool, last


def bounds_of(pool: Sequence[Errors], factor50: float, factor90: float) -> tuple[float, float, float, float]:
    """Ends of the 50 % and 90 % intervals of a pool, each moved away from the median by its factor."""
    sizes: dict[str, int] = {}
    for errors in pool:
        sizes[errors.source] = sizes.get(errors.source, 0) + errors.rows
    weighted = sorted(
        (value, errors.rows / len(errors.values) / math.sqrt(sizes[errors.source]))
        for errors in pool
        for value in errors.values
    )
    middle = _quantile(weighted, 0.5)
    ends = [_quantile(weighted, share) for share in _shares(0.5, weighted) + _shares(0.9, weighted)]
    factors = (factor50, factor50, factor90, factor90)
    low50, high50, low90, high90 = (middle + (end - middle) * f for end, f in zip(ends, factors, strict=True))
    return low50, high50, low90, high90


def _shares(covered: float, weighted: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Shares below the two ends, with room for a finite number of rows."""
    weights = [weight for _, weight in weighted]
    effective = sum(weights) ** 2 / sum(weight * weight for weight in weights)
    tail = max(0.0, (1 - covered) / 2 - 1 / (effective + 1) / 2)
    return tail, 1 - tail


def _quantile(weighted: Sequence[tuple[float, float]], share: float) -> float:
    """Smallest value that at least this share of the weight does not exceed."""
    need = share * sum(weight for _, weight in weighted) - 1e-12
    reached = 0.0
    for value, weight in weighted:
        reached += weight
        if reached >= need:
            return value
    return weighted[-1][0]


@lru_cache(maxsize=1)
def packaged_table() -> Mapping[str, Table]:
    """Errors of the published measurements that come with the package, by use."""
    with gzip.open(FILE, "rt", encoding="utf-8") as file:
        content: dict[str, Any] = json.load(file)
    return {use: _table(use, entry) for use, entry in content["uses"].items()}


def _table(use: str, entry: dict[str, Any]) -> Table:
    errors = (
        Errors(item["source"], tuple(item["stratum"]), item["rows"], tuple(item["errors"])) for item in entry["errors"]
    )
    return Table(use, tuple(errors), tuple((low, high) for low, high in entry["widening"]))
