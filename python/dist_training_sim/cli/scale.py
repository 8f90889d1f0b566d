"""`dts scale`: one job on more and more devices."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import Problems
from ..units import format_count, format_seconds
from ..verbs.plan import PLAN_AXES
from ..verbs.plan_report import layout_words
from ..verbs.scale import ScaleMode, ScaleReport
from ..verbs.scale import scale as answer
from . import simulate as _simulate
from .asked_job import stated, take_job
from .deliver import deliver
from .outcome import ExitCode, complain
from .progress import busy
from .render import new_table, sentence

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["EXAMPLES", "scale"]

EXAMPLES = """\b
Examples:
  dts scale 64..16384 --model llama-3.1-70b --cluster dgx-h100 --global-batch 2048 --seq-len 8192
  dts scale 8..512 --weak --model llama-3.1-8b --cluster dgx-h100 --global-batch 64 --seq-len 8192 \\
      --plot scaling.png
  dts scale 64..1024 job.yaml --fixed
  dts scale 64..1024 --fixed --tp 8 --pp 4 --zero 1 --model llama-3.1-70b --cluster dgx-h100 \\
      --global-batch 1024 --seq-len 8192

The cluster gives the kind of node. Each size gets its best layout (as dts plan finds it), of those with
the degrees that are given; or with --fixed the layout given, whose data parallelism grows. Exit code 3:
no size runs.
"""
_COUNTS = Annotated[str, typer.Argument(metavar="DEVICES", help="Ends, doubled between: 64..16384; or 8,24,64.")]
_EXTRA: dict[str, tuple[Any, Any]] = {
    "devices": (_COUNTS, inspect.Parameter.empty),
    "weak": (Annotated[bool, typer.Option("--weak/--strong", help="The global batch grows with the devices.")], False),
    "fixed": (Annotated[bool, typer.Option("--fixed", help="Keep the layout options given, let dp grow.")], False),
    "plot": (Annotated[Path | None, typer.Option(metavar="FILE", help="Draw it: PNG, SVG or PDF.")], None),
    "threads": (Annotated[int, typer.Option(help="Threads of the searches; 0 = one per core.")], 0),
    "given": (frozenset, frozenset()),
}


def scale(**options: Any) -> ExitCode:
    """Predict strong or weak scaling, where it bends and why."""
    extra = {name: options.pop(name) for name in _EXTRA}
    (global_batch,) = stated(global_batch=options["global_batch"])
    constraints = {} if extra["fixed"] else _constraints(options, extra["given"])
    job = take_job(options)
    with busy("simulating each size" if extra["fixed"] else "searching layouts for each size"):
        report = answer(
            job.model,
            job.cluster,
            extra["devices"],
            global_batch=global_batch,
            seq_len=job.seq_len,
            mode=ScaleMode.WEAK if extra["weak"] else ScaleMode.STRONG,
            strategy=job.strategy if extra["fixed"] else None,
            framework=job.profile,
            threads=extra["threads"],
            **constraints,
        )
    runs = any(point.step_time_s is not None for point in report.points)
    if extra["plot"] is not None and runs:
        _draw(report, extra["plot"])
    deliver(report.to_dict(), _tables(report), as_json=job.as_json, out=job.out)
    if runs:
        return ExitCode.OK
    complain(report.sentence)
    return ExitCode.DOES_NOT_FIT


_simulate.give_layout_options(scale, _EXTRA)


def _constraints(options: dict[str, Any], given: frozenset[str]) -> dict[str, Any]:
    """Axes of the search that options fix; the layout of a job file fixes none, but its precision is kept."""
    problems = Problems()
    for name in options:
        if name in given and name in _simulate.LAYOUT and name not in (*PLAN_AXES, "global_batch"):
            problems.add(f"--{name.replace('_', '-')}", options[name], "it beside --fixed only")
    problems.raise_if_any()
    return {name: options[name] for name in PLAN_AXES if name in given or name == "precision"}


def _tables(report: ScaleReport) -> list[RenderableType]:
    table = new_table(
        ("devices", "batch", "step", "90 %", "tokens/s", "MFU", "eff.", "layout", "slower by"),
        left=("layout", "slower by"),
    )
    for p in report.points:
        if p.step_time_s is None or p.tokens_per_s is None or p.strategy is None:
            table.add_row(f"{p.devices:,}", f"{p.global_batch:,}", *[""] * 5, "cannot run", "see below")
            continue
        ends = "" if p.low90_s is None or p.high90_s is None else f"{p.low90_s:.3g}-{p.high90_s:.3g}"
        figures = (format_seconds(p.step_time_s), ends, format_count(p.tokens_per_s), f"{p.mfu:.0%}")
        shown = (f"{p.efficiency:.0%}", layout_words(p.strategy), p.reason)
        table.add_row(f"{p.devices:,}", f"{p.global_batch:,}", *figures, *shown)
    refused = [f"{p.devices:,} devices: {p.reason}" for p in report.points if p.step_time_s is None]
    return [sentence(f"{report.sentence}.", "bold"), table, *([sentence("\n".join(refused))] if refused else [])]


def _draw(report: ScaleReport, file: Path) -> None:
    from ..visualization import Visualizer

    points = [point for point in report.points if point.tokens_per_s is not None and point.step_time_s is not None]
    rates = [point.tokens_per_s or 0.0 for point in points]
    known = all(point.low90_s is not None for point in points)
    low = [rate * (p.step_time_s or 0.0) / (p.high90_s or 1.0) for p, rate in zip(points, rates, strict=True)]
    high = [rate * (p.step_time_s or 0.0) / (p.low90_s or 1.0) for p, rate in zip(points, rates, strict=True)]
    vis = Visualizer()
    counts = [point.devices for point in points]
    ends = (low, high) if known else (None, None)
    end = points[-1].efficiency or 0.0
    figure = vis.plot_scaling_efficiency(
        counts,
        rates,
        low=ends[0],
        high=ends[1],
        title=f"{report.model}, {report.cluster}, {report.mode} scaling: {end:.1%} efficient at {counts[-1]:,} devices",
        unit="tokens/s",
        interval="90 % interval",
    )
    vis.save_figure(figure, file)
