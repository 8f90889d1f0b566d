"""Jobs of training frameworks: round trips, real option names, places of every problem, nothing swallowed."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import dist_training_sim as dts
import pytest
from dist_training_sim.io.decoder_shape import build_decoder, shape_of
from dist_training_sim.io.jobs import READ_FORMATS, WRITE_FORMATS
from dist_training_sim.io.torchtitan import cut_stages
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

OPTIONS = json.loads((Path(__file__).parent / "fixtures" / "framework_options.json").read_text(encoding="utf-8"))
FOREIGN = WRITE_FORMATS[1:]
PROFILES = {
    "dts": "megatron-core",
    "megatron-lm": "megatron-core",
    "megatron-bridge": "megatron-bridge-26.02",
    "torchtitan": "torchtitan-2025",
    "deepspeed": "deepspeed",
    "nanotron": "nanotron",
}
DENSE, ROUTED = "llama-3.1-8b", "mixtral-8x7b"
CLUSTER = dts.Cluster.from_catalog("8xdgx-h100")

layouts = st.fixed_dictionaries(
    {
        "tp": st.sampled_from([1, 2, 4, 8]),
        "pp": st.sampled_from([1, 2, 4]),
        "vpp": st.sampled_from([1, 1, 2]),
        "cp": st.sampled_from([1, 1, 2]),
        "zero": st.integers(0, 3),
        "micro_batch": st.sampled_from([1, 2]),
        "global_batch": st.sampled_from([64, 128, 256]),
        "recompute": st.sampled_from(["none", "selective", "full"]),
        "precision": st.sampled_from(["bf16", "bf16", "fp16", "fp8", "fp4"]),
        "fp8_recipe": st.sampled_from(["tensorwise", "delayed", "blockwise", "mxfp8"]),
        "sequence_parallel": st.sampled_from([None, False]),
        "overlap_grad_reduce": st.booleans(),
        "overlap_param_gather": st.booleans(),
        "schedule": st.sampled_from(["1f1b", "1f1b", "gpipe", "zb_h1"]),
        "cp_comm": st.sampled_from(["p2p", "all_gather", "a2a"]),
        "dp_replicas": st.sampled_from([1, 1, 2]),
        "grad_dtype": st.sampled_from(["framework", "bf16", "fp32"]),
        "optimizer": st.sampled_from(["adam", "adam", "momentum", "sgd", "muon", "adafactor"]),
        "muon_tp": st.sampled_from(["blockwise", "duplicated"]),
        "rank_order": st.sampled_from(["tp-cp-ep-dp-pp", "tp-cp-ep-pp-dp"]),
        "offload_optimizer": st.sampled_from(["none", "none", "host", "nvme"]),
        "delay_weight_grad": st.booleans(),
        "reshard_after_forward": st.sampled_from([None, True, False]),
        "moe_dispatcher": st.sampled_from(["framework", "alltoall", "allgather", "deepep"]),
        "capacity_factor": st.sampled_from([0.0, 1.25]),
        "embedding_as_layer": st.booleans(),
    }
)
DEFAULT = dts.Strategy()
USUAL: dict[str, dict[str, Any]] = {  # what a format takes for granted
    "torchtitan": {"overlap_grad_reduce": True, "overlap_param_gather": True, "cp_comm": "all_gather"},
    "deepspeed": {"tp": 1, "pp": 1, "vpp": 1, "cp": 1, "dp_replicas": 1},
    "nanotron": {"vpp": 1, "overlap_param_gather": False, "offload_optimizer": False},
}


def meaning(s: dts.Strategy, model: dts.Model, profile: dts.FrameworkProfile) -> dict[str, Any]:
    """Fields of a layout that mean something for a job, with every default resolved."""
    s = s.resolved(CLUSTER.device_count)
    fields = {name: getattr(s, name) for name in s.__dataclass_fields__}
    layers = sum(run.repeat for run in model.layers)
    routed = model.layers[0].block.parameters != model.layers[0].block.active_parameters
    if routed and s.moe_dispatcher.value == "framework":  # type: ignore[union-attr]
        fields["moe_dispatcher"] = dts.Dispatcher(profile.moe_dispatcher)
    ends = int(s.embedding_as_layer), int(s.loss_as_layer)
    if s.pp > 1 and not s.layers_per_stage and (layers + sum(ends)) % (s.pp * s.vpp) == 0:
        fields["layers_per_stage"] = cut_stages(layers, s.pp * s.vpp, *ends)
    drop = {"embedding_as_layer", "loss_as_layer", "etp"}
    drop |= {"schedule", "vpp", "layers_per_stage"} if s.pp == 1 else set()
    drop |= {"cp_comm"} if s.cp == 1 else set()
    drop |= {"moe_dispatcher", "capacity_factor"} if not routed else set()
    drop |= {"fp8_recipe"} if s.precision.value != "fp8" else set()  # type: ignore[union-attr]
    drop |= {"muon_tp"} if s.optimizer.value != "muon" or s.tp == 1 else set()  # type: ignore[union-attr]
    drop |= {"overlap_param_gather", "dp_replicas"} if s.zero == 0 else set()
    drop |= {"reshard_after_forward"} if s.zero != 3 or s.reshard_after_forward is True else set()
    return {name: value for name, value in fields.items() if name not in drop}


def write_or_reason(format: str, model: dts.Model, strategy: dts.Strategy) -> dts.WrittenJob | str:
    try:
        return dts.write_job(format, model, CLUSTER, strategy, seq_len=4096)
    except dts.ConfigError as error:
        return str(error)


@pytest.mark.parametrize("routed", [False, True])
@pytest.mark.parametrize("format", WRITE_FORMATS)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(layout=layouts, near=st.integers(0, 2))
def test_what_is_written_reads_back(format: str, routed: bool, layout: dict[str, Any], near: int) -> None:
    """Every layout is either refused by name or comes back; most draws lie near the format's habits."""
    varied = list(layout)[:: near + 1] if near < 2 else ["tp", "zero", "micro_batch", "recompute", "precision"]
    chosen = {name: layout[name] for name in varied} | {"pp": layout["pp"], "global_batch": layout["global_batch"]}
    if routed:
        chosen |= {"ep": 2}
    chosen = chosen | (USUAL.get(format, {}) if near else {})
    model = dts.Model.from_catalog(ROUTED if routed else DENSE)
    profile = dts.FrameworkProfile.from_catalog(PROFILES[format])
    strategy = dts.Strategy(**chosen)
    assume(strategy.resolved(64).global_batch % (strategy.resolved(64).dp * strategy.micro_batch) == 0)  # type: ignore[operator]
    assume(strategy.pp == 1 or (32 + strategy.embedding_as_layer) % (strategy.pp * strategy.vpp) == 0)  # of 32 layers
    written = write_or_reason(format, model, strategy)
    if isinstance(written, str):
        assert all(line.startswith(("strategy.", "model")) for line in written.splitlines())
        return
    job = dts.read_job(text=written.text, format=format, devices=64)
    assert not job.unknown
    assert not job.conflicts
    if format != "deepspeed":
        assert (job.model, job.seq_len) == (model, 4096)
    skip = {"recompute"} if format == "deepspeed" else set()
    expected, found = (meaning(s, model, profile) for s in (strategy, job.strategy))
    shared = (expected.keys() & found.keys()) - skip
    assert {n: found[n] for n in shared} == {n: expected[n] for n in shared}
    again = dts.write_job(format, model, CLUSTER, job.strategy.replace(recompute=strategy.recompute), seq_len=4096)
    assert again.text == written.text


