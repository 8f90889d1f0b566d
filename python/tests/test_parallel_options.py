"""Every option of tensor and context parallelism, of 8-bit recipes and of LoRA moves a time, a price or a tensor."""

from __future__ import annotations

from typing import Any

import dist_training_sim as dts
import numpy as np
import pytest
from dist_training_sim import _core
from dist_training_sim._convert import to_core
from dist_training_sim.frameworks import FrameworkProfile
from dist_training_sim.hardware import Cluster
from dist_training_sim.models import Model, with_lora

MEGATRON = FrameworkProfile.from_catalog("megatron-core")
MODEL = "llama-3.1-8b"


def simulate(
    cluster: str = "1xdgx-h100",
    framework: FrameworkProfile = MEGATRON,
    model: Model | str = MODEL,
    seq_len: int = 8192,
    **strategy: Any,
) -> dts.Result:
    layout = dts.Strategy(**{"global_batch": 16, "zero": 1, **strategy})
    return dts.simulate(model, cluster, layout, seq_len=seq_len, framework=framework)


def exposed(result: dts.Result, axis: str) -> float:
    return result.breakdown[f"exposed_{axis}_s"]


def traffic(
    cluster: str = "1xdgx-h100", framework: FrameworkProfile = MEGATRON, seq_len: int = 8192, **strategy: Any
) -> np.ndarray:
    """Bytes of one step of the model from rank to rank."""
    devices = Cluster.from_catalog(cluster)
    layout = dts.Strategy(**{"global_batch": 16, "zero": 1, **strategy}).resolved(devices.device_count)
    core = to_core(devices)
    result = _core.simulate(
        to_core(Model.from_catalog(MODEL)),
        core.node.device,
        _core.Interconnect.of_cluster(core),
        to_core(layout),
        to_core(framework),
        float(seq_len),
        keep_traffic=True,
    )
    return np.asarray(result.traffic_bytes())


# ---- tensor parallel -------------------------------------------------------------------------------------------------


def test_each_tensor_parallel_overlap_exposes_less_than_none() -> None:
    seen = {}
    for mode in ("none", "bulk", "userbuffers", "async_tp"):
        profile = MEGATRON.replace(tp_overlap=mode, compiled_blocks=True)
        seen[mode] = exposed(simulate(framework=profile, tp=4), "tp")
    assert len(set(seen.values())) == 4
    assert seen["userbuffers"] < seen["async_tp"] < seen["none"]
    assert seen["userbuffers"] < seen["bulk"] < seen["none"]


def test_async_tp_needs_a_compiler() -> None:
    with pytest.raises(dts.ConfigError, match="compiled"):
        simulate(framework=MEGATRON.replace(tp_overlap="async_tp"), tp=4)
    with pytest.raises(dts.ConfigError, match="userbuffers"):
        MEGATRON.replace(tp_overlap="magic")


# ---- context parallel ------------------------------------------------------------------------------------------------

CONTEXT: tuple[dict[str, Any], ...] = (
    {"cp_comm": "p2p"},
    {"cp_comm": "all_gather"},
    {"cp_comm": "a2a"},
    {"cp_comm": "a2a+p2p", "cp_a2a": 2},
    {"cp_comm": "a2a+p2p", "cp_a2a": 4},
)


def test_each_way_of_context_parallelism_has_its_own_time() -> None:
    times = {simulate(cp=8, **how).step_time_s for how in CONTEXT}
    assert len(times) == len(CONTEXT)


def test_a_ring_hides_behind_long_sequences_and_gathering_never_does() -> None:
    """H100 and NVLink: a few hundred tokens per rank are not enough to hide a transfer, 16 k are."""
    ring = [simulate(cp=8, seq_len=n) for n in (2048, 131072)]
    share = [exposed(r, "cp") / r.step_time_s for r in ring]
    assert share[1] < 0.02 < share[0]
    gathered = simulate(cp=8, seq_len=131072, cp_comm="all_gather")
    assert exposed(gathered, "cp") > exposed(ring[1], "cp")


def test_limits_of_context_parallelism_are_named() -> None:
    with pytest.raises(dts.ConfigError, match="attention heads"):
        simulate("8xdgx-h100", tp=8, cp=8, cp_comm="a2a")
    with pytest.raises(dts.ConfigError, match="cp_a2a"):
        simulate(cp=8, cp_comm="a2a+p2p", cp_a2a=3)
    with pytest.raises(dts.ConfigError, match="cp_a2a"):
        simulate(cp=8, cp_a2a=2)


def test_a_sliding_window_cannot_go_around_a_ring() -> None:
    windowed = Model.from_hf(
        {
            "model_type": "mistral",
            "hidden_size": 1024,
            "num_hidden_layers": 4,
            "num_attention_heads": 16,
            "num_key_value_heads": 8,
            "intermediate_size": 4096,
            "vocab_size": 32000,
            "sliding_window": 2048,
        }
    )
    with pytest.raises(dts.ConfigError, match="sliding window"):
        simulate(model=windowed, cp=8)
    assert simulate(model=windowed, cp=8, cp_comm="all_gather").step_time_s > 0


