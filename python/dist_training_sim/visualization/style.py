"""One look for every figure: themes, and the colour of each category wherever it appears.

The colours keep apart under normal, deuteranope and protanope vision (a test measures it): compute is blue or green,
communication warm, idle time light grey. They extend the palette of Okabe and Ito, "Color Universal Design", 2008.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import ConfigError, shown, suggest

__all__ = [
    "KINDS",
    "MEMORY",
    "THEMES",
    "Theme",
    "colour_of_kind",
    "colour_of_part",
    "ink_on",
    "line_colour",
    "memory_colours",
    "series_colour",
    "theme_named",
    "words",
]


@dataclass(frozen=True)
class Theme:
    """Colours of everything in a figure that is not data."""

    name: str
    background: str
    text: str
    muted: str  # secondary text
    grid: str
    outline: str  # around boxes, so that neighbours of one colour stay apart
    colormap: str  # sequential, its emphasised end standing out from the background


THEMES = {
    "light": Theme("light", "#FFFFFF", "#1F2328", "#59636E", "#D8DEE4", "#FFFFFF", "viridis_r"),
    "dark": Theme("dark", "#1B1F24", "#F0F3F6", "#A6B0BB", "#3D444D", "#D0D7DE", "viridis"),
}

# Task kind: colour, name in the legend. The order is that of the legend.
KINDS = {
    "forward": ("#0072B2", "Forward"),
    "backward": ("#56B4E9", "Backward"),
    "weight_grad": ("#0E9F6E", "Weight gradient"),
    "recompute": ("#B8D8EE", "Recompute"),
    "optimizer": ("#0B3C6F", "Optimizer"),
    "all_reduce": ("#D55E00", "All-reduce"),
    "reduce_scatter": ("#8C3B00", "Reduce-scatter"),
    "all_gather": ("#F0A30A", "All-gather"),
    "all_to_all": ("#CC79A7", "All-to-all"),
    "send_recv": ("#F4E04D", "Send / receive"),
    "broadcast": ("#6A0F49", "Broadcast"),
    "transfer": ("#6B6B6B", "Memory transfer"),
    "other": ("#C9C9C9", "Other"),
}

# Memory category: colour, name in the legend. The order is that of the stack, from the bottom.
MEMORY = {
    "weights": ("#0072B2", "Weights"),
    "gradients": ("#56B4E9", "Gradients"),
    "optimizer": ("#0B3C6F", "Optimizer state"),
    "gathered_parameters": ("#0E9F6E", "Gathered parameters"),
    "communication_buffers": ("#CC79A7", "Communication buffers"),
    "workspace": ("#8C3B00", "Workspace"),
    "activations": ("#F0A30A", "Activations"),
    "temporaries": ("#F4E04D", "Temporaries"),
    "communicators": ("#D55E00", "Communicators"),
    "user_buffers": ("#6A0F49", "User buffers"),
    "context": ("#6B6B6B", "Context"),
    "fragmentation": ("#B8D8EE", "Reserved, unfilled"),
    "other": ("#C9C9C9", "Other"),
}

# What the compute stream waits for or loses, beside the kinds of kernels: colour of each part of a step.
_WAITS = {
    "offload": KINDS["transfer"][0],
    "interference": KINDS["all_to_all"][0],
    "straggler": KINDS["broadcast"][0],
    "host": KINDS["send_recv"][0],
}

# Colours of curves and groups that are no category of their own, in order.
SERIES = tuple(
    KINDS[name][0]
    for name in (
        "forward",
        "all_reduce",
        "weight_grad",
        "all_to_all",
        "reduce_scatter",
        "backward",
        "all_gather",
        "optimizer",
    )
)

_DARK = 150  # largest of red, green and blue of a colour that a dark background swallows
_COMMUNICATION = {"communication", "comm", "exposed", "tp", "sp", "cp", "ep", "dp", "pp"}
_COMPUTE = {"compute", "kernels"}


def theme_named(name: str) -> Theme:
    """The theme of that name, or a `ConfigError` that lists the known ones."""
    if not isinstance(name, str) or name not in THEMES:
        raise ConfigError(
            f"theme: got {shown(name)}, expected one of {', '.join(THEMES)}; {suggest(str(name), THEMES)}"
        )
    return THEMES[name]


def colour_of_kind(kind: str) -> str:
    """Colour of a task kind; kinds without their own share the colour of "other"."""
    return KINDS.get(kind, KINDS["other"])[0]


def colour_of_part(name: str) -> str:
    """Colour of a part of the step: a task kind, else compute, else communication, else grey (waiting)."""
    name = name.removesuffix("_s")
    tokens = set(re.split(r"[^a-z]+", name.lower()))
    if name in KINDS:
        return KINDS[name][0]
    if name in _WAITS:
        return _WAITS[name]
    if tokens & _COMMUNICATION:
        return KINDS["all_reduce"][0]
    return KINDS["forward"][0] if tokens & _COMPUTE else KINDS["other"][0]


def memory_colours(names: Iterable[str]) -> dict[str, str]:
    """Colour of each memory category; unknown ones take, in order, the colours that no known one in `names` uses."""
    names = list(names)
    used = {MEMORY[name][0] for name in names if name in MEMORY}
    free = [colour for colour, _ in reversed(MEMORY.values()) if colour not in used] or [MEMORY["other"][0]]
    unknown = [name for name in names if name not in MEMORY]
    return {name: MEMORY[name][0] if name in MEMORY else free[unknown.index(name) % len(free)] for name in names}


def words(name: str) -> str:
    """Readable form of an identifier: "exposed_dp" becomes "exposed dp"."""
    return name.replace("_", " ").strip()


def series_colour(index: int) -> str:
    """Colour of the `index`-th curve or group; they repeat after eight."""
    return SERIES[index % len(SERIES)]


def line_colour(theme: Theme, index: int) -> str:
    """Colour of the `index`-th thin line: as `series_colour`, but the dark ones lighter on a dark background."""
    colour = series_colour(index)
    parts = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    if theme.name == "light" or max(parts) > _DARK:
        return colour
    return "#" + "".join(f"{round(part + 0.45 * (255 - part)):02X}" for part in parts)


def ink_on(colour: str) -> str:
    """Black or white, whichever reads better on `colour` ("#RRGGBB")."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#000000" if 0.299 * red + 0.587 * green + 0.114 * blue > 130 else "#FFFFFF"
