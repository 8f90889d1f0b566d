"""How a job is laid out over ranks."""

from __future__ import annotations

from .expert_load import Dispatcher, ExpertLoad, LoadKind
from .rank_grid import RankGrid
from .strategy import Recompute, Schedule, Strategy

__all__ = ["Dispatcher", "ExpertLoad", "LoadKind", "RankGrid", "Recompute", "Schedule", "Strategy"]
