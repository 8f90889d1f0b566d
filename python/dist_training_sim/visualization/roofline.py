"""Roofline: how fast ops run against what memory bandwidth and the arithmetic peak allow (Williams et al. 2009)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigError, Problems
from ..units import format_count
from .canvas import SMALL_PT, add_title, dress, format_axis, new_figure, plain
from .hover import set_hover
from .inputs import Floats
from .labels import label_points
from .records import column, read_records
from .style import Theme, series_colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["roofline"]

_LABELLED = 14


def _peaks(peak_flops: object, memory_Bps: object) -> dict[str, float]:
    """Roofs by name, highest first, after checking them and the bandwidth."""
    roofs: Mapping[str, Any] = peak_flops if isinstance(peak_flops, Mapping) else {"peak": peak_flops}
    problems = Problems()
    if not roofs:
        problems.add("peak_flops", roofs, "a number, or a mapping of names to FLOP/s")
    for name, value in roofs.items():
        problems.positive(f"peak_flops[{name!r}]" if isinstance(peak_flops, Mapping) else "peak_flops", value)
    problems.positive("memory_Bps", memory_Bps)
    problems.raise_if_any()
    return dict(sorted(((str(name), float(value)) for name, value in roofs.items()), key=lambda item: -item[1]))


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


def _draw_ops(
    axes: Axes, theme: Theme, names: list[str], groups: list[str], x: Floats, y: Floats, time: Floats
) -> None:
    order = list(dict.fromkeys(groups))
    size = 24 + 260 * time / max(float(time.max()), 1e-300)
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
        plain(
            axes.legend(
                frameon=False, fontsize=SMALL_PT, labelcolor=theme.text, loc="lower right", markerscale=0.6
            ).get_texts()
        )


def _read(ops: Iterable[object]) -> tuple[list[str], list[str], Floats, Floats, Floats]:
    """Names, kinds, FLOPs, bytes and seconds of the ops that compute anything."""
    rows = [row for row in read_records("ops", ops) if row.get("flops") != 0]
    if not rows:
        raise ConfigError("ops: got none with FLOPs, expected at least one")
    amounts = {name: column("ops", rows, name) for name in ("flops", "bytes", "time_s")}
    problems = Problems()
    for name, values in amounts.items():
        for i in np.flatnonzero(values <= 0)[:3].tolist():
            problems.add(f"ops[{i}].{name}", float(values[i]), "a finite number > 0")
    problems.raise_if_any()
    names = [str(row.get("name", "")) for row in rows]
    return names, [str(row.get("kind", "ops")) for row in rows], *amounts.values()  # type: ignore[return-value]


def roofline(
    theme: Theme,
    ops: Iterable[object],
    peak_flops: float | Mapping[str, float],
    memory_Bps: float,
    *,
    title: str | None = None,
) -> Figure:
    """Draw ops under a device's roofs; see `Visualizer.plot_roofline`."""
    peaks = _peaks(peak_flops, memory_Bps)
    names, kinds, flops, moved, time = _read(ops)
    x, y, top = flops / moved, flops / time, max(peaks.values())
    span = (float(x.min()) / 3, max(float(x.max()) * 3, top / memory_Bps * 3))
    figure = new_figure(theme, 9.2, 5.8)
    axes = figure.add_subplot()
    dress(axes, theme, grid="both", x_label="Arithmetic intensity (FLOP/B)", y_label="Achieved (FLOP/s)")
    _draw_roofs(axes, theme, peaks, float(memory_Bps), span)
    _draw_ops(axes, theme, names, kinds, x, y, time)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(*span)
    axes.set_ylim(min(float(y.min()), span[0] * memory_Bps) / 2, top * 2.5)
    format_axis(axes, "x", lambda value: f"{value:.4g}")
    format_axis(axes, "y", format_count)
    first = np.argsort(-time, kind="stable")
    label_points(axes, theme, np.stack([x, y], axis=1)[first], [names[i] for i in first], _LABELLED)
    bound = time[x < top / memory_Bps].sum() / time.sum()
    heading = f"{bound:.0%} of the time goes to ops that memory bandwidth bounds"
    note = "area: time of the op; under the slope memory bounds, under the flat part arithmetic"
    add_title(axes, theme, title or heading, note)
    return figure
