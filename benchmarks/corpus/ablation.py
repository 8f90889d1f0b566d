"""Worth of each effect: switched off, how far do step times miss? Prints one line per effect.

    python benchmarks/corpus/ablation.py

Constants are not fitted anew: a line says what the model loses without the effect, not what a model without it could
reach. `refresh.py` puts the table on the accuracy page.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from dist_training_sim.catalog.fitted import Fitted
from dist_training_sim.hardware import DTypeRate
from dist_training_sim.simulator import simulate
from dist_training_sim.validation import Job, Row, job_of, packaged_corpus, read_rows
from dist_training_sim.validation.pool import available_cores, over_cores
from dist_training_sim.validation.row_gaps import filled
from dist_training_sim.validation.summary import percentile

_GEMMS = ("gemm", "gemm_fp8", "gemm_fp4")
_TOUCHED = 0.001  # share of the step time that counts as a change


@dataclass(frozen=True)
class Worth:
    """Errors with and without one effect, of all rows and of those that it changes."""

    effect: str
    rows: int
    median: float
    p90: float
    bias: float
    touched: int
    touched_with: float
    touched_without: float


def of_device(job: Job, **changes: Any) -> Job:
    """The job on a device with other constants."""
    node = job.cluster.node
    return replace(job, cluster=job.cluster.replace(node=node.replace(device=node.device.replace(**changes))))


def of_profile(job: Job, **changes: Any) -> Job:
    """The job under another profile."""
    return replace(job, profile=job.profile.replace(**changes))


def of_gemms(job: Job, **changes: float) -> Job:
    """The job with other constants of matmuls."""
    device = job.cluster.node.device
    return of_device(job, **{name: replace(getattr(device, name), **changes) for name in _GEMMS})


def burst_clock(job: Job) -> Job:
    """The clock of short measurements instead of that of a long step."""
    rates = job.cluster.node.device.rates
    return of_device(job, rates={t: DTypeRate(r.peak_flops, r.burst_share, 1.0) for t, r in rates.items()})


def unfitted(job: Job) -> Job:
    """The catalogue's constants without the factors fitted to whole steps."""
    fitted, device, profile = Fitted.packaged(), job.cluster.node.device, job.profile
    clock, host = fitted.sustained_of(device.name, device.systolic), fitted.host_of(profile.name)
    rates = {
        t: DTypeRate(r.peak_flops, r.burst_share, min(1.0, (r.sustained_share or 0.85) / clock))
        for t, r in device.rates.items()
    }
    costs = {name: getattr(profile, name) / host for name in ("host_forward_s_per_op", "host_backward_s_per_op")}
    step = profile.step_cost_s / fitted.step_of(profile.name)
    return of_profile(of_device(job, rates=rates), step_cost_s=step, **costs)


def datasheet_bandwidth(job: Job) -> Job:
    """Memory-bound kernels at the datasheet's bandwidth, without a floor."""
    efficiencies = {f"{kind}_efficiency": 1.0 for kind in ("stream", "norm", "gather", "optimizer")}
    return of_device(job, memory=replace(job.cluster.node.device.memory, kernel_floor_s=0.0, **efficiencies))


EFFECTS: dict[str, Callable[[Job], Job]] = {
    "factors fitted to whole steps": unfitted,
    "sustained clock": burst_clock,
    "host launch": partial(of_profile, host_forward_s_per_op=0.0, host_backward_s_per_op=0.0),
    "fixed cost of a step": partial(of_profile, step_cost_s=0.0),
    "waves and small tiles of matmuls": partial(
        of_gemms, wave_quantisation=0.0, small_tile_rate=1.0, tiny_tile_rate=1.0
    ),
    "short inner dimension of matmuls": partial(of_gemms, prologue_k=0.0),
    "bandwidth of memory-bound kernels": datasheet_bandwidth,
    "overlap of data-parallel collectives": lambda job: replace(
        job, strategy=job.strategy.replace(overlap_grad_reduce=False, overlap_param_gather=False)
    ),
    "overlap of tensor-parallel collectives": partial(of_profile, tp_overlap="none"),
    "compute slowed beside collectives": partial(of_profile, interference=False),
    "blocking pipeline transfers": partial(of_profile, p2p_blocking=False, p2p_blocking_interleaved=False),
}


def step_time_s(job: Job) -> float:
    """Predicted step time."""
    return simulate(
        job.model, job.cluster, job.strategy, seq_len=job.seq_len, framework=job.profile, keep_events=False
    ).step_time_s


def predicted(rows: Sequence[Row], effects: Sequence[str]) -> list[list[float]]:
    """Of each row the step time without each of the effects."""
    return [[step_time_s(EFFECTS[name](job)) for name in effects] for job in (job_of(filled(row)) for row in rows)]


def worths(results: Sequence[Any], progress: Callable[[int, int], None] | None = None) -> list[Worth]:
    """Worth of every effect, from the predictions of a validation that count."""
    kept = {row.id: row for row in results if row.use == "step_time" and row.included}
    rows = [row for row in read_rows(packaged_corpus(["step_time"])[0]) if row.id in kept]
    without = over_cores(partial(predicted, effects=list(EFFECTS)), rows, available_cores(), progress)
    whole = [kept[row.id] for row in rows]
    return [_worth(name, whole, [times[at] for times in without]) for at, name in enumerate(EFFECTS)]


def _worth(name: str, rows: Sequence[Any], times: Sequence[float]) -> Worth:
    both = list(zip(rows, times, strict=True))
    pairs = [(row.error, time / row.measured - 1, time / row.predicted - 1) for row, time in both]
    errors = [without for _, without, _ in pairs]
    touched = [(abs(full), abs(without)) for full, without, moved in pairs if abs(moved) > _TOUCHED]
    sizes = [abs(error) for error in errors]
    figures = statistics.median(sizes), percentile(sizes, 0.9), statistics.median(errors)
    return Worth(name, len(rows), *figures, len(touched), *(_median([pair[at] for pair in touched]) for at in (0, 1)))


def _median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else 0.0


def main() -> None:
    """Print the table."""
    from dist_training_sim.validation import validate

    results = validate(use="step_time", workers=None).rows
    print("without                                  median    p90   bias  touched  with  without")
    for w in worths(results):
        touched = f"{w.touched:8d} {w.touched_with:5.1%} {w.touched_without:8.1%}"
        print(f"{w.effect:40s} {w.median:6.1%} {w.p90:6.1%} {w.bias:+6.1%} {touched}")


if __name__ == "__main__":
    main()
