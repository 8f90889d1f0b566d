"""`dts plan`: the best layout of a job on a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ConfigError, Problems
from ..parallel import Strategy
from ..units import format_seconds, parse_bytes, parse_seconds
from ..verbs.neighbours import KnobStep
from ..verbs.plan import PlanObjective
from ..verbs.plan import plan as answer
from ..verbs.plan_report import PlannedLayout, PlanReport, layout_words
from .asked_job import stated
from .deliver import Json, Out, deliver
from .job_options import VALUES, values_of
from .outcome import ExitCode, complain, warn, write_file
from .progress import busy
from .render import headed, new_table, sentence

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..io.jobs import WrittenJob

__all__ = ["EXAMPLES", "plan"]

EXAMPLES = """\b
Examples:
  dts plan --model llama-3.1-70b --cluster 64xdgx-h100 --seq-len 8192 --global-batch 1024
  dts plan --model mixtral-8x7b --cluster 16xdgx-h100 --seq-len 4096 --global-batch 512 --tp 1,2,4 \\
      --precision bf16,fp8
  dts plan --model llama-3.1-8b --cluster 8xdgx-h100 --seq-len 8192 --global-batch 256 \\
      --objective cost --framework torchtitan --launch train.sh
  dts plan train.sh --cluster 8xdgx-h100

