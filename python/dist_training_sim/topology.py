"""Names of the network topologies, and the links between their vertices."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .errors import Problems
from .named_enum import NamedEnum
from .units import parse_bandwidth, parse_seconds

__all__ = ["CustomLink", "LinkLike", "Topology", "TopologyLink", "directed_links"]


class Topology(NamedEnum):
    """How the nodes of a cluster are joined. Every function that takes one also takes its name, e.g. `"ring"`."""

    RING = "ring"
    """Each node linked to two neighbours."""
    TREE = "tree"
    """Nodes are the vertices of a tree with `radix` children each (2)."""
    FULLY_CONNECTED = "fully_connected"
    """A link between every two nodes."""
    MESH_2D = "mesh_2d"
    """Grid of `dims` (most square) without wrap-around links; routes go dimension by dimension."""
    TORUS_2D = "torus_2d"
    """Grid of two `dims` with wrap-around links."""
    TORUS_3D = "torus_3d"
    """Grid of three `dims` with wrap-around links."""
    SWITCH = "switch"
    """All nodes on one non-blocking switch."""
    FAT_TREE = "fat_tree"
    """Leaf switches of `radix` nodes (about the square root) under a spine, uplinks thinned by `oversubscription`."""
    RAIL_OPTIMIZED = "rail_optimized"
    """Device i of every node on leaf switch i, other rails through the node's hub. `radix` nodes per leaf (all)."""
    DRAGONFLY = "dragonfly"
    """Groups of `group_size` routers with `radix` nodes each, fully connected; one link between every two groups."""
    CUSTOM = "custom"
    """The given `links` between nodes 0 .. num_nodes-1 and switches num_nodes .. num_nodes+switches-1."""


@dataclass(frozen=True)
class TopologyLink:
    """One directed link of a network: vertex ids, bytes per second, seconds."""

    a: int
    b: int
    bandwidth_Bps: float
    latency_s: float


@dataclass(frozen=True)
class CustomLink:
    """A link of a `CUSTOM` topology.

    Parameters
    ----------
    a, b : int
        The ends: nodes 0 .. num_nodes-1, then switches.
    bandwidth, latency : str or float, optional
        `"50 GB/s"` or bytes/s per direction, `"5 us"` or seconds; by default those of the model's inter-node link.
    both_ways : bool
        False for a link that only goes from `a` to `b`.
    """

    a: int
    b: int
    bandwidth: str | float | None = None
    latency: str | float | None = None
    both_ways: bool = True


LinkLike = CustomLink | tuple[int, int] | tuple[int, int, str | float] | tuple[int, int, str | float, str | float]
"""A `CustomLink` or its first fields: (a, b), (a, b, bandwidth), (a, b, bandwidth, latency)."""


def directed_links(links: Iterable[LinkLike], bandwidth: float, latency: float) -> list[tuple[int, int, float, float]]:
    """Directed links (from, to, bytes/s, s) of `CustomLink`s or tuples, with defaults filled in."""
    problems = Problems()
    directed: list[tuple[int, int, float, float]] = []
    for i, given in enumerate(problems.listed("links", links, "a list of CustomLinks")):
        where = f"links[{i}]"
        if not isinstance(given, CustomLink) and not (isinstance(given, tuple) and 2 <= len(given) <= 4):
            problems.add(where, given, "a CustomLink or a tuple (a, b), (a, b, bandwidth), (a, b, bandwidth, latency)")
            continue
        link = given if isinstance(given, CustomLink) else CustomLink(*given)
        if not (problems.count(f"{where}.a", link.a, 0) and problems.count(f"{where}.b", link.b, 0)):
            continue
        rate = bandwidth if link.bandwidth is None else parse_bandwidth(link.bandwidth, f"{where}.bandwidth")
        delay = latency if link.latency is None else parse_seconds(link.latency, f"{where}.latency")
        directed.append((link.a, link.b, rate, delay))
        if link.both_ways:
            directed.append((link.b, link.a, rate, delay))
    problems.raise_if_any()
    return directed
