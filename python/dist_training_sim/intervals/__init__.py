"""How far a prediction may be off: intervals from the errors of published measurements."""

from __future__ import annotations

from .interval import Comparison, Interval
from .lookup import compare, interval_of, interval_of_fit
from .of_step import interval_of_step, situation_of_step
from .situation import (
    Situation,
    collective_situation,
    kernel_situation,
    memory_situation,
    pair_situation,
    step_situation,
)

__all__ = [
    "Comparison",
    "Interval",
    "Situation",
    "collective_situation",
    "compare",
    "interval_of",
    "interval_of_fit",
    "interval_of_step",
    "kernel_situation",
    "memory_situation",
    "pair_situation",
    "situation_of_step",
    "step_situation",
]
