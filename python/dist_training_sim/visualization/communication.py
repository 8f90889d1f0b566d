"""Who sends how much to whom: devices with arrows for a few, a heat map for many or dense traffic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import Problems
from ..units import format_bytes
from .canvas import add_title, dress, new_figure
from .graph import draw_graph
from .heatmap import draw_heatmap
from .inputs import Floats, matrix
from .places import circle, grid, nodes
from .style import Theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["communication_graph"]

_LAYOUTS = ("auto", "graph", "circle", "grid", "nodes", "matrix")
_MAX_NODES, _MAX_EDGES = 32, 130  # beyond either, arrows hide one another
_HARD_NODES = 128  # devices that still can be told apart


def _resolve(layout: str, sent: Floats, devices_per_node: int | None) -> str:
    problems = Problems()
    if layout not in _LAYOUTS:
        problems.add("layout", layout, f"one of {', '.join(_LAYOUTS)}")
    elif layout not in ("auto", "matrix") and len(sent) > _HARD_NODES:
        problems.add("layout", layout, f"at most {_HARD_NODES} devices, not {len(sent)}", "use 'matrix'")
    per_node = 1 if devices_per_node is None else devices_per_node
    if problems.count("devices_per_node", per_node) and len(sent) % per_node:
        problems.add("devices_per_node", devices_per_node, f"a divisor of the {len(sent)} devices")
    problems.raise_if_any()
    if layout == "auto":
        few = len(sent) <= _MAX_NODES and np.count_nonzero(sent) <= _MAX_EDGES
        return ("nodes" if devices_per_node else "circle") if few else "matrix"
    return "circle" if layout == "graph" else layout


def _places(kind: str, count: int, devices_per_node: int | None) -> Floats:
    if kind == "grid":
        rows = next(r for r in range(int(count**0.5), 0, -1) if count % r == 0)
        columns = devices_per_node or count // rows
        return grid(columns, count // columns)
    return nodes(count, devices_per_node or 8) if kind == "nodes" else circle(count)


def _facts(sent: Floats, local_bytes: float) -> str:
    amounts = sent[sent > 0]
    local = f"; {format_bytes(local_bytes)} within devices not drawn" if local_bytes > 0 else ""
    if not len(amounts):
        return "no device sends to another" + local
    per_pair = (
        f"{format_bytes(amounts[0])} each"
        if np.allclose(amounts, amounts[0], rtol=1e-3)
        else f"{format_bytes(amounts.min())} to {format_bytes(amounts.max())} each"
    )
    busiest = format_bytes(float(sent.sum(axis=1).max()))
    return f"{len(amounts):,} sender-receiver pairs, {per_pair}; the busiest device sends {busiest}{local}"


def communication_graph(
    theme: Theme,
    comm_adjacency: object,
    *,
    title: str | None = None,
    layout: str = "auto",
    devices_per_node: int | None = None,
) -> Figure:
    """Draw a traffic matrix; see `Visualizer.plot_communication_graph`."""
    traffic = matrix("comm_adjacency", getattr(comm_adjacency, "comm_adjacency", comm_adjacency))
    sent = traffic - np.diag(np.diag(traffic))
    count = len(sent)
    kind = _resolve(layout, sent, devices_per_node)
    figure = new_figure(theme, *((10.4, 9.2) if kind == "matrix" and count > _HARD_NODES else (8.6, 7.6)))
    axes = figure.add_subplot()
    dress(axes, theme)
    if kind == "matrix":
        draw_heatmap(axes, theme, sent)
    else:
        draw_graph(axes, theme, sent, _places(kind, count, devices_per_node))
    devices = f"{count:,} device{'s' * (count > 1)}"
    heading = f"{devices} exchange {format_bytes(float(sent.sum()))}" if sent.any() else f"No traffic: {devices}"
    add_title(axes, theme, title or heading, _facts(sent, float(np.trace(traffic))))
    return figure
