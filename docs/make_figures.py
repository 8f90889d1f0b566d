"""Draw the figures of the README and the guide from predictions: `python docs/make_figures.py`."""

from __future__ import annotations

from pathlib import Path

import dist_training_sim as dts
from dist_training_sim.visualization import Visualizer

IMAGES = Path(__file__).parent / "img"


def pipeline_timeline() -> None:
    """Llama-3.1-70B on 64 H100: four pipeline stages of two chunks each, tensor parallel inside the node."""
    strategy = dts.Strategy(tp=8, pp=4, vpp=2, micro_batch=1, global_batch=16, zero=1)
    result = dts.simulate("llama-3.1-70b", "8xdgx-h100", strategy, seq_len=8192)
    title = f"Llama-3.1-70B, 64 H100, interleaved 1F1B: step {result.step_time_s:.2f} s, MFU {result.mfu:.0%}"
    visualizer = Visualizer()
    figure = visualizer.plot_training_timeline(result.events, title=title)
    visualizer.save_figure(figure, IMAGES / "pipeline_timeline.png")


def pipeline_schedules() -> None:
    """Llama-3.1-70B, four pipeline stages, eight micro-batches: four orders of the same work."""
    schedules = {
        "1f1b": ("1F1B", {}),
        "interleaved": ("Interleaved 1F1B", {"vpp": 2}),
        "zb_v": ("ZB-V", {"schedule": "zb_v", "vpp": 2}),
        "dualpipe": ("DualPipe", {"schedule": "dualpipe"}),
    }
    visualizer = Visualizer()
    for file, (name, choice) in schedules.items():
        strategy = dts.Strategy(tp=8, pp=4, micro_batch=1, global_batch=8, zero=1, **choice)
        result = dts.simulate("llama-3.1-70b", "4xdgx-h100", strategy, seq_len=8192)
        waiting = result.breakdown["pipeline_s"] / result.step_time_s
        title = f"{name}: step {result.step_time_s:.2f} s, waiting for other stages {waiting:.0%}"
        figure = visualizer.plot_training_timeline(result.events, title=title)
        visualizer.save_figure(figure, IMAGES / f"schedule_{file}.png")


def pipeline_diagram() -> None:
    """The same job as `pipeline_timeline`, pass by pass."""
    strategy = dts.Strategy(tp=8, pp=4, vpp=2, micro_batch=1, global_batch=16, zero=1)
    result = dts.simulate("llama-3.1-70b", "8xdgx-h100", strategy, seq_len=8192)
    visualizer = Visualizer()
    visualizer.save_figure(visualizer.plot_pipeline(result), IMAGES / "pipeline_diagram.png")


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    pipeline_timeline()
    pipeline_schedules()
    pipeline_diagram()
