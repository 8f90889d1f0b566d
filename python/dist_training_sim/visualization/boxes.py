"""Boxes of events on lanes, and numbers inside them where they fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from .events import EventColumns, Ints
from .hover import set_hover
from .inputs import Floats
from .lanes import Lane, Layout
from .style import Theme, colour_of_kind, ink_on, words
from .ticks import seconds_text, time_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["AXES_IN", "MANY", "draw_boxes", "draw_numbers"]

AXES_IN = 9.8  # roughly the axes of a timeline between its labels
MANY = 20_000  # boxes above which vector formats embed them as an image
_NUMBERS_MAX = 2_000  # of one kind
_OUTLINED_IN, _SMALLEST_PT = 0.03, 4.5  # narrowest box with an outline, smallest number in a box
_NUMBERED = {"forward", "backward", "weight_grad", "recompute"}
_HOVERED = 5_000  # boxes that tell about themselves


def _corners(start: Floats, end: Floats, lanes: list[Lane]) -> Floats:
    """Corners of boxes, shape (events, 4, 2)."""
    top = np.array([lane.top for lane in lanes])
    bottom = top + np.array([lane.height for lane in lanes])
    xs = np.stack([start, end, end, start], axis=1)
    ys = np.stack([top, top, bottom, bottom], axis=1)
    return np.stack([xs, ys], axis=2)


def _outlines(theme: Theme, part: EventColumns, span_s: float, colour: str) -> list[str]:
    """Edge of each box: neighbours of one colour stay apart, and boxes too narrow for an edge keep their colour."""
    wide = part.duration_s / span_s * AXES_IN > _OUTLINED_IN
    return [theme.outline if is_wide else colour for is_wide in wide.tolist()]


def _stories(part: EventColumns, kind: str) -> list[str]:
    return [
        f"{words(kind)}{f' mb {mb}' if mb >= 0 else ''}, device {device}, {part.streams[stream]}: "
        f"{seconds_text(start)} + {seconds_text(duration)}"
        for mb, device, stream, start, duration in zip(
            part.micro_batch.tolist(),
            part.device.tolist(),
            part.stream.tolist(),
            part.start_s.tolist(),
            part.duration_s.tolist(),
            strict=True,
        )
    ]


def draw_boxes(
    axes: Axes,
    theme: Theme,
    table: EventColumns,
    layout: Layout,
    span_s: float,
    colours: Mapping[tuple[str, int], str] | None = None,
) -> None:
    """Draw every event; `colours` by (kind, chunk), by default the colour of the kind."""
    from matplotlib.collections import PolyCollection

    lane_of = {(lane.device, lane.stream): lane for lane in layout.lanes}
    scale, many = time_unit(span_s)[0], len(table.kind) > MANY
    chunk = table.chunk if colours else np.zeros(len(table.kind), dtype=np.int64)
    for code, piece in np.unique(np.stack([table.kind, chunk], axis=1), axis=0).tolist():
        part, kind = table.take((table.kind == code) & (chunk == piece)), table.kinds[code]
        colour = (colours or {}).get((kind, piece)) or colour_of_kind(kind)
        lanes = [lane_of[key] for key in zip(part.device.tolist(), (part.streams[s] for s in part.stream), strict=True)]
        corners = _corners(part.start_s / scale, part.end_s / scale, lanes)
        # Without edges the share of a pixel that boxes cover becomes its shade, which is true however many there are.
        boxes = PolyCollection(
            cast(Any, corners),
            facecolors=colour,
            linewidths=0.0 if many else 0.4,
            edgecolors="none" if many else _outlines(theme, part, span_s, colour),
        )
        boxes.set_gid(kind)
        boxes.set_rasterized(many)
        boxes.set_snap(not many)  # whole pixels look crisp, but of many narrow boxes some would vanish
        axes.add_collection(boxes, autolim=False)
        if len(table.kind) <= _HOVERED:
            set_hover(boxes, _stories(part, kind))


def _number_size(duration_s: Floats, digits: int, layout: Layout, span_s: float) -> float:
    """Largest font size, in points, at which the numbers of nearly all passes of one kind fit; 0 if none does."""
    room_pt = float(np.quantile(duration_s, 0.1)) / span_s * AXES_IN * 72
    size = min(8.0, layout.unit_in * 72 * 0.62, room_pt / (0.66 * digits + 0.3))
    return size if size >= _SMALLEST_PT else 0.0


def _whole_passes(part: EventColumns, chunk: Ints) -> tuple[list[int], Floats, Floats]:
    """Passes that run in pieces, put together: the first event of each, and its start and end."""
    keys = np.stack([part.device, part.stream, chunk, part.micro_batch], axis=1)
    _, first, whole = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    start, end = np.full(len(first), np.inf), np.full(len(first), -np.inf)
    np.minimum.at(start, whole.ravel(), part.start_s)
    np.maximum.at(end, whole.ravel(), part.end_s)
    return first.tolist(), start, end


def draw_numbers(
    axes: Axes, table: EventColumns, layout: Layout, span_s: float, colours: Mapping[tuple[str, int], str] | None = None
) -> None:
    """Micro-batch numbers in the passes of the kinds whose passes have room for them."""
    middle = {(lane.device, lane.stream): lane.middle for lane in layout.lanes if lane.height >= 1.0}
    scale, chunk = time_unit(span_s)[0], table.chunk
    for kind in sorted(_NUMBERED & set(table.kinds)):
        on = (table.kind == table.kinds.index(kind)) & (table.micro_batch >= 0)
        part, chunks = table.take(on), chunk[on]
        if not len(part.kind):
            continue
        first, start, end = _whole_passes(part, chunks)
        size = _number_size(end - start, len(str(part.micro_batch.max())), layout, span_s)
        for i, at in zip(first, (start + end) / 2, strict=True) if size and len(first) <= _NUMBERS_MAX else ():
            y = middle.get((int(part.device[i]), part.streams[part.stream[i]]))
            if y is not None:
                face = (colours or {}).get((kind, int(chunks[i]))) or colour_of_kind(kind)
                axes.text(
                    at / scale,
                    y,
                    str(part.micro_batch[i]),
                    ha="center",
                    va="center",
                    fontsize=size,
                    clip_on=True,
                    color=ink_on(face),
                )
