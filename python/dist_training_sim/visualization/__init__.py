"""Figures of a simulated job: timeline, traffic, scaling, breakdown, memory. matplotlib is imported on first use."""

from __future__ import annotations

from .visualizer import Visualizer

__all__ = ["Visualizer"]
