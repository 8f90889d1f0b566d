"""A measured run beside its simulation: step time, and peak memory where the row gives one."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import DtsError
from ..intervals import Situation, interval_of, memory_situation, situation_of_step
from ..result import Result
from ..simulator import simulate
from ..verbs.memory_timeline import reserved_bytes
from .corpus import Row
from .results import RowResult, skipped
from .row_gaps import filled
from .row_job import Job, job_of

__all__ = ["predict_run", "reported_memory", "run_uses"]

_APART = {
    "layout_inconsistent": "the printed layout contradicts itself",
    "degraded_fabric": "degraded fabric: reported, not scored",
    "defect": "defective measurement: reported, not scored",
}
GIB = 2**30
_LAST_RANK = ("megatron-core-ci",)  # the golden values of Megatron's tests are those of the last rank, which logs
_FIRST_RANK = ("nanotron",)  # logs on the first one: its sweep's allocated bytes are those of the first stage
# sail-sg/zero-bubble-pipeline-parallelism, megatron/core/pipeline_parallel: max_memory_allocated() // 1000000
_DECIMAL = ("sail-sg",)


def run_uses(row: Row) -> tuple[str, ...]:
    """What a run can be compared for: memory only where a peak was measured."""
    return ("step_time", "memory") if row.text("use.memory") else ("step_time",)


def predict_run(row: Row, uses: tuple[str, ...], labels: Mapping[str, str]) -> list[RowResult]:
    """Compare one run by each of the uses; it is simulated once."""
    measured = {"step_time": row.number("measured.step_time_s"), "memory": _measured_bytes(row)}
    reasons = {use: _unusable(row, use, measured[use]) for use in uses}
    if all(reasons.values()):
        return [skipped(row.id, use, measured[use], reasons[use], labels) for use in uses]
    try:
        job = job_of(row if not reasons.get("step_time", "no step time asked for") else filled(row))
        result = simulate(
            job.model, job.cluster, job.strategy, seq_len=job.seq_len, framework=job.profile, keep_events=False
        )
    except DtsError as problem:
        return [skipped(row.id, use, measured[use], reasons[use] or str(problem), labels) for use in uses]
    return [
        skipped(row.id, use, measured[use], reasons[use], labels)
        if reasons[use]
        else _compared(row, use, job, result, measured[use] or 0.0, labels)
        for use in uses
    ]


def _compared(row: Row, use: str, job: Job, result: Result, measured: float, labels: Mapping[str, str]) -> RowResult:
    apart = next((_APART[flag] for flag in row.words("flags") if flag in _APART), "")
    breakdown: Mapping[str, float] = {}
    if use == "memory":
        predicted = reported_memory(job, result, row.text("measured.peak_mem_kind"))
        apart = apart if apart != _APART["degraded_fabric"] else ""  # the network has no part in what a rank holds
    else:
        predicted, breakdown = result.step_time_s, result.breakdown
        apart = apart or _apart_by_framework(job)
    situation = _situation(row, use, job)
    return RowResult(
        *(row.id, use, predicted, measured, predicted / measured - 1, not apart, apart, labels, breakdown),
        interval=interval_of(situation, predicted, without=labels["source"]),
        situation=situation,
    )


def _apart_by_framework(job: Job) -> str:
    """Why the step times of a kind of jobs are shown but not scored; empty for all others."""
    if job.profile.name == "megatron-core-ci":
        return "step time of a test suite on shared hosts: reported, not scored"
    if job.profile.name == "nanotron" and job.strategy.tp > job.cluster.node.devices:
        return "nanotron with tensor parallelism across nodes: reported, not scored"
    return ""


def _situation(row: Row, use: str, job: Job) -> Situation:
    if use == "step_time":
        return situation_of_step(job.model, job.cluster, job.strategy)
    axes = {axis: getattr(job.strategy, axis) for axis in ("tp", "pp", "cp")}
    return memory_situation(kind=row.text("model.kind"), framework=job.profile.name, **axes)


def reported_memory(job: Job, result: Result, kind: str) -> float:
    """Bytes that a framework reports as its peak: of the stage that needs most, or of the one that logs.

    Parameters
    ----------
    kind
        `allocated`; `device`: everything on the device; anything else: reserved by the allocator, which is replayed.
    """
    first, last = result.framework in _FIRST_RANK, result.framework in _LAST_RANK
    logs = slice(None, 1) if first else slice(-1, None) if last else slice(None)
    stages = result.memory[logs]
    if kind == "allocated":
        return max(use.allocated_bytes for use in stages)
    reserved = [use.reserved_bytes for use in stages]
    if job.profile.reserved_factor > 1:  # PyTorch's allocator; a compiler that plans memory reserves what it needs
        replayed = reserved_bytes(job.model, job.cluster, job.strategy, seq_len=job.seq_len, framework=job.profile)
        reserved = replayed[logs]
    return max(reserved) + (stages[0].outside_bytes if kind == "device" else 0.0)


def _measured_bytes(row: Row) -> float | None:
    """Bytes as stated; a figure in "GB" of unknown unit is read as GiB, which PyTorch's own reports print.

    Frameworks whose code prints 10^6 bytes are the exception.
    """
    exact = row.number("measured.peak_mem_bytes")
    if exact is not None:
        return exact
    printed = row.number("measured.peak_mem_gb")
    unit = 1e9 if any(name in row.text("software") for name in _DECIMAL) else GIB
    return printed * unit if printed is not None else None


def _unusable(row: Row, use: str, measured: float | None) -> str:
    """Why a row is not predicted at all; empty where it is."""
    if row.problem:
        return row.problem
    if use == "memory" and any(word.startswith("rl_") for word in row.words("features")):
        return "reinforcement learning: an inference engine runs in the same process"
    grade = row.text(f"use.{use}")
    if grade not in ("A", "B"):
        return f"{use.replace('_', ' ')} of grade {grade or 'none'}: layout, batch or shape not fully known"
    if not measured or measured <= 0:
        return f"no measured {use.replace('_', ' ')}"
    return ""
