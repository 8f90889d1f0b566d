"""`dts validate`: predictions beside published measurements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ConfigError
from ..units import format_bytes, format_seconds
from ..validation import FIELDS, USES, Group, RowResult, ValidationReport
from ..validation import validate as run
from ..validation.goals import GoalCheck, check_goals
from .deliver import Json, Out, deliver
from .outcome import ExitCode
from .progress import progress_bar
from .render import headed, new_table, sentence

if TYPE_CHECKING:
    from rich.console import RenderableType


__all__ = ["EXAMPLES", "validate"]

EXAMPLES = """\b
Examples:
  dts validate
  dts validate --use step_time --where accelerator=H100-SXM-80GB --by source
  dts validate --use kernels --by accelerator,kind
  dts validate --use ranking
  dts validate --refit
  dts validate --corpus my_runs.jsonl --use step_time,memory --json --out errors.json

Errors are predicted / measured - 1. Median, MAPE and p90 are of absolute errors; bias is the median
with its sign. Skipped rows do not count; the reasons stand below each table.
"""
_BY = "source,accelerator"
_SHOWN_GROUPS, _SHOWN_REASONS = 40, 8
_TITLES = {
    "step_time": "Step time",
    "memory": "Peak memory",
    "fit": "Fits or not",
    "collectives": "Collectives",
    "kernels": "Kernels",
}


def validate(
    corpus: Annotated[
        Path | None,
        typer.Option("--corpus", metavar="FILE.jsonl", help="Measured rows.", show_default="those of the package"),
    ] = None,
    use: Annotated[str, typer.Option("--use", metavar="USE", help=f"{', '.join(USES)}, all, or ranking.")] = "all",
    where: Annotated[
        list[str] | None,
        typer.Option("--where", metavar="FIELD=VALUE", help=f"Only such rows; may be repeated. {', '.join(FIELDS)}."),
    ] = None,
    by: Annotated[str, typer.Option("--by", metavar="FIELDS", help="Fields to group by.")] = _BY,
    workers: Annotated[int | None, typer.Option("--workers", help="Processes.", show_default="one a core")] = None,
    refit: Annotated[
        bool, typer.Option("--refit", help="Fit the constants of whole steps instead, with errors on unseen sources.")
    ] = False,
    as_json: Json = False,
    out: Out = None,
) -> ExitCode:
    """Compare predictions with published measurements."""
    if refit:
        from .refit import refit as fit

        return fit(corpus, as_json=as_json, out=out)
    if use == "ranking":
        _refuse_with_ranking(where, by)
        from .ranking import ranking

        with progress_bar("rows") as progress:
            return ranking(corpus, workers=workers, progress=progress, as_json=as_json, out=out)
    uses: Any = "all" if use == "all" else _listed(use)
    with progress_bar("rows") as progress:
        report = run(corpus, use=uses, where=_chosen(where or []), by=_listed(by), workers=workers, progress=progress)
    goals = [] if corpus or where else check_goals(report.rows)
    deliver(report.to_dict(), _tables(report, goals), as_json=as_json, out=out)
    return ExitCode.OK


def _refuse_with_ranking(where: list[str] | None, by: str) -> None:
    if where:
        raise ConfigError("--where: got a field, expected none beside --use ranking, which compares whole sweeps")
    if by != _BY:
        raise ConfigError("--by: got fields, expected none beside --use ranking, which reports every sweep")


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _chosen(pairs: list[str]) -> dict[str, str]:
    """`["accelerator=GB300"]` as a mapping."""
    chosen: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ConfigError(f"--where: got {pair!r}, expected FIELD=VALUE such as accelerator=H100-SXM-80GB")
        chosen[name.strip()] = value.strip()
    return chosen


def _tables(report: ValidationReport, goals: list[GoalCheck]) -> Iterator[RenderableType]:
    rows = {(row.use, row.id): row for row in report.rows}
    if not report.rows:
        yield sentence("no rows")
    for use in USES:
        groups = [group for group in report.summary if group.key["use"] == use]
        if groups:
            shown = [group for group in groups[: _SHOWN_GROUPS + 1] if group.n or group is groups[0]]
            rest = len(groups) - len(shown)
            more = f"{rest} more group{'s' if rest > 1 else ''}"
            note = f"{more}, without compared rows or small: --json lists them" if rest else ""
            yield headed(_title(groups[0]), _group_table(shown, use), note)
            yield from _notes(groups[0], rows, use)
    if goals:
        yield headed(f"Goals: {sum(check.met for check in goals)} of {len(goals)} met", _goal_table(goals), "")


def _goal_table(goals: list[GoalCheck]) -> Any:
    table = new_table(("set", "rows", "median", "goal", "p90", "goal", "bias", "met"), left=("set",))
    for check in goals:
        median, p90 = (f"{share:.0%}" for share in (check.goal.median_error, check.goal.p90_error))
        figures = (_percent(check.median_error), median, _percent(check.p90_error), p90, _signed(check.bias))
        table.add_row(check.goal.name, str(check.n), *figures, "yes" if check.met else "no")
    return table


def _title(total: Group) -> str:
    use = _TITLES[total.key["use"]]
    return f"{use}: {total.n} rows compared, {total.skipped} skipped"


def _group_table(groups: list[Group], use: str) -> Any:
    fields = [name for name in (groups[1].key if len(groups) > 1 else {}) if name != "use"]
    figures = ("wrong", "bias") if use == "fit" else ("median", "MAPE", "p90", "bias", "in 90 %")
    table = new_table((*(fields or ["group"]), "rows", "skipped", *figures), left=fields)
    for group in groups:
        names = [group.key[name] for name in fields] if group is not groups[0] else ["all"]
        names += [""] * (max(1, len(fields)) - len(names))
        table.add_row(*names, str(group.n), str(group.skipped or ""), *_figures(group, use))
    return table


def _figures(group: Group, use: str) -> list[str]:
    if use == "fit":
        return [_percent(group.mean_error), _signed(group.bias)]
    shares = [_percent(value) for value in (group.median_error, group.mean_error, group.p90_error)]
    return [*shares, _signed(group.bias), "" if group.covered90 is None else f"{group.covered90:.0%}"]


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.1%}"


def _notes(total: Group, rows: Mapping[tuple[str, str], RowResult], use: str) -> Iterator[RenderableType]:
    """The worst rows, and why rows were skipped."""
    worst = [rows[use, name] for name in total.worst]
    if worst:
        table = new_table(("worst rows", "predicted", "measured", "error"), left=("worst rows",))
        for row in worst:
            error = "" if use == "fit" else _signed(row.error)
            table.add_row(row.id, _value(row.predicted, use), _value(row.measured, use), error)
        yield table
    if total.reasons:
        table = new_table(("skipped", "because"), left=("because",))
        for reason, count in list(total.reasons.items())[:_SHOWN_REASONS]:
            table.add_row(str(count), reason)
        others = sum(list(total.reasons.values())[_SHOWN_REASONS:])
        if others:
            table.add_row(str(others), "other reasons: --json lists every row with its own")
        yield table


def _value(value: float | bool | None, use: str) -> str:
    if value is None:
        return "-"
    if use == "fit":
        return "fits" if value else "does not"
    return format_bytes(value) if use == "memory" else format_seconds(value)
