"""The errors that speak for one situation: those of the nearest measurements, mixed with farther ones.

From the widest stratum (everything) to the narrowest, the distribution of a stratum with n sources replaces the share
n / (n + prior) of the mixture so far: few sources move it little, many take it over (shrinkage, as in Efron and
Morris, Stein's Estimation Rule and its Competitors, 1973). Within a stratum a source of n rows weighs as much as √n
single rows, because its rows share one cluster and one software.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import sqrt

from .errors import Errors
from .situation import BADGES, Rule

__all__ = ["Pool", "pooled"]

_SMALLEST = 1e-4  # no error is told to be less: the files hold so many digits


@dataclass(frozen=True)
class Pool:
    """A weighted distribution of errors.

    Attributes
    ----------
    sizes, reached
        Errors in ascending order, and the share of the weight up to each.
    badge
        How near the measurements are.
    stratum
        Coordinates of the narrowest stratum that has any.
    rows, sources
        How many that one has.
    """

    sizes: Sequence[float]
    reached: Sequence[float]
    badge: str
    stratum: tuple[str, ...]
    rows: int
    sources: int

    def size_at(self, share: float) -> float:
        """Smallest error that at least this share does not exceed."""
        at = bisect_left(self.reached, share * self.reached[-1] - 1e-12)
        return max(_SMALLEST, self.sizes[at])

    def share_below(self, size: float) -> float:
        """Share of errors that do not exceed a size."""
        at = bisect_right(self.sizes, size)
        return self.reached[at - 1] / self.reached[-1] if at else 0.0


def pooled(
    errors: Sequence[Errors], rule: Rule, coordinates: tuple[str, ...], without: Iterable[str] = ()
) -> Pool | None:
    """The errors for one situation, some sources left out; None where nothing is left."""
    apart = set(without)
    near = [at for at, e in enumerate(errors) if e.source not in apart]
    weights = [0.0] * len(errors)
    rows, sources = [], []
    for depth in range(len(coordinates) + 1):
        near = [at for at in near if errors[at].stratum[:depth] == coordinates[:depth]]
        rows.append(sum(errors[at].rows for at in near))
        sources.append(len({errors[at].source for at in near}))
        if near:
            share = sources[-1] / (sources[-1] + rule.prior) if depth else 1.0
            weights = [weight * (1 - share) for weight in weights]
            for at, weight in zip(near, _weights([errors[at] for at in near]), strict=True):
                weights[at] += share * weight
    if not rows[0]:
        return None
    nearest = max(depth for depth, found in enumerate(rows) if found)
    sizes, reached = _distribution(errors, weights)
    return Pool(sizes, reached, _badge(rule, sources), coordinates[:nearest], rows[nearest], sources[nearest])


def _weights(errors: Sequence[Errors]) -> list[float]:
    """Weight of each group of errors within one stratum; they sum to 1."""
    sizes: Counter[str] = Counter()
    for e in errors:
        sizes[e.source] += e.rows
    total = sum(sqrt(n) for n in sizes.values())
    return [e.rows / sqrt(sizes[e.source]) / total for e in errors]


def _distribution(errors: Sequence[Errors], weights: Sequence[float]) -> tuple[list[float], list[float]]:
    """Values in ascending order, and the share of the weight up to each."""
    used = [(e.values, weight / len(e.values)) for e, weight in zip(errors, weights, strict=True) if weight > 0]
    pairs = sorted((value, each) for values, each in used for value in values)
    return [value for value, _ in pairs], list(accumulate(each for _, each in pairs))


def _badge(rule: Rule, sources: Sequence[int]) -> str:
    """The best badge whose strata have enough sources."""
    for badge, needed in zip(BADGES, (rule.validated, rule.calibrated), strict=False):
        if all(sources[depth] >= least for depth, least in needed):
            return badge
    return BADGES[-1]
