"""Timeline of one step: what every device computes and sends, and when."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from .boxes import draw_boxes, draw_numbers
from .canvas import add_legend, add_title, dress, new_figure
from .events import EventColumns, read_events, row_names, window_of
from .inputs import Floats
from .lanes import Layout, lay_out
from .margin import label_margin, margin_heading
from .selection import Selection, select_devices
from .style import KINDS, Theme, words
from .ticks import seconds_text, time_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["busy_share", "legend_of_kinds", "training_timeline"]

_WIDTH_IN = 12.0
_LABEL_IN = 0.1  # thinnest lane that gets its name beside it


def busy_share(start: Floats, end: Floats, span_s: float) -> float:
    """Share of `span_s` covered by the union of intervals."""
    order = np.argsort(start, kind="stable")
    start, end = start[order], end[order]
    covered_until = np.maximum.accumulate(np.concatenate(([start[0]], end[:-1])))
    return float(np.maximum(end - np.maximum(start, covered_until), 0.0).sum() / span_s)


def _label_rows(axes: Axes, theme: Theme, table: EventColumns, layout: Layout, chosen: Selection, row: str) -> None:
    """Device names and, where there is room, stream names on the left; the busy share of compute on the right."""
    named = layout.unit_in * 0.5 >= _LABEL_IN
    ticks, labels = [], []
    for device, count in chosen.stands_for.items():
        lanes = layout.of_device(device)
        ticks.append(lanes[0].middle if named else (lanes[0].top + lanes[-1].top + lanes[-1].height) / 2)
        labels.append(f"{row} {device}" + (f" (+{count - 1})" if count > 1 else ""))
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
            label_margin(axes, theme, lane.middle, f"{share:.0%}")
    if "compute" in {lane.stream for lane in layout.lanes}:
        margin_heading(axes, theme, "stream\nbusy")


def legend_of_kinds(figure: Figure, theme: Theme, table: EventColumns) -> None:
    """Legend of the kinds that occur."""
    from matplotlib.patches import Patch

    present = {table.kinds[code] for code in np.unique(table.kind)}
    unknown = sorted(present - set(KINDS))
    handles = [
        Patch(facecolor=colour, label=name, edgecolor=theme.outline)
        for kind, (colour, name) in KINDS.items()
        if kind in present and kind != "other"
    ]
    if unknown or "other" in present:
        tail = f" ({', '.join(words(name) for name in unknown[:4])}{' ...' if len(unknown) > 4 else ''})"
        handles.append(Patch(facecolor=KINDS["other"][0], label="Other" + (tail if unknown else "")))
    add_legend(figure, theme, list(handles))


def training_timeline(
    theme: Theme,
    events: object,
    *,
    title: str | None = None,
    devices: Iterable[int] | None = None,
    max_devices: int = 16,
    window_s: tuple[float, float] | None = None,
) -> Figure:
    """Draw the events of one step; see `Visualizer.plot_training_timeline`."""
    whole = read_events(events)
    first, last = whole.span_s() if window_s is None else window_of(window_s, whole)
    everything = whole if window_s is None else whole.within((first, last))
    chosen = select_devices(everything, devices, max_devices)
    table = everything.take(np.isin(everything.device, list(chosen.stands_for)))
    layout = lay_out(table, list(chosen.stands_for))
    scale, unit = time_unit(last - first)
    figure = new_figure(theme, _WIDTH_IN, layout.height * layout.unit_in + 1.9)
    axes = figure.add_subplot()
    dress(axes, theme, grid="x", x_label=f"Time ({unit})")
    axes.set_xlim(first / scale, last / scale)
    axes.set_ylim(layout.height + 0.2, -0.2)
    draw_boxes(axes, theme, table, layout, last - first)
    draw_numbers(axes, table, layout, last - first)
    row, who = row_names(events, len(everything.devices()))
    _label_rows(axes, theme, table, layout, chosen, row)
    legend_of_kinds(figure, theme, table)
    what = "from first to last event" if window_s is None else f"from {seconds_text(first)}"
    add_title(axes, theme, title or f"{who}: {seconds_text(last - first)} {what}", chosen.note)
    return figure
