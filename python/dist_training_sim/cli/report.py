"""`dts report`: a prediction as one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import Problems
from ..reporting import report as make
from ..reporting.sections import summary
from . import simulate as _simulate
from .asked_job import take_job
from .deliver import deliver
from .outcome import ExitCode, complain, write_file
from .progress import busy
from .render import sentence

__all__ = ["EXAMPLES", "report"]

EXAMPLES = """\b
Examples:
  dts report --model llama-3.1-70b --cluster 8xdgx-h100 --tp 8 --zero 1 --global-batch 128 --seq-len 8192 \\
      --page report.html
  dts report job.yaml --page report.md
  dts report train.sh --cluster 4xdgx-h100 --page report.html --theme dark

Takes the layout options of `dts simulate`. Exit code 3: the job does not fit; the page is written all the same.
"""
_SUFFIXES = (".html", ".md")
_EXTRA: dict[str, tuple[Any, Any]] = {
    "page": (
        Annotated[
            Path | None,
            typer.Option("--page", "-o", metavar="FILE", help="Write the page: .html with figures, .md without."),
        ],
        None,
    ),
    "theme": (Annotated[str, typer.Option(help="Of the page and its figures: light or dark.")], "light"),
}


def report(**options: Any) -> ExitCode:
    """Write a prediction as one page of HTML or Markdown."""
    page, theme = options.pop("page"), options.pop("theme")
    _check_files(page, options["out"])
    job = take_job(options)
    with busy("simulating the job, its knobs and its memory"):
        made = make(job.model, job.cluster, job.strategy, seq_len=job.seq_len, framework=job.profile)
    if page is not None:
        with busy("drawing"):
            text = made.to_markdown() if page.suffix.lower() == ".md" else made.to_html(theme=theme)
        write_file(page, text, "--page")
    deliver(made.to_dict(), [sentence(summary(made), "bold")], as_json=job.as_json, out=job.out)
    if made.fit.fits:
        return ExitCode.OK
    complain(f"does not fit: {made.fit.oom_probability:.0%} chance of running out of memory")
    return ExitCode.DOES_NOT_FIT


def _check_files(page: Path | None, out: Path | None) -> None:
    problems = Problems()
    if page is not None and page.suffix.lower() not in _SUFFIXES:
        problems.add("-o/--page", str(page), f"a file that ends in {' or '.join(_SUFFIXES)}")
    if out is not None and out.suffix.lower() in _SUFFIXES:
        problems.add("--out", str(out), "a file for JSON", f"-o {out} (--page) writes the page")
    problems.raise_if_any()


_simulate.give_layout_options(report, _EXTRA)
