"""`dts collective`: what one collective costs."""

from __future__ import annotations

from pathlib import Path
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
    from rich.table import Table

    from ..hardware import Cluster
    from ..verbs import CollectiveEstimate

    Network = Cluster | CommunicationModel

__all__ = ["EXAMPLES", "collective"]

EXAMPLES = """\b
Examples:
  dts collective all-reduce --size 64MiB --cluster 2xdgx-h100
  dts collective all-gather --sweep --cluster 8xdgx-h100 --ranks 8 --stride 8
  dts collective all-to-all --size 1GB --cluster 1xdgx-b200 --json
  dts collective all-reduce --sweep --cluster 4xdgx-h100 --compare 4xp5.48xlarge --plot busbw.png
  dts collective all-reduce --size 64MiB --cluster 2xdgx-h100 --ranks 0,1,8,9
  dts collective all-reduce --size 64MiB --topology ring --nodes 8 --bandwidth 50GB/s --latency 5us

Bandwidths are those of nccl-tests: algbw = size / time; busbw = algbw x 2(n-1)/n for all-reduce,
(n-1)/n for all-gather, reduce-scatter, all-to-all, gather and scatter, 1 otherwise. The size is the
gathered buffer of all-gather and reduce-scatter, one rank's send buffer of all-to-all.
"""


def _spoken(kind: verbs.CollectiveKind) -> str:
    return kind.value.replace("_", "-")


_KINDS = [_spoken(kind) for kind in verbs.CollectiveKind]
_TEXTS = ("algorithm", "protocol", "bound by")
_LINKS = "With --topology: "
_TOPOLOGIES = [t.value for t in Topology if t is not Topology.CUSTOM]


def _option(help: str, **settings: Any) -> Any:
    return typer.Option(help=help, **settings)


def collective(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=", ".join(_KINDS))],
    size: Annotated[str | None, _option("Buffer, such as 64MiB; with --sweep the largest. [default: 8GiB]")] = None,
    cluster: Annotated[str | None, _option("Node with a count, 2xdgx-h100, or a YAML file: vendor library.")] = None,
    ranks: Annotated[str | None, _option("Members: a number, or 0,8,16.", show_default="all; 2 of send-recv")] = None,
    stride: Annotated[int, _option("Distance between members; 8 takes one of each node of 8.")] = 1,
    sweep: Annotated[bool, typer.Option("--sweep", help="Sizes from 1 KiB, doubling.")] = False,
    topology: Annotated[str | None, _option("Links instead of a cluster.", metavar="|".join(_TOPOLOGIES))] = None,
    nodes: Annotated[int | None, _option(f"{_LINKS}nodes of the network.")] = None,
    bandwidth: Annotated[str | None, _option(f"{_LINKS}rate of a link.", show_default="50 GB/s")] = None,
    latency: Annotated[str | None, _option(f"{_LINKS}time of a hop.", show_default="5 us")] = None,
    compare: Annotated[str | None, _option("A second cluster to put beside the first.", metavar="CLUSTER")] = None,
    plot: Annotated[Path | None, _option("Draw busbw over size, with --sweep (png, svg).", metavar="FILE")] = None,
    algorithm: Annotated[str | None, _option(f"{_LINKS}ring, rabenseifner ...", show_default="fastest")] = None,
    as_json: Json = False,
    out: Out = None,
) -> ExitCode:
    """Price a collective on a cluster's fabric or on a topology."""
    links = {"nodes": nodes, "bandwidth": bandwidth, "latency": latency, "algorithm": algorithm}
    given = {name: value for name, value in links.items() if value is not None}
    chosen, networks, members = verbs.gather(
        lambda: _kind(kind, size, sweep),
        lambda: _networks(cluster, topology, given, compare),
        lambda: _members(ranks),
    )
    if plot is not None and not sweep:
        raise ConfigError("--plot: got one size, expected a sweep; add --sweep")
    group: dict[str, Any] = {"ranks": members, "stride": stride, "algorithm": algorithm or "auto"}
    tables = [_priced(chosen, network, size, sweep, group) for network in networks]
    if plot is not None:
        _draw(tables, plot)
    plain = [[row.to_dict() for row in rows] for rows in tables]
    deliver(_result(plain, sweep, compare), _tables(tables), as_json=as_json, out=out)
    return ExitCode.OK


