"""Parallel coordinates: every choice of a search as a line through its settings and its result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConfigError
from .canvas import SMALL_PT, add_title, dress, new_figure
from .inputs import Floats
from .records import column, field_names, mixed_column, read_records
from .style import KINDS, Theme
from .values import label_of, unit_of, value_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["parallel_coordinates"]

_MOST_LINES = 2_000
_MOST_TICKS = 9
_BEST = KINDS["all_reduce"][0]
_PALEST = 0.2


@dataclass(frozen=True)
class _Axis:
    """One vertical axis: where each record stands (0 to 1), and ticks."""

    name: str
    places: Floats
    ticks: list[tuple[float, str]]


def _axis(name: str, rows: Sequence[Mapping[str, object]]) -> _Axis:
    """Texts and few distinct numbers evenly spaced, other numbers by value."""
    values, texts = mixed_column("records", rows, name)
    distinct = np.unique(values)
    unit = unit_of(name)
    if texts or len(distinct) <= _MOST_TICKS:
        places = np.searchsorted(distinct, values) / max(len(distinct) - 1, 1)
        shown = [texts[int(v)] if texts else value_text(float(v), unit) for v in distinct]
        ticks = [(i / max(len(distinct) - 1, 1), text) for i, text in enumerate(shown)]
        return _Axis(
            name, places if len(distinct) > 1 else places + 0.5, ticks if len(distinct) > 1 else [(0.5, shown[0])]
        )
    low, high = float(distinct[0]), float(distinct[-1])
    ticks = [(share, value_text(low + share * (high - low), unit)) for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    return _Axis(name, (values - low) / (high - low), ticks)


def _draw_axis(axes: Axes, theme: Theme, x: int, axis: _Axis) -> None:
    every = -(-len(axis.ticks) // _MOST_TICKS)
    axes.axvline(x, color=theme.muted, linewidth=1.0, zorder=2)
    for place, text in axis.ticks[::every]:
        axes.annotate(
            text,
            (x, place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=7.5,
            zorder=4,
            color=theme.text,
            parse_math=False,
            bbox={"facecolor": theme.background, "edgecolor": "none", "pad": 0.8, "alpha": 0.8},
        )


def _draw_lines(axes: Axes, theme: Theme, places: Floats, shade: Floats, best: int) -> None:
    from matplotlib import colormaps
    from matplotlib.collections import LineCollection

    order = np.argsort(-shade, kind="stable")[-_MOST_LINES:]  # the best end up on top
    xs = np.arange(places.shape[1])
    segments = [np.stack([xs, places[i]], axis=1) for i in order]
    colours = colormaps[theme.colormap](1 - (1 - _PALEST) * shade[order])
    lines = LineCollection(segments, colors=colours, linewidths=0.8, alpha=0.55 if len(order) > 50 else 0.85)
    lines.set_rasterized(len(order) > 500)
    axes.add_collection(lines)
    axes.plot(xs, places[best], color=_BEST, linewidth=2.4, zorder=3, label="best")


def _setting(row: Mapping[str, object], name: str) -> str:
    value = row[name]
    text = value_text(float(value), unit_of(name)) if isinstance(value, Real) else str(value)
    return f"{label_of(name)} {text}"


def parallel_coordinates(
    theme: Theme,
    records: Iterable[object],
    objective: str,
    *,
    fields: Iterable[str] | None = None,
    maximise: bool = False,
    title: str | None = None,
) -> Figure:
    """Draw the choices of a search; see `Visualizer.plot_search`."""
    rows = read_records("records", records)
    result = column("records", rows, objective)
    names = [name for name in (field_names(rows) if fields is None else fields) if name != objective]
    if not names:
        raise ConfigError("fields: got none beside the objective, expected at least one")
    axes_data = [_axis(name, rows) for name in [*names, objective]]
    worse = (result.max() - result) if maximise else (result - result.min())
    shade = worse / worse.max() if worse.max() > 0 else np.zeros(len(rows))
    best = int(np.argmin(worse))
    figure = new_figure(theme, float(np.clip(1.25 * len(axes_data) + 1.5, 6.5, 16.0)), 5.4)
    axes = figure.add_subplot()
    dress(axes, theme)
    _draw_lines(axes, theme, np.stack([axis.places for axis in axes_data], axis=1), shade, best)
    for x, axis in enumerate(axes_data):
        _draw_axis(axes, theme, x, axis)
    axes.set_xticks(range(len(axes_data)), [label_of(axis.name) for axis in axes_data], fontsize=SMALL_PT)
    axes.tick_params(axis="x", length=0, pad=8)
    axes.set_yticks([])
    axes.set_xlim(-0.15, len(axes_data) - 0.35)
    axes.set_ylim(-0.05, 1.05)
    for spine in axes.spines.values():
        spine.set_visible(False)
    heading = f"Best of {len(rows):,}: {label_of(objective)} {value_text(float(result[best]), unit_of(objective))}"
    left_out = len(rows) - min(len(rows), _MOST_LINES)
    note = ", ".join(_setting(rows[best], name) for name in names) + "; stronger colours are better"
    add_title(axes, theme, title or heading, note + (f"; the worst {left_out:,} are not drawn" if left_out else ""))
    return figure
