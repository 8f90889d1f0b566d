"""The ops of a step: what they sum to, the roofs they stay under, and where they are shown."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import dist_training_sim as dts
import numpy as np
import pytest
from dist_training_sim.op_table import OpTable
from dist_training_sim.visualization import Visualizer

DENSE = ("llama-3.1-8b", "1xdgx-h100", dts.Strategy(tp=2, zero=1, global_batch=16))
SPARSE = ("mixtral-8x7b", "4xdgx-h100", dts.Strategy(ep=8, zero=1, global_batch=64, precision="fp8"))
STAGED = ("llama-3.1-8b", "1xdgx-h100", dts.Strategy(tp=2, pp=2, zero=1, global_batch=16, recompute="full"))
JOBS = [DENSE, SPARSE, STAGED]
CONTEXTS = [
    ("llama-3.1-8b", "1xdgx-h100", dts.Strategy(cp=4, cp_comm=comm, cp_a2a=heads, zero=1, global_batch=8))
    for comm, heads in (("p2p", 1), ("a2a", 1), ("a2a+p2p", 2), ("all_gather", 1))
]


def simulated(job: tuple[str, str, dts.Strategy]) -> dts.Result:
    return dts.simulate(*job, seq_len=4096)


def ops_of(result: dts.Result) -> OpTable:
    assert result.ops is not None
    return result.ops


@pytest.mark.parametrize("job", [DENSE, STAGED, *CONTEXTS], ids=["dense", "staged", "ring", "heads", "both", "keys"])
def test_passes_sum_to_the_breakdown(job: tuple[str, str, dts.Strategy]) -> None:
    result = simulated(job)
    seconds = dict.fromkeys(("forward", "recompute", "data_grad", "weight_grad"), 0.0)
    for op in ops_of(result):
        seconds[op.op_pass] += op.total_s
    assert seconds["forward"] == pytest.approx(result.breakdown["forward_s"])
    assert seconds["recompute"] == pytest.approx(result.breakdown["recompute_s"])
    assert seconds["data_grad"] + seconds["weight_grad"] == pytest.approx(result.breakdown["backward_s"])


@pytest.mark.parametrize("job", JOBS, ids=["dense", "sparse", "staged"])
def test_no_op_beats_the_roofs(job: tuple[str, str, dts.Strategy]) -> None:
    ops = ops_of(simulated(job))
    for op in ops:
        assert op.time_s >= 0.999 * op.bytes / ops.memory_Bps, op
        assert not op.flops or op.achieved_flops <= ops.peak_flops[op.dtype], op


def test_a_matmul_by_hand() -> None:
    """LM head of Llama-3.1-8B on two ranks: 4096 tokens x 4096 features x 64,128 of the 128,256 words."""
    head = next(op for op in ops_of(simulated(DENSE)) if (op.name, op.op_pass) == ("lm_head", "forward"))
    rows, features, words = 4096, 4096, 64128
    assert head.flops == 2 * rows * features * words
    assert head.bytes == 2 * (rows * features + features * words + rows * words)
    assert head.intensity == head.flops / head.bytes
    assert (head.kind, head.dtype, head.runs) == ("matmul", "bf16", 4)


def test_types_and_kinds_of_a_mixture_in_fp8() -> None:
    ops = ops_of(simulated(SPARSE))
    types = {(op.kind, op.dtype) for op in ops if op.flops}
    assert {("expert matmul", "fp8"), ("attention", "bf16"), ("matmul", "bf16"), ("matmul", "fp8")} <= types
    assert set(ops.peak_flops) >= {"fp8", "bf16"}


def test_results_keep_their_ops_when_pickled() -> None:
    result = simulated(DENSE)
    back = ops_of(pickle.loads(pickle.dumps(result)))
    assert list(back) == list(ops_of(result))
    assert back.peak_flops == ops_of(result).peak_flops


def test_front_door_has_ops() -> None:
    simulator = dts.TrainingSimulator(dts.CommunicationModel(4), dts.ComputeModel(4), dts.MemoryModel(4))
    simulator.set_batch_size(32)
    simulator.set_model_size(parameters=250e6, activations=1e6)
    ops = simulator.simulate_training_iteration().ops
    assert ops is not None
    assert sum(op.runs * op.flops for op in ops) == pytest.approx(6 * 250e6 * 8)  # 32 samples on 4 devices


def test_roofline_of_a_result() -> None:
    """The figure's time is the table's, and the share that memory bounds counts ops that are not drawn."""
    result = simulated(DENSE)
    figure = Visualizer().plot_roofline(result)
    ops = ops_of(result)
    whole = sum(op.total_s for op in ops)
    knee = ops.peak_flops["bf16"] / ops.memory_Bps
    bound = sum(op.total_s for op in ops if op.intensity < knee)
    assert figure.axes[0].get_title(loc="left").startswith(f"{bound / whole:.0%} of the time")
    drawn = {(op.name, op.op_pass.replace("recompute", "forward")) for op in ops if op.flops}
    assert sum(len(np.asarray(points.get_offsets())) for points in figure.axes[0].collections) == len(drawn)


def test_explain_lists_and_draws_ops(tmp_path: Path) -> None:
    words = ("explain", "--model", "gpt2", "--cluster", "1xdgx-h100", "--seq-len", "1024")
    command = [sys.executable, "-m", "dist_training_sim", *words]
    shown = subprocess.run(
        [*command, "--ops", "--roofline", "r.svg"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "Ops that take most of the step" in shown.stdout
    assert "lm_head" in shown.stdout
    assert (tmp_path / "r.svg").read_text(encoding="utf-8").startswith("<?xml")
    plain = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    row = json.loads(plain.stdout)["ops"][0]
    assert row["achieved_flops"] == row["flops"] / row["time_s"]
