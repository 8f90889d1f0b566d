"""Axes of an interactive figure: place, range, scale, ticks and grid of each matplotlib axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["axis_names", "lay_out_axes"]


def axis_names(number: int) -> tuple[str, str]:
    """Plotly's names of the `number`-th pair of axes, counted from 1."""
    tail = "" if number == 1 else str(number)
    return f"x{tail}", f"y{tail}"


def _hex(colour: Any) -> str:
    from matplotlib.colors import to_hex

    return to_hex(colour)


def _ticks(axis: Any, log: bool) -> dict[str, Any]:
    """Ticks with their texts as drawn; without text none."""
    low, high = sorted(axis.get_view_interval())
    texts = {
        float(at): label.get_text()
        for at, label in zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=False)
        if low <= at <= high and label.get_text()
    }
    minor = {
        float(at): label.get_text()
        for at, label in zip(axis.get_ticklocs(minor=True), axis.get_ticklabels(minor=True), strict=False)
        if low <= at <= high and label.get_text()
    }
    texts = {**minor, **texts}
    if not texts:
        return {"showticklabels": False, "ticks": ""}
    return {"tickmode": "array", "tickvals": list(texts), "ticktext": list(texts.values())}


def _axis(axes: Axes, which: str, domain: tuple[float, float]) -> dict[str, Any]:
    axis = axes.xaxis if which == "x" else axes.yaxis
    log = axis.get_scale() == "log"
    limits = np.array(axes.get_xlim() if which == "x" else axes.get_ylim(), dtype=float)
    gridded = axis.get_gridlines()[:1]
    shown = axes.axison
    colour = _hex(axis.label.get_color())
    return {
        "domain": list(domain),
        "range": (np.log10(limits) if log else limits).tolist(),
        "type": "log" if log else "linear",
        "title": {"text": axis.label.get_text(), "font": {"size": 12, "color": colour}},
        "zeroline": False,
        "showgrid": bool(shown and gridded and gridded[0].get_visible()),
        "visible": bool(shown),
        "gridcolor": _hex(gridded[0].get_color()) if gridded else colour,
        "linecolor": _hex(axes.spines["left"].get_edgecolor()),
        "showline": axes.spines["left"].get_visible(),
        "tickfont": {"size": 11, "color": colour},
        **_ticks(axis, log),
    }


def _legend(figure: Figure, panels: list[Axes]) -> dict[str, Any]:
    """Where the legend inside the first axes that have one stands."""
    for axes in panels:
        legend = axes.get_legend()
        if legend is not None:
            box = legend.get_window_extent().transformed(figure.transFigure.inverted())
            return {"x": box.x0, "y": box.y1, "xanchor": "left", "yanchor": "top", "bgcolor": "rgba(0,0,0,0)"}
    return {"bgcolor": "rgba(0,0,0,0)"}


def lay_out_axes(figure: Figure, panels: list[Axes]) -> dict[str, Any]:
    """Layout keys of all axes, and the colours of the page."""
    layout: dict[str, Any] = {}
    for number, axes in enumerate(panels, 1):
        box = axes.get_position()
        x, y = axis_names(number)
        layout[f"xaxis{x[1:]}"] = {**_axis(axes, "x", (box.x0, box.x1)), "anchor": y}
        layout[f"yaxis{y[1:]}"] = {**_axis(axes, "y", (box.y0, box.y1)), "anchor": x}
    ground, ink = _hex(figure.get_facecolor()), _hex(panels[0].xaxis.label.get_color())
    return layout | {
        "paper_bgcolor": ground,
        "plot_bgcolor": ground,
        "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
        "font": {"color": ink, "family": "DejaVu Sans, Verdana, sans-serif"},
        "legend": _legend(figure, panels),
        "hoverlabel": {"align": "left"},
    }
