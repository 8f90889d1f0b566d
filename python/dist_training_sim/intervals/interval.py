"""Intervals of predictions, and how sure a comparison of two is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Comparison", "Interval"]


@dataclass(frozen=True)
class Interval:
    """Where the truth should lie.

    Attributes
    ----------
    low50, high50, low90, high90
        Ends of the 50 % and the 90 % interval, in the unit of the prediction. Whether a job fits has no middle: its
        ends are False and True, and (True, True) says that it fits.
    badge
        `validated`: several others measured such jobs; `calibrated`: some measured near ones; `extrapolated`: nobody.
    stratum
        The nearest measured jobs; farther ones count as well, the less the more sources the near ones have.
    rows, sources
        How many rows the stratum has, and of how many sources.
    """

    low50: float
    high50: float
    low90: float
    high90: float
    badge: str
    stratum: str
    rows: int
    sources: int

    def covers(self, value: float, share: int = 90) -> bool:
        """Whether a value lies within the interval of 50 or 90 %."""
        low, high = (self.low90, self.high90) if share == 90 else (self.low50, self.high50)
        return low <= value <= high

    def to_dict(self) -> dict[str, Any]:
        """Plain data: the two intervals as pairs."""
        rest = {name: getattr(self, name) for name in ("badge", "stratum", "rows", "sources")}
        return {"p50": [self.low50, self.high50], "p90": [self.low90, self.high90], **rest}

    def __repr__(self) -> str:
        runs = f"{self.rows} runs of {self.sources} sources"
        return f"<Interval 90 %: {self.low90:.4g} to {self.high90:.4g}, {self.badge} by {runs}>"


@dataclass(frozen=True)
class Comparison:
    """How one plan stands to another.

    Attributes
    ----------
    speedup
        Predicted step time of the other over that of the plan: above 1 the plan is the faster one.
    probability_faster
        Chance that the plan is faster when both are measured.
    interval
        Where the measured speedup should lie.
    """

    speedup: float
    probability_faster: float
    interval: Interval

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "speedup": self.speedup,
            "probability_faster": self.probability_faster,
            "interval": self.interval.to_dict(),
        }
