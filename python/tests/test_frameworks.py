"""Framework profiles: the catalogue's, their checks, and that every fact in them has an effect."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import dist_training_sim as dts
import pytest
from dist_training_sim import ConfigError, FrameworkProfile, Strategy
from dist_training_sim.catalog import frameworks
from dist_training_sim.models import Model, transformer
from dist_training_sim.verbs.memory_timeline import reserved_bytes

NODE = dts.Cluster.from_catalog("dgx-h100").node.replace(devices=4)
DESCRIPTIVE = ("name", "label", "sources", "unvalidated", "defaults")  # read by people and `validate`, not the core
FACTS = [f for f in fields(FrameworkProfile) if f.name not in DESCRIPTIVE]


def _llama(layers: int = 4, kv_heads: int = 4, vocabulary: int = 1024) -> Model:
    blocks = [transformer.llama_block(256, 8, kv_heads, 512)] * layers
    return transformer.language_model("small", blocks, 256, vocabulary)


def _routed() -> Model:
    attention = transformer.Attention(8, 4, 32)
    block = transformer.pre_norm_block("moe", 256, attention, transformer.Experts(8, 2, 256, bias=True))
    return transformer.language_model("routed", [block] * 4, 256, 1024)


JOBS: list[tuple[Model, Strategy]] = [
    (_llama(), Strategy(tp=2, global_batch=8, recompute="selective")),
    (_llama(), Strategy(zero=3, global_batch=8, recompute="selective")),
    (_llama(), Strategy(zero=3, pp=2, global_batch=8)),
    (_llama(), Strategy(zero=1, global_batch=16)),
    (_routed(), Strategy(tp=2, ep=2, global_batch=8)),
    (_routed(), Strategy(tp=2, ep=2, global_batch=8, moe_dispatcher="deepep")),
    (_llama(), Strategy(tp=2, zero=1, global_batch=8, precision="fp8", recompute="full")),
    (_llama(), Strategy(tp=2, pp=2, vpp=2, sequence_parallel=False, global_batch=8)),
    (_llama(), Strategy(zero=1, global_batch=16, precision="fp8", fp8_recipe="mxfp8")),
    (_llama(kv_heads=2), Strategy(tp=4, global_batch=8)),
    (_llama(kv_heads=8), Strategy(tp=2, global_batch=8)),
    (_llama(), Strategy(pp=2, zero=1, global_batch=16)),
    (_llama(), Strategy(zero=1, global_batch=16, overlap_grad_reduce=False)),
    (_llama(8), Strategy(zero=3, pp=2, vpp=4, global_batch=8)),
    (_llama(vocabulary=2**18), Strategy(zero=3, global_batch=16, reshard_after_forward=False)),
    (_llama(), Strategy(zero=1, global_batch=16, offload_optimizer=True)),
    (_llama(), Strategy(zero=1, micro_batch=2, global_batch=16)),
    (_routed(), Strategy(ep=2, global_batch=8, moe_dispatcher="deepep", overlap_moe_1f1b=True)),
    (_llama(), Strategy(cp=2, cp_comm="a2a", global_batch=8)),
]
BASES = [
    FrameworkProfile(bucket_parameters=1e5),
    FrameworkProfile(bucket_parameters=1e5, flash_attention=False, host_forward_s_per_op=0, host_backward_s_per_op=0),
    FrameworkProfile(
        selective="alternate_matmuls", host_forward_s_per_op=0, host_backward_s_per_op=0, p2p_blocking=True
    ),
    FrameworkProfile(host_forward_s_per_op=0, host_backward_s_per_op=0, fsdp_keeps_under_pp=True),
]


def _outcome(profile: FrameworkProfile) -> list[Any]:
    results = [dts.simulate(m, dts.Cluster(NODE, 1), s, seq_len=256, framework=profile) for m, s in JOBS]
    reserved = [reserved_bytes(m, dts.Cluster(NODE, 1), s, seq_len=256, framework=profile) for m, s in JOBS[:1]]
    times = [(r.step_time_s, r.breakdown, r.memory, r.events.columns["start_s"].tobytes(), r.hfu) for r in results]
    return times + reserved


OTHER_VALUES: dict[str, dict[Any, Any]] = {
    "loss_kernel": {"megatron": "torch_eager", "torch_eager": "megatron"},
    "selective": {"core_attention": "alternate_matmuls", "alternate_matmuls": "core_attention"},
    "attention_kernel": {"": "fa2"},
    "workspace": {"": "torch"},
    "communication_library": {"nccl": "none"},
    "main_grad_bytes": {4.0: 2.0},
    "tp_overlap": {"bulk": "none"},
    "moe_dispatcher": {"alltoall": "allgather"},
    "bucket_parameters_per_rank": {0.0: 1e6},
    "kv_heads_below_tp": {"replicate": "gather"},
    "vocabulary_multiple": {1.0: 1000.0},
    "first_bucket_parameters": {0.0: 1e4},
    "fsdp_backward_prefetch": {"pre": "none"},
    "param_gather_ahead": {1: 0},
    "host_update_efficiency": {0.43: 0.86},
}


def _other(name: str, value: Any) -> Any:
    if name in OTHER_VALUES:
        return OTHER_VALUES[name][value]
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int) else 3 * value + 1


@pytest.mark.parametrize("stage", range(4))
def test_zero_under_pp_is_what_a_framework_runs(stage: int) -> None:
    profile, layouts = FrameworkProfile(zero_under_pp=1), [Strategy(zero=stage, pp=pp, global_batch=8) for pp in (1, 2)]
    found = dts.evaluate(_llama(), dts.Cluster(NODE, 1), layouts, seq_len=256, framework=profile)
    assert list(found.legal) == [True, stage <= 1]
    if stage > 1:
        with pytest.raises(ConfigError, match="at most 1 with pipeline stages"):
            dts.simulate(_llama(), dts.Cluster(NODE, 1), layouts[1], seq_len=256, framework=profile)


@pytest.mark.parametrize("name", [f.name for f in FACTS if f.name != "zero_under_pp"])
def test_every_fact_changes_time_memory_or_events(name: str) -> None:
    changed = False
    for base in BASES:
        other = base.replace(**{name: _other(name, getattr(base, name))})
        changed = changed or _outcome(base) != _outcome(other)
    assert changed, f"{name} is read by nothing"


@pytest.mark.parametrize("name", frameworks.names())
def test_catalogue_profiles_run_and_say_where_they_come_from(name: str) -> None:
    profile = FrameworkProfile.from_catalog(name)
    assert profile.name == name
    assert profile.label
    assert profile.sources
    result = dts.simulate(_llama(), dts.Cluster(NODE, 1), Strategy(global_batch=4), seq_len=256, framework=profile)
    assert result.framework == name
    assert result.step_time_s >= profile.step_cost_s


def test_ideal_adds_nothing() -> None:
    ideal = FrameworkProfile.from_catalog("ideal")
    breakdown = dts.simulate(_llama(), dts.Cluster(NODE, 1), seq_len=256, framework=ideal).breakdown
    assert breakdown["host_s"] == breakdown["fixed_s"] == 0
    fastest = dts.simulate(_llama(), dts.Cluster(NODE, 1), seq_len=256, framework=ideal).step_time_s
    for name in frameworks.names():
        assert dts.simulate(_llama(), dts.Cluster(NODE, 1), seq_len=256, framework=name).step_time_s >= fastest


@pytest.mark.parametrize("bad", [float("nan"), -1, "nonsense", None])
@pytest.mark.parametrize("name", [f.name for f in FACTS])
def test_bad_facts_are_named(name: str, bad: Any) -> None:
    with pytest.raises(ConfigError, match=name):
        FrameworkProfile(**{name: bad})


def test_reserved_memory_is_never_below_allocated() -> None:
    profile = FrameworkProfile(reserved_factor=0.5)
    with pytest.raises(ConfigError, match="reserved_factor"):
        dts.simulate(_llama(), dts.Cluster(NODE, 1), seq_len=256, framework=profile)


def test_unknown_profile() -> None:
    with pytest.raises(ConfigError, match="did you mean megatron-core"):
        FrameworkProfile.from_catalog("megatron-cor")


def test_kept_gradients_take_two_bytes_a_parameter() -> None:
    cluster, strategy = dts.Cluster(NODE, 1), Strategy(global_batch=4)
    base = FrameworkProfile()
    held = [
        dts.memory_timeline(_llama(), cluster, strategy, seq_len=256, framework=profile)[0].bytes[-1]
        for profile in (base, base.replace(keeps_gradients=True))
    ]
    assert held[1][1] - held[0][1] == held[0][0]  # gradients; weights in 16 bits
    assert (held[1][2:] == held[0][2:]).all()
