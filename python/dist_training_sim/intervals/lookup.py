"""Interval of a prediction, and of a comparison of two, from the errors of the nearest measurements.

The ends are prediction · exp(± width): the width is a quantile of the errors (split conformal prediction: Vovk,
Gammerman, Shafer, Algorithmic Learning in a Random World, 2005) times a factor per badge that makes it hold for sources
left out (`validation.interval_table`). How often it does: docs/guide/accuracy.md.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from math import exp, log

from .errors import Factors, packaged_table
from .interval import Comparison, Interval
from .pool import Pool, pooled
from .situation import RULES, Situation, pair_situation

__all__ = ["chance_above_one", "compare", "interval_from", "interval_of", "interval_of_fit"]

_UNKNOWN = (1.0, 1.0)


def interval_of(situation: Situation, predicted: float, *, without: str = "") -> Interval | None:
    """Interval of a prediction, in its unit; None where nothing comparable was measured.

    Parameters
    ----------
    without
        Source to leave out: for its own rows, as if it were unknown.
    """
    pool = _packaged_pool(situation, without)
    return None if pool is None else interval_from(pool, packaged_table()[situation.use].factors, predicted)


def interval_from(pool: Pool, factors: Factors, predicted: float) -> Interval:
    """Interval of a prediction whose errors are distributed like a pool."""
    factor50, factor90 = factors.get(pool.badge, _UNKNOWN)
    wide50 = pool.size_at(0.5) * factor50
    wide90 = max(wide50, pool.size_at(0.9) * factor90)
    return Interval(
        predicted * exp(-wide50),
        predicted * exp(wide50),
        predicted * exp(-wide90),
        predicted * exp(wide90),
        badge=pool.badge,
        stratum=", ".join(pool.stratum) or "all",
        rows=pool.rows,
        sources=pool.sources,
    )


def interval_of_fit(
    situation: Situation, needed_bytes: float, limit_bytes: float, *, without: str = ""
) -> Interval | None:
    """Whether a job fits: its lower ends are of the upper ends of the memory it may need, and the other way round.

    Parameters
    ----------
    situation
        That of its peak of memory.
    needed_bytes, limit_bytes
        Predicted need, and what the device has for it.
    """
    need = interval_of(situation, needed_bytes, without=without)
    if need is None:
        return None
    return replace(
        need,
        low50=need.high50 <= limit_bytes,
        high50=need.low50 <= limit_bytes,
        low90=need.high90 <= limit_bytes,
        high90=need.low90 <= limit_bytes,
    )


def compare(one: Situation, one_s: float, other: Situation, other_s: float) -> Comparison | None:
    """How sure it is that a step of `one_s` is shorter than another of `other_s`; None where no pairs were measured.

    Errors of jobs that share device, model or layout share causes: pairs of runs of one source say how much remains of
    the difference.
    """
    situation = pair_situation(one, other)
    pool = _packaged_pool(situation, "")
    if pool is None:
        return None
    factors = packaged_table()[situation.use].factors
    speedup = other_s / one_s
    return Comparison(speedup, chance_above_one(pool, factors, speedup), interval_from(pool, factors, speedup))


def chance_above_one(pool: Pool, factors: Factors, ratio: float) -> float:
    """Chance that the measured ratio is above 1: errors lie evenly on both sides, by the larger factor."""
    half = pool.share_below(abs(log(ratio)) / max(factors.get(pool.badge, _UNKNOWN))) / 2
    return 0.5 + half if ratio > 1 else 0.5 - half if ratio < 1 else 0.5


@lru_cache(maxsize=4096)
def _packaged_pool(situation: Situation, without: str) -> Pool | None:
    table = packaged_table().get(situation.use)
    if table is None:
        return None
    return pooled(table.errors, RULES[situation.use], situation.coordinates, (without,) if without else ())
