"""Pipeline diagram: which micro-batch each stage works on, chunk by chunk, and where it waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConfigError
from .boxes import draw_boxes, draw_numbers
from .canvas import add_legend, add_title, dress, new_figure
from .events import EventColumns, read_events, row_names
from .lanes import Layout, lay_out
from .margin import label_margin, margin_heading
from .selection import Selection, select_devices
from .style import KINDS, Theme, colour_of_kind
from .ticks import seconds_text, time_unit
from .timeline import busy_share

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["pipeline_diagram"]

_WIDTH_IN = 12.0
_PASSES = ("forward", "backward", "weight_grad", "recompute", "optimizer")
_LIGHTEST = 0.6  # share of white in the last chunk's colour


def _tinted(colour: str, chunk: int, chunks: int) -> str:
    """Colour of a chunk: later ones lighter."""
    share = _LIGHTEST * chunk / max(chunks - 1, 1)
    parts = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(part + (255 - part) * share):02X}" for part in parts)


def _passes(table: EventColumns) -> EventColumns:
    codes = [table.kinds.index(kind) for kind in _PASSES if kind in table.kinds]
    kept = table.take(np.isin(table.kind, codes))
    if not len(kept.kind):
        raise ConfigError(f"events: got none of {', '.join(_PASSES)}, expected the passes of a pipeline")
    return kept


def _colours(table: EventColumns) -> dict[tuple[str, int], str]:
    """Colour of each kind and chunk; the update belongs to all chunks."""
    chunks = int(table.chunk.max()) + 1
    kinds = {table.kinds[code] for code in np.unique(table.kind)} - {"optimizer"}
    return {(kind, chunk): _tinted(colour_of_kind(kind), chunk, chunks) for kind in kinds for chunk in range(chunks)}


def _shade_bubbles(axes: Axes, theme: Theme, layout: Layout, span: tuple[float, float]) -> None:
    """What no pass covers shows as the colour of waiting."""
    for lane in layout.lanes:
        axes.barh(lane.middle, span[1] - span[0], left=span[0], height=lane.height, color=theme.grid, zorder=0)


def _label_rows(axes: Axes, theme: Theme, table: EventColumns, layout: Layout, chosen: Selection, row: str) -> None:
    first, last = table.span_s()
    rows = [layout.of_device(device)[0] for device in chosen.stands_for]
    names = [f"{row} {d}" + (f" (+{n - 1})" if n > 1 else "") for d, n in chosen.stands_for.items()]
    axes.set_yticks([lane.middle for lane in rows], names)
    axes.tick_params(axis="y", length=0, pad=6)
    for lane in rows:
        on = table.device == lane.device
        idle = 1 - busy_share(table.start_s[on], table.end_s[on], last - first)
        label_margin(axes, theme, lane.middle, f"{idle:.0%}")
    margin_heading(axes, theme, "waits")


def _legend(figure: Figure, theme: Theme, colours: dict[tuple[str, int], str], table: EventColumns) -> None:
    from matplotlib.patches import Patch

    chunks = max(chunk for _, chunk in colours) + 1 if colours else 1
    handles = [
        Patch(
            facecolor=colours[kind, chunk],
            edgecolor=theme.outline,
            label=KINDS[kind][1] + (f", chunk {chunk}" if chunks > 1 else ""),
        )
        for kind in _PASSES
        for chunk in range(chunks)
        if (kind, chunk) in colours
    ]
    if "optimizer" in {table.kinds[code] for code in np.unique(table.kind)}:
        handles.append(Patch(facecolor=KINDS["optimizer"][0], label=KINDS["optimizer"][1]))
    add_legend(figure, theme, [*handles, Patch(facecolor=theme.grid, label="Waiting")])


def pipeline_diagram(theme: Theme, events: object, *, title: str | None = None, max_devices: int = 16) -> Figure:
    """Draw the passes of a pipeline; see `Visualizer.plot_pipeline`."""
    everything = _passes(read_events(events))
    chosen = select_devices(everything, None, max_devices)
    table = everything.take(np.isin(everything.device, list(chosen.stands_for)))
    layout = lay_out(table, list(chosen.stands_for))
    first, last = table.span_s()
    scale, unit = time_unit(last - first)
    colours = _colours(table)
    figure = new_figure(theme, _WIDTH_IN, layout.height * layout.unit_in + 1.8)
    axes = figure.add_subplot()
    dress(axes, theme, x_label=f"Time ({unit})")
    axes.set_xlim(first / scale, last / scale)
    axes.set_ylim(layout.height + 0.1, -0.1)
    _shade_bubbles(axes, theme, layout, (first / scale, last / scale))
    draw_boxes(axes, theme, table, layout, last - first, colours)
    draw_numbers(axes, table, layout, last - first, colours)
    _label_rows(axes, theme, table, layout, chosen, row_names(events, len(everything.devices()))[0])
    _legend(figure, theme, colours, table)
    idle = 1 - np.mean(
        [
            busy_share(table.start_s[table.device == d], table.end_s[table.device == d], last - first)
            for d in chosen.stands_for
        ]
    )
    batches = len(np.unique(table.micro_batch[table.micro_batch >= 0]))
    heading = f"{batches} micro-batches in {seconds_text(last - first)}: devices wait {idle:.0%} of the time"
    add_title(axes, theme, title or heading, chosen.note)
    return figure
