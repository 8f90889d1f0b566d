"""Timelines as files of trace viewers."""

from __future__ import annotations

from .perfetto import save_trace

__all__ = ["save_trace"]
