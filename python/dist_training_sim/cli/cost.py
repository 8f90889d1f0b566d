"""`dts cost`: days, device-hours, dollars and energy of a whole run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ConfigError
from ..units import format_bytes, format_count, format_seconds, parse_seconds
from ..verbs.cost import cost as answer
from ..verbs.cost_report import DAY_S, CostReport
from . import simulate as _simulate
from .asked_job import take_job
from .deliver import deliver
from .outcome import ExitCode, complain
from .progress import busy
from .render import figure, headed, long_time, new_table, sentence

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

__all__ = ["EXAMPLES", "cost", "parse_count"]

EXAMPLES = """\b
Examples:
  dts cost --model llama-3.1-8b --cluster 64xdgx-h100 --zero 3 --global-batch 1024 --seq-len 8192 --tokens 15T
  dts cost --model llama-3.1-70b --cluster 1xaws-p5 --tp 8 --pp 4 --zero 1 --global-batch 1024 \\
      --seq-len 8192 --tokens 2T --days 30
  dts cost --model llama-3.1-8b --cluster 8xdgx-h100 --zero 3 --global-batch 512 --seq-len 4096 --loss 2.1
  dts cost train.sh --cluster 4xdgx-h100 --price 2.5 --pue 1.2 --carbon 0.06

