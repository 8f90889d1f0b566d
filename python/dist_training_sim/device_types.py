"""Generic devices behind `DeviceType`, and a user's own figures put over a description."""

from __future__ import annotations

from dataclasses import dataclass

from . import _core
from ._convert import to_core
from ._core import DType
from .errors import ConfigError, Problems
from .hardware.device import Device
from .named_enum import NamedEnum, member

__all__ = ["DeviceLike", "DeviceType", "Overrides", "build_spec", "device_spec", "type_of"]


class DeviceType(NamedEnum):
    """Class of device: each is a device of the catalogue, any of them can be replaced by a described device.

    ``GPU`` is an H100 SXM5 80 GB, ``TPU`` a v5p, ``CPU`` a 64-core server processor (EPYC 9554); ``CUSTOM`` is
    described by the user's own peak, bandwidth and efficiency.
    """

    CPU = "cpu"
    GPU = "gpu"
    TPU = "tpu"
    CUSTOM = "custom"


_CATALOGUE = {DeviceType.CPU: "epyc-9554", DeviceType.GPU: "h100-sxm5-80gb", DeviceType.TPU: "tpu-v5p"}

DeviceLike = Device | _core.DeviceSpec | str
"""A `Device`, the name of one of the catalogue, or a description of the core."""


@dataclass(frozen=True)
class Overrides:
    """Figures that replace those of a description; None keeps them.

    Attributes
    ----------
    peak_flops : float or None
        16-bit matmul peak, FLOP/s.
    memory_bandwidth : float or None
        Bytes/s.
    efficiency, memory_efficiency : float or None
        Shares of the peak and of the bandwidth that are reached.
    """

    peak_flops: float | None = None
    memory_bandwidth: float | None = None
    efficiency: float | None = None
    memory_efficiency: float | None = None


def type_of(spec: _core.DeviceSpec) -> DeviceType:
    """Return the device type that a description belongs to."""
    return DeviceType.__members__.get(spec.kind.name, DeviceType.CUSTOM)


def device_spec(device: DeviceLike) -> _core.DeviceSpec:
    """Return the core's description of a device, a new one.

    Raises
    ------
    ConfigError
        If the catalogue has no device of that name, or `device` is none.
    MissingDataError
        If a value that prices need is unknown, such as the number of cores.
    """
    if isinstance(device, _core.DeviceSpec):
        return _core.DeviceSpec(device)
    if not isinstance(device, (Device, str)):
        raise ConfigError(f"device: got {device!r}, expected a Device, the name of one or a DeviceSpec")
    spec: _core.DeviceSpec = to_core(Device.from_catalog(device) if isinstance(device, str) else device)
    return spec


def _generic(kind: DeviceType) -> _core.DeviceSpec:
    """The description behind a device type; ``CUSTOM`` has the core's generic facts and no peak."""
    if kind in _CATALOGUE:
        return device_spec(_CATALOGUE[kind])
    from .catalog.constants import device_constants

    generic = _core.DeviceSpec()
    facts = {name: getattr(generic, name) for name in ("hbm_bytes", "hbm_Bps", "sm_count")}
    constants = device_constants("", "generic")
    del constants["shares"]  # every rate keeps the generic share, which is the core's
    return device_spec(Device("custom", {}, kind="accelerator", **facts, **constants))


def build_spec(
    device_type: DeviceType | str | None, device: DeviceLike | None, overrides: Overrides
) -> _core.DeviceSpec:
    """Description of a device, or the generic one of a type, with the overrides put over it.

    Raises
    ------
    ConfigError
        If type and description contradict each other, or an override is missing or not physical.
    """
    kind = None if device_type is None else member(DeviceType, device_type, "device_type")
    spec = _generic(kind or DeviceType.GPU) if device is None else device_spec(device)
    if device is not None and kind not in (None, type_of(spec)):
        raise ConfigError(
            f"device_type: got {kind}, expected {type_of(spec)}, the type of {spec.name}; leave device_type out"
        )
    _check_overrides(spec, overrides)
    _apply_overrides(spec, overrides)
    return spec


def _check_overrides(spec: _core.DeviceSpec, overrides: Overrides) -> None:
    problems = Problems()
    bare = all(rate.peak_flops == 0 for rate in spec.rates)
    for name in ("peak_flops", "memory_bandwidth"):
        value = getattr(overrides, name)
        if value is not None:
            problems.positive(name, value)
        elif bare:
            problems.add(name, None, "a rate for DeviceType.CUSTOM", f"pass {name}=")
    for name in ("efficiency", "memory_efficiency"):
        share = getattr(overrides, name)
        if share is not None and problems.positive(name, share) and share > 1:
            problems.add(name, share, "a share in (0, 1]")
    problems.raise_if_any()


def _apply_overrides(spec: _core.DeviceSpec, overrides: Overrides) -> None:
    if overrides.peak_flops is not None:
        _set_peak(spec, overrides.peak_flops)
    if overrides.memory_bandwidth is not None:
        spec.hbm_Bps = overrides.memory_bandwidth
    if overrides.efficiency is not None:
        _set_efficiency(spec, overrides.efficiency)
    if overrides.memory_efficiency is not None:
        _set_memory_efficiency(spec, overrides.memory_efficiency)


def _set_peak(spec: _core.DeviceSpec, peak_flops: float) -> None:
    """Scale all peaks to a 16-bit peak; a device without peaks gets it for every type of 16 bits and more."""
    known = max(spec.rate(DType.BF16).peak_flops, spec.rate(DType.FP16).peak_flops)
    wide = (DType.BF16, DType.FP16, DType.TF32, DType.FP32, DType.FP64)
    for dtype in DType if known > 0 else wide:
        rate = spec.rate(dtype)
        rate.peak_flops = rate.peak_flops * peak_flops / known if known > 0 else peak_flops


def _set_efficiency(spec: _core.DeviceSpec, efficiency: float) -> None:
    for dtype in DType:
        rate = spec.rate(dtype)
        rate.burst_share, rate.sustained_share = efficiency, 1.0


def _set_memory_efficiency(spec: _core.DeviceSpec, efficiency: float) -> None:
    memory = spec.memory
    memory.stream_efficiency = memory.norm_efficiency = memory.optimizer_efficiency = efficiency
    for gemm in (spec.gemm, spec.gemm_fp8, spec.gemm_fp4):
        gemm.memory_efficiency = efficiency
