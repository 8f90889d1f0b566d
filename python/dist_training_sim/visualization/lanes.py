"""Vertical layout of a timeline: a tall compute lane and thin lanes for the other streams under each device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .events import EventColumns

__all__ = ["Lane", "Layout", "lay_out"]

STREAMS = ("compute", "tp", "cp", "ep", "dp", "pp", "copy")  # top to bottom; streams of other names follow
_TALL, _THIN, _GAP = 1.0, 0.5, 0.45
_MAX_IN, _UNIT_IN = 10.0, 0.3  # tallest stack of lanes, and of one tall lane


@dataclass(frozen=True)
class Lane:
    """Strip of one stream of one device; `top` grows downwards."""

    device: int
    stream: str
    top: float
    height: float

    @property
    def middle(self) -> float:
        """Vertical centre of the lane."""
        return self.top + self.height / 2


@dataclass(frozen=True)
class Layout:
    """All lanes, the total height in lane units, and the inches of one unit."""

    lanes: list[Lane]
    height: float
    unit_in: float

    def of_device(self, device: int) -> list[Lane]:
        """Lanes of one device, top to bottom."""
        return [lane for lane in self.lanes if lane.device == device]


def _rank(stream: str) -> tuple[int, str]:
    return (STREAMS.index(stream) if stream in STREAMS else len(STREAMS), stream)


def lay_out(table: EventColumns, devices: list[int]) -> Layout:
    """Stack the lanes of `devices`; a device has only the lanes of streams on which it has events."""
    lanes: list[Lane] = []
    top = 0.0
    for device in devices:
        streams = {table.streams[code] for code in np.unique(table.stream[table.device == device])}
        for position, stream in enumerate(sorted(streams, key=_rank)):
            height = _TALL if position == 0 else _THIN
            lanes.append(Lane(device, stream, top, height))
            top += height
        top += _GAP
    return Layout(lanes, top - _GAP, min(_UNIT_IN, _MAX_IN / top))
