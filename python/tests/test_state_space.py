"""Recurrent layers: weights and FLOPs by hand, splitting over ranks, and the time of the scan."""

from __future__ import annotations

from typing import Any

import dist_training_sim as dts
import pytest
from dist_training_sim import ConfigError, FrameworkProfile, Strategy, _core
from dist_training_sim._convert import to_core
from dist_training_sim.models import Model, Op, ops
from dist_training_sim.models.op import OpKind
from dist_training_sim.models.state_space import GatedDelta, Mamba1, Mamba2
from dist_training_sim.models.transformer import Experts, Mlp, Part, language_model, mixer_block, pre_norm_block

HIDDEN, SEQ = 1024, 4096
MAMBA2 = Mamba2(heads=32, head_dim=64, state=128, groups=8, chunk=256)
MAMBA1 = Mamba1(inner=2048, state=16, dt_rank=64, norms=True)
DELTA = GatedDelta(heads=16, key_heads=8, key_dim=128, value_dim=128)
IDEAL = FrameworkProfile.from_catalog("ideal")
CLUSTER = dts.Cluster.from_catalog("dgx-h100")


def hybrid(part: Part) -> Model:
    blocks = [mixer_block("state", HIDDEN, part), mixer_block("mlp", HIDDEN, Mlp(4 * HIDDEN, "relu2"))] * 2
    return language_model("hybrid", blocks, HIDDEN, 32_000)


def scan_of(part: Part) -> Op:
    return next(op for op in part.ops(HIDDEN, "") if op.kind is OpKind.SCAN)


def test_weights_of_mamba2() -> None:
    """As mamba_ssm's Mamba2: in_proj to 2 d_inner + 2 G N + H, convolution, A, D, dt_bias, norm, out_proj."""
    inner, mixed = 2048, 2048 + 2 * 8 * 128
    stated = HIDDEN * (inner + mixed + 32) + mixed * 4 + mixed + 3 * 32 + inner + inner * HIDDEN
    assert sum(op.parameters for op in MAMBA2.ops(HIDDEN, "")) == stated


def test_flops_of_mamba2() -> None:
    """C B' and its product with x on the causal half of a chunk, states in and out of it: 2 FLOP per product."""
    per_token = 256 * 128 * 8 + 256 * 64 * 32 + 2 * (2 * 128 * 64 * 32)
    assert scan_of(MAMBA2).flops_per_row == per_token
    core = to_core(hybrid(MAMBA2))
    without = sum(
        2 * op.in_features * op.out_features
        for block in (run.block for run in hybrid(MAMBA2).layers for _ in range(run.repeat))
        for op in block.ops
        if op.kind is OpKind.MATMUL
    )
    head = 2 * HIDDEN * 32_000
    assert _core.training_flops(core, SEQ).causal == pytest.approx(3 * SEQ * (without + head + 2 * per_token))


def test_flops_of_a_scan_do_not_grow_with_the_sequence() -> None:
    op = to_core(hybrid(DELTA))
    short, long = (_core.training_flops(op, s).causal / s for s in (1024, 131_072))
    assert short == pytest.approx(long)


@pytest.mark.parametrize("part", [MAMBA2, MAMBA1, DELTA])
def test_every_recurrence_runs_and_splits(part: Part) -> None:
    one = run(part, tp=1, dp=8)
    for layout in ({"tp": 4}, {"tp": 4, "sequence_parallel": False}, {"cp": 4}, {"pp": 2}, {"zero": 3}):
        split = run(part, **layout)
        assert split.step_time_s > 0
        assert split.peak_memory.allocated_bytes <= one.peak_memory.allocated_bytes


def run(part: Part, **layout: Any) -> dts.Result:
    return dts.simulate(hybrid(part), CLUSTER, Strategy(global_batch=8, **layout), seq_len=SEQ, framework=IDEAL)


def test_tensor_parallelism_divides_the_work() -> None:
    whole, quarter = run(MAMBA2, tp=1), run(MAMBA2, tp=4)
    assert quarter.hfu * quarter.step_time_s == pytest.approx(whole.hfu * whole.step_time_s, rel=1e-6)


def test_context_parallelism_exchanges_heads() -> None:
    assert run(MAMBA2, cp=4).breakdown["exposed_cp_s"] > 0
    with pytest.raises(ConfigError, match="32 heads of scan"):
        dts.simulate(hybrid(MAMBA2), "8xdgx-h100", Strategy(tp=8, cp=8, global_batch=8), seq_len=SEQ, framework=IDEAL)


def test_groups_that_ranks_cannot_share_are_refused() -> None:
    with pytest.raises(ConfigError, match="state groups=2"):
        run(Mamba2(heads=32, head_dim=64, state=128, groups=2), tp=4)


def test_states_are_not_kept() -> None:
    """Kept of a Mamba-2 layer per token: what its ops read, and one fp32 time step per head; no states."""
    layers = [language_model("m", [mixer_block("state", HIDDEN, MAMBA2)] * n, HIDDEN, 32_000) for n in (1, 2)]
    kept = [
        dts.simulate(m, CLUSTER, Strategy(global_batch=8), seq_len=SEQ, framework=IDEAL).peak_memory.categories[
            "activations"
        ]
        for m in layers
    ]
    inner, mixed = 2048, 2048 + 2 * 8 * 128
    reads = (
        HIDDEN + HIDDEN + (inner + mixed + 32) + mixed + inner + inner + inner
    )  # residual, norm, and each op's input
    statistics = 4 * 32 + 2 * 4  # time steps; 1 / sigma of two norms
    assert kept[1] - kept[0] == pytest.approx(SEQ * (2 * reads + statistics))


def test_squared_relu_needs_its_input() -> None:
    assert ops.activation("act", 8, "relu2").saves_input
    assert not ops.activation("act", 8, "relu").saves_input


def test_a_scan_states_its_groups() -> None:
    with pytest.raises(ConfigError, match="divisor of heads"):
        scan_of(Mamba2(heads=32, head_dim=64, state=128, groups=5))


def test_hybrid_of_recurrence_and_experts() -> None:
    experts = Experts(8, 2, 512)
    block = pre_norm_block("delta", HIDDEN, DELTA, experts)
    model = language_model("routed", [block] * 2, HIDDEN, 32_000)
    result = dts.simulate(model, CLUSTER, Strategy(ep=8, global_batch=8), seq_len=SEQ, framework=IDEAL)
    assert result.breakdown["exposed_ep_s"] > 0
