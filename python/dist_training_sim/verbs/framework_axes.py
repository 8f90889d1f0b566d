"""What a framework can be told, axis by axis: the space in which a plan for it is searched.

The values are those that the writers of `io` accept (a test compares them); a framework without a writer takes all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..frameworks import FrameworkProfile
from ..parallel.choices import Schedule
from ..parallel.strategy import Strategy

__all__ = ["axes_of", "base_of", "completed", "format_of", "recomputes_modules"]

_ALL: Mapping[str, tuple[Any, ...]] = {
    "zero": (0, 1, 2, 3),
    "recompute": ("none", "selective", "full"),
    "schedule": tuple(kind.value for kind in Schedule),
    "offload": ("none", "optimizer", "parameters", "activations"),
}
_AXES: Mapping[str, Mapping[str, tuple[Any, ...]]] = {
    "megatron-lm": {"schedule": ("1f1b",), "offload": ("none", "optimizer")},
    "megatron-bridge": {"schedule": ("1f1b",), "offload": ("none", "optimizer")},
    "torchtitan": {
        "zero": (0, 3),
        "schedule": ("1f1b", "gpipe", "looped_bfs", "zb_v", "dualpipe_v"),
        "offload": ("none", "parameters"),
    },
    "deepspeed": {
        "schedule": ("1f1b",),
        "offload": ("none", "optimizer", "parameters"),
        "pp": (1,),
        "vpp": (1,),
        "ep": (1,),
    },
    "nanotron": {
        "zero": (0, 1),
        "recompute": ("none", "full"),
        "schedule": ("1f1b", "gpipe"),
        "offload": ("none",),
        "vpp": (1,),
    },
}
_STARTS = (
    ("megatron-bridge", "megatron-bridge"),
    ("nemo-", "megatron-bridge"),
    ("megatron-core", "megatron-lm"),
    ("megatron-lm", "megatron-lm"),
    ("torchtitan", "torchtitan"),
    ("deepspeed", "deepspeed"),
    ("nanotron", "nanotron"),
)


def format_of(framework: str) -> str | None:
    """Format of `io.write_job` in which a framework is started; None where there is no writer."""
    return next((target for start, target in _STARTS if framework.startswith(start)), None)


def recomputes_modules(framework: str) -> bool:
    """Whether the framework recomputes single modules of a layer, and some of the layers."""
    return format_of(framework) in ("megatron-lm", "megatron-bridge")


def axes_of(framework: str) -> dict[str, tuple[Any, ...]]:
    """Values by axis of a `StrategySpace`; degrees that are not in it are free."""
    return {**_ALL, **_AXES.get(format_of(framework) or "", {})}


def completed(profile: FrameworkProfile, columns: Mapping[str, Any]) -> dict[str, Any]:
    """Columns with what the framework does by itself where states are sharded."""
    d, sharded = profile.defaults, columns["zero"] > 0
    reduces = np.where(sharded, float(d.overlap_sharded_reduce), float(d.overlap_grad_reduce))
    gathers = np.full(len(sharded), float(d.overlap_param_gather))
    if format_of(profile.name) == "deepspeed":  # stage 3 gathers ahead, stages 1 and 2 after the update
        gathers = (columns["zero"] == 3).astype(float)
    return {**columns, "overlap_grad_reduce": reduces, "overlap_param_gather": gathers}


def base_of(profile: FrameworkProfile) -> Strategy:
    """What the framework does by default beside the axes."""
    d = profile.defaults
    return Strategy(
        sequence_parallel=d.sequence_parallel,
        fp8_recipe=d.fp8_recipe,
        cp_comm={"deepspeed": "a2a"}.get(format_of(profile.name) or "", "p2p"),
    )
