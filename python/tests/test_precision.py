"""Number formats: which matmuls, casts and collectives change with each recipe."""

from __future__ import annotations

from typing import Any

import dist_training_sim as dts
import pytest
from dist_training_sim import ConfigError, FrameworkProfile, Strategy
from dist_training_sim.models import frozen as frozen_parts
from dist_training_sim.models import transformer

HIDDEN, FFN, SEQ = 4096, 16384, 4096
MODEL = transformer.language_model("wide", [transformer.llama_block(HIDDEN, 32, 8, FFN)] * 2, HIDDEN, 32_000)
IDEAL = FrameworkProfile.from_catalog("ideal")


def run(node: str = "dgx-h100", framework: FrameworkProfile = IDEAL, **layout: Any) -> dts.Result:
    layout.setdefault("global_batch", 8)
    return dts.simulate(MODEL, dts.Cluster.from_catalog(node), Strategy(**layout), seq_len=SEQ, framework=framework)


def compute_s(**layout: Any) -> float:
    breakdown = run(**layout).breakdown
    return breakdown["forward_s"] + breakdown["backward_s"]


def test_narrower_matmuls_are_faster() -> None:
    times = [compute_s(precision=p) for p in ("fp32", "tf32", "bf16", "fp8")]
    assert times == sorted(times, reverse=True)
    assert compute_s(precision="fp16") == pytest.approx(compute_s(precision="bf16"))


def test_recipes_of_eight_bits_order_by_their_casts() -> None:
    """Delayed scaling saves the pass for the maximum that tensorwise makes; MXFP8 writes more scales than blocks."""
    times = {r: compute_s(precision="fp8", fp8_recipe=r) for r in ("tensorwise", "delayed", "blockwise", "mxfp8")}
    assert times["delayed"] < times["tensorwise"]
    assert times["blockwise"] < times["mxfp8"]  # a scale byte per 32 elements


def test_int8_recipes() -> None:
    """Switchback's weight gradient runs in 16 bits and needs no second cast of what it reads."""
    rows, switch = (run("dgx-a100-80gb", precision="int8", int8_recipe=r) for r in ("rowwise", "switchback"))
    half = run("dgx-a100-80gb", precision="bf16")
    assert rows.breakdown["forward_s"] < half.breakdown["forward_s"]
    assert switch.breakdown["forward_s"] < rows.breakdown["forward_s"]  # one direction of casts
    assert rows.breakdown["backward_s"] < switch.breakdown["backward_s"] < half.breakdown["backward_s"]
    assert rows.peak_memory.categories["activations"] < half.peak_memory.categories["activations"]


def test_int8_needs_a_device_that_has_it() -> None:
    with pytest.raises(ConfigError, match=r"int8, expected a type that b300"):
        run("dgx-b300", precision="int8")


def test_fp32_gradients_are_reduced_in_four_bytes() -> None:
    late: dict[str, Any] = {"overlap_grad_reduce": False}
    half, full = (run(precision=p, **late).breakdown["exposed_dp_s"] for p in ("bf16", "fp32"))
    assert IDEAL.grad_reduce_bytes == 2
    assert full > 1.8 * half


def test_fused_casts_save_the_read() -> None:
    """Of tensorwise scaling the maximum comes with the producer; what is left costs as a cast of delayed scaling."""
    fused = IDEAL.replace(fused_casts=True)
    saved = {}
    for recipe, changes in (("mxfp8", True), ("delayed", True), ("tensorwise", True), ("blockwise", False)):
        plain = run(precision="fp8", fp8_recipe=recipe).step_time_s
        written = run(precision="fp8", fp8_recipe=recipe, framework=fused).step_time_s
        saved[recipe] = plain - written
        assert (written < plain) is changes
    assert saved["tensorwise"] < saved["mxfp8"]


def test_biases_of_experts_cost_passes_of_their_own() -> None:
    """18 bytes per result of both products forward, 65,536 routed rows over 8 ranks, of which each takes an eighth."""
    attention = transformer.Attention(8, 8, 128)

    def forward_s(bias: bool, profile: FrameworkProfile) -> float:
        experts = transformer.Experts(8, 2, 2048, bias=bias)
        model = transformer.language_model(
            "routed", [transformer.pre_norm_block("moe", 1024, attention, experts)], 1024, 32_000
        )
        strategy = Strategy(ep=8, global_batch=8)
        cluster = dts.Cluster.from_catalog("dgx-h100")
        return dts.simulate(model, cluster, strategy, seq_len=4096, framework=profile).breakdown["forward_s"]

    apart = IDEAL.replace(expert_bias_forward_bytes=18)
    added = forward_s(True, apart) - forward_s(True, IDEAL)
    results = 2 * 4096 * (2 * 2048 + 1024)
    memory = dts.Cluster.from_catalog("dgx-h100").node.device
    assert memory.hbm_Bps
    assert memory.memory.stream_efficiency
    assert memory.memory.kernel_floor_s
    assert added == pytest.approx(
        18 * results / (memory.memory.stream_efficiency * memory.hbm_Bps) + 2 * memory.memory.kernel_floor_s, rel=1e-6
    )
    assert forward_s(False, apart) == forward_s(False, IDEAL)


