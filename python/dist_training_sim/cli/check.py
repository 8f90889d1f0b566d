"""`dts check`: the verdict on a launch script, fit for CI."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ConfigError
from ..units import format_seconds
from ..verbs.check import CheckReport
from ..verbs.check import check as answer
from ..verbs.cost_report import DAY_S
from .deliver import Json, Out, deliver
from .job_options import read_variables
from .outcome import ExitCode, complain, warn
from .progress import busy
from .render import headed, long_time, new_table, sentence
from .step import interval_text, layout_text, memory_of_limit, memory_table, throughput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from ..io.options import Option

__all__ = ["EXAMPLES", "check"]

EXAMPLES = """\b
Examples:
  dts check train.sh --cluster 4xdgx-h100
  dts check train.sh --cluster 8xdgx-h100 --set TP=8 --set NNODES=8 --strict
  dts check ds_config.json --cluster 2xdgx-a100-80gb --model llama-3.1-8b --seq-len 4096 --json

Reads scripts of Megatron-LM, Megatron-Bridge, torchtitan and Hugging Face's Trainer and its relatives (TRL,
LLaMA-Factory, axolotl), and configurations of torchtitan, DeepSpeed, nanotron, accelerate, that Trainer and
dts. Nothing is executed. Exit code 3: the job more likely runs out of memory than not.
"""
_FEW = 12


def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Launch script or configuration.")],
    cluster: Annotated[str | None, typer.Option(help="Catalogue node with a count, or a YAML file.")] = None,
    model: Annotated[str | None, typer.Option(help="Of formats that do not hold it, or in place of theirs.")] = None,
    seq_len: Annotated[int | None, typer.Option(help="Tokens per sample, likewise.")] = None,
    framework: Annotated[str | None, typer.Option(help="Profile.", show_default="that of the format")] = None,
    format: Annotated[str | None, typer.Option(help="Format.", show_default="found from the content")] = None,
    set_variables: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Environment variable of the script; may be repeated."),
    ] = None,
    run: Annotated[str | None, typer.Option(help="Run of a job file.")] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 2 if an option was not understood, or one is in conflict.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Name every option without bearing.")] = False,
    as_json: Json = False,
    out: Out = None,
) -> ExitCode:
    """Say whether a launch script's job fits, and how fast it is."""
    with busy("simulating"):
        report = answer(
            file,
            cluster,
            model=model,
            seq_len=seq_len,
            framework=framework,
            format=format,
            variables=read_variables(set_variables or []),
            run=run,
        )
    for text in report.warnings:
        warn(text)
    deliver(report.to_dict(), _tables(report, verbose), as_json=as_json, out=out)
    if not report.fits:
        complain(f"does not fit: {report.oom_probability:.0%} chance of running out of memory; dts fit says what helps")
        return ExitCode.DOES_NOT_FIT
    left = len(report.job.unknown) + len(report.job.conflicts)
    if strict and left:
        raise ConfigError(f"--strict: {left} options of {file} were not understood or are in conflict")
    return ExitCode.OK


def _tables(report: CheckReport, verbose: bool) -> list[RenderableType]:
    r = report.result
    text = sentence(_headline(report), "bold")
    for line in (layout_text(r), interval_text(r)):
        text.append(f"\n{line}", style="not bold")
    tables: list[RenderableType] = [text, memory_table(r)]
    job = report.job
    counts = new_table(("of the file", "options"))
    for name, options in (("not understood", job.unknown), ("without bearing on time and memory", job.ignored)):
        counts.add_row(name, str(len(options)))
    counts.add_row("given twice with different values", str(len(job.conflicts)))
    tables.append(headed(f"What was read ({job.format})", counts))
    return [*tables, sentence(_ignored_text(job.ignored, verbose))] if job.ignored else tables


def _ignored_text(options: Sequence[Option], verbose: bool) -> str:
    names = [option.name for option in options]
    listed = names if verbose or len(names) <= _FEW else names[: _FEW - 1]
    more = "" if listed == names else f" and {len(names) - len(listed)} more, which --verbose names"
    return f"Without bearing: {', '.join(listed)}{more}."


def _headline(report: CheckReport) -> str:
    r = report.result
    words = {"fits": "fits", "at risk": "is at risk of running out of memory", "does not fit": "does not fit"}
    days = "" if report.days is None else f" Its tokens take {long_time(report.days * DAY_S)} without interruptions."
    return (
        f"{r.model} on {r.cluster_title}: the job {words[report.verdict]}, {memory_of_limit(r.peak_memory)}. A step "
        f"takes {format_seconds(r.step_time_s)}, {throughput(r)} per device, {r.mfu:.1%} MFU.{days}"
    )
