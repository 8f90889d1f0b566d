"""Quantities of a rank over time, beside its events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["Counter", "MemoryOverTime", "memory_counters"]

Counter = tuple[int, str, str, list[float], list[float]]  # rank, name, unit, seconds, values


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
