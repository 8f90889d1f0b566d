"""`save_trace`: the timeline of a step for Perfetto (https://ui.perfetto.dev)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .. import _core
from ..errors import Problems
from ..events import EventList

__all__ = ["save_trace"]

SUFFIX = ".pftrace"
_STREAM_NAMES = ("compute", "data parallel", "send forward", "send backward", "replicas", "to host", "from host")


class MemoryOverTime(Protocol):
    """What a counter needs of `dts.memory_timeline`'s stages."""

    @property
    def stage(self) -> int: ...
    @property
    def time_s(self) -> npt.NDArray[np.float64]: ...
    @property
    def bytes(self) -> npt.NDArray[np.float64]: ...


def save_trace(events: EventList, path: str | os.PathLike[str], memory: Sequence[MemoryOverTime] = ()) -> Path:
    """Write events as a Perfetto trace: a process per rank, a thread per stream, flows along transfers.

    Where ranks are folded, a pipeline rank stands for its ranks, as in `Result.events`.

    Parameters
    ----------
    events
        `Result.events`.
    path
        A file that ends in `.pftrace`; it appears whole or not at all.
    memory
        Stages of `dts.memory_timeline` of the same job: allocated bytes as a counter of each pipeline rank.

    Raises
    ------
    ConfigError
        If there are no events, or the path has another suffix or no folder.
    """
    target = _checked(events, path)
    counters = [
        (stage.stage, "allocated memory", "bytes", stage.time_s.tolist(), stage.bytes.sum(axis=1).tolist())
        for stage in memory
    ]
    kinds, categories = events.kind_names
    data = _core.perfetto_trace(events.columns, list(kinds), list(categories), list(_STREAM_NAMES), "rank", counters)
    _write(target, data)
    return target


def _checked(events: EventList, path: str | os.PathLike[str]) -> Path:
    target = Path(path)
    problems = Problems()
    if not len(events):
        problems.add("events", "none", "the events of a step", "simulate with keep_events=True")
    if target.suffix != SUFFIX:
        problems.add("path", str(target), f"a file that ends in {SUFFIX}")
    if not target.parent.is_dir():
        problems.add("path", str(target), "a file in an existing folder", f"create {target.parent}")
    problems.raise_if_any()
    return target


def _write(target: Path, data: Any) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{target.stem}.", suffix=SUFFIX, dir=target.parent)
    draft = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
