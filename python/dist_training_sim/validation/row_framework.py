"""Which profile a row's framework, software and features name; rules by framework and era, none by row."""

from __future__ import annotations

import re

from ..frameworks import FrameworkProfile
from .corpus import Row

__all__ = ["framework_of", "profile_of"]

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
_YEAR = re.compile(r"\b(20[12][0-9])\b")


def profile_of(row: Row) -> FrameworkProfile:
    """Profile of the row's framework and era, with what its features state about captured graphs and gradient dtype."""
    profile = FrameworkProfile.from_catalog(framework_of(row))
    features = row.words("features")
    changes: dict[str, object] = {}
    if "full_iteration_cuda_graph" in features:  # the host launches one graph per step
        changes |= {"host_forward_s_per_op": 0.0, "host_backward_s_per_op": 0.0}
    if "bf16_grad_sync" in features:
        changes["grad_reduce_bytes"] = 2.0
    return profile.replace(**changes) if changes else profile


def framework_of(row: Row) -> str:
    """Name of the catalogue profile."""
    name, software, features = row.text("framework"), row.text("software"), row.words("features")
    if name == "torchtitan":
        compiled = "torch_compile" in features or "float8_tensorwise" in features or software.startswith("torchao")
        if "async_tp" in features:
            return "torchtitan-async-tp"
        return "torchtitan" if compiled else "torchtitan-eager"
    if name == "maxtext":
        return "maxtext" if row.text("accelerator").startswith("TPU") else "maxtext-gpu"
    if name == "megatron-bridge":
        return _bridge(row)
    if name == "megatron-lm":
        return _megatron(software)
    if name == "megatron-deepspeed":
        return "deepspeed" if "deepspeed_zero3" in features else "megatron-deepspeed"
    if name == "nemo" or (not name and "MLPerf" in software and "deepspeed_pipeline" not in features):
        return "nemo-25" if _mlperf_round(software) >= 5 or _release(software) >= (25, 1) else "nemo-24"
    return _BY_NAME.get(name, "megatron-core")


def _bridge(row: Row) -> str:
    """From 26.06 the mxfp8 recipes of NVL72 racks capture the whole iteration."""
    captured = row.text("accelerator") in ("GB200", "GB300") and row.text("precision_family") == "mxfp8"
    return "megatron-bridge-26.06" if captured and _release(row.text("software")) >= (26, 6) else "megatron-bridge"


def _megatron(software: str) -> str:
    if "sail-sg" in software:
        return "zero-bubble"
    if "CI" in software.split("(")[0]:
        return "megatron-core-ci"
    year = _YEAR.search(software)
    return {"2020": "megatron-lm-2020", "2021": "megatron-lm-2021", "2022": "megatron-lm-2022"}.get(
        year.group(1) if year else "", "megatron-core"
    )


def _release(software: str) -> tuple[int, int]:
    """Latest container release (year, month) that the text names."""
    found = [(int(year), int(month)) for year, month in _RELEASE.findall(software)]
    return max(found, default=(0, 0))


def _mlperf_round(software: str) -> int:
    match = re.search(r"MLPerf Training v(\d+)", software)
    return int(match.group(1)) if match else 0
