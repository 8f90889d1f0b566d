"""`dts.simulate`: what must hold for every job, and values worked out by hand."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields, replace
from typing import Any

import dist_training_sim as dts
import numpy as np
import pytest
from dist_training_sim import Cluster, ConfigError, Model, Result, Strategy
from dist_training_sim.models import transformer
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

NODE = Cluster.from_catalog("dgx-h100").node
ORDERS = ["tp-cp-ep-dp-pp", "tp-cp-ep-pp-dp", "dp-tp-cp-ep-pp", "cp-tp-dp-ep-pp", "pp-tp-cp-ep-dp"]
SEQ = 256


def cluster_of(devices: int) -> Cluster:
    return Cluster(NODE.replace(devices=devices) if devices < 8 else NODE, max(1, devices // 8))


def dense(layers: int = 8, *, tied: bool = False) -> Model:
    block = transformer.llama_block(256, 8, 4, 512)
    return transformer.language_model("dense", [block] * layers, 256, 1024, tied=tied)


def routed(layers: int = 4, shared: transformer.Mlp | None = None) -> Model:
    attention = transformer.Attention(8, 4, 32)
    block = transformer.pre_norm_block("moe", 256, attention, transformer.Experts(8, 2, 256, shared=shared))
    return transformer.language_model("routed", [block] * layers, 256, 1024)


def devices_of(s: Strategy) -> int:
    return (s.dp or 1) * s.tp * s.pp * s.cp


def run(model: Model, strategy: Strategy, **options: Any) -> Result:
    options.setdefault("framework", "ideal")
    options.setdefault("cluster", cluster_of(devices_of(strategy)))
    return dts.simulate(model, options.pop("cluster"), strategy, seq_len=SEQ, **options)


@st.composite
def data_parallel(draw: st.DrawFn, copies: int, expert_copies: int) -> dict[str, Any]:
    """Options of sharding and offload for groups of `copies` ranks."""
    zero = draw(st.sampled_from([0, 1, 2, 3]))
    replicas = [n for n in (1, 2) if zero and copies % n == 0 and expert_copies % n == 0] or [1]
    count = draw(st.sampled_from(replicas))
    groups = [n for n in (2, 4) if copies // count % n == 0 and (expert_copies // count) % n == 0]
    host = draw(st.booleans())
    return {
        "zero": zero,
        "dp_replicas": count,
        "reshard_after_forward": draw(st.sampled_from([None, True, False, *groups])) if zero == 3 else None,
        "grad_dtype": draw(st.sampled_from(["framework", "bf16", "fp32"])),
        "offload_optimizer": host,
        "offload_parameters": host and zero == 3 and draw(st.booleans()),
        "offload_activations": draw(st.sampled_from([0.0, 0.5, 1.0])),
    }


@st.composite
def strategies(draw: st.DrawFn, *, experts: bool = False) -> Strategy:
    """Legal layouts on up to 64 devices."""
    pp = draw(st.sampled_from([1, 2, 4]))
    vpp = draw(st.sampled_from([1, 2])) if pp > 1 and not experts else 1
    dp, micro_batch = draw(st.sampled_from([1, 2, 4])), draw(st.sampled_from([1, 2]))
    tp, cp = draw(st.sampled_from([1, 2, 4])), draw(st.sampled_from([1, 2]))
    ep = draw(st.sampled_from([1, 2, 4])) if experts else 1
    etp = draw(st.sampled_from([1, 2, 4])) if experts else None
    assume((etp or 1) * ep == 1 or tp * cp * dp % ((etp or 1) * ep) == 0)
    assume((tp * pp * cp * dp) in (1, 2, 4) or (tp * pp * cp * dp) % 8 == 0)
    return Strategy(
        tp=tp, cp=cp, dp=dp, pp=pp, vpp=vpp, ep=ep, etp=etp, micro_batch=micro_batch,
        global_batch=dp * micro_batch * pp * draw(st.sampled_from([1, 2])),
        recompute=draw(st.sampled_from(["none", "selective", "full"])),
        schedule=draw(st.sampled_from(["1f1b", "gpipe"])) if vpp == 1 else "1f1b",
        overlap_grad_reduce=draw(st.booleans()), overlap_param_gather=draw(st.booleans()),
        rank_order=draw(st.sampled_from(ORDERS)), **draw(data_parallel(dp * cp, dp * cp * tp // ((etp or 1) * ep))),
    )  # fmt: skip


@st.composite
def jobs(draw: st.DrawFn) -> tuple[Model, Strategy]:
    """A dense or a routed model with a layout for it."""
    if draw(st.booleans()):
        return routed(), draw(strategies(experts=True))
    return dense(tied=draw(st.booleans())), draw(strategies())


frameworks = st.sampled_from(["ideal", "megatron-core", "torchtitan", "megatron-lm-2021"])
many = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])


@many
@given(jobs(), frameworks)
def test_every_stage_sums_to_the_step(job: tuple[Model, Strategy], framework: str) -> None:
    result = run(*job, framework=framework)
    assert len(result.stage_breakdowns) == job[1].pp
    for stage in (*result.stage_breakdowns, result.breakdown):
        # parts lie on a grid of 2^-40 s
        assert sum(stage.values()) == pytest.approx(result.step_time_s, rel=1e-9, abs=1e-9)
        assert min(stage.values()) >= 0


@many
@given(jobs(), frameworks)
def test_folded_and_expanded_are_equal(job: tuple[Model, Strategy], framework: str) -> None:
    folded, expanded = run(*job, framework=framework), run(*job, framework=framework, expand=True)
    assert folded.step_time_s == expanded.step_time_s
    assert folded.stage_breakdowns == expanded.stage_breakdowns
    assert folded.memory == expanded.memory
    assert folded.to_dict() == expanded.to_dict()


@many
@given(jobs())
def test_hardware_works_as_much_as_the_model_needs(job: tuple[Model, Strategy]) -> None:
    model, strategy = job
    core = run(model, strategy)._core_result
    again = strategy.recompute is not dts.Recompute.NONE
    if again:
        assert core.hardware_flops > core.model_flops
        assert core.hardware_flops <= core.model_flops * (4 / 3) * (1 + 1e-12)
    else:  # every token's FLOPs are done once, on whatever rank
        assert core.hardware_flops == pytest.approx(core.model_flops, rel=1e-12)


@many
@given(jobs())
def test_exposed_communication_is_part_of_communication(job: tuple[Model, Strategy]) -> None:
    result = run(*job)
    for stage in result.stage_breakdowns:
        exposed = stage["exposed_tp_s"] + stage["exposed_cp_s"] + stage["exposed_ep_s"]
        assert exposed <= result._core_result.communication_s * (1 + 1e-9)
    alone = devices_of(job[1]) == 1
    assert (result._core_result.communication_s == 0) == alone
    if alone:
        assert all(value == 0 for name, value in result.breakdown.items() if name.startswith("exposed"))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(jobs(), st.floats(1.1, 8))
def test_better_hardware_is_never_slower(job: tuple[Model, Strategy], factor: float) -> None:
    cluster = cluster_of(devices_of(job[1]))
    device, node = cluster.node.device, cluster.node
    faster = {name: replace(rate, peak_flops=rate.peak_flops * factor) for name, rate in device.rates.items()}
    assert device.hbm_Bps
    assert node.scale_up.device_Bps
    assert node.nic_Bps
    better = [
        node.replace(device=device.replace(rates=faster)),
        node.replace(device=device.replace(hbm_Bps=device.hbm_Bps * factor)),
        node.replace(scale_up=replace(node.scale_up, device_Bps=node.scale_up.device_Bps * factor)),
        node.replace(nic_Bps=node.nic_Bps * factor),
    ]
    base = run(*job, cluster=cluster).step_time_s
    for other in better:
        assert run(*job, cluster=cluster.replace(node=other)).step_time_s <= base * (1 + 1e-12)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(jobs())
def test_same_job_same_result(job: tuple[Model, Strategy]) -> None:
    first, second = run(*job), run(*job)
    assert first.to_dict() == second.to_dict()
    for name, column in first.events.columns.items():
        np.testing.assert_array_equal(column, second.events.columns[name])
    assert run(*job, keep_events=False).to_dict() == first.to_dict()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(jobs())
def test_events_fill_streams_without_overlap(job: tuple[Model, Strategy]) -> None:
    result = run(*job, expand=True)
    columns = result.events.columns
    for rank in np.unique(columns["rank"]):
        for stream in np.unique(columns["stream"]):
            mine = (columns["rank"] == rank) & (columns["stream"] == stream)
            starts, ends = columns["start_s"][mine], columns["end_s"][mine]
            assert (starts[1:] >= ends[:-1]).all(), "a stream does one thing at a time, in issue order"
    assert columns["end_s"].max(initial=0) <= result.step_time_s * (1 + 1e-12)


# --- values by hand ---------------------------------------------------------------------------------------------------


def llama_8b(**layout: Any) -> Result:
    return dts.simulate("llama-3.1-8b", "1xdgx-h100", Strategy(**layout), seq_len=8192, framework="ideal")


def test_rates_follow_from_the_step_time() -> None:
    result = llama_8b(zero=1, global_batch=16)
    tokens = 16 * 8192
    assert result.tokens_per_s == pytest.approx(tokens / result.step_time_s)
    assert result.tokens_per_s_per_device == pytest.approx(tokens / result.step_time_s / 8)
    assert result.samples_per_s == pytest.approx(16 / result.step_time_s)
    # 6 FLOP per token and matmul weight, and 6 L s h d of causal attention.
    weights = 32 * (218_112_000 - 2 * 4096) + 128_256 * 4096
    flops = tokens * (6 * weights + 6 * 32 * 8192 * 4096)
    peak = 8 * NODE.device.peak("bf16")
    assert result.mfu == pytest.approx(flops / result.step_time_s / peak)
    assert result.mfu_full_attention == pytest.approx(
        (flops + tokens * 6 * 32 * 8192 * 4096) / result.step_time_s / peak
    )
    assert result.hfu == pytest.approx(result.mfu)
    assert result.model_tflops_per_device == pytest.approx(flops / result.step_time_s / 8 / 1e12)


@pytest.mark.parametrize("zero", [0, 1, 2, 3])
def test_states_of_llama_8b(zero: int) -> None:
    # "ideal": 2 bytes of weight and gradient, fp32 master weight and two moments; ZeRO shards over 8.
    categories = llama_8b(zero=zero, global_batch=8).memory[0].categories
    parameters = 8_030_261_248
    assert categories["optimizer"] == 12 * parameters / (8 if zero >= 1 else 1)
    assert categories["gradients"] == 2 * parameters / (8 if zero >= 2 else 1)
    assert categories["weights"] == 2 * parameters / (8 if zero >= 3 else 1)


def test_activations_of_llama_8b_by_hand() -> None:
    # Per token and layer: five tensors of 4096 (both norm inputs and outputs, attention output), q k v of 6144, gate
    # and up, their product, two norm statistics and 32 log-sum-exps of 4 bytes. Head: norm input, statistic, output;
    # stem: ids.
    layer = 2 * (5 * 4096 + 6144 + 2 * 14336 + 14336) + 2 * 4 + 4 * 32
    ends = 2 * 2 * 4096 + 4 + 8
    none = llama_8b(zero=1, global_batch=8).memory[0].categories["activations"]
    assert none == 8192 * (32 * layer + ends)
    full = llama_8b(zero=1, global_batch=8, recompute="full").memory[0].categories["activations"]
    assert full == 8192 * (32 * 2 * 4096 + ends)
    # Fullest at the loss: 6 bytes live per logit.
    temporaries = llama_8b(zero=1, global_batch=8).memory[0].categories["temporaries"]
    assert temporaries == 8192 * 128_256 * 6


def test_pipeline_stages_hold_their_passes_in_flight() -> None:
    stages = llama_8b(pp=4, zero=1, global_batch=16, recompute="full").memory
    ids, head = 8, 2 * 2 * 4096 + 4
    expected = [4 * (8 * 2 * 4096 + ids), 3 * 8 * 2 * 4096, 2 * 8 * 2 * 4096, 8 * 2 * 4096 + head]
    assert [use.categories["activations"] for use in stages] == [8192 * kept for kept in expected]


def test_bubble_of_equal_stages() -> None:
    # Stages alike but for the ends, which are given fewer layers' worth of work: the bubble of the middle stage is near
    # (p - 1)/m of its work, and interleaving halves it.
    def middle(vpp: int) -> float:
        result = run(dense(16), Strategy(pp=4, dp=1, vpp=vpp, global_batch=64), cluster=cluster_of(4))
        stage = result.stage_breakdowns[1]
        return stage["pipeline_s"] / (stage["forward_s"] + stage["backward_s"])

    assert middle(1) > middle(2) > middle(4)


def test_sequence_parallel_moves_the_same_bytes_in_other_collectives() -> None:
    # An all-reduce is a reduce-scatter and an all-gather: the exposed forward times are close, the norms cheaper.
    plain = run(dense(), Strategy(tp=4, dp=1, sequence_parallel=False, global_batch=1), cluster=cluster_of(4))
    split = run(dense(), Strategy(tp=4, dp=1, sequence_parallel=True, global_batch=1), cluster=cluster_of(4))
    assert split.breakdown["forward_s"] < plain.breakdown["forward_s"]
    assert split.peak_memory.categories["activations"] < plain.peak_memory.categories["activations"]


def test_default_strategy_is_data_parallelism() -> None:
    result = dts.simulate("gpt2", "1xdgx-h100", seq_len=1024)
    assert (result.strategy.dp, result.strategy.global_batch, result.micro_batches) == (8, 8, 1)
    assert result.framework == "megatron-core"


def test_network_replaces_the_fabric() -> None:
    slow = dts.CommunicationModel(num_nodes=8, topology="ring", bandwidth="1 GB/s")
    fast = dts.CommunicationModel(num_nodes=8, topology="ring", bandwidth="100 GB/s")
    strategy = Strategy(global_batch=8)
    times = [run(dense(), strategy.replace(dp=8), network=network).step_time_s for network in (slow, fast)]
    assert times[0] > times[1]
    with pytest.raises(ConfigError, match="devices"):
        run(dense(), strategy.replace(dp=8), network=dts.CommunicationModel(num_nodes=4))


def test_vision_models_bring_their_own_tokens() -> None:
    result = dts.simulate("resnet-50", "1xdgx-h100", Strategy(micro_batch=32, global_batch=256))
    assert result.samples_per_s == pytest.approx(256 / result.step_time_s)
    assert result.tokens_per_s == pytest.approx(result.samples_per_s * result.seq_len)
    with pytest.raises(ConfigError, match="leave seq_len out"):
        dts.simulate("vit-b-16", "1xdgx-h100", seq_len=128)
    with pytest.raises(ConfigError, match="seq_len"):
        dts.simulate("gpt2", "1xdgx-h100")


def test_a_hundred_thousand_devices() -> None:
    strategy = Strategy(tp=8, pp=16, zero=1, global_batch=8192)
    result = dts.simulate("llama-3.1-405b", "12800xdgx-h100", strategy.replace(global_batch=12800), seq_len=8192)
    assert result.devices == 102_400
    assert 0.05 < result.mfu < 0.6


# --- errors -----------------------------------------------------------------------------------------------------------


def test_all_violations_at_once() -> None:
    strategy = Strategy(tp=3, pp=5, cp=3, ep=2, vpp=3, zero=3, global_batch=7, micro_batch=2, rank_order="x")
    with pytest.raises(ConfigError) as error:
        run(dense(), strategy, cluster=cluster_of(8))
    text = str(error.value)
    for part in ("rank_order", "dp * tp * pp * cp", "global_batch", "strategy.cp", "attention heads=8", "strategy.ep"):
        assert part in text


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"global_batch": 9}, "use global_batch 8 or 16"),
        ({"tp": 3}, "must divide 8"),
        ({"cp": 8, "tp": 1, "pp": 1, "global_batch": 1, "dp": 2}, "use dp=1"),
        ({"pp": 8, "vpp": 2, "dp": 1, "global_batch": 12}, "a multiple of pp=8"),
        ({"layers_per_stage": (1,)}, "layers"),
        ({"precision": "fp4"}, "a type that"),
        ({"ep": 2}, "use ep=1"),
    ],
)
def test_each_error_says_how_to_mend_it(change: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text.replace("(", "\\(")):
        run(dense(), Strategy(**change), cluster=cluster_of(8))


@pytest.mark.parametrize("seq_len", [0, -1, 2.5, True, 10**10, float("nan")])
def test_bad_sequence_lengths(seq_len: Any) -> None:
    with pytest.raises(ConfigError, match="seq_len"):
        dts.simulate("gpt2", "1xdgx-h100", seq_len=seq_len)


def test_unknown_names_suggest_near_ones() -> None:
    for model, cluster, framework in (
        ("llama-3.1-9b", "dgx-h100", "ideal"),
        ("gpt2", "dgx-h10", "ideal"),
        ("gpt2", "dgx-h100", "megatron"),
    ):
        with pytest.raises(ConfigError, match="did you mean"):
            dts.simulate(model, cluster, seq_len=64, framework=framework)


# --- every option does something --------------------------------------------------------------------------------------

FLIPS: dict[str, tuple[dict[str, Any], Any]] = {
    "dp": ({"dp": 8}, 4),
    "tp": ({}, 2),
    "pp": ({}, 2),
    "vpp": ({"pp": 2}, 2),
    "cp": ({}, 2),
    "ep": ({}, 4),
    "etp": ({"tp": 2}, 1),
    "sequence_parallel": ({"tp": 2}, False),
    "zero": ({}, 1),
    "micro_batch": ({}, 2),
    "global_batch": ({}, 32),
    "recompute": ({}, "full"),
    "recompute_modules": ({"recompute": "selective"}, ("moe_act",)),
    "recompute_method": ({"recompute": "full", "recompute_layers": 1}, "block"),
    "recompute_layers": ({"recompute": "full"}, 2),
    "moe_dispatcher": ({"ep": 4}, "allgather"),
    "expert_load": ({"ep": 4}, "zipf"),
    "capacity_factor": ({"ep": 4, "expert_load": "zipf"}, 1.0),
    "pad_to_capacity": ({"ep": 4, "expert_load": "zipf", "capacity_factor": 2.0}, True),
    "moe_max_nodes": ({"dp": 16, "ep": 8, "moe_dispatcher": "deepep", "rank_order": "tp-cp-dp-ep-pp"}, 1),
    "overlap_shared_experts": ({"ep": 4}, True),
    "overlap_moe_1f1b": ({"ep": 4}, True),
    "fp8_recipe": ({"precision": "fp8"}, "mxfp8"),
    "cp_comm": ({"cp": 2}, "all_gather"),
    "cp_a2a": ({"cp": 4, "cp_comm": "a2a+p2p", "cp_a2a": 2}, 4),
    "schedule": ({"pp": 2}, "gpipe"),
    "optimizer": ({}, "sgd"),
    "optimizer_kernels": ({}, "foreach"),
    "muon_tp": ({"optimizer": "muon", "tp": 2}, "duplicated"),
    "int8_recipe": ({"precision": "int8"}, "switchback"),
    "precision": ({}, "fp32"),
    "overlap_grad_reduce": ({}, False),
    "overlap_param_gather": ({"zero": 1}, False),
    "dp_replicas": ({"dp": 8, "zero": 1}, 2),
    "reshard_after_forward": ({"dp": 8, "zero": 3}, 2),
    "grad_dtype": ({}, "fp32"),
    "offload_optimizer": ({"zero": 2}, True),
    "offload_update": ({"zero": 2, "offload_optimizer": "host"}, "device"),
    "offload_parameters": ({"zero": 3, "offload_optimizer": True}, True),
    "offload_activations": ({}, 0.5),
    "activation_tier": ({"offload_activations": 1.0}, "nvme"),
    "offload_modules": ({"offload_activations": 1.0}, ("core_attn",)),
    "rank_order": ({"tp": 2, "dp": 8, "zero": 1}, "dp-tp-cp-ep-pp"),
    "layers_per_stage": ({"pp": 2}, (1, 3)),
    "first_rank_layers": ({"pp": 2}, 1),
    "last_rank_layers": ({"pp": 2}, 1),
    "embedding_as_layer": ({"pp": 2, "loss_as_layer": True, "vpp": 3}, True),
    "loss_as_layer": ({"pp": 2, "embedding_as_layer": True, "vpp": 3}, True),
    "delay_weight_grad": ({"pp": 2}, True),
    "p2p": ({"pp": 2}, "blocking"),
    "optimizer_post_validation": ({"pp": 2}, True),
    "micro_batch_group": ({"pp": 2, "vpp": 2, "dp": 4}, 4),
    "custom_order": ({"pp": 2, "dp": 4, "global_batch": 8}, ("F0 F1 B0 B1", "F0 F1 B1 B0")),
}


def outcome(strategy: Strategy) -> tuple[Any, ...]:
    devices = devices_of(strategy.resolved(strategy.dp or 8)) if strategy.dp else 8
    profile = dts.FrameworkProfile.from_catalog("ideal").replace(bucket_parameters=1e5)
    try:
        model = routed(shared=transformer.Mlp(256))
        result = run(model, strategy, cluster=cluster_of(devices), framework=profile)
    except ConfigError as error:
        return (str(error),)
    return result.step_time_s, result.breakdown, result.memory, result.events.columns["start_s"].tobytes()


@pytest.mark.parametrize("name", [f.name for f in fields(Strategy)])
def test_every_strategy_option_changes_the_outcome(name: str) -> None:
    base, value = FLIPS[name]
    strategy = Strategy(**{"global_batch": 16, **base})
    assert outcome(strategy) != outcome(strategy.replace(**{name: value}))


@pytest.mark.parametrize("zero", [0, 1, 2, 3])
def test_overlaps_matter_at_every_zero_stage(zero: int) -> None:
    strategy = Strategy(dp=8, zero=zero, global_batch=32)
    assert outcome(strategy)[0] < outcome(strategy.replace(overlap_grad_reduce=False))[0]
    if zero > 0:
        assert outcome(strategy)[0] < outcome(strategy.replace(overlap_param_gather=False))[0]


# --- result objects ---------------------------------------------------------------------------------------------------


def test_result_as_plain_data() -> None:
    import json

    data = llama_8b(tp=2, pp=2, zero=1, global_batch=8).to_dict()
    again = json.loads(json.dumps(data))
    assert again["step_time_s"] == data["step_time_s"]
    assert again["strategy"]["recompute"] == "none"
    assert len(again["stages"]) == len(again["memory"]["stages"]) == 2
    assert again["fits"] is all(stage["fits"] for stage in again["memory"]["stages"])


def test_results_state_the_facts_they_applied() -> None:
    profile = dts.FrameworkProfile.from_catalog("torchtitan-2026").replace(step_cost_s=0.125)
    facts = run(dense(), Strategy(global_batch=8), framework=profile).framework_facts
    assert (facts["name"], facts["unvalidated"]) == ("torchtitan-2026", True)
    assert facts["facts"]["step_cost_s"] == 0.125
    assert facts["facts"]["tp_overlap"] == "none"
    assert facts["sources"] == list(profile.sources)
    assert run(dense(), Strategy(global_batch=8)).to_dict()["framework_facts"]["facts"]


def test_fits_is_reserved_and_context_within_capacity() -> None:
    result = dts.simulate("llama-3.1-70b", "1xdgx-h100", Strategy(zero=1, global_batch=8), seq_len=4096)
    assert not result.fits
    use = result.peak_memory
    assert use.reserved_bytes == pytest.approx(use.allocated_bytes * result.reserved_factor)
    assert use.allocated_bytes == pytest.approx(sum(use.categories.values()))
    assert use.used_bytes > use.capacity_bytes
    assert "does not fit" in repr(result)
    assert llama_8b(zero=3, global_batch=8, recompute="full").fits


def test_event_list_behaves_like_a_sequence() -> None:
    events = run(dense(), Strategy(dp=2, zero=1, global_batch=4), cluster=cluster_of(2)).events
    assert len(events) == len(list(events)) > 0
    assert events[-1] == events[len(events) - 1]
    assert events[1:3] == [events[1], events[2]]
    with pytest.raises(IndexError):
        events[len(events)]
    kinds = {event.kind for event in events}
    assert {"forward", "backward", "all_gather", "reduce_scatter", "optimizer"} <= kinds
    assert {event.stream for event in events} == {"compute", "dp"}
    for event in events:
        assert event.duration_s > 0
        assert event.end_s == pytest.approx(event.start_s + event.duration_s)
        assert event.start_ms == pytest.approx(event.start_s * 1e3)


def test_gradient_kind_follows_zero() -> None:
    for zero, kind in ((0, "all_reduce"), (1, "reduce_scatter")):
        events = run(dense(), Strategy(dp=2, zero=zero, global_batch=2), cluster=cluster_of(2)).events
        assert {e.kind for e in events if e.name.startswith("reduce")} == {kind}


def test_import_stays_light() -> None:
    code = (
        "import sys, dist_training_sim; "
        "print([m for m in ('matplotlib', 'pydantic', 'yaml', 'typer', 'rich', 'fastapi') if m in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "[]"


def test_every_public_name_resolves() -> None:
    for name in dts.__all__:
        assert getattr(dts, name) is not None
    assert set(dts.__all__) <= set(dir(dts))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        dts.nonsense  # noqa: B018
