"""Expert parallelism as a user sees it: every option changes what it says, and a skewed load never helps."""

from __future__ import annotations

import json
from typing import Any

import dist_training_sim as dts
import pytest
from dist_training_sim import _core
from dist_training_sim.device_types import device_spec
from dist_training_sim.models import Model
from hypothesis import given, settings
from hypothesis import strategies as st

BF16, BURST = _core.DType.BF16, _core.Clock.BURST
BASE = dts.Strategy(ep=16, global_batch=64)


def mixture(shared: int = 2) -> Model:
    """Four layers in the shape of DeepSeek-V2, 64 experts."""
    return Model.from_hf(
        {
            "model_type": "deepseek_v2",
            "hidden_size": 2048,
            "num_hidden_layers": 4,
            "num_attention_heads": 16,
            "num_key_value_heads": 16,
            "intermediate_size": 8192,
            "moe_intermediate_size": 1408,
            "n_routed_experts": 64,
            "num_experts_per_tok": 6,
            "n_shared_experts": shared,
            "first_k_dense_replace": 1,
            "vocab_size": 32000,
            "q_lora_rank": None,
            "kv_lora_rank": 512,
            "qk_nope_head_dim": 128,
            "qk_rope_head_dim": 64,
            "v_head_dim": 128,
        }
    )


MODEL = mixture()


def run(strategy: dts.Strategy = BASE, *, expand: bool = False, **facts: object) -> dts.Result:
    profile = dts.FrameworkProfile.from_catalog("ideal").replace(**facts)
    return dts.simulate(
        MODEL, "2xdgx-h100", strategy, seq_len=4096, framework=profile, expand=expand, keep_events=False
    )


BALANCED_S = run().step_time_s

SLOWER = {
    "uniform": {"expert_load": "uniform"},
    "zipf": {"expert_load": dts.ExpertLoad(kind="zipf", exponent=0.5)},
    "power law": {"expert_load": dts.ExpertLoad(kind="power_law", exponent=0.6)},
    "histogram": {"expert_load": [2.0] + [1.0] * 63},
    "padding": {"capacity_factor": 1.5, "pad_to_capacity": True},
}
FASTER = {
    "deduplicated": {"moe_dispatcher": "deepep"},
    "shared experts beside": {"overlap_shared_experts": True},
    "pairs": {"overlap_moe_1f1b": True},
}


@pytest.mark.parametrize("options", SLOWER.values(), ids=SLOWER.keys())
def test_slower(options: dict[str, object]) -> None:
    assert run(BASE.replace(**options)).step_time_s > BALANCED_S


@pytest.mark.parametrize("options", FASTER.values(), ids=FASTER.keys())
def test_faster(options: dict[str, object]) -> None:
    result = run(BASE.replace(**options))
    assert result.step_time_s < BALANCED_S
    assert sum(result.breakdown.values()) == pytest.approx(result.step_time_s)


def test_all_gather_pays_off_when_tokens_go_nearly_everywhere() -> None:
    # 6 x 7/8 rows sent against 7 tokens received over 8 ranks of one node; 6 x 1/2 against 1 over 2.
    def seconds(ep: int, dispatcher: str) -> float:
        strategy = dts.Strategy(ep=ep, moe_dispatcher=dispatcher)
        profile = dts.FrameworkProfile.from_catalog("ideal")
        return dts.simulate(MODEL, "1xdgx-h100", strategy, seq_len=4096, framework=profile).breakdown["exposed_ep_s"]

    assert seconds(2, "allgather") < seconds(2, "alltoall")
    assert seconds(8, "allgather") > seconds(8, "alltoall")


def test_seed_moves_the_busy_experts() -> None:
    times = {
        run(BASE.replace(expert_load=dts.ExpertLoad(kind="zipf", exponent=0.7, seed=seed))).step_time_s
        for seed in range(4)
    }
    assert len(times) > 1


def test_capacity_bounds_the_fullest_rank() -> None:
    skewed = BASE.replace(expert_load=dts.ExpertLoad(kind="zipf", exponent=1))
    times = [run(skewed.replace(capacity_factor=c)).step_time_s for c in (1.0, 1.5, 2.0, 0.0)]
    assert times == sorted(times)
    assert times[0] < times[-1]


def test_node_limit_shortens_the_deduplicated_exchange() -> None:
    limited = BASE.replace(moe_dispatcher="deepep", moe_max_nodes=1)
    assert run(limited).step_time_s < run(limited.replace(moe_max_nodes=0)).step_time_s


def test_profile_names_dispatcher_and_router() -> None:
    assert run(moe_dispatcher="deepep").step_time_s == run(BASE.replace(moe_dispatcher="deepep")).step_time_s
    assert run(BASE.replace(moe_dispatcher="alltoall"), moe_dispatcher="deepep").step_time_s == BALANCED_S
    assert run(moe_router_fp32=False).step_time_s < BALANCED_S
    assert run(grouped_single_launch=False, host_forward_s_per_op=1e-3).step_time_s > BALANCED_S


@settings(max_examples=20)
@given(st.floats(0, 2), st.floats(0, 2), st.sampled_from(["alltoall", "deepep"]))
def test_more_skew_is_never_faster(one: float, other: float, dispatcher: str) -> None:
    def seconds(exponent: float) -> float:
        # One expert per rank: sixteen of them, so that placement does not matter.
        load = [(i + 1.0) ** -exponent for i in range(16) for _ in range(4)]
        return run(BASE.replace(expert_load=load, moe_dispatcher=dispatcher)).step_time_s

    low, high = sorted((one, other))
    assert seconds(low) <= seconds(high) * (1 + 1e-12)


