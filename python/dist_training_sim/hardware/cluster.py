"""A cluster: nodes and what joins them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from .. import _core
from .._convert import CoreSpec, core_of
from .._replaced import replaced
from ..errors import ConfigError, MissingDataError, Problems
from ..topology import Topology
from ._fields import Count, MaybeQuantity, Named, check_member, check_quantities, check_type
from .fabric import ScaleOut
from .node import Node

__all__ = ["Cluster", "OtherNodes"]

MAX_NODES = 10**6
_MAX_DEVICES = 2**31 - 1
_COUNTED = re.compile(r"\s*([0-9]+)\s*[xX]\s*(\S.*?)\s*")


@dataclass(frozen=True)
class OtherNodes:
    """Nodes of another kind in a cluster: other devices, or degraded links.

    Parameters
    ----------
    node
        The node; as many devices as the cluster's node, in scale-up domains of the same size.
    at
        Their positions in the cluster, from 0.
    """

    CORE: ClassVar[CoreSpec] = CoreSpec("OtherNodes")

    node: Node
    at: tuple[int, ...]

    def __post_init__(self) -> None:
        problems = Problems()
        check_type(problems, "cluster.others.node", self.node, Node)
        object.__setattr__(self, "at", tuple(self.at))
        for position in self.at:
            problems.count("cluster.others.at", position, minimum=0, maximum=MAX_NODES - 1)
        problems.raise_if_any()


@dataclass(frozen=True, repr=False)
class Cluster:
    """Nodes joined by a scale-out fabric: equal ones, but for those that `others` lists.

    Parameters
    ----------
    node
        The node.
    nodes
        How many, 1 to 1,000,000.
    scale_out
        What joins them; by default the node's own fabric.
    name
        Defaults to `"64xdgx-h100"`, say.
    topology
        Shape of the network, a `Topology` or its name; by default the node's.
    remote_bytes, remote_Bps
        Memory or storage that all devices reach over their NICs, and the rate of all of it together, per direction.
    others
        Nodes of other kinds and where they stand. Ranks are numbered node by node; each is priced on its own device,
        and a collective at the pace of the slowest node it touches.

    Raises
    ------
    ConfigError
        Listing every value that is not legal.
    MissingDataError
        If devices are joined by NICs of which the number or the rate is unknown, or by no known fabric.

    Examples
    --------
    >>> Cluster.from_catalog("64xdgx-h100").device_count
    512
    >>> Cluster.from_catalog("6xdgx-h100+2xdgx-a100").device_count
    64
    """

    CORE: ClassVar[CoreSpec] = CoreSpec(
        "ClusterSpec",
        python_only=frozenset({"topology", "remote_bytes", "remote_Bps"}),
        none_keeps_default=frozenset({"scale_out"}),
    )

    node: Node
    nodes: Count = Count(1)
    scale_out: ScaleOut | None = None
    name: str = ""
    topology: Named[Topology] = Named(Topology, None)  # the node's, filled in at once
    others: tuple[OtherNodes, ...] = ()
    remote_bytes: MaybeQuantity = MaybeQuantity("bytes")
    remote_Bps: MaybeQuantity = MaybeQuantity("Bps")

    def __post_init__(self) -> None:
        problems = Problems()
        if not check_type(problems, "cluster.node", self.node, Node):
            problems.raise_if_any()
        counted = problems.count("cluster.nodes", self.nodes, 1, MAX_NODES)
        self._fill_in(f"{self.nodes}x{self.node.name}" if counted else "")
        check_type(problems, "cluster.name", self.name, str)
        check_quantities(problems, "cluster", self, ("remote_bytes", "remote_Bps"))
        if self.scale_out is not None:
            check_type(problems, "cluster.scale_out", self.scale_out, ScaleOut)
        if counted and self.device_count > _MAX_DEVICES:
            problems.add("cluster.nodes", self.nodes, f"at most {_MAX_DEVICES} devices altogether", "lower nodes")
        check_member(problems, "cluster.topology", self.topology, Topology)
        problems.raise_if_any()
        self._check_others()
        if self.device_count > self.node.domain_devices:
            self._need_network()

    def _fill_in(self, name: str) -> None:
        """Take from the node what was left out."""
        defaults = {
            "scale_out": self.scale_out or self.node.scale_out,
            "name": self.name or name,
            "topology": self.topology or self.node.topology,
        }
        for field, value in defaults.items():
            object.__setattr__(self, field, value)

    def _need_network(self) -> None:
        """Refuse a cluster of several domains of which the network is not known."""
        problems = Problems()
        for name, example in (("nics", "nics=8"), ("nic_Bps", 'nic_Bps="400 Gb/s"')):
            if not getattr(self.node, name):
                what = "a known value, because NICs join its nodes"
                problems.add(f"node {self.node.name}.{name}", getattr(self.node, name), what, f"give {example}")
        if self.scale_out is None:
            what = "a fabric profile, because NICs join its nodes"
            problems.add("cluster.scale_out", None, what, 'give scale_out=ScaleOut.from_catalog("infiniband")')
        problems.raise_if_any(MissingDataError)

    def _check_others(self) -> None:
        problems, taken = Problems(), set[int]()
        for other in problems.listed("cluster.others", self.others, "a list of OtherNodes"):
            if not check_type(problems, "cluster.others", other, OtherNodes):
                continue
            for name in ("devices", "domain_devices"):
                got, own = getattr(other.node, name), getattr(self.node, name)
                if got != own:
                    problems.add(f"node {other.node.name}.{name}", got, f"the {own} of {self.node.name}")
            wrong = [at for at in other.at if at >= self.nodes or at in taken]
            if wrong:
                problems.add("cluster.others.at", wrong[0], f"positions from 0 to {self.nodes - 1}, each once")
            taken.update(other.at)
        problems.raise_if_any()

    @classmethod
    def from_catalog(cls, name: str, nodes: int | None = None, **node_changes: Any) -> Cluster:
        """Cluster of catalogue nodes or cloud instances.

        Parameters
        ----------
        name
            A node or instance (`"dgx-h100"`, `"p5.48xlarge"`), or with a count: `"64xdgx-h100"`; several kinds of
            nodes one after another: `"6xdgx-h100+2xdgx-a100"`.
        nodes
            How many, where the name does not say; 1 by default.
        node_changes
            Fields of the node to change, such as `nics=4`; needed where the catalogue does not know one.

        Raises
        ------
        ConfigError
            If no such node exists (the nearest names are suggested), or the count is given twice.
        """
        if isinstance(name, str) and "+" in name:
            return cls._mixed([cls.from_catalog(part, **node_changes) for part in name.split("+")], nodes)
        match = _COUNTED.fullmatch(name) if isinstance(name, str) else None
        if match and nodes is not None:
            raise ConfigError(f"cluster: got {name!r} and nodes={nodes}, expected the count once; drop one of them")
        if match and len(match.group(1)) > 9:
            raise ConfigError(f"cluster.nodes: got {match.group(1)[:24]}, expected an integer from 1 to {MAX_NODES}")
        count = int(match.group(1)) if match else 1 if nodes is None else nodes
        return cls(Node.from_catalog(match.group(2) if match else name, **node_changes), count)

    @classmethod
    def _mixed(cls, parts: list[Cluster], nodes: int | None) -> Cluster:
        """Clusters one after another, joined by the first one's fabric."""
        if nodes is not None:
            raise ConfigError(f"nodes: got {nodes}, expected nothing: the name counts the nodes of each kind")
        others, first = [], parts[0].nodes
        for part in parts[1:]:
            others.append(OtherNodes(part.node, tuple(range(first, first + part.nodes))))
            first += part.nodes
        name = "+".join(part.name for part in parts)
        return cls(parts[0].node, first, name=name, others=tuple(others))

    @classmethod
    def from_yaml(cls, path: str | Path) -> Cluster:
        """Cluster described in a YAML file; the format: docs/guide/hardware.md.

        Raises
        ------
        FormatError
            If the file cannot be read, is no YAML, or is larger than 1 MB.
        ConfigError
            Listing every entry that is not legal.
        """
        from ..catalog.cluster_file import read_cluster

        return read_cluster(Path(path))

    @property
    def device_count(self) -> int:
        """Devices of the whole cluster."""
        return self.nodes * self.node.devices

    @property
    def domain_devices(self) -> int:
        """Devices that reach each other without a NIC: 16 on four trays of an NVL72 rack.

        Nodes that fill no whole domains stand in equal segments of them, as block schedulers place jobs (`--segment`
        of Slurm), where segments of half a domain or more divide the cluster.

        Examples
        --------
        >>> [Cluster.from_catalog("gb200-nvl72", nodes).domain_devices for nodes in (4, 18, 36, 64)]
        [16, 72, 72, 64]
        """
        if self.device_count <= self.node.domain_devices:
            return self.device_count
        return int(_core.domain_devices(core_of(self)))

    @property
    def node_kinds(self) -> tuple[Node, ...]:
        """The node, then those of `others`."""
        return (self.node, *(other.node for other in self.others))

    @property
    def title(self) -> str:
        """What outputs call it: its name, or the nodes of each kind where the name counts them as if they were alike.

        Examples
        --------
        >>> Cluster.from_catalog("4xdgx-h100").with_nodes(3, Node.from_catalog("dgx-a100")).title
        '3 dgx-h100 + 1 dgx-a100'
        """
        if not self.others or self.name != f"{self.nodes}x{self.node.name}":
            return self.name
        counts = {self.node.name: self.nodes - sum(len(other.at) for other in self.others)}
        for other in self.others:
            counts[other.node.name] = counts.get(other.node.name, 0) + len(other.at)
        return " + ".join(f"{count:,} {name}" for name, count in counts.items() if count)

    def with_nodes(self, at: int | Iterable[int], node: Node) -> Cluster:
        """Copy in which the nodes at some positions are of another kind.

        Examples
        --------
        >>> Cluster.from_catalog("4xdgx-h100").with_nodes([2, 3], Node.from_catalog("dgx-a100")).others[0].at
        (2, 3)
        """
        positions = OtherNodes(node, tuple(at) if isinstance(at, Iterable) else (at,)).at
        if any(position >= self.nodes for position in positions):
            raise ConfigError(f"at: got {max(positions)}, expected nodes from 0 to {self.nodes - 1} of {self.name}")
        kinds = [(other.node, [i for i in other.at if i not in positions]) for other in self.others]
        alike = next((places for kind, places in kinds if kind == node), None)
        if alike is not None:
            alike.extend(positions)
        elif node != self.node:
            kinds.append((node, list(positions)))
        return replace(self, others=tuple(OtherNodes(kind, tuple(places)) for kind, places in kinds if places))

    def with_slow_links(self, at: int | Iterable[int], *, nic: float = 1.0, scale_up: float = 1.0) -> Cluster:
        """Copy in which some nodes have degraded links; only collectives that touch these nodes are slower.

        Parameters
        ----------
        at
            Positions of the nodes.
        nic, scale_up
            What is left of the rate of their network cards and of their scale-up links, in (0, 1].
        """
        problems = Problems()
        for name, share in (("nic", nic), ("scale_up", scale_up)):
            if problems.positive(name, share) and share > 1:
                problems.add(name, share, "a share in (0, 1]")
        problems.raise_if_any()
        positions = set(at) if isinstance(at, Iterable) else {at}
        kind_at = {position: other.node for other in self.others for position in other.at}
        slow = self
        for node in self.node_kinds:
            theirs = sorted(position for position in positions if kind_at.get(position, self.node) is node)
            if theirs:
                slow = slow.with_nodes(theirs, _slowed(node, nic, scale_up))
        return slow

    def replace(self, **changes: Any) -> Cluster:
        """Copy with some fields changed; the name follows a changed count unless it is given."""
        if ("nodes" in changes or "node" in changes) and self.name == f"{self.nodes}x{self.node.name}":
            changes.setdefault("name", "")
        return replaced(self, changes)

    def __repr__(self) -> str:
        fabric = "no fabric" if self.scale_out is None else self.scale_out.name
        mixed = f" with {sum(len(o.at) for o in self.others)} other nodes" if self.others else ""
        devices = f"{self.device_count} x {self.node.device.name}{mixed}"
        return f"Cluster({self.name}: {devices}, {fabric}, {self.topology.value})"


def _slowed(node: Node, nic: float, scale_up: float) -> Node:
    nic_Bps, up_Bps = node.nic_Bps, node.scale_up.device_Bps
    links = node.scale_up if up_Bps is None else node.scale_up.replace(device_Bps=up_Bps * scale_up)
    return node.replace(name=f"{node.name} slow", nic_Bps=None if nic_Bps is None else nic_Bps * nic, scale_up=links)
