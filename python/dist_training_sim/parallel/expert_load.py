"""`ExpertLoad`: how many rows each expert of a mixture gets; `Dispatcher`: how tokens reach them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from .._convert import CoreSpec
from .._display import ShortRepr
from ..errors import Problems
from ..named_enum import NamedEnum

__all__ = ["BALANCED", "UNIFORM", "Dispatcher", "ExpertLoad", "LoadKind"]


class Dispatcher(NamedEnum):
    """How tokens reach the experts of other ranks."""

    FRAMEWORK = "framework"
    """As the framework's profile says."""
    ALLTOALL = "alltoall"
    """Every routed row, one copy per expert."""
    ALLGATHER = "allgather"
    """Every token to every rank of the group, which picks its own."""
    DEEPEP = "deepep"
    """One copy per node over the NIC, then one per rank over the scale-up links (DeepEP, HybridEP)."""


class LoadKind(NamedEnum):
    """Distribution of rows over experts."""

    BALANCED = "balanced"
    UNIFORM = "uniform"
    ZIPF = "zipf"
    POWER_LAW = "power_law"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, kw_only=True, repr=False)
class ExpertLoad(ShortRepr):
    """Rows per expert; the rank with the busiest experts ends the layer.

    Attributes
    ----------
    kind
        `"balanced"`; `"uniform"`: tokens choose at random, as when a router is forced to balance; `"zipf"`: the i-th
        busiest expert gets i^-exponent; `"power_law"`: quantiles of x^-exponent on [1, 0.8 tokens]; `"histogram"`.
    exponent
        Of Zipf and power law, >= 0. A power law is most uneven near 1.75: above, its large values grow rare.
    histogram
        Measured rows per expert, in the order in which experts lie on the ranks.
    seed
        Which experts of a Zipf or power-law load are the busy ones, >= 0.

    Raises
    ------
    ConfigError
        Listing every value that is out of range.

    Examples
    --------
    >>> ExpertLoad(kind="zipf", exponent=0.5).kind
    <LoadKind.ZIPF: 'zipf'>
    >>> ExpertLoad.of([4, 2, 1, 1]).kind
    <LoadKind.HISTOGRAM: 'histogram'>
    """

    CORE: ClassVar[CoreSpec] = CoreSpec("ExpertLoad")

    kind: LoadKind | str = LoadKind.BALANCED
    exponent: float = 1.0
    histogram: tuple[float, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", LoadKind(self.kind))
        object.__setattr__(self, "histogram", tuple(self.histogram))
        problems = Problems()
        problems.non_negative("expert_load.exponent", self.exponent)
        problems.count("expert_load.seed", self.seed, minimum=0, maximum=2**31 - 1)
        for i, rows in enumerate(self.histogram):
            problems.non_negative(f"expert_load.histogram[{i}]", rows)
        if (self.kind is LoadKind.HISTOGRAM) != bool(self.histogram):
            problems.add("expert_load.histogram", self.histogram, "rows per expert with kind histogram, else nothing")
        problems.raise_if_any()

    @classmethod
    def of(cls, load: ExpertLoad | Mapping[str, Any] | LoadKind | str | Sequence[float]) -> ExpertLoad:
        """Return a load given as itself, as its fields, by its kind, or as rows per expert."""
        if isinstance(load, ExpertLoad):
            return load
        if isinstance(load, Mapping):
            problems = Problems()
            for name in set(load) - {f.name for f in fields(cls)}:
                problems.add("strategy.expert_load", name, f"one of {', '.join(f.name for f in fields(cls))}")
            problems.raise_if_any()
            return cls(**load)
        if isinstance(load, (LoadKind, str)):
            return cls(kind=load)
        problems = Problems()
        rows = problems.listed("strategy.expert_load", load, "an ExpertLoad, its kind or rows per expert")
        problems.raise_if_any()
        return cls(kind=LoadKind.HISTOGRAM, histogram=rows)


BALANCED = ExpertLoad()
"""Every expert alike."""
UNIFORM = ExpertLoad(kind=LoadKind.UNIFORM)
"""Tokens choose at random."""
