"""`fit_steps`: constants that kernels cannot tell, from whole steps: sustained clock, host cost, fixed cost of a step.

Kernel efficiencies come from kernel measurements (catalog/compute_constants.yaml). What a training step adds is
fitted here with priors, pooled over all runs of an accelerator or a framework, never per run: one factor on the
sustained clock of all devices and one for each device, for each framework profile a factor on its host cost and its
step cost, and one on the rate of an attention kernel that nobody measured alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..catalog.fitted import GROUPS, Fitted
from ..errors import DtsError
from .corpus import Row, read_rows
from .row_job import Job, job_of
from .solve import Array, Problem, Rows, slopes_at, solve, solve_linear
from .step_job import StepJob

__all__ = ["LEAST_ROWS", "SourceErrors", "StepFit", "check_steps", "errors_by_source", "fit_steps"]

LEAST_ROWS = 10
"""Rows that a device or a profile needs for a constant of its own."""
_APART = {"layout_inconsistent", "degraded_fabric", "defect"}
_ALL = "all devices"
_UNMEASURED = ("triton",)  # attention kernels whose rates in the catalogue are a ratio to another's


@dataclass(frozen=True)
class _Knob:
    """One fitted constant: a factor, by its natural logarithm."""

    group: str  # of `Fitted`
    name: str  # device, framework profile, or attention kernel and generation
    spread: float  # of the prior
    touches: Callable[[Job], bool]


@dataclass(frozen=True)
class StepFit:
    """Outcome of `fit_steps`; residuals are log(predicted / measured).

    Attributes
    ----------
    fitted
        The constants, for catalog/fitted.yaml.
    rows
        Row ids; `sources` names the source of each.
    in_sample
        Residual of each row with all rows.
    left_out, far
        With constants fitted without the row's source; without all devices of its generation.
    """

    fitted: Fitted
    rows: tuple[str, ...]
    sources: tuple[str, ...]
    in_sample: Array
    left_out: Array
    far: Array


@dataclass(frozen=True)
class _Runs:
    """Measured runs, and the problem of fitting constants to them."""

    sources: tuple[str, ...]
    names: tuple[str, ...]
    generations: tuple[str, ...]
    knobs: Sequence[_Knob]
    problem: Problem


def fit_steps(corpus: str | Path, progress: Callable[[str], None] = lambda _: None) -> StepFit:
    """Fit the constants of catalog/fitted.yaml to the measured steps of a corpus.

    Parameters
    ----------
    corpus
        File of measured runs (`read_rows`).
    progress
        Called with a line of text now and then.
    """
    runs = _runs(corpus)
    progress(f"{len(runs.names)} rows, {len(runs.knobs)} constants")
    return _outcome(runs, *solve(runs.problem), progress)


def check_steps(corpus: str | Path, progress: Callable[[str], None] = lambda _: None) -> StepFit:
    """As `fit_steps`, around the constants that the package holds: nothing is fitted but what is left out."""
    runs, present = _runs(corpus), Fitted.packaged()
    x = np.array([math.log(_present(knob, present)) for knob in runs.knobs])
    at = runs.problem.residuals(x, np.arange(len(runs.names)))
    return _outcome(runs, x, at, slopes_at(runs.problem, x, at), progress)


def _runs(corpus: str | Path) -> _Runs:
    rows, jobs, measured = _jobs(corpus)
    knobs, priced = _knobs(jobs), [StepJob(job) for job in jobs]

    def residuals(x: Array, which: Rows) -> Array:
        times = [priced[i].step_time_s(**_factors(jobs[i], knobs, x)) / measured[i] for i in which]
        return np.log(times)

    sources = tuple(row.source for row in rows)
    problem = Problem(
        residuals=residuals,
        touches=np.array([[_informs(job, knob) for job in jobs] for knob in knobs]),
        weights=_weights(sources),
        centre=np.zeros(len(knobs)),
        spread=np.array([knob.spread for knob in knobs]),
    )
    generations = tuple(job.cluster.node.device.generation for job in jobs)
    return _Runs(sources, tuple(row.id for row in rows), generations, knobs, problem)


def _outcome(runs: _Runs, x: Array, at: Array, slopes: Array, progress: Callable[[str], None]) -> StepFit:
    left_out = _leave_out(runs.problem, x, at, slopes, runs.sources, progress)
    far = _leave_out(runs.problem, x, at, slopes, runs.generations, progress)
    counts = runs.problem.touches.sum(axis=1)
    return StepFit(_as_fitted(runs.knobs, x, counts), runs.names, runs.sources, at, left_out, far)


def _present(knob: _Knob, present: Fitted) -> float:
    if knob.name == _ALL:
        return present.every_device[0]
    group: Mapping[str, tuple[float, int]] = getattr(present, knob.group)
    return group.get(knob.name, (1.0, 0))[0]


def _jobs(corpus: str | Path) -> tuple[list[Row], list[Job], list[float]]:
    rows, jobs, measured = [], [], []
    for row in read_rows(corpus):
        seconds = row.number("measured.step_time_s") or 0.0
        if row.problem or row.grade not in ("A", "B") or seconds <= 0 or _APART & set(row.words("flags")):
            continue
        try:
            job = job_of(row)
            StepJob(job).step_time_s()
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
    kernels = enough([name for job in jobs if (name := _unmeasured(job))])
    knobs += [_Knob("attention", k, 0.3, lambda job, k=k: _unmeasured(job) == k) for k in kernels]  # type: ignore[misc]
    return knobs


def _unmeasured(job: Job) -> str:
    kernel = job.profile.attention_kernel
    return f"{kernel}-{job.cluster.node.device.generation}" if kernel in _UNMEASURED else ""


def _weights(sources: Sequence[str]) -> Array:
    """A source of n rows weighs n^0.7: large ones count, but do not drown the rest."""
    return np.array([sources.count(source) ** -0.3 for source in sources])


def _informs(job: Job, knob: _Knob) -> bool:
    """Steps whose host waits for every kernel say nothing of a clock: the device cools between kernels."""
    return knob.touches(job) and not (knob.group == "sustained" and job.profile.launch_blocking)


def _factors(job: Job, knobs: Sequence[_Knob], x: Array) -> dict[str, float]:
    factors = dict.fromkeys(GROUPS, 1.0)
    for knob, value in zip(knobs, x, strict=True):
        if knob.touches(job):
            factors[knob.group] *= math.exp(value)
    return factors


def _leave_out(
    problem: Problem, x: Array, at: Array, slopes: Array, groups: Sequence[str], progress: Callable[[str], None]
) -> Array:
    """Residuals of each row with constants fitted without its group: the fit is linear around `x`, they are exact."""
    left_out = at.copy()
    for group in sorted(set(groups)):
        mine = np.array([name == group for name in groups])
        others = solve_linear(problem, x, at, slopes, np.flatnonzero(~mine))
        left_out[mine] = problem.residuals(others, np.flatnonzero(mine))
        progress(f"without {group}: median |error| {np.median(np.abs(np.expm1(left_out[mine]))):.1%}")
    return left_out


def _as_fitted(knobs: Sequence[_Knob], x: Array, counts: Array) -> Fitted:
    groups: dict[str, dict[str, tuple[float, int]]] = {name: {} for name in GROUPS}
    for knob, value, count in zip(knobs, x, counts, strict=True):
        groups[knob.group][knob.name] = (round(math.exp(value), 4), int(count))
    every = groups["sustained"].pop(_ALL)
    return Fitted(every, **groups)


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
