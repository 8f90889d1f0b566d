"""Rows of measured runs: reading, mapping to jobs, errors and their summary."""

from __future__ import annotations

import contextlib
import gzip
import json
import math
from collections.abc import Mapping
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import dist_training_sim as dts
import pytest
from dist_training_sim.errors import ConfigError, FormatError, MissingDataError
from dist_training_sim.frameworks import FrameworkDefaults
from dist_training_sim.models import Model
from dist_training_sim.parallel import ContextComm, Dispatcher, Fp8Recipe, Recompute, RecomputeModule
from dist_training_sim.validation import Row, corpus, job_of, pool, read_rows, validate
from dist_training_sim.validation.adapters import low_rank
from dist_training_sim.validation.row_cluster import Network, cluster_of, network_of
from dist_training_sim.validation.row_framework import framework_of, profile_of
from dist_training_sim.validation.row_model import model_of
from dist_training_sim.validation.row_stages import chunks_of, layers_before_prediction, layers_by_cost
from dist_training_sim.validation.summary import percentile
from hypothesis import given, settings
from hypothesis import strategies as st

SAMPLE = Path(__file__).parent / "fixtures" / "runs_sample.jsonl"
ROWS = {row.id: row for row in read_rows(SAMPLE)}
PLAIN = FrameworkDefaults()
LLAMA_8B: dict[str, Any] = {
    "name": "Llama 3 8B",
    "kind": "dense",
    "layers": 32,
    "hidden": 4096,
    "heads": 32,
    "kv_heads": 8,
    "head_dim": 128,
    "ffn": 14336,
    "gated": True,
    "vocab": 128256,
    "tied_embeddings": False,
}
DATA: dict[str, Any] = {
    "id": "ours",
    "source": {"title": "Ours"},
    "model": LLAMA_8B,
    "seq": 4096,
    "global_batch": 64,
    "micro_batch": 1,
    "parallel": {"tp": 2, "pp": 2},
    "hardware": {"gpus": 8},
    "accelerator": "H100-SXM-80GB",
    "framework": "megatron-lm",
    "precision_family": "bf16",
    "measured": {"step_time_s": 1.5},
    "use": {"step_time": "A"},
}


def row(**changes: Any) -> Row:
    data = {
        key: {**DATA[key], **value} if isinstance(DATA.get(key), dict) and isinstance(value, Mapping) else value
        for key, value in changes.items()
    }
    return Row("ours", {**DATA, **data})


def find(part: str) -> Row:
    (found,) = (row for name, row in ROWS.items() if part in name)
    return found


# ---- reading ---------------------------------------------------------------------------------------------------------


def test_bad_lines_become_rows_with_reasons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "MAX_LINE_BYTES", 600)
    lines = [
        b'{"id": "a"}',
        b"",
        b"{",
        b"[1]",
        b"\xff",
        b'{"id": 7, "x": "' + b"y" * 2000 + b'"}',
        b'{"id": 7}',
        b"[" * 500,
    ]
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\n".join(lines))
    rows = read_rows(path)
    assert [row.id for row in rows] == ["a", "line 3", "line 4", "line 5", "line 6", "line 7", "line 8"]
    assert [bool(row.problem) for row in rows] == [False, True, True, True, True, False, True]
    assert "longer than 600 bytes" in rows[4].problem
    report = validate(path)
    assert not any(row.included for row in report.rows)
    assert all(row.reason for row in report.rows)


def test_file_problems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingDataError, match="no-such"):
        read_rows(tmp_path / "no-such.jsonl")
    broken = tmp_path / "rows.jsonl.gz"
    broken.write_bytes(b"no gzip")
    with pytest.raises(FormatError, match="cannot be read"):
        read_rows(broken)
    broken.write_bytes(gzip.compress(b'{"id": "a"}\n{"id": "b"}')[:-6])
    with pytest.raises(FormatError, match="cannot be read"):
        read_rows(broken)
    broken.write_bytes(gzip.compress(b'{"id": "a"}\n{"id": "b"}'))
    assert [row.id for row in read_rows(broken)] == ["a", "b"]
    monkeypatch.setattr(corpus, "MAX_ROWS", 1)
    with pytest.raises(FormatError, match="more than 1 rows"):
        read_rows(broken)


def test_values_of_another_type_are_unknown() -> None:
    odd = Row(
        "odd", {"a": {"b": 8.0, "c": "8", "d": True, "e": math.nan, "f": -1, "g": 2.5, "h": 10**400}, "w": ["A-b", 1]}
    )
    assert [odd.count(f"a.{key}") for key in "bcdefgh"] == [8, None, None, None, None, None, None]
    assert [odd.number(f"a.{key}") for key in "bcdefgh"] == [8, None, None, None, -1, 2.5, None]
    assert odd.flag("a.d") is True
    assert odd.flag("a.b") is None
    assert odd.text("a.c") == "8"
    assert odd.text("a.b") == ""
    assert odd.text("a.c.x") == ""
    assert odd.text("x.y.z") == ""
    assert odd.words("w") == ("a_b",)
    assert odd.words("a") == ()
    assert odd.section("a")
    assert odd.section("w") is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(
    changes=st.dictionaries(st.sampled_from(sorted(DATA)), JSON, min_size=1, max_size=3),
    key=st.text(max_size=8),
    deep=JSON,
)
def test_no_row_raises_anything_but_our_errors(changes: dict[str, Any], key: str, deep: Any) -> None:
    for data in ({**DATA, **changes}, {**DATA, "model": {**LLAMA_8B, key or "layers": deep}}):
        with contextlib.suppress(dts.DtsError):
            job_of(Row("fuzz", data))


DEFERRED = {"features": ["defer_embedding_wgrad"]}
TORCHAO_MI300X = {"source": {"where": "AMD MI300X"}}  # a table whose versions are of August 2025

