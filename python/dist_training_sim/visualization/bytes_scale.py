"""Colour of an amount of bytes: logarithmic where amounts span more than a factor of 30, else linear from zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..units import format_bytes
from .canvas import SMALL_PT
from .inputs import Floats
from .style import Theme
from .ticks import byte_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import ListedColormap, Normalize

__all__ = ["add_colorbar", "byte_colours"]

_LOG_ABOVE = 30.0
_PALEST = 0.25  # share of the map left out, so that the smallest amount stands off the ground


def byte_colours(theme: Theme, amounts: Floats) -> tuple[Normalize, ListedColormap]:
    """Scale and palette for positive `amounts`."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap, LogNorm, Normalize

    palette = ListedColormap(colormaps[theme.colormap](np.linspace(_PALEST, 1.0, 256)))
    low, high = (float(amounts.min()), float(amounts.max())) if len(amounts) else (0.0, 1.0)
    return (LogNorm(low, high) if high > _LOG_ABOVE * low > 0 else Normalize(0.0, high)), palette


def add_colorbar(axes: Axes, theme: Theme, scale: tuple[Normalize, ListedColormap], label: str) -> None:
    """Colour bar of a scale and palette, its ticks in binary units."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.ticker import NullLocator

    norm, palette = scale
    ticks = byte_ticks(float(norm.vmin or 0.0), float(norm.vmax or 1.0))
    bar = axes.figure.colorbar(ScalarMappable(norm, palette), ax=axes, shrink=0.8, pad=0.02)
    bar.set_ticks(ticks, labels=[format_bytes(tick) for tick in ticks])
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.set_label(label, color=theme.text, fontsize=SMALL_PT)
    bar.ax.tick_params(colors=theme.muted, labelcolor=theme.text, labelsize=SMALL_PT)
    bar.outline.set_visible(False)
