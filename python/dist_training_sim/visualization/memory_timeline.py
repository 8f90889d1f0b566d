"""What a rank holds over a step, as a stack of categories, with its peak and the device's memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigError, Problems
from ..units import format_bytes, format_seconds
from .canvas import add_legend, add_title, dress, new_figure
from .inputs import Floats
from .margin import limit_line
from .style import MEMORY, Theme, memory_colours
from .ticks import byte_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["memory_timeline"]

_MOST_POINTS = 20_000
_NAMED = 3


def _read(memory: Any, limit_bytes: object) -> tuple[Floats, dict[str, Floats]]:
    """Times, and bytes per stacked category."""
    from ..verbs.memory_timeline import CATEGORIES, StageMemory

    if not isinstance(memory, StageMemory):
        raise ConfigError(f"memory: got {type(memory).__name__}, expected a StageMemory of dts.memory_timeline")
    problems = Problems()
    if limit_bytes is not None:
        problems.positive("limit_bytes", limit_bytes)
    problems.raise_if_any()
    column = {name: memory.bytes[:, i] for i, name in enumerate(CATEGORIES)}
    stack = {name: column[name] for name in MEMORY if name in column}
    kept = _thinned(memory.bytes.sum(axis=1))
    return memory.time_s[kept], {name: amount[kept] for name, amount in stack.items() if amount.any()}


def _thinned(totals: Floats) -> Any:
    """Indices to draw: all, or of each run of points the lowest and the highest, in order."""
    if len(totals) <= _MOST_POINTS:
        return np.arange(len(totals))
    runs = np.array_split(np.arange(len(totals)), _MOST_POINTS // 2)
    ends = [(run[np.argmin(totals[run])], run[np.argmax(totals[run])]) for run in runs]
    return np.unique(np.array(ends).ravel())


def _mark_peak(axes: Axes, theme: Theme, memory: Any, scale: float, time_scale: float) -> None:
    largest = [t for t in memory.tensors if t.category in ("activations", "temporaries")][:_NAMED]
    held = "\n".join(f"{format_bytes(t.bytes)} {t.name}" for t in largest)
    x, y = memory.peak_time_s / time_scale, memory.peak_bytes / scale
    axes.plot([x], [y], marker="v", color=theme.text, markersize=6, clip_on=False)
    left = x < (axes.get_xlim()[0] + axes.get_xlim()[1]) / 2
    low = y < axes.get_ylim()[1] / 4  # no room for the note below the peak
    note = f"peak {format_bytes(memory.peak_bytes)}\n{held}"
    axes.annotate(
        note,
        (x, y),
        xytext=(8 if left else -8, 22 if low else -4),
        textcoords="offset points",
        va="bottom" if low else "top",
        ha="left" if left else "right",
        fontsize=7.5,
        color=theme.text,
        parse_math=False,
        bbox={"facecolor": theme.background, "edgecolor": theme.grid, "pad": 2.5, "alpha": 0.9},
    )


def memory_timeline(theme: Theme, memory: Any, limit_bytes: float | None = None, *, title: str | None = None) -> Figure:
    """Draw stacked memory over time; see `Visualizer.plot_memory_timeline`."""
    from matplotlib.patches import Patch

    times, stack = _read(memory, limit_bytes)
    top = max(memory.peak_bytes, memory.reserved_bytes, limit_bytes or 0.0)
    scale, unit = byte_unit(top)
    time_scale, time_unit = (1.0, "s") if times[-1] >= 1 else (1e-3, "ms")
    figure = new_figure(theme, 10.0, 4.8)
    axes = figure.add_subplot()
    dress(axes, theme, grid="y", x_label=f"Time into the step ({time_unit})", y_label=f"Allocated ({unit})")
    colours = memory_colours(stack)
    axes.stackplot(
        times / time_scale,
        [amount / scale for amount in stack.values()],
        colors=[colours[name] for name in stack],
        linewidth=0,
    )
    axes.axhline(memory.reserved_bytes / scale, color=theme.muted, linestyle=":", linewidth=1.1)
    axes.annotate(
        f"reserved {format_bytes(memory.reserved_bytes)}",
        (0, memory.reserved_bytes / scale),
        va="bottom",
        ha="left",
        fontsize=7.5,
        xycoords=("axes fraction", "data"),
        xytext=(4, 1),
        textcoords="offset points",
        color=theme.muted,
    )
    if limit_bytes is not None:
        limit_line(axes, theme, limit_bytes / scale, f"device {format_bytes(limit_bytes)}")
    axes.set_xlim(times[0] / time_scale, times[-1] / time_scale)
    axes.set_ylim(0, 1.1 * top / scale)
    _mark_peak(axes, theme, memory, scale, time_scale)
    add_legend(figure, theme, [Patch(facecolor=colours[name], label=MEMORY[name][1]) for name in stack])
    when = f"{format_seconds(memory.peak_time_s)} into the step"
    heading = f"Stage {memory.stage}: at most {format_bytes(memory.peak_bytes)} allocated, {when}"
    add_title(axes, theme, title or heading)
    return figure
