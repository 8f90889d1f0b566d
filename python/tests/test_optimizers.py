"""Update rules: bytes moved, iterations of Muon, states kept, and what fp16 adds."""

from __future__ import annotations

from typing import Any

import dist_training_sim as dts
import pytest
from dist_training_sim import FrameworkProfile, Strategy, _core
from dist_training_sim._convert import to_core
from dist_training_sim.models import Model, transformer
from dist_training_sim.models import frozen as frozen_parts
from dist_training_sim.parallel.choices import Optimizer

HIDDEN, FFN, VOCABULARY, LAYERS = 512, 2048, 4096, 4
MODEL = transformer.language_model("small", [transformer.llama_block(HIDDEN, 8, 8, FFN)] * LAYERS, HIDDEN, VOCABULARY)
IDEAL = FrameworkProfile.from_catalog("ideal").replace(optimizer_bytes=30.0)
NODE = dts.Cluster.from_catalog("dgx-h100").node
MATRICES = LAYERS * (HIDDEN * 3 * HIDDEN + HIDDEN * HIDDEN + HIDDEN * 2 * FFN + FFN * HIDDEN)


def result(devices: int = 1, framework: FrameworkProfile = IDEAL, **layout: Any) -> dts.Result:
    layout.setdefault("global_batch", devices)
    cluster = dts.Cluster(NODE.replace(devices=devices), 1)
    return dts.simulate(MODEL, cluster, Strategy(**layout), seq_len=128, framework=framework)


def update_s(**layout: Any) -> float:
    return result(**layout).breakdown["optimizer_s"]


def stream_s(bytes_each: float, parameters: float = MODEL.parameters) -> float:
    """Seconds over the bandwidth that multi-tensor kernels reach on an H100, and one kernel's floor."""
    device = to_core(NODE.device)
    rate_Bps: float = device.memory.optimizer_efficiency * device.hbm_Bps
    return float(device.memory.kernel_floor_s) + bytes_each * parameters / rate_Bps


@pytest.mark.parametrize(
    ("rule", "bytes_each"),
    [
        ("sgd", 30 - 16),
        ("momentum", 30 - 8),
        ("adam", 30),
        ("adam_8bit", 30 - 16 + 4 * (1 + 4 / 256)),
        ("adafactor", 84 + 2),
    ],
)
def test_bytes_of_elementwise_rules(rule: str, bytes_each: float) -> None:
    """The profile moves 2 bytes beyond a fused Adam's 28; moments are read and written; Adafactor makes 21 passes."""
    assert update_s(optimizer=rule) == pytest.approx(stream_s(bytes_each), rel=1e-9)


@pytest.mark.parametrize(("kernels", "bytes_each"), [("fused", 30), ("foreach", 78)])
def test_kernels_of_adam(kernels: str, bytes_each: float) -> None:
    other = IDEAL.replace(optimizer_bytes=50.0)
    assert update_s(optimizer_kernels=kernels, framework=other) == pytest.approx(stream_s(bytes_each), rel=1e-9)


def test_fp16_unscales_and_looks_for_infinities() -> None:
    assert update_s(precision="fp16") == pytest.approx(stream_s(30 + 8), rel=1e-9)
    alone = update_s(precision="fp16", devices=8, tp=8) - update_s(precision="bf16", devices=8, tp=8)
    passes = stream_s(8, MODEL.parameters / 8) - to_core(NODE.device).memory.kernel_floor_s
    assert alone - passes > 5e-6  # the flag's all-reduce waits for the slowest hop


def newton_schulz_s(rows: float, columns: float) -> float:
    """Five iterations by hand: m x m x n, m x m x m, m x n x m."""
    device, (m, n) = to_core(NODE.device), sorted((rows, columns))
    bf16 = _core.DType.BF16

    def gemm(a: float, b: float, k: float, out: float) -> float:
        return float(_core.gemm_time_s(device, bf16, _core.GemmShape(a, b, k), _core.GemmPass.FORWARD, out))

    return 5 * (gemm(m, m, n, 2) + gemm(m, m, m, 4) + gemm(m, n, m, 4))


SHAPES = [(HIDDEN, 3 * HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, 2 * FFN), (FFN, HIDDEN)]


def test_muon_is_its_iterations_and_passes() -> None:
    iterations = LAYERS * sum(newton_schulz_s(*shape) for shape in SHAPES)
    passes = stream_s(46 + 2, MATRICES) + stream_s(30, MODEL.parameters - MATRICES)
    assert update_s(optimizer="muon") == pytest.approx(iterations + passes, rel=1e-9)


def test_muon_deals_matrices_to_data_parallel_ranks() -> None:
    iterations = LAYERS * sum(newton_schulz_s(*shape) for shape in SHAPES)
    passes = stream_s(48, MATRICES / 4) + stream_s(30, (MODEL.parameters - MATRICES) / 4)
    dealt = update_s(optimizer="muon", devices=4, zero=1)
    assert dealt == pytest.approx(iterations / 4 + passes, rel=1e-9)
    assert update_s(optimizer="muon", devices=4, zero=3) > dealt  # matrices are exchanged whole


def test_muon_on_split_matrices() -> None:
    times = {mode: update_s(optimizer="muon", devices=4, tp=4, muon_tp=mode)
             for mode in ("blockwise", "duplicated", "distributed")}  # fmt: skip
    assert times["blockwise"] < min(times["duplicated"], times["distributed"])
    whole = LAYERS * sum(newton_schulz_s(*shape) for shape in SHAPES)
    assert times["duplicated"] > whole  # all ranks do all of it


@pytest.mark.parametrize(
    ("rule", "moments"), [("sgd", 0), ("momentum", 4), ("adam", 8), ("adam_8bit", 2 * (1 + 4 / 256)), ("adafactor", 0)]
)
def test_states_kept(rule: str, moments: float) -> None:
    held = result(optimizer=rule).peak_memory.categories["optimizer"]
    assert held == pytest.approx(MODEL.parameters * (4 + moments), rel=1e-12)


def test_muon_keeps_one_moment_of_matrices() -> None:
    held = result(optimizer="muon").peak_memory.categories["optimizer"]
    assert held == pytest.approx(MODEL.parameters * 12 - MATRICES * 4, rel=1e-12)
    sharded = result(optimizer="muon", devices=4, zero=1).peak_memory.categories["optimizer"]
    assert sharded == pytest.approx(held / 4, rel=1e-12)


@pytest.mark.parametrize("rule", [str(rule.value) for rule in Optimizer])
def test_frozen_weights_are_not_updated(rule: str) -> None:
    none = frozen_parts(MODEL, ("stem", "layers", "head"))
    frozen = dts.simulate(
        none, dts.Cluster(NODE.replace(devices=1), 1), Strategy(optimizer=rule), seq_len=128, framework=IDEAL
    )
    assert frozen.breakdown["optimizer_s"] == 0
    assert frozen.peak_memory.categories["optimizer"] == 0


def test_experts_have_matrices_of_their_own() -> None:
    experts = transformer.Experts(8, 2, 256)
    block = transformer.pre_norm_block("moe", HIDDEN, transformer.Attention(8, 8, 64), experts)
    routed = transformer.language_model("routed", [block] * 2, HIDDEN, VOCABULARY)

    def iterations(model: Model, **layout: Any) -> float:
        cluster = dts.Cluster(NODE.replace(devices=4), 1)
        made = Strategy(global_batch=4, optimizer="muon", **layout)
        return dts.simulate(model, cluster, made, seq_len=128, framework=IDEAL).breakdown["optimizer_s"]

    assert iterations(routed, ep=4) < iterations(routed)  # a rank holds a quarter of the experts
