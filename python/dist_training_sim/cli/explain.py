"""`dts explain`: why a step takes as long as it does, and what would change it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..units import format_seconds
from ..verbs.explain import Explanation
from ..verbs.explain import explain as answer
from . import simulate as _simulate
from .asked_job import take_job
from .deliver import deliver
from .outcome import ExitCode, complain
from .progress import busy
from .render import headed, new_table, sentence

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["EXAMPLES", "explain"]

EXAMPLES = """\b
Examples:
  dts explain --model llama-3.1-70b --cluster 8xdgx-h100 --tp 8 --pp 4 --vpp 2 --zero 1 \\
      --global-batch 128 --seq-len 8192
  dts explain train.sh --cluster 8xdgx-h100
  dts explain --model mixtral-8x7b --cluster 4xdgx-h100 --ep 8 --zero 1 --seq-len 4096 \\
      --ops --roofline roofline.png

Takes the layout options of `dts simulate`. Exit code 3: the layout does not fit into memory.
"""
_SHOWN_KNOBS, _SHOWN_PATH, _SHOWN_OPS = 16, 8, 24


def explain(**options: Any) -> ExitCode:
    """Say why a step takes so long, and what would help."""
    with_ops, roofline = options.pop("with_ops"), options.pop("roofline")
    job = take_job(options)
    with busy("simulating, with more of each resource and each knob turned"):
        why = answer(job.model, job.cluster, job.strategy, seq_len=job.seq_len, framework=job.profile)
    if roofline is not None:
        _draw_roofline(why, roofline)
    tables = _tables(why) + ([headed("Ops that take most of the step", _ops(why), _OPS_NOTE)] if with_ops else [])
    deliver(why.to_dict(), tables, as_json=job.as_json, out=job.out)
    if why.result.fits:
        return ExitCode.OK
    complain(f"does not fit: {why.result.fullest_stage.oom_probability:.0%} chance of running out of memory")
    return ExitCode.DOES_NOT_FIT


_OWN: dict[str, tuple[Any, Any]] = {
    "with_ops": (Annotated[bool, typer.Option("--ops", help="Add a table of the ops: FLOPs, bytes, seconds.")], False),
    "roofline": (
        Annotated[Path | None, typer.Option(help="Draw the ops under the roofs of the device.", metavar="FILE")],
        None,
    ),
}
_simulate.give_layout_options(explain, _OWN)
_OPS_NOTE = "time: in a step, on a device; the rest of one run. --json has every op."


def _draw_roofline(why: Explanation, file: Path) -> None:
    from ..visualization import Visualizer

    vis = Visualizer()
    vis.save_figure(vis.plot_roofline(why.result), file)


def _tables(why: Explanation) -> list[RenderableType]:
    return [
        sentence(why.sentence, "bold"),
        headed("Time by cause, and what it is bound by", _causes(why)),
        headed("Critical path: the chain of tasks that the step waits for", _path(why), _path_note(why)),
        *_formulas(why),
        headed("10 % more of a resource", _resources(why)),
        headed("One knob, one step", _knobs(why)),
    ]


def _causes(why: Explanation) -> Any:
    table = new_table(("cause", "time", "share", "bound by"), left=("bound by",))
    for cause in why.causes:
        bounds = ", ".join(f"{name} {share:.0%}" for name, share in cause.bounds.items())
        table.add_row(cause.label, format_seconds(cause.seconds), f"{cause.share:.1%}", bounds or "latency, order")
    return table


def _path(why: Explanation) -> Any:
    """The path added up by kind and stage."""
    time: Counter[tuple[str, int]] = Counter()
    tasks: Counter[tuple[str, int]] = Counter()
    for part in why.path:
        time[part.what, part.device] += part.duration_s  # type: ignore[assignment]
        tasks[part.what, part.device] += part.tasks
    table = new_table(("tasks", "stage", "count", "time", "share"))
    for (what, device), seconds in time.most_common(_SHOWN_PATH):
        stage, count = ("", "") if device < 0 else (str(device), f"{tasks[what, device]:,}")
        share = f"{seconds / why.result.step_time_s:.1%}"
        table.add_row(what.replace("_", " "), stage, count, format_seconds(seconds), share)
    return table


def _path_note(why: Explanation) -> str:
    hops = len({(part.what, part.device) for part in why.path})
    return f"{hops - _SHOWN_PATH} more kinds: --json has the chain" if hops > _SHOWN_PATH else ""


def _formulas(why: Explanation) -> list[RenderableType]:
    from rich.text import Text

    text = Text("Formulas with their numbers\n", style="bold")
    for f in why.formulas:
        text.append(f"\n{f.part}", style="bold")
        text.append(f"\n  {f.text}\n  simulated: {f.simulated}\n  source: {f.source}", style="not bold")
    return [text] if why.formulas else []


def _ops(why: Explanation) -> Any:
    table = new_table(("op", "pass", "time", "share", "GFLOP", "MB", "FLOP/B", "TFLOP/s", "of peak", "GB/s"))
    ops = why.result.ops
    for op in ops.longest(_SHOWN_OPS) if ops is not None else ():
        peak = ops.peak_flops.get(op.dtype) if ops is not None and op.flops else None
        table.add_row(
            op.name,
            op.op_pass.replace("_", " "),
            format_seconds(op.total_s),
            f"{op.total_s / why.result.step_time_s:.1%}",
            f"{op.flops / 1e9:,.4g}" if op.flops else "",
            f"{op.bytes / 1e6:,.4g}",
            f"{op.intensity:,.0f}" if op.flops else "",
            f"{op.achieved_flops / 1e12:,.0f}" if op.flops else "",
            f"{op.achieved_flops / peak:.0%}" if peak else "",
            f"{op.bytes / op.time_s / 1e9:,.0f}",
        )
    return table


def _resources(why: Explanation) -> Any:
    table = new_table(("resource", "step", "step time", "chance of out of memory"))
    for s in why.resources:
        if s.step_time_change or s.oom_probability_change:
            chance = f"{100 * s.oom_probability_change:+.1f} points" if s.oom_probability_change else ""
            table.add_row(s.resource, f"{s.step_time_change:+.2%}", format_seconds(s.step_time_s), chance)
    return table


def _knobs(why: Explanation) -> Any:
    table = new_table(("knob", "step", "GiB", "because"), left=("because",))
    legal = [knob for knob in why.knobs if knob.step_time_change is not None]
    for knob in legal[:_SHOWN_KNOBS]:
        more = (knob.used_change_bytes or 0.0) / 2**30
        table.add_row(knob.words, f"{knob.step_time_change:+.1%}", f"{more:+.1f}", knob.reason)
    return table
