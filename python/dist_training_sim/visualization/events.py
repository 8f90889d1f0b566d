"""Events of a step as columns: read from objects or mappings, checked together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError, Problems
from .inputs import Floats, as_list, vector

__all__ = ["EventColumns", "Ints", "read_events", "row_names", "window_of"]

Ints = npt.NDArray[np.int64]
_MISSING = object()
_FIELDS = ("name", "kind", "device", "stream", "start_s", "duration_s")


@dataclass(frozen=True)
class EventColumns:
    """Events as arrays of one length. `kind` and `stream` index `kinds` and `streams`; micro-batch -1 means none."""

    kinds: list[str]
    streams: list[str]
    kind: Ints
    stream: Ints
    device: Ints
    micro_batch: Ints
    virtual_stage: Ints
    start_s: Floats
    duration_s: Floats

    @property
    def chunk(self) -> Ints:
        """Which of its device's virtual stages each event belongs to, counted from 0."""
        chunk = np.zeros(len(self.kind), dtype=np.int64)
        for device in self.devices().tolist():
            on = self.device == device
            stages = np.unique(self.virtual_stage[on & (self.virtual_stage >= 0)])
            chunk[on] = np.maximum(np.searchsorted(stages, self.virtual_stage[on]), 0)
        return chunk

    @property
    def end_s(self) -> Floats:
        """End of each event in seconds."""
        return self.start_s + self.duration_s

    def devices(self) -> Ints:
        """Device numbers that occur, ascending."""
        return np.unique(self.device)

    def span_s(self) -> tuple[float, float]:
        """First start and last end in seconds."""
        return float(self.start_s.min()), float(self.end_s.max())

    def take(self, mask: npt.NDArray[np.bool_]) -> EventColumns:
        """The events for which `mask` holds."""
        return EventColumns(
            self.kinds,
            self.streams,
            self.kind[mask],
            self.stream[mask],
            self.device[mask],
            self.micro_batch[mask],
            self.virtual_stage[mask],
            self.start_s[mask],
            self.duration_s[mask],
        )

    def within(self, window_s: tuple[float, float]) -> EventColumns:
        """What of the events lies in a range of time, cut at its ends."""
        low, high = window_s
        kept = self.take((self.end_s > low) & (self.start_s < high))
        start = np.maximum(kept.start_s, low)
        return replace(kept, start_s=start, duration_s=np.minimum(kept.end_s, high) - start)


def _field(event: object, field: str) -> object:
    return event.get(field, _MISSING) if isinstance(event, Mapping) else getattr(event, field, _MISSING)


def _column(problems: Problems, events: list[object], field: str) -> list[object]:
    values = [_field(event, field) for event in events]
    absent = [i for i, value in enumerate(values) if value is _MISSING]
    if absent:
        where = f"events[{absent[0]}]{f' and {len(absent) - 1} more' if len(absent) > 1 else ''}"
        problems.add(f"{where}", type(events[absent[0]]).__name__, f"an attribute or key {field!r}")
    return values


def _names(problems: Problems, values: list[object], field: str) -> tuple[list[str], Ints]:
    """Distinct lower-case names and the index of each value's; an enum counts by its member name."""
    names: dict[str, int] = {}
    codes = np.empty(len(values), dtype=np.int64)
    for i, value in enumerate(values):
        text = value.name if isinstance(value, Enum) else value
        if not isinstance(text, str):
            problems.add(f"events[{i}].{field}", value, "a name (str)")
            return [], codes
        codes[i] = names.setdefault(text.lower(), len(names))
    return list(names), codes


def _integers(problems: Problems, values: list[object], field: str) -> Ints:
    for i, value in enumerate(values):
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or not 0 <= value < 2**31:
            problems.add(f"events[{i}].{field}", value, "an integer >= 0")
            return np.zeros(len(values), dtype=np.int64)
    return np.array(values, dtype=np.int64)


def _optional(problems: Problems, events: list[object], field: str) -> Ints:
    """An optional number of each event, -1 where it has none: absent, None or negative."""
    values = [_field(event, field) for event in events]
    none = [v is _MISSING or v is None or (isinstance(v, (int, np.integer)) and v < 0) for v in values]
    filled = _integers(problems, [0 if absent else v for v, absent in zip(values, none, strict=True)], field)
    return np.where(np.array(none), -1, filled)


def read_events(events: object) -> EventColumns:
    """Columns of a sequence of events.

    Parameters
    ----------
    events
        Objects or mappings with `name`, `kind`, `device`, `stream`, `start_s` and `duration_s` (seconds), and
        optionally `micro_batch` and `stage` (its virtual pipeline stage). A result that has `events` stands for them.

    Raises
    ------
    ConfigError
        Naming each missing field, wrong type, negative or non-finite number; or when nothing lasts.
    """
    items = as_list("events", getattr(events, "events", events))
    problems = Problems()
    columns = {field: _column(problems, items, field) for field in _FIELDS}
    problems.raise_if_any()
    kinds, kind = _names(problems, columns["kind"], "kind")
    streams, stream = _names(problems, columns["stream"], "stream")
    _names(problems, columns["name"], "name")
    device = _integers(problems, columns["device"], "device")
    start = vector(problems, "events", columns["start_s"], "start_s")
    duration = vector(problems, "events", columns["duration_s"], "duration_s")
    micro_batch, stage = _optional(problems, items, "micro_batch"), _optional(problems, items, "stage")
    problems.raise_if_any()
    with np.errstate(over="ignore"):
        table = EventColumns(kinds, streams, kind, stream, device, micro_batch, stage, start, duration)
        first, last = table.span_s()
    if not 0 < last - first < float("inf"):
        raise ConfigError(f"events: got a span of {last - first} s, expected a finite time > 0")
    return table


def row_names(events: object, count: int) -> tuple[str, str]:
    """What one row of a timeline is called, and what its `count` rows are.

    A result whose ranks are folded has a row per pipeline stage, which stands for the ranks of the stage.
    """
    devices = getattr(events, "devices", count)
    if not isinstance(devices, int) or devices <= count or getattr(events, "rank_classes", 0) != 1:
        return "device", f"{count:,} device{'s' * (count > 1)}"
    return "stage", f"{devices:,} devices, {f'{count} pipeline stages' if count > 1 else 'all alike'}"


def window_of(window_s: object, table: EventColumns) -> tuple[float, float]:
    """Both ends of a range of time in which something happens, or a `ConfigError`."""
    problems = Problems()
    ends = list(window_s) if isinstance(window_s, (tuple, list)) else []
    if len(ends) != 2:
        raise ConfigError(f"window_s: got {window_s!r}, expected a pair (start, end) in seconds")
    good = [problems.non_negative(f"window_s[{i}]", end) for i, end in enumerate(ends)]
    if all(good):
        low, high = float(ends[0]), float(ends[1])
        first, last = table.span_s()
        if not (low < high and low < last and high > first):
            problems.add(
                "window_s", (low, high), f"a start before the end, overlapping the events ({first:.6g} to {last:.6g} s)"
            )
        elif not ((table.end_s > low) & (table.start_s < high)).any():
            problems.add("window_s", (low, high), "a range in which something happens")
    problems.raise_if_any()
    return low, high
