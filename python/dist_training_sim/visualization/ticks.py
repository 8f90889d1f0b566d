"""Units and ticks: times in s, ms, µs or ns, bytes in binary units, device counts in powers of two."""

from __future__ import annotations

from ..units import format_seconds

__all__ = ["byte_ticks", "byte_unit", "device_ticks", "seconds_text", "time_unit"]


def time_unit(span_s: float) -> tuple[float, str]:
    """Seconds per unit and name of the unit in which a span reads as 1 to 1000."""
    for scale, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if span_s >= scale:
            return scale, unit
    return 1e-9, "ns"


def seconds_text(value: float) -> str:
    """Readable time in the units of the axes."""
    return format_seconds(value).replace("us", "µs")


def byte_unit(largest: float) -> tuple[float, str]:
    """Bytes per unit and name of the largest binary unit not above `largest`."""
    for power, unit in ((4, "TiB"), (3, "GiB"), (2, "MiB"), (1, "KiB")):
        if largest >= 2.0 ** (10 * power):
            return 2.0 ** (10 * power), unit
    return 1.0, "B"


def byte_ticks(low: float, high: float) -> list[float]:
    """About six values from `low` to `high`: round in binary units from zero, evenly spaced in ratio otherwise."""
    if low > 0:
        return [low * (high / low) ** (i / 4) for i in range(5)]
    from matplotlib.ticker import MaxNLocator

    scale, _ = byte_unit(high)
    ticks = MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(0, high / scale)
    return [float(tick) * scale for tick in ticks if 0 <= tick * scale <= high]


def device_ticks(count: int) -> list[int]:
    """At most nine device numbers from 0, a power of two apart."""
    step = 1
    while step * 9 < count:
        step *= 2
    return list(range(0, count, step))
