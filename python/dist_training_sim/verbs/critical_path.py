"""The chain of tasks that a step waits for, from its last task back to its start."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..events import EventList
from ..result import Result

__all__ = ["PathPart", "critical_path"]


@dataclass(frozen=True)
class PathPart:
    """Neighbouring tasks of one kind on one device along the critical path.

    Attributes
    ----------
    what, device
        Kind of the tasks (`forward`, `backward`, `send_recv`, ...), `fixed` for what no task covers; pipeline stage.
    tasks, start_s, duration_s
        How many tasks, when the first starts, how long all take with the waits between them.
    """

    what: str
    device: int
    tasks: int
    start_s: float
    duration_s: float


def critical_path(result: Result) -> list[PathPart]:
    """Parts in order of time; their durations sum to the step time.

    A task waits for the one that ends last before it starts: of its own device where that is one, else of another.
    """
    events = result.events
    chain = _chain(events)
    parts: list[PathPart] = []
    until = 0.0
    for i in chain:
        event = events[i]
        covers = event.end_s - until
        until = event.end_s
        last = parts[-1] if parts else None
        if last is not None and (last.what, last.device) == (event.kind, event.device):
            parts[-1] = PathPart(last.what, last.device, last.tasks + 1, last.start_s, last.duration_s + covers)
        else:
            parts.append(PathPart(event.kind, event.device, 1, event.start_s, covers))
    rest = result.step_time_s - until
    return [*parts, PathPart("fixed", -1, 0, until, rest)] if rest > 0 else parts


def _chain(events: EventList) -> list[int]:
    """Places of the tasks of the path, first to last."""
    start, end, rank = (events.columns[name] for name in ("start_s", "end_s", "rank"))
    timed = np.flatnonzero(end > start)
    if not len(timed):
        return []
    order = timed[np.argsort(end[timed], kind="stable")]
    ends = end[order]
    at = int(order[-1])
    chain = [at]
    while start[at] > 0 and (before := _before(at, order, ends, start, rank)) is not None:
        at = before
        chain.append(at)
    return chain[::-1]


def _before(
    at: int,
    order: npt.NDArray[np.int64],
    ends: npt.NDArray[np.float64],
    start: npt.NDArray[np.float64],
    rank: npt.NDArray[np.int64],
) -> int | None:
    """Of the tasks that end last before a task starts, one of its own device if there is any."""
    tolerance = 1e-9 * max(1.0, float(start[at]))
    last = int(np.searchsorted(ends, start[at] + tolerance, side="right"))
    first = int(np.searchsorted(ends, ends[last - 1] - tolerance, side="left")) if last else 0
    candidates = [int(i) for i in order[first:last] if start[i] < start[at]]
    if not candidates:
        return None
    own = [i for i in candidates if rank[i] == rank[at]]
    return (own or candidates)[-1]