def test_a_gathered_input_is_cast_after_the_gather() -> None:
    """With sequence parallelism the norm's own copy serves only where the narrow type travels."""
    plain = IDEAL.replace(fused_casts=True)
    early = plain.replace(cast_before_gather=True)
    layout: dict[str, Any] = {"tp": 8, "precision": "fp8", "fp8_recipe": "delayed"}
    saved = [run(framework=p.replace(fused_casts=False), **layout).step_time_s - run(framework=p, **layout).step_time_s
             for p in (plain, early)]  # fmt: skip
    assert saved[1] > 0


def test_fused_experts_make_their_gate_and_its_casts() -> None:
    experts = transformer.Experts(8, 2, 2048)
    block = transformer.pre_norm_block("moe", 1024, transformer.Attention(8, 8, 128), experts)
    model = transformer.language_model("routed", [block] * 2, 1024, 32_000)

    def saved_s(**layout: Any) -> float:
        strategy, cluster = Strategy(ep=8, global_batch=8, **layout), dts.Cluster.from_catalog("dgx-b200")
        plain, fused = (
            dts.simulate(model, cluster, strategy, seq_len=4096, framework=IDEAL.replace(fused_experts=f)).step_time_s
            for f in (False, True)
        )
        return plain - fused

    gate_s = 8192 * 4096 * (3 + 5) / 8e12  # in two layers: input elements, bytes of both passes, at full bandwidth
    assert saved_s(precision="bf16") > 2 * gate_s
    assert saved_s(precision="fp8", fp8_recipe="mxfp8") > saved_s(precision="bf16")


def test_the_host_waits_before_the_matmuls_of_experts() -> None:
    """Rows padded to a capacity are known beforehand; without, the host loses its lead over the device.

    Where launches take longer than all kernels, or far less, that does not matter.
    """
    experts = transformer.Experts(8, 2, 1024)
    block = transformer.pre_norm_block("moe", 4096, transformer.Attention(32, 32, 128), experts)
    model = transformer.language_model("routed", [block] * 2, 4096, 32_000)

    def host_s(launch_s: float, pad: bool) -> float:
        profile = IDEAL.replace(host_forward_s_per_op=launch_s, grouped_single_launch=False)
        strategy = Strategy(global_batch=8, capacity_factor=1.0, pad_to_capacity=pad)
        cluster = dts.Cluster.from_catalog("dgx-h100")
        return dts.simulate(model, cluster, strategy, seq_len=4096, framework=profile).breakdown["host_s"]

    assert host_s(40e-6, False) > 10 * host_s(40e-6, True)
    assert host_s(150e-6, False) == pytest.approx(host_s(150e-6, True))
    assert host_s(5e-6, False) == 0


@pytest.mark.parametrize("precision", ["fp32", "tf32", "fp16", "bf16", "fp8", "int8"])
def test_every_precision_runs_every_layout(precision: str) -> None:
    layouts: list[dict[str, Any]] = [{"tp": 4}, {"pp": 2}, {"zero": 3}, {"recompute": "full"}]
    for layout in layouts:
        result = run(precision=precision, **layout)
        assert 0 < result.mfu < 1


def test_frozen_weights_are_cast_once_for_all() -> None:
    """Where casts are kept a step casts trained weights alone; ZeRO-3 casts whatever it gathers."""
    layout: dict[str, Any] = {"precision": "fp8", "global_batch": 8}
    still = frozen_parts(MODEL, ("layers",))
    for zero, kept in ((1, True), (3, False)):
        trained = run(zero=zero, **layout).breakdown["forward_s"]
        frozen = dts.simulate(
            still, dts.Cluster.from_catalog("dgx-h100"), Strategy(zero=zero, **layout), seq_len=SEQ, framework=IDEAL
        ).breakdown["forward_s"]
        weights = 2 * (HIDDEN * 6144 + HIDDEN * HIDDEN + 3 * HIDDEN * FFN)
        assert (trained - frozen > 0.5 * 5 * weights / 3.35e12) is kept
