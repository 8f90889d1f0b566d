"""Kernel constants of catalogue devices (`catalog/compute_constants.yaml`) put into the core's `DeviceSpec`."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from . import _core
from .errors import MissingDataError, suggest

__all__ = ["apply_constants", "device_type_spec", "use_attention_kernel"]

_BLOCKS = (
    "gemm",
    "gemm_fp8",
    "gemm_fp4",
    "memory",
    "quantise_fp8_tensor",
    "quantise_fp8_block",
    "quantise_fp4_block",
)


@cache
def _tables() -> dict[str, Any]:
    import yaml

    path = Path(__file__).parent / "catalog" / "compute_constants.yaml"
    tables: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return tables


def _assign(target: object, values: dict[str, float]) -> None:
    for name, value in values.items():
        setattr(target, name, value)


def _apply_shares(spec: _core.DeviceSpec, shares: dict[str, list[float]]) -> None:
    """Set [burst, sustained] per type; types without an entry follow bf16, fp32 and fp64 only in their clock."""
    burst, sustained = shares["bf16"]
    for dtype in _core.DType:
        rate = spec.rate(dtype)
        rate.sustained_share = sustained
        if dtype.name not in ("FP32", "FP64"):
            rate.burst_share = burst
    for name, (burst, sustained) in shares.items():
        for dtype in (name, "fp16") if name == "bf16" else (name,):
            rate = spec.rate(_core.DType[dtype.upper()])
            rate.burst_share, rate.sustained_share = burst, sustained


def _apply_layer(spec: _core.DeviceSpec, layer: dict[str, Any]) -> None:
    for block in _BLOCKS:
        _assign(getattr(spec, block), layer.get(block, {}))
    if "shares" in layer:
        _apply_shares(spec, layer["shares"])
    _assign(spec, {name: layer[name] for name in ("systolic", "launch_s") if name in layer})
    if "attention" in layer:
        _set_attention(spec, layer["attention"]["kernel"], layer["attention"]["like"])


def _set_attention(spec: _core.DeviceSpec, kernel: str, generation: str) -> None:
    fitted = _tables()["attention_kernels"][kernel][generation]
    _assign(spec.attention_forward, fitted["forward"])
    _assign(spec.attention_backward, fitted["backward"])


def _apply_generation(spec: _core.DeviceSpec, generation: str) -> None:
    generations = _tables()["generations"]
    _apply_layer(spec, generations["generic"])
    if generation != "generic":
        _apply_layer(spec, generations[generation])


def apply_constants(spec: _core.DeviceSpec, device: str) -> None:
    """Fill the kernel constants of `spec` with those of a catalogue device.

    The datasheet facts of `spec` (peaks, bandwidth, SM count) are left alone. A device without an entry gets the
    constants fitted over all generations together, and `measured_kernels` false.

    Parameters
    ----------
    spec : DeviceSpec
        Changed in place.
    device : str
        Catalogue name, e.g. ``"h100-sxm5-80gb"``.
    """
    entry: dict[str, Any] = _tables()["devices"].get(device, {"generation": "generic"})
    _apply_generation(spec, entry["generation"])
    _apply_layer(spec, entry)
    spec.measured_kernels = bool(entry.get("measured", False))


def use_attention_kernel(spec: _core.DeviceSpec, kernel: str, device: str) -> None:
    """Replace the attention constants of `spec` by those of another kernel on the same generation.

    Parameters
    ----------
    spec : DeviceSpec
        Changed in place.
    kernel : {"fa2", "fa3", "cudnn"}
        Attention library.
    device : str
        Catalogue name that decides the generation.

    Raises
    ------
    MissingDataError
        If the kernel is unknown or has not been measured on that generation.
    """
    kernels = _tables()["attention_kernels"]
    if kernel not in kernels:
        raise MissingDataError(f"attention kernel: got {kernel!r}, expected a known kernel; {suggest(kernel, kernels)}")
    generation = _tables()["devices"].get(device, {"generation": "generic"})["generation"]
    if generation not in kernels[kernel]:
        measured = ", ".join(sorted(kernels[kernel]))
        raise MissingDataError(f"attention kernel: got {kernel!r} on {generation}, expected one of: {measured}")
    _set_attention(spec, kernel, generation)


def device_type_spec(device_type: str) -> _core.DeviceSpec:
    """Return the generic description of a device type: ``GPU``, ``TPU``, ``CPU`` or ``CUSTOM``.

    Parameters
    ----------
    device_type : str
        Name of a `DeviceType`.

    Returns
    -------
    DeviceSpec
        A new description; ``CUSTOM`` has no peak rates yet.
    """
    entry = _tables()["device_types"][device_type]
    spec = _core.DeviceSpec()
    spec.name = entry.get("device", f"generic-{device_type.lower()}")
    spec.kind = _core.DeviceKind["ACCELERATOR" if device_type == "CUSTOM" else device_type]
    _assign(spec, entry["facts"])
    for name, peak in entry["peak_flops"].items():
        spec.rate(_core.DType[name.upper()]).peak_flops = peak
    if "device" in entry:
        apply_constants(spec, entry["device"])
    else:
        _apply_generation(spec, entry["generation"])
    return spec
