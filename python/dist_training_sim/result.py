"""`Result`: what one simulated training step says."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _core
from ._display import facts_html, table_html
from .events import EventList
from .frameworks.profile import FrameworkProfile
from .units import format_bytes, format_seconds

if TYPE_CHECKING:
    from .hardware import Cluster
    from .intervals import Comparison, Interval, Situation
    from .models import Model
    from .network.step_links import StepLinks
    from .op_table import OpTable
    from .parallel import Strategy

__all__ = ["BREAKDOWN_LABELS", "MemoryUse", "Result", "breakdown_html"]

BREAKDOWN_LABELS = {
    "forward_s": "forward",
    "backward_s": "backward",
    "recompute_s": "recomputation",
    "optimizer_s": "optimizer",
    "exposed_tp_s": "exposed tensor-parallel",
    "exposed_cp_s": "exposed context-parallel",
    "exposed_ep_s": "exposed expert-parallel",
    "exposed_dp_s": "exposed data-parallel",
    "offload_s": "exposed offload copies",
    "pipeline_s": "pipeline bubble",
    "interference_s": "slowed by collectives beside",
    "contention_s": "slowed on shared links",
    "straggler_s": "waiting for slower ranks",
    "host_s": "host launch",
    "fixed_s": "fixed step cost",
}
COMMUNICATION_AXES = ("tp", "cp", "ep", "dp", "pp")
TIERS = ("host", "nvme", "remote")  # what is offloaded lies in one of them
_MEMORY = (
    "weights",
    "gradients",
    "optimizer",
    "activations",
    "temporaries",
    "gathered_parameters",
    "communication_buffers",
    "workspace",
)


_COMMUNICATORS = ("world", "tp", "cp", "dp", "ep", "expert_dp", "pp", "embedding")


@dataclass(frozen=True, repr=False)
class MemoryUse:
    """Bytes on one rank of a pipeline stage at its peak.

    Attributes
    ----------
    categories
        Bytes by category: weights, gradients, optimizer, activations, temporaries, gathered_parameters,
        communication_buffers, workspace.
    allocated_bytes
        Their sum: what the framework's allocator hands out.
    reserved_bytes
        What the allocator holds for it.
    reserved_by
        Where that comes from: `framework factor`, allocated bytes times the profile's measured `reserved_factor`. (A
        `dts.fit` report says `allocator replay`, which follows the step's allocations one by one.)
    context_bytes
        CUDA context, outside the allocator.
    communicator_bytes
        Buffers of the collective library beside it, by what they serve: `world`, `tp`, `cp`, `dp`, `ep`, `expert_dp`,
        `pp`, `embedding`; only those that the layout makes.
    user_buffer_bytes
        Buffers registered for matmuls that run beside their collectives, outside the allocator too.
    capacity_bytes
        Device memory.
    offloaded_bytes
        What lies in other tiers for this rank, by tier: `host`, `nvme`, `remote`; what is on its way through the host
        counts there.
    tier_capacity_bytes
        A device's share of each of them; None = unknown, and then not checked.
    update_bytes
        Allocated while the optimizer updates.
    failure_factor
        Reserved over allocated bytes at which half of a framework's jobs fail.
    """

    categories: dict[str, float]
    allocated_bytes: float
    reserved_bytes: float
    context_bytes: float
    capacity_bytes: float
    offloaded_bytes: dict[str, float] = field(default_factory=lambda: dict.fromkeys(TIERS, 0.0))
    tier_capacity_bytes: dict[str, float | None] = field(
        default_factory=lambda: dict[str, float | None].fromkeys(TIERS), compare=False
    )
    update_bytes: float = 0.0
    failure_factor: float = 1.0
    communicator_bytes: dict[str, float] = field(default_factory=dict)
    user_buffer_bytes: float = 0.0
    reserved_by: str = "framework factor"

    @property
    def outside_bytes(self) -> float:
        """What stands outside the allocator: context, communicators and user buffers."""
        return self.context_bytes + sum(self.communicator_bytes.values()) + self.user_buffer_bytes

    @property
    def used_bytes(self) -> float:
        """Reserved bytes and what stands outside the allocator: what the device shows."""
        return self.reserved_bytes + self.outside_bytes

    @property
    def oom_probability(self) -> float:
        """Chance that the job runs out of memory, 0 to 1.

        Half where allocated bytes times the framework's failure factor, and `outside_bytes`, fill the device; the
        spread around that is the nanotron sweep's (2,262 jobs on 80 GB): a logistic in the logarithm, 8.6 % wide.
        """
        needed = self.allocated_bytes * self.failure_factor
        return _core.out_of_memory_probability(needed, self.capacity_bytes - self.outside_bytes)

    @property
    def verdict(self) -> str:
        """`fits`, `at risk` or `does not fit`: less than 1 job in 4 fails, half and more do, or between."""
        return _core.fit_verdict(self.oom_probability)

    @property
    def fits(self) -> bool:
        """Whether it more likely fits than not, and what is offloaded stays within its tiers."""
        return self.oom_probability < 0.5 and not self.overfull_tiers

    @property
    def overfull_tiers(self) -> tuple[str, ...]:
        """Tiers in which more is offloaded than the device's share of them holds."""
        limits = self.tier_capacity_bytes
        return tuple(t for t, held in self.offloaded_bytes.items() if (limit := limits[t]) is not None and held > limit)

    @property
    def host_bytes(self) -> float:
        """What lies in the host's memory for this rank."""
        return self.offloaded_bytes["host"]

    def __repr__(self) -> str:
        used = f"{format_bytes(self.reserved_bytes)} reserved and {format_bytes(self.outside_bytes)} beside it"
        return f"<MemoryUse {used} of {format_bytes(self.capacity_bytes)}: {self.verdict}>"

    def _repr_html_(self) -> str:
        kept = {name.replace("_", " "): format_bytes(amount) for name, amount in self.categories.items() if amount > 0}
        return facts_html(repr(self).strip("<>"), kept)


