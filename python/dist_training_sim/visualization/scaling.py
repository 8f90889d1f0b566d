"""Throughput over device count beside perfect scaling, and the efficiency that follows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from ..errors import Problems
from ..units import format_count
from .canvas import SMALL_PT, TITLE_PT, dress, format_axis, new_figure, plain
from .inputs import Floats, as_list, vector
from .style import KINDS, Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["scaling_efficiency"]

_LABELS = 12  # most labels beside one another
_LINE, _IDEAL = KINDS["forward"][0], KINDS["all_reduce"][0]


def _band(problems: Problems, ends: dict[str, Iterable[object] | None], rate: Floats) -> Floats | None:
    """Lower and upper ends of the interval, shape (2, n), or none."""
    given = {name: values for name, values in ends.items() if values is not None}
    if len(given) == 1:
        problems.add(next(name for name in ends if name not in given), None, f"values beside {next(iter(given))}")
    if len(given) < 2:
        return None
    arrays = []
    for name, values in given.items():
        items = as_list(name, values)
        if len(items) != len(rate):
            problems.add(name, f"{len(items)} values", f"{len(rate)}, one per entry of num_devices")
            return None
        arrays.append(vector(problems, name, items, positive=True))
    band = np.stack(arrays)
    for i in np.flatnonzero((band[0] > rate) | (band[1] < rate))[:3].tolist():
        problems.add(
            f"low[{i}], high[{i}]", (float(band[0, i]), float(band[1, i])), f"an interval around {rate[i]:.6g}"
        )
    return band


def _read(
    num_devices: Iterable[object],
    throughput: Iterable[object],
    low: Iterable[object] | None,
    high: Iterable[object] | None,
) -> tuple[Floats, Floats, Floats | None]:
    """All series, sorted by device count."""
    counts, rates = as_list("num_devices", num_devices), as_list("throughput", throughput)
    problems = Problems()
    if len(counts) != len(rates):
        problems.add("throughput", f"{len(rates)} values", f"{len(counts)}, one per entry of num_devices")
    devices = vector(problems, "num_devices", counts, positive=True)
    rate = vector(problems, "throughput", rates, positive=True)
    for i in np.flatnonzero(np.isfinite(devices) & (devices != np.rint(devices)))[:3]:
        problems.add(f"num_devices[{i}]", counts[i], "a whole number of devices")
    if len(np.unique(devices)) != len(devices) and np.isfinite(devices).all():
        problems.add("num_devices", counts, "each device count once")
    band = _band(problems, {"low": low, "high": high}, rate)
    problems.raise_if_any()
    order = np.argsort(devices)
    return devices[order], rate[order], None if band is None else band[:, order]


def _legible(devices: Floats) -> list[int]:
    """Indices whose labels do not run into one another on a log2 axis; first and last always among them."""
    position = np.log2(devices)
    apart = max(float(position[-1] - position[0]), 1.0) / _LABELS
    kept = [0]
    for i in range(1, len(devices)):
        if position[i] - position[kept[-1]] >= apart:
            kept.append(i)
    if kept[-1] != len(devices) - 1:
        kept = [*(kept[:-1] if len(kept) > 1 else kept), len(devices) - 1]
    return kept


def _device_axis(axes: Axes, theme: Theme, devices: Floats, shown: list[int]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(devices[shown], [f"{int(devices[i])}" for i in shown])
    axes.minorticks_off()
    axes.set_xlim(devices[0] / 1.25, devices[-1] * 1.25)
    if devices[-1] >= 1000 and len(shown) > 6:
        axes.tick_params(axis="x", labelrotation=45)


def _draw_throughput(
    axes: Axes, theme: Theme, devices: Floats, rate: Floats, band: Floats | None, unit: str, interval: str
) -> None:
    from matplotlib.ticker import LogLocator

    ideal = rate[0] * (devices / devices[0])
    axes.plot(devices, ideal, "--", color=_IDEAL, linewidth=1.4, label="Perfect scaling")
    axes.plot(devices, rate, "-o", color=_LINE, linewidth=1.8, markersize=4.5, label="Throughput")
    if band is not None:
        axes.fill_between(devices, band[0], band[1], color=_LINE, alpha=0.18, linewidth=0, label=interval)
    axes.set_yscale("log", base=10)
    few = ideal.max() / rate.min() < 300
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,), numticks=12))
    dress(axes, theme, grid="both", x_label="Devices", y_label=f"Throughput ({unit})")
    format_axis(axes, "y", format_count)
    plain(axes.legend(frameon=False, labelcolor=theme.text, fontsize=SMALL_PT, loc="upper left").get_texts())


def _draw_efficiency(
    axes: Axes, theme: Theme, devices: Floats, efficiency: Floats, spread: Floats | None, shown: list[int]
) -> None:
    percent = 100 * efficiency
    if spread is not None:
        axes.fill_between(devices, percent * spread[0], percent * spread[1], color=_LINE, alpha=0.18, linewidth=0)
    axes.axhline(100, color=_IDEAL, linestyle="--", linewidth=1.4)
    axes.plot(devices, percent, "-o", color=_LINE, linewidth=1.8, markersize=4.5)
    for i in shown:
        axes.annotate(
            f"{percent[i]:.3g}%",
            (devices[i], percent[i]),
            xytext=(0, -7),
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=7.5,
            color=theme.text,
        )
    dress(axes, theme, grid="y", x_label="Devices", y_label=f"Efficiency (%), relative to {int(devices[0])}")
    highest = percent if spread is None else percent * spread[1]
    axes.set_ylim(0, max(108.0, 1.1 * float(highest.max())))


def _spread(band: Floats | None, rate: Floats) -> Floats | None:
    """Ends of the band over the throughput; the reference is 100 % by definition, whatever its own error."""
    if band is None:
        return None
    spread: Floats = band / rate
    spread[:, 0] = 1.0
    return spread


def scaling_efficiency(
    theme: Theme,
    num_devices: Iterable[object],
    throughput: Iterable[object],
    *,
    interval: str = "Interval",
    low: Iterable[object] | None = None,
    high: Iterable[object] | None = None,
    title: str | None = None,
    unit: str = "samples/s",
) -> Figure:
    """Draw a scaling curve; see `Visualizer.plot_scaling_efficiency`."""
    devices, rate, band = _read(num_devices, throughput, low, high)
    efficiency = (rate / rate[0]) / (devices / devices[0])
    shown = _legible(devices)
    figure = new_figure(theme, 11.0, 4.6)
    left, right = figure.subplots(1, 2)
    _draw_throughput(left, theme, devices, rate, band, unit, interval)
    _draw_efficiency(right, theme, devices, efficiency, _spread(band, rate), shown)
    for axes in (left, right):
        _device_axis(axes, theme, devices, shown)
    heading = f"{100 * efficiency[-1]:.3g}% efficient at {int(devices[-1])} devices, relative to {int(devices[0])}"
    plain(
        [figure.suptitle(title or heading, x=0.012, ha="left", color=theme.text, fontsize=TITLE_PT, fontweight="bold")]
    )
    return figure
