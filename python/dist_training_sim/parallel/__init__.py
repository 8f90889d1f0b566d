"""How a job is laid out over ranks."""

from __future__ import annotations

from .rank_grid import RankGrid
from .strategy import ContextComm, Fp8Recipe, Recompute, Schedule, Strategy

__all__ = ["ContextComm", "Fp8Recipe", "RankGrid", "Recompute", "Schedule", "Strategy"]
