"""Measured collectives beside the prices of the communication model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec

from .corpus import Row
from .results import RowResult, skipped

__all__ = ["predict_collective_rows"]

_HOME = "dist_training_sim.validation.collectives"


def predict_collective_rows(rows: Sequence[Row], labels: Mapping[str, str]) -> list[RowResult]:
    """Results of `collectives.predict_collectives(rows)`, a `RowResult` a row; a reason where that is not there."""
    if find_spec(_HOME) is None:
        return [skipped(row.id, "collectives", _measured_s(row), "not available in this build", labels) for row in rows]
    results: list[RowResult] = import_module(_HOME).predict_collectives(rows)
    return [replace(result, labels=labels) for result in results]


def _measured_s(row: Row) -> float | None:
    time_us = row.number("time_us")
    return time_us * 1e-6 if time_us and time_us > 0 else None
