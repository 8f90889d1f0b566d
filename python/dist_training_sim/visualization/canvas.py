"""Figures without pyplot: no global state, one dress for every axes, titles that wrap."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from .style import Theme

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

__all__ = ["SMALL_PT", "TITLE_PT", "add_legend", "add_title", "dress", "format_axis", "new_figure", "plain"]

_DPI = 150
TITLE_PT, SMALL_PT = 12.0, 8.5


def new_figure(theme: Theme, width_in: float, height_in: float) -> Figure:
    """An empty figure with its own Agg canvas, laid out so that no label is cut."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    from .figure import ShownFigure

    figure = ShownFigure(
        figsize=(width_in, height_in),
        dpi=_DPI,
        facecolor=theme.background,
        layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08),
    )
    FigureCanvasAgg(figure)
    return figure


def dress(axes: Axes, theme: Theme, *, grid: str | None = None, x_label: str = "", y_label: str = "") -> None:
    """Give axes the theme's colours, labels and, on `grid` ("x", "y", "both"), light grid lines behind the data."""
    axes.set_facecolor(theme.background)
    axes.tick_params(which="both", colors=theme.muted, labelcolor=theme.text, labelsize=SMALL_PT)
    for side, spine in axes.spines.items():
        spine.set_color(theme.grid)
        spine.set_visible(side in ("left", "bottom"))
    axes.set_xlabel(x_label, color=theme.text, fontsize=SMALL_PT + 0.5)
    axes.set_ylabel(y_label, color=theme.text, fontsize=SMALL_PT + 0.5)
    axes.set_axisbelow(True)
    if grid:
        axes.grid(axis=grid, color=theme.grid, linewidth=0.6)  # type: ignore[arg-type]


def plain(texts: Iterable[Text]) -> None:
    """Draw names that users gave literally, dollar signs included."""
    for text in texts:
        text.set_parse_math(False)


def add_title(axes: Axes, theme: Theme, title: str, note: str = "") -> None:
    """Title flush left above the axes, with a smaller line of facts under it."""
    width_in = axes.figure.bbox.width / _DPI
    notes = textwrap.wrap(note, int(width_in * 14)) if note else []
    text = textwrap.fill(title, int(width_in * 9.5))
    pad = 8.0 + 12.5 * len(notes)
    plain([axes.set_title(text, loc="left", color=theme.text, fontsize=TITLE_PT, fontweight="bold", pad=pad)])
    if notes:
        plain(
            [
                axes.annotate(
                    "\n".join(notes),
                    (0, 1),
                    xycoords="axes fraction",
                    xytext=(0, 6),
                    color=theme.muted,
                    textcoords="offset points",
                    fontsize=SMALL_PT,
                    va="bottom",
                    ha="left",
                )
            ]
        )


def add_legend(figure: Figure, theme: Theme, handles: list[Artist]) -> None:
    """One legend for the figure, below the axes, in as few rows as fit its width, all about as long."""
    most = max(1, int(figure.get_size_inches()[0] / 1.45))
    rows = -(-len(handles) // most)
    columns = max(1, -(-len(handles) // max(rows, 1)))
    legend = figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        labelcolor=theme.text,
        fontsize=SMALL_PT,
        handlelength=1.2,
        columnspacing=1.4,
    )
    plain(legend.get_texts())


def format_axis(axes: Axes, which: str, text_of: Callable[[float], str]) -> None:
    """Write the ticks of the "x" or "y" axis with `text_of`."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_formatter(FuncFormatter(lambda value, _: text_of(value)))
    axis.set_minor_formatter(NullFormatter())