# ---- framework -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("framework", "software", "more", "expected"),
    [
        ("megatron-lm", "Megatron-LM Apr 2021", {}, "megatron-lm-2021"),
        ("megatron-lm", "Megatron-LM 2022", {}, "megatron-lm-2022"),
        ("megatron-lm", "Megatron-LM fork (sail-sg)", {}, "zero-bubble"),
        ("megatron-lm", "Megatron-LM CI (golden_values_dev_dgx_h100)", {}, "megatron-core-ci"),
        ("megatron-lm", "Megatron-LM 23e00ed, TE 2.11.0", {}, "megatron-core"),
        ("megatron-deepspeed", "Megatron-DeepSpeed", {"precision_family": "fp16"}, "megatron-deepspeed"),
        ("megatron-deepspeed", "Megatron-DeepSpeed", {"precision_family": "bf16"}, "megatron-deepspeed-bf16"),
        (
            "megatron-deepspeed",
            "Megatron-DeepSpeed",
            {"precision_family": "bf16", "source": {"title": "BigScience tr11-176B-ml chronicles (BLOOM)"}},
            "megatron-deepspeed-bf16-blocking",
        ),
        ("megatron-deepspeed", "Deepspeed N8", {"features": ["deepspeed_zero3"]}, "deepspeed"),
        ("nemo", "NeMo 24.07 container (2024-08-14)", {}, "nemo-24"),
        ("nemo", "MLPerf Training v5.0; PyTorch NVIDIA Release 23.09", {}, "nemo-25"),
        ("nemo", "MLPerf Training v5.1", {"model": {"name": "Llama-3.1-8B (MLPerf)"}}, "nemo-25-fused"),
        ("nemo", "MLPerf Training v5.1", {"model": {"name": "Llama-3.1-8B (MLPerf)"}} | DEFERRED, "nemo-25.09"),
        (None, "MLPerf Training v5.0; LLMBoost 1.1.0; rocm=6.4.0", {}, "nemo-25"),
        (None, "MLPerf Training v3.0; synapseAI", {"features": ["deepspeed_pipeline"]}, "megatron-core"),
        ("torchtitan", "torchtitan 9dec370, torchao eab345c", {}, "torchtitan-eager"),
        ("torchtitan", "torchtitan 9dec370", {"features": ["torch_compile"]}, "torchtitan"),
        ("torchtitan", "torchtitan e7c0cae (NGC 25.05)", {"features": ["torch_compile"]}, "torchtitan-2025"),
        ("torchtitan", "torchtitan 2025-03", {"features": ["torch_compile"]}, "torchtitan"),
        ("torchtitan", "torchtitan 2025-06", {"features": ["torch_compile", "async_tp"]}, "torchtitan-2025-async-tp"),
        ("torchtitan", "torchao+torchtitan", {}, "torchtitan-eager"),
        ("torchtitan", "torchao+torchtitan", {"features": ["torch_compile"]} | TORCHAO_MI300X, "torchtitan-2025"),
        ("maxtext", "MaxText 2026", {"accelerator": "TPU-v6e"}, "maxtext"),
        ("maxtext", "MaxText 2026", {}, "maxtext-gpu"),
        (
            "megatron-bridge",
            "NeMo container 26.08",
            {"accelerator": "GB300", "precision_family": "mxfp8"},
            "megatron-bridge-26.06",
        ),
        (
            "megatron-bridge",
            "NeMo container 26.04.01",
            {"accelerator": "GB300", "precision_family": "mxfp8"},
            "megatron-bridge-26.02",
        ),
        ("megatron-bridge", "NeMo container 26.08", {"precision_family": "fp8"}, "megatron-bridge-26.02"),
        ("megatron-bridge", "NeMo container 25.11", {"precision_family": "fp8"}, "megatron-bridge"),
        ("megatron-bridge", "Megatron-Bridge", {}, "megatron-bridge-26.02"),
        ("gpt-neox", "", {}, "gpt-neox"),
        ("megatron-lm", "MLPerf Training v5.1; NeMo 2.1.0, Megatron-LM", {}, "nemo-25.09"),
        ("something new", "", {}, "megatron-core"),
    ],
)
def test_framework_and_era(framework: str | None, software: str, more: dict[str, Any], expected: str) -> None:
    assert framework_of(row(framework=framework, software=software, **more)) == expected


def test_features_change_facts() -> None:
    captured = profile_of(row(framework="nemo", features=["full_iteration_cuda_graph", "bf16_grad_sync"]))
    assert captured.host_forward_s_per_op == captured.host_backward_s_per_op == 0
    assert captured.grad_reduce_bytes == 2
    assert profile_of(row(framework="nemo")).host_forward_s_per_op > 0
    buffers = {"framework": "megatron-bridge", "features": ["tp_comm_overlap_cfg=userbuffers_fp8_b200"]}
    assert profile_of(row(**buffers, precision_family="fp8")).tp_overlap == "userbuffers"
    assert profile_of(row(**buffers, precision_family="nvfp4")).tp_overlap == "none"
    narrow = profile_of(row(framework="nemo", features=["fp8_attention", "fp8_param_gather"]))
    assert (narrow.attention_kernel, narrow.cast_parameters) == ("cudnn_fp8", True)


def test_stated_scaling_of_eight_bits() -> None:
    def recipe(precision: str, framework: str = "nemo") -> str:
        found = row(framework=framework, precision_family="fp8", precision=precision)
        return str(Fp8Recipe(job_of(found).strategy.fp8_recipe).value)

    assert recipe("fp8 (tensorwise scaling)") == "tensorwise"
    assert recipe("fp8 (hybrid, delayed scaling)", "megatron-bridge") == "delayed"
    assert (recipe("fp8"), recipe("fp8", "megatron-bridge")) == ("delayed", "tensorwise")  # the framework's


# ---- cluster ---------------------------------------------------------------------------------------------------------


