"""A device (accelerator or CPU): datasheet facts, and the kernel constants of its generation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

from .._convert import DTYPES, CoreSpec
from .._replaced import replaced
from ..errors import DtsError, MissingDataError, Problems, suggest
from ..named_enum import NamedEnum
from ..units import format_bytes
from ._fields import Converted, MaybeQuantity, Named, check_member, check_quantities, place
from .constants import AttentionConstants, DTypeRate, GemmConstants, MemoryConstants, QuantiseConstants
from .rates import Rates, at_power, clock_at, read_rates

__all__ = ["Device", "DeviceKind"]

_MAX_CORES = 10**6


class DeviceKind(NamedEnum):
    """What a device is; text such as `"gpu"` is accepted wherever a kind is."""

    GPU = "gpu"
    CPU = "cpu"
    TPU = "tpu"
    ACCELERATOR = "accelerator"


def _as_rates(value: Any) -> Any:
    try:
        return value if isinstance(value, Rates) else Rates(value)
    except DtsError:
        return value


@dataclass(frozen=True, repr=False)
class Device:
    """A device as the compute and memory models see it. A value of None is unknown.

    Parameters
    ----------
    name
        Any text; the catalogue's key for a catalogue device.
    rates
        Dense peak by dtype: a mapping to FLOP/s, text such as `"989 TFLOP/s"`, or `DTypeRate`.
    hbm_bytes, hbm_Bps
        Device memory and its datasheet bandwidth; text such as `"80 GiB"`, `"3.35 TB/s"` is accepted.
    sm_count
        Streaming multiprocessors, compute units or cores.
    l2_bytes
        Last-level cache, which no price depends on.
    power_w
        Board power cap. The sustained shares of the rates hold under it; `replace(power_w=...)` changes them with it.
    kind
        `DeviceKind` or its name.
    gemm, gemm_fp8, gemm_fp4, attention_forward, attention_backward, memory
        Kernel constants; fields left None keep the core's generic values.
    quantise_fp8_tensor, quantise_fp8_block, quantise_fp4_block
        Constants of the conversion kernels of 8- and 4-bit training.
    systolic
        Whether the matrix unit pads to 128 and has no waves (TPU, Trainium, Gaudi).
    measured_kernels
        Whether the constants were fitted on this device; otherwise they are a stand-in and errors are larger.
    kernels_of
        Whose matmul constants these are: a device, a generation, or `"generic"`, those of all GPUs together.
    vendor, generation, label, clock_hz, announced, link, link_Bps, host_link, sources, notes
        Facts the core does not read: the clock of the peaks, whether the part is only announced, the scale-up profile
        and datasheet rate of a node built from this device, its link to host memory, where the values were read.

    Raises
    ------
    ConfigError
        Listing every value that is not physical.

    Examples
    --------
    >>> Device("mine", rates={"bf16": "400 TFLOP/s"}, hbm_bytes="64 GiB", hbm_Bps="2 TB/s", sm_count=100).peak("bf16")
    400000000000000.0
    """

    CORE: ClassVar[CoreSpec] = CoreSpec(
        "DeviceSpec",
        python_only=frozenset(
            {"vendor", "generation", "label", "clock_hz", "announced", "link", "link_Bps", "host_link", "sources"}
            | {"notes", "l2_bytes", "power_w", "kernels_of"}
        ),
    )

    name: str
    rates: Converted[Mapping[str, DTypeRate | float | str], Rates] = Converted(_as_rates)
    hbm_bytes: MaybeQuantity = MaybeQuantity("bytes")
    hbm_Bps: MaybeQuantity = MaybeQuantity("Bps")
    sm_count: int | None = None
    l2_bytes: MaybeQuantity = MaybeQuantity("bytes")
    power_w: float | None = None
    kind: Named[DeviceKind] = Named(DeviceKind, DeviceKind.GPU)
    gemm: GemmConstants = GemmConstants()
    gemm_fp8: GemmConstants = GemmConstants()
    gemm_fp4: GemmConstants = GemmConstants()
    attention_forward: AttentionConstants = AttentionConstants()
    attention_backward: AttentionConstants = AttentionConstants()
    memory: MemoryConstants = MemoryConstants()
    quantise_fp8_tensor: QuantiseConstants = QuantiseConstants()
    quantise_fp8_block: QuantiseConstants = QuantiseConstants()
    quantise_fp4_block: QuantiseConstants = QuantiseConstants()
    systolic: bool = False
    measured_kernels: bool = False
    kernels_of: str = "generic"
    vendor: str = ""
    generation: str = "generic"
    label: str = ""
    clock_hz: float | None = None
    announced: bool = False
    link: str | None = None
    link_Bps: MaybeQuantity = MaybeQuantity("Bps")
    host_link: str | None = None
    sources: tuple[str, ...] = ()
    notes: str = ""

    def __post_init__(self) -> None:
        problems = Problems()
        where = place(problems, "device", self.name)
        check_member(problems, f"{where}.kind", self.kind, DeviceKind)
        if not isinstance(self.rates, Rates):
            read_rates(problems, f"{where}.rates", self.rates)
        if self.sm_count is not None:
            problems.count(f"{where}.sm_count", self.sm_count, 1, _MAX_CORES)
        check_quantities(problems, where, self, _POSITIVE, ("l2_bytes",))
        for name, kind in _CONSTANTS.items():
            _check_constants(problems, f"{where}.{name}", getattr(self, name), kind)
        problems.raise_if_any()

    @classmethod
    def from_catalog(cls, name: str) -> Device:
        """Device of the catalogue by name or alias (`"h100"`, `"mi300x"`, `"tpu-v5p"`).

        Raises
        ------
        ConfigError
            If there is none of that name; the nearest names are suggested.
        """
        from ..catalog import hardware

        return hardware.device(name)

    def peak(self, dtype: str) -> float:
        """Dense peak in FLOP/s of a number format.

        Raises
        ------
        ConfigError
            If `dtype` is no known format.
        MissingDataError
            If no source states a peak for this device.
        """
        if dtype not in DTYPES:
            problems = Problems()
            problems.add("dtype", dtype, f"one of {', '.join(DTYPES)}", suggest(str(dtype), DTYPES))
            problems.raise_if_any()
        rate = self.rates.get(dtype)
        if rate is None or rate.peak_flops == 0:
            raise MissingDataError(
                f"device {self.name}.rates.{dtype}: unknown or not supported; known: {', '.join(self.rates)}; "
                f'give it with .with_peak({dtype!r}, "100 TFLOP/s")'
            )
        return rate.peak_flops

    def with_peak(self, dtype: str, peak: float | str) -> Device:
        """Copy with the dense peak of one number format set; the shares of it that kernels reach stay."""
        rate = Rates({dtype: peak})[dtype]
        if dtype in self.rates:
            rate = replace(self.rates[dtype], peak_flops=rate.peak_flops)
        return self.replace(rates={**self.rates, dtype: rate})

    def with_attention_kernel(self, kernel: str) -> Device:
        """Copy whose attention runs on another library: `"fa1"`, `"fa2"`, `"fa3"`, `"triton"`, `"cudnn"` ...

        Raises
        ------
        MissingDataError
            If the kernel is unknown, or nobody measured it on a generation like this device's.
        """
        from ..catalog.constants import attention_constants

        return self.replace(**attention_constants(self.name, self.generation, kernel))

    def replace(self, **changes: Any) -> Device:
        """Copy with some fields changed: `device.replace(hbm_Bps="4 TB/s")`.

        Another `power_w` changes the sustained clock as well, with the power of 0.6 of the cap, unless `rates` are
        given with it: matmuls of H100 steps run at 0.82 of the clock at 500 W that they have at 700 W.
        """
        power_w = changes.get("power_w")
        if power_w and self.power_w and power_w > 0 and "rates" not in changes:
            ratio = power_w / self.power_w
            changes["rates"] = at_power(self.rates, ratio)
            changes = {way: getattr(self, way).at_clock(clock_at(ratio)) for way in _ATTENTION} | changes
        return replaced(self, changes)

    def __repr__(self) -> str:
        peak = next((f"{d} {self.rates[d].peak_flops / 1e12:g} TFLOP/s" for d in _SHOWN if d in self.rates), "no peak")
        memory = "memory unknown" if self.hbm_bytes is None else format_bytes(self.hbm_bytes)
        bandwidth = "" if self.hbm_Bps is None else f" at {self.hbm_Bps / 1e12:g} TB/s"
        cores = "" if self.sm_count is None else f", {self.sm_count} cores"
        power = "" if self.power_w is None else f", {self.power_w:g} W"
        return f"Device({self.name}: {self.kind.value}, {peak}, {memory}{bandwidth}{cores}{power})"


_ATTENTION = ("attention_forward", "attention_backward")
_POSITIVE = ("hbm_bytes", "hbm_Bps", "link_Bps", "power_w", "clock_hz")
_SHOWN = ("bf16", "fp16", "fp32", "fp8", "fp64")
_CONSTANTS: dict[str, type[Any]] = {
    **dict.fromkeys(("gemm", "gemm_fp8", "gemm_fp4"), GemmConstants),
    **dict.fromkeys(_ATTENTION, AttentionConstants),
    "memory": MemoryConstants,
    **dict.fromkeys(("quantise_fp8_tensor", "quantise_fp8_block", "quantise_fp4_block"), QuantiseConstants),
}


def _check_constants(problems: Problems, where: str, constants: Any, kind: type[Any]) -> None:
    """Numbers, and switches where the field is one; the core's `check_device` holds the rules of each constant."""
    if not isinstance(constants, kind):
        problems.add(where, constants, f"a {kind.__name__}")
        return
    for f in fields(constants):
        value = getattr(constants, f.name)
        if value is not None:
            check = problems.flag if f.type == "bool | None" else problems.non_negative
            check(f"{where}.{f.name}", value)