def _priced(
    kind: verbs.CollectiveKind, network: Network, size: str | None, sweep: bool, group: dict[str, Any]
) -> list[CollectiveEstimate]:
    if not sweep:
        return [verbs.collective(kind, size or 0, network, **group)]
    largest: dict[str, Any] = {} if size is None else {"largest": size}
    return verbs.collective_sweep(kind, network, **group, **largest)


def _result(plain: list[list[dict[str, Any]]], sweep: bool, compare: str | None) -> dict[str, Any]:
    """One row as it is, a sweep under `rows`; a comparison adds the rows of the other cluster."""
    first = {"rows": plain[0]} if sweep else plain[0][0]
    return first if compare is None else {**first, "compared": plain[1] if sweep else plain[1][0]}


def _members(text: str | None) -> int | list[int] | None:
    """A count or a list of ranks."""
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",") if part.strip()] if "," in text else int(text)
    except ValueError:
        raise ConfigError(f"--ranks: got {text[:60]!r}, expected a number or a list such as 0,8,16") from None


def _networks(
    cluster: str | None, topology: str | None, links: dict[str, Any], compare: str | None
) -> list[Cluster | CommunicationModel]:
    first = _network(cluster, topology, links)
    return [first] if compare is None else [first, verbs.cluster_of(compare)]


def _kind(text: str, size: str | None, sweep: bool) -> verbs.CollectiveKind:
    kind = verbs.kind_named(text)
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


def _tables(tables: list[list[CollectiveEstimate]]) -> list[RenderableType]:
    shown: list[RenderableType] = [headed(_title(rows[0]), _table(rows)) for rows in tables]
    return shown if len(tables) == 1 else [*shown, headed("Second over first", _ratios(*tables))]


def _title(first: CollectiveEstimate) -> str:
    return f"{_spoken(first.kind)} over {first.ranks} ranks of {first.network}"


def _table(rows: list[CollectiveEstimate]) -> Table:
    vendor = any(row.sms or row.protocol for row in rows)
    extra = ("protocol", "SMs") if vendor else ()
    table = new_table(("size", "time", "algbw GB/s", "busbw GB/s", "algorithm", *extra, "bound by"), left=_TEXTS)
    for row in rows:
        rates = [figure(None if rate is None else rate / 1e9) for rate in (row.algbw_Bps, row.busbw_Bps)]
        how = (row.protocol or "-", figure(row.sms)) if vendor else ()
        cells = (format_bytes(row.size_bytes), format_seconds(row.time_s), *rates, row.algorithm or "-", *how)
        table.add_row(*cells, row.bound or "-")
    return table


def _ratios(first: list[CollectiveEstimate], second: list[CollectiveEstimate]) -> Table:
    """How much longer the second network takes."""
    table = new_table(("size", "time", "busbw"))
    for a, b in zip(first, second, strict=True):
        time = b.time_s / a.time_s if a.time_s else None
        rate = b.busbw_Bps / a.busbw_Bps if a.busbw_Bps and b.busbw_Bps else None
        table.add_row(format_bytes(a.size_bytes), figure(time, 3), figure(rate, 3))
    return table


def _draw(tables: list[list[CollectiveEstimate]], path: Path) -> None:
    from ..visualization.files import save_figure
    from ..visualization.sweeps import Series, plot_sweeps

    curves = []
    for colour, rows in enumerate(tables):
        known = [(row.size_bytes, row.busbw_Bps) for row in rows if row.busbw_Bps is not None]
        label = f"{rows[0].network}, {rows[0].ranks} ranks"
        curves.append(Series(label, [s for s, _ in known], [b for _, b in known], colour=colour))
    first = tables[0][0]
    save_figure(plot_sweeps(curves, f"Bus bandwidth of {_spoken(first.kind)}", bandwidth=True), path)
