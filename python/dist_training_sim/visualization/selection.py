"""Which devices a timeline shows: all of a few, else one of each group that behaves alike, else a spread of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..errors import ConfigError, Problems
from .events import EventColumns
from .inputs import as_list

__all__ = ["Selection", "select_devices"]

_ALIKE = 1e-6  # differences below this share of the span are rounding, far below a pixel


@dataclass(frozen=True)
class Selection:
    """Devices shown, how many each stands for (itself included), and what the reader must be told."""

    stands_for: dict[int, int]
    note: str = ""


def _groups(table: EventColumns) -> dict[int, int]:
    """First device of each set whose events coincide, and the size of the set."""
    first, last = table.span_s()
    step = (last - first) * _ALIKE
    start, duration = np.rint((table.start_s - first) / step), np.rint(table.duration_s / step)
    order = np.lexsort((duration, table.kind, start, table.stream, table.device))
    columns = np.stack(
        [table.stream, table.kind, table.micro_batch, start.astype(np.int64), duration.astype(np.int64)], axis=1
    )[order]
    devices, begins = np.unique(table.device[order], return_index=True)
    groups: dict[bytes, list[int]] = {}
    for device, events in zip(devices, np.split(columns, begins[1:]), strict=True):
        groups.setdefault(events.tobytes(), []).append(int(device))
    return {members[0]: len(members) for members in groups.values()}


def _spread(table: EventColumns, groups: dict[int, int], limit: int) -> dict[int, int]:
    """`limit` representatives: evenly spaced ones, always with the one that ends last."""
    heads = np.array(sorted(groups))
    slowest = int(table.device[np.argmax(table.end_s)])
    heads_end = [float(table.end_s[table.device == head].max()) for head in heads]
    slowest = slowest if slowest in groups else int(heads[int(np.argmax(heads_end))])
    picks = heads[np.linspace(0, len(heads) - 1, limit).round().astype(int)]
    if slowest not in picks:
        picks[np.argmin(np.abs(picks - slowest))] = slowest
    return {int(pick): groups[int(pick)] for pick in picks}


def _wanted(table: EventColumns, devices: Iterable[int]) -> Selection:
    known = set(table.devices().tolist())
    wanted = as_list("devices", devices)
    problems = Problems()
    for device in wanted:
        if device not in known:
            problems.add("devices", device, f"a device that has events ({min(known)} to {max(known)})")
    problems.raise_if_any()
    note = f"{len(set(wanted))} of {len(known)} devices shown" if len(set(wanted)) < len(known) else ""
    return Selection({int(device): 1 for device in wanted}, note)  # type: ignore[call-overload]


def select_devices(table: EventColumns, devices: Iterable[int] | None, max_devices: int) -> Selection:
    """Choose the rows of a timeline; `devices` names them, otherwise at most `max_devices` are chosen."""
    if devices is not None:
        return _wanted(table, devices)
    if isinstance(max_devices, bool) or not isinstance(max_devices, int) or max_devices < 1:
        raise ConfigError(f"max_devices: got {max_devices!r}, expected an integer >= 1")
    everyone = table.devices()
    if len(everyone) <= max_devices:
        return Selection({int(device): 1 for device in everyone})
    groups = _groups(table)
    if len(groups) <= max_devices:
        return Selection(
            groups,
            f"{len(everyone)} devices in {len(groups)} groups that do exactly the same: "
            "one of each group is shown, (+n) counts the others",
        )
    return Selection(
        _spread(table, groups, max_devices),
        f"{max_devices} of {len(everyone)} devices shown, evenly spaced, with the one that ends last",
    )
