"""`dts export`: a job as a framework's launch script or configuration."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import ConfigError
from ..io.training_job import WRITE_FORMATS
from . import simulate as _simulate
from .asked_job import take_job
from .deliver import deliver
from .outcome import ExitCode, warn, write_file

__all__ = ["EXAMPLES", "export"]

EXAMPLES = """\b
Examples:
  dts export --to megatron-lm --model llama-3.1-70b --cluster 64xdgx-h100 --tp 8 --pp 4 --vpp 2 \\
      --zero 1 --global-batch 1024 --seq-len 8192 --file train.sh
  dts export job.yaml --to megatron-bridge --file train.sh
  dts export train.sh --cluster 4xdgx-h100 --to dts --file job.yaml

Takes the layout options of `dts simulate`. What the target has no option for is refused by name.
"""
_EXTRA: dict[str, tuple[Any, Any]] = {
    "to": (Annotated[str | None, typer.Option(metavar="FORMAT", help=f"{', '.join(WRITE_FORMATS)}.")], None),
    "file": (Annotated[Path | None, typer.Option(metavar="FILE", help="Write the text to FILE, not to stdout.")], None),
}


def export(**options: Any) -> ExitCode:
    """Write a job as a framework's launch script or configuration."""
    target, file = options.pop("to"), options.pop("file")
    if target is None:
        raise ConfigError(f"--to: got nothing, expected one of {', '.join(WRITE_FORMATS)}")
    from ..io.jobs import write_job

    job = take_job(options)
    written = write_job(target, job.model, job.cluster, job.strategy, seq_len=job.seq_len, framework=job.profile)
    for text in written.notes:
        warn(text)
    if file is not None:
        write_file(file, written.text, "--file")
    deliver(written.to_dict(), (), as_json=job.as_json, out=job.out)
    if file is None and not job.as_json:
        sys.stdout.write(written.text)
    return ExitCode.OK


_simulate.give_layout_options(export, _EXTRA)
