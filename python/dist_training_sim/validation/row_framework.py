"""Which profile a row's framework, software and features name; rules by framework and era, none by row."""

from __future__ import annotations

import re

from ..frameworks import FrameworkProfile
from .corpus import Row

__all__ = ["captures_experts", "framework_of", "mlperf_round", "profile_of", "release_of"]

_BY_NAME = {
    "llm-foundry": "llm-foundry",
    "nanotron": "nanotron",
    "gpt-neox": "gpt-neox",
    "llm.c": "llm.c",
    "neuronx": "neuronx",
    "deepspeed": "deepspeed",
    "fms-fsdp": "fms-fsdp",
}
_RELEASE = re.compile(r"\b(2[3-9])[.](0[1-9]|1[0-2])\b")
_GRAPHS = ("full_iteration_cuda_graph", "layer_cuda_graph", "mcore_cuda_graph")
# Megatron's own attention; its dropout is 0.1 unless a model turns it off.
_UNFUSED = ("attention_backend=unfused", "attention_backend=local", "transformer_impl=local")
_DAY = re.compile(r"\b20(2[0-9])-(0[1-9]|1[0-2])\b")
# The versions that pytorch/ao docs/source/workflows/training.md names under its tables, as year.month of torchtitan.
_VERSIONS_OF_TORCHAO = {"NVIDIA H100": "25.03", "AMD MI300X": "25.08", "NVIDIA B200": "25.08"}
_FP8_ATTENTION = {"cudnn_2025": "cudnn_2025_fp8", "cudnn_2026": "cudnn_2026_mxfp8"}
_YEAR = re.compile(r"\b(20[12][0-9])\b")


def profile_of(row: Row) -> FrameworkProfile:
    """Profile of the row's framework and era, with what its features state about captured graphs and gradient dtype."""
    profile = FrameworkProfile.from_catalog(framework_of(row))
    features = row.words("features")
    changes: dict[str, object] = {}
    if any(word in features for word in _GRAPHS):  # the host launches one graph per step, or one per layer
        changes |= {"host_forward_s_per_op": 0.0, "host_backward_s_per_op": 0.0}
    if any(word in features for word in _UNFUSED):
        changes |= {"flash_attention": False, "attention_dropout": 0.0 if row.flag("model.gated") else 0.1}
    changes |= _memory_facts(row, features)
    if overlap := _recipe_overlap(row) or _tp_overlap(features) or _silent(row, profile):
        changes["tp_overlap"] = overlap
    if "bf16_grad_sync" in features:
        changes["grad_reduce_bytes"] = 2.0
    if _fp8_attention(row, features):
        changes["attention_kernel"] = _FP8_ATTENTION.get(profile.attention_kernel, "cudnn_fp8")
        changes["head_exchange_bytes"] = 2.0 if "mxfp8" in row.text("precision") else 1.0
    if "fp8_param_gather" in features:
        changes["cast_parameters"] = True
    return profile.replace(**changes) if changes else profile


def _memory_facts(row: Row, features: tuple[str, ...]) -> dict[str, object]:
    """What launch options change of the tensors that a rank holds."""
    changes: dict[str, object] = {}
    if "no_gradient_accumulation_fusion" in features:  # 16-bit gradients are made and added to the main ones
        changes["dummy_weight_gradients"] = False
    if "ce_fusion" in features or "cross_entropy_fusion_impl=te" in features:
        changes["loss_kernel"] = "in_place"
    elif "cross_entropy_loss_fusion" in features:
        ampere = row.text("accelerator").startswith("A100")
        changes["loss_kernel"] = "megatron_jit_ampere" if ampere else "megatron_jit"
    before_hopper = row.text("accelerator").startswith("A100")
    engine = "transformer_impl=local" not in features
    if not engine:
        changes |= {"workspace": "torch", "score_buffer": True}
    sequential = bool(row.count("model.experts")) and "moe_grouped_gemm" not in features  # expert by expert
    if "megatron_ci_golden" in features and (sequential or before_hopper):
        whole = _test_workspace(row, engine, before_hopper)
        changes |= {"workspace": "", "workspace_bytes": whole, "engine_workspace_bytes": 0.0}
    return changes


def _test_workspace(row: Row, engine: bool, before_hopper: bool) -> float:
    """Library workspaces of Megatron's tests; deterministic ones set CUBLAS_WORKSPACE_CONFIG=:4096:8."""
    deterministic = "deterministic-mode" in row.text("notes")
    handle = 8.125 if before_hopper and not deterministic else 32
    return (2 * handle + (0 if not engine else 4 if before_hopper else 32)) * 2.0**20


def _tp_overlap(features: tuple[str, ...]) -> str:
    """How tensor-parallel collectives overlap, where a row says so."""
    for word in features:
        if word.startswith("no_overlap") or "tp_comm_overlap=false" in word:
            return "none"
        if word.startswith("tp_comm_overlap") or "tp_comm_overlap=true" in word:
            return "userbuffers"
    return ""


def _recipe_overlap(row: Row) -> str:
    """NVIDIA-NeMo/Megatron-Bridge v0.2.0 to v0.5.0: every recipe turns tp_comm_overlap off for nvfp4."""
    fp4 = row.text("framework") == "megatron-bridge" and row.text("precision_family") == "nvfp4"
    return "none" if fp4 else ""


