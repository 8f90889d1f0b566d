"""`dts validate --refit`: constants fitted to whole steps, and their worth on sources the fit has not seen."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..catalog.fitted import GROUPS, Fitted
from ..validation.corpus import packaged_corpus
from ..validation.step_fit import StepFit, errors_by_source, fit_steps
from .deliver import deliver
from .outcome import ExitCode
from .progress import busy
from .render import headed, new_table

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["refit"]


def refit(corpus: Path | None, *, as_json: bool, out: Path | None) -> ExitCode:
    """Fit, and print or write constants and errors; the file of the package is `catalog/fitted.yaml`."""
    with busy("fitting, with each source left out once"):
        fit = fit_steps(corpus or packaged_corpus(["step_time"])[0], progress=_say)
    deliver(_plain(fit), _tables(fit), as_json=as_json, out=out)
    return ExitCode.OK


def _say(line: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"{line}\n")


def _plain(fit: StepFit) -> dict[str, Any]:
    groups = {name: _constants(fit.fitted, name) for name in GROUPS}
    errors = [vars(line) for line in errors_by_source(fit)]
    return {"every_device": {"factor": fit.fitted.every_device[0], "rows": fit.fitted.every_device[1]}, **groups,
            "errors": errors, "yaml": fit.fitted.to_yaml()}  # fmt: skip


def _constants(fitted: Fitted, group: str) -> dict[str, dict[str, float]]:
    return {name: {"factor": factor, "rows": rows} for name, (factor, rows) in getattr(fitted, group).items()}


def _tables(fit: StepFit) -> Iterator[RenderableType]:
    table = new_table(("constant", "of", "factor", "now", "rows"), left=("constant", "of"))
    present = Fitted.packaged()
    table.add_row("sustained", "every device", *_row(fit.fitted.every_device, present.every_device))
    for group in GROUPS:
        for name, value in getattr(fit.fitted, group).items():
            table.add_row(group, name, *_row(value, getattr(present, group).get(name, (1.0, 0))))
    yield headed("Constants fitted to whole steps", table, "factor: fitted now; now: in catalog/fitted.yaml")
    errors = new_table(("source", "rows", "median", "p90", "bias", "left out", "p90 left out"), left=("source",))
    for line in errors_by_source(fit):
        errors.add_row(
            line.source, str(line.rows), f"{line.median:.1%}", f"{line.p90:.1%}", f"{line.bias:+.1%}",
            f"{line.left_out_median:.1%}", f"{line.left_out_p90:.1%}",
        )  # fmt: skip
    yield headed("Errors with all rows, and of a source that the fit has not seen", errors, "")


def _row(fitted: tuple[float, int], present: tuple[float, int]) -> tuple[str, str, str]:
    return f"{fitted[0]:.3f}", f"{present[0]:.3f}", str(fitted[1])
