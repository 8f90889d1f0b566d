"""Predict what a distributed deep-learning training job will do before anyone rents the cluster.

Two doors lead to one engine: `simulate(model, cluster, strategy)` for described jobs, and `TrainingSimulator` for
communication, compute and memory models put together by hand.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._core import __version__

if TYPE_CHECKING:
    from .collectives import Algorithm, CollectiveResult
    from .communication import CommunicationModel
    from .compute import ComputeModel, OpProfile
    from .device_types import DeviceType
    from .errors import ConfigError, DtsError, FormatError, InfeasibleError, MissingDataError
    from .events import Event
    from .frameworks import FrameworkProfile
    from .hardware import Cluster, Device, Link, Node, OtherNodes
    from .io.jobs import WrittenJob, read_job, write_job
    from .io.training_job import TrainingJob
    from .memory import MemoryModel, MemoryTier
    from .models import Block, LayerRun, Model, OpKind, ops
    from .network import FlowFabric, FlowNetwork, FlowResult, LinkChange
    from .op_table import OpTable, StepOp
    from .parallel import (
        Dispatcher,
        ExpertLoad,
        OffloadModule,
        OffloadTier,
        OffloadUpdate,
        RankGrid,
        Recompute,
        RecomputeMethod,
        RecomputeModule,
        Schedule,
        Stragglers,
        Strategy,
    )
    from .reporting import Report, report
    from .result import Result
    from .search import Evaluation, StrategySpace, StrategyTable, evaluate
    from .simulator.distribution import StepDistribution, step_distribution
    from .simulator.simulate import simulate
    from .simulator.training_simulator import IterationResult, RunResult, TrainingSimulator
    from .topology import CustomLink, Topology, TopologyLink
    from .validation.layout_sweeps import RankingReport, validate_ranking
    from .validation.results import ValidationReport
    from .validation.runner import validate
    from .verbs.calibrate import Calibration, calibrate_nccl
    from .verbs.check import CheckReport, check
    from .verbs.collective import CollectiveEstimate, collective, collective_sweep
    from .verbs.cost import cost
    from .verbs.cost_report import CostReport
    from .verbs.critical_path import PathPart
    from .verbs.explain import Cause, Explanation, Sensitivity, explain
    from .verbs.fit import FitReport, fit
    from .verbs.formulas import Formula
    from .verbs.group_span import GroupSpan, group_span
    from .verbs.hardware import hardware
    from .verbs.memory_timeline import StageMemory, memory_timeline
    from .verbs.models import models
    from .verbs.neighbours import KnobStep
    from .verbs.network import NetworkReport, network
    from .verbs.plan import PlanObjective, plan
    from .verbs.plan_report import PlanChange, PlannedLayout, PlanReport
    from .verbs.scale import ScalePoint, ScaleReport, scale
    from .verbs.sweep import sweep
    from .verbs.sweep_file import SweepResult
    from .verbs.sweep_space import SweepSpace
    from .verbs.what_if import WhatIfReport, WhatIfRow, what_if

# Loaded on first use: importing the package costs little more than importing NumPy.
_HOMES = {
    "collectives": ("Algorithm", "CollectiveResult"),
    "communication": ("CommunicationModel",),
    "compute": ("ComputeModel", "OpProfile"),
    "device_types": ("DeviceType",),
    "errors": ("ConfigError", "DtsError", "FormatError", "InfeasibleError", "MissingDataError"),
    "events": ("Event",),
    "frameworks": ("FrameworkProfile",),
    "hardware": ("Cluster", "Device", "Link", "Node", "OtherNodes"),
    "io": ("TrainingJob", "WrittenJob", "read_job", "write_job"),
    "memory": ("MemoryModel", "MemoryTier"),
    "models": ("Block", "LayerRun", "Model", "OpKind", "ops"),
    "network": ("FlowFabric", "FlowNetwork", "FlowResult", "LinkChange"),
    "op_table": ("OpTable", "StepOp"),
    "parallel": (
        *("Dispatcher", "ExpertLoad", "OffloadModule", "OffloadTier", "OffloadUpdate", "RankGrid", "Recompute"),
        *("RecomputeMethod", "RecomputeModule", "Schedule", "Stragglers", "Strategy"),
    ),
    "reporting": ("Report", "report"),
    "result": ("Result",),
    "search": ("Evaluation", "StrategySpace", "StrategyTable", "evaluate"),
    "simulator": (
        *("IterationResult", "RunResult", "StepDistribution", "TrainingSimulator", "simulate"),
        "step_distribution",
    ),
    "topology": ("CustomLink", "Topology", "TopologyLink"),
    "verbs": (
        *("Calibration", "CheckReport", "CollectiveEstimate", "CostReport", "FitReport", "GroupSpan", "NetworkReport"),
        *("StageMemory", "calibrate_nccl", "check", "collective", "collective_sweep", "cost", "fit", "group_span"),
        "memory_timeline",
        *("KnobStep", "PlanChange", "PlanObjective", "PlanReport", "PlannedLayout", "plan"),
        *("SweepResult", "SweepSpace", "sweep"),
        *("ScalePoint", "ScaleReport", "scale"),
        *("WhatIfReport", "WhatIfRow", "what_if"),
        *("Cause", "Explanation", "Formula", "PathPart", "Sensitivity", "explain"),
    ),
    "validation": ("RankingReport", "ValidationReport", "validate", "validate_ranking"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
_CALLABLE_PACKAGES = ("hardware", "models", "network")  # their calls are the verbs of that name

__all__ = [
    "Algorithm",
    "Block",
    "Calibration",
    "Cause",
    "CheckReport",
    "Cluster",
    "CollectiveEstimate",
    "CollectiveResult",
    "CommunicationModel",
    "ComputeModel",
    "ConfigError",
    "CostReport",
    "CustomLink",
    "Device",
    "DeviceType",
    "Dispatcher",
    "DtsError",
    "Evaluation",
    "Event",
    "ExpertLoad",
    "Explanation",
    "FitReport",
    "FlowFabric",
    "FlowNetwork",
    "FlowResult",
    "FormatError",
    "Formula",
    "FrameworkProfile",
    "GroupSpan",
    "InfeasibleError",
    "IterationResult",
    "KnobStep",
    "LayerRun",
    "Link",
    "LinkChange",
    "MemoryModel",
    "MemoryTier",
    "MissingDataError",
    "Model",
    "NetworkReport",
    "Node",
    "OffloadModule",
    "OffloadTier",
    "OffloadUpdate",
    "OpKind",
    "OpProfile",
    "OpTable",
    "OtherNodes",
    "PathPart",
    "PlanChange",
    "PlanObjective",
    "PlanReport",
    "PlannedLayout",
    "RankGrid",
    "RankingReport",
    "Recompute",
    "RecomputeMethod",
    "RecomputeModule",
    "Report",
    "Result",
    "RunResult",
    "ScalePoint",
    "ScaleReport",
    "Schedule",
    "Sensitivity",
    "StageMemory",
    "StepDistribution",
    "StepOp",
    "Stragglers",
    "Strategy",
    "StrategySpace",
    "StrategyTable",
    "SweepResult",
    "SweepSpace",
    "Topology",
    "TopologyLink",
    "TrainingJob",
    "TrainingSimulator",
    "ValidationReport",
    "WhatIfReport",
    "WhatIfRow",
    "WrittenJob",
    "__version__",
    "calibrate_nccl",
    "check",
    "collective",
    "collective_sweep",
    "cost",
    "evaluate",
    "explain",
    "fit",
    "group_span",
    "hardware",
    "memory_timeline",
    "models",
    "network",
    "ops",
    "plan",
    "read_job",
    "report",
    "scale",
    "simulate",
    "step_distribution",
    "sweep",
    "validate",
    "validate_ranking",
    "what_if",
    "write_job",
]


def __getattr__(name: str) -> Any:
    if name in _CALLABLE_PACKAGES:
        return import_module(f".{name}", __name__)
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
