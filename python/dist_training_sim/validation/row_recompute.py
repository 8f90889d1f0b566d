"""What a row says of recomputation → fields of `Strategy`."""

from __future__ import annotations

import re
from typing import Any

from ..frameworks import FrameworkDefaults
from ..parallel import RecomputeModule
from .corpus import Row
from .row_framework import release_of

__all__ = ["recompute_fields"]

_MODULES = frozenset(str(module.value) for module in RecomputeModule)
_IN_WORDS = {"rmsnorm and mla up-projections": ("layernorm", "mla_up_proj")}  # DeepSeek-V3, arXiv:2412.19437 §3.2.3


def recompute_fields(row: Row, defaults: FrameworkDefaults) -> dict[str, Any]:
    """Kind, modules and layers; what is kept by other rules, or offloaded, is nearest to none."""
    stated = row.text("recompute_kind").lower()
    if not stated:
        return {"recompute": defaults.recompute}
    if stated == "custom":  # MaxText: a policy keeps the layer input, and attention where it keeps its output `context`
        keeps = {"context=device", "context=offload"} & set(row.words("features"))
        return {"recompute": "selective" if keeps else "full"}
    if stated == "full":
        return {"recompute": "full"}
    if "block" in stated and (layers := re.search(r"(\d+) layers|num_layers=(\d+)", stated)):
        return _layers("block", int(layers[1] or layers[2]))
    if every := re.search(r"every (\d+)(nd|rd|th) layer", stated):
        return _layers("every", int(every[1]))
    if _is_recipe_of_2604(row):
        return {"recompute": "selective", "recompute_modules": ("mlp",)}
    modules = _IN_WORDS.get(stated) or tuple(word for word in re.findall(r"\w+", stated) if word in _MODULES)
    if modules and modules != ("core_attn",):
        return {"recompute": "selective", "recompute_modules": modules}
    by_rule = stated == "selective" or "core_attn" in stated or "per-op" in stated or "toml default" in stated
    return {"recompute": "selective" if by_rule else "none"}


def _is_recipe_of_2604(row: Row) -> bool:
    """NVIDIA-NeMo/Megatron-Bridge v0.4.0 deepseek_workload_base_configs.py; rows state that of a later release."""
    deepseek = row.text("framework") == "megatron-bridge" and row.text("model.name").startswith("DeepSeek")
    gb200 = row.text("accelerator") == "GB200" and row.text("precision_family") != "bf16"
    return deepseek and gb200 and (26, 4) <= release_of(row.text("software")) < (26, 6)


def _layers(method: str, count: int) -> dict[str, Any]:
    return {"recompute": "full", "recompute_method": method, "recompute_layers": count}
