"""`Result`: what one simulated training step says."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from . import _core
from .events import EventList
from .units import format_bytes, format_seconds

__all__ = ["BREAKDOWN_LABELS", "MemoryUse", "Result"]

BREAKDOWN_LABELS = {
    "forward_s": "forward",
    "backward_s": "backward",
    "recompute_s": "recomputation",
    "optimizer_s": "optimizer",
    "exposed_tp_s": "exposed tensor-parallel",
    "exposed_cp_s": "exposed context-parallel",
    "exposed_ep_s": "exposed expert-parallel",
    "exposed_dp_s": "exposed data-parallel",
    "pipeline_s": "pipeline bubble",
    "host_s": "host launch",
    "fixed_s": "fixed step cost",
}
_SPREAD = 0.086
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


@dataclass(frozen=True)
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
        What the allocator holds for it: allocated times the framework's measured factor.
    context_bytes
        CUDA context and communicators, outside the allocator.
    capacity_bytes
        Device memory.
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
    update_bytes: float = 0.0
    failure_factor: float = 1.0

    @property
    def oom_probability(self) -> float:
        """Chance that the job runs out of memory, 0 to 1.

        Half where allocated bytes times the framework's failure factor, and the context, fill the device; the spread
        around that is the nanotron sweep's (2,262 jobs on 80 GB): a logistic in the logarithm, 8.6 % wide.
        """
        if self.allocated_bytes <= 0:
            return 0.0
        room = self.capacity_bytes - self.context_bytes
        if room <= 0:
            return 1.0
        x = math.log(self.allocated_bytes * self.failure_factor / room) / _SPREAD
        return 1.0 / (1.0 + math.exp(-x)) if x > -700 else 0.0

    @property
    def verdict(self) -> str:
        """`fits`, `at risk` or `does not fit`: less than 1 job in 4 fails, more than 3 in 4 do, or between."""
        chance = self.oom_probability
        return "fits" if chance < 0.25 else "does not fit" if chance > 0.75 else "at risk"

    @property
    def fits(self) -> bool:
        """Whether it more likely fits than not."""
        return self.oom_probability < 0.5


@dataclass(frozen=True, repr=False)
class Result:
    """Prediction for one training step. Times in seconds, memory in bytes; shares of peak as fractions.

    Attributes
    ----------
    step_time_s
        One step: all micro-batches, gradient reduction, update, fixed costs.
    model, cluster, strategy, framework
        What was simulated, as text.
    seq_len
        Tokens per sample.
    """

    step_time_s: float
    model: str
    cluster: str
    strategy: Any
    framework: str
    seq_len: float
    capacity_bytes: float
    reserved_factor: float
    failure_factor: float
    _core_result: Any = field(repr=False)

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

    @cached_property
    def stage_breakdowns(self) -> list[dict[str, float]]:
        """Seconds by cause for each pipeline stage; each sums to `step_time_s`."""
        return [_breakdown(stage) for stage in self._core_result.stages]

    @cached_property
    def memory(self) -> list[MemoryUse]:
        """Peak memory of one rank of each pipeline stage."""
        return [self._memory_use(report) for report in self._core_result.memory]

    @property
    def peak_memory(self) -> MemoryUse:
        """Memory of the stage that needs most."""
        return max(self.memory, key=lambda use: use.reserved_bytes)

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

    def _memory_use(self, report: _core.MemoryReport) -> MemoryUse:
        allocated = report.allocated
        return MemoryUse(
            categories={name: float(getattr(report, name)) for name in _MEMORY},
            allocated_bytes=allocated,
            reserved_bytes=allocated * self.reserved_factor,
            context_bytes=report.context,
            capacity_bytes=self.capacity_bytes,
            update_bytes=report.update,
            failure_factor=self.failure_factor,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data of the result, as printed by `dts simulate --json`."""
        peak = self.peak_memory
        return {
            "model": self.model,
            "cluster": self.cluster,
            "framework": self.framework,
            "strategy": strategy_dict(self.strategy),
            "seq_len": self.seq_len,
            "devices": self.devices,
            "micro_batches": self.micro_batches,
            "step_time_s": self.step_time_s,
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
            "memory": {
                "allocated_bytes": peak.allocated_bytes,
                "reserved_bytes": peak.reserved_bytes,
                "context_bytes": peak.context_bytes,
                "capacity_bytes": peak.capacity_bytes,
                "categories": peak.categories,
                "stages": [
                    {"allocated_bytes": use.allocated_bytes, "reserved_bytes": use.reserved_bytes, "fits": use.fits}
                    for use in self.memory
                ],
            },
        }

    def __repr__(self) -> str:
        return (
            f"<Result {self.model} on {self.cluster}: step {format_seconds(self.step_time_s)}, "
            f"{self.tokens_per_s_per_device:,.0f} tokens/s/device, MFU {self.mfu:.1%}, "
            f"peak {format_bytes(self.peak_memory.reserved_bytes)}{'' if self.fits else ' (does not fit)'}>"
        )


def strategy_dict(strategy: Any) -> dict[str, Any]:
    """Plain values of a strategy, enums by name."""
    from dataclasses import asdict

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: plain(item) for name, item in value.items()}
        return getattr(value, "value", value)

    return {name: plain(value) for name, value in asdict(strategy).items()}


def _breakdown(core: _core.Breakdown) -> dict[str, float]:
    return {name: float(getattr(core, name)) for name in BREAKDOWN_LABELS}