def test_devices_that_a_source_describes_elsewhere() -> None:
    torchao = {"source": {"url_or_repo_path": "pytorch/ao docs/source/workflows/training.md"}}
    assert cluster_of(row()).node.device.name == "h100-sxm5-80gb"
    assert cluster_of(row(**torchao)).node.device.name == "h100-sxm5-96gb"  # Meta's variant
    whole = cluster_of(row(accelerator="B200-SXM")).node.device
    capped = cluster_of(row(accelerator="B200-SXM", hardware={"gpu": "B200 (power limited)", "gpus": 8})).node.device
    assert (whole.power_w, capped.power_w) == (1000, 750)
    assert capped.rates["bf16"].sustained_share == pytest.approx(whole.rates["bf16"].sustained_share * 0.75**0.6)


@pytest.mark.parametrize(
    ("text", "devices", "expected"),
    [
        ("Jean Zay: NVLink in node, 4 Omni-Path links per node", 8, Network(4, 12.5e9, "omni-path")),
        ("4 GPUs/node, NVLink in node, Omni-Path 400 Gb/s per node", 4, Network(4, 12.5e9, "omni-path")),
        ("150 GB/s intra-node, 800 Gb/s per node inter-node", 8, Network(4, 25e9, None)),
        ("1600 Gb/s node-node RoCE", 8, Network(8, 25e9, "roce")),
        ("NVLink in host, 400 Gb/s RDMA per GPU", 8, Network(8, 50e9, None)),
        (
            "Storage: 2x ConnectX-7 IB NDR 400Gb/s, Compute: 4x ConnectX-7 IB NDR 200Gb/s, Management: 100Gb/s NIC",
            8,
            Network(4, 25e9, "infiniband"),
        ),
        ("accelerator_interconnect: 2x 400Gbe Ethernet | host_networking: Gig Ethernet", 8, Network(2, 50e9, "roce")),
        (
            "topology: 8x Slingshot 200Gb PCIe NIC, 8x HPE InfiniBand NDR/Ethernet 400Gb adapter",
            8,
            Network(8, 50e9, "infiniband"),
        ),
        ("18xNVLink 25GB/s + 4xNVSwitch", 8, Network()),
        ("6 x NetXtreme-E 10Gb/25Gb/200Gb Ethernet", 8, Network(6, 25e9, "roce")),
        ("NVL72 (DGX GB200)", 4, Network()),
        ("", 8, Network()),
    ],
)
def test_network_text(text: str, devices: int, expected: Network) -> None:
    assert network_of(text, devices) == expected


def test_clusters() -> None:
    part = cluster_of(row(hardware={"gpus": 4}))
    assert (part.nodes, part.node.devices, part.device_count) == (1, 4, 4)
    whole = cluster_of(row(hardware={"gpus": 64, "interconnect": "4x ConnectX-7 IB NDR 400Gb/s"}))
    assert (whole.nodes, whole.node.nics, whole.node.nic_Bps) == (8, 4, 50e9)
    half_nodes = cluster_of(row(accelerator="V100-SXM-32GB", hardware={"gpus": 8, "gpus_per_node": 4}))
    assert (half_nodes.nodes, half_nodes.node.devices, half_nodes.node.nics) == (2, 4, 2)
    tpu = cluster_of(row(accelerator="TPU-v6e", hardware={"gpus": 16, "interconnect": "8x 400Gb Ethernet"}))
    assert tpu.node.nic_Bps == 25e9  # text about cards is not about a TPU's own links


@pytest.mark.parametrize(("gpus", "domain"), [(8, 8), (64, 64), (72, 72), (144, 72), (256, 64), (512, 64), (1024, 64)])
def test_jobs_take_equal_segments_of_racks(gpus: int, domain: int) -> None:
    assert cluster_of(row(accelerator="GB200", hardware={"gpus": gpus})).domain_devices == domain


def test_cluster_problems() -> None:
    with pytest.raises(MissingDataError, match=r"hardware\.gpus"):
        cluster_of(row(hardware={"gpus": None}))
    with pytest.raises(ConfigError, match="multiple of 8"):
        cluster_of(row(hardware={"gpus": 12}))
    with pytest.raises(ConfigError):
        cluster_of(row(accelerator="no such chip"))
    with pytest.raises(MissingDataError, match="nics"):
        cluster_of(row(accelerator="H100-PCIe-80GB", hardware={"gpus": 16}))


# ---- model -----------------------------------------------------------------------------------------------------------


def shape(name: str, **sizes: Any) -> Row:
    base = {"name": name, "kind": "dense", "gated": True, "tied_embeddings": False}
    return Row("shape", {**DATA, "seq": 4096 if name == "GPT" else 512, "model": {**base, **sizes}})


MLA = {"q_lora": 1536, "kv_lora": 512, "qk_nope": 128, "qk_rope": 64, "v": 128}
SHAPES = {
    "llama-3.1-8b": shape(**LLAMA_8B),
    "mixtral-8x7b": shape(
        "Mixtral 8x7B", layers=32, hidden=4096, heads=32, kv_heads=8, vocab=32000, experts=8, topk=2, moe_ffn=14336
    ),
    "qwen3-30b-a3b": shape(
        "Qwen3-30B-A3B",
        layers=48,
        hidden=2048,
        heads=32,
        kv_heads=4,
        head_dim=128,
        vocab=151936,
        experts=128,
        topk=8,
        moe_ffn=768,
    ),
    "deepseek-v3": shape(
        "DeepSeek-V3 671B",
        layers=61,
        hidden=7168,
        heads=128,
        kv_heads=128,
        ffn=18432,
        vocab=129280,
        experts=256,
        topk=8,
        moe_ffn=2048,
        shared_experts=1,
        dense_layers=3,
        mla=MLA,
    ),
    "gpt-oss-120b": shape(
        "gpt-oss-120b",
        layers=36,
        hidden=2880,
        heads=64,
        kv_heads=8,
        head_dim=64,
        vocab=201088,
        experts=128,
        topk=4,
        moe_ffn=2880,
    ),
    "mpt-7b": shape(
        "MPT 7b", layers=32, hidden=4096, heads=32, ffn=16384, vocab=50432, gated=False, tied_embeddings=True
    ),
    "bloom-7.1b": shape(
        "BLOOM 7B", layers=30, hidden=4096, heads=32, ffn=16384, vocab=250880, gated=False, tied_embeddings=True
    ),
    "bert-large": shape("BERT-large", layers=24, hidden=1024, heads=16, ffn=4096, vocab=30522, gated=False),
    "resnet-50": shape("ResNet-50 v1.5 (MLPerf)"),
}


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_give_the_models_of_the_catalogue(name: str) -> None:
    model, known = model_of(SHAPES[name], PLAIN), Model.from_catalog(name)
    assert (model.parameters, model.active_parameters) == (known.parameters, known.active_parameters)
    assert [run.repeat for run in model.layers] == [run.repeat for run in known.layers]


