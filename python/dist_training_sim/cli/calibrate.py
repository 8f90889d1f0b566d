"""`dts calibrate`: constants of a fabric from the user's own measurements."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ConfigError
from ..units import format_bytes, format_seconds
from ..verbs.calibrate import calibrate_nccl
from .deliver import Json, Out, deliver
from .outcome import ExitCode, warn, write_file
from .render import headed, new_table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..verbs.calibrate import Calibration, CalibrationRow

__all__ = ["EXAMPLES", "calibrate"]

EXAMPLES = """\b
Examples:
  dts calibrate nccl all_reduce.log --cluster 2xdgx-h200 --yaml my-cluster.yaml
  dts calibrate nccl sweep1.json sweep2.log --cluster 4xp5.48xlarge --plot residuals.png
  dts collective all-reduce --sweep --cluster my-cluster.yaml

Logs are the output of nccl-tests or rccl-tests, as text or as -J JSON. Groups inside one scale-up domain fit
the constants of that fabric, larger groups those of the network. Rows far off are left out and shown.
"""


def calibrate(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="nccl: output of nccl-tests or rccl-tests.")],
    logs: Annotated[list[Path], typer.Argument(metavar="LOG...", help="Files.")],
    cluster: Annotated[str, typer.Option(help="What they ran on: node with a count, 2xdgx-h100, or a YAML file.")],
    kind: Annotated[str | None, typer.Option(help="Collective of logs that do not name it: all_reduce ...")] = None,
    ranks: Annotated[int | None, typer.Option(help="Ranks of logs that do not list them. [default: all]")] = None,
    yaml: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a cluster file with the fit.")] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw measurements and fit (png, svg).")] = None,
    as_json: Json = False,
    out: Out = None,
) -> ExitCode:
    """Fit a fabric's constants to measured collectives."""
    if source != "nccl":
        raise ConfigError(f"SOURCE: got {source!r}, expected 'nccl'")
    result = calibrate_nccl(logs, cluster, kind=kind, ranks=ranks)
    for text in result.warnings:
        warn(text)
    if yaml is not None:
        write_file(yaml, result.to_yaml(), "--yaml")
    if plot is not None:
        _draw(result, plot)
    deliver(result.to_dict(), _tables(result), as_json=as_json, out=out)
    return ExitCode.OK


def _tables(result: Calibration) -> list[RenderableType]:
    constants = new_table(("constant", f"profile {result.profile}", "fitted"))
    for name, value in result.after.items():
        constants.add_row(name, f"{result.before[name]:.4g}", f"{value:.4g}")
    left = sum(not row.used for row in result.rows)
    note = f"median error {result.median_error:.1%}; {left} of {len(result.rows)} rows left out as outliers"
    rows = new_table(("collective", "ranks", "size", "measured", "profile", "fitted", "error %", "fit"))
    for row in sorted(result.rows, key=lambda row: (row.kind, row.ranks, row.size_bytes)):
        rows.add_row(*_cells(row))
    return [headed(f"{result.level} of {result.cluster.name}", constants), headed("Residuals", rows, note)]


def _cells(row: CalibrationRow) -> tuple[str, ...]:
    times = (format_seconds(t) for t in (row.measured_s, row.profile_s, row.fitted_s))
    size = format_bytes(row.size_bytes)
    return (row.kind, str(row.ranks), size, *times, f"{100 * row.error:+.1f}", "" if row.used else "left out")


def _draw(result: Calibration, path: Path) -> None:
    from ..visualization.files import save_figure
    from ..visualization.sweeps import Series, plot_sweeps

    series = []
    groups = sorted({(row.kind, row.ranks) for row in result.rows})
    for colour, (kind, ranks) in enumerate(groups):
        rows = sorted((r for r in result.rows if (r.kind, r.ranks) == (kind, ranks)), key=lambda r: r.size_bytes)
        sizes = [row.size_bytes for row in rows]
        name = f"{kind.replace('_', '-')}, {ranks} ranks"
        series.append(Series(f"{name}: measured", sizes, [row.measured_s for row in rows], True, colour))
        series.append(Series(f"{name}: fitted", sizes, [row.fitted_s for row in rows], False, colour))
    note = f"{result.level} started from profile {result.profile}; median error {result.median_error:.1%}"
    save_figure(plot_sweeps(series, f"Calibration of {result.cluster.name}", note=note), path)
