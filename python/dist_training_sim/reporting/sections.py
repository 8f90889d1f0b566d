"""What a report says, as data: paragraphs, tables and figures that any format can show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..result import BREAKDOWN_LABELS, Result
from ..units import format_bytes, format_count, format_seconds

if TYPE_CHECKING:
    from ..visualization import Visualizer
    from .make import Report

__all__ = ["Section", "Table", "sections", "summary"]

_GIB = 2**30
_MOST_TENSORS, _MOST_KNOBS = 5, 8


@dataclass(frozen=True)
class Table:
    """Column heads and rows of text; columns after the first hold figures where `figures` is true."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    figures: bool = True


@dataclass(frozen=True)
class Section:
    """A heading with what stands below it, in this order."""

    title: str
    text: Sequence[str] = ()
    tables: Sequence[Table] = ()
    figures: Sequence[Callable[[Visualizer], Any]] = ()
    items: Sequence[str] = field(default=())


def summary(report: Report) -> str:
    """The answer in two sentences."""
    r, use = report.result, report.fit.stages[report.fit.fullest.stage]
    speed = (
        f"{r.tokens_per_s_per_device:,.0f} tokens/s"
        if r.seq_len > 1
        else f"{r.samples_per_s / r.devices:,.4g} samples/s"
    )
    waits = 1 - sum(r.breakdown[name] for name in ("forward_s", "backward_s", "optimizer_s")) / r.step_time_s
    held = f"{format_bytes(use.used_bytes)} of {format_bytes(use.limit_bytes)}"
    return (
        f"{r.model} on {r.cluster_title}: a step takes {format_seconds(r.step_time_s)}, {speed} per device, "
        f"{r.mfu:.1%} MFU. It {_verdict(report.fit.verdict)}: the fullest device needs {held}. "
        f"{waits:.0%} of the step goes to anything but forward, backward and update."
    )


def _verdict(verdict: str) -> str:
    return {"fits": "fits", "at risk": "may not fit"}.get(verdict, verdict)


def sections(report: Report) -> list[Section]:
    """All sections after the summary."""
    return [
        _inputs(report),
        Section("Timeline", figures=[lambda vis: vis.plot_training_timeline(report.result)]),
        _breakdown(report.result),
        _memory(report),
        _help(report),
        _certainty(report),
        Section("Sources", ["Facts behind the prediction:"], items=report.sources),
    ]


def _inputs(report: Report) -> Section:
    r, s = report.result, report.result.strategy
    degrees = ", ".join(f"{axis} {getattr(s, axis):,}" for axis in ("dp", "tp", "pp", "vpp", "cp", "ep"))
    rows = [
        ("model", f"{r.model}, {format_count(float(report.parameters))} parameters"),
        ("cluster", f"{r.cluster_title}, {r.devices:,} devices"),
        ("framework", f"{r.profile.title}"),
        ("layout", f"{degrees}, zero {s.zero}"),
        ("batch", f"{s.global_batch:,} samples in {r.micro_batches} micro-batches of {s.micro_batch} per replica"),
        ("tokens per sample", f"{r.seq_len:,.0f}"),
        ("precision, recomputation", f"{s.precision.value}, {s.recompute.value}"),
        ("schedule, optimizer", f"{s.schedule.value}, {s.optimizer.value}"),
    ]
    return Section("Inputs", tables=[Table(("", ""), rows, figures=False)])


_EXPOSED = (
    "Each second of the step has one cause, which the first table names. In the second, communication is exposed while "
    "its device computes nothing, whatever the device waits for: a reduction inside a pipeline bubble costs the step "
    "nothing, and is exposed."
)


def _breakdown(r: Result) -> Section:
    parts = [(BREAKDOWN_LABELS[name], seconds) for name, seconds in r.breakdown.items() if seconds > 0]
    rows = [(label, format_seconds(seconds), f"{seconds / r.step_time_s:.1%}") for label, seconds in parts]
    tables = [Table(("cause", "time", "share"), [*rows, ("step", format_seconds(r.step_time_s), "100.0%")])]
    axes = [
        (axis, *(format_seconds(times[name]) for name in ("total_s", "overlapped_s", "exposed_s")))
        for axis, times in r.communication.items()
        if times["total_s"] > 0
    ]
    text = []
    if axes:
        tables.append(Table(("communication", "total", "overlapped", "exposed"), axes))
        text.append(_EXPOSED)
    return Section("Where the step goes", text, tables, [lambda vis: vis.plot_step_breakdown(r)])