@pytest.mark.parametrize("options", [*SLOWER.values(), *FASTER.values()])
@pytest.mark.parametrize("layout", [{}, {"pp": 2, "vpp": 2, "ep": 8}, {"tp": 2, "ep": 4, "etp": 2}])
def test_folded_is_expanded(layout: dict[str, int], options: dict[str, object]) -> None:
    strategy = BASE.replace(**layout, **options)
    assert run(strategy).step_time_s == run(strategy, expand=True).step_time_s


def test_memory_follows_the_fullest_rank() -> None:
    def activations(**options: object) -> float:
        return run(BASE.replace(**options)).memory[0].categories["activations"]

    assert activations(expert_load=[2.0] + [1.0] * 63) > activations()
    assert activations(capacity_factor=1.5, pad_to_capacity=True) > activations()
    # Passes that run as one alternate layer by layer: a layer's tensors more, not a second micro-batch's.
    paired, plain = (run(BASE.replace(overlap_moe_1f1b=on)).memory[0].allocated_bytes for on in (True, False))
    assert plain <= paired < plain + activations()


def test_dropped_rows_are_not_computed() -> None:
    skewed = BASE.replace(expert_load=dts.ExpertLoad(kind="zipf", exponent=1))

    def flops(strategy: dts.Strategy) -> float:
        result = run(strategy)
        return result.hfu * result.step_time_s

    assert flops(skewed.replace(capacity_factor=1.0)) < flops(skewed)
    assert flops(skewed) == pytest.approx(flops(BASE))  # moved between ranks, not added


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"expert_load": [1.0, 2.0]}, "histogram"),
        ({"pad_to_capacity": True}, "capacity_factor"),
        ({"overlap_shared_experts": True, "ep": 1}, "overlap_shared_experts"),
        ({"overlap_moe_1f1b": True, "recompute": "full"}, "overlap_moe_1f1b"),
        ({"overlap_moe_1f1b": True, "pp": 2, "ep": 8}, "overlap_moe_1f1b"),
    ],
)
def test_contradictions_are_named(options: dict[str, object], field: str) -> None:
    with pytest.raises(dts.ConfigError, match=field):
        run(BASE.replace(**options))


def test_strategy_survives_json() -> None:
    strategy = BASE.replace(expert_load=dts.ExpertLoad(kind="zipf", exponent=0.7, seed=2), moe_dispatcher="deepep")
    plain = json.loads(json.dumps(run(strategy).to_dict()))["strategy"]
    assert dts.Strategy(**plain).expert_load == strategy.expert_load
    assert plain["moe_dispatcher"] == "deepep"


def test_experts_options_on_a_dense_model() -> None:
    with pytest.raises(dts.ConfigError, match="without experts"):
        dts.simulate("llama-3.1-8b", "1xdgx-h100", dts.Strategy(capacity_factor=1.0), seq_len=4096)


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "lognormal"},
        {"exponent": -1},
        {"kind": "histogram"},
        {"histogram": (1.0,)},
        {"kind": "histogram", "histogram": (-1.0,)},
    ],
)
def test_bad_loads(options: dict[str, Any]) -> None:
    with pytest.raises(dts.ConfigError):
        dts.ExpertLoad(**options)


def test_bad_dispatcher_in_a_profile() -> None:
    with pytest.raises(dts.ConfigError, match="moe_dispatcher"):
        dts.FrameworkProfile(moe_dispatcher="framework")


def grouped_reference(spec: _core.DeviceSpec, rows: list[int], n: int, k: int) -> float:
    """The single launch of docs/guide/compute.md in plain loops: tiles of every expert, then waves."""
    g, rate, best = spec.gemm, spec.rate(BF16), float("inf")
    flops = rate.peak_flops * rate.burst_share
    small, tiny = g.small_tile_rate, g.small_tile_rate * g.tiny_tile_rate
    moved = sum(2 * (m * k + n * k) + 2 * m * n for m in rows) / (g.memory_efficiency * spec.hbm_Bps)
    for a, b, share in (
        (256, 128, 1),
        (128, 256, 1),
        (128, 128, small),
        (128, 64, small),
        (64, 128, small),
        (64, 64, tiny),
    ):
        tiles = 0
        for m in rows:
            tiles += -(-m // a) * -(-n // b)
        units = tiles / spec.sm_count
        waves = 1.0 if units <= 1 else units + g.wave_quantisation * (-(-tiles // spec.sm_count) - units)
        block = 2 * a * b * (64 * -(-k // 64) + g.prologue_k) / (flops / spec.sm_count * share)
        best = min(best, ((waves * block) ** g.overlap_power + moved**g.overlap_power) ** (1 / g.overlap_power))
    return g.floor_s + best


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=16), st.integers(1, 8000), st.integers(1, 8000))
def test_grouped_rows_against_plain_loops(rows: list[int], n: int, k: int) -> None:
    spec = device_spec("h100")
    got = _core.grouped_rows_time_s(spec, BF16, rows, n, k, _core.GemmPass.FORWARD, 2.0, clock=BURST)
    assert got == pytest.approx(grouped_reference(spec, rows, n, k), rel=1e-9)
