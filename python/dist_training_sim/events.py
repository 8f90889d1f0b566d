"""Events of a simulated step: one per task, kept as columns and made into objects on demand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import numpy.typing as npt

__all__ = ["Event", "EventList"]

_KINDS = (
    *("forward", "backward", "all_gather", "reduce_scatter", "send_recv", "all_reduce", "sync", "optimizer"),
    *(
        "backward",
        "weight_grad",
        "all_reduce",
        "all_reduce",
        "copy",
        "copy",
        "copy",
        "copy",
        "copy",
        "copy",
        "copy",
        "copy",
    ),
)
_GRAD_REDUCE, _TIED, _SYNC, _OPTIMIZER, _COPIES = 3, 5, 6, 7, 10
_STREAMS = ("compute", "dp", "pp", "pp", "dp", "copy", "copy", "copy")
_NAMES = (
    *("forward", "backward", "gather parameters", "reduce gradients", "send", "reduce tied embedding", "sync"),
    *("update", "input gradient", "weight gradient", "reduce copies", "reduce between replicas"),
    *("gradients to host", "parameters to device", "activations to host", "activations to device"),
    *("states to device", "states to host", "read from tier", "write to tier"),
)


@dataclass(frozen=True, slots=True)
class Event:
    """One task of a step.

    Attributes
    ----------
    name
        What it does, e.g. `"forward mb3"`.
    kind
        Category: forward, backward (whole, or its input gradient), weight_grad, optimizer, all_reduce, all_gather,
        reduce_scatter, send_recv, copy (between device, host and the tiers behind it).
    device
        Rank that runs it (the pipeline stage where ranks are folded).
    stream
        `compute`, `dp` (data-parallel collectives), `pp` (pipeline transfers) or `copy`.
    start_s, duration_s
        Seconds from the start of the step.
    stage, micro_batch
        Virtual pipeline stage and micro-batch.
    bytes, group_size
        Of a collective or transfer: the whole buffer (of a gather or scatter the gathered size), and its ranks; 0 of
        all else. Collectives inside a pass are part of the pass.
    """

    name: str
    kind: str
    device: int
    stream: str
    start_s: float
    duration_s: float
    stage: int = 0
    micro_batch: int = 0
    bytes: float = 0.0
    group_size: int = 0

    @property
    def end_s(self) -> float:
        """Seconds from the start of the step to the end of the event."""
        return self.start_s + self.duration_s

    @property
    def start_ms(self) -> float:
        """Milliseconds from the start of the step."""
        return self.start_s * 1e3

    @property
    def duration_ms(self) -> float:
        """Length in milliseconds."""
        return self.duration_s * 1e3


class EventList(Sequence[Event]):
    """Read-only list of events over the simulator's columns.

    `columns` holds the arrays `kind`, `stream`, `rank`, `stage`, `micro_batch`, `piece`, `start_s`, `end_s`, `bytes`,
    `ranks` (the group's).
    """

    def __init__(self, columns: Mapping[str, npt.NDArray[Any]], *, sharded: bool) -> None:
        self.columns: dict[str, npt.NDArray[Any]] = dict(columns)
        self._sharded = sharded

    def __len__(self) -> int:
        return len(self.columns["kind"])

    @overload
    def __getitem__(self, index: int) -> Event: ...
    @overload
    def __getitem__(self, index: slice) -> list[Event]: ...
    def __getitem__(self, index: int | slice) -> Event | list[Event]:
        if isinstance(index, slice):
            return [self._event(i) for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"event index {index} out of range for {len(self)} events")
        return self._event(index % len(self))

    def __iter__(self) -> Iterator[Event]:
        return (self._event(i) for i in range(len(self)))

    def __repr__(self) -> str:
        return f"<{len(self)} events on {len(np.unique(self.columns['rank']))} devices>"

    def rows(self, places: npt.NDArray[Any]) -> EventList:
        """The events at these places."""
        return EventList({name: values[places] for name, values in self.columns.items()}, sharded=self._sharded)

    @property
    def kind_names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Name and category of each kind of task, by its number in the column `kind`."""
        categories = list(_KINDS)
        if not self._sharded:
            categories[_GRAD_REDUCE] = "all_reduce"
        return _NAMES, tuple(categories)

    def _event(self, i: int) -> Event:
        c = self.columns
        kind, micro_batch, piece = int(c["kind"][i]), int(c["micro_batch"][i]), int(c["piece"][i])
        name = _NAMES[kind]
        if kind not in (_SYNC, _OPTIMIZER, _TIED, _COPIES):
            name += f" mb{micro_batch}" + (f".{piece}" if piece >= 0 else "")
        category = _KINDS[kind] if kind != _GRAD_REDUCE or self._sharded else "all_reduce"
        start = float(c["start_s"][i])
        return Event(
            name=name,
            kind=category,
            device=int(c["rank"][i]),
            stream=_STREAMS[int(c["stream"][i])],
            start_s=start,
            duration_s=float(c["end_s"][i]) - start,
            stage=int(c["stage"][i]),
            micro_batch=micro_batch,
            bytes=float(c["bytes"][i]),
            group_size=int(c["ranks"][i]),
        )