A job file, or the script of a framework, gives the job, and its layout is set beside the best one.
Axes that are left out are free, within what the framework's launchers can express; precision is bf16
unless given. Exit code 3: no layout meets the constraints; the nearest changes that help are listed.
"""
_SHOWN_LOSERS, _SHOWN_FRONT = 14, 8
_SURE = "sure: chance that the first is faster than this one, from pairs of measured runs"
_VALUES = "one value or several, as 1,2,4"


def _axis(help: str) -> Any:
    return typer.Option(help=help, show_default="free", metavar=VALUES)


def plan(
    model: Annotated[
        str | None, typer.Option(help="Catalogue name (dts models), or path of a Hugging Face config.json.")
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(help="Catalogue node with a count, 64xdgx-h100, or a YAML file.")
    ] = None,
    global_batch: Annotated[int | None, typer.Option(help="Samples per step.")] = None,
    seq_len: Annotated[int | None, typer.Option(help="Tokens per sample; needed unless the model fixes it.")] = None,
    objective: Annotated[
        str, typer.Option(help="What to make small, per step.", metavar="|".join(o.value for o in PlanObjective))
    ] = "time",
    framework: Annotated[str, typer.Option(help="Framework profile.")] = "megatron-core",
    max_gpus: Annotated[int | None, typer.Option(help="Use at most so many devices.", show_default="all")] = None,
    gpus: Annotated[str | None, typer.Option(help=f"Devices to consider, {_VALUES}.", metavar=VALUES)] = None,
    max_step_time: Annotated[str | None, typer.Option(help="Longest step, as 12s.", metavar="TIME")] = None,
    max_memory: Annotated[str | None, typer.Option(help="Most memory of a device, as 70GiB.", metavar="SIZE")] = None,
    max_oom: Annotated[float, typer.Option(help="Largest chance of running out of memory, up to 0.5.")] = 0.25,
    price: Annotated[
        float | None, typer.Option(help="Dollars per device-hour.", show_default="of the catalogue")
    ] = None,
    max_price_per_hour: Annotated[float | None, typer.Option(help="Budget: dollars per hour of the cluster.")] = None,
    tp: Annotated[str | None, _axis(f"Tensor parallelism: {_VALUES}.")] = None,
    pp: Annotated[str | None, _axis("Pipeline stages.")] = None,
    vpp: Annotated[str | None, _axis("Virtual stages of each.")] = None,
    cp: Annotated[str | None, _axis("Context parallelism.")] = None,
    ep: Annotated[str | None, _axis("Expert parallelism.")] = None,
    etp: Annotated[str | None, _axis("Tensor parallelism of experts.")] = None,
    zero: Annotated[str | None, _axis("ZeRO stage, 0 to 3 (FSDP).")] = None,
    micro_batch: Annotated[str | None, _axis("Samples per micro-batch and replica.")] = None,
    recompute: Annotated[str | None, _axis("none, selective, full.")] = None,
    schedule: Annotated[str | None, _axis("Order of pipeline passes (dts simulate --help).")] = None,
    offload: Annotated[str | None, _axis("none, optimizer, parameters, activations, all.")] = None,
    precision: Annotated[str | None, typer.Option(help="Matmul types.", metavar=VALUES, show_default="bf16")] = None,
    top: Annotated[int, typer.Option(help="Layouts to rank.")] = 5,
    launch: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the winner's launch file.")] = None,
    within: Annotated[
        float, typer.Option(help="Front: layouts whose objective is at most this share worse than the best.")
    ] = 0.05,
    threads: Annotated[int, typer.Option(help="Threads of the search; 0 = one per core.")] = 0,
    as_json: Json = False,
    out: Out = None,
    layout: Strategy | None = None,
) -> ExitCode:
    """Find the best layout, say why others lose, write its launch."""
    texts = {"recompute": recompute, "schedule": schedule, "offload": offload, "precision": precision}
    counts = {"tp": tp, "pp": pp, "vpp": vpp, "cp": cp, "ep": ep, "etp": etp, "zero": zero, "micro_batch": micro_batch}
    numbers = _numbers(counts | {"gpus": gpus})
    described, hardware, batch = stated(model=model, cluster=cluster, global_batch=global_batch)
    with busy("searching layouts"):
        report = answer(
            described,
            hardware,
            global_batch=batch,
            seq_len=seq_len,
            objective=objective,
            framework=framework,
            max_gpus=max_gpus,
            gpus=numbers.pop("gpus"),
            max_step_time_s=None if max_step_time is None else parse_seconds(max_step_time, "--max-step-time"),
            max_memory_bytes=None if max_memory is None else parse_bytes(max_memory, "--max-memory"),
            max_oom_probability=max_oom,
            usd_per_device_h=price,
            max_usd_per_h=max_price_per_hour,
            top=top,
            threads=threads,
            within=within,
            compare=layout,
            **numbers,
            **{name: None if text is None else values_of(text) for name, text in texts.items()},
        )
    _write(report, launch)
    deliver(report.to_dict(), _tables(report, launch), as_json=as_json, out=out)
    if report.feasible:
        return ExitCode.OK
    complain(report.sentence)
    return ExitCode.DOES_NOT_FIT


def _numbers(texts: dict[str, Any]) -> dict[str, Any]:
    """Lists of whole numbers, all problems at once."""
    problems = Problems()
    numbers: dict[str, Any] = {}
    for name, text in texts.items():
        parts = None if text is None else values_of(text)
        if parts is not None and not (parts and all(str(part).isdecimal() for part in parts)):
            problems.add(f"--{name.replace('_', '-')}", text, "whole numbers such as 4 or 1,2,4")
            continue
        numbers[name] = None if parts is None else [int(part) for part in parts]
    problems.raise_if_any()
    return numbers


def _write(report: PlanReport, file: Path | None) -> None:
    if file is None or not report.feasible:
        return
    if report.launch is None:
        raise ConfigError(f"--launch: {report.launch_problem}")
    write_file(file, report.launch.text, "--launch")
    for note in report.launch.notes:
        warn(note)


def _tables(report: PlanReport, file: Path | None) -> list[RenderableType]:
    if not report.feasible:
        tables: list[RenderableType] = [sentence(report.sentence, "bold")]
        return [*tables, _changes(report)] if report.changes else tables
    tables = [sentence(report.sentence, "bold")]
    tables += [] if report.given is None else [headed("As given", _layouts([report.given]))]
    tables.append(headed(_searched(report), _layouts(report.top), _SURE))
    if len(report.front) > 1:
        shown = report.front[:_SHOWN_FRONT]
        words = f"at most {report.within:.0%} more {report.objective} than the best"
        rest = f"{len(report.front) - len(shown)} more: --json" if len(report.front) > len(shown) else ""
        tables.append(headed(f"Less memory or fewer devices, {words}", _layouts(shown), rest))
    tables.append(headed("Why not", _losers(report.losers)))
    tables += [sentence("\n".join(report.notes))] if report.notes else []
    if report.launch is None:
        tables.append(sentence(f"No launch file: {report.launch_problem}"))
    elif file is None:
        tables.append(_launch(report.launch))
    return tables


def _launch(job: WrittenJob) -> RenderableType:
    from rich.text import Text

    # Whole lines, however narrow the terminal is: what is copied must run.
    return Text.assemble(
        (f"Run it ({job.format}, {job.file_name})\n\n", "bold"), job.text, overflow="ignore", no_wrap=True
    )


def _searched(report: PlanReport) -> str:
    s = report.searched
    of = "one combination" if s.combinations == 1 else f"{s.combinations:,} combinations"
    if s.evaluated == s.combinations:
        return f"Best of {of}"
    return f"Best of {of}; {s.evaluated:,} were priced, all others provably lose or do not fit"


def _layouts(layouts: Sequence[PlannedLayout]) -> Any:
    near = any(x.low90_s is not None for x in layouts)
    columns = ("layout", "devices", "step", *(("90 %", "sure") if near else ()), "MFU", "GiB", "OOM", "$/step")
    table = new_table(columns, left=("layout",))
    for x in layouts:
        ends = "" if x.low90_s is None or x.high90_s is None else f"{x.low90_s:.3g}-{x.high90_s:.3g}"
        usd = "-" if x.usd_per_step is None else f"{x.usd_per_step:,.3g}"
        row = (f"{x.devices:,}", format_seconds(x.step_time_s), *((ends, _chance(x)) if near else ()), f"{x.mfu:.1%}")
        memory = (f"{x.used_bytes / 2**30:.1f}", f"{x.oom_probability:.0%}")
        table.add_row(layout_words(x.strategy), *row, *memory, usd)
    return table


def _chance(layout: PlannedLayout) -> str:
    """Chance that the winner is faster than this one."""
    return "" if layout.winner_faster is None else f"{layout.winner_faster:.0%}"


def _losers(steps: Sequence[KnobStep]) -> Any:
    table = new_table(("change", "step", "GiB", "because"), left=("because",))
    legal = [step for step in steps if step.step_time_change is not None]
    for step in legal[:_SHOWN_LOSERS]:
        more = (step.used_change_bytes or 0.0) / 2**30
        table.add_row(step.words, f"{step.step_time_change:+.1%}", f"{more:+.1f}", step.reason)
    return table


def _changes(report: PlanReport) -> Any:
    table = new_table(("nearest change that helps", "best layout then", "step", "GiB"), left=("best layout then",))
    for change in report.changes:
        best = change.best
        words, size = layout_words(best.strategy), f"{best.used_bytes / 2**30:.1f}"
        table.add_row(change.words, words, format_seconds(best.step_time_s), size)
    return table
