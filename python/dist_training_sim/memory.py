"""Front door of the memory model: what devices and their memory tiers hold, and what a training plan needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import _core
from ._core import Allocation, MemoryTier, PoolUsage
from .errors import ConfigError, Problems, suggest
from .memory_plan import BlockShares, MemoryEstimate, MemoryPlan, StrategyRow, as_tier, transformer_layer_bytes
from .units import format_bytes, parse_bandwidth, parse_bytes, parse_seconds

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .memory_plan import PlanOptions

__all__ = [
    "Allocation",
    "BlockShares",
    "MemoryEstimate",
    "MemoryModel",
    "MemoryPlan",
    "MemoryTier",
    "PoolUsage",
    "StrategyRow",
    "TierSpec",
    "transformer_layer_bytes",
]

_LARGEST_BYTES = 2**53  # larger sizes are not counted exactly


@dataclass(frozen=True)
class TierSpec:
    """One memory tier; a value left out keeps the tier's default.

    Attributes
    ----------
    capacity
        Bytes or text such as `"2 TB"`: of one device for HBM, of a node for CPU and DISK, of the job for REMOTE.
    bandwidth
        Bytes per second that one device gets while all devices of its node use the tier.
    latency
        Seconds before the first byte.
    """

    capacity: str | float | None = None
    bandwidth: str | float | None = None
    latency: str | float | None = None


class MemoryModel:
    """An exact ledger of bytes per device and memory tier, and memory estimates of training plans.

    HBM belongs to one device; CPU and DISK are shared by the devices of a node, REMOTE by all. Fragmentation is not
    modelled.

    Parameters
    ----------
    num_devices : int
        Devices of the job.
    devices_per_node : int
        Devices that share host memory and disk; the last node may be partly filled.
    hbm, host, disk, remote : str, float or TierSpec
        A capacity, or a `TierSpec`. Defaults: 80 GB HBM at 2 TB/s; 2 TB host memory at 55 GB/s and 10 us; 30 TB disk
        at 3.1 GiB/s (one NVMe drive per device, NVIDIA GPUDirect Storage guide) and 100 us; remote storage without
        practical limit at 25 GB/s (half a 400 Gb/s NIC) and 1 ms.

    Raises
    ------
    ConfigError
        Listing every illegal value.

    Examples
    --------
    >>> memory = MemoryModel(num_devices=8, hbm="80 GB")
    >>> weights = memory.allocate(0, "16 GB", name="weights", category="weights")
    >>> memory.usage(0).free_bytes
    64000000000
    >>> seconds = memory.transfer(weights, "cpu")
    """

    def __init__(
        self,
        num_devices: int = 8,
        *,
        devices_per_node: int = 8,
        hbm: str | float | TierSpec | None = None,
        host: str | float | TierSpec | None = None,
        disk: str | float | TierSpec | None = None,
        remote: str | float | TierSpec | None = None,
    ) -> None:
        problems = Problems()
        problems.count("num_devices", num_devices)
        problems.count("devices_per_node", devices_per_node)
        problems.raise_if_any()
        self._num_devices = num_devices
        self._devices_per_node = devices_per_node
        defaults = _core.default_memory_tiers()
        given = zip(("hbm", "host", "disk", "remote"), (hbm, host, disk, remote), defaults, strict=True)
        tiers = [_tier(*each) for each in given]
        self._host_Bps = float(tiers[1].bandwidth_Bps)
        self._core = _core.MemoryModel(num_devices, devices_per_node, tiers)

    @property
    def num_devices(self) -> int:
        """Devices of the job."""
        return self._num_devices

    @property
    def host_Bps(self) -> float:
        """Bytes/s between one device and host memory."""
        return self._host_Bps

    @property
    def devices_per_node(self) -> int:
        """Devices that share host memory and disk."""
        return self._devices_per_node

    def allocate(
        self,
        device: int,
        size: str | float,
        tier: MemoryTier | str = MemoryTier.HBM,
        *,
        name: str = "unnamed",
        category: str = "other",
    ) -> int:
        """Hold `size` bytes (rounded to whole bytes) for `device` in a tier and return the allocation's handle.

        Raises
        ------
        InfeasibleError
            When the tier has too little room: which device and tier, asked, free, and what would help.
        ConfigError
            For an unknown device or tier, or a size that is not positive.
        """
        return self._core.allocate(_device(device), _whole_bytes(size), as_tier(tier), name, category)

    def free(self, handle: int) -> None:
        """Give an allocation's bytes back; a second free or an unknown handle is a `ConfigError`."""
        self._core.free(_handle(handle))

    def transfer(self, handle: int, to: MemoryTier | str) -> float:
        """Move an allocation to another tier of its device and return the seconds; source and destination are both
        held meanwhile. `InfeasibleError` when the destination has too little room; then nothing changes.
        """
        return self._core.transfer(_handle(handle), as_tier(to))

    def transfer_time(self, size: str | float, source: MemoryTier | str, to: MemoryTier | str) -> float:
        """Seconds to move `size` bytes: latencies of the tiers on the path, plus size over the slowest bandwidth.

        The path goes through host memory unless it starts or ends there; 0 when nothing moves.
        """
        return self._core.transfer_time(parse_bytes(size), as_tier(source), as_tier(to))

    def allocation(self, handle: int) -> Allocation:
        """Device, tier, bytes, name and category of a live allocation."""
        return self._core.allocation(_handle(handle))

    def allocations(self) -> list[Allocation]:
        """All live allocations, oldest first."""
        return self._core.allocations()

    def usage(self, device: int = 0, tier: MemoryTier | str = MemoryTier.HBM) -> PoolUsage:
        """Capacity, used, free and peak bytes of a tier as `device` sees it, by category now and at the peak."""
        return self._core.usage(_device(device), as_tier(tier))

    def reset_peaks(self) -> None:
        """Let every peak restart at what is held now."""
        self._core.reset_peaks()

    def estimate(
        self,
        parameters: float,
        activations_per_sample: float = 0,
        samples_per_device: float = 1,
        **options: Unpack[PlanOptions],
    ) -> MemoryEstimate:
        """Memory per device of a training plan, and what its strategies cost per step.

        Parameters
        ----------
        parameters : float
            Count of the whole model.
        activations_per_sample : float
            Elements one sample saves for backward.
        samples_per_device : float
            Samples a device processes per step.
        **options
            The other fields of `MemoryPlan`; `devices` defaults to the model's devices.

        Raises
        ------
        ConfigError
            Listing every problem of the plan.
        """
        plan = self._plan(parameters, activations_per_sample, samples_per_device, options)
        estimate = _core.memory_estimate(plan.to_core(), self._core.tiers)
        return MemoryEstimate.from_core(estimate, self._missing(estimate, plan))

    def strategy_table(
        self,
        parameters: float,
        activations_per_sample: float = 0,
        samples_per_device: float = 1,
        **options: Unpack[PlanOptions],
    ) -> list[StrategyRow]:
        """What each memory strategy saves and costs, one change at a time; the first row is the plan itself.

        Takes the arguments of `estimate`. Recomputation and offload of parameters or activations appear when `blocks`
        is given, ZeRO with several devices, gradient accumulation when a micro-batch holds several samples.
        """
        plan = self._plan(parameters, activations_per_sample, samples_per_device, options)
        rows = _core.memory_strategy_table(plan.to_core(), self._core.tiers)
        return [StrategyRow.from_core(row, self._missing(row.estimate, plan)) for row in rows]

    def _plan(self, parameters: float, activations: float, samples: float, options: PlanOptions) -> MemoryPlan:
        unknown = [name for name in options if name not in MemoryPlan.__dataclass_fields__]
        if unknown:
            hints = "; ".join(f"{name}: {suggest(name, MemoryPlan.__dataclass_fields__)}" for name in unknown)
            raise ConfigError(f"options: got {', '.join(unknown)}, expected fields of MemoryPlan; {hints}")
        merged: PlanOptions = {"devices": self._num_devices, **options}
        return MemoryPlan(parameters, activations, samples, **merged)

    def _missing(self, estimate: _core.MemoryEstimate, plan: MemoryPlan) -> list[float]:
        return _core.memory_missing_bytes(estimate, self._core.tiers, plan.devices, self._devices_per_node)

    def __repr__(self) -> str:
        hbm = format_bytes(float(self.usage(0).capacity_bytes))
        return f"MemoryModel(num_devices={self.num_devices}, hbm {hbm}, {len(self.allocations())} allocations)"


