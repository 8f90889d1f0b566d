"""Framework profiles: each is sourced, each fact moves a time or a tensor, each default moves a job."""

from __future__ import annotations

import dataclasses
import json
from functools import cache
from pathlib import Path
from typing import Any

import dist_training_sim as dts
import pytest
from dist_training_sim.catalog import frameworks
from dist_training_sim.errors import ConfigError
from dist_training_sim.frameworks import FrameworkDefaults, FrameworkProfile
from dist_training_sim.models.transformer import gpt_block, language_model
from dist_training_sim.validation.corpus import Row
from dist_training_sim.validation.row_framework import framework_of
from dist_training_sim.validation.row_job import job_of

SAMPLE = Path(__file__).parent / "fixtures" / "runs_sample.jsonl"
PROFILES = {name: frameworks.load(name) for name in frameworks.names()}
# Texts; `defaults` and what a framework refuses have their own tests.
NO_EFFECT = {"name", "label", "sources", "unvalidated", "defaults", "zero_under_pp"}
FACTS = [f.name for f in dataclasses.fields(FrameworkProfile) if f.name not in NO_EFFECT]
OTHER = {
    "loss_kernel": "torch_eager",
    "selective": "alternate_matmuls",
    "attention_kernel": "fa2",
    "workspace": "torch",
    "communication_library": "none",
    "failure_factor": 2.0,
    "main_grad_bytes": 2.0,
    "moe_dispatcher": "allgather",
    "fsdp_backward_prefetch": "none",
    "bucket_parameters": 1e6,
    "first_bucket_parameters": 1e6,
    "param_gather_ahead": 0,
    "fsdp_reductions_in_flight": 1,
    "fsdp_unsharded_stages": 1,
    "host_update_efficiency": 0.8,
}
HEADS = {"gather": "replicate", "replicate": "gather", "refuse": "gather"}
GPT = language_model("gpt", [gpt_block(1024, 16)] * 4, 1024, 50_304, positions=1024)
JOBS: tuple[tuple[Any, str, dts.Strategy], ...] = (
    ("llama-3.2-1b", "1xdgx-h100", dts.Strategy(tp=4, micro_batch=2, global_batch=16, recompute="selective")),
    ("llama-3.2-1b", "1xdgx-h100", dts.Strategy(zero=3, micro_batch=4, global_batch=128)),
    ("llama-3.2-1b", "1xdgx-h100", dts.Strategy(zero=3, micro_batch=1, global_batch=16)),
    ("llama-3.2-1b", "1xdgx-h100", dts.Strategy(pp=2, zero=3, micro_batch=1, global_batch=16)),
    ("llama-3.2-1b", "2xdgx-h100", dts.Strategy(zero=1, micro_batch=1, global_batch=32)),
    ("qwen3-30b-a3b", "1xdgx-h100", dts.Strategy(ep=8, zero=1, micro_batch=1, global_batch=16)),
    ("llama-3.2-1b", "1xdgx-h100", dts.Strategy(tp=4, zero=1, micro_batch=2, global_batch=16, precision="fp8")),
    (GPT, "1xdgx-h100", dts.Strategy(micro_batch=8, global_batch=64)),
    (GPT, "1xdgx-h100", dts.Strategy(micro_batch=8, global_batch=64, recompute="full")),
    (GPT, "1xdgx-h100", dts.Strategy(tp=2, pp=2, vpp=2, sequence_parallel=False, global_batch=16)),
    ("llama-3.2-1b", "2xdgx-h100", dts.Strategy(tp=16, global_batch=4)),
    ("llama-3.2-1b", "1xdgx-h100", dts.Strategy(micro_batch=2, global_batch=32, precision="fp8", fp8_recipe="mxfp8")),
    ("llama-3.2-1b", "2xdgx-h100", dts.Strategy(pp=2, zero=1, global_batch=32)),
    ("llama-3.2-1b", "1xdgx-h100", dts.Strategy(pp=2, vpp=4, zero=3, global_batch=16)),
    ("llama-3.2-1b", "2xdgx-h100", dts.Strategy(zero=1, global_batch=32, overlap_grad_reduce=False)),
    ("llama-3.1-8b", "1xdgx-h100", dts.Strategy(zero=3, reshard_after_forward=False, micro_batch=2, global_batch=16)),
    ("llama-3.2-1b", "1xdgx-h100", dts.Strategy(zero=2, global_batch=16, offload_optimizer=True)),
    ("gpt-oss-20b", "1xdgx-h100", dts.Strategy(ep=8, zero=1, global_batch=16)),
    ("qwen3-30b-a3b", "1xdgx-h100", dts.Strategy(ep=8, zero=1, global_batch=16, moe_dispatcher="deepep")),
    (
        *("qwen3-30b-a3b", "1xdgx-h100"),
        dts.Strategy(ep=8, zero=1, global_batch=16, moe_dispatcher="deepep", overlap_moe_1f1b=True),
    ),
    ("llama-3.2-1b", "1xdgx-h100", dts.Strategy(cp=2, cp_comm="a2a", global_batch=16)),
)


def rows() -> list[dict[str, Any]]:
    return [json.loads(line) for line in SAMPLE.read_text(encoding="utf-8").splitlines()]


