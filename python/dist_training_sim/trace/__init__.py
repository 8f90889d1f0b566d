"""Timelines as files of trace viewers."""

from __future__ import annotations

from .kineto import TracedJob
from .save import save_trace

__all__ = ["TracedJob", "save_trace"]
