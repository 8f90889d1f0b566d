"""How often the plan that was said to be faster is the faster one, sources left out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

from ..intervals import pair_situation
from ..intervals.errors import Factors
from ..intervals.lookup import chance_above_one
from ..intervals.pool import Pool, pooled
from ..intervals.situation import RULES
from .interval_errors import unit_of
from .interval_table import Measured, factors_of, table_of
from .results import RowResult
from .step_fit import StepFit

__all__ = ["Ranking", "rankings"]

_BINS = (0.5, 0.6, 0.75, 0.9, 0.97, 1.0)


@dataclass(frozen=True)
class Ranking:
    """Pairs of plans whose order was told with a chance between two bounds.

    Attributes
    ----------
    least, most
        Bounds of the chance.
    pairs
        Pairs of runs of one source with the same model and device.
    told, right
        Mean chance told; share of the pairs that were measured in the order told.
    """

    least: float
    most: float
    pairs: int
    told: float
    right: float


def rankings(rows: Iterable[RowResult], steps: StepFit, measured: Measured) -> list[Ranking]:
    """Chances told and orders measured, by bins of the chance.

    Parameters
    ----------
    measured
        Errors of comparisons (`measured_errors`).
    """
    told = list(_told(list(rows), steps, measured))
    bins = [(least, most, [t for t in told if least <= t[0] < most or t[0] == most == 1]) for least, most in _bounds()]
    return [
        Ranking(least, most, len(found), sum(t[0] for t in found) / len(found), sum(t[1] for t in found) / len(found))
        for least, most, found in bins
        if found
    ]


def _bounds() -> list[tuple[float, float]]:
    return list(pairwise(_BINS))


def _told(rows: Sequence[RowResult], steps: StepFit, measured: Measured) -> Iterator[tuple[float, bool]]:
    """Of each pair the chance told for the plan that is said to be faster, and whether it is."""
    errors = dict(zip(steps.rows, map(float, steps.left_out), strict=True))
    kept = table_of(measured).errors
    for source in measured.sources:
        runs = [r for r in rows if r.use == "step_time" and r.included and r.id in errors and unit_of(r) == source]
        factors = factors_of(measured, kept, source)
        pools: dict[tuple[str, ...], Pool | None] = {}
        for one, other in combinations(runs, 2):
            if one.situation and other.situation:
                pair = pair_situation(one.situation, other.situation)
                at = pair.coordinates
                if at not in pools:
                    pools[at] = pooled(kept, RULES[pair.use], at, (source,))
                if at[:2] == ("same device", "same model"):
                    yield from _one(one, other, errors, pools[at], factors)


def _one(
    one: RowResult, other: RowResult, errors: dict[str, float], pool: Pool | None, factors: Factors
) -> Iterator[tuple[float, bool]]:
    measured = math.log(float(other.measured or 1) / float(one.measured or 1))
    predicted = measured + errors[other.id] - errors[one.id]
    if pool and measured and predicted:
        yield chance_above_one(pool, factors, math.exp(abs(predicted))), measured * predicted > 0