def test_deepspeed_has_no_option_for_muon_on_split_matrices() -> None:
    usual = USUAL["deepspeed"] | {"tp": 2, "global_batch": 64, "sequence_parallel": False}
    strategy = dts.Strategy(**usual, optimizer="muon", muon_tp="duplicated")
    model = dts.Model.from_catalog(DENSE)
    assert "strategy.muon_tp" in str(write_or_reason("deepspeed", model, strategy))
    assert not isinstance(write_or_reason("deepspeed", model, strategy.replace(muon_tp="blockwise")), str)


@pytest.mark.parametrize("format", WRITE_FORMATS)
def test_a_read_job_simulates_as_the_written_one(format: str) -> None:
    profile = PROFILES[format]
    layout: dict[str, Any] = {"zero": 1, "global_batch": 128, "recompute": "full"}
    layout |= {"megatron-lm": {"tp": 4, "pp": 2, "vpp": 2}, "megatron-bridge": {"tp": 8, "pp": 2}}.get(format, {})
    layout |= {"torchtitan": {"zero": 3, "tp": 2, "pp": 2}, "deepspeed": {"zero": 3}}.get(format, {})
    layout |= {"overlap_grad_reduce": False, "overlap_param_gather": False} if format == "nanotron" else {}
    strategy = dts.Strategy(**layout)
    written = dts.write_job(format, DENSE, CLUSTER, strategy, seq_len=8192)
    job = dts.read_job(text=written.text, devices=64)
    back = job.strategy.replace(recompute="full")
    before = dts.simulate(DENSE, CLUSTER, strategy, seq_len=8192, framework=profile)
    after = dts.simulate(job.model or DENSE, CLUSTER, back, seq_len=8192, framework=job.framework)
    assert (job.format, job.framework) == (format, profile)
    assert after.step_time_s == before.step_time_s
    assert after.peak_memory == before.peak_memory


@pytest.mark.parametrize("zero", [1, 2, 3])
def test_a_megatron_script_meets_the_assertions_of_its_arguments(zero: int) -> None:
    """megatron/training/arguments.py: one queue of kernels with tensor parallelism, but never with Megatron-FSDP."""
    strategy = dts.Strategy(tp=2, zero=zero, global_batch=128)
    text = dts.write_job("megatron-lm", DENSE, CLUSTER, strategy, seq_len=8192).text
    sharded = zero > 1
    assert ("--use-megatron-fsdp" in text, "--ckpt-format fsdp_dtensor" in text) == (sharded, sharded)
    assert ("export CUDA_DEVICE_MAX_CONNECTIONS=1" in text) != sharded
    bridge = dts.write_job("megatron-bridge", DENSE, CLUSTER, strategy, seq_len=8192).text
    assert ("checkpoint.ckpt_format=fsdp_dtensor" in bridge) == sharded


def names_written(format: str, text: str) -> set[str]:
    """Names of all options in a written text."""
    if format == "deepspeed":
        return set(flat(json.loads(text)))
    if format == "nanotron":
        import yaml

        return set(flat(yaml.safe_load(text)))
    words = shlex.split(text.replace("\\\n", " "))
    start = next(i for i, word in enumerate(words) if word.endswith((".py", "torchtitan.train")))
    words = words[start + 1 :]
    if format == "megatron-bridge":
        return {word.split("=")[0] for word in words if "=" in word}
    return {word[2:] for word in words if word.startswith("--")}


def flat(content: dict[str, Any], prefix: str = "") -> list[str]:
    found: list[str] = []
    for key, value in content.items():
        found += flat(value, f"{prefix}{key}.") if isinstance(value, dict) else [f"{prefix}{key}"]
    return found


