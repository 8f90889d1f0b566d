"""Devices on a circle, a grid or in nodes, and an arrow for every pair that talks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..units import format_bytes
from .bytes_scale import add_colorbar, byte_colours
from .hover import set_hover
from .inputs import Floats
from .style import Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_graph"]

_LABELLED_EDGES = 16
_NAMED_PT = 9.5  # diameter of the smallest node whose number can be read
_BEND = 0.13  # of each arrow, so that both directions of a pair show


def _node_pt(count: int) -> float:
    """Diameter of a node in points."""
    return float(np.clip(700.0 / count, 6.0, 34.0))


def _draw_edges(axes: Axes, theme: Theme, sent: Floats, places: Floats) -> None:
    from matplotlib.patches import FancyArrowPatch

    norm, palette = byte_colours(theme, sent[sent > 0])
    gap = _node_pt(len(sent)) / 2 + 1.5
    pairs = np.argwhere(sent > 0)
    widest = float(np.clip(80.0 / len(pairs), 0.9, 2.8))  # many wide arrows would hide one another
    for i, j in pairs[np.argsort(sent[sent > 0], kind="stable")]:
        strength = float(norm(float(sent[i, j])))
        axes.add_patch(
            FancyArrowPatch(
                tuple(places[i]),
                tuple(places[j]),
                connectionstyle=f"arc3,rad={_BEND}",
                arrowstyle="-|>",
                mutation_scale=7 + 2.5 * widest * strength,
                linewidth=0.7 + (widest - 0.7) * strength,
                color=palette(strength),
                shrinkA=gap,
                shrinkB=gap,
                gid=f"edge-{i}-{j}",
            )
        )
    if len(pairs) <= _LABELLED_EDGES:
        _label_edges(axes, theme, sent, places)
    if np.ptp(sent[sent > 0]) > 0:
        add_colorbar(axes, theme, (norm, palette), "Bytes sent")


def _label_edges(axes: Axes, theme: Theme, sent: Floats, places: Floats) -> None:
    for i, j in np.argwhere(sent > 0):
        along = places[j] - places[i]
        bend = np.array([along[1], -along[0]]) * _BEND  # arc3 bends to this side; its control point is rad away
        # Off the middle, so that labels of arrows through the centre do not meet there.
        x, y = places[i] + 0.42 * along + 0.5 * bend
        axes.text(
            x,
            y,
            format_bytes(float(sent[i, j])),
            fontsize=7,
            color=theme.text,
            ha="center",
            va="center",
            bbox={"facecolor": theme.background, "edgecolor": "none", "pad": 0.8, "alpha": 0.85},
        )


def draw_graph(axes: Axes, theme: Theme, sent: Floats, places: Floats) -> None:
    """Draw the devices at their places, and the arrows of a traffic matrix in bytes (row sends to column)."""
    if sent.any():
        _draw_edges(axes, theme, sent, places)
    size = _node_pt(len(sent))
    dots = axes.scatter(places[:, 0], places[:, 1], s=size**2, color=theme.grid, edgecolors=theme.muted, zorder=3)
    set_hover(
        dots,
        [
            f"device {i}: sends {format_bytes(float(sent[i].sum()))}, receives {format_bytes(float(sent[:, i].sum()))}"
            for i in range(len(sent))
        ],
    )
    for device, (x, y) in enumerate(places if size >= _NAMED_PT else ()):
        axes.text(
            x, y, str(device), ha="center", va="center", color=theme.text, zorder=4, fontsize=min(10.0, size * 0.5)
        )
    reach = max(1.0, float(np.abs(places).max())) + 0.25
    axes.set_xlim(-reach, reach)
    axes.set_ylim(-reach, reach)
    axes.set_aspect("equal")
    axes.set_axis_off()
