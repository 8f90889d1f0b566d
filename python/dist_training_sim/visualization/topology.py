"""The network itself: devices, switches and the links between them, or what one node and the cluster consist of."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigError
from .canvas import add_legend, add_title, dress, new_figure
from .cluster_drawing import cluster_drawing
from .hover import set_hover
from .inputs import Floats
from .places import circle, grid, grid_coordinates, grid_shape, layered, nodes
from .style import KINDS, Theme, series_colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..communication import CommunicationModel
    from ..hardware import Cluster

__all__ = ["topology_drawing"]

_IN_A_ROW = 256  # devices of a dragonfly that stand in a row beside their router
_NAMED_PT = 8.0  # smallest device that gets its number
_PT_PER_UNIT = 150.0  # of the drawing
_MOST = 4_096
_COLOURED = 6  # different rates that get colours
_NAMES = {"mesh_2d": "2D mesh", "torus_2d": "2D torus", "torus_3d": "3D torus"}
_GRIDS = ("mesh_2d", "torus_2d", "torus_3d")
_RANK, _HUB, _SWITCH = KINDS["forward"][0], KINDS["weight_grad"][0], KINDS["all_reduce"][0]


def _neighbours(links: list[Any], count: int) -> list[list[int]]:
    near: list[list[int]] = [[] for _ in range(count)]
    for link in links:
        near[link.a].append(link.b)
    return near


def _levels(model: CommunicationModel, near: list[list[int]]) -> list[int]:
    """Level of each vertex from the bottom: hubs, devices, switches by distance; of a tree its nodes from the root."""
    ranks, hubs = model.num_devices, model.num_nodes if model.devices_per_node > 1 else 0
    starts = range(ranks) if len(near) > ranks else [0]
    level = [0 if vertex in starts else -1 for vertex in range(len(near))]
    waiting = deque(starts)
    while waiting:
        vertex = waiting.popleft()
        for other in near[vertex]:
            if level[other] < 0:
                level[other] = level[vertex] + 1
                waiting.append(other)
    if len(near) == ranks:
        return [max(level) - value for value in level]
    return [0 if ranks <= v < ranks + hubs else value + (hubs > 0) for v, value in enumerate(level)]


def _order(level: list[int], near: list[list[int]], ranks: int) -> Floats:
    """Horizontal order: devices by number, all else at the mean of the devices or switches that it joins."""
    place = np.arange(len(level), dtype=float)
    for vertex in sorted(range(ranks, len(level)), key=lambda v: level[v]):
        joined = [place[other] for other in near[vertex] if other < ranks or level[other] < level[vertex]]
        place[vertex] = float(np.mean(joined)) if joined else place[vertex]
    return place


def _dragonfly(ranks: int, count: int, near: list[list[int]]) -> Floats:
    """Groups of routers on a circle, each device beside its router."""
    routers = range(ranks, count)
    group = 1
    while ranks + group < count and set(range(ranks, ranks + group)) <= set(near[ranks + group]):
        group += 1
    stand = nodes(len(routers), group)
    hosts = [next(other for other in near[rank] if other >= ranks) for rank in range(ranks)]
    turn = [hosts[:rank].count(hosts[rank]) if ranks <= _IN_A_ROW else rank % 8 for rank in range(ranks)]
    if len(routers) == 1:
        return np.concatenate([0.5 * circle(ranks + 1)[1:], stand])
    beside = np.array([stand[host - ranks] for host in hosts])
    few = group > 1 and ranks <= _IN_A_ROW  # away from its group; many devices from the middle of the drawing
    centre = np.array([stand[(host - ranks) // group * group :][:group].mean(axis=0) for host in hosts])
    away = beside - few * centre
    away /= np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-9)
    aside = np.stack([-away[:, 1], away[:, 0]], axis=1) * 0.08 * np.array(turn)[:, None]
    outward = beside + 0.22 * away
    return np.concatenate([outward + aside, stand])


def _places(model: CommunicationModel, links: list[Any], count: int) -> Floats:
    kind, alone = model.topology.value, model.devices_per_node == 1
    if kind in _GRIDS and alone:
        return grid(*grid_shape(count, ((link.a, link.b) for link in links)))
    if kind in ("ring", "fully_connected") and alone:
        return circle(count)
    near = _neighbours(links, count)
    if kind == "dragonfly" and alone:
        return _dragonfly(model.num_devices, count, near)
    level = _levels(model, near)
    return layered(level, _order(level, near, model.num_devices))


def _parts(ends: Floats, apart: Floats) -> list[Floats]:
    """One line, or a stub at either end of a link that goes `apart` > 1 steps, round the edge of a torus."""
    steps = float(np.abs(apart).max())
    if steps <= 1:
        return [ends]
    stub = 0.4 * (ends[1] - ends[0]) / steps
    return [np.stack([ends[0], ends[0] - stub]), np.stack([ends[1], ends[1] + stub])]


def _draw_links(axes: Axes, theme: Theme, links: list[Any], places: Floats, cell: Floats) -> None:
    from matplotlib.collections import LineCollection

    cables: dict[tuple[int, int], float] = {}
    for link in links:
        ends = (min(link.a, link.b), max(link.a, link.b))
        cables[ends] = max(cables.get(ends, 0.0), link.bandwidth_Bps)
    rates = sorted(set(cables.values()))
    thin = float(np.clip(60.0 / len(cables), 0.25, 1.0))
    for i, rate in enumerate(rates):
        pairs = [ends for ends, value in cables.items() if value == rate]
        colour = series_colour(i + 1) if len(rates) <= _COLOURED else theme.muted
        width = thin * (0.9 + 2.6 * rate / rates[-1])
        lines = LineCollection(
            [part for pair in pairs for part in _parts(places[list(pair)], cell[pair[1]] - cell[pair[0]])],
            colors=colour,
            linewidths=width,
            alpha=0.75,
            zorder=1,
        )
        lines.set_rasterized(len(pairs) > 2_000)
        axes.add_collection(lines)


def _kinds(model: CommunicationModel, count: int) -> list[tuple[str, str, range, str, str]]:
    """Names of one and of several, vertices, colour and marker of each kind of vertex that there is."""
    ranks = model.num_devices
    hubs = ranks + (model.num_nodes if model.devices_per_node > 1 else 0)
    kinds = [
        ("device", "devices", range(ranks), _RANK, "o"),
        ("hub of a node", "hubs of nodes", range(ranks, hubs), _HUB, "s"),
        ("switch", "switches", range(hubs, count), _SWITCH, "s"),
    ]
    return [kind for kind in kinds if len(kind[2])]


def _nearest(places: Floats) -> float:
    """Distance of the two vertices that stand closest."""
    order = np.lexsort((places[:, 1], places[:, 0]))
    near = [np.linalg.norm(places[order[k:]] - places[order[:-k]], axis=1) for k in range(1, min(len(order), 40))]
    return float(min(float(distances.min()) for distances in near))


def _draw_vertices(axes: Axes, theme: Theme, model: CommunicationModel, places: Floats) -> list[Any]:
    from matplotlib.lines import Line2D

    size = float(np.clip(_PT_PER_UNIT * 0.8 * _nearest(places), 2.0, 26.0)) if len(places) > 1 else 26.0
    legend = []
    for one, several, vertices, colour, marker in _kinds(model, len(places)):
        own = places[vertices.start : vertices.stop]
        points = axes.scatter(
            own[:, 0],
            own[:, 1],
            s=size**2,
            color=colour,
            marker=marker,
            edgecolors=theme.outline,
            linewidths=0.5,
            zorder=3,
        )
        set_hover(points, [model.vertex_name(vertex) for vertex in vertices])
        legend.append(
            Line2D(
                [],
                [],
                color=colour,
                marker=marker,
                linestyle="",
                label=one if len(vertices) == 1 else f"{len(vertices):,} {several}",
            )
        )
    for vertex in range(model.num_devices if size >= _NAMED_PT else 0):
        x, y = places[vertex].tolist()
        axes.text(
            x, y, str(vertex), ha="center", va="center", fontsize=min(9.0, 0.42 * size), color="#FFFFFF", zorder=4
        )
    return legend


def _rate_legend(links: list[Any]) -> list[Any]:
    from matplotlib.lines import Line2D

    rates = sorted({link.bandwidth_Bps for link in links})
    if len(rates) > _COLOURED:
        return []
    return [
        Line2D([], [], color=series_colour(i + 1), linewidth=1 + 2 * rate / rates[-1], label=f"{rate / 1e9:.4g} GB/s")
        for i, rate in enumerate(rates)
    ]


def topology_drawing(theme: Theme, network: CommunicationModel | Cluster | str, *, title: str | None = None) -> Figure:
    """Draw a network or a cluster; see `Visualizer.plot_topology`."""
    from ..communication import CommunicationModel
    from ..hardware import Cluster

    if isinstance(network, str):
        network = Cluster.from_catalog(network)
    if isinstance(network, Cluster):
        return cluster_drawing(theme, network, title=title)
    if not isinstance(network, CommunicationModel):
        raise ConfigError(
            f"network: got {type(network).__name__}, expected a CommunicationModel, a Cluster or its name"
        )
    links = network.topology_links()
    count = max([network.num_devices, *(max(link.a, link.b) + 1 for link in links)])
    if count > _MOST:
        raise ConfigError(f"network: got {count:,} vertices, expected at most {_MOST:,} that still can be told apart")
    figure = new_figure(theme, 9.6, 6.8)
    axes = figure.add_subplot()
    dress(axes, theme)
    places = _places(network, links, count)
    if links:
        flat = network.topology.value in _GRIDS and network.devices_per_node == 1
        pairs = ((link.a, link.b) for link in links)
        cell = grid_coordinates(*grid_shape(count, pairs)) if flat else np.zeros((count, 3))
        _draw_links(axes, theme, links, places, cell)
    add_legend(figure, theme, [*_draw_vertices(axes, theme, network, places), *_rate_legend(links)])
    axes.set_axis_off()
    reach = max(1.0, float(np.abs(places).max())) + 0.15
    axes.set_xlim(-reach, reach)
    axes.set_ylim(-reach, reach)
    if network.topology.value in (*_GRIDS, "ring", "fully_connected", "dragonfly"):
        axes.set_aspect("equal")
    kind = _NAMES.get(network.topology.value, network.topology.value.replace("_", " ").capitalize())
    add_title(
        axes,
        theme,
        title or f"{kind} of {network.num_nodes:,} node{'s' * (network.num_nodes > 1)}",
        f"{len(links):,} directed links; a line's width grows with its rate",
    )
    return figure