EVERYTHING: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "megatron-lm": [
        ("llama-3.1-8b", {"tp": 2, "cp": 4, "cp_comm": "a2a+p2p", "cp_a2a": 2, "pp": 2, "vpp": 2, "zero": 1,
                          "recompute": "full", "grad_dtype": "bf16", "first_rank_layers": 15, "micro_batch_group": 4}),
        ("gpt3-13b", {"tp": 4, "pp": 2, "optimizer": "sgd", "grad_dtype": "fp32", "precision": "fp16",
                      "embedding_as_layer": True, "loss_as_layer": True, "rank_order": "tp-cp-ep-pp-dp"}),
        ("deepseek-v3-mtp", {"ep": 8, "moe_dispatcher": "deepep", "zero": 1, "overlap_moe_1f1b": True,
                             "delay_weight_grad": True, "precision": "fp8", "fp8_recipe": "blockwise"}),
        ("mixtral-8x7b", {"ep": 4, "zero": 3, "capacity_factor": 1.5, "pad_to_capacity": True, "dp_replicas": 2,
                          "precision": "fp4", "optimizer": "muon", "offload_optimizer": True}),
        ("qwen3-30b-a3b", {"pp": 2, "layers_per_stage": (25, 23), "overlap_shared_experts": True, "zero": 2}),
    ],
    "megatron-bridge": [
        ("llama-3.1-8b", {"tp": 2, "cp": 2, "pp": 2, "vpp": 2, "zero": 1, "recompute": "full", "grad_dtype": "bf16"}),
        ("gpt3-13b", {"tp": 4, "pp": 2, "grad_dtype": "fp32", "precision": "fp16", "optimizer": "sgd"}),
        ("mixtral-8x7b", {"ep": 4, "zero": 3, "capacity_factor": 1.5, "pad_to_capacity": True, "dp_replicas": 2,
                          "precision": "fp4", "optimizer": "muon", "offload_optimizer": True}),
        ("deepseek-v2", {"ep": 8, "moe_dispatcher": "deepep", "zero": 1, "precision": "fp8", "fp8_recipe": "mxfp8"}),
        ("qwen3-30b-a3b", {"pp": 2, "layers_per_stage": (25, 23), "overlap_shared_experts": True, "zero": 1}),
    ],
    "torchtitan": [
        ("llama-3.1-8b", {"tp": 2, "cp": 2, "pp": 2, "vpp": 2, "zero": 3, "recompute": "selective",
                          "reshard_after_forward": False, "dp_replicas": 2, "precision": "fp8"}),
        ("deepseek-v3", {"ep": 8, "moe_dispatcher": "deepep", "zero": 3, "optimizer_kernels": "fused",
                         "offload_optimizer": True, "offload_parameters": True, "precision": "fp32"}),
    ],
    "deepspeed": [
        ("llama-3.1-8b", {"zero": 3, "offload_optimizer": True, "offload_parameters": True, "cp": 2, "cp_comm": "a2a",
                          "reshard_after_forward": 8, "grad_dtype": "fp32"}),
        ("llama-3.1-8b", {"zero": 2, "tp": 2, "sequence_parallel": False, "dp_replicas": 2, "optimizer": "muon",
                          "overlap_param_gather": False}),
    ],
    "nanotron": [
        ("llama-3.1-8b", {"tp": 2, "pp": 2, "zero": 0, "overlap_param_gather": False, "recompute": "full"}),
        ("mixtral-8x7b", {"ep": 2, "zero": 0, "overlap_param_gather": False, "moe_dispatcher": "allgather"}),
        ("qwen2.5-7b", {"zero": 1, "overlap_grad_reduce": False, "overlap_param_gather": False, "optimizer": "sgd"}),
    ],
}  # fmt: skip


@pytest.mark.parametrize("format", FOREIGN)
def test_only_options_that_exist_are_written(format: str) -> None:
    known, count = set(OPTIONS[format]), 0
    for model, layout in EVERYTHING[format]:
        text = dts.write_job(format, model, CLUSTER, dts.Strategy(global_batch=128, **layout), seq_len=2048).text
        names = names_written(format, text)
        count += len(names)
        assert names <= known
    assert count > 30 or format == "deepspeed"


@pytest.mark.parametrize("format", FOREIGN)
def test_every_layout_of_the_table_reads_back(format: str) -> None:
    profile = dts.FrameworkProfile.from_catalog(PROFILES[format])
    for name, layout in EVERYTHING[format]:
        model, strategy = dts.Model.from_catalog(name), dts.Strategy(global_batch=128, **layout)
        job = dts.read_job(
            text=dts.write_job(format, model, CLUSTER, strategy, seq_len=2048).text, devices=64, format=format
        )
        expected, found = (meaning(s, model, profile) for s in (strategy, job.strategy))
        shared = expected.keys() & found.keys() - ({"recompute"} if format == "deepspeed" else set())
        assert {n: found[n] for n in shared} == {n: expected[n] for n in shared}
        assert not job.unknown
        if format != "deepspeed":
            assert job.model is not None
            assert job.model.layers[-1].block.ops == model.layers[-1].block.ops


def test_writers_refuse_by_name_what_they_cannot_say() -> None:
    strategy = dts.Strategy(schedule="zb_h1", pp=2, expert_load="zipf", offload_activations=0.5, optimizer="adafactor")
    with pytest.raises(dts.ConfigError) as error:
        dts.write_job("megatron-lm", DENSE, CLUSTER, strategy, seq_len=4096)
    lines = str(error.value).splitlines()
    assert len(lines) == 4
    for name in ("schedule", "expert_load", "offload_activations", "optimizer"):
        assert any(line.startswith(f"strategy.{name}: got ") and "Megatron-LM" in line for line in lines)


@pytest.mark.parametrize("name", ["gemma-2-9b", "gpt-oss-20b", "resnet-50", "bert-large", "jamba-v0.1"])
def test_writers_refuse_models_without_options(name: str) -> None:
    with pytest.raises(dts.ConfigError, match=f"model: got '{name}'"):
        dts.write_job("megatron-lm", name, CLUSTER, dts.Strategy(), seq_len=1024)


@pytest.mark.parametrize("name", ["gpt2", "gpt3-175b", "llama-3.1-405b", "mistral-7b", "mixtral-8x22b", "qwen2.5-72b",
                                  "qwen3-8b", "qwen3-235b-a22b", "deepseek-v2", "deepseek-v3-mtp"])  # fmt: skip
def test_shapes_are_those_of_the_catalogue(name: str) -> None:
    model = dts.Model.from_catalog(name)
    again = build_decoder(shape_of(model), name)
    assert again.parameters == model.parameters
    assert [(run.repeat, run.block.ops) for run in again.layers] == [(r.repeat, r.block.ops) for r in model.layers]


# --- reading ---------------------------------------------------------------------------------------------------------

MEGATRON = """#!/bin/bash
#SBATCH --nodes=4
TP=${TP:-8}
PP=2
ARGS=(
    --num-layers 80 --hidden-size 8192 --ffn-hidden-size 28672
    --num-attention-heads 64 --group-query-attention --num-query-groups 8
    --seq-length 8192 --max-position-embeddings 8192 --position-embedding-type rope
    --normalization RMSNorm --swiglu --disable-bias-linear --untie-embeddings-and-output-weights
    --attention-dropout 0 --hidden-dropout 0   # none
)
PARALLEL="--tensor-model-parallel-size $TP --pipeline-model-parallel-size $PP --sequence-parallel"
if [ "$RECOMPUTE" = full ]; then
    PARALLEL="$PARALLEL --recompute-granularity full --recompute-method uniform --recompute-num-layers 1"
fi
torchrun --nproc_per_node 8 --nnodes 4 pretrain_gpt.py "${ARGS[@]}" $PARALLEL \\
    --num-layers-per-virtual-pipeline-stage 10 --use-distributed-optimizer --overlap-grad-reduce \\
    --micro-batch-size 1 --global-batch-size $((16 * 8)) --train-iters 1000 --bf16 \\
    --tokenizer-type HuggingFaceTokenizer --tokenizer-model meta-llama/Llama-3.1-70B-Instruct \\
    --lr 1e-4 --data-path $DATA --save ckpt --made-up-option 3
"""


