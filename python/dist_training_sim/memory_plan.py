"""A training plan as the memory model sees it, and what comes out: bytes per device, and the price of each strategy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from . import _core
from ._core import MemoryTier
from .errors import Problems
from .named_enum import member

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .parallel.choices import Optimizer, Precision, Recompute

__all__ = ["BlockShares", "MemoryEstimate", "MemoryPlan", "StrategyRow", "as_tier", "transformer_layer_bytes"]


def as_tier(value: MemoryTier | str) -> MemoryTier:
    """The memory tier of a name such as `"cpu"`, in any case."""
    return member(MemoryTier, value, "tier")


class PlanOptions(TypedDict, total=False):
    """The optional fields of `MemoryPlan`."""

    accumulation_steps: int
    devices: int
    zero: int
    precision: Precision | str
    optimizer: Optimizer | str
    gradients: str
    recompute: Recompute | str
    offload_optimizer: MemoryTier | str
    offload_parameters: MemoryTier | str
    offload_activations: MemoryTier | str
    blocks: BlockShares | None


@dataclass(frozen=True)
class BlockShares:
    """A model as equal blocks, for strategies that work block by block.

    Attributes
    ----------
    blocks
        Number of blocks.
    input_share
        Share of a block's saved bytes that is its input: what full recomputation keeps.
    score_share
        Share that is attention scores: what selective recomputation drops (0 with flash attention).
    score_flops_share
        Share of a block's forward FLOPs that selective recomputation runs again.
    """

    blocks: float
    input_share: float
    score_share: float = 0.0
    score_flops_share: float = 0.0

    @classmethod
    def transformer(
        cls, layers: int, *, seq_len: float, hidden: float, heads: float, flash_attention: bool = True
    ) -> BlockShares:
        """Shares of a GPT layer, `2sbh` of `sbh (34 + 5as/h)` (arXiv:2205.05198); flash attention keeps no scores."""
        core = _core.transformer_block_shares(layers, seq_len, hidden, heads, flash_attention)
        return cls(core.blocks, core.input_share, core.score_share, core.score_flops_share)


@dataclass(frozen=True)
class MemoryPlan:
    """A data-parallel training plan; see `MemoryModel.estimate`.

    Attributes
    ----------
    parameters, activations_per_sample, samples_per_device
        Model parameters; elements one sample saves for backward; samples of one device and step.
    accumulation_steps
        Micro-batches the samples of a step are run in (gradient accumulation).
    devices
        Data-parallel devices.
    zero
        ZeRO stage: 1 shards the optimizer state over the devices, 2 also gradients, 3 also parameters.
    precision
        `"bf16"`, `"fp16"` ... train with a 16-bit copy and an fp32 master weight; `"fp32"` and `"fp64"` without.
    optimizer
        `"adam"` (two moments), `"momentum"` (one) or `"sgd"`.
    gradients
        `"working"` (the type of the weights), `"fp32"` (one fp32 buffer) or `"both"`.
    recompute
        `"none"`, `"selective"` or `"full"`; the last two need `blocks`.
    offload_optimizer, offload_parameters, offload_activations
        Tier that holds them; `"hbm"` = not offloaded. The last two need `blocks`.
    blocks
        The model as equal blocks. With ZeRO-3 it also tells the gathered parameters (two blocks), else left out.
    """

    parameters: float
    activations_per_sample: float = 0.0
    samples_per_device: float = 1.0
    accumulation_steps: int = 1
    devices: int = 1
    zero: int = 0
    precision: Precision | str = "bf16"
    optimizer: Optimizer | str = "adam"
    gradients: str = "working"
    recompute: Recompute | str = "none"
    offload_optimizer: MemoryTier | str = MemoryTier.HBM
    offload_parameters: MemoryTier | str = MemoryTier.HBM
    offload_activations: MemoryTier | str = MemoryTier.HBM
    blocks: BlockShares | None = None

    def to_core(self) -> _core.MemoryPlan:
        """Check the types and build the core's plan."""
        self._check()
        core = _core.MemoryPlan()
        for name in ("parameters", "activations_per_sample", "samples_per_device", *_COUNTS):
            setattr(core, name, getattr(self, name))
        core.precision = member(_core.DType, self.precision, "precision")
        core.optimizer = member(_core.Optimizer, self.optimizer, "optimizer")
        core.gradients = member(_core.GradientStorage, self.gradients, "gradients")
        core.recompute = member(_core.Recompute, self.recompute, "recompute")
        core.optimizer_tier = as_tier(self.offload_optimizer)
        core.parameter_tier = as_tier(self.offload_parameters)
        core.activation_tier = as_tier(self.offload_activations)
        if self.blocks is not None:
            b = self.blocks
            core.blocks = _core.BlockShares(b.blocks, b.input_share, b.score_share, b.score_flops_share)
        return core

    def _check(self) -> None:
        problems = Problems()
        problems.positive("parameters", self.parameters)
        problems.non_negative("activations_per_sample", self.activations_per_sample)
        problems.positive("samples_per_device", self.samples_per_device)
        for name in _COUNTS:
            problems.count(name, getattr(self, name), minimum=0 if name == "zero" else 1)
        problems.raise_if_any()