def test_gpt_by_hand() -> None:
    sizes = {"layers": 2, "hidden": 256, "heads": 4, "vocab": 1000, "gated": False, "tied_embeddings": True}
    model = model_of(shape("GPT", **sizes), FrameworkDefaults(dropout=True))
    layer = 12 * 256**2 + 13 * 256  # four square matrices and two of 4 x 256, biases, two norms
    assert model.parameters == 2 * layer + 2 * 256 + (1000 + 4096) * 256  # padded by the simulator; 4096 positions
    assert any(op.kind.value == "dropout" for op in model.layers[0].block.ops)
    assert model_of(shape("GPT", **{**sizes, "vocab": None}), PLAIN).head.op("lm_head").out_features == 50_257


def test_options_of_megatron_fill_a_shape() -> None:
    found = find("fine_grained_offloading")
    model = model_of(found, PLAIN)
    assert [run.repeat for run in model.layers] == [3, 12]  # moe-layer-freq=([0]*3+[1]*12)
    moe = model.layers[1].block
    assert moe.op("kv_down").out_features == 512 + 64
    assert moe.op("shared_up").out_features == 2 * 1024
    assert all(op.trainable for op in moe.ops)  # its `lora` flag is the rank of latent attention


def test_adapters_by_hand() -> None:
    model = low_rank(Model.from_catalog("llama-2-7b"), rank=16)
    trained = [op for run in model.layers for op in run.block.ops if op.trainable for _ in range(run.repeat)]
    assert sum(op.parameters for op in trained) == 32 * 16 * ((4096 + 3 * 4096) + (4096 + 4096))
    assert not any(op.trainable for op in (*model.stem.ops, *model.head.ops))
    assert model.parameters - sum(op.parameters for op in trained) == Model.from_catalog("llama-2-7b").parameters
    assert model_of(row(features=["lora"]), PLAIN) == low_rank(model_of(row(), PLAIN))
    task, recipe = (
        model_of(row(features=["lora"], framework="nemo", software=software), PLAIN).layers[0].block
        for software in ("MLPerf Training v5.0; NeMo 24.12", "NeMo 24.07")
    )
    names = [[op.name for op in block.ops if op.trainable and op.parameters] for block in (task, recipe)]
    assert names == [["qkv_down", "qkv_up_lora", "proj_down", "proj_up_lora"], ["qkv_down", "qkv_up_lora"]]
    assert (task.op("qkv_down").out_features, recipe.op("qkv_down").out_features) == (16, 32)
    assert model_of(row(model={"name": "Llama-2-70B LoRA r16"}), PLAIN).parameters > model_of(row(), PLAIN).parameters


