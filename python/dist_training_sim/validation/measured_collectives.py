"""Measured collectives beside the prices of the communication model, in the form of every other use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from .collectives import predict_row
from .corpus import Row
from .results import RowResult

__all__ = ["predict_collective_rows"]


def predict_collective_rows(rows: Sequence[Row], labels: Mapping[str, str]) -> list[RowResult]:
    """A result a row; `labels` are those of the rows, and the fabric a row was mapped to is its profile."""
    results = [predict_row(row) for row in rows]
    return [replace(result, labels={**labels, "profile": result.labels["profile"]}) for result in results]
