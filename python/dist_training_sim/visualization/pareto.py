"""Pareto front: choices that no other choice beats in both quantities."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError
from .canvas import add_legend, add_title, dress, format_axis, new_figure
from .hover import set_hover
from .inputs import Floats
from .labels import label_points
from .records import column, read_records
from .style import KINDS, Theme
from .ticks import byte_unit
from .values import label_of, unit_of, value_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["on_front", "pareto_front"]

_LABELLED = 8
_LOG_ABOVE = 30.0
_FRONT, _REST = KINDS["forward"][0], KINDS["other"][0]


def on_front(cost: Floats) -> npt.NDArray[np.bool_]:
    """Which rows of `cost` (n x 2, less is better) no other row beats: not worse in both and better in one."""
    order = np.lexsort((cost[:, 1], cost[:, 0]))
    kept = np.zeros(len(cost), dtype=bool)
    best = np.inf
    for i in order:
        if cost[i, 1] < best:
            kept[i], best = True, cost[i, 1]
    chosen = cost[kept]
    return np.array([bool((row == chosen).all(axis=1).any()) for row in cost])  # equals of a kept row are kept too


def _axis(axes: Axes, which: str, name: str, values: Floats) -> None:
    unit = unit_of(name)
    if values.min() > 0 and values.max() > _LOG_ABOVE * values.min():
        axes.set_xscale("log") if which == "x" else axes.set_yscale("log")
    elif unit == "B":
        from matplotlib.ticker import MaxNLocator

        scale, axis = byte_unit(float(values.max()))[0], axes.xaxis if which == "x" else axes.yaxis
        margin = 0.15 * float(np.ptp(values))
        ticks = MaxNLocator(6).tick_values((values.min() - margin) / scale, (values.max() + margin) / scale)
        axis.set_ticks([float(tick) * scale for tick in ticks if tick >= 0])
    format_axis(axes, which, lambda value: value_text(value, unit))


def pareto_front(
    theme: Theme,
    records: Iterable[object],
    x: str,
    y: str,
    *,
    label: str | None = None,
    maximise: Iterable[str] = (),
    title: str | None = None,
) -> Figure:
    """Draw choices and their Pareto front; see `Visualizer.plot_pareto_front`."""
    from matplotlib.lines import Line2D

    rows = read_records("records", records)
    larger = {maximise} if isinstance(maximise, str) else set(maximise)
    if not larger <= {x, y}:
        raise ConfigError(f"maximise: got {sorted(larger)}, expected names among {x!r} and {y!r}")
    points = np.stack([column("records", rows, x), column("records", rows, y)], axis=1)
    sign = np.array([-1.0 if name in larger else 1.0 for name in (x, y)])
    front = on_front(points * sign)
    figure = new_figure(theme, 8.6, 5.6)
    axes = figure.add_subplot()
    dress(axes, theme, grid="both", x_label=label_of(x), y_label=label_of(y))
    rest = axes.scatter(points[~front, 0], points[~front, 1], s=18, color=_REST, edgecolors=theme.muted, linewidths=0.4)
    order = np.flatnonzero(front)[np.argsort(points[front, 0], kind="stable")]
    axes.plot(points[order, 0], points[order, 1], color=_FRONT, linewidth=1.2)
    best = axes.scatter(points[order, 0], points[order, 1], s=42, color=_FRONT, edgecolors=theme.outline, zorder=3)
    names = _names(rows, label, x, y)
    set_hover(rest, [names[i] for i in np.flatnonzero(~front)])
    set_hover(best, [names[i] for i in order])
    _axis(axes, "x", x, points[:, 0])
    _axis(axes, "y", y, points[:, 1])
    axes.margins(0.12)
    add_legend(
        figure,
        theme,
        [
            Line2D([], [], color=_FRONT, marker="o", label="Pareto front"),
            Line2D([], [], color=_REST, marker="o", linestyle="", label="beaten in both"),
        ],
    )
    heading = f"{len(order)} of {len(points)} choices are not beaten in {label_of(x)} and {label_of(y)}"
    add_title(axes, theme, title or heading, _note(x, y, larger))
    if label is not None:
        spread = order[np.unique(np.linspace(0, len(order) - 1, min(len(order), _LABELLED)).round().astype(int))]
        names = [str(rows[i].get(label)) for i in spread]
        label_points(axes, theme, points[spread], names, _LABELLED, lines=points[order])
    return figure


def _names(rows: Sequence[Mapping[str, object]], label: str | None, x: str, y: str) -> list[str]:
    return [", ".join(f"{key} {value}" for key, value in row.items() if key == label or key in (x, y)) for row in rows]


def _note(x: str, y: str, larger: set[str]) -> str:
    return "; ".join(f"{'more' if name in larger else 'less'} {label_of(name)} is better" for name in (x, y))
