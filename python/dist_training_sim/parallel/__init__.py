"""How a job is laid out over ranks."""

from __future__ import annotations

from .rank_grid import RankGrid
from .strategy import Recompute, Schedule, Strategy

__all__ = ["RankGrid", "Recompute", "Schedule", "Strategy"]
