"""Draw the figures of the README and the guide from predictions: `python docs/make_figures.py`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import dist_training_sim as dts
from dist_training_sim.visualization import Visualizer
from likeness import keep

SCHEDULES: dict[str, tuple[str, dict[str, Any]]] = {
    "1f1b": ("1F1B", {}),
    "interleaved": ("Interleaved 1F1B", {"vpp": 2}),
    "zb_v": ("ZB-V", {"schedule": "zb_v", "vpp": 2}),
    "dualpipe": ("DualPipe", {"schedule": "dualpipe"}),
}


def interleaved() -> dts.Result:
    """Llama-3.1-70B on 64 H100: four pipeline stages of two chunks each, tensor parallel inside the node."""
    strategy = dts.Strategy(tp=8, pp=4, vpp=2, micro_batch=1, global_batch=16, zero=1)
    return dts.simulate("llama-3.1-70b", "8xdgx-h100", strategy, seq_len=8192)


def pipeline_timeline() -> Any:
    """The step as a timeline."""
    result = interleaved()
    title = f"Llama-3.1-70B, 64 H100, interleaved 1F1B: step {result.step_time_s:.2f} s, MFU {result.mfu:.0%}"
    return Visualizer().plot_training_timeline(result, title=title)


def pipeline_diagram() -> Any:
    """The same step, pass by pass."""
    return Visualizer().plot_pipeline(interleaved())


def schedule(name: str) -> Any:
    """Llama-3.1-70B, four pipeline stages, eight micro-batches: one order of the same work."""
    words, choice = SCHEDULES[name]
    strategy = dts.Strategy(tp=8, pp=4, micro_batch=1, global_batch=8, zero=1, **choice)
    result = dts.simulate("llama-3.1-70b", "4xdgx-h100", strategy, seq_len=8192)
    waiting = result.breakdown["pipeline_s"] / result.step_time_s
    title = f"{words}: step {result.step_time_s:.2f} s, waiting for other stages {waiting:.0%}"
    return Visualizer().plot_training_timeline(result, title=title)


FIGURES: dict[str, Callable[[], Any]] = {
    "pipeline_timeline.png": pipeline_timeline,
    "pipeline_diagram.png": pipeline_diagram,
    **{f"schedule_{name}.png": functools.partial(schedule, name) for name in SCHEDULES},
}

if __name__ == "__main__":
    for file, draw in FIGURES.items():
        keep(draw(), file)
