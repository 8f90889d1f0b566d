"""How a row's tokens reach their experts, and what hides that: stated, else the way of the framework's recipes."""

from __future__ import annotations

import re
from typing import Any

from .corpus import Row
from .row_framework import captures_experts, release_of

__all__ = ["expert_options"]

# Performance recipes of NVIDIA-NeMo/Megatron-Bridge at v0.2.0 (25.11), v0.3.0 (26.02) and v0.4.0 (26.04): the releases
# from which moe_flex_dispatcher_backend is hybridep; dropless all-to-all before, and on others.
_HYBRID_EP = {"GB200": (25, 11), "GB300": (25, 11), "B200-SXM": (26, 2), "B300-SXM": (26, 2)}
# Of GPT-OSS both that and the overlap come with v0.4.0; v0.4.2 (container 26.04.01) goes back to all-to-all.
_RECIPE_OF_GPT_OSS = (26, 4)
_ALL_TO_ALL_OF_GPT_OSS = "26.04.01"
_OVERLAP = ("overlap_moe_expert_parallel_comm", "moe_a2a_overlap")
# Its DEEPSEEK_V3_H100_BASE_CONFIG (2025): moe_flex_dispatcher_backend="deepep", moe_a2a_overlap=True.
_DEEPEP_OVERLAPPED = ("deepseek-v3", "H100-SXM-80GB")


def expert_options(row: Row, ep: int, pp: int, vpp: int, recompute: str) -> dict[str, Any]:
    """Fields of `Strategy` on experts; none for a row without expert parallelism, unless it pads them."""
    words = row.words("features")
    if ep <= 1:
        return _padded(words) if row.count("model.experts") else {}
    options: dict[str, Any] = {"moe_dispatcher": _dispatcher(row, words)}
    pairs = recompute != "full" and (pp == 1 or vpp > 1)  # passes of neighbouring micro-batches
    if pairs and _overlaps(row, words):
        options["overlap_moe_1f1b"] = True
    if "moe_capacity_factor_1_padded" in words:
        options |= {"capacity_factor": 1.0, "pad_to_capacity": True}
    return options


def _overlaps(row: Row, words: tuple[str, ...]) -> bool:
    if _is_gpt_oss(row) and (0, 0) < release_of(row.text("software")) < _RECIPE_OF_GPT_OSS:
        return False  # what the row states is the recipe of a later release
    stated = any(word.split("=")[0] in _OVERLAP and not word.endswith("=false") for word in words)
    return stated or _is_deepseek_recipe(row) or captures_experts(row)  # v0.5.0 moe_a2a_overlap=True


def _is_gpt_oss(row: Row) -> bool:
    return row.text("model.name").lower().startswith("gpt-oss")


def _padded(words: tuple[str, ...]) -> dict[str, Any]:
    """MaxText without sparse matmuls pads every expert's rows to a capacity (configs/base.yml capacity_factor)."""
    stated = next((word.partition("=")[2] for word in words if word.startswith("capacity_factor=")), "")
    if "sparse_matmul=false" not in words or not re.fullmatch(r"[0-9]{1,2}([.][0-9]{1,3})?", stated):
        return {}
    return {"capacity_factor": float(stated), "pad_to_capacity": True}


def _is_deepseek_recipe(row: Row) -> bool:
    name, accelerator = _DEEPEP_OVERLAPPED
    deepseek = row.text("model.name").lower().startswith(name) and row.text("accelerator") == accelerator
    return deepseek and row.text("framework") == "megatron-bridge"


def _dispatcher(row: Row, words: tuple[str, ...]) -> str:
    for word in words:
        name, _, value = word.partition("=")
        if name == "moe_flex_dispatcher_backend" and value in ("hybridep", "deepep"):
            return "deepep"
        if name == "moe_token_dispatcher_type" and value in ("alltoall", "allgather"):
            return value
    return "deepep" if _has_hybrid_ep(row) or _is_deepseek_recipe(row) else "framework"


def _has_hybrid_ep(row: Row) -> bool:
    """Whether the recipe of a release uses it; an unknown release is the latest."""
    since = _HYBRID_EP.get(row.text("accelerator"))
    if row.text("framework") != "megatron-bridge" or since is None:
        return False
    software = row.text("software")
    if _is_gpt_oss(row):
        since = _RECIPE_OF_GPT_OSS
        if _ALL_TO_ALL_OF_GPT_OSS in software:
            return False
    release = release_of(software)
    return release == (0, 0) or release >= since
