"""Kernel constants of a device, as the core's `DeviceSpec` holds them.

Every field that is None keeps the core's generic value (fitted over all GPU generations together), so each number lives
in one place: the core, or `catalog/compute_constants.yaml`. What they mean: docs/guide/compute.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from .._convert import CoreSpec

__all__ = ["AttentionConstants", "DTypeRate", "GemmConstants", "MemoryConstants", "QuantiseConstants"]


@dataclass(frozen=True)
class DTypeRate:
    """Rates of one number format.

    Parameters
    ----------
    peak_flops
        Dense datasheet peak, FLOP/s; 0 where the device cannot compute in this format.
    burst_share
        Best library matmul / peak; None is the generic share.
    sustained_share
        Training-step rate / burst rate, under the power cap; None is the generic share.
    """

    CORE: ClassVar[CoreSpec] = CoreSpec("DTypeRate", none_keeps_default=True)

    peak_flops: float = 0.0
    burst_share: float | None = None
    sustained_share: float | None = None


@dataclass(frozen=True)
class GemmConstants:
    """Matmul time as tiles and waves; one set per generation and width of the format."""

    CORE: ClassVar[CoreSpec] = CoreSpec("GemmConstants", none_keeps_default=True)

    small_tile_rate: float | None = None
    tiny_tile_rate: float | None = None
    prologue_k: float | None = None
    floor_s: float | None = None
    memory_efficiency: float | None = None
    overlap_power: float | None = None
    wave_quantisation: float | None = None
    split_k_floor_s: float | None = None
    l2_factor: float | None = None
    block_scaled_rate: float | None = None


@dataclass(frozen=True)
class AttentionConstants:
    """Flash-style attention: one rate per head_dim class, as a share of peak, and overheads in keys per row block."""

    CORE: ClassVar[CoreSpec] = CoreSpec("AttentionConstants", none_keeps_default=True)

    rate_d64: float | None = None
    rate_d128: float | None = None
    rate_d256: float | None = None
    rate_mla: float | None = None
    block_overhead: float | None = None
    causal_overhead: float | None = None
    block_q: float | None = None
    floor_s: float | None = None
    cast_bytes: float | None = None
    skips_window: bool | None = None
    sustained_share: float | None = None

    def at_clock(self, factor: float) -> AttentionConstants:
        """With `factor` on the clock of long steps, where it is the kernel's own."""
        own = self.sustained_share
        return replace(self, sustained_share=min(1.0, own * factor)) if own else self


@dataclass(frozen=True)
class MemoryConstants:
    """Memory-bound kernels: shares of the datasheet bandwidth, and the floor of one small kernel."""

    CORE: ClassVar[CoreSpec] = CoreSpec("MemoryConstants", none_keeps_default=True)

    stream_efficiency: float | None = None
    norm_efficiency: float | None = None
    gather_efficiency: float | None = None
    optimizer_efficiency: float | None = None
    kernel_floor_s: float | None = None


@dataclass(frozen=True)
class QuantiseConstants:
    """Conversion of one operand to a scaled 8- or 4-bit format."""

    CORE: ClassVar[CoreSpec] = CoreSpec("QuantiseConstants", none_keeps_default=True)

    bytes_per_element: float | None = None
    efficiency: float | None = None
    floor_s: float | None = None
