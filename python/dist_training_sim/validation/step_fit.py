"""`fit_steps`: constants that kernels cannot tell, from whole steps: sustained clock, host cost, fixed cost of a step.

Kernel efficiencies come from kernel measurements (catalog/compute_constants.yaml). What a training step adds is
fitted here with priors, pooled over all runs of an accelerator or a framework, never per run: one factor on the
sustained clock of all devices and one for each device, and for each framework profile a factor on its host cost and its
step cost.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..catalog.fitted import Fitted
from ..errors import DtsError
from ..hardware import DTypeRate
from ..simulator import simulate
from .corpus import Row, read_rows
from .row_job import Job, job_of
from .solve import Array, Problem, Rows, solve, solve_linear

__all__ = ["LEAST_ROWS", "SourceErrors", "StepFit", "errors_by_source", "fit_steps"]

LEAST_ROWS = 10
"""Rows that a device or a profile needs for a constant of its own."""
_APART = {"layout_inconsistent", "degraded_fabric", "defect"}
_ALL = "all devices"


@dataclass(frozen=True)
class _Knob:
    """One fitted constant: a factor, by its natural logarithm."""

    group: str  # "sustained", "host" or "step"
    name: str  # device, or framework profile
    spread: float  # of the prior
    touches: Callable[[Job], bool]


@dataclass(frozen=True)
class StepFit:
    """Outcome of `fit_steps`.

    Attributes
    ----------
    fitted
        The constants, for catalog/fitted.yaml.
    rows
        Row ids; `sources` names the source of each.
    in_sample, left_out
        log(predicted / measured) of each row with all rows, and with constants fitted without the row's source.
    """

    fitted: Fitted
    rows: tuple[str, ...]
    sources: tuple[str, ...]
    in_sample: Array
    left_out: Array


def fit_steps(corpus: str | Path, progress: Callable[[str], None] = lambda _: None) -> StepFit:
    """Fit the constants of catalog/fitted.yaml to the measured steps of a corpus.

    Parameters
    ----------
    corpus
        File of measured runs (`read_rows`).
    progress
        Called with a line of text now and then.
    """
    rows, jobs, measured = _jobs(corpus)
    knobs = _knobs(jobs)
    present = Fitted.packaged()

    def residuals(x: Array, which: Rows) -> Array:
        return np.array([_residual(jobs[i], measured[i], knobs, x, present) for i in which])

    problem = Problem(
        residuals=residuals,
        touches=np.array([[knob.touches(job) for job in jobs] for knob in knobs]),
        weights=_weights([row.source for row in rows]),
        centre=np.zeros(len(knobs)),
        spread=np.array([knob.spread for knob in knobs]),
    )
    progress(f"{len(rows)} rows, {len(knobs)} constants")
    x, at, slopes = solve(problem)
    left_out = _leave_one_source_out(problem, x, at, slopes, [row.source for row in rows], residuals, progress)
    counts = problem.touches.sum(axis=1)
    return StepFit(
        _as_fitted(knobs, x, counts), tuple(row.id for row in rows), tuple(row.source for row in rows), at, left_out
    )


def _jobs(corpus: str | Path) -> tuple[list[Row], list[Job], list[float]]:
    rows, jobs, measured = [], [], []
    for row in read_rows(corpus):
        seconds = row.number("measured.step_time_s") or 0.0
        if row.problem or row.grade not in ("A", "B") or seconds <= 0 or _APART & set(row.words("flags")):
            continue
        try:
            job = job_of(row)
            _step_time_s(job)
        except DtsError:
            continue
        rows.append(row)
        jobs.append(job)
        measured.append(seconds)
    return rows, jobs, measured


def _knobs(jobs: Sequence[Job]) -> list[_Knob]:
    def enough(names: list[str]) -> list[str]:
        return sorted(name for name in set(names) if names.count(name) >= LEAST_ROWS)

    devices = enough([job.cluster.node.device.name for job in jobs])
    profiles = enough([job.profile.name for job in jobs])
    hosts = [p for p in profiles if any(j.profile.name == p and j.profile.host_forward_s_per_op > 0 for j in jobs)]
    knobs = [_Knob("sustained", _ALL, 0.15, lambda job: not job.cluster.node.device.systolic)]
    knobs += [_Knob("sustained", d, 0.06, lambda job, d=d: job.cluster.node.device.name == d) for d in devices]  # type: ignore[misc]
    knobs += [_Knob("host", p, 0.5, lambda job, p=p: job.profile.name == p) for p in hosts]  # type: ignore[misc]
    knobs += [_Knob("step", p, 0.5, lambda job, p=p: job.profile.name == p) for p in profiles]  # type: ignore[misc]
    return knobs


def _weights(sources: Sequence[str]) -> Array:
    """A source of n rows weighs n^0.7: large ones count, but do not drown the rest."""
    return np.array([sources.count(source) ** -0.3 for source in sources])


def _residual(job: Job, measured: float, knobs: Sequence[_Knob], x: Array, present: Fitted) -> float:
    factors = {"sustained": 1.0, "host": 1.0, "step": 1.0}
    for knob, value in zip(knobs, x, strict=True):
        if knob.touches(job):
            factors[knob.group] *= math.exp(value)
    device, profile = job.cluster.node.device, job.profile
    factors["sustained"] /= present.sustained_of(device.name, device.systolic)
    factors["host"] /= present.host_of(profile.name)
    factors["step"] /= present.step_of(profile.name)
    changed = profile.replace(
        host_forward_s_per_op=profile.host_forward_s_per_op * factors["host"],
        host_backward_s_per_op=profile.host_backward_s_per_op * factors["host"],
        step_cost_s=profile.step_cost_s * factors["step"],
    )
    rates = {dtype: _slower(rate, factors["sustained"]) for dtype, rate in device.rates.items()}
    cluster = job.cluster.replace(node=job.cluster.node.replace(device=device.replace(rates=rates)))
    return math.log(_step_time_s(replace(job, cluster=cluster, profile=changed)) / measured)


def _step_time_s(job: Job) -> float:
    return simulate(
        job.model, job.cluster, job.strategy, seq_len=job.seq_len, framework=job.profile, keep_events=False
    ).step_time_s


def _slower(rate: DTypeRate, factor: float) -> DTypeRate:
    share = rate.sustained_share if rate.sustained_share is not None else 0.85
    return DTypeRate(rate.peak_flops, rate.burst_share, min(1.0, share * factor))


def _leave_one_source_out(
    problem: Problem,
    x: Array,
    at: Array,
    slopes: Array,
    sources: Sequence[str],
    residuals: Callable[[Array, Rows], Array],
    progress: Callable[[str], None],
) -> Array:
    left_out = at.copy()
    for source in sorted(set(sources)):
        mine = np.array([name == source for name in sources])
        others = solve_linear(problem, x, at, slopes, np.flatnonzero(~mine))
        left_out[mine] = residuals(others, np.flatnonzero(mine))
        progress(f"without {source}: median |error| {np.median(np.abs(np.expm1(left_out[mine]))):.1%}")
    return left_out


def _as_fitted(knobs: Sequence[_Knob], x: Array, counts: Array) -> Fitted:
    groups: dict[str, dict[str, tuple[float, int]]] = {"sustained": {}, "host": {}, "step": {}}
    for knob, value, count in zip(knobs, x, counts, strict=True):
        groups[knob.group][knob.name] = (round(math.exp(value), 4), int(count))
    every = groups["sustained"].pop(_ALL)
    return Fitted(every, groups["sustained"], groups["host"], groups["step"])


@dataclass(frozen=True)
class SourceErrors:
    """Errors of one source: absolute median and p90, signed median; with all rows, and with the source left out."""

    source: str
    rows: int
    median: float
    p90: float
    bias: float
    left_out_median: float
    left_out_p90: float


def errors_by_source(fit: StepFit) -> list[SourceErrors]:
    """All rows first, then each source, largest first."""
    names = sorted(set(fit.sources), key=lambda name: (-fit.sources.count(name), name))
    everything = np.ones(len(fit.rows), dtype=bool)
    masks = [("all", everything)] + [(name, np.array([s == name for s in fit.sources])) for name in names]
    return [_errors_of(name, np.expm1(fit.in_sample[mask]), np.expm1(fit.left_out[mask])) for name, mask in masks]


def _errors_of(name: str, seen: Array, unseen: Array) -> SourceErrors:
    return SourceErrors(
        source=name,
        rows=len(seen),
        median=float(np.median(np.abs(seen))),
        p90=float(np.quantile(np.abs(seen), 0.9)),
        bias=float(np.median(seen)),
        left_out_median=float(np.median(np.abs(unseen))),
        left_out_p90=float(np.quantile(np.abs(unseen), 0.9)),
    )