@pytest.mark.parametrize(
    ("name", "match"), [("t5 t5_11b", "encoder-decoder"), ("hybrid x", "state-space"), ("mimo x", "tower")]
)
def test_architectures_that_cannot_be_expressed(name: str, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        model_of(row(model={"name": name}), PLAIN)


def test_missing_sizes_are_listed_together() -> None:
    with pytest.raises(MissingDataError) as caught:
        model_of(shape("GPT", hidden=256), PLAIN)
    assert "model.layers" in str(caught.value)
    assert "model.heads" in str(caught.value)


# ---- job -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("layers", "pp", "chunks"), [(40, 4, 10), (94, 4, 24), (126, 8, 16), (61, 16, 1), (30, 4, 8)])
def test_one_layer_per_chunk(layers: int, pp: int, chunks: int) -> None:
    assert chunks_of(layers, pp) == chunks


def test_stages_by_cost() -> None:
    wide = model_of(shape("GPT", layers=8, hidden=256, heads=4, vocab=12 * 256 * 2, gated=False), PLAIN)
    # a layer costs 12 x 256^2, the head two of them: shares of 10 / 2 = 5; the fifth does not pass 5, the sixth does
    assert layers_by_cost(wide, 2) == (6, 2)
    assert layers_by_cost(wide, 1) == (8,)
    assert sum(layers_by_cost(wide, 8)) == 8


def test_prediction_module_of_deepseek_v3() -> None:
    """Recipes have it unless a row says otherwise; stages fill from the front to leave it room."""
    told: dict[str, Any] = {"framework": "megatron-bridge", "parallel": {"pp": 4, "vpp": 4, "tp": 1}}
    names = {"DeepSeek-V3 671B": 2, "DeepSeek-V3 671B (w/o MTP)": 0, "Llama 3 8B": 0}
    for name, blocks in names.items():
        job = job_of(row(model={**LLAMA_8B, "name": name, "layers": 31}, **told))
        assert len(job.model.prediction) == blocks, name
    job = job_of(row(model={**LLAMA_8B, "name": "DeepSeek-V3 671B", "layers": 31}, **told))
    assert job.strategy.layers_per_stage == (2,) * 15 + (1,)
    assert layers_before_prediction(61, 32) == (2,) * 30 + (1, 0)
    assert not job_of(row(model={**LLAMA_8B, "name": "DeepSeek-V3"}, framework="megatron-lm")).model.prediction


def test_plain_job() -> None:
    job = job_of(row(parallel={"etp": 1}))
    s = job.strategy
    assert (s.dp, s.tp, s.pp, s.cp, s.ep, s.etp, s.zero, s.global_batch, s.micro_batch) == (2, 2, 2, 1, 1, 1, 1, 64, 1)
    assert (job.profile.name, job.cluster.device_count, job.seq_len) == ("megatron-core", 8, 4096)
    assert job_of(row(parallel={"zero": "fsdp"})).strategy.zero == 3


def test_overlaps() -> None:
    def overlaps(*features: str, framework: str = "megatron-lm") -> tuple[bool, bool]:
        s = job_of(row(features=list(features), framework=framework, software="Megatron-LM 2021")).strategy
        return s.overlap_grad_reduce, s.overlap_param_gather

    assert overlaps() == (False, False)
    assert overlaps("DDP_impl=torch") == (True, False)
    assert overlaps("overlap-grad-reduce", "overlap_param_gather=True") == (True, True)
    assert overlaps(framework="megatron") == (True, True)
    assert overlaps("overlap_grad_reduce=False", framework="megatron") == (False, True)
    assert overlaps("no_overlap: all", framework="megatron") == (False, False)


EXPERTS = {"name": "moe", "kind": "moe", "experts": 64, "topk": 8, "moe_ffn": 2048}


@pytest.mark.parametrize(
    ("features", "changes", "expected"),
    [
        ([], {}, ("framework", False, 0.0)),
        ([], {"framework": "megatron-bridge", "accelerator": "GB200"}, ("deepep", False, 0.0)),
        (["moe_token_dispatcher_type=alltoall"], {"framework": "megatron-bridge", "accelerator": "GB200"},
         ("alltoall", False, 0.0)),
        (["moe-token-dispatcher-type=flex", "moe_flex_dispatcher_backend=hybridep"], {}, ("deepep", False, 0.0)),
        (["overlap_moe_expert_parallel_comm=True"], {}, ("framework", True, 0.0)),
        (["overlap_moe_expert_parallel_comm=False"], {}, ("framework", False, 0.0)),
        (["moe_a2a_overlap=True"], {"parallel": {"ep": 2, "pp": 2, "vpp": 1}}, ("framework", False, 0.0)),
        (["moe_a2a_overlap=True"], {"parallel": {"ep": 2, "pp": 2, "vpp": 2}}, ("framework", True, 0.0)),
        (["moe_a2a_overlap=True"], {"recompute_kind": "full"}, ("framework", False, 0.0)),
        (["moe_capacity_factor_1_padded"], {}, ("framework", False, 1.0)),
        (["moe_a2a_overlap=True"], {"parallel": {"ep": 1, "pp": 1}}, ("framework", False, 0.0)),
    ],
)  # fmt: skip
def test_experts(features: list[str], changes: dict[str, Any], expected: tuple[str, bool, float]) -> None:
    layout = {"tp": 1, "pp": 1, "ep": 2, **changes.pop("parallel", {})}
    strategy = job_of(row(model={**LLAMA_8B, **EXPERTS}, parallel=layout, features=features, **changes)).strategy
    assert (Dispatcher(strategy.moe_dispatcher).value, strategy.overlap_moe_1f1b, strategy.capacity_factor) == expected
    assert strategy.pad_to_capacity == (expected[2] > 0)


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        (["tp_comm_overlap_userbuffers"], "userbuffers"),
        (["tp_comm_overlap_cfg=userbuffers_fp8_b200_h8192_tp2_mbs1_seqlen8192"], "userbuffers"),
        (["comm_overlap=CommOverlapConfig(tp_comm_overlap=True)"], "userbuffers"),
        (["comm_overlap=CommOverlapConfig(tp_comm_overlap=False)"], "none"),
        (["no_overlap: all TP/grad/p2p overlap disabled"], "none"),
        ([], "bulk"),
    ],
)
def test_tensor_parallel_overlap(features: list[str], expected: str) -> None:
    assert profile_of(row(framework="megatron-bridge", features=features)).tp_overlap == expected


@pytest.mark.parametrize("graph", ["full_iteration_cuda_graph", "layer_cuda_graph", "mcore_cuda_graph"])
def test_captured_graphs_have_no_host_cost(graph: str) -> None:
    eager, captured = (profile_of(row(framework="nemo", software="NeMo 24.07", features=f)) for f in ([], [graph]))
    assert eager.host_forward_s_per_op > captured.host_forward_s_per_op == 0
    assert captured.host_backward_s_per_op == 0


def test_unfused_attention_is_stated() -> None:
    """Megatron's dropout of 0.1 saves masks beside the scores; Llama-like models train without it."""
    told = {"features": ["attention-backend=unfused"]}
    gpt, llama = profile_of(row(model={**LLAMA_8B, "gated": False}, **told)), profile_of(row(**told))
    assert (gpt.flash_attention, gpt.attention_dropout) == (False, 0.1)
    assert (llama.flash_attention, llama.attention_dropout) == (False, 0.0)
    assert profile_of(row(features=["attention-backend=flash"])).flash_attention


def test_platforms_share_their_network() -> None:
    """No source gives the cards of an MI325X node; its platform is that of MI300X, 8 cards of 400 Gb/s."""
    node = cluster_of(row(accelerator="MI325X", hardware={"gpus": 16, "interconnect": "Ethernet (RoCEv2)"})).node
    assert (node.nics, node.nic_Bps) == (8, 50e9)