@pytest.mark.parametrize(("cp", "cluster", "kv_heads"), [(8, "1xdgx-h100", 8), (16, "2xdgx-h100", 16)])
def test_ring_and_exchange_send_what_the_formulas_say(cp: int, cluster: str, kv_heads: int) -> None:
    """Per layer: ring 3 (c-1) U; Ulysses twice (2a + 2k) d z s/c (c-1)/c, 8 kv heads copied to 16 ranks."""
    ring, exchange = (
        traffic(cluster, cp=cp, cp_comm=how, global_batch=1, zero=0).sum(axis=1)[0] for how in ("p2p", "a2a")
    )
    tokens, layers = 8192 / cp, 32
    exchanged = 2 * (2 * 32 + 2 * kv_heads) * 128 * 2 * tokens * (cp - 1) / cp
    around = 3 * (cp - 1) * 2 * tokens * 8 * 128 * 2
    assert ring - exchange == pytest.approx(layers * (around - exchanged), rel=1e-6)


@pytest.mark.parametrize("how", CONTEXT, ids=lambda how: how["cp_comm"])
def test_every_rank_on_its_own_takes_as_long(how: dict[str, Any]) -> None:
    layout = dts.Strategy(global_batch=4, cp=8, tp=2, **how)
    folded, expanded = (
        dts.simulate(MODEL, "2xdgx-h100", layout, seq_len=8192, expand=expand).step_time_s for expand in (False, True)
    )
    assert folded == expanded


def test_heads_that_do_not_divide_are_refused() -> None:
    with pytest.raises(dts.ConfigError, match="divisor"):
        simulate("3xdgx-h100", cp=24, cp_comm="a2a", seq_len=9600)


def test_exchanged_attention_keeps_a_second_output() -> None:
    ring, exchange = (simulate(cp=8, cp_comm=how).peak_memory for how in ("p2p", "a2a"))
    assert exchange.categories["activations"] - ring.categories["activations"] == pytest.approx(
        32 * 8192 / 8 * 4096 * 2
    )


# ---- 8-bit recipes ---------------------------------------------------------------------------------------------------


def test_each_recipe_has_its_own_time() -> None:
    recipes = ("tensorwise", "delayed", "blockwise", "mxfp8")
    times = {simulate("1xdgx-b200", precision="fp8", fp8_recipe=r).step_time_s for r in recipes}
    times.add(simulate("1xdgx-b200", precision="fp4").step_time_s)
    assert len(times) == 5


def test_a_recipe_means_nothing_in_16_bits() -> None:
    assert simulate(fp8_recipe="mxfp8").step_time_s == simulate().step_time_s


@pytest.mark.parametrize("zero", [1, 3])
def test_narrow_parameter_gathers_send_less(zero: int) -> None:
    wide, narrow = (
        traffic(framework=MEGATRON.replace(cast_parameters=cast), precision="fp8", zero=zero).sum()
        for cast in (False, True)
    )
    assert narrow < wide


def test_narrow_activation_gathers_wait_less() -> None:
    wide, narrow = (
        simulate(framework=MEGATRON.replace(cast_before_gather=cast), precision="fp8", tp=4) for cast in (False, True)
    )
    assert exposed(narrow, "tp") < exposed(wide, "tp")


def test_cached_casts_cost_memory_and_spare_time() -> None:
    cached, again = (
        simulate(framework=MEGATRON.replace(cached_casts=cache), precision="fp8") for cache in (True, False)
    )
    assert cached.step_time_s < again.step_time_s
    assert cached.peak_memory.categories["weights"] > again.peak_memory.categories["weights"]
    assert cached.peak_memory.categories["activations"] < again.peak_memory.categories["activations"]


# ---- LoRA ------------------------------------------------------------------------------------------------------------


def test_lora_parameters_are_two_thin_matrices_per_target() -> None:
    base = Model.from_catalog(MODEL)
    adapted = with_lora(base, 16, ["qkv"])
    qkv = base.layers[0].block.op("qkv")
    assert adapted.parameters - base.parameters == 32 * 16 * (qkv.in_features + qkv.out_features)
    trained = [op for block in adapted.blocks() for op in block.ops if op.trainable and op.parameters]
    assert {op.name for op in trained} == {"qkv.lora_a", "qkv.lora_b"}


@pytest.mark.parametrize("tp", [1, 4])
def test_lora_has_no_states_and_no_weight_gradients_of_the_base(tp: int) -> None:
    base, adapted = (simulate(model=m, tp=tp) for m in (MODEL, with_lora(Model.from_catalog(MODEL), 16)))
    assert adapted.step_time_s < base.step_time_s
    assert adapted.peak_memory.categories["optimizer"] < 0.02 * base.peak_memory.categories["optimizer"]
    assert adapted.peak_memory.categories["gradients"] < 0.02 * base.peak_memory.categories["gradients"]
    assert adapted.breakdown["backward_s"] < 0.8 * base.breakdown["backward_s"]


def test_a_larger_rank_costs_more() -> None:
    base = Model.from_catalog(MODEL)
    small, large = (simulate(model=with_lora(base, rank)) for rank in (8, 512))
    assert small.step_time_s < large.step_time_s


def test_lora_names_what_it_cannot_adapt() -> None:
    base = Model.from_catalog(MODEL)
    with pytest.raises(dts.ConfigError, match="qkv"):
        with_lora(base, 16, ["qvk"])
    with pytest.raises(dts.ConfigError, match="rank"):
        with_lora(base, 0)
    with pytest.raises(dts.ConfigError, match="at least one"):
        with_lora(base, 16, [])
