"""A cluster: nodes and what joins them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from .._convert import CoreSpec
from ..errors import ConfigError, MissingDataError, Problems
from ..topology import Topology
from ._fields import Count, Named, check_member, check_type
from .fabric import ScaleOut
from .node import Node

__all__ = ["Cluster"]

MAX_NODES = 10**6
_MAX_DEVICES = 2**31 - 1
_COUNTED = re.compile(r"\s*([0-9]+)\s*[xX]\s*(\S.*?)\s*")


@dataclass(frozen=True, repr=False)
class Cluster:
    """Equal nodes, joined by a scale-out fabric.

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
    """

    CORE: ClassVar[CoreSpec] = CoreSpec(
        "ClusterSpec", python_only=frozenset({"topology"}), none_keeps_default=frozenset({"scale_out"})
    )

    node: Node
    nodes: Count = Count(1)
    scale_out: ScaleOut | None = None
    name: str = ""
    topology: Named[Topology] = Named(Topology, None)  # the node's, filled in at once

    def __post_init__(self) -> None:
        problems = Problems()
        if not check_type(problems, "cluster.node", self.node, Node):
            problems.raise_if_any()
        counted = problems.count("cluster.nodes", self.nodes, 1, MAX_NODES)
        self._fill_in(f"{self.nodes}x{self.node.name}" if counted else "")
        check_type(problems, "cluster.name", self.name, str)
        if self.scale_out is not None:
            check_type(problems, "cluster.scale_out", self.scale_out, ScaleOut)
        if counted and self.device_count > _MAX_DEVICES:
            problems.add("cluster.nodes", self.nodes, f"at most {_MAX_DEVICES} devices altogether", "lower nodes")
        check_member(problems, "cluster.topology", self.topology, Topology)
        problems.raise_if_any()
        if self.device_count > self.domain_devices:
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

    @classmethod
    def from_catalog(cls, name: str, nodes: int | None = None, **node_changes: Any) -> Cluster:
        """Cluster of catalogue nodes or cloud instances.

        Parameters
        ----------
        name
            A node or instance (`"dgx-h100"`, `"p5.48xlarge"`), or with a count: `"64xdgx-h100"`.
        nodes
            How many, where the name does not say; 1 by default.
        node_changes
            Fields of the node to change, such as `nics=4`; needed where the catalogue does not know one.

        Raises
        ------
        ConfigError
            If no such node exists (the nearest names are suggested), or the count is given twice.
        """
        match = _COUNTED.fullmatch(name) if isinstance(name, str) else None
        if match and nodes is not None:
            raise ConfigError(f"cluster: got {name!r} and nodes={nodes}, expected the count once; drop one of them")
        if match and len(match.group(1)) > 9:
            raise ConfigError(f"cluster.nodes: got {match.group(1)[:24]}, expected an integer from 1 to {MAX_NODES}")
        count = int(match.group(1)) if match else 1 if nodes is None else nodes
        return cls(Node.from_catalog(match.group(2) if match else name, **node_changes), count)

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
        """Devices that reach each other without a NIC: 16 on four trays of an NVL72 rack."""
        return min(self.node.domain_devices, self.device_count)

    def replace(self, **changes: Any) -> Cluster:
        """Copy with some fields changed; the name follows a changed count unless it is given."""
        if ("nodes" in changes or "node" in changes) and self.name == f"{self.nodes}x{self.node.name}":
            changes.setdefault("name", "")
        return replace(self, **changes)

    def __repr__(self) -> str:
        fabric = "no fabric" if self.scale_out is None else self.scale_out.name
        return f"Cluster({self.name}: {self.device_count} x {self.node.device.name}, {fabric}, {self.topology.value})"
