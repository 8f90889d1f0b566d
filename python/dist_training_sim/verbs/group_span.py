"""`group_span`: where a group of ranks lies on a cluster, what it owns there, and who shares it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral

from .. import _core
from .._convert import core_of
from ..errors import Problems
from ..hardware import Cluster
from ..network.fabric import FlowFabric
from ..network.step_links import TIERS
from .inputs import cluster_of

__all__ = ["GroupSpan", "group_span"]

MOST_RANKS = 1 << 20


@dataclass(frozen=True)
class GroupSpan:
    """A group of ranks on a cluster.

    Attributes
    ----------
    ranks
        Members, as given.
    tiers
        What a ring around the members crosses: `"scale-up"`, `"NIC"`, `"leaf - spine"`.
    nodes, domains
        Nodes and scale-up domains with members.
    ranks_per_node, ranks_per_domain
        The fewest and the most members on one of them.
    nics
        NICs of its members, `"3.0"` for NIC 0 of node 3; empty where it stays inside a domain.
    rails
        Positions of these NICs in their nodes.
    leaves
        Leaf switches of these NICs.
    nic_share_Bps, nic_alone_Bps
        NIC bandwidth of the group in one domain, per direction: the even share of its members, and what they reach
        while no sibling sends.
    links
        Links that a ring around the members takes.
    siblings
        Groups of `among` that take one of these links too.
    siblings_at_most
        On one link, at the same moment.
    """

    ranks: tuple[int, ...]
    tiers: tuple[str, ...]
    nodes: int
    domains: int
    ranks_per_node: tuple[int, int]
    ranks_per_domain: tuple[int, int]
    nics: tuple[str, ...]
    rails: tuple[int, ...]
    leaves: int
    nic_share_Bps: float
    nic_alone_Bps: float
    links: tuple[str, ...]
    siblings: int
    siblings_at_most: int


def group_span(
    cluster: Cluster | str,
    ranks: Sequence[int],
    *,
    among: Iterable[Sequence[int]] = (),
    fabric: FlowFabric | None = None,
) -> GroupSpan:
    """Say where a group lies on a cluster, which links it takes, and how many sibling groups share them.

    Parameters
    ----------
    cluster
        A cluster or its name.
    ranks
        Devices of the members, in any order.
    among
        Groups that communicate at the same moment, such as `RankGrid(strategy).groups("dp")`; the group itself may be
        among them.
    fabric
        Shape of the network; by default the cluster's.

    Raises
    ------
    ConfigError
        If a rank is not on the cluster or named twice.

    Examples
    --------
    >>> span = group_span("2xdgx-h100", [0, 8], among=[[local, local + 8] for local in range(8)])
    >>> span.tiers, span.nics, span.siblings
    (('NIC',), ('0.0', '1.0'), 0)
    """
    hardware = cluster_of(cluster) if isinstance(cluster, str) else cluster
    members, others = _checked(ranks, "ranks"), [_checked(group, f"among[{i}]") for i, group in enumerate(among)]
    core = core_of(hardware)
    span = _core.span_of_ranks(core, list(members))
    clos = _core.Clos(core, (fabric or FlowFabric()).core(hardware))
    names = clos.names()
    own = _links(core, clos, members)
    shared = [_links(core, clos, group) & own for group in others if set(group) != set(members)]
    nics = _nics(names, own)
    devices = hardware.node.devices
    per_device = (hardware.node.nics or 0) * float(hardware.node.nic_Bps or 0) / devices if span.domains > 1 else 0.0
    share = per_device * span.ranks_per_domain
    return GroupSpan(
        members,
        tuple(tier for prefix, tier in TIERS.items() if any(names[link].startswith(prefix) for link in own)),
        len({rank // devices for rank in members}),
        span.domains,
        _extremes(rank // devices for rank in members),
        _extremes(rank // hardware.domain_devices for rank in members),
        nics,
        tuple(sorted({int(nic.split(".")[1]) for nic in nics})),
        len({clos.leaf_of(rank) for rank in members}) if nics else 0,
        share,
        share * (_core.nics_alone(core, list(members), span) if span.domains > 1 else 1.0),
        tuple(names[link] for link in sorted(own)),
        sum(bool(links) for links in shared),
        max(Counter(link for links in shared for link in links).values(), default=0),
    )


def _checked(ranks: Sequence[int], where: str) -> tuple[int, ...]:
    problems = Problems()
    problems.few(where, ranks, MOST_RANKS)
    problems.raise_if_any()
    for rank in ranks:
        if not isinstance(rank, Integral) or isinstance(rank, bool) or abs(rank) >= 2**31:
            problems.add(where, rank, "device numbers")
    problems.raise_if_any()
    return tuple(int(rank) for rank in ranks)


def _links(core: _core.ClusterSpec, clos: _core.Clos, ranks: tuple[int, ...]) -> set[int]:
    """Links of a ring around the members."""
    pairs = _core.pair_bytes(core, _core.CollectiveKind.ALL_GATHER, 1e6, list(ranks)) if len(ranks) > 1 else []
    return {link for source, target, _ in pairs for link, _ in clos.route(source, target)}


def _nics(names: list[str], links: set[int]) -> tuple[str, ...]:
    found = {tuple(int(part) for part in names[i].split()[1].split(".")) for i in links if names[i].startswith("nic")}
    return tuple(f"{node}.{nic}" for node, nic in sorted(found))


def _extremes(places: Iterable[int]) -> tuple[int, int]:
    counts = Counter(places).values()
    return min(counts), max(counts)
