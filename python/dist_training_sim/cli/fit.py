"""`dts fit`: does a job fit into device memory, and what would make it fit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..units import format_seconds
from ..verbs.fit import FitReport, Option, StageFit
from ..verbs.fit import fit as answer
from . import simulate as _simulate
from .asked_job import take_job
from .deliver import deliver
from .outcome import ExitCode, complain
from .progress import busy
from .render import gib, headed, new_table, sentence
from .step import outside_text

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["EXAMPLES", "fit"]

EXAMPLES = """\b
Examples:
  dts fit --model llama-3.1-8b --cluster 1xdgx-h100 --zero 1 --micro-batch 4 --seq-len 8192
  dts fit --model llama-3.1-70b --cluster 4xdgx-h100 --tp 8 --pp 4 --seq-len 8192 --strategies
  dts fit --model mixtral-8x7b --cluster 2xdgx-h100 --ep 8 --seq-len 4096 --plot memory.png --json
  dts fit train.sh --cluster 4xdgx-h100

Takes the layout options of `dts simulate`. Exit code 3: a stage more likely runs out of memory than not.
"""
_TENSORS = 8
_EXTRA: dict[str, tuple[Any, Any]] = {
    "strategies": (Annotated[bool, typer.Option(help="Also list what each single change saves and costs.")], False),
    "expandable_segments": (Annotated[bool, typer.Option(help="PyTorch's expandable_segments:True.")], False),
    "plot": (
        Annotated[Path | None, typer.Option(metavar="FILE", help="Draw the fullest stage over time: PNG, SVG or PDF.")],
        None,
    ),
}


def fit(**options: Any) -> ExitCode:
    """Say whether a job fits into memory, and what makes it fit."""
    extra = {name: options.pop(name) for name in _EXTRA}
    job = take_job(options)
    with busy("simulating, with each change that may help"):
        report = answer(
            job.model,
            job.cluster,
            job.strategy,
            seq_len=job.seq_len,
            framework=job.profile,
            strategies=extra["strategies"],
            expandable_segments=extra["expandable_segments"],
        )
    if extra["plot"] is not None:
        _draw(report, extra["plot"])
    deliver(_plain(report), _tables(report), as_json=job.as_json, out=job.out)
    if report.fits:
        return ExitCode.OK
    tiers = _overfull(report)
    complain(f"does not fit: {tiers or _percent(report.oom_probability) + ' chance of running out of memory'}")
    return ExitCode.DOES_NOT_FIT


_simulate.give_layout_options(fit, _EXTRA)


def _plain(report: FitReport) -> dict[str, Any]:
    """Plain data: the curve of the fullest stage left out, its tensors in."""
    from .deliver import to_plain

    whole: dict[str, Any] = {
        name: to_plain(getattr(report, name)) for name in report.__dataclass_fields__ if name != "fullest"
    }
    peak = report.fullest
    whole["fullest"] = {
        "stage": peak.stage,
        "peak_bytes": peak.peak_bytes,
        "peak_time_s": peak.peak_time_s,
        "tensors": to_plain(peak.tensors[:50]),
    }
    return whole


def _tables(report: FitReport) -> list[RenderableType]:
    tables: list[RenderableType] = [sentence(_headline(report), "bold"), _stages(report.stages), _tensors(report)]
    if report.remedies:
        what = "that take it out of risk" if report.fits else "that make it fit"
        tables.append(_options(f"Changes {what}, cheapest first", report.remedies))
    elif not report.fits:
        tables.append(sentence(_hopeless(report)))
    if report.strategies:
        saving = sorted(report.strategies, key=lambda option: -option.saved_bytes)
        tables.append(_options("Each change alone", saving))
    return tables


def _hopeless(report: FitReport) -> str:
    stage = report.stages[report.fullest.stage]
    if stage.outside_bytes >= stage.limit_bytes:
        held = f"{gib(stage.outside_bytes)} GiB outside the allocator alone exceed its {gib(stage.limit_bytes)} GiB"
        return f"No job of this framework fits on the device: {held}."
    return "No three changes of this layout make it fit: more devices are needed."


def _overfull(report: FitReport) -> str:
    """Tiers that are too small for what is offloaded to them."""
    stage = report.stages[report.fullest.stage]
    held = [f"{gib(stage.offloaded_bytes[tier], 1)} GiB offloaded to {tier}" for tier in stage.overfull_tiers]
    return "" if not held else f"{' and '.join(held)} is more than a device's share of it"


def _headline(report: FitReport) -> str:
    stage = report.stages[report.fullest.stage]
    where = f"stage {stage.stage} " if len(report.stages) > 1 else ""
    return (
        f"{report.model} on {report.cluster}: {report.verdict} ({_percent(report.oom_probability)} chance of running "
        f"out of memory). {where.capitalize()}{'u' if where else 'U'}ses {gib(stage.used_bytes, 1)} of "
        f"{gib(stage.limit_bytes, 1)} GiB; a step takes {format_seconds(report.step_time_s)}."
    )


def _percent(share: float) -> str:
    return "under 1 %" if share < 0.01 else "over 99 %" if share > 0.99 else f"{share:.0%}".replace("%", " %")


def _stages(stages: Sequence[StageFit]) -> RenderableType:
    amounts = ("allocated", "reserved", "outside", "used", "limit", "headroom")
    table = new_table(("stage", *amounts, "out of memory", "verdict"))
    for s in stages:
        sizes = (s.allocated_bytes, s.reserved_bytes, s.outside_bytes, s.used_bytes, s.limit_bytes, s.headroom_bytes)
        style = {"fits": "", "at risk": "yellow"}.get(s.verdict, "red")
        table.add_row(str(s.stage), *map(gib, sizes), _percent(s.oom_probability), s.verdict, style=style)
    fullest = max(stages, key=lambda s: s.used_bytes)
    note = f"used = reserved ({fullest.reserved_by}) + outside"
    if fullest.factor_used_bytes != fullest.used_bytes:
        note += f"; {gib(fullest.factor_used_bytes, 1)} by the framework's measured factor, as dts simulate has it"
    note += "; the chance is that of measured jobs this full"
    note += f"; {outside_text(fullest)}"
    most = max(stages, key=lambda s: sum(s.offloaded_bytes.values())).offloaded_bytes
    if any(most.values()):
        note += "; offloaded by each device: " + ", ".join(f"{gib(b, 1)} GiB to {t}" for t, b in most.items() if b)
    return headed("Memory of a device by pipeline stage, GiB", table, note)


def _tensors(report: FitReport) -> RenderableType:
    peak = report.fullest
    table = new_table(("tensor", "category", "count", "GiB", "share"), left=("category",))
    for t in peak.tensors[:_TENSORS]:
        share = t.bytes / peak.peak_bytes
        table.add_row(t.name, t.category.replace("_", " "), f"{t.count:,}", gib(t.bytes), f"{share:.1%}")
    return headed(f"What fills stage {peak.stage} at its peak, {format_seconds(peak.peak_time_s)} into the step", table)


def _options(title: str, options: Sequence[Option]) -> RenderableType:
    table = new_table(("change", "GiB", "saved", "step", "slower by", "out of memory"), left=("change",))
    for o in options:
        table.add_row(
            o.changes,
            gib(o.allocated_bytes),
            gib(o.saved_bytes),
            format_seconds(o.step_time_s),
            f"{o.step_time_change:+.1%}",
            _percent(o.oom_probability),
        )
    return headed(title, table, "GiB allocated on the fullest stage")


def _draw(report: FitReport, file: Path) -> None:
    from ..visualization import Visualizer

    vis = Visualizer()
    limit = report.stages[report.fullest.stage].limit_bytes
    vis.save_figure(vis.plot_memory_timeline(report.fullest, limit), file)
