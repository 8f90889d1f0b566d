"""`dts sweep`: plans over models, clusters, batches and prices, streamed to a file."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ConfigError
from ..parallel import Strategy
from ..units import format_seconds
from ..validation.pool import processes
from ..verbs.sweep import sweep as run
from ..verbs.sweep_file import SweepResult, need_parquet
from ..verbs.sweep_space import SweepSpace
from .asked_job import stated
from .deliver import Json, Out, deliver
from .job_options import VALUES, values_of
from .outcome import ExitCode
from .progress import progress_bar
from .render import new_table, sentence

if TYPE_CHECKING:
    from rich.console import RenderableType


__all__ = ["EXAMPLES", "sweep"]

EXAMPLES = """\b
Examples:
  dts sweep plans.sqlite --model llama-3.1-8b,llama-3.1-70b --cluster 8xdgx-h100,8xdgx-b200 \\
      --global-batch 256,1024 --seq-len 8192 --csv plans.csv
  dts sweep prices.sqlite --model llama-3.1-8b --cluster 4xdgx-h100 --global-batch 256 --seq-len 8192 \\
      --price 1.5,2.5,4 --objective cost --workers 4

A job file gives what is not given here; its section `sweep` holds lists. Every combination of the values is
planned as by `dts plan`, or simulated with --fixed. The file grows point by point; the same
command goes on where it was stopped. On many machines: dts.sweep(space, file, executor=...).
"""
_SHOWN = 40


def _axis(help: str, **settings: Any) -> Any:
    return typer.Option(help=help, metavar=VALUES, **settings)


def sweep(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="SQLite file of the results; made or continued.")],
    model: Annotated[str | None, _axis("Models, with commas between.")] = None,
    cluster: Annotated[str | None, _axis("Clusters.")] = None,
    global_batch: Annotated[str | None, _axis("Samples per step.")] = None,
    seq_len: Annotated[str | None, _axis("Tokens per sample.")] = None,
    framework: Annotated[str, _axis("Framework profiles.")] = "megatron-core",
    price: Annotated[str | None, _axis("Dollars per device-hour.", show_default="catalogue")] = None,
    objective: Annotated[str, _axis("time, cost, memory, energy.")] = "time",
    fixed: Annotated[bool, typer.Option("--fixed", help="Keep the layout of the job file, let dp grow.")] = False,
    workers: Annotated[int, typer.Option(help="Processes; 1 = here, each search on all cores.")] = 1,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write all points as CSV.")] = None,
    parquet: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write them as Parquet.")] = None,
    as_json: Json = False,
    out: Out = None,
    layout: Strategy | None = None,
) -> ExitCode:
    """Plan every combination of models and clusters; resumable."""
    models, clusters, batches = stated(model=model, cluster=cluster, global_batch=global_batch)
    axes: dict[str, Any] = {
        "model": _names(models),
        "cluster": _names(clusters),
        "global_batch": _numbers("global-batch", batches, int),
        "framework": values_of(framework),
        "objective": values_of(objective),
    }
    axes |= {} if seq_len is None else {"seq_len": _numbers("seq-len", seq_len, int)}
    axes |= {} if price is None else {"usd_per_device_h": _numbers("price", price, float)}
    if fixed and layout is None:
        raise ConfigError("--fixed: got no job file, expected one: its layout is kept")
    axes |= {"strategy": layout} if fixed else {"precision": (layout or Strategy()).precision}
    if workers < 1:
        raise ConfigError(f"--workers: got {workers}, expected at least 1")
    if parquet is not None:
        need_parquet()  # before the work, not after it
    space = SweepSpace(axes)
    pool: Any = processes(workers) if workers > 1 else nullcontext()
    with progress_bar("points") as progress, pool as executor:
        found = run(space, file, executor=executor, progress=progress)
    if csv is not None:
        found.to_csv(csv)
    if parquet is not None:
        found.to_parquet(parquet)
    deliver(found.to_dict() if as_json or out else {}, _tables(found), as_json=as_json, out=out)
    return ExitCode.OK


def _names(value: object) -> list[Any]:
    """Names of a sweep's models or clusters; what a job file describes has to be one of the catalogue's."""
    return [getattr(item, "name", item) for item in values_of(value)]


def _numbers(name: str, value: object, kind: Any) -> list[Any]:
    try:
        return [kind(part) for part in values_of(value)]
    except ValueError:
        raise ConfigError(f"--{name}: got {value!r}, expected numbers with commas between") from None


def _tables(found: SweepResult) -> list[RenderableType]:
    columns = ("model", "cluster", "batch", "$/h", "step", "tokens/s", "MFU", "$/step", "layout")
    table = new_table(columns, left=("model", "cluster", "layout"))
    rows = list(found)
    for row in rows[:_SHOWN]:
        name = (row["model"], row["cluster"], f"{row['global_batch']:,}", _figure(row["usd_per_device_h"], ".3g"))
        if not row["fits"] or row["step_time_s"] is None:
            table.add_row(*name, "-", "", "", "", row["reason"])
            continue
        figures = (format_seconds(row["step_time_s"]), f"{row['tokens_per_s']:,.0f}", f"{row['mfu']:.1%}")
        table.add_row(*name, *figures, _figure(row["usd_per_step"], ".3g"), _layout(row["strategy"]))
    rest = f"; {len(rows) - _SHOWN:,} more are in the file" if len(rows) > _SHOWN else ""
    return [sentence(f"{len(rows):,} points in {found.path}{rest}", "bold"), table]


def _figure(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _layout(strategy: dict[str, Any]) -> str:
    from ..parallel import Strategy
    from ..verbs.plan_report import layout_words

    names = ("dp", "tp", "pp", "vpp", "cp", "ep", "zero", "micro_batch", "recompute", "schedule", "precision")
    return layout_words(Strategy(**{name: strategy[name] for name in names}))
