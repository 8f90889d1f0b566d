"""The timeline of a step for Perfetto (https://ui.perfetto.dev)."""

from __future__ import annotations

from .. import _core
from ..events import EventList
from .counters import Counter
from .streams import STREAM_NAMES

__all__ = ["perfetto_bytes"]


def perfetto_bytes(events: EventList, counters: list[Counter], row: str = "rank") -> bytes:
    """A process per rank (called `row`), a thread per stream, flows along transfers, counters."""
    kinds, categories = events.kind_names
    return _core.perfetto_trace(events.columns, list(kinds), list(categories), list(STREAM_NAMES), row, counters)
