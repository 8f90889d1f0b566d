"""How a job is laid out over ranks."""

from __future__ import annotations

from .choices import (
    ContextComm,
    Fp8Recipe,
    GradDtype,
    OffloadModule,
    OffloadTier,
    OffloadUpdate,
    PipelineTransfers,
    Recompute,
    RecomputeMethod,
    RecomputeModule,
    Schedule,
)
from .expert_load import Dispatcher, ExpertLoad, LoadKind
from .rank_grid import RankGrid
from .stragglers import StragglerKind, Stragglers
from .strategy import Strategy

__all__ = [
    "ContextComm",
    "Dispatcher",
    "ExpertLoad",
    "Fp8Recipe",
    "GradDtype",
    "LoadKind",
    "OffloadModule",
    "OffloadTier",
    "OffloadUpdate",
    "PipelineTransfers",
    "RankGrid",
    "Recompute",
    "RecomputeMethod",
    "RecomputeModule",
    "Schedule",
    "StragglerKind",
    "Stragglers",
    "Strategy",
]
