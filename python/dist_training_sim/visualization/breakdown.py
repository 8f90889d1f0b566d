"""Where a step goes: one bar per part, each starting where the one above ended, so that the last ends at the step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..result import BREAKDOWN_LABELS
from .canvas import add_title, dress, new_figure, plain
from .inputs import named_amounts
from .style import Theme, colour_of_part, words
from .ticks import seconds_text, time_unit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["part_label", "step_breakdown"]


def part_label(name: str) -> str:
    """Readable name of a part: those of `Result.breakdown` have their own, others lose underscores."""
    return BREAKDOWN_LABELS.get(name) or words(name.removesuffix("_s"))


def _share_text(share: float) -> str:
    return f"{share:.1%}" if share >= 0.0005 else "< 0.1%"


def step_breakdown(theme: Theme, breakdown: object, *, title: str | None = None) -> Figure:
    """Draw the parts of a step; see `Visualizer.plot_step_breakdown`."""
    breakdown = getattr(breakdown, "breakdown", breakdown)
    parts = {name: value for name, value in named_amounts("breakdown", breakdown, "seconds").items() if value > 0}
    total = sum(parts.values())
    scale, unit = time_unit(total)
    length = np.array(list(parts.values())) / scale
    left = np.cumsum(length) - length
    figure = new_figure(theme, 9.5, 1.5 + 0.34 * len(parts))
    axes = figure.add_subplot()
    dress(axes, theme, grid="x", x_label=f"Time ({unit})")
    rows = np.arange(len(parts))
    axes.barh(rows, length, left=left, height=0.72, color=[colour_of_part(name) for name in parts])
    for row, (value, end) in enumerate(zip(parts.values(), left + length, strict=True)):
        axes.annotate(
            f"{seconds_text(value)}  ·  {_share_text(value / total)}",
            (float(end), row),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            color=theme.text,
        )
    axes.set_yticks(rows, [part_label(name) for name in parts])
    plain(axes.get_yticklabels())
    axes.set_ylim(len(parts) - 0.4, -0.6)
    axes.set_xlim(0, total / scale * 1.2)
    largest = max(parts, key=parts.__getitem__)
    heading = f"{seconds_text(total)} step: {parts[largest] / total:.0%} is {part_label(largest)}"
    skipped = len(breakdown) - len(parts)  # type: ignore[arg-type]
    note = f"{skipped} part{'s' * (skipped > 1)} that take{'s' * (skipped == 1)} no time left out" if skipped else ""
    add_title(axes, theme, title or heading, note)
    return figure
