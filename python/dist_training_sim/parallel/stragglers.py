"""`Stragglers`: how much slower some ranks compute than others, stated or drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from .. import _core
from .._convert import CoreSpec, to_core
from .._display import ShortRepr
from ..errors import Problems
from ..named_enum import NamedEnum

__all__ = ["StragglerKind", "Stragglers"]


class StragglerKind(NamedEnum):
    """Distribution of slowdown factors over ranks."""

    RANKS = "ranks"
    FRACTION = "fraction"
    UNIFORM = "uniform"
    NORMAL = "normal"
    LOGNORMAL = "lognormal"


@dataclass(frozen=True, kw_only=True, repr=False)
class Stragglers(ShortRepr):
    """Factors by which the kernels and host waits of a rank take longer; its collectives keep their own time.

    Every step draws anew. A draw depends on seed, step and rank alone, so it is the same on every platform.

    Attributes
    ----------
    kind
        `"ranks"`: stated ranks are slower; `"fraction"`: a share of the ranks, rounded to whole ones, is; `"uniform"`,
        `"normal"` (mean 1, cut at three sigma) and `"lognormal"` (median 1) draw a factor for each.
    ranks, factors
        Of kind ranks: who, and how much each.
    fraction, factor
        Of kind fraction: a share in [0, 1], and how much slower those are.
    low, high
        Of kind uniform.
    sigma
        Of kind normal (at most 0.33) and lognormal.
    group
        Neighbouring ranks that share a draw: 8 for nodes of 8 devices that are slow as a whole.
    seed
        Of the draws.

    Raises
    ------
    ConfigError
        Listing every value that is out of range.

    Examples
    --------
    >>> Stragglers.of_ranks({3: 1.5}).factor_of_ranks(4)
    [1.0, 1.0, 1.0, 1.5]
    >>> Stragglers.lognormal(0.1, seed=1).kind
    <StragglerKind.LOGNORMAL: 'lognormal'>
    """

    CORE: ClassVar[CoreSpec] = CoreSpec("StragglerSpec")

    kind: StragglerKind | str = StragglerKind.RANKS
    ranks: tuple[int, ...] = ()
    factors: tuple[float, ...] = ()
    fraction: float = 0.0
    factor: float = 1.0
    low: float = 1.0
    high: float = 1.0
    sigma: float = 0.0
    group: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", StragglerKind(self.kind))
        problems = Problems()
        object.__setattr__(self, "ranks", problems.listed("stragglers.ranks", self.ranks, "a list of ranks"))
        object.__setattr__(self, "factors", problems.listed("stragglers.factors", self.factors, "a list of numbers"))
        problems.count("stragglers.group", self.group)
        problems.count("stragglers.seed", self.seed, minimum=0, maximum=2**63 - 1)
        for name in ("fraction", "factor", "low", "high", "sigma"):
            problems.non_negative(f"stragglers.{name}", getattr(self, name))
        for rank in self.ranks:
            problems.count("stragglers.ranks", rank, minimum=0)
        for factor in self.factors:
            problems.positive("stragglers.factors", factor)
        problems.raise_if_any()
        _core.check_stragglers(to_core(self), 2**31 - 1)

    @classmethod
    def of_ranks(cls, factors: Mapping[int, float]) -> Stragglers:
        """Slow down stated ranks: `{rank: factor}`."""
        return cls(ranks=tuple(factors), factors=tuple(factors.values()))

    @classmethod
    def slow_fraction(cls, fraction: float, factor: float, *, group: int = 1, seed: int = 0) -> Stragglers:
        """Slow down a share of the ranks by one factor; which ones is drawn anew every step."""
        return cls(kind=StragglerKind.FRACTION, fraction=fraction, factor=factor, group=group, seed=seed)

    @classmethod
    def uniform(cls, low: float, high: float, *, group: int = 1, seed: int = 0) -> Stragglers:
        """Draw factors evenly between two bounds."""
        return cls(kind=StragglerKind.UNIFORM, low=low, high=high, group=group, seed=seed)

    @classmethod
    def normal(cls, sigma: float, *, group: int = 1, seed: int = 0) -> Stragglers:
        """Draw factors around 1 with a standard deviation of at most 0.33, cut at three of them."""
        return cls(kind=StragglerKind.NORMAL, sigma=sigma, group=group, seed=seed)

    @classmethod
    def lognormal(cls, sigma: float, *, group: int = 1, seed: int = 0) -> Stragglers:
        """Draw factors whose logarithm is normal around 0: the median rank is at full speed."""
        return cls(kind=StragglerKind.LOGNORMAL, sigma=sigma, group=group, seed=seed)

    def factor_of_ranks(self, ranks: int, step: int = 0) -> list[float]:
        """Return the factor of each rank of a job in one step.

        Raises
        ------
        ConfigError
            If a stated rank is not one of the job's.
        """
        spec = to_core(self)
        _core.check_stragglers(spec, ranks)
        return _core.slowdown_of(spec, ranks, step)
