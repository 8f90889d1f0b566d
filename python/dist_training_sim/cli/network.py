"""`dts network`: the links of a cluster under one training step."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..units import format_bytes, format_seconds
from ..verbs.network import NetworkReport
from ..verbs.network import network as answer
from . import simulate as _simulate
from .asked_job import take_job
from .deliver import deliver
from .fabric import FABRIC, read_fabric
from .outcome import ExitCode
from .progress import busy
from .render import figure, headed, new_table, sentence
from .stragglers import check_slow_nodes, read_slow_links

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["EXAMPLES", "network"]

EXAMPLES = """\b
Examples:
  dts network --model llama-3.1-70b --cluster 16xdgx-h100 --tp 8 --pp 4 --global-batch 64 --seq-len 4096
  dts network --model llama-3.1-8b --cluster 16xdgx-h100 --zero 3 --global-batch 128 --seq-len 4096 \\
      --network-topology fat_tree --spines 4 --oversubscription 2 --routing ecmp:7 --plot links.png
  dts network --model llama-3.1-70b --cluster 16xdgx-h100 --tp 8 --pp 4 --global-batch 64 --seq-len 4096 \\
      --slow-cables "nic 3.0=0.5" --dead-cables "leaf 0 - spine 1" --spines 4 --background "0>40=20GB/s"

Takes the layout options of `dts simulate`. Cables: "port 12" (of device 12), "nic 3.0" (NIC 0 of node 3),
"leaf 2 - spine 1". Shares are of a link's bandwidth, what protocols add included.
"""
_EXTRA: dict[str, tuple[Any, Any]] = {
    "intervals": (Annotated[int, typer.Option(help="Intervals of time, at least.")], 100),
    "top": (Annotated[int, typer.Option(help="Busiest links to list.")], 10),
    "plot": (
        Annotated[Path | None, typer.Option(metavar="FILE", help="Draw link use over time: PNG, SVG or PDF.")],
        None,
    ),
}


def network(**options: Any) -> ExitCode:
    """Run one step on shared links; show what the links carry."""
    extra = {name: options.pop(name) for name in _EXTRA}
    slow = read_slow_links(options.pop("slow_links"))
    links = {name: options.pop(name) for name in FABRIC}
    job = take_job(options)
    check_slow_nodes(slow, job.cluster)
    with busy("following every message"):
        report = answer(
            job.model,
            job.cluster,
            job.strategy,
            seq_len=job.seq_len,
            framework=job.profile,
            fabric=read_fabric(links, slow, job.cluster),
            intervals=extra["intervals"],
            top=extra["top"],
        )
    if extra["plot"] is not None:
        _draw(report, extra["plot"])
    deliver(report.to_dict(), _tables(report), as_json=job.as_json, out=job.out)
    return ExitCode.OK


def _options() -> dict[str, tuple[Any, Any]]:
    """The fabric options of `dts simulate`, and the verb's own."""
    hints = inspect.get_annotations(_simulate.simulate, eval_str=True)
    parameters = inspect.signature(_simulate.simulate).parameters
    shared = {name: (hints[name], p.default) for name, p in parameters.items() if name in FABRIC | {"slow_links"}}
    return shared | _EXTRA


_simulate.give_layout_options(network, _options())


def _tables(report: NetworkReport) -> list[RenderableType]:
    tables: list[RenderableType] = [sentence(_headline(report), "bold")]
    tiers = new_table(("tier", "links", "GB/s each", "bytes", "mean %", "busiest %", "peak %"))
    for t in report.tiers:
        shares = (figure(100 * share, 3) for share in (t.mean_share, t.busiest_share, t.peak_share))
        tiers.add_row(t.tier, f"{t.links:,}", figure(t.bandwidth_Bps / 1e9), format_bytes(t.bytes), *shares)
    note = "mean over all links, of the busiest link, of any link in any interval"
    tables.append(headed("Share of the bandwidth taken over the step", tiers, note))
    if report.busiest:
        links = new_table(("link", "GB/s", "bytes", "mean %", "peak %"))
        for use in report.busiest:
            shares = (figure(100 * share, 3) for share in (use.mean_share, use.peak_share))
            links.add_row(use.name, figure(use.bandwidth_Bps / 1e9), format_bytes(use.bytes), *shares)
        tables.append(headed("Busiest links", links))
    return tables


def _headline(report: NetworkReport) -> str:
    alone, lost = report.uncontended_step_time_s, report.step_time_s - report.uncontended_step_time_s
    sharing = f"{format_seconds(lost)} more ({report.slowdown:.1%}) than" if lost > 1e-9 * alone else "as long as"
    return (
        f"{report.model} on {report.cluster}: a step takes {format_seconds(report.step_time_s)}, {sharing} with every "
        f"collective alone on its links."
    )


def _draw(report: NetworkReport, file: Path) -> None:
    from ..visualization import Visualizer

    vis = Visualizer()
    vis.save_figure(vis.plot_link_use(report.links, title=_headline(report).removesuffix(".")), file)
