"""Front door of the communication model: collectives on a network of links, by the classic algorithms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import TYPE_CHECKING

from . import _core
from .collectives import Algorithm, CollectiveResult
from .errors import ConfigError, Problems, shown
from .topology import LinkLike, Topology, TopologyLink, directed_links
from .units import parse_bandwidth, parse_bytes, parse_seconds

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["CommunicationModel"]


@dataclass(frozen=True)
class _Spec:
    """The network as given, in SI units: what a model is rebuilt from."""

    topology: Topology
    num_nodes: int
    devices_per_node: int
    rates: tuple[float, float, float, float]  # inter-node bytes/s and s, intra-node bytes/s and s
    dims: tuple[int, ...]
    radix: int
    group_size: int
    oversubscription: float
    switches: int
    links: tuple[tuple[int, int, float, float], ...]
    spines: int
    reduce_s_per_byte: float
    network: str

    def build(self) -> _core.CommunicationModel:
        return _core.CommunicationModel(
            kind=getattr(_core.TopologyKind, self.topology.name), nodes=self.num_nodes,
            devices_per_node=self.devices_per_node, rates=self.rates, dims=self.dims, radix=self.radix,
            group_size=self.group_size, oversubscription=self.oversubscription, switches=self.switches,
            links=self.links, spines=self.spines, reduce_s_per_byte=self.reduce_s_per_byte,
        )  # fmt: skip


class CommunicationModel:
    """Collectives among devices joined by a network, priced link by link.

    A message takes the latencies of its route plus its transfer over the busiest link of the route; what shares a link
    waits for each other. Algorithms are the textbook ones, so times are those of an ideal library on these links.
    Several collectives at once, other jobs' traffic and dead links: `FlowNetwork`.

    Parameters
    ----------
    num_nodes : int
        Nodes of the network.
    topology : Topology or str
        How the nodes are joined.
    devices_per_node : int
        Devices (ranks) of each node, 1 by default. More than one hang on a hub of their node (an NVLink switch).
    bandwidth : str or float
        Inter-node link, per direction: `"50 GB/s"` (a 400 Gb/s NIC) or bytes/s.
    latency : str or float
        One hop between two nodes: `"5 us"` (InfiniBand class, library included) or seconds. With a switch between, each
        of its two cables takes half.
    intra_node_bandwidth, intra_node_latency : str or float
        The same within a node, per device: `"300 GB/s"` (NVLink class) and `"1 us"`.
    dims : sequence of int, optional
        Nodes per dimension of MESH_2D, TORUS_2D, TORUS_3D; by default the most square factorisation.
    radix : int, optional
        TREE: children per node (2). FAT_TREE: nodes per leaf (square root). RAIL_OPTIMIZED: nodes per leaf (all).
        DRAGONFLY: nodes per router (balanced: fourth root of num_nodes / 4).
    group_size : int, optional
        DRAGONFLY: routers per group (twice `radix`).
    oversubscription : float
        FAT_TREE, RAIL_OPTIMIZED: bandwidth below a leaf over that above it, 1 by default.
    spines : int, optional
        FAT_TREE, RAIL_OPTIMIZED: spine switches that share the uplinks of every leaf, of all rails too; by default one
        (one per rail) stands for all, as if messages were spread over them evenly.
    links : iterable of CustomLink or tuple, optional
        CUSTOM: the links, also as `(a, b)` or `(a, b, "25 GB/s", "2 us")`; what is left out is as above.
    switches : int
        CUSTOM: vertices beyond the nodes, numbered from `num_nodes`.
    reduce_bandwidth : str or float, optional
        Rate at which a rank combines received data with its own; by default this takes no time.
    network : str
        `"rounds"`: a round of an algorithm takes its slowest message, and the next starts then. `"flow"`: message by
        message on links shared fairly, each rank going on as soon as its own messages allow; slower to compute, and for
        collectives only, not for a training simulator. AUTO chooses as in rounds.

    Raises
    ------
    ConfigError
        Naming every value that is not physical or does not fit the topology.

    Examples
    --------
    >>> model = CommunicationModel(num_nodes=8, topology=Topology.RING)
    >>> model.all_reduce("64 MiB", algorithm="ring").algorithm
    'ring'
    """

    def __init__(
        self,
        num_nodes: int,
        topology: Topology | str = Topology.RING,
        *,
        devices_per_node: int = 1,
        bandwidth: str | float = "50 GB/s",
        latency: str | float = "5 us",
        intra_node_bandwidth: str | float = "300 GB/s",
        intra_node_latency: str | float = "1 us",
        dims: Sequence[int] | None = None,
        radix: int | None = None,
        group_size: int | None = None,
        oversubscription: float = 1.0,
        links: Iterable[LinkLike] | None = None,
        switches: int = 0,
        spines: int | None = None,
        reduce_bandwidth: str | float | None = None,
        network: str = "rounds",
    ) -> None:
        counts = {"num_nodes": num_nodes, "devices_per_node": devices_per_node, "switches": switches}
        problems = Problems()
        dims = problems.listed("dims", dims or (), "a list of sizes")
        problems.positive("oversubscription", oversubscription)
        problems.raise_if_any()
        sizes = {f"dims[{i}]": d for i, d in enumerate(dims)}
        _check_integers({**counts, **sizes}, {"radix": radix, "group_size": group_size, "spines": spines})
        _check_network(network)
        inter = parse_bandwidth(bandwidth), parse_seconds(latency, "latency")
        intra = (
            parse_bandwidth(intra_node_bandwidth, "intra_node_bandwidth"),
            parse_seconds(intra_node_latency, "intra_node_latency"),
        )
        self._overrides: list[tuple[int, int, float, float]] = []
        self._spec = _Spec(
            Topology(topology), num_nodes, devices_per_node, (*inter, *intra), dims, radix or 0,
            group_size or 0, float(oversubscription), switches, tuple(directed_links(links or (), *inter)), spines or 0,
            _seconds_per_byte(reduce_bandwidth), network,
        )  # fmt: skip
        self._core = self._spec.build()

    @property
    def num_nodes(self) -> int:
        """Nodes of the network."""
        return self._spec.num_nodes

    @property
    def devices_per_node(self) -> int:
        """Devices of each node."""
        return self._spec.devices_per_node

    @property
    def num_devices(self) -> int:
        """Devices, that is ranks, of the whole network."""
        return self.num_nodes * self.devices_per_node

    @property
    def core(self) -> _core.CommunicationModel:
        """The core's model with every changed link, for the simulator.

        Raises
        ------
        ConfigError
            If the model has `network="flow"`, which a training simulator does not run yet.
        """
        if self.network != "rounds":
            raise ConfigError(f"network: got {self.network!r}, expected 'rounds' for a training simulator")
        return self._core

    @property
    def network(self) -> str:
        """How collectives are timed: `"rounds"` or `"flow"`."""
        return self._spec.network

    @property
    def topology(self) -> Topology:
        """How the nodes are joined."""
        return self._spec.topology

    def topology_links(self) -> list[TopologyLink]:
        """Every directed link. Vertices are the ranks, then a hub per node if it has several devices, then switches."""
        return [TopologyLink(*link) for link in self._core.links()]

    def vertex_name(self, vertex: int) -> str:
        """Readable name of a vertex id: `"rank 3"`, `"node 1"` (its hub), `"switch 0"`."""
        return self._core.vertex_name(vertex)

    def set_link(
        self,
        a: int,
        b: int,
        *,
        bandwidth: str | float | None = None,
        latency: str | float | None = None,
        both_ways: bool = True,
    ) -> None:
        """Change the link between vertices `a` and `b` (ids as in `topology_links`); routes stay as they are.

        Parameters
        ----------
        a, b : int
            Ends of an existing link.
        bandwidth, latency : str or float, optional
            New values; what is left out stays.
        both_ways : bool
            Also change the link from `b` to `a`.

        Raises
        ------
        ConfigError
            If there is no such link, or a value is not physical.
        """
        _check_integers({"a": a, "b": b})
        changed = []
        for start, end in [(a, b), (b, a)] if both_ways else [(a, b)]:
            old_bandwidth, old_latency = self._core.link(start, end)
            new_bandwidth = old_bandwidth if bandwidth is None else parse_bandwidth(bandwidth)
            changed.append((start, end, new_bandwidth, old_latency if latency is None else parse_seconds(latency)))
        self._core = self._core.with_links(changed)
        self._overrides += changed

    def with_devices_per_node(self, devices_per_node: int) -> CommunicationModel:
        """The same nodes with another number of devices each; links set between nodes are kept.

        Raises
        ------
        ConfigError
            If links were set that the new network may not have.
        """
        _check_integers({"devices_per_node": devices_per_node})
        if devices_per_node == self.devices_per_node:
            return self
        if self._overrides and (self.devices_per_node > 1 or self.topology is Topology.RAIL_OPTIMIZED):
            raise ConfigError("set_link: links are set already, expected none; set them after with_devices_per_node")
        first_hub = self.num_nodes * devices_per_node
        moved = [(a + first_hub, b + first_hub, bandwidth, latency) for a, b, bandwidth, latency in self._overrides]
        model = CommunicationModel.__new__(CommunicationModel)
        model.__setstate__((replace(self._spec, devices_per_node=devices_per_node), moved))
        return model

    def send_recv(self, src: int, dst: int, size: str | float) -> CollectiveResult:
        """Send `size` bytes (or `"64 MiB"`) from rank `src` to rank `dst`."""
        return self._run("SEND_RECV", size, (src, dst), Algorithm.DIRECT)

    point_to_point = send_recv

    def all_reduce(
        self,
        size: str | float,
        ranks: Sequence[int] | None = None,
        *,
        algorithm: Algorithm | str = Algorithm.AUTO,
        chunks: int | None = None,
    ) -> CollectiveResult:
        """Combine a buffer of `size` bytes over all `ranks` (all by default), the result on each of them.

        `chunks` is the number of chunks of the pipelined algorithm, by default the fastest.
        """
        return self._run("ALL_REDUCE", size, ranks, algorithm, chunks=chunks)

    def broadcast(
        self,
        size: str | float,
        ranks: Sequence[int] | None = None,
        *,
        root: int | None = None,
        algorithm: Algorithm | str = Algorithm.AUTO,
        chunks: int | None = None,
    ) -> CollectiveResult:
        """Copy `size` bytes from `root` (by default the first rank of the group) to the other ranks."""
        return self._run("BROADCAST", size, ranks, algorithm, root, chunks)

    def reduce(
        self,
        size: str | float,
        ranks: Sequence[int] | None = None,
        *,
        root: int | None = None,
        algorithm: Algorithm | str = Algorithm.AUTO,
        chunks: int | None = None,
    ) -> CollectiveResult:
        """Combine a buffer of `size` bytes over the ranks, the result on `root` (by default the first rank)."""
        return self._run("REDUCE", size, ranks, algorithm, root, chunks)

    def gather(
        self,
        size: str | float,
        ranks: Sequence[int] | None = None,
        *,
        root: int | None = None,
        algorithm: Algorithm | str = Algorithm.AUTO,
    ) -> CollectiveResult:
        """Collect `size` bytes in all, an equal part from each rank, on `root` (by default the first rank)."""
        return self._run("GATHER", size, ranks, algorithm, root)

    def scatter(
        self,
        size: str | float,
        ranks: Sequence[int] | None = None,
        *,
        root: int | None = None,
        algorithm: Algorithm | str = Algorithm.AUTO,
    ) -> CollectiveResult:
        """Hand out `size` bytes in all, an equal part to each rank, from `root` (by default the first rank)."""
        return self._run("SCATTER", size, ranks, algorithm, root)

    def all_gather(
        self, size: str | float, ranks: Sequence[int] | None = None, *, algorithm: Algorithm | str = Algorithm.AUTO
    ) -> CollectiveResult:
        """Collect `size` bytes in all, an equal part from each rank, on every rank."""
        return self._run("ALL_GATHER", size, ranks, algorithm)

    def reduce_scatter(
        self, size: str | float, ranks: Sequence[int] | None = None, *, algorithm: Algorithm | str = Algorithm.AUTO
    ) -> CollectiveResult:
        """Combine a buffer of `size` bytes over the ranks, an equal part of the result on each."""
        return self._run("REDUCE_SCATTER", size, ranks, algorithm)

    def all_to_all(
        self, size: str | float, ranks: Sequence[int] | None = None, *, algorithm: Algorithm | str = Algorithm.AUTO
    ) -> CollectiveResult:
        """Send an equal part of each rank's buffer of `size` bytes to each rank."""
        return self._run("ALL_TO_ALL", size, ranks, algorithm)

    def barrier(self, ranks: Sequence[int] | None = None) -> CollectiveResult:
        """Wait until every rank has come: rounds of empty messages."""
        return self._run("BARRIER", 0.0, ranks, Algorithm.AUTO)

    def _run(
        self,
        kind: str,
        size: str | float,
        ranks: Sequence[int] | None,
        algorithm: Algorithm | str,
        root: int | None = None,
        chunks: int | None = None,
    ) -> CollectiveResult:
        size_bytes = parse_bytes(size)
        given = () if ranks is None else tuple(ranks)
        _check_integers({f"ranks[{i}]": rank for i, rank in enumerate(given)}, {"root": root, "chunks": chunks})
        if root is not None and root < 0:
            raise ConfigError(f"root: got {root}, expected one of the ranks of the group")
        group = tuple(range(self.num_devices)) if ranks is None else tuple(int(rank) for rank in given)
        chosen = -1 if root is None else root
        asked = (
            getattr(_core.CollectiveKind, kind), size_bytes, group,
            getattr(_core.Algorithm, Algorithm(algorithm).name), chosen, chunks or 0,
        )  # fmt: skip
        time_s, name, bound, sent = self._core.collective(*asked)
        if self.network == "flow" and len(group) > 1:
            time_s = self._flow_time_s(*asked)
        return CollectiveResult(kind.lower(), size_bytes, group, time_s, name, bound, sent, self, chosen)

    def _flow_time_s(
        self,
        kind: _core.CollectiveKind,
        size: float,
        ranks: Sequence[int],
        asked: _core.Algorithm,
        root: int,
        chunks: int,
    ) -> float:
        """Seconds of a collective on its own, message by message."""
        algorithm, chunks, members, dims = self._core.plan(kind, size, ranks, asked, root, chunks)
        program = _core.FlowProgram(0)
        pattern = program.add_classic(kind, algorithm, size, len(members), dims, False, chunks)
        program.communicate(pattern, program.add_group(members))
        return _core.FlowNetwork(self._core, _core.Routing.SHORTEST, 0, [], []).run(program, 0, False).end_s

    def _traffic(self, result: CollectiveResult) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        algorithm = Algorithm.AUTO if result.algorithm == "none" else Algorithm(result.algorithm)
        return self._core.traffic(
            getattr(_core.CollectiveKind, result.kind.upper()), result.size_bytes, result.ranks,
            getattr(_core.Algorithm, algorithm.name), result._root,
        )  # fmt: skip

    def __getstate__(self) -> tuple[_Spec, list[tuple[int, int, float, float]]]:
        return self._spec, self._overrides

    def __setstate__(self, state: tuple[_Spec, list[tuple[int, int, float, float]]]) -> None:
        self._spec, overrides = state
        self._overrides = list(overrides)
        self._core = self._spec.build().with_links(self._overrides)

    def __repr__(self) -> str:
        return (
            f"CommunicationModel(num_nodes={self.num_nodes}, topology={self.topology}, "
            f"devices_per_node={self.devices_per_node})"
        )


def _check_integers(required: Mapping[str, object], optional: Mapping[str, object | None] | None = None) -> None:
    """Raise one error naming every value that is no integer of 32 bits; optional ones may be None."""
    problems = Problems()
    given = {where: value for where, value in (optional or {}).items() if value is not None}
    for where, value in {**required, **given}.items():
        if not isinstance(value, Integral) or isinstance(value, bool) or abs(int(value)) >= 2**31:
            problems.add(where, value, "an integer of 32 bits")
    problems.raise_if_any()


def _check_network(network: str) -> None:
    if network not in ("rounds", "flow"):
        raise ConfigError(f"network: got {shown(network)}, expected 'rounds' or 'flow'")


def _seconds_per_byte(bandwidth: str | float | None) -> float:
    if bandwidth is None:
        return 0.0
    rate = parse_bandwidth(bandwidth, "reduce_bandwidth")
    problems = Problems()
    problems.positive("reduce_bandwidth", rate)
    problems.raise_if_any()
    return 1.0 / rate
