"""Timeline of one step: what every device computes and sends, and when."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from .canvas import add_legend, add_title, dress, new_figure
from .events import EventColumns, read_events
from .inputs import Floats
from .lanes import Lane, Layout, lay_out
from .selection import Selection, select_devices
from .style import KINDS, Theme, colour_of_kind, words
from .ticks import seconds_text, time_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["training_timeline"]

_WIDTH_IN, _AXES_IN = 12.0, 9.8  # figure, and roughly its axes between the labels
_MANY = 20_000  # boxes above which vector formats embed them as an image
_NUMBERS_MAX = 2_000  # of one kind
_LABEL_IN = 0.1  # thinnest lane that gets its name beside it
_OUTLINED_IN, _SMALLEST_PT = 0.03, 4.5  # narrowest box with an outline, smallest number in a box
_NUMBERED = {"forward", "backward", "weight_grad", "recompute"}


def busy_share(start: Floats, end: Floats, span_s: float) -> float:
    """Share of `span_s` covered by the union of intervals."""
    order = np.argsort(start, kind="stable")
    start, end = start[order], end[order]
    covered_until = np.maximum.accumulate(np.concatenate(([start[0]], end[:-1])))
    return float(np.maximum(end - np.maximum(start, covered_until), 0.0).sum() / span_s)


def _boxes(start: Floats, end: Floats, lanes: list[Lane]) -> Floats:
    """Corners of one rectangle per event, shape (events, 4, 2)."""
    top = np.array([lane.top for lane in lanes])
    bottom = top + np.array([lane.height for lane in lanes])
    return np.stack([np.stack(side, axis=1) for side in ((start, bottom), (start, top), (end, top), (end, bottom))], 1)


def _outlines(theme: Theme, part: EventColumns, span_s: float, colour: str) -> list[str]:
    """Edge colour of each box: an outline would cover a narrow box, so that one is edged in its own colour."""
    wide = part.duration_s / span_s * _AXES_IN > _OUTLINED_IN
    return [theme.outline if is_wide else colour for is_wide in wide.tolist()]


def _draw_boxes(axes: Axes, theme: Theme, table: EventColumns, layout: Layout, span_s: float) -> None:
    from matplotlib.collections import PolyCollection

    lane_of = {(lane.device, lane.stream): lane for lane in layout.lanes}
    scale, many = time_unit(span_s)[0], len(table.kind) > _MANY
    for code in np.unique(table.kind).tolist():
        part, colour = table.take(table.kind == code), colour_of_kind(table.kinds[code])
        lanes = [lane_of[key] for key in zip(part.device.tolist(), (part.streams[s] for s in part.stream), strict=True)]
        corners = _boxes(part.start_s / scale, part.end_s / scale, lanes)
        # Without edges the share of a pixel that boxes cover becomes its shade, which is true however many there are.
        boxes = PolyCollection(cast(Any, corners), facecolors=colour, linewidths=0.0 if many else 0.4,
                               edgecolors="none" if many else _outlines(theme, part, span_s, colour))
        boxes.set_gid(table.kinds[code])
        boxes.set_rasterized(many)
        boxes.set_snap(not many)  # whole pixels look crisp, but of many narrow boxes some would vanish
        axes.add_collection(boxes, autolim=False)


def _number_size(part: EventColumns, layout: Layout, span_s: float) -> float:
    """Largest font size, in points, at which the numbers of nearly all boxes of one kind fit; 0 if none does."""
    digits = len(str(part.micro_batch.max()))
    room_pt = float(np.quantile(part.duration_s, 0.1)) / span_s * _AXES_IN * 72
    size = min(8.0, layout.unit_in * 72 * 0.62, room_pt / (0.66 * digits + 0.3))
    return size if size >= _SMALLEST_PT else 0.0


def _draw_numbers(axes: Axes, table: EventColumns, layout: Layout, span_s: float) -> None:
    """Micro-batch numbers in the boxes of the kinds whose boxes have room for them."""
    middle = {(lane.device, lane.stream): lane.middle for lane in layout.lanes if lane.height >= 1.0}
    scale = time_unit(span_s)[0]
    for kind in _NUMBERED & set(table.kinds):
        part = table.take((table.kind == table.kinds.index(kind)) & (table.micro_batch >= 0))
        size = _number_size(part, layout, span_s) if 0 < len(part.kind) <= _NUMBERS_MAX else 0.0
        for i in range(len(part.kind) if size else 0):
            y = middle.get((int(part.device[i]), part.streams[part.stream[i]]))
            if y is not None:
                axes.text((part.start_s[i] + part.duration_s[i] / 2) / scale, y, str(part.micro_batch[i]), ha="center",
                          va="center", fontsize=size, clip_on=True, color=ink_on(colour_of_kind(kind)))


def ink_on(colour: str) -> str:
    """Black or white, whichever reads better on `colour` ("#RRGGBB")."""
    red, green, blue = (int(colour[i:i + 2], 16) for i in (1, 3, 5))
    return "#000000" if 0.299 * red + 0.587 * green + 0.114 * blue > 130 else "#FFFFFF"


def _label_rows(axes: Axes, theme: Theme, table: EventColumns, layout: Layout, chosen: Selection) -> None:
    """Device names and, where there is room, stream names on the left; compute busy share on the right."""
    named = layout.unit_in * 0.5 >= _LABEL_IN
    ticks, labels = [], []
    for device, count in chosen.stands_for.items():
        lanes = layout.of_device(device)
        ticks.append(lanes[0].middle if named else (lanes[0].top + lanes[-1].top + lanes[-1].height) / 2)
        labels.append(f"device {device}" + (f" (+{count - 1})" if count > 1 else ""))
    axes.set_yticks(ticks, labels)
    axes.tick_params(axis="y", length=0, pad=6)
    if named:
        others = [lane for lane in layout.lanes if lane.height < 1.0]
        axes.set_yticks([lane.middle for lane in others], [words(lane.stream) for lane in others], minor=True)
        axes.tick_params(axis="y", which="minor", length=0, pad=6, labelsize=6.0, labelcolor=theme.muted)
    _label_busy(axes, theme, table, layout)


def _label_busy(axes: Axes, theme: Theme, table: EventColumns, layout: Layout) -> None:
    first, last = table.span_s()
    for lane in layout.lanes:
        if lane.stream == "compute":
            on = (table.device == lane.device) & (table.stream == table.streams.index("compute"))
            share = busy_share(table.start_s[on], table.end_s[on], last - first)
            axes.text(1.008, lane.middle, f"{share:.0%}", transform=axes.get_yaxis_transform(), va="center",
                      fontsize=7.5, color=theme.muted)
    if "compute" in {lane.stream for lane in layout.lanes}:
        axes.annotate("compute\nbusy", (1.008, 1), xycoords="axes fraction", xytext=(0, 5),
                      textcoords="offset points", fontsize=7.5, color=theme.muted, va="bottom")


def _legend(figure: Figure, theme: Theme, table: EventColumns) -> None:
    from matplotlib.patches import Patch

    present = {table.kinds[code] for code in np.unique(table.kind)}
    unknown = sorted(present - set(KINDS))
    handles = [Patch(facecolor=colour, label=name, edgecolor=theme.outline)
               for kind, (colour, name) in KINDS.items() if kind in present and kind != "other"]
    if unknown or "other" in present:
        tail = f" ({', '.join(words(name) for name in unknown[:4])}{' ...' if len(unknown) > 4 else ''})"
        handles.append(Patch(facecolor=KINDS["other"][0], label="Other" + (tail if unknown else "")))
    add_legend(figure, theme, list(handles))


def training_timeline(theme: Theme, events: Iterable[object], *, title: str | None = None,
                      devices: Iterable[int] | None = None, max_devices: int = 16) -> Figure:
    """Draw the events of one step; see `Visualizer.plot_training_timeline`."""
    everything = read_events(events)
    chosen = select_devices(everything, devices, max_devices)
    table = everything.take(np.isin(everything.device, list(chosen.stands_for)))
    layout = lay_out(table, list(chosen.stands_for))
    first, last = everything.span_s()
    scale, unit = time_unit(last - first)
    figure = new_figure(theme, _WIDTH_IN, layout.height * layout.unit_in + 1.9)
    axes = figure.add_subplot()
    dress(axes, theme, grid="x", x_label=f"Time ({unit})")
    axes.set_xlim(first / scale, last / scale)
    axes.set_ylim(layout.height + 0.2, -0.2)
    _draw_boxes(axes, theme, table, layout, last - first)
    _draw_numbers(axes, table, layout, last - first)
    _label_rows(axes, theme, table, layout, chosen)
    _legend(figure, theme, table)
    count = len(everything.devices())
    add_title(axes, theme, title or f"{count} device{'s' * (count > 1)}: {seconds_text(last - first)} "
              "from first to last event", chosen.note)
    return figure
