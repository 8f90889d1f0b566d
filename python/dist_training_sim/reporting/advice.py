"""What would help: single changes of the layout, each simulated, and what each resource of the hardware is worth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import DtsError
from ..frameworks import FrameworkProfile
from ..hardware import Cluster
from ..models import Model
from ..parallel import Recompute, Strategy
from ..parallel.strategy import Precision
from ..result import Result
from ..simulator import simulate

__all__ = ["Advice", "Job", "faster_changes", "hardware_effects"]

_WORTH = 0.005  # smaller gains are not advice
_MOST = 6
_STEP = 0.1  # of a resource


@dataclass(frozen=True)
class Job:
    """Arguments of `simulate`, but for the strategy and the cluster that advice varies."""

    model: Model
    cluster: Cluster
    seq_len: int | None
    framework: FrameworkProfile

    def run(self, strategy: Strategy, cluster: Cluster | None = None) -> Result | None:
        """The changed job without its events; None where the change is not legal."""
        try:
            return simulate(self.model, cluster or self.cluster, strategy, seq_len=self.seq_len,
                            framework=self.framework, keep_events=False)  # fmt: skip
        except DtsError:
            return None


@dataclass(frozen=True)
class Advice:
    """One change, with what a simulation of it says.

    Attributes
    ----------
    change
        In words.
    strategy
        The fields of `Strategy` that differ.
    step_time_s, gain
        Predicted step, and the share of the step that the change saves.
    reserved_bytes
        On the fullest stage.
    """

    change: str
    strategy: dict[str, Any]
    step_time_s: float
    gain: float
    reserved_bytes: float


def faster_changes(job: Job, result: Result) -> tuple[Advice, ...]:
    """Single changes that fit and make the step at least half a per cent shorter, best first."""
    found = []
    for words, fields in _changes(result.strategy):
        try:
            changed = result.strategy.replace(**fields)
        except DtsError:
            continue
        other = job.run(changed)
        if other is not None and other.fits and other.step_time_s < (1 - _WORTH) * result.step_time_s:
            gain = 1 - other.step_time_s / result.step_time_s
            found.append(Advice(words, dict(fields), other.step_time_s, gain, other.peak_memory.reserved_bytes))
    return tuple(sorted(found, key=lambda advice: advice.step_time_s)[:_MOST])


def _changes(s: Strategy) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Changes that may save time; the samples of a step stay the same."""
    yield from _degrees(s)
    for batch in {s.micro_batch * 2, max(s.micro_batch // 2, 1)} - {s.micro_batch}:
        yield f"micro-batch {s.micro_batch} -> {batch}", {"micro_batch": batch}
    order = (Recompute.NONE, Recompute.SELECTIVE, Recompute.FULL)
    recompute, precision = Recompute(s.recompute), Precision(s.precision)
    for less in order[: order.index(recompute)]:
        yield f"recompute {recompute.value} -> {less.value}", {"recompute": less}
    for stage in range(4):
        if stage != s.zero:
            yield f"zero {s.zero} -> {stage}", {"zero": stage}
    if s.pp > 1:
        yield f"vpp {s.vpp} -> {2 * s.vpp}", {"vpp": 2 * s.vpp}
    if s.pp > 1 and s.vpp == 1:
        yield "schedule zb_h1", {"schedule": "zb_h1"}
    if not s.overlap_grad_reduce:
        yield "gradients reduced during backward", {"overlap_grad_reduce": True}
    if not s.overlap_param_gather:
        yield "parameters gathered during forward", {"overlap_param_gather": True}
    if precision.value in ("bf16", "fp16"):
        yield "matmuls in fp8 (changes numerics)", {"precision": "fp8"}


def _degrees(s: Strategy) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """One axis halved or doubled against data parallelism."""
    dp = s.dp or 1
    for axis in ("tp", "pp", "cp"):
        before = getattr(s, axis)
        fresh: dict[str, Any] = {"etp": None, "sequence_parallel": None} if axis == "tp" else {}
        fresh |= {"layers_per_stage": (), "vpp": 1} if axis == "pp" else {}
        if before % 2 == 0:
            yield f"{axis} {before} -> {before // 2}", {axis: before // 2, "dp": 2 * dp, **fresh}
        if dp % 2 == 0:
            yield f"{axis} {before} -> {2 * before}", {axis: 2 * before, "dp": dp // 2, **fresh}


def hardware_effects(job: Job, result: Result) -> dict[str, tuple[float, float]]:
    """Step time with each resource of the node 10 % slower and 10 % faster, in that order."""
    effects = {}
    for name, scaled in _resources(job.cluster, Precision(result.strategy.precision).value).items():
        ends = [job.run(result.strategy, scaled(1 + sign * _STEP)) for sign in (-1, 1)]
        if ends[0] is not None and ends[1] is not None:
            effects[f"{name} ± 10 %"] = (ends[0].step_time_s, ends[1].step_time_s)
    return effects


def _resources(cluster: Cluster, precision: str) -> dict[str, Callable[[float], Cluster]]:
    """Name of each resource that the cluster states, and the cluster with it scaled."""
    node, device = cluster.node, cluster.node.device
    dtype = "bf16" if precision in ("tf32", "int8", "fp4") else precision
    peak = device.peak(dtype)

    def with_node(**changes: Any) -> Cluster:
        return cluster.replace(node=node.replace(**changes), name=cluster.name)

    found: dict[str, Callable[[float], Cluster]] = {}
    if peak:
        found[f"{dtype} matmul rate"] = lambda f: with_node(device=device.with_peak(dtype, f * peak))
    if node.scale_up.device_Bps:
        links = node.scale_up.device_Bps
        found["scale-up links"] = lambda f: with_node(scale_up=node.scale_up.replace(device_Bps=f * links))
    if device.hbm_Bps:
        rate = device.hbm_Bps
        found["memory bandwidth"] = lambda f: with_node(device=device.replace(hbm_Bps=f * rate))
    if node.nic_Bps and cluster.nodes > 1:
        nic = node.nic_Bps
        found["network cards"] = lambda f: with_node(nic_Bps=f * nic)
    return found
