"""The links of a cluster as the collectives of a training step share them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from .. import _core
from ..errors import ConfigError, Problems
from ..hardware import Cluster
from ..topology import Topology
from ..units import parse_bandwidth, parse_seconds
from .flow_network import Background, Routing

__all__ = ["FlowFabric", "LinkChange"]

_SHAPES = (Topology.FAT_TREE, Topology.RAIL_OPTIMIZED)


@dataclass(frozen=True)
class LinkChange:
    """A cable that slows, dies or comes back while the step runs.

    Parameters
    ----------
    cable : str
        As in `FlowFabric`.
    share : float
        What is left of its rate, 0 to 1; 0: dead, and streams take other paths from then on.
    at : str or float
        When, from the start of the step: `"2 ms"` or seconds.
    """

    cable: str
    share: float
    at: str | float


@dataclass(frozen=True)
class FlowFabric:
    """How the devices of a cluster are joined, for `simulate(..., network=FlowFabric(...))`.

    A scale-up port per device, a cable per NIC, leaf switches, spine switches; `network="flow"` is one without options.
    Cables are named `"port 12"` (of device 12), `"nic 3.0"` (NIC 0 of node 3) and `"leaf 2 - spine 1"`; both directions
    count as one cable. Collectives that meet on a link share it; one that meets nobody takes exactly the price of its
    group.

    Parameters
    ----------
    topology : Topology or str, optional
        `"fat_tree"` (the NICs of a node on one leaf) or `"rail_optimized"` (NIC i of every node on leaf i); by default
        the cluster's.
    nodes_per_leaf : int
        0: leaves of 64 ports, half of them down (32 nodes on rails, 4 nodes of 8 NICs in a fat tree).
    spines : int
        Spine switches; 0: one that stands for all of them, as if traffic were spread evenly.
    oversubscription : float
        Bandwidth below a leaf over that above it.
    routing : Routing or str
        How a stream picks its spine: `SHORTEST` by the receiver's number, `ECMP` by a hash of the pair and `seed`,
        `ADAPTIVE` sprayed over all of them by what is left of each; `RAIL_ALIGNED` goes to the receiver's rail inside
        the node first.
    seed : int
        Of the ECMP hash.
    slow_links : mapping of str to float
        Cables and what is left of their rate.
    dead_links : iterable of str
        Cables that carry nothing. Streams go over other spines; a dead NIC or port is an error that names who is cut
        off.
    changes : iterable of LinkChange
        Cables that change while the step runs.
    background : iterable of (int, int, str or float)
        Traffic of other jobs during the whole step: (from device, to device, `"10 GB/s"`).

    Raises
    ------
    ConfigError
        Naming every value that is not legal; unknown cables are named when the fabric meets its cluster.
    """

    topology: Topology | str | None = None
    nodes_per_leaf: int = 0
    spines: int = 0
    oversubscription: float = 1.0
    routing: Routing | str = Routing.SHORTEST
    seed: int = 0
    slow_links: Mapping[str, float] = field(default_factory=dict)
    dead_links: Iterable[str] = ()
    changes: Iterable[LinkChange] = ()
    background: Iterable[Background] = ()

    def __post_init__(self) -> None:
        shape = None if self.topology is None else Topology(self.topology)
        values = {
            "topology": shape,
            "routing": Routing(self.routing),
            "slow_links": dict(self.slow_links),
            "dead_links": tuple(self.dead_links),
            "changes": tuple(self.changes),
            "background": tuple(tuple(flow) for flow in self.background),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
        problems = Problems()
        if shape is not None and shape not in _SHAPES:
            problems.add("topology", shape.value, "fat_tree or rail_optimized")
        for name in ("nodes_per_leaf", "spines", "seed"):
            problems.count(name, getattr(self, name), 0)
        problems.positive("oversubscription", self.oversubscription)
        self._check_cables(problems)
        problems.raise_if_any()

    def _check_cables(self, problems: Problems) -> None:
        for name, share in dict(self.slow_links).items():
            if not isinstance(share, (int, float)) or not 0 < share <= 1:
                problems.add(f"slow_links[{name!r}]", share, "a share in (0, 1]", "dead_links takes dead cables")
        for change in self.changes:
            if not isinstance(change, LinkChange):
                problems.add("changes", change, 'a LinkChange such as LinkChange("nic 3.0", 0.5, at="2 ms")')
        for i, flow in enumerate(self.background):
            ends = [v for v in flow[:2] if isinstance(v, int) and not isinstance(v, bool) and abs(v) < 2**31]
            if len(flow) != 3 or len(ends) != 2:
                problems.add(f"background[{i}]", flow, 'two device numbers and a rate: (0, 8, "10 GB/s")')

    def core(self, cluster: Cluster) -> _core.FlowStepOptions:
        """What the core takes of this fabric on a cluster.

        Raises
        ------
        ConfigError
            If the cluster's network has another shape than leaves and spines and `topology` does not say which to take.
        """
        slow = [(name, float(share), 0.0) for name, share in dict(self.slow_links).items()]
        dead = [(name, 0.0, 0.0) for name in self.dead_links]
        later = [(c.cable, float(c.share), parse_seconds(c.at)) for c in self.changes]
        flows: Sequence[Background] = tuple(self.background)
        return _core.FlowStepOptions(
            self._shape(cluster) is Topology.RAIL_OPTIMIZED, self.nodes_per_leaf, self.spines, self.oversubscription,
            getattr(_core.Routing, Routing(self.routing).name), self.seed, slow + dead + later,
            [(a, b, parse_bandwidth(rate, f"background[{i}]")) for i, (a, b, rate) in enumerate(flows)],
        )  # fmt: skip

    def _shape(self, cluster: Cluster) -> Topology:
        if self.topology is not None:
            return Topology(self.topology)
        shape = Topology(cluster.topology) if cluster.topology is not None else Topology.FAT_TREE
        if shape in _SHAPES or cluster.device_count <= cluster.domain_devices:
            return shape
        raise ConfigError(
            f"network: got the flow network of {cluster.name}, whose nodes form a {shape.value}, expected leaves and "
            'spines; give FlowFabric(topology="fat_tree") to take them as such'
        )