def test_micro_batches() -> None:
    titan = find("titan-h100-t5-0")
    s = job_of(titan).strategy
    assert (s.global_batch // (s.dp or 1) // s.micro_batch if s.global_batch else 0) == s.pp == 8
    assert job_of(find("titan-h100-t5-1")).strategy.vpp == 2
    long = job_of(find("ironwood-llama3.1-70b-256-131072-bf16")).strategy  # axes counted in TensorCores, two a chip
    assert (long.dp, long.cp, long.micro_batch) == (64, 4, 1)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (None, "none"),
        ("full", "full"),
        ("none", "none"),
        ("selective", "selective"),
        ("selective (per-op SAC)", "selective"),
        ("selective:mla_up_proj", "selective"),
        ("selective:core_attn,mlp", "selective"),
        ("full (block, 21 layers)", "full"),
        ("selective: every 2nd layer", "full"),
        ("custom", "full"),
        ("recipe: cpu_offloading=True", "none"),
    ],
)
def test_recomputation(kind: str | None, expected: str) -> None:
    assert getattr(job_of(row(recompute_kind=kind)).strategy.recompute, "value", "") == expected


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("selective:mla_up_proj,mlp", {"recompute_modules": ("mla_up_proj", "mlp")}),
        ("selective [layernorm moe_act]", {"recompute_modules": ("layernorm", "moe_act")}),
        ("selective:core_attn", {"recompute_modules": ()}),
        ("rmsnorm and MLA up-projections", {"recompute_modules": ("layernorm", "mla_up_proj")}),
        ("full (block, 21 layers)", {"recompute_method": "block", "recompute_layers": 21}),
        ("recipe: granularity=full, method=block, recompute_num_layers=5", {"recompute_layers": 5}),
        ("selective: every 2nd layer", {"recompute_method": "every", "recompute_layers": 2}),
    ],
)
def test_parts_that_are_recomputed(kind: str, fields: dict[str, object]) -> None:
    strategy = job_of(row(recompute_kind=kind)).strategy
    for name, value in fields.items():
        got = getattr(strategy, name)
        assert (tuple(m.value for m in got) if isinstance(got, tuple) else getattr(got, "value", got)) == value


def test_precision_and_layout() -> None:
    def value(**changes: Any) -> str:
        return str(getattr(job_of(row(**changes)).strategy.precision, "value", ""))

    assert value(precision="Autocast:BF16+FP32Optimizer", precision_family="fp32") == "bf16"
    assert value(precision_family="nvfp4") == "fp4"
    assert value(precision_family="mxfp8") == "fp8"
    assert value(precision_family=None, software="Megatron-LM 2021") == "fp16"
    assert job_of(row(features=["rank_order_tp_pp_dp"])).strategy.rank_order == "tp-cp-ep-pp-dp"
    assert job_of(find("nemo2407-2024-08-14-LLAMA2-13B-SFT-8")).strategy.vpp == 10


def test_job_problems() -> None:
    with pytest.raises(ConfigError, match="tp \\* pp \\* cp"):
        job_of(row(parallel={"tp": 3}))
    with pytest.raises(MissingDataError, match="global_batch"):
        job_of(row(global_batch=None))
    with pytest.raises(ConfigError, match="schedule: got chimera"):
        job_of(row(features=["schedule=chimera"]))


# ---- validate --------------------------------------------------------------------------------------------------------

REPORT = validate(SAMPLE, use="step_time")
REASONS = {
    "mbridge-273": "ep * etp",  # 64 expert ranks of 32
    "grpo": "hardware.gpus",  # one device, tp = 4
    "t5_11b": "grade C",
    "mxnet-resnet": "grade C",
    "pytorch-bert": "grade C",
}


def test_every_row_of_the_sample_runs_or_says_why() -> None:
    for result in REPORT.rows:
        expected = [reason for part, reason in REASONS.items() if part in result.id]
        if result.predicted is None and "schedule=" not in result.reason and not result.reason.startswith("schedule:"):
            assert (expected[0] if expected else "grade C") in result.reason, result
        else:
            assert not expected, result.id


def test_rows() -> None:
    for result in REPORT.rows:
        assert result.included == (not result.reason)
        if result.predicted is not None and result.measured:
            assert result.error == result.predicted / result.measured - 1
            assert sum(result.breakdown.values()) == pytest.approx(result.predicted, rel=1e-6)
    flagged = [result for result in REPORT.rows if "degraded fabric" in result.reason]
    assert flagged
    assert all(result.predicted for result in flagged)


def test_sample_is_predicted_without_gross_errors() -> None:
    """A wrong mapping (a factor of two anywhere) would show; the accuracy itself is reported, not tested, here."""
    errors = {row.id: row.error for row in REPORT.rows if row.included and row.labels["kind"] == "dense"}
    assert len(errors) >= 20
    assert sum(abs(error) < 0.35 for error in errors.values() if error is not None) >= 0.8 * len(errors), errors


def test_plain_data_and_groups() -> None:
    data = json.loads(json.dumps(REPORT.to_dict()))
    assert set(data["rows"][0]) == {"id", "use", "predicted", "measured", "error", "interval", "included", "reason"}
    total, *groups = REPORT.summary
    assert total.key == {"use": "step_time"}
    assert sum(total.reasons.values()) == total.skipped
    assert total.n == sum(group.n for group in groups) == sum(row.included for row in REPORT.rows)
    assert total.skipped == sum(group.skipped for group in groups)
    assert total.n + total.skipped == len(REPORT.rows)
    assert all(set(group.key) == {"use", "source", "accelerator"} for group in groups)
    assert len(total.worst) == 5
    assert validate(SAMPLE, use="step_time").to_dict() == REPORT.to_dict()


def test_choice_and_grouping() -> None:
    report = validate(SAMPLE, use="step_time", where={"accelerator": "GB300", "kind": "moe"}, by=("profile",))
    assert report.rows
    assert {row.labels["accelerator"] for row in report.rows} == {"GB300"}
    keys = [group.key for group in report.summary[1:]]
    assert all(key["use"] == "step_time" for key in keys)
    assert {key["profile"] for key in keys} == {"megatron-bridge-26.02", "megatron-bridge-26.06"}
    with pytest.raises(ConfigError, match=r"where accelerator: got 'H100', expected a value that occurs.*H100-SXM"):
        validate(SAMPLE, where={"accelerator": "H100"})
    with pytest.raises(ConfigError, match="no row to compare for kernels"):
        validate(SAMPLE, use="kernels")
    with pytest.raises(ConfigError, match=r"use: got 'times', expected all, or one of step_time, .*did you mean"):
        validate(SAMPLE, use="times")
    with pytest.raises(ConfigError, match="where: got 'acc'"):
        validate(SAMPLE, where={"acc": "GB300"})
    with pytest.raises(ConfigError, match="by: got 'vendor'"):
        validate(SAMPLE, by=("vendor",))


