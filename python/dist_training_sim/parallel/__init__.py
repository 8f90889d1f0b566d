"""How a job is laid out over ranks."""

from __future__ import annotations

from .expert_load import Dispatcher, ExpertLoad, LoadKind
from .rank_grid import RankGrid
from .strategy import ContextComm, Fp8Recipe, GradDtype, Recompute, Schedule, Strategy

__all__ = [
    "ContextComm",
    "Dispatcher",
    "ExpertLoad",
    "Fp8Recipe",
    "GradDtype",
    "LoadKind",
    "RankGrid",
    "Recompute",
    "Schedule",
    "Strategy",
]
