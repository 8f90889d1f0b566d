"""Time or bus bandwidth of collectives over the message size: predictions as lines, measurements as points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import ConfigError
from ..units import format_bytes, format_seconds
from .canvas import add_title, dress, format_axis, new_figure
from .style import line_colour, theme_named

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Series", "plot_sweeps"]


@dataclass(frozen=True)
class Series:
    """One curve: sizes in bytes and seconds (or bytes per second, see `plot_sweeps`); points where `measured`."""

    label: str
    size_bytes: Sequence[float]
    values: Sequence[float]
    measured: bool = False
    colour: int = 0


def plot_sweeps(
    series: Sequence[Series], title: str, *, note: str = "", bandwidth: bool = False, theme: str = "light"
) -> Figure:
    """Draw sweeps on logarithmic axes.

    Parameters
    ----------
    series
        Curves; those of one `colour` (0 to 7) share it.
    title, note
        Heading and the line below it.
    bandwidth
        Values are bytes per second instead of seconds.
    theme
        `"light"` or `"dark"`.

    Raises
    ------
    ConfigError
        If there is nothing to draw.
    """
    if not any(len(one.values) for one in series):
        raise ConfigError("series: got nothing, expected at least one point to draw")
    look = theme_named(theme)
    figure = new_figure(look, 8.6, 5.2)
    axes = figure.add_subplot()
    y_label = "Bus bandwidth (GB/s)" if bandwidth else "Time"
    dress(axes, look, grid="both", x_label="Message size", y_label=y_label)
    for one in series:
        colour = line_colour(look, one.colour)
        values = [v / 1e9 for v in one.values] if bandwidth else list(one.values)
        shape = {"linestyle": "", "marker": "o", "markersize": 4} if one.measured else {"linewidth": 1.6}
        axes.plot(one.size_bytes, values, color=colour, label=one.label, **shape)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    format_axis(axes, "x", format_bytes)
    format_axis(axes, "y", (lambda value: f"{value:g}") if bandwidth else format_seconds)
    legend = axes.legend(frameon=False, fontsize=8.5, labelcolor=look.text)
    legend.set_zorder(3)
    add_title(axes, look, title, note)
    return figure
