"""`collective`: what one collective costs on a cluster or on a network of links, in the terms of nccl-tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .. import _core
from .._convert import to_core
from ..collectives import Algorithm
from ..communication import CommunicationModel
from ..errors import ConfigError, DtsError, Problems, shown, suggest
from ..hardware import Cluster
from ..named_enum import NamedEnum
from ..units import format_bytes, format_seconds, parse_bytes
from .inputs import cluster_of, gather

__all__ = ["CollectiveEstimate", "CollectiveKind", "bus_factor", "collective", "collective_sweep", "sweep_sizes"]

SMALLEST_SWEPT, LARGEST_SWEPT, LARGEST = 2.0**10, 2.0**33, 2.0**60


class CollectiveKind(NamedEnum):
    """The collectives. Every function that takes one also takes its name, e.g. `"all-reduce"`."""

    ALL_REDUCE = "all_reduce"
    ALL_GATHER = "all_gather"
    REDUCE_SCATTER = "reduce_scatter"
    ALL_TO_ALL = "all_to_all"
    BROADCAST = "broadcast"
    REDUCE = "reduce"
    GATHER = "gather"
    SCATTER = "scatter"
    SEND_RECV = "send_recv"
    BARRIER = "barrier"


def kind_named(name: object) -> CollectiveKind:
    """A collective by its name, as the command line takes it.

    Raises
    ------
    ConfigError
        With the nearest names.
    """
    try:
        return CollectiveKind(name)
    except DtsError:
        names = [kind.value.replace("_", "-") for kind in CollectiveKind]
        raise ConfigError(
            f"collective: got {shown(name)}, expected one of {', '.join(names)}; {suggest(str(name), names)}"
        ) from None


@dataclass(frozen=True, repr=False)
class CollectiveEstimate:
    """What one collective costs.

    Attributes
    ----------
    kind
        Name of the collective.
    network
        What it runs on, as text.
    ranks
        Members of the group.
    size_bytes
        The buffer as nccl-tests counts it: gathered size of all-gather and reduce-scatter, one rank's send buffer of
        all-to-all, the root's buffer of gather and scatter.
    time_s
        Seconds from start to end.
    algorithm, bound
        How it is carried out, and what most of the time goes to; empty for one rank.
    sent_bytes_per_rank
        Bytes sent by the rank that sends most.
    protocol
        `"LL"`, `"LL128"` or `"Simple"` of NCCL and RCCL; empty elsewhere.
    sms
        Streaming multiprocessors that its kernel occupies; 0 where none does or it is not modelled.
    """

    kind: CollectiveKind
    network: str
    ranks: int
    size_bytes: float
    time_s: float
    algorithm: str
    bound: str
    sent_bytes_per_rank: float
    protocol: str = ""
    sms: float = 0.0

    @property
    def algbw_Bps(self) -> float | None:
        """Algorithm bandwidth: size over time. None where no time passes or a barrier moves nothing."""
        moves = self.time_s > 0 and self.kind is not CollectiveKind.BARRIER
        return self.size_bytes / self.time_s if moves else None

    @property
    def busbw_Bps(self) -> float | None:
        """Bus bandwidth: algorithm bandwidth times `bus_factor`, comparable with the rate of a link."""
        algbw = self.algbw_Bps
        return None if algbw is None else algbw * bus_factor(self.kind, self.ranks)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as printed by `dts collective --json`."""
        return {
            "kind": self.kind.value,
            "network": self.network,
            "ranks": self.ranks,
            "size_bytes": self.size_bytes,
            "time_s": self.time_s,
            "algbw_Bps": self.algbw_Bps,
            "busbw_Bps": self.busbw_Bps,
            "algorithm": self.algorithm,
            "protocol": self.protocol,
            "bound": self.bound,
            "sent_bytes_per_rank": self.sent_bytes_per_rank,
            "sms": self.sms,
        }

    def __repr__(self) -> str:
        rate = "" if self.busbw_Bps is None else f" (bus {self.busbw_Bps / 1e9:.4g} GB/s)"
        return (
            f"<{self.kind.value} of {format_bytes(self.size_bytes)} over {self.ranks} ranks of {self.network}: "
            f"{format_seconds(self.time_s)}{rate}>"
        )


