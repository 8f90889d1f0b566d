"""The verbs of `dts`, put together."""

from __future__ import annotations

from typing import Annotated

import typer

from . import (
    calibrate,
    check,
    collective,
    cost,
    explain,
    export,
    fit,
    hardware,
    models,
    network,
    plan,
    report,
    scale,
    schema,
    simulate,
    sweep,
    validate,
    what_if,
)
from .job_options import with_job_file
from .outcome import ExitCode, guarded
from .wrong_values import Verbs

__all__ = ["app"]

EXAMPLES = """\b
Examples:
  dts simulate --model llama-3.1-8b --cluster 1xdgx-h100 --zero 3 --global-batch 64 --seq-len 8192
  dts plan --model llama-3.1-70b --cluster 64xdgx-h100 --seq-len 8192 --global-batch 1024
  dts fit --model llama-3.1-8b --cluster 1xdgx-h100 --zero 1 --micro-batch 4 --seq-len 8192
  dts report job.yaml --page report.html
  dts check train.sh --cluster 64xdgx-h100
  dts cost --model llama-3.1-8b --cluster 64xdgx-h100 --zero 3 --global-batch 1024 --seq-len 8192 --tokens 15T
  dts export --to megatron-lm --model llama-3.1-8b --cluster 8xdgx-h100 --tp 2 --zero 1 --seq-len 8192
  dts simulate job.yaml
  dts network --model llama-3.1-8b --cluster 4xdgx-h100 --zero 3 --global-batch 64 --seq-len 8192
  dts models llama-3.1-8b
  dts hardware --kind nodes
  dts collective all-reduce --size 64MiB --cluster 2xdgx-h100
  dts calibrate nccl all_reduce.log --cluster 2xdgx-h100 --yaml my-cluster.yaml
  dts validate --use step_time --by source

\b
Exit codes: 0 ok; 1 internal error; 2 usage, illegal layout or unknown name; 3 legal, but does not
fit; 4 a needed constant or file is missing; 130 stopped by Ctrl-C.
"""

# Markup off: help is plain text, the same on a terminal and in a pipe.
app = typer.Typer(
    cls=Verbs,
    rich_markup_mode=None,
    add_completion=False,
    invoke_without_command=True,
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from .. import __version__

        typer.echo(f"dts {__version__}")
        raise typer.Exit


@app.callback()
def dts(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Predict what a distributed training job will do before anyone rents the cluster."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(ExitCode.USAGE)


app.command(epilog=simulate.EXAMPLES)(guarded(with_job_file(simulate.simulate)))
app.command(epilog=plan.EXAMPLES)(guarded(with_job_file(plan.plan)))
app.command(epilog=explain.EXAMPLES)(guarded(with_job_file(explain.explain)))
app.command("what-if", epilog=what_if.EXAMPLES)(guarded(with_job_file(what_if.what_if)))
app.command(epilog=scale.EXAMPLES)(guarded(with_job_file(scale.scale)))
app.command(epilog=sweep.EXAMPLES)(guarded(with_job_file(sweep.sweep)))
app.command(epilog=fit.EXAMPLES)(guarded(with_job_file(fit.fit)))
app.command(epilog=report.EXAMPLES)(guarded(with_job_file(report.report)))
app.command(epilog=cost.EXAMPLES)(guarded(with_job_file(cost.cost)))
app.command(epilog=check.EXAMPLES)(guarded(check.check))
app.command(epilog=export.EXAMPLES)(guarded(with_job_file(export.export)))
app.command(epilog=schema.EXAMPLES)(guarded(schema.schema))
app.command(epilog=network.EXAMPLES)(guarded(with_job_file(network.network)))
app.command(epilog=models.EXAMPLES)(guarded(models.models))
app.command(epilog=hardware.EXAMPLES)(guarded(hardware.hardware))
app.command(epilog=collective.EXAMPLES)(guarded(collective.collective))
app.command(epilog=calibrate.EXAMPLES)(guarded(calibrate.calibrate))
app.command(epilog=validate.EXAMPLES)(guarded(validate.validate))
