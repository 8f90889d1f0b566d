"""`dts validate --use ranking`: layouts ordered by predictions beside their measured order."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..validation.layout_sweeps import RankingReport, validate_ranking
from .deliver import deliver
from .outcome import ExitCode
from .render import headed, new_table, sentence

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..validation.pool import Progress

__all__ = ["ranking"]

_NOTE = (
    "tau: Kendall's tau-b of predicted and measured step times. top 3: the layout measured fastest is among the\n"
    "three predicted fastest. regret: how much slower than it the layout predicted fastest was measured."
)


def ranking(
    corpus: Path | None, *, workers: int | None, progress: Progress | None, as_json: bool, out: Path | None
) -> ExitCode:
    """Compare predicted with measured orders of layouts."""
    report = validate_ranking(corpus, workers=workers, progress=progress)
    deliver(report.to_dict(), _tables(report), as_json=as_json, out=out)
    return ExitCode.OK


def _tables(report: RankingReport) -> list[RenderableType]:
    layouts = sum(len(sweep.ids) for sweep in report.sweeps)
    text = (
        f"{len(report.sweeps)} jobs measured under {layouts} layouts: median tau {report.median_tau:.2f}, the best "
        f"layout in the top 3 of {report.best_in_top_share:.0%}, median regret of the first choice "
        f"{report.median_regret:.1%}."
    )
    return [sentence(text, "bold"), headed("By job", _table(report), _NOTE)]


def _table(report: RankingReport) -> Any:
    table = new_table(("source", "model", "devices", "layouts", "tau", "top 3", "regret"), left=("source", "model"))
    for sweep in report.sweeps:
        figures = (f"{sweep.tau:.2f}", "yes" if sweep.best_in_top else "no", f"{sweep.regret:.1%}")
        table.add_row(sweep.source, sweep.model, str(sweep.devices), str(len(sweep.ids)), *figures)
    return table
