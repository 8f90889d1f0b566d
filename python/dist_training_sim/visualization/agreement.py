"""Predicted against measured: points around the line of equality, by group."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import Problems
from .canvas import SMALL_PT, add_title, dress, format_axis, new_figure, plain
from .hover import set_hover
from .inputs import Floats, as_list, vector
from .style import KINDS, Theme, series_colour
from .values import value_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["predicted_against_measured"]

_MOST_GROUPS = 8
_WITHIN = 0.2
_LOG_ABOVE, _FEW_DECADES = 10.0, 300.0


def _read(
    predicted: Iterable[object],
    measured: Iterable[object],
    groups: Iterable[object] | None,
) -> tuple[Floats, Floats, list[str]]:
    first, second = as_list("predicted", predicted), as_list("measured", measured)
    names = [str(name) for name in as_list("groups", groups)] if groups is not None else ["runs"] * len(first)
    problems = Problems()
    for where, values in (("measured", second), ("groups", names)):
        if len(values) != len(first):
            problems.add(where, f"{len(values)} values", f"{len(first)}, one per entry of predicted")
    x = vector(problems, "measured", second, positive=True)
    y = vector(problems, "predicted", first, positive=True)
    problems.raise_if_any()
    return x, y, names


def _ranked(names: Sequence[str]) -> list[str]:
    """Groups by size, largest first; those beyond eight are drawn together."""
    counts = {name: names.count(name) for name in dict.fromkeys(names)}
    return sorted(counts, key=lambda name: -counts[name])


def _draw_points(axes: Axes, theme: Theme, x: Floats, y: Floats, names: list[str], unit: str) -> None:
    ranked, group_of = _ranked(names), np.array(names)
    size = float(np.clip(900.0 / len(x), 9.0, 36.0))
    for i, name in enumerate(ranked[:_MOST_GROUPS]):
        on = group_of == name
        points = axes.scatter(
            x[on],
            y[on],
            s=size,
            color=series_colour(i),
            edgecolors=theme.outline,
            linewidths=0.3,
            label=f"{name} ({on.sum()})" if len(ranked) > 1 else None,
            zorder=3,
        )
        set_hover(
            points,
            [
                f"{name}: measured {value_text(a, unit)}, predicted {value_text(b, unit)} ({b / a - 1:+.1%})"
                for a, b in zip(x[on].tolist(), y[on].tolist(), strict=True)
            ],
        )
    rest = ~np.isin(group_of, ranked[:_MOST_GROUPS])
    if rest.any():
        axes.scatter(
            x[rest],
            y[rest],
            s=size,
            color=KINDS["other"][0],
            edgecolors=theme.outline,
            linewidths=0.3,
            label=f"{len(ranked) - _MOST_GROUPS} others ({rest.sum()})",
            zorder=2,
        )


def _draw_guides(axes: Axes, theme: Theme, low: float, high: float) -> None:
    ends = np.array([low, high])
    axes.fill_between(ends, ends * (1 - _WITHIN), ends * (1 + _WITHIN), color=theme.grid, alpha=0.55, linewidth=0)
    axes.plot(ends, ends, color=theme.muted, linewidth=1.0)


def _inside(quantity: str) -> str:
    """The quantity within a phrase: no capital, unless it is an abbreviation."""
    return quantity if quantity[1:2].isupper() else quantity[:1].lower() + quantity[1:]


def predicted_against_measured(
    theme: Theme,
    predicted: Iterable[object],
    measured: Iterable[object],
    *,
    groups: Iterable[object] | None = None,
    quantity: str = "Step time",
    unit: str = "s",
    title: str | None = None,
) -> Figure:
    """Draw predictions beside measurements; see `Visualizer.plot_predicted_vs_measured`."""
    from matplotlib.ticker import LogLocator

    x, y, names = _read(predicted, measured, groups)
    low, high = 0.8 * float(min(x.min(), y.min())), 1.25 * float(max(x.max(), y.max()))
    figure = new_figure(theme, 7.2, 6.6)
    axes = figure.add_subplot()
    dress(axes, theme, grid="both", x_label=f"Measured {_inside(quantity)}", y_label=f"Predicted {_inside(quantity)}")
    _draw_guides(axes, theme, low, high)
    _draw_points(axes, theme, x, y, names, unit)
    if high > _LOG_ABOVE * low:
        axes.set_xscale("log")
        axes.set_yscale("log")
        if high < _FEW_DECADES * low:
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    for which in ("x", "y"):
        format_axis(axes, which, lambda value: value_text(value, unit))
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    axes.set_aspect("equal")
    if len(set(names)) > 1:
        plain(axes.legend(frameon=False, fontsize=SMALL_PT, labelcolor=theme.text, loc="upper left").get_texts())
    error = np.abs(y / x - 1)
    runs = "1 run" if len(x) == 1 else f"{len(x):,} runs"
    heading = f"{quantity} of {runs}: median error {np.median(error):.1%}"
    note = (
        f"{np.mean(error <= _WITHIN):.0%} lie in the grey band, within {_WITHIN:.0%}; bias {np.median(y / x - 1):+.1%}"
    )
    add_title(axes, theme, title or heading, note)
    return figure