def _silent(row: Row, profile: FrameworkProfile) -> str:
    """What a row means that does not name user buffers: NeMo has them off unless a configuration turns them on."""
    listed = profile.name.startswith("nemo") and "MLPerf" in row.text("software")
    return "bulk" if listed and profile.tp_overlap == "userbuffers" else ""


def framework_of(row: Row) -> str:
    """Name of the catalogue profile."""
    name, software, features = row.text("framework"), row.text("software"), row.words("features")
    if name == "torchtitan":
        return _torchtitan(row, features)
    if name == "maxtext":
        return "maxtext" if row.text("accelerator").startswith("TPU") else "maxtext-gpu"
    if name == "megatron-bridge":
        return _bridge(row)
    if name == "megatron-deepspeed":
        return _megatron_deepspeed(row, features)
    unnamed = not name and "MLPerf" in software and "deepspeed_pipeline" not in features
    if name == "nemo" or "NeMo" in software or unnamed:
        return _nemo(row, software)
    if name == "megatron-lm":
        return _megatron(software)
    if name == "llm-foundry" and "composer_precision=bf16" in features:  # pure bf16: its table of mid-2023
        return "llm-foundry-2023-06"
    return _BY_NAME.get(name, "megatron-core")


def _torchtitan(row: Row, features: tuple[str, ...]) -> str:
    """Its loss is compiled with the blocks from April 2025 on."""
    if not any(word in features for word in ("torch_compile", "float8_tensorwise")):
        return "torchtitan-eager"
    software = row.text("software")
    day = _DAY.search(software)
    stated = (int(day.group(1)), int(day.group(2))) if day else (0, 0)
    since = max(stated, release_of(software + " " + _VERSIONS_OF_TORCHAO.get(row.text("source.where"), "")))
    era = "torchtitan-2025" if since >= (25, 4) else "torchtitan"
    return f"{era}-async-tp" if "async_tp" in features else era


def _nemo(row: Row, software: str) -> str:
    if mlperf_round(software) >= 5 or release_of(software) >= (25, 1):
        if _fused_loss(row):
            return "nemo-25-fused"
        return "nemo-25.09" if mlperf_round(software) >= 5.1 or release_of(software) >= (25, 6) else "nemo-25"
    early = "MLPerf Training v3.0" in software or (0, 0) < release_of(software) < (23, 7)
    return "nemo-23" if early else "nemo-24"


def _fused_loss(row: Row) -> bool:
    """MLPerf 5.1: config_common_8b.sh has CE_FUSION_IMPL=te and does not defer the embedding's weight gradient."""
    deferred = "defer_embedding_wgrad" in row.words("features")
    return row.text("model.name").startswith("Llama-3.1-8B (MLPerf)") and not deferred


def _megatron_deepspeed(row: Row, features: tuple[str, ...]) -> str:
    if "deepspeed_zero3" in features:
        return "deepspeed"
    era = "megatron-deepspeed-bf16" if row.text("precision_family") == "bf16" else "megatron-deepspeed"
    return f"{era}-blocking" if "tr11-176B" in row.text("source.title") else era


def _bridge(row: Row) -> str:
    """From 26.06 (v0.5.0) the mxfp8 recipes of NVL72 racks capture the whole iteration, but for that of Kimi K2."""
    captured = row.text("accelerator") in ("GB200", "GB300") and row.text("precision_family") == "mxfp8"
    captured &= release_of(row.text("software")) >= (26, 6) and not row.text("model.name").startswith("Kimi")
    if captured:
        return "megatron-bridge-26.06"
    return "megatron-bridge" if (0, 0) < release_of(row.text("software")) < (26, 2) else "megatron-bridge-26.02"


def captures_experts(row: Row) -> bool:
    """Whether a recipe of experts captures the whole iteration: it also hides their exchange."""
    experts = row.text("framework") == "megatron-bridge" and bool(row.count("model.experts"))
    return experts and _bridge(row) == "megatron-bridge-26.06"


def _fp8_attention(row: Row, features: tuple[str, ...]) -> bool:
    """Captured recipes of experts have it on (v0.5.0 fp8_dot_product_attention), but for DeepSeek-V3 on GB200."""
    deepseek = row.text("model.name").startswith("DeepSeek") and row.text("accelerator") == "GB200"
    return "fp8_attention" in features or (captures_experts(row) and not deepseek)


def _megatron(software: str) -> str:
    if "sail-sg" in software:
        return "zero-bubble"
    if "CI" in software.split("(")[0]:
        return "megatron-core-ci"
    year = _YEAR.search(software)
    return {"2020": "megatron-lm-2020", "2021": "megatron-lm-2021", "2022": "megatron-lm-2022"}.get(
        year.group(1) if year else "", "megatron-core"
    )


def release_of(software: str) -> tuple[int, int]:
    """Latest container release (year, month) that the text names."""
    found = [(int(year), int(month)) for year, month in _RELEASE.findall(software)]
    return max(found, default=(0, 0))


def mlperf_round(software: str) -> float:
    """Round of MLPerf Training that the text names; 0 = none."""
    match = re.search(r"MLPerf Training v(\d{1,2}(?:[.]\d)?)", software)
    return float(match.group(1)) if match else 0.0
