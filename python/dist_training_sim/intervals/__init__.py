"""How far a prediction may be off: intervals from the errors of published measurements."""

from __future__ import annotations

from .interval import Interval
from .lookup import interval_of
from .of_step import interval_of_step, situation_of_step
from .situation import Situation, kernel_situation, memory_situation, step_situation

__all__ = [
    "Interval",
    "Situation",
    "interval_of",
    "interval_of_step",
    "kernel_situation",
    "memory_situation",
    "situation_of_step",
    "step_situation",
]