def test_a_megatron_script() -> None:
    job = dts.read_job(text=MEGATRON)
    expected = dts.Strategy(
        tp=8, pp=2, vpp=4, zero=1, global_batch=128, sequence_parallel=True, overlap_param_gather=False
    )
    assert job.strategy == expected
    assert job.model == dts.Model.from_catalog("llama-3.1-70b")
    assert (job.seq_len, job.devices, job.framework) == (8192, 32, "megatron-core")
    assert job.train_tokens == 1000 * 128 * 8192
    assert [(option.shown, option.where) for option in job.unknown] == [("made-up-option 3", "command line:20")]
    assert {option.name for option in job.ignored} >= {"lr", "data-path", "save"}
    assert "128,256 of Llama-3.1-70B-Instruct" in " ".join(job.notes)


def test_kernels_of_a_script_that_the_profile_contradicts_are_noted() -> None:
    for words, noted in (("--attention-backend unfused", True), ("--attention-backend flash", False),
                         ("--transformer-impl local", True)):  # fmt: skip
        job = dts.read_job(text=MEGATRON.replace("--bf16", f"--bf16 {words}"))
        assert any("kernels are those of the framework profile" in note for note in job.notes) == noted
    trainer = "model_name_or_path: gpt2\nper_device_train_batch_size: 1\nattn_implementation: {}\n"
    for kind, noted in (("eager", True), ("sdpa", False)):
        job = dts.read_job(text=trainer.format(kind), format="hf-trainer")
        assert any("fused attention is simulated" in note for note in job.notes) == noted


def test_a_router_that_is_forced_to_balance_chooses_at_random(tmp_path: Path) -> None:
    for load in ("balanced", "uniform"):
        strategy = dts.Strategy(ep=8, zero=1, global_batch=64, expert_load=load)
        text = dts.write_job("megatron-lm", "mixtral-8x7b", "1xdgx-h100", strategy, seq_len=4096).text
        assert ("--moe-router-force-load-balancing" in text) == (load == "uniform")
        assert dts.read_job(text=text).strategy.expert_load == strategy.expert_load


def test_a_bridge_recipe_needs_its_length() -> None:
    words = "run_recipe.py --recipe llama3_8b_pretrain_config train.global_batch_size=128"
    assert dts.read_job(text=f"{words} dataset.sequence_length=4096", format="megatron-bridge").seq_len == 4096
    with pytest.raises(dts.ConfigError, match=r"model\.seq_length: got nothing, .*give model\.seq_length=8192"):
        dts.read_job(text=words, format="megatron-bridge")


def test_hybrid_sharding_shards_over_a_machine() -> None:
    text = "distributed_type: FSDP\nnum_processes: 16\nnum_machines: 2\n"
    text += "fsdp_config: {fsdp_sharding_strategy: HYBRID_SHARD}\n"
    assert dts.read_job(text=text, format="accelerate").strategy == dts.Strategy(
        zero=3, dp_replicas=2, reshard_after_forward=True, precision="fp32"
    )
    words = (
        "train.py --model_name_or_path gpt2 --per_device_train_batch_size 1 --max_seq_length 1024 --fsdp hybrid_shard"
    )
    job = dts.read_job(text=f"torchrun --nnodes 4 --nproc_per_node 8 {words}", format="hf-trainer")
    assert (job.devices, job.strategy.zero, job.strategy.dp_replicas) == (32, 3, 4)
    alone = dts.read_job(text=f"python {words}", format="hf-trainer")
    assert any("number of nodes is not given" in note for note in alone.notes)


@pytest.mark.parametrize("layout", [{"recompute": "selective", "recompute_modules": ("mlp", "moe_act")},
                                    {"offload_activations": 1.0, "offload_modules": ("core_attn",)}])  # fmt: skip
def test_job_files_hold_lists_of_modules(layout: dict[str, Any]) -> None:
    strategy = dts.Strategy(zero=1, global_batch=64, **layout)
    text = dts.write_job("dts", DENSE, CLUSTER, strategy, seq_len=4096).text
    assert dts.read_job(text=text, format="dts").strategy == strategy


def test_torchtitan_names_the_overlap_that_it_always_has() -> None:
    for name in ("overlap_grad_reduce", "overlap_param_gather"):
        strategy = dts.Strategy(zero=3, global_batch=64).replace(**{name: False})
        with pytest.raises(dts.ConfigError, match=rf"^strategy\.{name}: got False, expected true: torchtitan"):
            dts.write_job("torchtitan", DENSE, CLUSTER, strategy, seq_len=4096)


def test_line_ends_and_marks_of_windows_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "train.sh"
    path.write_bytes(b"\xef\xbb\xbf" + MEGATRON.replace("\n", "\r\n").encode())
    job = dts.read_job(path)
    assert (job.model, job.strategy) == (dts.read_job(text=MEGATRON).model, dts.read_job(text=MEGATRON).strategy)


def test_megatron_deepspeed() -> None:
    job = dts.read_job(
        text="deepspeed --num_gpus 8 --num_nodes 2 pretrain_gpt.py --deepspeed --deepspeed_config ds.json "
        "--zero-stage 2 --num-layers 24 --hidden-size 1024 --num-attention-heads 16 --seq-length 2048 --fp16 "
        "--checkpoint-activations --deepspeed-activation-checkpointing --ds-sequence-parallel-size 4 --vocab-size 50257"
    )
    assert (job.framework, job.devices, job.unknown) == ("megatron-deepspeed", 16, ())
    s = job.strategy
    assert (s.zero, s.cp, s.cp_comm.value, s.recompute.value) == (2, 4, "a2a", "full")  # type: ignore[union-attr]


