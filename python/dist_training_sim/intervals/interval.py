"""Intervals of predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Interval"]


@dataclass(frozen=True)
class Interval:
    """Where the truth should lie.

    Attributes
    ----------
    low50, high50, low90, high90
        Ends of the 50 % and the 90 % interval, in the unit of the prediction.
    badge
        `validated`: other sources measured such jobs; `calibrated`: near ones; `extrapolated`: neither.
    stratum
        The measured jobs that it rests on.
    rows, sources
        How many they are.
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
