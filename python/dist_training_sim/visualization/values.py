"""Values with their unit, as axes and labels show them."""

from __future__ import annotations

from ..units import format_bytes, format_count
from .style import words
from .ticks import seconds_text

__all__ = ["label_of", "unit_of", "value_text"]

# Ending of an identifier → unit.
_ENDINGS = {"_s": "s", "_bytes": "B", "_Bps": "B/s", "_usd": "USD", "_dollars": "USD", "_gpus": "", "_kwh": "kWh"}


def label_of(name: str) -> str:
    """Identifier as an axis names it: in words, without the unit that its ticks show."""
    return words(name.removesuffix("_s").removesuffix("_usd"))


def unit_of(name: str) -> str:
    """Unit that an identifier ends in ("step_time_s" is in "s"); "" where it ends in none."""
    return next((unit for ending, unit in _ENDINGS.items() if name.endswith(ending)), "")


def value_text(value: float, unit: str = "") -> str:
    """Readable value: seconds and bytes in fitting units, others with thousands as k, M, G."""
    if unit == "s":
        return seconds_text(value)
    if unit == "B":
        return format_bytes(value)
    if unit == "B/s":
        return f"{format_bytes(value)}/s"
    text = f"{value:.3g}" if abs(value) < 1000 else format_count(value)
    return f"{text} {unit}".strip()
