"""One small figure of every kind from fixed data: the golden images, and what must hold of all figures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dist_training_sim as dts
import matplotlib
import numpy as np
from dist_training_sim.verbs.memory_timeline import CATEGORIES, HeldTensor, StageMemory
from dist_training_sim.visualization import Visualizer

GIB = 2.0**30
GOLDEN = Path(__file__).parent / "golden"
# Releases of Matplotlib place and smooth lines differently: figures are compared under the one that drew them.
DRAWN_WITH = (GOLDEN / "matplotlib.txt").read_text(encoding="utf-8").strip()
DRAWS_ALIKE = matplotlib.__version__.split(".")[:2] == DRAWN_WITH.split(".")


def passes(devices: int = 8, chunks: int = 2, micro_batches: int = 4) -> list[dict[str, Any]]:
    """Staggered passes of a pipeline, with a reduction and an update."""
    events = []
    for device in range(devices):
        at = device * 1e-3
        for kind, length, order in (("forward", 1e-3, range(chunks)), ("backward", 2e-3, reversed(range(chunks)))):
            for chunk in order:
                for i in range(micro_batches):
                    place = {"device": device, "stream": "compute", "start_s": at, "duration_s": length}
                    events.append(
                        {"name": kind, "kind": kind, "micro_batch": i, "stage": device + chunk * devices, **place}
                    )
                    at += length
        events.append(
            {"name": "r", "kind": "all_reduce", "device": device, "stream": "dp", "start_s": at, "duration_s": 3e-3}
        )
        update = {"device": device, "stream": "compute", "start_s": at + 3e-3, "duration_s": 1e-3}
        events.append({"name": "u", "kind": "optimizer", **update})
    return events


def traffic(devices: int = 8) -> np.ndarray:
    """Each device sends to its next two neighbours, later devices more."""
    amounts = np.zeros((devices, devices))
    for i in range(devices):
        for step in {1 % devices, 2 % devices} - {0}:
            amounts[i, (i + step) % devices] = 1e9 * (i + step)
    return amounts


def choices() -> list[dict[str, Any]]:
    """Layouts with a made-up step time and memory."""
    found = []
    for tp in (1, 2, 4, 8):
        for pp in (1, 2, 4):
            for recompute in ("none", "full"):
                dearer, smaller = (1.3, 0.5) if recompute == "full" else (1.0, 1.0)
                step, held = 4 * dearer * (1 + 0.1 * pp + 0.05 * tp), 90 * GIB * smaller / (tp * pp) ** 0.6
                plan = {"tp": tp, "pp": pp, "recompute": recompute, "step_time_s": step, "reserved_bytes": held}
                found.append({**plan, "name": f"tp {tp} pp {pp} {recompute}"})
    return found


OPS: list[dict[str, Any]] = [
    {"name": "qkv", "kind": "matmul", "flops": 4e11, "bytes": 2e8, "time_s": 6e-4},
    {"name": "attention", "kind": "attention", "flops": 2e11, "bytes": 3e8, "time_s": 4e-4},
    {"name": "up", "kind": "matmul", "flops": 1.9e12, "bytes": 6e8, "time_s": 2.6e-3},
    {"name": "norm", "kind": "memory-bound", "flops": 1e8, "bytes": 1.3e8, "time_s": 5e-5},
    {"name": "add", "kind": "memory-bound", "flops": 3e7, "bytes": 2e8, "time_s": 7e-5},
]
BREAKDOWN = {"forward_s": 1.0, "backward_s": 2.1, "recompute_s": 0.2, "exposed_tp_s": 0.4, "exposed_dp_s": 0.1,
             "offload_s": 0.0, "pipeline_s": 0.3, "interference_s": 0.05, "host_s": 0.02, "fixed_s": 0.03}  # fmt: skip


def stage_memory() -> StageMemory:
    """A tent of activations on standing states."""
    steps = np.linspace(0, 1, 21)
    held = np.zeros((21, len(CATEGORIES)))
    held[:, 0], held[:, 1], held[:, 2] = 10 * GIB, 20 * GIB, 15 * GIB
    held[:, CATEGORIES.index("activations")] = 30 * GIB * (1 - np.abs(2 * steps - 1))
    return StageMemory(
        0, steps, held, 75 * GIB, 0.5, (HeldTensor("mlp up", "activations", 4, 9 * GIB),), 78 * GIB, 0.04
    )


def figures(vis: Visualizer) -> dict[str, Callable[[], Any]]:
    """Name and maker of each figure."""
    events, amounts, counts = passes(), traffic(), [1, 2, 4, 8, 16, 32]
    rate = [100, 195, 380, 740, 1400, 2600]
    stages = {f"stage {i}": {"weights": 10 * GIB, "activations": (5 - i) * 9 * GIB, "context": GIB} for i in range(4)}
    curve = [(2.0**i, 4e11 / (1 + 2.0**24 / 2.0**i)) for i in range(12, 32, 2)]
    band = [[0.8 * r for r in rate], [1.1 * r for r in rate]]
    effects = {"HBM ±10 %": (3.9, 4.1), "matmuls ±10 %": (3.6, 4.5), "tp 8 to 4": 3.8}
    measured = np.array([0.5, 1.0, 2.0, 4.0, 8.0, 16.0])
    return {
        "timeline": lambda: vis.plot_training_timeline(events),
        "timeline_window": lambda: vis.plot_training_timeline(events, window_s=(4e-3, 12e-3)),
        "pipeline": lambda: vis.plot_pipeline(events),
        "breakdown": lambda: vis.plot_step_breakdown(BREAKDOWN),
        "memory": lambda: vis.plot_memory(stages, 50 * GIB),
        "memory_timeline": lambda: vis.plot_memory_timeline(stage_memory(), 80 * GIB),
        "graph_circle": lambda: vis.plot_communication_graph(amounts),
        "graph_grid": lambda: vis.plot_communication_graph(amounts, layout="grid"),
        "graph_nodes": lambda: vis.plot_communication_graph(amounts, layout="nodes", devices_per_node=4),
        "heat_map": lambda: vis.plot_heat_map(amounts),
        "topology_fat_tree": lambda: vis.plot_topology(dts.CommunicationModel(16, "fat_tree")),
        "topology_torus": lambda: vis.plot_topology(dts.CommunicationModel(16, "torus_2d")),
        "topology_dragonfly": lambda: vis.plot_topology(dts.CommunicationModel(16, "dragonfly")),
        "topology_rails": lambda: vis.plot_topology(dts.CommunicationModel(4, "rail_optimized", devices_per_node=4)),
        "cluster": lambda: vis.plot_topology("8xdgx-h100"),
        "collectives": lambda: vis.plot_collectives({"8 devices": curve}, {"8 devices": curve[::3]}),
        "scaling": lambda: vis.plot_scaling_efficiency(counts, rate, low=band[0], high=band[1]),
        "sensitivity": lambda: vis.plot_sensitivity(4.0, effects),
        "pareto_front": lambda: vis.plot_pareto_front(choices(), "step_time_s", "reserved_bytes", label="name"),
        "search": lambda: vis.plot_search(choices(), "step_time_s", fields=["tp", "pp", "recompute", "reserved_bytes"]),
        "roofline": lambda: vis.plot_roofline(OPS, {"bf16": 989e12, "fp8": 1979e12}, 3.35e12),
        "predicted_vs_measured": lambda: vis.plot_predicted_vs_measured(
            measured * [1.1, 0.9, 1.0, 1.3, 0.95, 1.02], measured, groups=["a", "b"] * 3),
    }  # fmt: skip
