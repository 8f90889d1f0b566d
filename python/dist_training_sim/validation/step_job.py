"""A measured job as core structs, to be priced again and again with other constants."""

from __future__ import annotations

from .. import _core
from ..catalog.fitted import Fitted
from ..simulator.job import described_job
from .row_job import Job

__all__ = ["StepJob"]


class StepJob:
    """One job; only what the fit changes is written anew for each price."""

    def __init__(self, job: Job) -> None:
        device, present = job.cluster.node.device, Fitted.packaged()
        # Core structs belong to their description, and entries of the catalogue are shared: these are the job's own.
        profile = job.profile.replace(step_cost_s=job.profile.step_cost_s)
        cluster = job.cluster.replace(node=job.cluster.node.replace(device=device.replace(rates=device.rates)))
        described = described_job(job.model, cluster, job.strategy, job.seq_len, profile, None, None)
        self._arguments = described.core_arguments()
        self._device, self._profile = self._arguments["device"], self._arguments["profile"]
        clock = present.sustained_of(device.name, device.systolic)
        self._rates = [(r.peak_flops, r.burst_share, r.sustained_share / clock) for r in self._device.rates]
        self._attention_shares = [c.sustained_share / clock for c in self._attention_constants()]
        host, step = present.host_of(profile.name), present.step_of(profile.name)
        self._host = profile.host_forward_s_per_op / host, profile.host_backward_s_per_op / host
        self._step = profile.step_cost_s / step
        self._attention = present.attention_of(profile.attention_kernel, device.generation)

    def step_time_s(
        self, sustained: float = 1.0, host: float = 1.0, step: float = 1.0, attention: float = 1.0
    ) -> float:
        """Step time with factors on the catalogue's own clock, host costs, cost of a step and attention rate."""
        self._scale_attention(attention / self._attention)
        self._attention = attention
        self._device.rates = [_rate(peak, burst, min(1.0, share * sustained)) for peak, burst, share in self._rates]
        for constants, share in zip(self._attention_constants(), self._attention_shares, strict=True):
            constants.sustained_share = min(1.0, share * sustained)
        self._profile.host_forward_s_per_op, self._profile.host_backward_s_per_op = (c * host for c in self._host)
        self._profile.step_cost_s = self._step * step
        result = _core.simulate(**self._arguments, expand=False, keep_events=False, stragglers=None)
        return float(result.step_time_s)

    def _attention_constants(self) -> tuple[_core.AttentionConstants, _core.AttentionConstants]:
        return self._device.attention_forward, self._device.attention_backward

    def _scale_attention(self, factor: float) -> None:
        for constants in self._attention_constants():
            for name in ("rate_d64", "rate_d128", "rate_d256", "rate_mla"):
                setattr(constants, name, getattr(constants, name) * factor)


def _rate(peak: float, burst: float, share: float) -> _core.DTypeRate:
    rate = _core.DTypeRate()
    rate.peak_flops, rate.burst_share, rate.sustained_share = peak, burst, share
    return rate
