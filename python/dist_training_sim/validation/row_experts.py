"""How a row's tokens reach their experts, and what hides that: stated, else the way of the framework's recipes."""

from __future__ import annotations

from typing import Any

from .corpus import Row

__all__ = ["expert_options"]

# Performance recipes of NVIDIA-NeMo/Megatron-Bridge (2026-08): moe_flex_dispatcher_backend=hybridep on these; dropless
# all-to-all on others.
_HYBRID_EP = ("B200-SXM", "B300-SXM", "GB200", "GB300")
_OVERLAP = ("overlap_moe_expert_parallel_comm", "moe_a2a_overlap")


def expert_options(row: Row, ep: int, pp: int, vpp: int, recompute: str) -> dict[str, Any]:
    """Fields of `Strategy` on experts; none for a row without expert parallelism."""
    if ep <= 1:
        return {}
    words = row.words("features")
    options: dict[str, Any] = {"moe_dispatcher": _dispatcher(row, words)}
    overlaps = any(word.split("=")[0] in _OVERLAP and not word.endswith("=false") for word in words)
    if overlaps and recompute != "full" and (pp == 1 or vpp > 1):  # pairs passes of neighbouring micro-batches
        options["overlap_moe_1f1b"] = True
    if "moe_capacity_factor_1_padded" in words:
        options |= {"capacity_factor": 1.0, "pad_to_capacity": True}
    return options


def _dispatcher(row: Row, words: tuple[str, ...]) -> str:
    for word in words:
        name, _, value = word.partition("=")
        if name == "moe_flex_dispatcher_backend" and value in ("hybridep", "deepep"):
            return "deepep"
        if name == "moe_token_dispatcher_type" and value in ("alltoall", "allgather"):
            return value
    recipe = row.text("framework") == "megatron-bridge" and row.text("accelerator") in _HYBRID_EP
    return "deepep" if recipe else "framework"
