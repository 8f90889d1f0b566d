"""Memory of a step over time: allocated bytes per pipeline stage and category, the peak and what stands there."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._display import table_html
from ..errors import Problems
from ..frameworks import FrameworkProfile
from ..hardware import Cluster
from ..models import Model
from ..parallel import Strategy
from ..simulator.job import Job, described_job
from ..units import format_bytes, format_seconds
from .inputs import cluster_of, model_of

__all__ = ["CATEGORIES", "HeldTensor", "StageMemory", "memory_timeline", "reserved_bytes"]

CATEGORIES = (
    *("weights", "gradients", "optimizer", "activations", "temporaries", "gathered_parameters"),
    *("communication_buffers", "workspace"),
)


@dataclass(frozen=True)
class HeldTensor:
    """Equal tensors that are allocated together.

    Attributes
    ----------
    name
        Op and tensor, as `"attention softmax"`.
    category
        One of `CATEGORIES`.
    count, bytes
        How many there are (layers times micro-batches in flight), and their bytes together.
    """

    name: str
    category: str
    count: int
    bytes: float


@dataclass(frozen=True, repr=False, eq=False)
class StageMemory:
    """Memory of one rank of a pipeline stage over a step.

    Attributes
    ----------
    stage
        Pipeline stage, from 0.
    time_s
        Shape (n,): seconds from the start of the step, never falling.
    bytes
        Shape (n, 8): allocated bytes by category, in the order of `CATEGORIES`: at the fullest moment of each block of
        each pass and after it. The order is that in which the host issues the work.
    peak_bytes, peak_time_s
        The most that is allocated at once, and when.
    tensors
        What is allocated then, largest first.
    reserved_bytes
        The most that PyTorch's caching allocator takes from the device for it, over two steps.
    fragmentation
        Share of the reserved bytes that no tensor fills at the peak of either.
    """

    stage: int
    time_s: NDArray[np.float64] = field(repr=False)
    bytes: NDArray[np.float64] = field(repr=False)
    peak_bytes: float
    peak_time_s: float
    tensors: tuple[HeldTensor, ...] = field(repr=False)
    reserved_bytes: float
    fragmentation: float

    def __repr__(self) -> str:
        peak = f"{format_bytes(self.peak_bytes)} at {format_seconds(self.peak_time_s)}"
        return f"<StageMemory stage {self.stage}: peak {peak}, {format_bytes(self.reserved_bytes)} reserved>"

    def _repr_html_(self) -> str:
        rows = [(t.name, t.category, t.count, format_bytes(t.bytes)) for t in self.tensors[:10]]
        return table_html(repr(self).strip("<>"), ("at the peak", "category", "count", "bytes"), rows)


def memory_timeline(
    model: Model | str,
    cluster: Cluster | str,
    strategy: Strategy | None = None,
    *,
    seq_len: int | None = None,
    framework: FrameworkProfile | str = "megatron-core",
    expandable_segments: bool = False,
) -> list[StageMemory]:
    """Follow what one rank of each pipeline stage allocates and frees over a step.

    Parameters
    ----------
    model, cluster, strategy, seq_len, framework
        As of `simulate`.
    expandable_segments
        The allocator runs with `expandable_segments:True`.

    Returns
    -------
    list of StageMemory
        One entry per pipeline stage.

    Raises
    ------
    ConfigError
        Listing every rule that the job violates.
    """
    problems = Problems()
    problems.flag("expandable_segments", expandable_segments)
    problems.raise_if_any()
    job = _job(model, cluster, strategy, seq_len, framework)
    core = _core.memory_details(**job.core_arguments(), expandable_segments=expandable_segments)
    pairs = zip(core.timelines, core.replays, strict=True)
    return [_stage(stage, timeline, replay) for stage, (timeline, replay) in enumerate(pairs)]


def reserved_bytes(
    model: Model | str,
    cluster: Cluster | str,
    strategy: Strategy | None = None,
    *,
    seq_len: int | None = None,
    framework: FrameworkProfile | str = "megatron-core",
    expandable_segments: bool = False,
) -> list[float]:
    """Bytes that PyTorch's caching allocator takes per pipeline stage: those of `StageMemory`, without a timeline."""
    job = _job(model, cluster, strategy, seq_len, framework)
    replays = _core.allocator_replays(**job.core_arguments(), expandable_segments=expandable_segments)
    return [replay.peak_reserved_bytes for replay in replays]


def _job(
    model: Model | str,
    cluster: Cluster | str,
    strategy: Strategy | None,
    seq_len: int | None,
    framework: FrameworkProfile | str,
) -> Job:
    described = model_of(model) if isinstance(model, str) else model
    hardware = cluster_of(cluster) if isinstance(cluster, str) else cluster
    return described_job(described, hardware, strategy, seq_len, framework, None, None)


def _stage(stage: int, timeline: _core.MemoryTimeline, replay: _core.AllocatorReplay) -> StageMemory:
    reserved = replay.peak_reserved_bytes
    return StageMemory(
        stage=stage,
        time_s=timeline.time_s,
        bytes=timeline.bytes,
        peak_bytes=timeline.peak_bytes,
        peak_time_s=timeline.peak_time_s,
        tensors=tuple(
            HeldTensor(_name(op, what), CATEGORIES[category], round(count), size)
            for op, what, category, count, size in timeline.live
        ),
        reserved_bytes=reserved,
        fragmentation=1 - replay.peak_allocated_bytes / reserved if reserved else 0.0,
    )


def _name(op: str, what: str) -> str:
    """`attention q`; a tensor that is called after its own op is not called so twice."""
    return what if what.startswith(f"{op} ") else f"{op} {what}".strip()
