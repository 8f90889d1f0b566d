"""Join of compute_constants.yaml: the kernel constants of a device by name, else of its generation, else generic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import MissingDataError, suggest
from ..hardware.constants import AttentionConstants, GemmConstants, MemoryConstants, QuantiseConstants
from ._yaml import packaged_entry
from .fitted import Fitted

__all__ = ["FILE", "attention_constants", "constants_key", "constants_source", "device_constants"]

FILE = "compute_constants.yaml"
_BLOCKS: dict[str, type[Any]] = {
    **dict.fromkeys(("gemm", "gemm_fp8", "gemm_fp4"), GemmConstants),
    "memory": MemoryConstants,
    **dict.fromkeys(("quantise_fp8_tensor", "quantise_fp8_block", "quantise_fp4_block"), QuantiseConstants),
}
# Formats without an entry of their own take that of the next wider one on the same unit; fp64 and fp32 have a unit of
# their own and share only the clock.
_SHARE_OF = {
    **dict.fromkeys(("fp64", "fp32", "tf32", "fp16", "bf16"), ("bf16",)),
    **dict.fromkeys(("fp8", "int8"), ("fp8", "bf16")),
    "fp4": ("fp4", "fp8", "bf16"),
}


def _layers(device: str, generation: str) -> list[Mapping[str, Any]]:
    """Generic set, the generation's and the device's own, least specific first."""
    generations = packaged_entry(FILE, "generations")
    own = packaged_entry(FILE, "devices").get(device, {})
    layers = [generations["generic"], generations.get(own.get("generation", generation), {}), own]
    return [layer for layer in layers if layer]


def device_constants(device: str, generation: str) -> dict[str, Any]:
    """Fields of `Device` that compute_constants.yaml gives, and under `shares` (burst, sustained) by dtype.

    Parameters
    ----------
    device
        Catalogue name.
    generation
        Used where the file does not list the device.
    """
    layers = _layers(device, generation)
    values: dict[str, Any] = {}
    for block, kind in _BLOCKS.items():
        merged = {k: v for layer in layers for k, v in layer.get(block, {}).items()}
        values[block] = kind(**merged)
    given = [layer["systolic"] for layer in layers if "systolic" in layer]
    values.update({"systolic": given[-1]} if given else {})
    values["measured_kernels"] = bool(layers[-1].get("measured", False))
    values["kernels_of"] = _matmuls_of(device, generation)
    factor = _clock_factor(device, layers)
    values["shares"] = {t: (burst, min(1.0, clock * factor)) for t, (burst, clock) in _shares(layers).items()}
    kernel = next((layer["attention"]["kernel"] for layer in reversed(layers) if "attention" in layer), "")
    if kernel:
        values |= _attention(kernel, _like(kernel, layers), factor)
    return values


def _matmuls_of(device: str, generation: str) -> str:
    """The device or generation on which matmuls were measured, or `generic`: whose constants they take."""
    own = packaged_entry(FILE, "devices").get(device, {})
    if own.get("measured"):
        return device
    name = str(own.get("generation", generation))
    return name if "gemm" in packaged_entry(FILE, "generations").get(name, {}) else "generic"


def _clock_factor(device: str, layers: list[Mapping[str, Any]]) -> float:
    systolic = next((layer["systolic"] for layer in reversed(layers) if "systolic" in layer), False)
    return Fitted.packaged().sustained_of(device, bool(systolic))


_OWN_UNIT = ("fp64", "fp32")


def _shares(layers: list[Mapping[str, Any]]) -> dict[str, tuple[float | None, float]]:
    """(burst, sustained) of every dtype: the most specific layer that gives the format or a wider one."""
    found: dict[str, tuple[float | None, float]] = {}
    for layer in layers:
        given = layer.get("shares", {})
        for dtype, wider in _SHARE_OF.items():
            name = next((n for n in (dtype, *wider) if n in given), None)
            if name is not None:
                burst, sustained = given[name]
                borrowed = name != dtype and dtype in _OWN_UNIT
                found[dtype] = (found.get(dtype, (None, None))[0] if borrowed else burst, sustained)
    return found


def _like(kernel: str, layers: list[Mapping[str, Any]]) -> str:
    """Set of a kernel: the device's, else its generation's; empty where it was measured on neither."""
    sets = packaged_entry(FILE, "attention_kernels")[kernel]
    likes = [layer["attention"]["like"] for layer in layers if "attention" in layer]
    own = likes[1:] or likes  # the generic set stands for devices that name none
    return next((like for like in reversed(own) if like in sets), "")


def _attention(kernel: str, like: str, clock: float) -> dict[str, AttentionConstants]:
    sets, factor = packaged_entry(FILE, "attention_kernels")[kernel][like], Fitted.packaged().attention_of(kernel, like)

    def scaled(values: dict[str, Any]) -> AttentionConstants:
        rates = {k: v * factor if k.startswith("rate_") else v for k, v in values.items()}
        return AttentionConstants(**rates).at_clock(clock)

    return {f"attention_{way}": scaled(sets[way]) for way in ("forward", "backward")}


def attention_constants(device: str, generation: str, kernel: str) -> dict[str, AttentionConstants]:
    """`attention_forward` and `attention_backward` of a device under another kernel (`"fa2"`, `"cudnn"` ...).

    Raises
    ------
    MissingDataError
        If the kernel is unknown, or nobody measured it on a generation like the device's.
    """
    kernels = packaged_entry(FILE, "attention_kernels")
    if kernel not in kernels:
        raise MissingDataError(f"attention kernel {kernel!r}: unknown; {suggest(kernel, kernels)}")
    layers = _layers(device, generation)
    like = _like(kernel, layers)
    if not like:
        measured = ", ".join(kernels[kernel])
        raise MissingDataError(f"attention kernel {kernel} on {device}: not measured; measured on {measured}")
    return _attention(kernel, like, _clock_factor(device, layers))


def constants_key(device: str, stand_in: str | None) -> str:
    """Name under which the constants of a device stand: its own where the file has it, else its stand-in's."""
    return stand_in if stand_in and device not in packaged_entry(FILE, "devices") else device


def constants_source(device: str, generation: str) -> tuple[str, ...]:
    """Citations of the constants of a device, most specific first."""
    layers = reversed(_layers(device, generation))
    return tuple(f"kernel constants: {layer['source']}" for layer in layers if layer.get("source"))[:2]