def bus_factor(kind: CollectiveKind, ranks: int) -> float:
    """Bus over algorithm bandwidth, what a rank's link carries of the buffer: nccl-tests doc/PERFORMANCE.md."""
    if kind in (CollectiveKind.BROADCAST, CollectiveKind.REDUCE, CollectiveKind.SEND_RECV, CollectiveKind.BARRIER):
        return 1.0
    return (2.0 if kind is CollectiveKind.ALL_REDUCE else 1.0) * (ranks - 1) / ranks


def collective(
    kind: CollectiveKind | str,
    size: str | float,
    network: Cluster | CommunicationModel | str,
    *,
    ranks: int | Sequence[int] | None = None,
    stride: int = 1,
    algorithm: Algorithm | str = Algorithm.AUTO,
) -> CollectiveEstimate:
    """Price one collective.

    Parameters
    ----------
    kind
        Which, e.g. `"all-reduce"`.
    size
        Bytes, or text such as `"64 MiB"`; what they count: `CollectiveEstimate.size_bytes`. A barrier takes 0.
    network
        A cluster (or its name, or a YAML file) for the algorithms and rates of the vendor libraries on real fabrics; a
        `CommunicationModel` for textbook algorithms on its links.
    ranks, stride
        Members of the group, by default all (of send-recv two), and the distance between them: on nodes of eight
        devices, stride 8 takes one device of each node. A list of ranks instead of a number places each member.
    algorithm
        Only for a `CommunicationModel`; a cluster's library chooses its own.

    Raises
    ------
    ConfigError
        If the group does not fit on the network, or a value is not legal.

    Examples
    --------
    >>> collective("all-reduce", "1 GiB", "2xdgx-h100").algorithm
    'nvls-tree'
    """
    return _sweep(kind, (size,), network, ranks, stride, algorithm)[0]


def collective_sweep(
    kind: CollectiveKind | str,
    network: Cluster | CommunicationModel | str,
    *,
    largest: str | float = LARGEST_SWEPT,
    ranks: int | Sequence[int] | None = None,
    stride: int = 1,
    algorithm: Algorithm | str = Algorithm.AUTO,
) -> list[CollectiveEstimate]:
    """`collective` for the sizes 1 KiB, 2 KiB, 4 KiB ... up to `largest` (8 GiB by default)."""
    return _sweep(kind, sweep_sizes(largest), network, ranks, stride, algorithm)


def sweep_sizes(largest: str | float = LARGEST_SWEPT) -> list[float]:
    """Sizes 1 KiB, 2 KiB, 4 KiB ... that are not above `largest`, in bytes."""
    most = parse_bytes(largest)
    if not SMALLEST_SWEPT <= most <= LARGEST:
        raise ConfigError(f"size: got {largest!r}, expected 1 KiB to 1 EiB for the largest size of a sweep")
    sizes = [SMALLEST_SWEPT]
    while sizes[-1] * 2 <= most:
        sizes.append(sizes[-1] * 2)
    return sizes


def _sweep(
    kind: CollectiveKind | str,
    sizes: Sequence[str | float],
    network: Cluster | CommunicationModel | str,
    ranks: int | Sequence[int] | None,
    stride: int,
    algorithm: Algorithm | str,
) -> list[CollectiveEstimate]:
    chosen, where, how = gather(
        lambda: kind_named(kind),
        lambda: cluster_of(network) if isinstance(network, str) else network,
        lambda: Algorithm(algorithm),
    )
    amounts, group = gather(
        lambda: [_checked_size(chosen, size) for size in sizes],
        lambda: _checked_group(chosen, where, ranks, stride),
    )
    if isinstance(where, CommunicationModel):
        return [_on_links(chosen, size, where, group, stride, how) for size in amounts]
    if how is not Algorithm.AUTO:
        raise ConfigError(f"algorithm: got {algorithm!r}, expected 'auto' on a cluster, whose library chooses itself")
    return _on_fabric(chosen, amounts, where, group, stride)


