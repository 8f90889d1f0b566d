"""A measured run beside its simulation: step time, and peak memory where the row gives one."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import DtsError
from ..result import Result
from ..simulator import simulate
from .corpus import Row
from .results import RowResult, skipped
from .row_job import job_of

__all__ = ["predict_run", "reported_memory", "run_uses"]

_APART = {
    "layout_inconsistent": "the printed layout contradicts itself",
    "degraded_fabric": "degraded fabric: reported, not scored",
    "defect": "defective measurement: reported, not scored",
}
GIB = 2**30
_LAST_RANK = ("megatron-core-ci",)  # the golden values of Megatron's tests are those of the last rank, which logs


def run_uses(row: Row) -> tuple[str, ...]:
    """What a run can be compared for: memory only where a peak was measured."""
    return ("step_time", "memory") if row.text("use.memory") else ("step_time",)


def predict_run(row: Row, uses: tuple[str, ...], labels: Mapping[str, str]) -> list[RowResult]:
    """Compare one run by each of the uses; it is simulated once."""
    measured = {"step_time": row.number("measured.step_time_s"), "memory": _measured_bytes(row)}
    reasons = {use: _unusable(row, use, measured[use]) for use in uses}
    outcome = _simulated(row) if not all(reasons.values()) else None
    return [
        skipped(row.id, use, measured[use], reasons[use] or str(outcome), labels)
        if reasons[use] or not isinstance(outcome, Result)
        else _compared(row, use, outcome, measured[use], labels)
        for use in uses
    ]


def _simulated(row: Row) -> Result | DtsError:
    try:
        job = job_of(row)
        return simulate(
            job.model, job.cluster, job.strategy, seq_len=job.seq_len, framework=job.profile, keep_events=False
        )
    except DtsError as problem:
        return problem


def _compared(row: Row, use: str, result: Result, measured: float | None, labels: Mapping[str, str]) -> RowResult:
    apart = next((_APART[flag] for flag in row.words("flags") if flag in _APART), "")
    if use == "memory":
        kind = row.text("measured.peak_mem_kind")
        predicted, breakdown = reported_memory(result, kind), {}
        apart = apart if apart != _APART["degraded_fabric"] else ""  # the network has no part in what a rank holds
    else:
        predicted, breakdown = result.step_time_s, result.breakdown
    error = predicted / measured - 1 if measured else None
    return RowResult(row.id, use, predicted, measured, error, not apart, apart, labels, breakdown)


def reported_memory(result: Result, kind: str) -> float:
    """Bytes that a framework reports as its peak: of the stage that needs most, or of the last one where that logs.

    Parameters
    ----------
    kind
        `allocated`; `device`: everything on the device; anything else: reserved by the allocator.
    """
    stages = result.memory[-1:] if result.framework in _LAST_RANK else result.memory
    if kind == "allocated":
        return max(use.allocated_bytes for use in stages)
    return max(use.reserved_bytes + (use.context_bytes if kind == "device" else 0.0) for use in stages)


def _measured_bytes(row: Row) -> float | None:
    """Bytes as stated; a figure in "GB" of unknown unit is read as GiB, which PyTorch's own reports print."""
    exact = row.number("measured.peak_mem_bytes")
    if exact is not None:
        return exact
    printed = row.number("measured.peak_mem_gb")
    return printed * GIB if printed is not None else None


def _unusable(row: Row, use: str, measured: float | None) -> str:
    """Why a row is not predicted at all; empty where it is."""
    if row.problem:
        return row.problem
    grade = row.text(f"use.{use}")
    if grade not in ("A", "B"):
        return f"{use.replace('_', ' ')} of grade {grade or 'none'}: layout, batch or shape not fully known"
    if not measured or measured <= 0:
        return f"no measured {use.replace('_', ' ')}"
    return ""
