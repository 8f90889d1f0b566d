"""Who sends how much to whom: a circle of devices with arrows for a few, a heat map for many or dense traffic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConfigError
from ..units import format_bytes
from .canvas import add_title, dress, new_figure
from .graph import draw_graph
from .heatmap import draw_heatmap
from .inputs import Floats, matrix
from .style import Theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["communication_graph"]

_LAYOUTS = ("auto", "graph", "matrix")
_MAX_NODES, _MAX_EDGES = 32, 130  # beyond either, arrows hide one another
_HARD_NODES = 128  # nodes of a circle that still can be told apart


def _resolve(layout: str, sent: Floats) -> str:
    if layout not in _LAYOUTS:
        raise ConfigError(f"layout: got {layout!r}, expected one of {', '.join(_LAYOUTS)}")
    if layout == "graph" and len(sent) > _HARD_NODES:
        raise ConfigError(f"layout: got 'graph' for {len(sent)} devices, expected at most {_HARD_NODES}; use 'matrix'")
    if layout != "auto":
        return layout
    return "graph" if len(sent) <= _MAX_NODES and np.count_nonzero(sent) <= _MAX_EDGES else "matrix"


def _facts(sent: Floats, local_bytes: float) -> str:
    amounts = sent[sent > 0]
    local = f"; {format_bytes(local_bytes)} within devices not drawn" if local_bytes > 0 else ""
    if not len(amounts):
        return "no device sends to another" + local
    per_pair = (f"{format_bytes(amounts[0])} each" if np.allclose(amounts, amounts[0], rtol=1e-3) else
                f"{format_bytes(amounts.min())} to {format_bytes(amounts.max())} each")
    busiest = format_bytes(float(sent.sum(axis=1).max()))
    return f"{len(amounts)} sender-receiver pairs, {per_pair}; the busiest device sends {busiest}{local}"


def communication_graph(theme: Theme, comm_adjacency: object, *, title: str | None = None,
                        layout: str = "auto") -> Figure:
    """Draw a traffic matrix; see `Visualizer.plot_communication_graph`."""
    traffic = matrix("comm_adjacency", comm_adjacency)
    sent = traffic - np.diag(np.diag(traffic))
    count = len(sent)
    kind = _resolve(layout, sent)
    figure = new_figure(theme, *((10.4, 9.2) if kind == "matrix" and count > _HARD_NODES else (8.6, 7.6)))
    axes = figure.add_subplot()
    dress(axes, theme)
    if kind == "graph":
        draw_graph(axes, theme, sent)
    else:
        draw_heatmap(axes, theme, sent)
    devices = f"{count} device{'s' * (count > 1)}"
    heading = f"{devices} exchange {format_bytes(float(sent.sum()))}" if sent.any() else f"No traffic: {devices}"
    add_title(axes, theme, title or heading, _facts(sent, float(np.trace(traffic))))
    return figure