def test_statistics_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    time = job_time = validate_one(path, 1.0)
    lines = [
        {**DATA, "id": str(i), "measured": {"step_time_s": job_time / (1 + error)}}
        for i, error in enumerate((0.1, -0.2, 0.4))
    ]
    lines.append({**DATA, "id": "apart", "flags": ["defect"], "measured": {"step_time_s": time}})
    lines.append({**DATA, "id": "none", "measured": {}})
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    total = validate(path).summary[0]
    assert (total.n, total.skipped, total.worst) == (3, 2, ("2", "1", "0"))
    assert (total.median_error, total.p90_error, total.bias) == pytest.approx((0.2, 0.4, 0.1))
    assert total.mean_error == pytest.approx(0.7 / 3)


def validate_one(path: Path, measured: float) -> float:
    path.write_text(json.dumps({**DATA, "measured": {"step_time_s": measured}}), encoding="utf-8")
    (result,) = validate(path).rows
    assert result.predicted
    return result.predicted


def test_nearest_rank_percentile() -> None:
    assert [percentile([4, 1, 3, 2], share) for share in (0.1, 0.25, 0.5, 0.9, 1.0)] == [1, 1, 2, 4, 4]


def test_a_users_fit_row_is_a_job_of_its_framework(tmp_path: Path) -> None:
    """Lines of the nanotron sweep count micro-batches and name no framework; others are read as any run."""
    path = tmp_path / "fits.jsonl"
    path.write_text(json.dumps({**DATA, "source": {}, "fits": True}), encoding="utf-8")
    row = validate(path, use="fit", workers=1).rows[0]
    assert row.included
    assert row.predicted is True
    assert (row.labels["framework"], row.labels["source"]) == ("megatron-lm", "")
    counted = {key: value for key, value in DATA.items() if key not in ("framework", "source")}
    sweep = Row("s", {**counted, "fits": True, "grad_accumulation": 8})
    assert sweep.of_sweep
    assert sweep.source == "nanotron scaling sweep"


def test_processes_that_die_name_the_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def __init__(self, *_: object, **__: object) -> None:
            raise BrokenProcessPool

    monkeypatch.setattr(pool, "ProcessPoolExecutor", Broken)
    with pytest.raises(ConfigError, match="__main__"):
        pool.over_cores(list, list(range(100)), 2)


def test_fine_tuning_with_nemo_packs_short_documents() -> None:
    """SQuAD's paragraphs see only themselves in a packed row (NeMo's table of fine-tuning runs)."""
    packed = model_of(Row("r", {**DATA, "framework": "nemo", "features": ["sft"]}), PLAIN)
    attention = next(op for op in packed.layers[0].block.ops if op.name == "attention")
    assert attention.chunk == 200
    whole = model_of(Row("r", {**DATA, "framework": "nemo"}), PLAIN)
    assert next(op for op in whole.layers[0].block.ops if op.name == "attention").chunk == 0


def test_eras_of_nemo() -> None:
    def era(software: str) -> str:
        return framework_of(Row("r", {**DATA, "framework": "nemo", "software": software}))

    assert era("MLPerf Training v3.0; NVIDIA NeMo Framework") == "nemo-23"
    assert era("NVIDIA NeMo Megatron Release 23.04") == "nemo-23"
    assert era("MLPerf Training v3.1; PyTorch NVIDIA Release 23.09") == "nemo-24"
    assert era("NeMo 24.07 container (2024-09-09)") == "nemo-24"
    assert era("MLPerf Training v5.0; NVIDIA NeMo Framework Release 25.04") == "nemo-25"
    assert era("NeMo 25.04.rc2") == "nemo-25"
    assert era("MLPerf Training v5.1") == "nemo-25.09"
    assert era("NeMo 25.09 container") == "nemo-25.09"


def test_custom_policies_of_maxtext_keep_attention_where_they_say_so() -> None:
    run = {**DATA, "framework": "maxtext", "accelerator": "TPU-v7", "parallel": {"zero": "fsdp"}}
    run |= {"recompute_kind": "custom"}
    kept = job_of(Row("r", {**run, "features": ["context=device", "query_proj=device"]}))
    again = job_of(Row("r", {**run, "features": ["decoder_layer_input=offload"]}))
    assert (kept.strategy.recompute, again.strategy.recompute) == (Recompute.SELECTIVE, Recompute.FULL)


def test_deepseeks_recipe_on_h100_hides_its_exchange() -> None:
    model = {**LLAMA_8B, "name": "DeepSeek-V3 671B", "experts": 64, "topk": 8, "moe_ffn": 512}
    run = {**DATA, "model": model, "framework": "megatron-bridge", "parallel": {"ep": 8}}
    on_h100 = job_of(Row("r", run)).strategy
    elsewhere = job_of(Row("r", {**run, "accelerator": "H200-SXM-141GB"})).strategy
    assert (on_h100.moe_dispatcher, on_h100.overlap_moe_1f1b) == (Dispatcher.DEEPEP, True)
    assert (elsewhere.moe_dispatcher, elsewhere.overlap_moe_1f1b) == (Dispatcher.FRAMEWORK, False)


