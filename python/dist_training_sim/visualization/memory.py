"""What fills the memory of each pipeline stage (or other group of devices), against the capacity of a device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConfigError, Problems
from ..result import MemoryUse
from ..units import format_bytes
from .canvas import add_legend, add_title, dress, new_figure, plain
from .inputs import Floats, named_amounts
from .margin import limit_line
from .style import MEMORY, Theme, memory_colours, words
from .ticks import byte_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..verbs.fit import StageFit

__all__ = ["memory_use"]

_LABELLED = 16  # bars that get their total written above
_CHARACTER_IN, _LINE_IN = 0.075, 0.17  # of a tick label: width of a character, height of a line
_SPACED = 48  # bars that stand apart
_FEWEST_SLOTS = 3  # room for bars, so that a single one is not as wide as the figure


def _read(stages: object, capacity_bytes: object) -> tuple[list[str], dict[str, Floats]]:
    """Stage names, and for each category its bytes per stage, in stacking order."""
    if not isinstance(stages, Mapping) or not stages:
        raise ConfigError(f"stages: got {stages!r:.80}, expected a mapping of stage names to {{category: bytes}}")
    read = {str(stage): named_amounts(f"stages[{stage!r}]", parts, "bytes") for stage, parts in stages.items()}
    problems = Problems()
    if capacity_bytes is not None:
        problems.positive("capacity_bytes", capacity_bytes)
    problems.raise_if_any()
    seen = dict.fromkeys(name for parts in read.values() for name, value in parts.items() if value > 0)
    order = [*(name for name in MEMORY if name in seen), *(name for name in seen if name not in MEMORY)]
    return list(read), {name: np.array([parts.get(name, 0.0) for parts in read.values()]) for name in order}


def outside_of(use: MemoryUse | StageFit) -> dict[str, float]:
    """What stands outside the allocator, by kind."""
    return {
        "communicators": sum(use.communicator_bytes.values()),
        "user_buffers": use.user_buffer_bytes,
        "context": use.context_bytes,
    }


def _of_result(stages: object) -> dict[str, dict[str, float]] | None:
    """Stages of a `Result` by category, context among them; None of anything else."""
    result = getattr(stages, "result", stages)
    uses = getattr(result, "memory", None)
    if not isinstance(uses, list) or not all(isinstance(use, MemoryUse) for use in uses):
        return None
    return {f"stage {i}": {**use.categories, **outside_of(use)} for i, use in enumerate(uses)}


def _heading(totals: Floats, names: list[str], capacity: float | None) -> str:
    fullest = int(np.argmax(totals))
    peak = f"{format_bytes(float(totals[fullest]))} at most ({words(names[fullest])})"
    if capacity is None:
        return f"Memory per device: {peak}"
    verdict = "Does not fit" if totals[fullest] > capacity else "Fits"
    return f"{verdict}: {peak}, {totals[fullest] / capacity:.0%} of {format_bytes(capacity)}"


def _draw_totals(axes: Axes, theme: Theme, totals: Floats, capacity: float | None, scale: float) -> None:
    for x, total in enumerate(totals.tolist()):
        over = capacity is not None and total > capacity
        axes.annotate(
            format_bytes(total) + ("\ntoo much" if over else ""),
            (x, total / scale),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=7.5,
            color=theme.text,
            fontweight="bold" if over else "normal",
            bbox={"facecolor": theme.background, "edgecolor": "none", "pad": 0.6},
        )


def _name_bars(axes: Axes, names: list[str], width_in: float) -> None:
    """Stage names below the bars: slanted where they would touch, thinned where even that is too tight."""
    slot_in = (width_in - 2.0) / max(len(names), _FEWEST_SLOTS)
    slanted = max(map(len, names)) * _CHARACTER_IN > slot_in
    every = int(np.ceil(_LINE_IN / slot_in)) if slanted else 1
    axes.set_xticks(
        range(0, len(names), every),
        [words(name) for name in names[::every]],
        rotation=45 if slanted else 0,
        ha="right" if slanted else "center",
        rotation_mode="anchor" if slanted else "default",
    )
    plain(axes.get_xticklabels())
    spare = max(_FEWEST_SLOTS - len(names), 0) / 2
    axes.set_xlim(-0.6 - spare, len(names) - 0.4 + spare)


def memory_use(
    theme: Theme, stages: object, capacity_bytes: float | None = None, *, title: str | None = None
) -> Figure:
    """Draw stacked memory per stage; see `Visualizer.plot_memory`."""
    from matplotlib.patches import Patch

    of_result = _of_result(stages)
    if of_result is not None:
        capacity_bytes = capacity_bytes or getattr(stages, "result", stages).capacity_bytes  # type: ignore[attr-defined]
        stages = of_result
    names, categories = _read(stages, capacity_bytes)
    capacity = None if capacity_bytes is None else float(capacity_bytes)
    totals = np.sum(list(categories.values()), axis=0)
    scale, unit = byte_unit(float(totals.max()))
    width_in = float(np.clip(3.5 + 0.75 * len(names), 7.5, 12.0))
    figure = new_figure(theme, width_in, 5.0)
    axes = figure.add_subplot()
    dress(axes, theme, grid="y", y_label=f"Memory per device ({unit})")
    colours, base = memory_colours(categories), np.zeros(len(names))
    for name, amount in categories.items():
        axes.bar(
            np.arange(len(names)),
            amount / scale,
            bottom=base / scale,
            width=0.72 if len(names) <= _SPACED else 1.0,
            color=colours[name],
        )
        base = base + amount
    if capacity is not None:
        limit_line(axes, theme, capacity / scale, f"capacity {format_bytes(capacity)}")
    if len(names) <= _LABELLED:
        _draw_totals(axes, theme, totals, capacity, scale)
    _name_bars(axes, names, width_in)
    axes.set_ylim(0, 1.12 * max(float(totals.max()), capacity or 0.0) / scale)
    add_legend(figure, theme, [Patch(facecolor=colours[n], label=MEMORY.get(n, ("", words(n)))[1]) for n in categories])
    add_title(axes, theme, title or _heading(totals, names, capacity))
    return figure