def outcome(profile: FrameworkProfile, job: int) -> tuple[Any, ...]:
    model, cluster, strategy = JOBS[job]
    result = dts.simulate(model, cluster, strategy, seq_len=1024, framework=profile, keep_events=False)
    memory = result.peak_memory
    timeline = dts.memory_timeline(model, cluster, strategy, seq_len=1024, framework=profile)
    held = [(float(stage.bytes.sum()), stage.reserved_bytes) for stage in timeline]
    return result.step_time_s, held, memory.reserved_bytes, memory.outside_bytes, memory.oom_probability


BASES = {
    "fused": PROFILES["megatron-core"],
    "unfused": PROFILES["megatron-core"].replace(flash_attention=False, workspace=""),
    "compiled": PROFILES["torchtitan"],
}


@cache
def base(start: str, job: int) -> tuple[Any, ...]:
    return outcome(BASES[start], job)


def flipped(profile: FrameworkProfile, name: str) -> FrameworkProfile:
    value = getattr(profile, name)
    if name == "tp_overlap":
        return profile.replace(tp_overlap="bulk" if value == "none" else "none")
    if name == "kv_heads_below_tp":
        return profile.replace(kv_heads_below_tp=HEADS[value])
    if name in OTHER:
        return profile.replace(**{name: OTHER[name]})
    if isinstance(value, bool):
        return profile.replace(**{name: not value})
    if isinstance(value, int):
        return profile.replace(**{name: value + 3})
    return profile.replace(**{name: value * 8 + (0.0 if value else 1e6)})


@pytest.mark.parametrize("name", FACTS)
def test_every_fact_moves_a_time_or_a_tensor(name: str) -> None:
    assert any(
        outcome(flipped(profile, name), job) != base(start, job)
        for start, profile in BASES.items()
        for job in range(len(JOBS))
    )


@pytest.mark.parametrize("name", PROFILES)
def test_profiles_are_sourced_and_run(name: str) -> None:
    profile = PROFILES[name]
    assert profile.label
    assert profile.sources
    assert all(len(source) > 20 for source in profile.sources)
    assert profile.title.endswith("(unvalidated)") is profile.unvalidated
    assert outcome(profile, 1)[0] > 0


def test_assumed_costs_say_so() -> None:
    for profile in PROFILES.values():
        if profile.unvalidated:
            assert any(source.startswith("assumed") for source in profile.sources), profile.name


def test_profiles_with_measured_rows_are_those_without_the_mark() -> None:
    """The sample holds a complete row of every framework that the corpus measures."""
    used = {framework_of(Row("row", row)) for row in rows() if row["use"]["step_time"] in ("A", "B")}
    marked = {name for name, profile in PROFILES.items() if profile.unvalidated}
    assert not used & marked
    assert set(PROFILES) - marked - used == {"ideal"}


def test_no_two_profiles_are_the_same() -> None:
    facts = [(tuple(getattr(p, name) for name in FACTS), p.defaults) for p in PROFILES.values()]
    assert len(set(facts)) == len(facts)


def row(**changes: Any) -> Row:
    data: dict[str, Any] = {
        "id": "row",
        "model": {"name": "GPT", "kind": "dense", "layers": 8, "hidden": 1024, "heads": 16, "gated": False},
        "seq": 1024,
        "global_batch": 64,
        "micro_batch": 1,
        "parallel": {"dp": 2, "tp": 2, "pp": 2},
        "hardware": {"gpus": 8},
        "accelerator": "A100-SXM-80GB",
        "framework": "ours",
    }
    return Row("row", {**data, **changes})


REPLICATED = {"dp": 2, "tp": 2, "pp": 2, "zero": "0"}
SHARDED = {"dp": 2, "tp": 2, "pp": 2, "zero": "1"}
DEFAULTS: dict[str, tuple[Any, dict[str, Any]]] = {
    "overlap_grad_reduce": (False, {"parallel": REPLICATED}),
    "overlap_sharded_reduce": (False, {"parallel": SHARDED}),
    "overlap_param_gather": (False, {}),
    "sequence_parallel": (False, {}),
    "zero": (2, {}),
    "layer_per_chunk": (True, {}),
    "micro_batches": ("one", {}),
    "interleaved_chunks": (4, {"features": ["schedule=Interleaved1F1B"]}),
    "stages": ("by_cost", {}),
    "precision": ("fp16", {}),
    "recompute": ("full", {}),
    "dropout": (True, {}),
    "vocabulary": (32_000, {}),
    "fp8_recipe": ("delayed", {}),
}


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(FrameworkDefaults)])
def test_every_default_moves_a_job(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    value, changes = DEFAULTS[name]
    jobs = []
    for defaults in (FrameworkDefaults(), FrameworkDefaults(**{name: value})):
        profile = FrameworkProfile.from_catalog("ideal").replace(defaults=defaults)
        monkeypatch.setattr("dist_training_sim.validation.row_job.profile_of", lambda _, p=profile: p)
        job = job_of(row(**changes))
        jobs.append((job.strategy, job.model))
    assert jobs[0] != jobs[1]


def test_defaults_are_checked_together() -> None:
    wrong: dict[str, Any] = {
        "zero": 4,
        "stages": "odd",
        "dropout": 1,
        "interleaved_chunks": 0,
        "sequence_parallel": "x",
    }
    with pytest.raises(ConfigError) as caught:
        FrameworkDefaults(**wrong)
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == [
        f"defaults.{name}" for name in ("sequence_parallel", "zero", "interleaved_chunks", "stages", "dropout")
    ]
    with pytest.raises(ConfigError, match=r"framework mine\.defaults"):
        FrameworkProfile(name="mine", defaults={"zero": 1})  # type: ignore[arg-type]
