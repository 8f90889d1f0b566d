"""Quantities of a rank over time, beside its events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["Counter", "LinksOverTime", "MemoryOverTime", "link_counters", "memory_counters"]

Counter = tuple[int, str, str, list[float], list[float]]  # rank, name, unit, seconds, values
_NETWORK, _MOST_LINKS = -1, 64


class MemoryOverTime(Protocol):
    """What a counter needs of `dts.memory_timeline`'s stages."""

    @property
    def stage(self) -> int:
        """Pipeline rank."""

    @property
    def time_s(self) -> npt.NDArray[np.float64]:
        """Moments of changes, ascending."""

    @property
    def bytes(self) -> npt.NDArray[np.float64]:
        """Allocated from then on: a row per moment, a column per category."""


def memory_counters(memory: Sequence[MemoryOverTime]) -> list[Counter]:
    """Allocated bytes of each pipeline rank."""
    return [
        (stage.stage, "allocated memory", "bytes", stage.time_s.tolist(), stage.bytes.sum(axis=1).tolist())
        for stage in memory
    ]


class LinksOverTime(Protocol):
    """What counters need of `Result.links`."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the directed links."""

    @property
    def edges_s(self) -> npt.NDArray[np.float64]:
        """Ends of the intervals."""

    @property
    def shares(self) -> npt.NDArray[np.float64]:
        """Share of the bandwidth taken, links x intervals."""


def link_counters(links: LinksOverTime | None) -> list[Counter]:
    """Use of the busiest links in percent, the busiest first."""
    if links is None:
        return []
    mean = links.shares @ np.diff(links.edges_s)
    busiest = [i for i in np.argsort(-mean, kind="stable")[:_MOST_LINKS].tolist() if mean[i] > 0]
    starts = links.edges_s[:-1].tolist()
    return [(_NETWORK, links.names[i], "percent", starts, (100 * links.shares[i]).tolist()) for i in busiest]
