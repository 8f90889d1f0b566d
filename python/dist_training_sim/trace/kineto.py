"""The timeline of a step as PyTorch's profiler would have written it, for readers of its traces."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .. import _core
from ..events import EventList
from .counters import Counter
from .streams import STREAM_NAMES

__all__ = ["TracedJob", "kineto_bytes", "kineto_files"]

# By category: the call of torch.distributed, its name in the arguments, the kernel that it launches.
_COLLECTIVES = {
    "all_reduce": ("nccl:all_reduce", "allreduce", "ncclDevKernel_AllReduce"),
    "all_gather": ("nccl:all_gather", "_allgather_base", "ncclDevKernel_AllGather"),
    "reduce_scatter": ("nccl:reduce_scatter", "_reduce_scatter_base", "ncclDevKernel_ReduceScatter"),
    "send_recv": ("nccl:send", "send", "ncclDevKernel_SendRecv"),
}
_TO_HOST, _FROM_HOST = "Memcpy DtoH (Device -> Pinned)", "Memcpy HtoD (Pinned -> Device)"
_FASTEST = 1  # gzip level: a tenth of the size already


@dataclass(frozen=True)
class TracedJob:
    """What a trace says of its job beside the events.

    Attributes
    ----------
    step_time_s
        Length of the step; 0 takes the end of the last event.
    devices
        Devices of the job.
    row
        What a rank of the events is called: where they are folded, one stands for all of its pipeline stage.
    device, device_bytes
        Name and memory of one; 0 = unknown.
    """

    step_time_s: float = 0.0
    devices: int = 1
    device: str = "device"
    device_bytes: float = 0.0
    row: str = "rank"


def kineto_bytes(events: EventList, job: TracedJob, counters: list[Counter], *, one_rank: bool = False) -> bytes:
    """JSON of all events; of one rank it is what the profiler writes in that rank's process."""
    titles, categories = events.kind_names
    collectives = [_COLLECTIVES.get(category, ("", "", "")) for category in categories]
    return _core.kineto_trace(
        events.columns,
        ops=[op for op, _, _ in collectives],
        kernels=[kernel or _kernel(title, category) for (_, _, kernel), title, category in zip(
            collectives, titles, categories, strict=True)],
        collectives=[name for _, name, _ in collectives],
        titles=list(titles),
        streams=list(STREAM_NAMES),
        device=job.device,
        device_bytes=job.device_bytes,
        step_time_s=job.step_time_s or float(events.columns["end_s"].max()),
        devices=job.devices,
        one_rank=one_rank,
        row="rank" if one_rank else job.row,
        counters=counters,
    )  # fmt: skip


def kineto_files(events: EventList, job: TracedJob, counters: list[Counter]) -> Iterator[tuple[str, bytes]]:
    """A file per rank, named as TensorBoard's plugin wants it."""
    ranks = events.columns["rank"]
    order = np.argsort(ranks, kind="stable")
    numbers, starts = np.unique(ranks[order], return_index=True)
    for number, rows in zip(numbers.tolist(), np.split(order, starts[1:]), strict=True):
        mine = [counter for counter in counters if counter[0] == number]
        data = kineto_bytes(events.rows(rows), job, mine, one_rank=True)
        yield f"rank_{number}.pt.trace.json.gz", compressed(data)


def compressed(data: bytes) -> bytes:
    """The same bytes for the same input: no time in the header."""
    return gzip.compress(data, compresslevel=_FASTEST, mtime=0)


def _kernel(title: str, category: str) -> str:
    if category != "copy":
        return title
    return _TO_HOST if title.endswith("to host") else _FROM_HOST