def _tier(name: str, given: str | float | TierSpec | None, default: _core.MemoryTierSpec) -> _core.MemoryTierSpec:
    spec = given if isinstance(given, TierSpec) else TierSpec(capacity=given)
    capacity = default.capacity_bytes if spec.capacity is None else parse_bytes(spec.capacity, f"{name} capacity")
    rate = default.bandwidth_Bps if spec.bandwidth is None else parse_bandwidth(spec.bandwidth, f"{name} bandwidth")
    latency = default.latency_s if spec.latency is None else parse_seconds(spec.latency, f"{name} latency")
    return _core.MemoryTierSpec(capacity, rate, latency)


def _whole_bytes(size: str | float) -> int:
    number = parse_bytes(size)
    if not 0.5 <= number <= _LARGEST_BYTES:  # also refuses NaN
        raise ConfigError(f"size: got {size!r}, expected between 1 byte and 2^53 bytes")
    return round(number)


def _device(device: int) -> int:
    problems = Problems()
    problems.count("device", device, minimum=0)
    problems.raise_if_any()
    return device


def _handle(handle: int) -> int:
    if not isinstance(handle, int) or isinstance(handle, bool) or not -(2**63) <= handle < 2**63:
        raise ConfigError(f"handle: got {handle!r}, expected a handle that allocate returned")
    return handle
