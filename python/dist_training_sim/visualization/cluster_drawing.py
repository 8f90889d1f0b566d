"""A cluster from above: nodes with their devices, the scale-up fabric inside, the NICs and network between."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..units import format_bytes
from .canvas import SMALL_PT, add_title, dress, new_figure
from .style import KINDS, Theme, ink_on

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..hardware import Cluster, Node

__all__ = ["cluster_drawing"]

_MOST_NODES, _MOST_DEVICES = 4, 16
_DEVICE, _FABRIC, _NETWORK = KINDS["forward"][0], KINDS["weight_grad"][0], KINDS["all_reduce"][0]


def _box(axes: Axes, x: float, y: float, width: float, height: float, face: str, edge: str) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((x, y), width, height, facecolor=face, edgecolor=edge, linewidth=0.9))


def _bar(axes: Axes, x: float, y: float, width: float, colour: str, text: str) -> None:
    _box(axes, x, y, width, 0.3, colour, colour)
    axes.text(
        x + width / 2, y + 0.15, text, ha="center", va="center", fontsize=7.5, color=ink_on(colour), parse_math=False
    )


def _nics(node: Node) -> str:
    if not node.nics or not node.nic_Bps:
        return "NICs unknown"
    return f"{node.nics} NIC{'s' * (node.nics > 1)} x {8e-9 * node.nic_Bps:.4g} Gb/s"


def _draw_domains(axes: Axes, cluster: Cluster, shown: int, end: float) -> None:
    """Draw scale-up fabrics that join nodes, each along its nodes; one that goes on ends with the drawing."""
    nodes = cluster.domain_devices // cluster.node.devices
    for first in range(0, shown, nodes):
        goes_on = first + nodes > shown and cluster.nodes > shown
        stop = end if goes_on else min(first + nodes, shown) * 2.3 - 0.4
        text = f"{cluster.node.scale_up.name}: {cluster.domain_devices} devices of {nodes} nodes"
        _bar(axes, first * 2.3 + 0.1, 0.85, stop - first * 2.3 - 0.1, _FABRIC, text)


def _draw_node(axes: Axes, theme: Theme, node: Node, number: str, x: float, width: float, joined: bool) -> None:
    _box(axes, x, 0.0, width, 3.0, theme.background, theme.muted)
    axes.text(x + 0.06, 2.9, f"node {number}", ha="left", va="top", fontsize=8, color=theme.text)
    shown = min(node.devices, _MOST_DEVICES)
    columns = min(4, shown)
    rows = -(-shown // columns)
    cell, height = (width - 0.2) / columns, 1.25 / rows
    for i in range(shown):
        left, top = x + 0.1 + (i % columns) * cell, 2.6 - (i // columns + 1) * height
        _box(axes, left + 0.03, top + 0.03, cell - 0.06, height - 0.06, _DEVICE, _DEVICE)
        last = i == shown - 1 and shown < node.devices
        axes.text(
            left + cell / 2,
            top + height / 2,
            f"+{node.devices - shown + 1}" if last else str(i),
            ha="center",
            va="center",
            fontsize=7.5,
            color=ink_on(_DEVICE),
        )
    if not joined:
        _bar(axes, x + 0.1, 0.85, width - 0.2, _FABRIC, node.scale_up.name or "scale-up")
    _bar(axes, x + 0.1, 0.3, width - 0.2, theme.muted, _nics(node))


def _facts(cluster: Cluster) -> str:
    device = cluster.node.device
    memory = format_bytes(device.hbm_bytes) if device.hbm_bytes else "memory unknown"
    rate = f"{device.hbm_Bps / 1e12:.3g} TB/s" if device.hbm_Bps else "bandwidth unknown"
    domain = f"; scale-up domain of {cluster.domain_devices} device{'s' * (cluster.domain_devices > 1)}"
    return f"{device.label or device.name}: {memory} at {rate}{domain}"


def cluster_drawing(theme: Theme, cluster: Cluster, *, title: str | None = None) -> Figure:
    """Draw a cluster: its first nodes, what joins them, and how many more there are."""
    shown = min(cluster.nodes, _MOST_NODES)
    more = cluster.nodes - shown
    kinds = {position: other.node for other in cluster.others for position in other.at}
    figure = new_figure(theme, 3.0 + 2.35 * (shown + (more > 0) * 0.4), 4.4)
    axes = figure.add_subplot()
    dress(axes, theme)
    joined = cluster.domain_devices > cluster.node.devices
    for i in range(shown):
        _draw_node(axes, theme, kinds.get(i, cluster.node), str(i), i * 2.3, 2.0, joined)
    width = shown * 2.3 - 0.3
    if more:
        axes.text(
            shown * 2.3 + 0.35, 1.5, f"... and\n{more:,} more", ha="center", va="center", fontsize=10, color=theme.text
        )
        width += 1.1
    if joined:
        _draw_domains(axes, cluster, shown, width)
    for i in range(shown if cluster.nodes > 1 else 0):
        axes.plot([i * 2.3 + 1.0] * 2, [0.3, -0.45], color=_NETWORK, linewidth=2.0, zorder=0)
    if cluster.nodes > 1:
        fabric = cluster.scale_out or cluster.node.scale_out
        name = getattr(fabric, "name", "") or "network"
        _bar(axes, 0.0, -0.75, width, _NETWORK, f"{name}, {cluster.node.topology.value.replace('_', ' ')}")
    axes.set_xlim(-0.1, width + 0.1)
    axes.set_ylim(-0.9 if cluster.nodes > 1 else -0.1, 3.15)
    axes.set_axis_off()
    heading = f"{cluster.name}: {cluster.device_count:,} x {cluster.node.device.name}"
    add_title(axes, theme, title or heading, _facts(cluster))
    axes.tick_params(labelsize=SMALL_PT)
    return figure
