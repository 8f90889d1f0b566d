"""What the command line does, as functions: each verb of `dts` is the function of the same name, with typed results."""

from __future__ import annotations

from ..simulator import simulate
from .calibrate import Calibration, CalibrationRow, calibrate_nccl
from .check import CheckReport, check
from .collective import CollectiveEstimate, CollectiveKind, collective, collective_sweep, kind_named
from .cost import cost
from .cost_report import CostReport, DeadlineOption
from .critical_path import PathPart
from .explain import Cause, Explanation, Sensitivity, explain
from .fit import FitReport, fit
from .formulas import Formula
from .group_span import GroupSpan, group_span
from .hardware import HardwareKind, HardwareList, hardware
from .inputs import cluster_of, gather, model_of
from .memory_timeline import HeldTensor, StageMemory, memory_timeline
from .models import ModelPart, ModelSummary, models
from .neighbours import KnobStep
from .network import LinkUse, NetworkReport, network
from .plan import PlanObjective, plan
from .plan_report import PlanChange, PlannedLayout, PlanReport, SearchCounts
from .scale import ScalePoint, ScaleReport, scale
from .sweep import sweep
from .sweep_file import SweepResult
from .sweep_space import SweepSpace
from .what_if import WhatIfReport, WhatIfRow, what_if

__all__ = [
    "Calibration",
    "CalibrationRow",
    "Cause",
    "CheckReport",
    "CollectiveEstimate",
    "CollectiveKind",
    "CostReport",
    "DeadlineOption",
    "Explanation",
    "FitReport",
    "Formula",
    "GroupSpan",
    "HardwareKind",
    "HardwareList",
    "HeldTensor",
    "KnobStep",
    "LinkUse",
    "ModelPart",
    "ModelSummary",
    "NetworkReport",
    "PathPart",
    "PlanChange",
    "PlanObjective",
    "PlanReport",
    "PlannedLayout",
    "ScalePoint",
    "ScaleReport",
    "SearchCounts",
    "Sensitivity",
    "StageMemory",
    "SweepResult",
    "SweepSpace",
    "WhatIfReport",
    "WhatIfRow",
    "calibrate_nccl",
    "check",
    "cluster_of",
    "collective",
    "collective_sweep",
    "cost",
    "explain",
    "fit",
    "gather",
    "group_span",
    "hardware",
    "kind_named",
    "memory_timeline",
    "model_of",
    "models",
    "network",
    "plan",
    "scale",
    "simulate",
    "sweep",
    "what_if",
]