def _checked_size(kind: CollectiveKind, size: str | float) -> float:
    amount = parse_bytes(size)
    problems = Problems()
    if kind is CollectiveKind.BARRIER:
        if amount != 0:
            problems.add("size", size, "0: a barrier moves nothing")
    elif problems.positive("size", amount) and amount > LARGEST:
        problems.add("size", size, "at most 1 EiB")
    problems.raise_if_any()
    return amount


def _checked_group(
    kind: CollectiveKind, where: Cluster | CommunicationModel, ranks: int | Sequence[int] | None, stride: int
) -> tuple[int, ...] | int:
    """The members, or their number, after checking that they are on the network."""
    devices = where.device_count if isinstance(where, Cluster) else where.num_devices
    problems = Problems()
    if not problems.count("stride", stride):
        problems.raise_if_any()
    room = (devices - 1) // stride + 1
    placed = None if ranks is None or isinstance(ranks, int) else _placed(problems, ranks, devices, stride)
    members = ranks if isinstance(ranks, int) else min(room, 2) if kind is CollectiveKind.SEND_RECV else room
    count = members if placed is None else len(placed)
    if problems.count("ranks", count) and placed is None and count > room:
        problems.add("ranks", count, f"at most {room}: {devices} devices at stride {stride}")
    if kind is CollectiveKind.SEND_RECV and count != 2:
        problems.add("ranks", count, "2 for send-recv: one sends, one receives", "use ranks=2")
    problems.raise_if_any()
    return members if placed is None else placed


def _placed(problems: Problems, ranks: Sequence[int], devices: int, stride: int) -> tuple[int, ...]:
    """The listed ranks; each must be a device of the network, once, and no stride may be given beside them."""
    problems.few("ranks", ranks, devices)
    problems.raise_if_any()
    placed = tuple(ranks)
    if stride != 1:
        problems.add("stride", stride, "1 beside a list of ranks", "a list places every member itself")
    for rank in placed:
        if isinstance(rank, bool) or not isinstance(rank, int) or not 0 <= rank < devices:
            problems.add("ranks", rank, f"ranks from 0 to {devices - 1}")
    twice = sorted(rank for rank, count in Counter(placed).items() if count > 1)
    if twice:
        problems.add("ranks", f"{twice[0]} twice", "distinct ranks")
    return placed


def _on_fabric(
    kind: CollectiveKind, sizes: Sequence[float], cluster: Cluster, group: tuple[int, ...] | int, stride: int
) -> list[CollectiveEstimate]:
    core = to_core(cluster)
    _core.check_cluster(core)
    if isinstance(group, int):
        span = _core.span_of(core, group, stride)
    else:
        span = _core.span_of_ranks(core, list(group))
    costs = [_core.fabric_collective(core, getattr(_core.CollectiveKind, kind.name), size, span) for size in sizes]
    return [
        CollectiveEstimate(
            *(kind, cluster.name, span.ranks, size, cost.time_s, cost.algorithm, cost.bound, cost.sent_bytes_per_rank),
            protocol=cost.protocol,
            sms=cost.sms,
        )
        for size, cost in zip(sizes, costs, strict=True)
    ]


def _on_links(
    kind: CollectiveKind,
    size: float,
    model: CommunicationModel,
    members: tuple[int, ...] | int,
    stride: int,
    algorithm: Algorithm,
) -> CollectiveEstimate:
    group = tuple(range(0, members * stride, stride)) if isinstance(members, int) else members
    if kind is CollectiveKind.SEND_RECV:
        cost = model.send_recv(group[0], group[1], size)
    elif kind is CollectiveKind.BARRIER:
        cost = model.barrier(group)
    else:
        cost = getattr(model, kind.value)(size, group, algorithm=algorithm)
    name = f"{model.topology.value} of {model.num_nodes} nodes"
    return CollectiveEstimate(
        kind, name, len(group), size, cost.time_s, cost.algorithm, cost.bound, cost.sent_bytes_per_rank
    )
