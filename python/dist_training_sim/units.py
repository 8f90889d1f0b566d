"""Quantities at the edge: `"64 MiB"`, `"400 Gb/s"`, `"5 us"` become SI numbers, and numbers become readable text."""

from __future__ import annotations

import math
import re

from .errors import ConfigError, Problems

__all__ = [
    "format_bytes",
    "format_count",
    "format_seconds",
    "parse_bandwidth",
    "parse_bytes",
    "parse_flops",
    "parse_seconds",
]

_DECIMAL = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "p": 1e15, "e": 1e18}
_BINARY = {"ki": 2.0**10, "mi": 2.0**20, "gi": 2.0**30, "ti": 2.0**40, "pi": 2.0**50}
_PER_SECOND = {"s": 1.0, "ms": 1e3, "us": 1e6, "µs": 1e6, "ns": 1e9, "min": 1 / 60.0, "h": 1 / 3600.0}
_FLOPS = re.compile(r"([kMGTPE]?)FLOP(?:/s|S|s)")
_MOST_CHARACTERS = 100
_QUANTITY = re.compile(r"\s*([0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)\s*([A-Za-zµ/]*)\s*")


def _split(value: str, what: str, example: str) -> tuple[float, str]:
    match = _QUANTITY.fullmatch(value) if len(value) <= _MOST_CHARACTERS else None
    number = float(match.group(1)) if match else math.nan
    if match is None or not math.isfinite(number):
        problems = Problems()
        problems.add(what, value, f"a number with a unit such as {example}")
        problems.raise_if_any()
        raise AssertionError
    return number, match.group(2)


def _float(value: float, what: str) -> float:
    """Plain numbers as they are: whether NaN, infinity or a sign is legal, the caller says with its other problems."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        problems = Problems()
        problems.add(what, value, "a number that a float holds, or text with a unit")
        problems.raise_if_any()
        raise


def _byte_factor(unit: str) -> float | None:
    """Bytes of one `unit` ("", "B", "MiB", "GB", "Gb" = gigabit); None where it is no byte unit."""
    if unit == "":
        return 1.0
    prefix, symbol = unit[:-1].lower(), unit[-1]
    scale = {**_DECIMAL, **_BINARY}.get(prefix)
    if scale is None or symbol not in "bB":
        return None
    return scale / 8.0 if symbol == "b" else scale


def parse_bytes(value: str | float, what: str = "size") -> float:
    """Bytes of a size such as `"64 MiB"`, `"1.5GB"` or a plain number of bytes.

    Raises
    ------
    ConfigError
        If the text is no size or one in bits (`"8 Gb"`), or the value no number. NaN and infinities pass.
    """
    if not isinstance(value, str):
        return _float(value, what)
    number, unit = _split(value, what, '"64 MiB" or "1 GB"')
    factor = _byte_factor(unit)
    if factor is None:
        raise ConfigError(f"{what}: got unit {unit!r}, expected B, kB, MB, GB, KiB, MiB, GiB ...")
    if unit.endswith("b"):
        fix = f"write {number:g} {unit[:-1]}B if bytes are meant, else {number / 8:g} {unit[:-1]}B"
        raise ConfigError(f"{what}: got {value!r}, which is in bits, expected bytes: B, kB, MB, MiB ...; {fix}")
    return number * factor


def parse_bandwidth(value: str | float, what: str = "bandwidth") -> float:
    """Bytes per second of a rate such as `"400 Gb/s"`, `"900 GB/s"`, `"100 Gbps"` or a plain number."""
    if not isinstance(value, str):
        return _float(value, what)
    number, unit = _split(value, what, '"400 Gb/s" or "50 GB/s"')
    base = unit[:-2] if unit.endswith("/s") else unit[:-2] if unit.endswith("ps") else None
    factor = _byte_factor(base) if base else None
    if factor is None:
        raise ConfigError(f"{what}: got unit {unit!r}, expected Gb/s (bits), GB/s (bytes), Gbps ...")
    return number * factor


def parse_flops(value: str | float, what: str = "rate") -> float:
    """FLOP/s of a rate such as `"989 TFLOP/s"`, `"1.3 PFLOPS"` or a plain number of FLOP/s."""
    if not isinstance(value, str):
        return _float(value, what)
    number, unit = _split(value, what, '"989 TFLOP/s"')
    match = _FLOPS.fullmatch(unit)
    if match is None:
        raise ConfigError(f"{what}: got unit {unit!r}, expected GFLOP/s, TFLOP/s, PFLOP/s ...")
    return number * _DECIMAL[match.group(1).lower()]


def parse_seconds(value: str | float, what: str = "time") -> float:
    """Seconds of a duration such as `"5 us"`, `"2 ms"`, `"1 h"` or a plain number of seconds."""
    if not isinstance(value, str):
        return _float(value, what)
    number, unit = _split(value, what, '"5 us"')
    if unit not in _PER_SECOND and unit != "":
        raise ConfigError(f"{what}: got unit {unit!r}, expected one of {', '.join(_PER_SECOND)}")
    return number / _PER_SECOND.get(unit, 1.0)  # dividing keeps "5 us" equal to 5e-6


def format_bytes(value: float) -> str:
    """Readable binary size, three significant digits: `67108864` → `"64 MiB"`."""
    for unit, scale in (("TiB", 2.0**40), ("GiB", 2.0**30), ("MiB", 2.0**20), ("KiB", 2.0**10)):
        if abs(value) >= scale:
            return f"{value / scale:.4g} {unit}"
    return f"{value:.4g} B"


def format_seconds(value: float) -> str:
    """Readable time: `0.0123` → `"12.3 ms"`."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if abs(value) >= scale:
            return f"{value / scale:.4g} {unit}"
    return f"{value / 1e-9:.4g} ns"


def format_count(value: float) -> str:
    """Readable count: `8030261248` → `"8.03 B"` (thousand, million, billion, trillion)."""
    for unit, scale in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= scale:
            return f"{value / scale:.4g} {unit}"
    return f"{value:.4g}"
