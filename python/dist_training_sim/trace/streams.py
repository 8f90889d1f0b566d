"""Streams of a rank, by their number in the column `stream`."""

from __future__ import annotations

__all__ = ["STREAM_NAMES"]

STREAM_NAMES = (
    *("compute", "data parallel", "send forward", "send backward", "replicas"),
    *("to host", "from host", "storage"),
)
