"""The verbs that predict a training step: `simulate` for described jobs, `TrainingSimulator` for composed models."""

from __future__ import annotations

from .distribution import StepDistribution, step_distribution
from .simulate import simulate
from .training_simulator import IterationResult, RunResult, TrainingSimulator

__all__ = [
    "IterationResult",
    "RunResult",
    "StepDistribution",
    "TrainingSimulator",
    "simulate",
    "step_distribution",
]