def test_variables_of_the_environment_enter() -> None:
    job = dts.read_job(text=MEGATRON, variables={"TP": "4", "RECOMPUTE": "full"})
    assert (job.strategy.tp, job.strategy.recompute) == (4, dts.Recompute.FULL)


def test_every_problem_has_its_line(tmp_path: Path) -> None:
    script = tmp_path / "bad.sh"
    script.write_text(
        "torchrun pretrain_gpt.py \\\n --num-layers 12 --hidden-size 100 --num-attention-heads 7 \\\n"
        " --tensor-model-parallel-size $TP \\\n --bf16 --fp16 --recompute-granularity some \\\n --seq-length 10x\n",
        encoding="utf-8",
    )
    with pytest.raises(dts.ConfigError) as error:
        dts.read_job(script)
    text = str(error.value)
    for line, part in [
        (2, "--num-attention-heads: got '7', expected a divisor of the hidden size 100"),
        (3, "--tensor-model-parallel-size: got '$TP'"),
        (4, "--fp16: got '--bf16 at"),
        (4, "--recompute-granularity: got 'some', expected one of full, selective"),
        (5, "--seq-length: got '10x'"),
    ]:
        assert f"{script}:{line}: {part}" in text
    assert "the script does not set it" in text


def test_an_option_given_twice_is_a_conflict_and_the_last_counts() -> None:
    line = "pretrain_gpt.py --num-layers 2 --hidden-size 64 --num-attention-heads 4 --seq-length 64 "
    job = dts.read_job(text=f"python {line} --micro-batch-size 1 \\\n --micro-batch-size 2")
    assert job.strategy.micro_batch == 2
    assert job.conflicts == ("command line:2: --micro-batch-size 2 overrides --micro-batch-size 1 of command line:1",)


