"""`save_trace`: the timeline of a step as files of trace viewers, by the path's suffix."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from .._files import exists, is_folder, write_folder, write_whole
from ..errors import Problems
from ..events import EventList
from .counters import LinksOverTime, MemoryOverTime, link_counters, memory_counters
from .kineto import TracedJob, compressed, kineto_bytes, kineto_files
from .perfetto import perfetto_bytes

__all__ = ["save_trace"]

_SUFFIXES = (".pftrace", ".json.gz", ".json")


def save_trace(
    events: EventList,
    path: str | os.PathLike[str],
    memory: Sequence[MemoryOverTime] = (),
    job: TracedJob | None = None,
    links: LinksOverTime | None = None,
) -> Path:
    """Write events for trace viewers; the path says which.

    `.pftrace`: Perfetto, a process per rank, a thread per stream, flows along transfers. `.json.gz`, `.json`: the same
    for Chrome and Perfetto in the categories and arguments of PyTorch's profiler, all ranks in one file. A path without
    suffix: a folder with such a file per rank, which Holistic Trace Analysis and TensorBoard's PyTorch plugin read.

    Where ranks are folded, a pipeline rank stands for its ranks, as in `Result.events`.

    Parameters
    ----------
    events
        `Result.events`.
    path
        The file or folder; it appears whole or not at all.
    memory
        Stages of `dts.memory_timeline` of the same job: allocated bytes as a counter of each pipeline rank.
    job
        What the profiler would say of the job; known to `Result.save_trace`.
    links
        `Result.links`: use of the busiest links as counters of the network, where all ranks are in one file.

    Raises
    ------
    ConfigError
        If there are no events, the path has another suffix or no parent, or the folder holds something.
    """
    target = _checked(events, Path(path))
    counters, job = [*memory_counters(memory), *link_counters(links)], job or TracedJob()
    if target.name.endswith(".pftrace"):
        write_whole(target, perfetto_bytes(events, counters, job.row))
    elif target.name.endswith(".json"):
        write_whole(target, kineto_bytes(events, job, counters))
    elif target.name.endswith(".gz"):
        write_whole(target, compressed(kineto_bytes(events, job, counters)))
    else:
        write_folder(target, dict(kineto_files(events, job, counters)))
    return target


def _checked(events: EventList, target: Path) -> Path:
    problems = Problems()
    if not len(events):
        problems.add("events", "none", "the events of a step", "simulate with keep_events=True")
    if target.suffix and not target.name.endswith(_SUFFIXES):
        expected = f"a file that ends in {', '.join(_SUFFIXES)}, or a folder without suffix"
        problems.add("path", str(target), expected)
    elif is_folder(target) and (target.suffix or any(target.iterdir())):
        problems.add("path", str(target), "a file" if target.suffix else "a new or empty folder", "name another")
    elif not target.suffix and exists(target) and not is_folder(target):
        problems.add("path", str(target), "a new or empty folder", f"a file ends in {', '.join(_SUFFIXES)}")
    if not is_folder(target.parent):
        problems.add("path", str(target), "a path in an existing folder", f"create {target.parent}")
    problems.raise_if_any()
    return target
