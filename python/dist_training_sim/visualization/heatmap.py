"""Traffic matrix as colours: one cell per pair of devices, or per pair of equal blocks where devices are too many."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .bytes_scale import add_colorbar, byte_colours
from .canvas import dress
from .inputs import Floats
from .style import Theme
from .ticks import device_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_heatmap", "in_blocks"]

_MAX_CELLS = 512  # per side: about two pixels each


def in_blocks(sent: Floats) -> tuple[Floats, int]:
    """Sum the matrix over blocks of devices so that at most 512 remain per side; also the devices per block."""
    block = -(-len(sent) // _MAX_CELLS)
    begins = np.arange(0, len(sent), block)
    return np.add.reduceat(np.add.reduceat(sent, begins, axis=0), begins, axis=1), block


def draw_heatmap(axes: Axes, theme: Theme, sent: Floats) -> None:
    """Draw a traffic matrix in bytes: senders down, receivers across, silent pairs left empty."""
    cells, block = in_blocks(sent)
    norm, palette = byte_colours(theme, cells[cells > 0])
    edge = len(cells) * block - 0.5
    axes.imshow(
        np.ma.masked_equal(cells, 0.0),
        cmap=palette,
        norm=norm,
        interpolation="nearest",
        extent=(-0.5, edge, edge, -0.5),
    )
    if cells.any() and np.ptp(cells[cells > 0]) > 0:
        each = "pair of devices" if block == 1 else f"pair of blocks of {block} devices"
        add_colorbar(axes, theme, (norm, palette), f"Bytes sent per {each}")
    dress(axes, theme, x_label="Receiving device", y_label="Sending device")
    axes.set_xticks(device_ticks(len(sent)))
    axes.set_yticks(device_ticks(len(sent)))
    for spine in axes.spines.values():
        spine.set_visible(True)
