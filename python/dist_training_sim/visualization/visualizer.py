"""The drawing board: every figure of the package in one style."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from . import files
from .choice_figures import ChoiceFigures
from .network_figures import NetworkFigures
from .step_figures import StepFigures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Visualizer"]


class Visualizer(StepFigures, NetworkFigures, ChoiceFigures):
    """Draws the results of a simulation, and plain data, as figures of one style.

    matplotlib figures carry their own canvas and never touch `pyplot`, so they need no display and no closing.

    Parameters
    ----------
    theme
        "light" (default) or "dark".
    interactive
        Methods return `plotly.graph_objects.Figure` to zoom, pan and point at, instead of matplotlib figures. Needs the
        extra `[interactive]`.

    Raises
    ------
    ConfigError
        If the theme is unknown; every method raises it for bad input, naming each problem.
    MissingDataError
        By every method, if figures are to be interactive and Plotly is not installed.

    Examples
    --------
    >>> vis = Visualizer()
    >>> fig = vis.plot_scaling_efficiency(num_devices=[1, 2, 4], throughput=[100, 195, 380])
    >>> [axes.get_ylabel() for axes in fig.axes]
    ['Throughput (samples/s)', 'Efficiency (%), relative to 1']
    """

    def save_figure(self, fig: Figure, path: str | os.PathLike[str]) -> Path:
        """Write `fig` as PNG, SVG, PDF or HTML by the suffix of `path` and return the path.

        The file appears whole or not at all; an existing one is replaced. Equal figures give equal files. A
        page needs no network; interactive figures are pages only.

        Raises
        ------
        ConfigError
            If the suffix is unknown, the file cannot be written or `fig` is no figure.
        """
        return files.save_figure(fig, path)