Takes the layout options of `dts simulate`. Failures, checkpoints and restarts are in the days and device-hours.
Exit code 3: the job does not fit into memory, or no number of nodes meets the deadline.
"""
_SCALES = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12}


def _option(*names: str, **settings: Any) -> Any:
    return typer.Option(*names, **settings)


_EXTRA: dict[str, tuple[Any, Any]] = {
    "tokens": (Annotated[str | None, _option(help="Tokens to train: 15T, 300B, 1.5e12.")], None),
    "loss": (Annotated[float | None, _option(help="Loss to reach instead, by the scaling law.")], None),
    "law": (Annotated[str, _option(metavar="hoffmann-2022|besiroglu-2024", help="Scaling law.")], "hoffmann-2022"),
    "days": (Annotated[float | None, _option(help="Deadline: find the least number of nodes that meets it.")], None),
    "price": (
        Annotated[float | None, _option(help="Dollars per device-hour.", show_default="of the catalogue")],
        None,
    ),
    "pue": (Annotated[float | None, _option(help="Power usage effectiveness of the site.", show_default="1.58")], None),
    "carbon": (Annotated[float | None, _option(help="kg of CO2 per kWh.", show_default="0.4234")], None),
    "async_checkpoint": (Annotated[bool, _option(help="Train on while a checkpoint is written.")], False),
    "checkpoint_interval": (
        Annotated[str | None, _option(help="Training between checkpoints, as 30min.", show_default="the best")],
        None,
    ),
    "checkpoint_time": (
        Annotated[str | None, _option(help="How long one blocks.", show_default="by size and storage")],
        None,
    ),
    "restart_time": (Annotated[str | None, _option(help="From failure to training.", show_default="10 min")], None),
    "device_hours_per_failure": (
        Annotated[float | None, _option(help="Device-hours between failures.", show_default="of the catalogue")],
        None,
    ),
}


def cost(**options: Any) -> ExitCode:
    """Say what a whole run takes: days, dollars, energy."""
    extra = {name: options.pop(name) for name in _EXTRA}
    job = take_job(options)
    with busy("simulating"):
        report = answer(
            job.model,
            job.cluster,
            job.strategy,
            seq_len=job.seq_len,
            framework=job.profile,
            tokens=parse_count(extra["tokens"], "tokens"),
            loss=extra["loss"],
            law=extra["law"],
            days=extra["days"],
            usd_per_device_h=extra["price"],
            pue=extra["pue"],
            carbon_kg_per_kwh=extra["carbon"],
            async_checkpoint=extra["async_checkpoint"],
            checkpoint_interval_s=_seconds(extra["checkpoint_interval"], "checkpoint-interval"),
            checkpoint_s=_seconds(extra["checkpoint_time"], "checkpoint-time"),
            restart_s=_seconds(extra["restart_time"], "restart-time"),
            device_hours_per_failure=extra["device_hours_per_failure"],
        )
    deliver(report.to_dict(), _tables(report), as_json=job.as_json, out=job.out)
    if report.fits:
        return ExitCode.OK
    complain(f"does not fit: {report.oom_probability:.0%} chance of running out of memory; dts fit says what helps")
    return ExitCode.DOES_NOT_FIT


_simulate.give_layout_options(cost, _EXTRA)


def parse_count(text: str | float | None, name: str) -> float | None:
    """Number of a text such as `15T`, `300B` or `1.5e12`.

    Raises
    ------
    ConfigError
        If it has another form.
    """
    if text is None or isinstance(text, (int, float)):
        return text
    plain = text.strip().lower().replace(",", "").replace("_", "").replace(" ", "")
    suffix = plain[-1:] if plain[-1:] in _SCALES else ""
    try:
        return float(plain.removesuffix(suffix)) * _SCALES[suffix]
    except ValueError:
        raise ConfigError(f"--{name}: got {text!r}, expected a number such as 15T, 300B or 1.5e12") from None


def _seconds(text: str | float | None, name: str) -> float | None:
    return None if text is None else parse_seconds(text, f"--{name}")


def _tables(report: CostReport) -> list[RenderableType]:
    text = sentence(_headline(report), "bold")
    text.append(f"\n{_details(report)}", style="not bold")
    tables: list[RenderableType] = [text]
    if report.options:
        tables.append(_options(report))
    tables += [headed("The run", _run(report)), headed("Failures and checkpoints", _goodput(report))]
    if report.energy is not None:
        tables.append(headed("Energy", _energy(report)))
    tables.append(sentence("Sources\n" + "\n".join(f"  {note}" for note in report.notes)))
    return tables


def _headline(r: CostReport) -> str:
    price = f", ${_money(r.usd)}" if r.usd is not None else ""
    energy = f", {_mwh(r.energy.facility_kwh)}" if r.energy is not None else ""
    fits = "" if r.fits else "; but the job does not fit into memory"
    return (
        f"{r.model} on {r.cluster}: {format_count(r.tokens)} tokens take {long_time(r.days * DAY_S)} on "
        f"{r.devices:,} devices, {r.device_hours:,.0f} device-hours{price}{energy}{fits}."
    )


def _details(r: CostReport) -> str:
    ends = ""
    if r.days_low90 is not None and r.days_high90 is not None:
        ends = f" 90 % interval {long_time(r.days_low90 * DAY_S)} to {long_time(r.days_high90 * DAY_S)}."
    loss = "" if r.loss is None else f" Loss {r.loss:.3f} by {r.law}."
    steps = f"{r.steps:,} steps of {format_seconds(r.step_time_s)}, {r.mfu:.1%} MFU, goodput {r.goodput.share:.1%}."
    return f"{steps}{ends}{loss}"


def _money(usd: float) -> str:
    for scale, unit in ((1e9, " billion"), (1e6, " million"), (1e3, " thousand")):
        if usd >= scale:
            return f"{usd / scale:,.3g}{unit}"
    return f"{usd:,.2f}"


def _mwh(kwh: float) -> str:
    return f"{kwh / 1e6:,.3g} GWh" if kwh >= 1e6 else f"{kwh / 1e3:,.3g} MWh" if kwh >= 1e3 else f"{kwh:,.3g} kWh"


def _run(r: CostReport) -> Table:
    table = new_table(("", "value"))
    rows = [
        ("tokens", format_count(r.tokens)),
        ("days", f"{r.days:,.4g}"),
        ("device-hours", f"{r.device_hours:,.0f}"),
        ("dollars per device-hour", "-" if r.usd_per_device_h is None else f"{r.usd_per_device_h:,.4g}"),
        ("price of", r.price_source),
        ("dollars", "-" if r.usd is None else f"{r.usd:,.0f}"),
    ]
    return _filled(table, rows)


def _goodput(r: CostReport) -> Table:
    g = r.goodput
    rows = [
        ("time between failures", long_time(g.mtbf_s)),
        ("failures to expect", figure(r.failures, 3)),
        ("restart", long_time(g.restart_s)),
        ("checkpoint", format_bytes(g.checkpoint_bytes)),
        ("training blocked for one", long_time(g.checkpoint_s)),
        ("training between two", long_time(g.interval_s)),
        ("useful share of the time", f"{g.share:.1%}"),
    ]
    return _filled(new_table(("", "value")), rows)


def _energy(r: CostReport) -> Table:
    e = r.energy
    assert e is not None
    rows = [
        ("busy share of a step", f"{e.busy_share:.1%}"),
        ("power of a device", f"{e.device_w:,.0f} W"),
        ("at the wall, per device", f"{e.node_w:,.0f} W"),
        ("energy of the nodes", _mwh(e.it_kwh)),
        (f"with the site (PUE {e.pue:g})", _mwh(e.facility_kwh)),
        (f"CO2 ({e.carbon_kg_per_kwh:g} kg/kWh)", f"{e.carbon_kg / 1e3:,.4g} t"),
    ]
    return _filled(new_table(("", "value")), rows)


def _filled(table: Table, rows: list[tuple[str, str]]) -> Table:
    for row in rows:
        table.add_row(*row)
    return table


def _options(r: CostReport) -> RenderableType:
    table = new_table(("devices", "nodes", "dp", "days", "device-hours", "dollars", ""))
    for o in r.options:
        usd = "-" if o.usd is None else f"{o.usd:,.0f}"
        verdict = "meets the deadline" if o.meets else "" if o.fits else "does not fit"
        table.add_row(
            f"{o.devices:,}", f"{o.nodes:,}", f"{o.dp:,}", figure(o.days, 3), f"{o.device_hours:,.0f}", usd, verdict
        )
    return headed("Sizes of the cluster, the smallest that meets the deadline last", table)