@pytest.mark.parametrize(
    ("software", "accelerator", "modules"),
    [
        ("NeMo container 26.02.01", "GB200", ("mla_up_proj",)),
        ("NeMo container 26.04.01", "GB200", ("mlp",)),
        ("NeMo container 26.04.01", "B200-SXM", ("mla_up_proj",)),
        ("NeMo container 26.06", "GB200", ("mla_up_proj",)),
    ],
)
def test_what_deepseek_recomputes_by_release(software: str, accelerator: str, modules: tuple[str, ...]) -> None:
    """deepseek_workload_base_configs.py of NVIDIA-NeMo/Megatron-Bridge at v0.3.0, v0.4.0 and v0.5.0."""
    model = {**LLAMA_8B, **EXPERTS, "name": "DeepSeek-V3 671B"}
    run = {"model": model, "framework": "megatron-bridge", "precision_family": "mxfp8", "software": software}
    stated = "recipe: recompute_modules=['mla_up_proj']"
    job = job_of(Row("r", {**DATA, **run, "accelerator": accelerator, "recompute_kind": stated, "parallel": {"ep": 2}}))
    assert tuple(RecomputeModule(module).value for module in job.strategy.recompute_modules) == modules


@pytest.mark.parametrize(
    ("name", "accelerator", "software", "expected"),
    [
        ("DeepSeek-V3 671B", "GB300", "NeMo container 25.09", ("framework", False, "cudnn_2025", "megatron-bridge")),
        ("DeepSeek-V3 671B", "GB300", "NeMo container 25.11", ("deepep", False, "cudnn_2025", "megatron-bridge")),
        (
            *("DeepSeek-V3 671B", "GB300", "NeMo container 26.06"),
            ("deepep", True, "cudnn_2026_mxfp8", "megatron-bridge-26.06"),
        ),
        (
            *("DeepSeek-V3 671B", "GB200", "NeMo container 26.06"),
            ("deepep", True, "cudnn_2026", "megatron-bridge-26.06"),
        ),
        ("Kimi K2 1T", "GB300", "NeMo container 26.06", ("deepep", False, "cudnn_2026", "megatron-bridge-26.02")),
        ("Qwen3-30B-A3B", "B200-SXM", "NeMo container 25.11", ("framework", False, "cudnn_2025", "megatron-bridge")),
        (
            *("Qwen3-30B-A3B", "B200-SXM", "NeMo container 26.02"),
            ("deepep", False, "cudnn_2026", "megatron-bridge-26.02"),
        ),
        (
            *("gpt-oss-120b", "GB200", "NeMo container 26.02"),
            ("framework", False, "cudnn_2026", "megatron-bridge-26.02"),
        ),
        ("gpt-oss-120b", "GB200", "NeMo container 26.04", ("deepep", False, "cudnn_2026", "megatron-bridge-26.02")),
        (
            *("gpt-oss-120b", "GB200", "NeMo container 26.04.01"),
            ("framework", False, "cudnn_2026", "megatron-bridge-26.02"),
        ),
        ("gpt-oss-120b", "GB200", "Megatron-Bridge", ("deepep", False, "cudnn_2026", "megatron-bridge-26.02")),
    ],
)
def test_expert_recipes_of_bridge_by_release(
    name: str, accelerator: str, software: str, expected: tuple[str, bool, str, str]
) -> None:
    """scripts/performance/configs of NVIDIA-NeMo/Megatron-Bridge at v0.2.0, v0.3.0, v0.4.0 and v0.5.0."""
    model = {**LLAMA_8B, **EXPERTS, "name": name}
    job = job_of(
        row(
            model=model,
            framework="megatron-bridge",
            accelerator=accelerator,
            software=software,
            precision_family="mxfp8",
            parallel={"tp": 1, "pp": 1, "ep": 2},
        )
    )
    kernel = job.profile.attention_kernel or "cudnn"
    assert (
        Dispatcher(job.strategy.moe_dispatcher).value,
        job.strategy.overlap_moe_1f1b,
        kernel,
        job.profile.name,
    ) == expected


def test_dense_experts_of_maxtext_are_padded() -> None:
    model = {**LLAMA_8B, "name": "Mixtral 8x7B", "experts": 8, "topk": 2, "moe_ffn": 14336}
    run = {**DATA, "model": model, "framework": "maxtext", "accelerator": "TPU-v6e", "parallel": {"zero": "fsdp"}}
    padded = job_of(Row("r", {**run, "features": ["sparse_matmul=False", "capacity_factor=1.25"]})).strategy
    assert (padded.capacity_factor, padded.pad_to_capacity) == (1.25, True)
    sparse = job_of(Row("r", {**run, "features": ["sparse_matmul=True", "capacity_factor=-1"]})).strategy
    assert sparse.capacity_factor == 0


@pytest.mark.parametrize(("release", "overlaps"), [("26.02", False), ("26.02.01", False), ("26.04", True)])
def test_gpt_oss_overlaps_from_the_release_whose_recipe_does(release: str, overlaps: bool) -> None:
    """Rows carry the features of a later recipe: v0.3.0 has neither `moe_a2a_overlap` nor HybridEP for GPT-OSS."""
    model = {**LLAMA_8B, **EXPERTS, "name": "gpt-oss-120b"}
    run = {"framework": "megatron-bridge", "accelerator": "GB200", "software": f"NeMo container {release}"}
    job = job_of(row(model=model, **run, parallel={"tp": 1, "pp": 1, "ep": 2}, features=["moe_a2a_overlap=True"]))
    assert job.strategy.overlap_moe_1f1b is overlaps


@pytest.mark.parametrize(("software", "way"), [("MLPerf Training v5.0", "p2p"), ("MLPerf Training v5.1", "a2a")])
def test_lora_of_mlperf_exchanges_heads_since_5_1(software: str, way: str) -> None:
    model = {**LLAMA_8B, "name": "Llama-2-70B LoRA r16 (MLPerf fine-tune)"}
    run = {"framework": "nemo", "software": f"{software}; NVIDIA NeMo Framework", "features": ["fp8_attention"]}
    job = job_of(row(model=model, **run, parallel={"tp": 1, "pp": 1, "cp": 2}))
    assert ContextComm(job.strategy.cp_comm).value == way
    assert job.profile.head_exchange_bytes == 1