def test_layer_patterns_and_layouts() -> None:
    line = (
        "python pretrain_gpt.py --num-layers 6 --hidden-size 64 --num-attention-heads 4 --seq-length 64 "
        "--num-experts 4 --moe-layer-freq '([0]*2+[1]*4)' --pipeline-model-parallel-size 2 "
        "--pipeline-model-parallel-layout 'Et|(tt|)*2tL'"
    )
    job = dts.read_job(text=line)
    assert job.model is not None
    assert [run.repeat for run in job.model.layers] == [2, 4]
    assert job.strategy.layers_per_stage == (1, 2, 2, 1)
    with pytest.raises(dts.ConfigError, match="a pattern of 6 layers"):
        dts.read_job(text=line.replace("[1]*4", "[1]*5"))


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("torchrun --nproc_per_node 8 -m torchtitan.train --job.config_file a.toml --training.seq_len 8", "a.toml"),
        ("axolotl train a.yml", "a.yml"),
        ("deepspeed train.py --per_device_train_batch_size 1 --model_name_or_path gpt2 --deepspeed a.json", "a.json"),
    ],
)
@pytest.mark.parametrize("data", [b"\xff\xfea: 1", b"#" * 1_000_001], ids=["no text", "too large"])
def test_a_file_that_a_command_names_cannot_be_read(tmp_path: Path, command: str, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    (tmp_path / "run.sh").write_text(command, encoding="utf-8")
    with pytest.raises(dts.FormatError, match=name):
        dts.read_job(tmp_path / "run.sh")


def test_torchtitan_file_and_flags(tmp_path: Path) -> None:
    (tmp_path / "llama.toml").write_text(
        '[model]\nname = "llama3"\nflavor = "70B"\nconverters = ["float8"]\n[training]\nlocal_batch_size = 4\n'
        "seq_len = 8192\nsteps = 10\n[parallelism]\ntensor_parallel_degree = 8\ndata_parallel_replicate_degree = 2\n"
        '[activation_checkpoint]\nmode = "full"\n[compile]\nenable = true\n[strange]\nkey = 1\n',
        encoding="utf-8",
    )
    job = dts.read_job(tmp_path / "llama.toml", devices=64)
    assert job.strategy == dts.Strategy(
        tp=8, zero=3, dp_replicas=2, micro_batch=4, recompute="full", precision="fp8", sequence_parallel=True
    )
    assert (job.framework, job.unknown[0].where) == ("torchtitan-2025", f"{tmp_path / 'llama.toml'}:17")
    script = tmp_path / "run.sh"
    script.write_text(
        "NGPU=8 CONFIG=llama.toml\ntorchrun --nproc_per_node=8 -m torchtitan.train --job.config_file ./llama.toml "
        "--parallelism.tensor_parallel_degree 4 --training.global_batch_size=32 \\\n"
        "--parallelism.enable_async_tensor_parallel\n",
        encoding="utf-8",
    )
    flags = dts.read_job(script)
    assert (flags.strategy.tp, flags.strategy.global_batch, flags.seq_len) == (4, 32, 8192)
    assert (flags.framework, flags.devices) == ("torchtitan-2025-async-tp", 8)


def test_torchtitan_of_2024_and_2026() -> None:
    old = dts.read_job(
        text="torchrun --nproc_per_node 8 train.py --model.name llama3 --model.flavor 8B --training.batch_size 1 "
        "--training.seq_len 4096 --training.tensor_parallel_degree 2 --experimental.pipeline_parallel_degree 2 "
        "--training.data_parallel_shard_degree 2 --experimental.pipeline_parallel_microbatches 1"
    )
    assert (old.strategy.tp, old.strategy.pp, old.strategy.dp, old.strategy.zero) == (2, 2, 2, 3)
    assert old.strategy.layers_per_stage == (16, 16)
    new = dts.read_job(
        text="torchrun --nproc_per_node 8 -m torchtitan.train --module llama3 --config llama3_8b "
        "--training.num_tokens_per_microbatch_per_dp_rank 16384 --training.max_context_length 8192 "
        "--training.num_tokens_per_train_step 1048576"
    )
    assert (new.framework, new.seq_len, new.strategy.micro_batch, new.strategy.global_batch) == (
        "torchtitan-2026", 8192, 2, 128,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("layers", "stages", "ends", "cut"),
    [(32, 4, (1, 1), (8, 9, 8, 7)), (32, 4, (0, 0), (8, 8, 8, 8)), (126, 8, (1, 1), (15, 16, 16, 16, 16, 16, 16, 15))],
)
def test_torchtitan_cuts_stages(layers: int, stages: int, ends: tuple[int, int], cut: tuple[int, ...]) -> None:
    assert cut_stages(layers, stages, *ends) == cut
    assert sum(cut) == layers


def test_deepspeed_batches_follow_from_any_two() -> None:
    def batch(**content: Any) -> tuple[int, int | None]:
        job = dts.read_job(text=json.dumps({"zero_optimization": {"stage": 2}, **content}), devices=16)
        return job.strategy.micro_batch, job.strategy.global_batch

    assert batch(train_micro_batch_size_per_gpu=2, gradient_accumulation_steps=4) == (2, 128)
    assert batch(train_batch_size=128, gradient_accumulation_steps=4) == (2, 128)
    assert batch(train_batch_size=128, train_micro_batch_size_per_gpu=2) == (2, 128)
    assert batch(train_batch_size="auto") == (1, None)
    with pytest.raises(dts.ConfigError, match="micro-batch x accumulation steps"):
        batch(train_batch_size=100, train_micro_batch_size_per_gpu=2, gradient_accumulation_steps=4)


def test_deepspeed_says_what_its_limits_of_memory_do_not_change() -> None:
    stage = {"stage": 3, "stage3_max_live_parameters": 1e9, "stage3_max_live_params": 5, "reduce_bucket_size": 5e7,
             "stage3_gather_16bit_weights_on_model_save": True}  # fmt: skip
    text = json.dumps({"train_micro_batch_size_per_gpu": 1, "bf16": {"enabled": True}, "zero_optimization": stage})
    job = dts.read_job(text=text, format="deepspeed", devices=8)
    assert [option.name for option in job.unknown] == ["zero_optimization.stage3_max_live_params"]
    assert [option.name for option in job.ignored] == ["zero_optimization.stage3_gather_16bit_weights_on_model_save"]
    noted = " ".join(job.notes)
    assert "stage3_max_live_parameters" in noted
    assert "reduce_bucket_size" in noted


def test_deepspeed_keeps_fp32_weights_with_the_optimizer() -> None:
    """ZeRO-3 on 8 ranks with the optimizer on the host: two bytes of a weight are left on the device."""
    strategy = dts.Strategy(zero=3, offload_optimizer=True, global_batch=8, recompute="full")
    result = dts.simulate(DENSE, "1xdgx-h100", strategy, seq_len=4096, framework="deepspeed", keep_events=False)
    parameters = dts.Model.from_catalog(DENSE).parameters
    assert result.memory[0].categories["weights"] == pytest.approx(2 * parameters / 8, rel=0.01)


def test_overlap_of_tensor_parallelism_is_the_profiles() -> None:
    line = "pretrain_gpt.py --num-layers 2 --hidden-size 256 --num-attention-heads 4 --seq-length 128 --vocab-size 512"
    job = dts.read_job(text=f"torchrun {line} --tp-comm-overlap --tp-comm-bootstrap-backend nccl", devices=8)
    assert not job.unknown
    assert any("--tp-comm-overlap" in note and "tp_overlap='userbuffers'" in note for note in job.notes)


def test_deepspeed_switches() -> None:
    content = {
        "bf16": {"enabled": True},
        "zero_optimization": {
            "stage": 3,
            "offload_optimizer": {"device": "cpu", "pin_memory": True},
            "offload_param": {"device": "cpu"},
            "zero_hpz_partition_size": 8,
            "brand_new_key": 1,
        },
        "steps_per_print": 10,
    }
    job = dts.read_job(text=json.dumps(content, indent="\t"))
    assert job.strategy == dts.Strategy(
        zero=3, offload_optimizer=True, offload_parameters=True, reshard_after_forward=8, sequence_parallel=False
    )
    assert [(o.name, o.where) for o in job.unknown] == [("zero_optimization.brand_new_key", "command line:15")]
    assert [o.name for o in job.ignored] == ["zero_optimization.offload_optimizer.pin_memory", "steps_per_print"]


def test_accelerate_kinds() -> None:
    fsdp = dts.read_job(
        text="distributed_type: FSDP\nmixed_precision: bf16\nnum_processes: 16\nnum_machines: 2\nfsdp_config:\n"
        "  fsdp_sharding_strategy: SHARD_GRAD_OP\n  fsdp_activation_checkpointing: true\n  fsdp_offload_params: false\n"
    )
    assert fsdp.strategy == dts.Strategy(zero=3, reshard_after_forward=False, recompute="full")
    assert (fsdp.devices, fsdp.devices_per_node, fsdp.framework) == (16, 8, "torchtitan-eager")
    assert fsdp.notes == ("FSDP is simulated with the constants of torchtitan",)
    deepspeed = dts.read_job(
        text="distributed_type: DEEPSPEED\nmixed_precision: bf16\ndeepspeed_config: {zero_stage: 2}\n"
    )
    assert (deepspeed.strategy.zero, deepspeed.framework) == (2, "deepspeed")
    ddp = dts.read_job(text="distributed_type: MULTI_GPU\nmixed_precision: 'no'\n")
    assert (ddp.strategy.zero, ddp.strategy.precision.value, ddp.framework) == (0, "fp32", "pytorch-ddp")  # type: ignore[union-attr]


TRAINER = """accelerate launch --config_file fsdp.yaml train.py \\
    --model_name_or_path meta-llama/Llama-3.1-8B-Instruct --per_device_train_batch_size 2 \\
    --gradient_accumulation_steps 4 --gradient_checkpointing --bf16 --max_seq_length 4096 --optim adamw_torch_fused \\
    --learning_rate 1e-5 --max_steps 100 --brand_new 1
"""
FSDP = """distributed_type: FSDP
mixed_precision: bf16
num_processes: 16
num_machines: 2
strange: 1
fsdp_config: {fsdp_sharding_strategy: SHARD_GRAD_OP, fsdp_use_orig_params: true}
"""


def test_misspelt_options_are_told_with_the_nearest_known(tmp_path: Path) -> None:
    command = "torchrun --nproc_per_node 8 sft.py --model_name_or_path gpt2 --per_device_train_batch_size 1 "
    job = dts.read_job(text=command + "--gradient_acumulation_steps 4 --warmup_ration 0.1 --warmup_ratio 0.1 --odd 3")
    assert [option.complaint.split("in the job: ")[1] for option in job.unknown] == [
        "gradient_acumulation_steps 4; did you mean gradient_accumulation_steps?",
        "warmup_ration 0.1; did you mean warmup_ratio?",
        "odd 3",
    ]
    assert [option.name for option in job.ignored] == ["warmup_ratio"]
    toml = "[model]\nname = 'llama3'\nflavor = '8B'\n[parallelism]\ncontxt_parallel_degree = 2\n"
    (tmp_path / "llama.toml").write_text(toml, encoding="utf-8")
    (found,) = dts.read_job(tmp_path / "llama.toml", devices=8).unknown
    assert found.near == "parallelism.context_parallel_degree"


def test_hugging_face_trainer(tmp_path: Path) -> None:
    (tmp_path / "run.sh").write_text(TRAINER, encoding="utf-8")
    (tmp_path / "fsdp.yaml").write_text(FSDP, encoding="utf-8")
    job = dts.read_job(tmp_path / "run.sh")
    assert job.model == dts.Model.from_catalog("llama-3.1-8b")
    assert job.strategy == dts.Strategy(
        zero=3, reshard_after_forward=False, micro_batch=2, global_batch=2 * 4 * 16, recompute="full",
        optimizer_kernels="fused",
    )  # fmt: skip
    assert (job.format, job.framework, job.devices, job.seq_len) == ("hf-trainer", "torchtitan-eager", 16, 4096)
    assert job.train_tokens == 100 * 128 * 4096
    assert [option.name for option in job.unknown] == ["brand_new", "strange"]
    (tmp_path / "fsdp.yaml").unlink()
    assert "was not found" in " ".join(dts.read_job(tmp_path / "run.sh", devices=8).notes)


def test_trainer_with_deepspeed_and_adapters(tmp_path: Path) -> None:
    content = {"zero_optimization": {"stage": 2, "overlap_comm": True}, "bf16": {"enabled": "auto"}, "odd": 1,
               "train_micro_batch_size_per_gpu": "auto"}  # fmt: skip
    (tmp_path / "ds.json").write_text(json.dumps(content), encoding="utf-8")
    path = tmp_path / "sft.yaml"
    path.write_text(
        "model_name_or_path: Qwen/Qwen2.5-7B-Instruct\nper_device_train_batch_size: 4\nbf16: true\n"
        "deepspeed: ds.json\ncutoff_len: 2048\nfinetuning_type: lora\nlora_rank: 16\nlora_target: q_proj,v_proj\n",
        encoding="utf-8",
    )
    job = dts.read_job(path, devices=8)
    assert job.model is not None
    assert job.model.name == "qwen2.5-7b-lora16"
    assert (job.strategy.zero, job.strategy.overlap_grad_reduce, job.strategy.overlap_param_gather) == (2, True, False)
    assert (job.strategy.precision.value, job.strategy.global_batch, job.framework) == ("bf16", 32, "deepspeed")  # type: ignore[union-attr]
    assert [option.name for option in job.unknown] == ["odd"]


def test_trainer_with_fsdp_words() -> None:
    line = "torchrun --nproc_per_node 8 sft.py --model_name_or_path ./here --per_device_train_batch_size 1 --fp16 "
    job = dts.read_job(text=line + "--fsdp 'full_shard auto_wrap offload' --max_length 512")
    assert job.strategy == dts.Strategy(
        zero=3, offload_optimizer=True, offload_parameters=True, precision="fp16", global_batch=8
    )
    assert job.model is None
    plain = dts.read_job(text=line.replace("--fp16", "--bf16 true"))
    assert (plain.framework, plain.strategy.zero, plain.seq_len) == ("pytorch-ddp", 0, None)
    with pytest.raises(dts.ConfigError, match="--fsdp: got '--deepspeed at"):
        dts.read_job(text=line + "--deepspeed x.json --fsdp full_shard")


def test_axolotl_and_switches_that_are_off() -> None:
    text = (
        "base_model: Qwen/Qwen3-8B\nmicro_batch_size: 2\ngradient_accumulation_steps: 4\nsequence_len: 4096\n"
        "bf16: auto\nfp16: false\ntf32: false\noptimizer: lion\ngradient_checkpointing: offload\nfsdp_version: 2\n"
        "fsdp_config:\n  offload_params: true\n  reshard_after_forward: false\n  auto_wrap_policy: X\n"
    )
    job = dts.read_job(text=text, devices=8)
    assert job.strategy == dts.Strategy(
        zero=3, reshard_after_forward=False, offload_optimizer=True, offload_parameters=True, micro_batch=2,
        global_batch=64, recompute="full",
    )  # fmt: skip
    assert (job.model, job.seq_len, job.unknown) == (dts.Model.from_catalog("qwen3-8b"), 4096, ())
    assert "simulated as Adam" in " ".join(job.notes)


def test_commands_of_training_tools(tmp_path: Path) -> None:
    (tmp_path / "sft.yml").write_text(
        "base_model: Qwen/Qwen3-8B\nmicro_batch_size: 2\nsequence_len: 4096\nbf16: true\n", encoding="utf-8"
    )
    (tmp_path / "run.sh").write_text("axolotl train sft.yml --micro_batch_size 4\n", encoding="utf-8")
    job = dts.read_job(tmp_path / "run.sh", devices=8)
    assert (job.format, job.strategy.micro_batch, job.seq_len) == ("hf-trainer", 4, 4096)
    line = "llamafactory-cli train --model_name_or_path Qwen/Qwen3-8B --bf16 --cutoff_len 2048 --lora_rank 8"
    factory = dts.read_job(text=line)
    assert factory.model is not None
    assert (factory.model.name, factory.seq_len) == ("qwen3-8b-lora8", 2048)
    later = "model: Qwen/Qwen3-8B\nmicro_batch_size: 1\ncutoff_len: 2048\ndist_config: {name: fsdp2, dcp_path: null}\n"
    job = dts.read_job(text=later)
    assert (job.model, job.strategy.zero, job.framework) == (dts.Model.from_catalog("qwen3-8b"), 3, "torchtitan-eager")


def test_commands_that_name_their_configuration(tmp_path: Path) -> None:
    written = dts.write_job("nanotron", DENSE, CLUSTER, dts.Strategy(zero=0, overlap_param_gather=False), seq_len=4096)
    (tmp_path / "config.yaml").write_text(written.text, encoding="utf-8")
    (tmp_path / "run.sh").write_text(
        "torchrun --nproc_per_node=8 run_train.py --config-file config.yaml\n", encoding="utf-8"
    )
    job = dts.read_job(tmp_path / "run.sh")
    assert (job.format, job.model, job.devices) == ("nanotron", dts.Model.from_catalog(DENSE), 64)
    (tmp_path / "config.yaml").unlink()
    with pytest.raises(dts.MissingDataError, match=r"config\.yaml"):
        dts.read_job(tmp_path / "run.sh")
    (tmp_path / "sft.yaml").write_text("base_model: Qwen/Qwen3-8B\nmicro_batch_size: 2\nbf16: true\n", encoding="utf-8")
    (tmp_path / "run.sh").write_text("accelerate launch src/train.py sft.yaml\n", encoding="utf-8")
    assert dts.read_job(tmp_path / "run.sh").strategy.micro_batch == 2


def test_bloom_of_bigscience() -> None:
    line = (
        "python pretrain_gpt.py --deepspeed --num-layers 70 --hidden-size 14336 --num-attention-heads 112 "
        "--seq-length 2048 --position-embedding-type alibi --embed-layernorm --pad-vocab-size-to 250880 --bf16 "
        "--attention-dropout 0 --hidden-dropout 0 --pp-partition-method 'type:transformer|embedding' "
        "--tensor-model-parallel-size 4 --pipeline-model-parallel-size 12 --checkpoint-activations --zero-stage 1"
    )
    job = dts.read_job(text=line)
    assert job.model == dts.Model.from_catalog("bloom-176b")
    assert (job.strategy.embedding_as_layer, job.strategy.loss_as_layer, job.unknown) == (True, True, ())
    with pytest.raises(dts.ConfigError, match=r"a norm behind its token table[\s\S]*another position embedding"):
        dts.write_job("megatron-lm", "bloom-176b", CLUSTER, dts.Strategy(), seq_len=2048)


@pytest.mark.parametrize(
    ("name", "text", "error", "part"),
    [
        ("a.sh", "python tools/sync.py --repo x --patterns y\n", dts.FormatError, "no options of Megatron-LM"),
        ("a.yaml", "model: x\nmodel_class: y\n", dts.FormatError, "got keys model, model_class"),
        ("a.yaml", "a: 1\n", dts.FormatError, "a job file, or one of deepspeed, nanotron, accelerate, hf-trainer"),
        ("config.json", '{"model_type": "llama"}', dts.FormatError, "given as the model"),
        ("a.yaml", "model: &x {a: 1}\nparallelism: *x\n", dts.FormatError, "aliases"),
        ("a.yaml", "model: 1\nmodel: 2\n", dts.FormatError, "given at line 1 already"),
        ("a.json", "{" * 2000, dts.FormatError, "nest"),
        ("a.yaml", "distributed_type: TPU\n", dts.ConfigError, "a.yaml:1: distributed_type: got 'TPU'"),
        ("a.sh", "echo hello\n", dts.FormatError, "starts a Python program"),
        ("a.sh", "\x00\xff", dts.FormatError, "starts a Python program"),
        ("a.toml", "[a\n", dts.FormatError, "no valid TOML"),
        (
            "a.sh",
            "python train.py --num-layers 99999999 --hidden-size 8 --num-attention-heads 1",
            dts.ConfigError,
            "4096",
        ),
    ],
)
def test_files_that_are_no_jobs(tmp_path: Path, name: str, text: str, error: type[Exception], part: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(error, match="(?s).*" + part.replace("(", r"\(")):
        dts.read_job(path)


def test_arguments_are_checked(tmp_path: Path) -> None:
    with pytest.raises(dts.MissingDataError, match=r"nope\.sh"):
        dts.read_job(tmp_path / "nope.sh")
    with pytest.raises(dts.ConfigError, match="both or neither"):
        dts.read_job()
    with pytest.raises(dts.ConfigError, match="did you mean megatron"):
        dts.read_job(text="x", format="megatron")
    with pytest.raises(dts.ConfigError, match="format: got 'x'"):
        dts.write_job("x", DENSE, CLUSTER, dts.Strategy(), seq_len=1024)
    (tmp_path / "large.sh").write_bytes(b"#" * 1_000_001)
    with pytest.raises(dts.FormatError, match="larger than"):
        dts.read_job(tmp_path / "large.sh")


WORDS = [
    *(f"--{name}" for name in OPTIONS["megatron-lm"][::9]),
    *("--num-layers", "--hidden-size", "--swiglu", "--training.seq_len", "model.num_layers=4", "a=b", "$A"),
    *("1", "8", "-1", "0.5", "1e400", "x", "'", "[1]*3", "\\\n", "9" * 30),
]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(WORDS), max_size=12),
    st.sampled_from(["megatron-lm", "megatron-bridge", "torchtitan", "hf-trainer"]),
)
def test_any_command_is_read_or_refused(words: list[str], format: str) -> None:
    line = "torchrun pretrain_gpt.py --num-layers 4 --hidden-size 64 --num-attention-heads 4 --seq-length 64 "
    assert read_or_reason(line + " ".join(words), format)


def read_or_reason(text: str, format: str) -> str:
    """The format of a job that can be read, else the reason why not; anything but a `DtsError` fails."""
    try:
        return str(dts.read_job(text=text, format=format).to_dict()["format"])
    except dts.DtsError as error:
        return str(error)


scalars = st.one_of(st.none(), st.booleans(), st.integers(-(10**25), 10**25), st.floats(), st.text(max_size=8))
nested = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
    ["stage", "device", "enabled", "tp", "dp", "model_config", "hidden_size", "num_hidden_layers", "zero_stage"]
), inner, max_size=3), max_leaves=8)  # fmt: skip
TOP = ["zero_optimization", "bf16", "train_batch_size", "parallelism", "model", "tokens", "optimizer", "fsdp_config",
       "distributed_type", "mixed_precision", "num_processes"]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(TOP), nested, max_size=5), st.sampled_from(READ_FORMATS[4:] + READ_FORMATS[:1]))
def test_any_configuration_is_read_or_refused(content: dict[str, Any], format: str) -> None:
    assert read_or_reason(json.dumps(content), format)