@dataclass(frozen=True, repr=False)
class Result:
    """Prediction for one training step. Times in seconds, memory in bytes; shares of peak as fractions.

    Attributes
    ----------
    step_time_s
        One step: all micro-batches, gradient reduction, update, fixed costs.
    model, cluster, strategy, framework
        What was simulated, as text.
    profile
        The framework's facts that were applied.
    seq_len
        Tokens per sample.
    capacity_bytes
        Memory of a device, the smallest where they differ.
    stage_capacity_bytes
        The same for the devices of each pipeline stage; empty where it is the same for all.
    tier_capacity_bytes
        A device's share of host memory, NVMe drives and the remote tier; None where it is not known.
    ops
        Every op with its FLOPs, bytes and seconds (`Visualizer.plot_roofline(result)` draws them).
    """

    step_time_s: float
    model: str
    cluster: str
    strategy: Any
    framework: str
    seq_len: float
    capacity_bytes: float
    profile: FrameworkProfile
    _core_result: Any = field(repr=False)
    stage_capacity_bytes: tuple[float, ...] = ()
    tier_capacity_bytes: dict[str, float | None] = field(
        default_factory=lambda: dict[str, float | None].fromkeys(TIERS)
    )
    ops: OpTable | None = field(default=None, repr=False, compare=False)
    _described: tuple[Model, Cluster, Strategy] | None = field(default=None, repr=False, compare=False)

    @property
    def reserved_factor(self) -> float:
        """Reserved over allocated bytes: the framework's measured factor."""
        return self.profile.reserved_factor

    @cached_property
    def interval(self) -> Interval | None:
        """Where the step time lies with 50 and 90 % confidence, from the errors of the nearest measured runs.

        Computed when first asked for. None for models of the front door, which no measured run resembles.
        """
        from .intervals import interval_of

        return None if self._situation is None else interval_of(self._situation, self.step_time_s)

    def compared_to(self, other: Result) -> Comparison | None:
        """How sure it is that this step is shorter than another, from pairs of measured runs of one source.

        What two jobs share (device, model, layout) puts both predictions off in the same way, so their ratio is surer
        than either. None where either has no interval.

        Returns
        -------
        Comparison
            `speedup` (the other's step time over this one's), its `interval`, and `probability_faster`.
        """
        from .intervals import compare

        if self._situation is None or other._situation is None:
            return None
        return compare(self._situation, self.step_time_s, other._situation, other.step_time_s)

    @cached_property
    def _situation(self) -> Situation | None:
        from .intervals import situation_of_step

        return None if self._described is None else situation_of_step(*self._described)

    @property
    def framework_facts(self) -> dict[str, Any]:
        """The profile that was applied: `label`, whether it is `unvalidated`, every fact by name and its `sources`."""
        return self.profile.facts()

    @property
    def devices(self) -> int:
        """Number of devices."""
        return int(self._core_result.devices)

    @property
    def micro_batches(self) -> int:
        """Micro-batches per replica and step."""
        return int(self._core_result.micro_batches)

    @property
    def tokens_per_s(self) -> float:
        """Tokens trained per second on the whole cluster (samples for models without tokens)."""
        return float(self._core_result.tokens_per_step / self.step_time_s)

    @property
    def tokens_per_s_per_device(self) -> float:
        """Tokens trained per second and device."""
        return self.tokens_per_s / self.devices

    @property
    def samples_per_s(self) -> float:
        """Samples (sequences) trained per second on the whole cluster."""
        return float(self._core_result.samples_per_step / self.step_time_s)

    @property
    def mfu(self) -> float:
        """Model FLOPs utilisation: causal attention counted half, logits in, recomputation out."""
        return float(self._core_result.mfu)

    @property
    def mfu_full_attention(self) -> float:
        """Model FLOPs utilisation with the whole attention square counted."""
        return float(self._core_result.mfu_full)

    @property
    def hfu(self) -> float:
        """Hardware FLOPs utilisation: recomputation and replicated work counted."""
        return float(self._core_result.hfu)

    @property
    def model_tflops_per_device(self) -> float:
        """Achieved model TFLOP/s per device, causal attention counted half."""
        return self.mfu * float(self._core_result.peak_flops) / 1e12

    @cached_property
    def breakdown(self) -> dict[str, float]:
        """Seconds by cause, averaged over pipeline stages; they sum to `step_time_s`."""
        return _breakdown(self._core_result.mean)

    @property
    def even_step_time_s(self) -> float:
        """The same step with every rank at full speed; `step_time_s` unless there are stragglers."""
        return float(self._core_result.even_step_time_s)

    @property
    def uncontended_step_time_s(self) -> float:
        """The same step with every collective alone on its links; `step_time_s` unless links are shared."""
        return float(self._core_result.uncontended_step_time_s)

    @cached_property
    def links(self) -> StepLinks | None:
        """Bytes and use of every link over time; None unless simulated with `link_intervals` on a flow network."""
        from .network.step_links import step_links

        core = self._core_result
        if not core.links.names:
            return None
        return step_links(core.links, self.step_time_s - core.mean.fixed_s, self.devices)

    @property
    def rank_classes(self) -> int:
        """How many replicas were simulated: those that behave alike are one class."""
        return int(self._core_result.rank_classes)

    @cached_property
    def communication(self) -> dict[str, dict[str, float]]:
        """Seconds of collectives and transfers by axis, averaged over pipeline stages.

        Of every axis (tp, cp, ep, dp, pp): `total_s`; `overlapped_s`, beside which the rank computes; `exposed_s`, the
        rest. Of the first replica where replicas differ. A transfer counts where it arrives. An exposed collective need
        not prolong the step: the rank may wait for a slower stage at the same time, which `breakdown` counts as bubble.
        """
        axes = zip(COMMUNICATION_AXES, self._core_result.mean_communication, strict=True)
        return {axis: _overlap(time) for axis, time in axes}

    @cached_property
    def stage_communication(self) -> list[dict[str, dict[str, float]]]:
        """`communication` of each pipeline stage."""
        return [
            {axis: _overlap(time) for axis, time in zip(COMMUNICATION_AXES, stage, strict=True)}
            for stage in self._core_result.communication
        ]

    @cached_property
    def stage_breakdowns(self) -> list[dict[str, float]]:
        """Seconds by cause for each pipeline stage; each sums to `step_time_s`."""
        return [_breakdown(stage) for stage in self._core_result.stages]

    @cached_property
    def memory(self) -> list[MemoryUse]:
        """Peak memory of one rank of each pipeline stage."""
        reports = self._core_result.memory
        capacities = self.stage_capacity_bytes or (self.capacity_bytes,) * len(reports)
        return [self._memory_use(*stage) for stage in zip(reports, capacities, strict=True)]

    @property
    def peak_memory(self) -> MemoryUse:
        """Memory of the stage that fills its devices most."""
        return max(self.memory, key=lambda use: use.reserved_bytes / use.capacity_bytes)

    @property
    def fullest_stage(self) -> MemoryUse:
        """Memory of the stage that most likely runs out of it."""
        return max(self.memory, key=lambda use: use.oom_probability)

    @property
    def fits(self) -> bool:
        """Whether every stage fits into device memory."""
        return all(use.fits for use in self.memory)

    @cached_property
    def events(self) -> EventList:
        """Events of the step; devices are pipeline stages, or ranks when simulated with `expand=True`."""
        return EventList(self._core_result.event_columns(), sharded=self.strategy.zero > 0)

    def save_trace(self, path: str | os.PathLike[str], memory: Sequence[Any] = ()) -> Path:
        """Write the timeline for trace viewers.

        Parameters
        ----------
        path
            `.pftrace`: for Perfetto (https://ui.perfetto.dev). `.json.gz` or `.json`: for Chrome, as PyTorch's profiler
            writes. Without suffix: a new folder with such a file per rank, for Holistic Trace Analysis and TensorBoard.
            It appears whole or not at all.
        memory
            Stages of `dts.memory_timeline` of the same job: allocated bytes as counters. Use of the busiest links is
            there where the step was simulated with `link_intervals`.

        Raises
        ------
        ConfigError
            If the result has no events, the path has another suffix or no parent, or the folder holds something.
        """
        from .trace import TracedJob, save_trace

        shown = int(self.events.columns["rank"].max(initial=-1)) + 1
        folded = self.rank_classes == 1 and 1 < shown == self.strategy.pp < self.devices
        row = "pipeline stage" if folded else "rank"
        job = TracedJob(self.step_time_s, self.devices, self._device_name, self.capacity_bytes, row)
        return save_trace(self.events, path, memory, job, self.links)

    @property
    def cluster_title(self) -> str:
        """What outputs call the cluster: its name, or the nodes of each kind; `cluster` is the name."""
        return self.cluster if self._described is None else self._described[1].title

    @property
    def _device_name(self) -> str:
        return "device" if self._described is None else self._described[1].node.device.name

    def _memory_use(self, report: _core.MemoryReport, capacity_bytes: float) -> MemoryUse:
        allocated = report.allocated
        return MemoryUse(
            categories={name: float(getattr(report, name)) for name in _MEMORY},
            allocated_bytes=allocated,
            reserved_bytes=allocated * self.reserved_factor,
            context_bytes=report.context,
            communicator_bytes={n: held for n, held in zip(_COMMUNICATORS, report.communicators, strict=True) if held},
            user_buffer_bytes=report.user_buffers,
            capacity_bytes=capacity_bytes,
            offloaded_bytes=dict(zip(TIERS, report.tiers[1:], strict=True)),
            tier_capacity_bytes=self.tier_capacity_bytes,
            update_bytes=report.update,
            failure_factor=self.profile.failure_factor or self.profile.reserved_factor,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data of the result, as printed by `dts simulate --json`."""
        return {
            "model": self.model,
            "cluster": self.cluster,
            "framework": self.framework,
            "framework_facts": self.framework_facts,
            "strategy": strategy_dict(self.strategy),
            "seq_len": self.seq_len,
            "devices": self.devices,
            "micro_batches": self.micro_batches,
            "step_time_s": self.step_time_s,
            "interval": None if self.interval is None else self.interval.to_dict(),
            "even_step_time_s": self.even_step_time_s,
            "uncontended_step_time_s": self.uncontended_step_time_s,
            "tokens_per_s": self.tokens_per_s,
            "tokens_per_s_per_device": self.tokens_per_s_per_device,
            "samples_per_s": self.samples_per_s,
            "model_tflops_per_device": self.model_tflops_per_device,
            "mfu": self.mfu,
            "mfu_full_attention": self.mfu_full_attention,
            "hfu": self.hfu,
            "fits": self.fits,
            "breakdown": self.breakdown,
            "stages": self.stage_breakdowns,
            "communication": self.communication,
            "memory": self._memory_dict(),
        }

    def _memory_dict(self) -> dict[str, Any]:
        peak = self.peak_memory
        return {
            "allocated_bytes": peak.allocated_bytes,
            "reserved_bytes": peak.reserved_bytes,
            "reserved_by": peak.reserved_by,
            "context_bytes": peak.context_bytes,
            "communicator_bytes": peak.communicator_bytes,
            "user_buffer_bytes": peak.user_buffer_bytes,
            "capacity_bytes": peak.capacity_bytes,
            "offloaded_bytes": {t: max(use.offloaded_bytes[t] for use in self.memory) for t in TIERS},
            "tier_capacity_bytes": self.tier_capacity_bytes,
            "categories": peak.categories,
            "stages": [
                {"allocated_bytes": use.allocated_bytes, "reserved_bytes": use.reserved_bytes, "fits": use.fits}
                for use in self.memory
            ],
        }

    def __repr__(self) -> str:
        return (
            f"<Result {self.model} on {self.cluster}: step {format_seconds(self.step_time_s)}, "
            f"{self.tokens_per_s_per_device:,.0f} tokens/s/device, MFU {self.mfu:.1%}, "
            f"peak {format_bytes(self.peak_memory.reserved_bytes)}{'' if self.fits else ' (does not fit)'}>"
        )

    def _repr_html_(self) -> str:
        return breakdown_html(repr(self).strip("<>"), self.breakdown)


def breakdown_html(title: str, breakdown: Mapping[str, float]) -> str:
    """Parts of a step that take time, for notebooks."""
    step = sum(breakdown.values())
    used = {BREAKDOWN_LABELS[name]: value for name, value in breakdown.items() if value}
    rows = [(label, format_seconds(value), f"{value / step:.1%}") for label, value in used.items()]
    return table_html(title, ("cause", "time", "share"), rows)


def strategy_dict(strategy: Any) -> dict[str, Any]:
    """Plain values of a strategy, enums by name."""
    from dataclasses import asdict

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: plain(item) for name, item in value.items()}
        if isinstance(value, tuple):
            return tuple(plain(item) for item in value)
        return getattr(value, "value", value)

    return {name: plain(value) for name, value in asdict(strategy).items()}


def _overlap(time: _core.AxisTime) -> dict[str, float]:
    return {"total_s": time.total_s, "overlapped_s": time.total_s - time.exposed_s, "exposed_s": time.exposed_s}


def _breakdown(core: _core.Breakdown) -> dict[str, float]:
    return {name: float(getattr(core, name)) for name in BREAKDOWN_LABELS}
