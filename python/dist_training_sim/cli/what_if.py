"""`dts what-if`: a job beside the same job with something changed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ConfigError
from ..parallel import Strategy
from ..units import format_seconds
from ..verbs.what_if import LAYOUT, SETTINGS, WhatIfReport, WhatIfRow
from ..verbs.what_if import what_if as answer
from . import simulate as _simulate
from .asked_job import take_job
from .deliver import deliver
from .outcome import ExitCode, complain
from .progress import busy
from .render import new_table, sentence

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["EXAMPLES", "parse_change", "what_if"]

EXAMPLES = """\b
Examples:
  dts what-if --model llama-3.1-70b --cluster 8xdgx-h100 --tp 8 --pp 4 --zero 1 --global-batch 128 \\
      --seq-len 8192 --change network_bandwidth=2x --change cluster=8xdgx-b200 --change precision=fp8 \\
      --change nodes=16,global_batch=256 --plot changes.png
  dts what-if job.yaml --change tp=4,pp=8 --change seq_len=16384

A change is one setting, or several made together with commas between: fields of the layout as in
`dts simulate` (tp, micro_batch, recompute, ...); cluster, nodes, gpus, model, seq_len, framework; and
factors such as 2x of matmul_rate, memory_bandwidth, memory, scale_up_bandwidth, network_bandwidth,
host_link, host_memory_bandwidth. Exit code 3: the job as it is does not fit into memory.
"""
_EXTRA: dict[str, tuple[Any, Any]] = {
    "change": (Annotated[list[str] | None, typer.Option(metavar="SETTINGS", help="A change; may be repeated.")], None),
    "plot": (Annotated[Path | None, typer.Option(metavar="FILE", help="Draw the changes: PNG, SVG, PDF.")], None),
}


def what_if(**options: Any) -> ExitCode:
    """Show what changes of hardware, batch or layout do to a step."""
    texts, plot = options.pop("change"), options.pop("plot")
    job = take_job(options)
    if not texts:
        raise ConfigError("--change: got nothing, expected at least one such as network_bandwidth=2x")
    changes = {text: parse_change(text) for text in texts}
    with busy("simulating each change"):
        report = answer(
            job.model, job.cluster, job.strategy, changes=changes, seq_len=job.seq_len, framework=job.profile
        )
    if plot is not None:
        _draw(report, plot)
    deliver(report.to_dict(), _tables(report), as_json=job.as_json, out=job.out)
    if report.base.fits:
        return ExitCode.OK
    complain("the job as it is does not fit into memory; dts fit says what helps")
    return ExitCode.DOES_NOT_FIT


_simulate.give_layout_options(what_if, _EXTRA)


def parse_change(text: str) -> Mapping[str, Any]:
    """`"nodes=16,global_batch=256"` as settings by name.

    Raises
    ------
    ConfigError
        If a part has no `=`, or its value is not of the setting's kind.
    """
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    settings: dict[str, Any] = {}
    for name, equals, value in pairs:
        key = name.strip().replace("-", "_")
        if not equals or not value.strip():
            raise ConfigError(f"--change: got {text!r}, expected NAME=VALUE with commas between, as nodes=16,tp=4")
        settings[key] = _value(key, value.strip())
    return settings


def _value(name: str, text: str) -> Any:
    if name in ("cluster", "model", "framework"):
        return text
    if name in SETTINGS and name not in ("nodes", "gpus", "seq_len"):
        return _number(name, text.lower().removesuffix("x"), "a factor such as 2x or 0.5x")
    default = getattr(Strategy(), name, 0) if name in LAYOUT else 0
    if isinstance(default, bool) or name == "sequence_parallel":
        words = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
        if text.lower() not in words:
            raise ConfigError(f"--change {name}: got {text!r}, expected true or false")
        return words[text.lower()]
    if isinstance(default, (int, float)) or default is None:
        number = _number(name, text, "a number")
        return int(number) if number == int(number) and not isinstance(default, float) else number
    return text


def _number(name: str, text: str, expected: str) -> float:
    try:
        number = float(text)
        return number if abs(number) < 1e300 else float("nan")
    except ValueError:
        raise ConfigError(f"--change {name}: got {text!r}, expected {expected}") from None


def _tables(report: WhatIfReport) -> list[RenderableType]:
    columns = ("what if", "step", "", "tokens/s", "per token", "MFU", "GiB", "because")
    table = new_table(columns, left=("what if", "because"))
    for row in (report.base, *report.rows):
        table.add_row(row.change, *_figures(row, row is report.base), _because(row))
    text = f"The step as it is takes {format_seconds(report.base.step_time_s or 0.0)}. "
    refused = [f"{row.change} cannot run: {row.reason}" for row in report.rows if row.step_time_s is None]
    below = [sentence("\n".join(refused))] if refused else []
    return [sentence(text + "Per token: device-seconds, and so price.", "bold"), table, *below]


def _figures(row: WhatIfRow, is_base: bool) -> tuple[str, ...]:
    if row.step_time_s is None or row.mfu is None or row.reserved_bytes is None:
        return ("-",) * 6
    changes = (row.step_time_change, row.throughput_change, row.device_seconds_change)
    step, rate, price = ("" if is_base or change is None else f"{change:+.1%}" for change in changes)
    memory = f"{row.reserved_bytes / 2**30:.1f}"
    return (format_seconds(row.step_time_s), step, rate, price, f"{row.mfu:.1%}", memory)


def _because(row: WhatIfRow) -> str:
    if row.step_time_s is None:
        return "cannot run: see below"
    return "; ".join(part for part in ("" if row.fits else "does not fit", row.reason) if part)


def _draw(report: WhatIfReport, file: Path) -> None:
    from ..visualization import Visualizer

    steps = {row.change: row.step_time_s for row in report.rows if row.step_time_s is not None}
    if not steps:
        raise ConfigError("--plot: got no change that can run, expected at least one to draw")
    vis = Visualizer()
    vis.save_figure(vis.plot_sensitivity(report.base.step_time_s or 0.0, steps), file)
