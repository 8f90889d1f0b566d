"""Roofline: how fast ops run against what memory bandwidth and the arithmetic peak allow (Williams et al. 2009)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import Problems
from ..units import format_count
from .canvas import SMALL_PT, add_title, dress, format_axis, new_figure, plain
from .hover import set_hover
from .inputs import Floats
from .labels import label_points
from .roofline_ops import read_ops, table_of
from .style import Theme, series_colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["roofline"]

_LABELLED = 14


def _peaks(peak_flops: object, memory_Bps: object) -> tuple[dict[str, float], float]:
    """Roofs by name, highest first, and the bandwidth, after checking them."""
    roofs: Mapping[str, Any] = peak_flops if isinstance(peak_flops, Mapping) else {"peak": peak_flops}
    problems = Problems()
    if not roofs:
        problems.add("peak_flops", roofs, "a number, or a mapping of names to FLOP/s")
    for name, value in roofs.items():
        problems.positive(f"peak_flops[{name!r}]" if isinstance(peak_flops, Mapping) else "peak_flops", value)
    problems.positive("memory_Bps", memory_Bps)
    problems.raise_if_any()
    highest_first = sorted(((str(name), float(value)) for name, value in roofs.items()), key=lambda item: -item[1])
    return dict(highest_first), float(memory_Bps)  # type: ignore[arg-type]


def _draw_roofs(
    axes: Axes, theme: Theme, peaks: dict[str, float], memory_Bps: float, span: tuple[float, float]
) -> None:
    for i, (name, peak) in enumerate(peaks.items()):
        knee = peak / memory_Bps
        xs = np.array([min(span[0], knee), knee, max(span[1], knee)])
        axes.plot(
            xs,
            np.minimum(peak, xs * memory_Bps),
            color=theme.muted,
            linewidth=1.8 if not i else 1.1,
            linestyle="-" if not i else "--",
            zorder=2,
        )
        axes.annotate(
            f"{name} {format_count(peak)}FLOP/s",
            (xs[-1], peak),
            xytext=(-2, 4),
            ha="right",
            textcoords="offset points",
            fontsize=8,
            color=theme.text,
            parse_math=False,
        )
    x = np.sqrt(span[0] * min(max(peaks.values()) / memory_Bps, span[1]))
    axes.annotate(
        f"memory {memory_Bps / 1e12:.3g} TB/s",
        (x, x * memory_Bps),
        xytext=(-4, 6),
        ha="right",
        textcoords="offset points",
        fontsize=8,
        color=theme.text,
    )


def _areas(time: Floats) -> Floats:
    """Square points of each marker."""
    return 24 + 260 * time / max(float(time.max()), 1e-300)


def _draw_ops(
    axes: Axes, theme: Theme, names: list[str], groups: list[str], x: Floats, y: Floats, time: Floats
) -> None:
    order = list(dict.fromkeys(groups))
    size = _areas(time)
    share = time / time.sum() if time.sum() else time
    for i, group in enumerate(order):
        on = np.array([name == group for name in groups])
        points = axes.scatter(
            x[on],
            y[on],
            s=size[on],
            color=series_colour(i),
            edgecolors=theme.outline,
            alpha=0.85,
            linewidths=0.6,
            zorder=3,
            label=group,
        )
        set_hover(
            points,
            [
                f"{names[j]}: {format_count(y[j])}FLOP/s at {x[j]:.3g} FLOP/B, {share[j]:.1%} of the time"
                for j in np.flatnonzero(on)
            ],
        )
    if len(order) > 1:
        legend = axes.legend(frameon=False, fontsize=SMALL_PT, labelcolor=theme.text, loc="lower right")
        plain(legend.get_texts())
        for handle in legend.legend_handles:
            handle.set_sizes([48.0])  # type: ignore[union-attr]


def roofline(
    theme: Theme,
    ops: object,
    peak_flops: float | Mapping[str, float] | None,
    memory_Bps: float | None,
    *,
    title: str | None = None,
) -> Figure:
    """Draw ops under a device's roofs; see `Visualizer.plot_roofline`."""
    table = table_of(ops)
    if table is not None:
        peak_flops = table.peak_flops if peak_flops is None else peak_flops
        memory_Bps = table.memory_Bps if memory_Bps is None else memory_Bps
    peaks, memory_Bps = _peaks(peak_flops, memory_Bps)
    drawn = read_ops(ops)
    names, time = drawn.names, drawn.time_s
    x, y, top = drawn.flops / drawn.bytes, drawn.flops / time, max(peaks.values())
    knee = top / memory_Bps
    span = (min(float(x.min()) / 3, knee / 8), max(float(x.max()) * 3, knee * 3))
    figure = new_figure(theme, 9.2, 5.8)
    axes = figure.add_subplot()
    dress(axes, theme, grid="both", x_label="Arithmetic intensity (FLOP/B)", y_label="Achieved (FLOP/s)")
    _draw_roofs(axes, theme, peaks, memory_Bps, span)
    _draw_ops(axes, theme, names, drawn.kinds, x, y, time)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(*span)
    axes.set_ylim(min(float(y.min()), span[0] * memory_Bps) / 2, top * 2.5)
    format_axis(axes, "x", lambda value: f"{value:,.0f}" if value >= 1 else f"{value:.4g}")
    format_axis(axes, "y", format_count)
    whole = float(time.sum()) + drawn.others_s
    bound = (float(time[x < knee].sum()) + drawn.others_s) / whole
    heading = f"{bound:.0%} of the time goes to ops that memory bandwidth bounds"
    note = "area: time of the op; under the slope memory bounds, under the flat part arithmetic"
    if drawn.others_s:
        note = f"area: time of the op in a step; ops without FLOPs, {drawn.others_s / whole:.0%} of the time, not drawn"
    add_title(axes, theme, title or heading, note)
    first = np.argsort(-time, kind="stable")
    radii = np.sqrt(_areas(time)[first] / np.pi)
    roof = np.array([(span[0], span[0] * memory_Bps), (knee, top), (span[1], top)])
    label_points(axes, theme, np.stack([x, y], axis=1)[first], [names[i] for i in first], _LABELLED, radii, roof)
    return figure