def _memory(report: Report) -> Section:
    fit, tensors = report.fit, report.fit.fullest.tensors[:_MOST_TENSORS]
    chance = f"The job {_verdict(fit.verdict)}: the chance of running out of memory is {fit.oom_probability:.0%}."
    rows = [
        (
            f"stage {stage.stage}",
            *(format_bytes(v) for v in (stage.allocated_bytes, stage.used_bytes, stage.limit_bytes)),
        )
        for stage in fit.stages
    ]
    largest = [(f"{t.count} x {t.name}", format_bytes(t.bytes)) for t in tensors]
    limit = fit.stages[fit.fullest.stage].limit_bytes
    return Section(
        "Memory",
        [chance],
        [
            Table(("stage", "allocated", "used", "limit"), rows),
            Table(("largest tensors at the peak", "bytes"), largest),
        ],
        [lambda vis: vis.plot_fit(fit), lambda vis: vis.plot_memory_timeline(fit.fullest, limit)],
    )


def _help(report: Report) -> Section:
    why, base = report.explanation, report.result.step_time_s
    text, tables = [f"{why.sentence}", _bottleneck(report.result)], []
    if report.fit.remedies:
        rows = _rows((o.changes, o.step_time_s, o.allocated_bytes) for o in report.fit.remedies)
        risk = "It is at risk as it is; these changes take it out of that"
        text.append(
            f"{risk if report.fit.fits else 'It does not fit as it is; these changes make it fit'}, the cheapest first."
        )
        tables.append(Table(("to make it fit", "step", "allocated"), rows))
    if report.advice:
        rows = _rows(
            (k.words, k.step_time_s, k.used_bytes, f"{-(k.step_time_change or 0.0):.1%}")
            for k in report.advice[:_MOST_KNOBS]
        )
        tables.append(Table(("faster, and fits", "step", "memory", "saves"), rows))
    else:
        text.append("No single change of the layout that fits makes it more than 0.5 % faster.")
    formulas = [(f.part, f.text, f.simulated) for f in why.formulas]
    tables.append(Table(("by hand", "formula", "simulated"), formulas, figures=False))
    effects = {f"10 % more {r.resource}": r.step_time_s for r in why.resources if abs(r.step_time_change) > 1e-6}
    figures = [lambda vis: vis.plot_sensitivity(base, effects)] if effects else []
    return Section("What would help", text, tables, figures)


def _rows(options: Iterable[tuple[Any, ...]]) -> list[list[str]]:
    return [[words, format_seconds(step), format_bytes(held), *rest] for words, step, held, *rest in options]


_WHY = {
    "exposed_tp_s": "tensor-parallel collectives of every layer: fewer such ranks, or a framework that overlaps them",
    "exposed_cp_s": "context-parallel transfers: fewer context-parallel ranks",
    "exposed_ep_s": "the exchange of tokens: expert groups inside a scale-up domain, or an overlapped exchange",
    "exposed_dp_s": "gradient reductions and parameter gathers: more work per step, or shards inside a node",
    "offload_s": "copies between device and host: offload less",
    "pipeline_s": "other pipeline stages: more micro-batches, more chunks per rank, or another schedule",
    "interference_s": "multiprocessors that collectives hold: fewer bytes to reduce",
    "contention_s": "links that collectives share: another placement, or a network with more room",
    "straggler_s": "slower ranks",
    "host_s": "the host that launches kernels: larger kernels, compilation or graphs",
    "recompute_s": "recomputation of activations: keep more where memory allows",
    "fixed_s": "fixed costs of a step: more work per step",
}


def _bottleneck(r: Result) -> str:
    """What the step waits for most, and what is done about it."""
    waits = {name: r.breakdown[name] for name in _WHY}
    worst = max(waits, key=waits.__getitem__)
    kernels = sum(r.breakdown[name] for name in ("forward_s", "backward_s", "optimizer_s")) / r.step_time_s
    if waits[worst] <= 0:
        return "The step is kernels alone."
    share = waits[worst] / r.step_time_s
    return (
        f"Kernels of forward, backward and update take {kernels:.0%}. Most of the rest, {share:.1%}, is {_WHY[worst]}."
    )


def _certainty(report: Report) -> Section:
    near = report.result.interval
    if near is None:
        return Section("How sure", ["No interval: no measured runs are near this job."])
    rows = [
        ("50 %", format_seconds(near.low50), format_seconds(near.high50)),
        ("90 %", format_seconds(near.low90), format_seconds(near.high90)),
    ]
    runs = f"{near.rows} measured runs of {near.sources} sources ({near.stratum})"
    text = f"{near.badge.capitalize()}: from the errors of {runs}."
    return Section("How sure", [text], [Table(("of such jobs, the step lies within", "from", "to"), rows)])
