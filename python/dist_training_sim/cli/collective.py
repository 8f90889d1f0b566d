"""`dts collective`: what one collective costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import verbs
from ..communication import CommunicationModel
from ..errors import ConfigError, Problems
from ..topology import Topology
from ..units import format_bytes, format_seconds
from .deliver import Json, Out, deliver
from .outcome import ExitCode
from .render import figure, headed, new_table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..hardware import Cluster
    from ..verbs import CollectiveEstimate

__all__ = ["EXAMPLES", "collective"]

EXAMPLES = """\b
Examples:
  dts collective all-reduce --size 64MiB --cluster 2xdgx-h100
  dts collective all-gather --sweep --cluster 8xdgx-h100 --ranks 8 --stride 8
  dts collective all-to-all --size 1GB --cluster 1xdgx-b200 --json
  dts collective all-reduce --size 64MiB --topology ring --nodes 8 --bandwidth 50GB/s --latency 5us

Bandwidths are those of nccl-tests: algbw = size / time; busbw = algbw x 2(n-1)/n for all-reduce,
(n-1)/n for all-gather, reduce-scatter, all-to-all, gather and scatter, 1 otherwise. The size is the
gathered buffer of all-gather and reduce-scatter, one rank's send buffer of all-to-all.
"""


def _spoken(kind: verbs.CollectiveKind) -> str:
    return kind.value.replace("_", "-")


_KINDS = [_spoken(kind) for kind in verbs.CollectiveKind]
_TEXTS = ("algorithm", "bound by")
_LINKS = "With --topology: "
_TOPOLOGIES = [t.value for t in Topology if t is not Topology.CUSTOM]


def _option(help: str, **settings: Any) -> Any:
    return typer.Option(help=help, **settings)


def collective(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=", ".join(_KINDS))],
    size: Annotated[str | None, _option("Buffer, such as 64MiB; with --sweep the largest. [default: 8GiB]")] = None,
    cluster: Annotated[str | None, _option("Node with a count, 2xdgx-h100, or a YAML file: vendor library.")] = None,
    ranks: Annotated[int | None, _option("Members of the group.", show_default="all; 2 of send-recv")] = None,
    stride: Annotated[int, _option("Distance between members; 8 takes one of each node of 8.")] = 1,
    sweep: Annotated[bool, typer.Option("--sweep", help="Sizes from 1 KiB, doubling.")] = False,
    topology: Annotated[str | None, _option("Links instead of a cluster.", metavar="|".join(_TOPOLOGIES))] = None,
    nodes: Annotated[int | None, _option(f"{_LINKS}nodes of the network.")] = None,
    bandwidth: Annotated[str | None, _option(f"{_LINKS}rate of a link.", show_default="50 GB/s")] = None,
    latency: Annotated[str | None, _option(f"{_LINKS}time of a hop.", show_default="5 us")] = None,
    algorithm: Annotated[str | None, _option(f"{_LINKS}ring, rabenseifner ...", show_default="fastest")] = None,
    as_json: Json = False,
    out: Out = None,
) -> ExitCode:
    """Price a collective on a cluster's fabric, or by textbook algorithms on a network of links."""
    links = {"nodes": nodes, "bandwidth": bandwidth, "latency": latency, "algorithm": algorithm}
    given = {name: value for name, value in links.items() if value is not None}
    chosen, network = verbs.gather(lambda: _kind(kind, size, sweep), lambda: _network(cluster, topology, given))
    group: dict[str, Any] = {"ranks": ranks, "stride": stride, "algorithm": algorithm or "auto"}
    if sweep:
        largest: dict[str, Any] = {} if size is None else {"largest": size}
        rows = verbs.collective_sweep(chosen, network, **group, **largest)
        deliver({"rows": [row.to_dict() for row in rows]}, _tables(rows), as_json=as_json, out=out)
    else:
        row = verbs.collective(chosen, size or 0, network, **group)
        deliver(row.to_dict(), _tables([row]), as_json=as_json, out=out)
    return ExitCode.OK


def _kind(text: str, size: str | None, sweep: bool) -> verbs.CollectiveKind:
    kind = verbs.CollectiveKind(text)
    if size is None and not sweep and kind is not verbs.CollectiveKind.BARRIER:
        raise ConfigError("--size: got nothing, expected a buffer such as --size 64MiB, or --sweep")
    return kind


def _network(cluster: str | None, topology: str | None, links: dict[str, Any]) -> Cluster | CommunicationModel:
    """The cluster, or the network of links that the options describe; never both."""
    problems = Problems()
    if (cluster is None) == (topology is None):
        got = "neither" if cluster is None else "both"
        problems.add("network", got, "either --cluster 2xdgx-h100, say, or --topology ring --nodes 8")
    elif topology is None:
        for name, value in links.items():
            problems.add(f"--{name}", value, "it with --topology only", "a cluster has its own")
    elif Topology(topology) is Topology.CUSTOM:
        problems.add("--topology", topology, f"one of {', '.join(_TOPOLOGIES)}", "custom links need Python")
    elif "nodes" not in links:
        problems.add("--nodes", None, "the number of nodes of the topology", "give --nodes 8, say")
    problems.raise_if_any()
    if topology is None:
        return verbs.cluster_of(str(cluster))
    rates = {name: links[name] for name in ("bandwidth", "latency") if name in links}
    return CommunicationModel(links["nodes"], topology, **rates)


def _tables(rows: list[CollectiveEstimate]) -> list[RenderableType]:
    first = rows[0]
    title = f"{_spoken(first.kind)} over {first.ranks} ranks of {first.network}"
    table = new_table(("size", "time", "algbw GB/s", "busbw GB/s", "algorithm", "bound by"), left=_TEXTS)
    for row in rows:
        rates = [figure(None if rate is None else rate / 1e9) for rate in (row.algbw_Bps, row.busbw_Bps)]
        time = format_seconds(row.time_s)
        table.add_row(format_bytes(row.size_bytes), time, *rates, row.algorithm or "-", row.bound or "-")
    return [headed(title, table)]
