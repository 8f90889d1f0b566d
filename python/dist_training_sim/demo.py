"""The main job: two published training runs, predicted beside measured. `python -m dist_training_sim.demo`.

Measured figures are those of the cited sources; every predicted one comes from `simulate` at that moment.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from .models import Model
from .parallel import Strategy
from .result import Result
from .simulator import simulate

if TYPE_CHECKING:
    from rich.console import Group

__all__ = ["RUNS", "Measured", "PublishedRun", "compare", "main", "shipped_model"]


@dataclass(frozen=True)
class Measured:
    """A published figure, and where the result has the same one."""

    name: str
    value: float
    predicted: Callable[[Result], float]
    decimals: int = 0


@dataclass(frozen=True)
class PublishedRun:
    """A training run that its source describes well enough to be simulated."""

    name: str
    model: Callable[[], Model]
    cluster: str
    strategy: Strategy
    seq_len: int
    framework: str
    measured: tuple[Measured, ...]
    source: str
    note: Callable[[Result], str]

    def predict(self) -> Result:
        """Simulate it."""
        return simulate(self.model(), self.cluster, self.strategy, seq_len=self.seq_len, framework=self.framework)


def shipped_model(name: str) -> Model:
    """Model of a Hugging Face `config.json` that the package ships."""
    config = files(__package__) / "configs" / name / "config.json"
    return Model.from_hf(json.loads(config.read_text(encoding="utf-8")), name)


def _full_attention(result: Result) -> str:
    tflops = result.model_tflops_per_device * result.mfu_full_attention / result.mfu
    return (
        f"The report does not say how it counts attention: with the masked half counted, the prediction is "
        f"{tflops:.0f} TFLOP/s. Nor does it say how many virtual stages there are: 8 per rank of one layer each, "
        "embedding and head alone in the first and the last, suit its 126 layers."
    )


def _replayed_gib(result: Result) -> float:
    """Bytes that PyTorch's allocator takes, from a replay of the first run's step."""
    from .verbs.memory_timeline import reserved_bytes

    run = RUNS[0]
    layout = result.strategy
    replayed = reserved_bytes(run.model(), run.cluster, layout, seq_len=run.seq_len, framework=run.framework)
    return max(replayed) / 2**30


RUNS = (
    PublishedRun(
        name="Llama 3.1 8B on 8 H100",
        model=partial(shipped_model, "llama-3.1-8b"),
        cluster="1xtorchtitan-h100-96gb",
        strategy=Strategy(zero=3, micro_batch=2, global_batch=16, recompute="selective"),
        seq_len=8192,
        framework="torchtitan",
        measured=(
            Measured("step time, s", 2.4575, lambda r: r.step_time_s, 3),
            Measured("tokens/s per GPU", 6667, lambda r: r.tokens_per_s_per_device),
            Measured("reserved memory, GiB", 77.0, _replayed_gib, 1),
        ),
        source="torchtitan, Llama 3.1 H100 benchmarks, Dec 2024, table 1: FSDP, torch.compile, per-op recomputation",
        note=lambda _: "H100 with 96 GB HBM2e at 2.4 TB/s and 500 W. The step time follows from tokens/s.",
    ),
    PublishedRun(
        name="Llama 3.1 405B on 16,384 H100",
        model=partial(Model.from_catalog, "llama-3.1-405b"),
        cluster="2048xgrand-teton-h100",
        # Section 3.3: FSDP does not reshard parameters after forward, and gradients accumulate over micro-batches, of a
        # virtual stage until its last backward reduces them.
        strategy=Strategy(dp=128, tp=8, pp=16, vpp=8, zero=3, reshard_after_forward=False, global_batch=2048),
        seq_len=8192,
        framework="torchtitan",  # the public profile nearest to the report's PyTorch FSDP
        measured=(Measured("model TFLOP/s per GPU", 400, lambda r: r.model_tflops_per_device),),
        source="The Llama 3 Herd of Models, arXiv:2407.21783, table 4",
        note=_full_attention,
    ),
)


def compare(run: PublishedRun, result: Result) -> Group:
    """Predicted beside measured, with the difference."""
    from .cli.render import headed, new_table

    table = new_table(("", "predicted", "measured", "difference"))
    for figure in run.measured:
        predicted = figure.predicted(result)
        texts = (f"{value:,.{figure.decimals}f}" for value in (predicted, figure.value))
        table.add_row(figure.name, *texts, f"{predicted / figure.value - 1:+.1%}")
    too_much = "" if result.fits else " The run did fit into memory: here the prediction is too high."
    return headed(f"Measured: {run.source}", table, run.note(result) + too_much)


def draw(run: PublishedRun, result: Result, folder: Path) -> Path:
    """Write the timeline of the step as a PNG and return its path."""
    from .visualization import Visualizer

    vis = Visualizer()
    title = f"{run.name}: one training step, predicted {result.step_time_s:.3g} s"
    return vis.save_figure(vis.plot_training_timeline(result.events, title=title), folder / f"{result.model}.png")


def main(args: Sequence[str] | None = None) -> int:
    """Print every run and write its timeline into a folder."""
    from .cli.outcome import close_pipe

    parser = argparse.ArgumentParser(prog="python -m dist_training_sim.demo", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder of the figures (out)")
    folder = parser.parse_args(args).out
    folder.mkdir(parents=True, exist_ok=True)
    try:
        _show_runs(folder)
    except BrokenPipeError:
        return close_pipe()
    return 0


def _show_runs(folder: Path) -> None:
    from .cli.deliver import show
    from .cli.render import sentence
    from .cli.step import step_tables

    for run in RUNS:
        result = run.predict()
        picture = draw(run, result, folder)
        head, *tables = step_tables(result)
        show([sentence(f"== {run.name}", "bold"), head, compare(run, result), *tables])
        show([sentence(f"\nTimeline of the step: {picture}\n")])


if __name__ == "__main__":
    sys.exit(main())