_COUNTS = ("accumulation_steps", "devices", "zero")


@dataclass(frozen=True)
class MemoryEstimate:
    """What one device needs and pays per step.

    Attributes
    ----------
    weights, gradients, optimizer, activations, gathered_parameters
        Bytes in HBM.
    hbm_bytes, host_bytes, disk_bytes, remote_bytes
        Bytes per tier; HBM is the sum of the five above.
    extra_flops_fraction
        FLOPs that run again, as a share of the step's model FLOPs.
    communication_bytes
        Bytes sent to other devices per step (ring algorithms).
    transfer_bytes, transfer_s
        Offload traffic between tiers per step, and its seconds if nothing hid it.
    missing_bytes
        By tier name, bytes its pool lacks when all devices run the plan; empty = the plan fits.
    """

    weights: float
    gradients: float
    optimizer: float
    activations: float
    gathered_parameters: float
    hbm_bytes: float
    host_bytes: float
    disk_bytes: float
    remote_bytes: float
    extra_flops_fraction: float
    communication_bytes: float
    transfer_bytes: float
    transfer_s: float
    missing_bytes: dict[str, float]

    @property
    def fits(self) -> bool:
        """Whether every tier has room."""
        return not self.missing_bytes

    @classmethod
    def from_core(cls, core: _core.MemoryEstimate, missing: Sequence[float]) -> MemoryEstimate:
        """Build from the core's estimate and the bytes each tier lacks."""
        lacking = {tier.name: lack for tier, lack in zip(MemoryTier, missing, strict=True) if lack > 0}
        hbm, host, disk, remote = core.tier_bytes
        return cls(
            core.weights, core.gradients, core.optimizer, core.activations, core.gathered_parameters,
            hbm, host, disk, remote, core.extra_flops_fraction, core.communication_bytes,
            core.transfer_bytes, core.transfer_s, lacking,
        )  # fmt: skip


@dataclass(frozen=True)
class StrategyRow:
    """One memory strategy beside the base plan: what it saves per device and what it costs per step.

    Attributes
    ----------
    name, source
        The change, and where its formula comes from.
    saved_bytes
        HBM bytes less than the base; negative where it needs more.
    extra_flops_fraction, extra_communication_bytes, extra_transfer_s
        More than the base; negative where it needs less.
    estimate
        The whole plan with this change.
    """

    name: str
    source: str
    saved_bytes: float
    extra_flops_fraction: float
    extra_communication_bytes: float
    extra_transfer_s: float
    estimate: MemoryEstimate

    @classmethod
    def from_core(cls, core: _core.StrategyRow, missing: Sequence[float]) -> StrategyRow:
        """Build from the core's row and the bytes each tier lacks."""
        return cls(
            core.name, core.source, core.saved_bytes, core.extra_flops_fraction, core.extra_communication_bytes,
            core.extra_transfer_s, MemoryEstimate.from_core(core.estimate, missing),
        )  # fmt: skip


def transformer_layer_bytes(
    *,
    seq_len: float,
    hidden: float,
    heads: float,
    micro_batch: float = 1,
    tp: int = 1,
    sequence_parallel: bool = False,
    recompute: Recompute | str = "none",
) -> float:
    """Bytes one GPT layer saves on one rank, `s b h (10 + 24/t + 5as/(ht))` (Korthikanti et al., arXiv:2205.05198).

    16-bit activations, dropout on, scores materialised, 4h GELU feed-forward. Sequence parallelism divides all by
    `tp`, selective recomputation drops the `5as` term, full keeps `2sbh`.

    Raises
    ------
    ConfigError
        Listing every size that is not positive.
    """
    problems = Problems()
    problems.count("tp", tp)
    problems.raise_if_any()
    kept = member(_core.Recompute, recompute, "recompute")
    return _core.transformer_layer_bytes(seq_len, micro_batch, hidden, heads, tp, sequence_parallel, kept)
