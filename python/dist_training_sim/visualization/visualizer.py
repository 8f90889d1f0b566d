"""The drawing board: every figure of the package in one style."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from . import breakdown as _breakdown
from . import communication, files, memory, memory_timeline, scaling, timeline
from .style import theme_named

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..verbs.fit import FitReport
    from ..verbs.memory_timeline import StageMemory

__all__ = ["Visualizer"]


class Visualizer:
    """Draws the results of a simulation as matplotlib figures.

    Figures carry their own canvas and never touch `pyplot`, so they need no display and no closing.

    Parameters
    ----------
    theme
        "light" (default) or "dark".

    Raises
    ------
    ConfigError
        If the theme is unknown; every method raises it for bad input, naming each problem.

    Examples
    --------
    >>> vis = Visualizer()
    >>> fig = vis.plot_scaling_efficiency(num_devices=[1, 2, 4], throughput=[100, 195, 380])
    >>> [axes.get_ylabel() for axes in fig.axes]
    ['Throughput (samples/s)', 'Efficiency (%), relative to 1']
    """

    def __init__(self, theme: str = "light") -> None:
        self._theme = theme_named(theme)

    def plot_training_timeline(self, events: Iterable[object], *, title: str | None = None,
                               devices: Iterable[int] | None = None, max_devices: int = 16) -> Figure:
        """Draw what each device does over one step: a tall lane for compute, thin lanes for the other streams.

        Up to `max_devices` devices are all shown. Above that, devices with the same events are shown once; if more
        than `max_devices` different ones remain, evenly spaced ones and the one that ends last are. The figure says
        what it left out. The share at the right is the time during which the compute stream is busy.

        Parameters
        ----------
        events
            Objects or mappings with `name`, `kind` ("forward", "all_reduce" ...; unknown kinds are drawn as other),
            `device`, `stream` ("compute", "dp" ...), `start_s`, `duration_s` in seconds, and optionally
            `micro_batch`, which is written into boxes that have room.
        title
            Heading; by default device count and duration.
        devices
            Device numbers to show, in this order; by default all or a selection.
        max_devices
            Most devices shown when `devices` is not given.

        Raises
        ------
        ConfigError
            If events are empty, lack a field, hold NaN, infinite or negative numbers, or all last 0 s.
        """
        return timeline.training_timeline(self._theme, events, title=title, devices=devices, max_devices=max_devices)

    def plot_communication_graph(self, comm_adjacency: object, *, title: str | None = None,
                                 layout: str = "auto") -> Figure:
        """Draw who sends how many bytes to whom.

        Parameters
        ----------
        comm_adjacency
            Square matrix of bytes, row sends to column: nested sequences or a NumPy array. The diagonal is traffic
            inside a device and not drawn.
        title
            Heading; by default device count and total bytes.
        layout
            "graph": devices on a circle with arrows (at most 128 devices); "matrix": heat map; "auto" (default): the
            graph for up to 32 devices and 130 arrows.

        Raises
        ------
        ConfigError
            If the matrix is empty, not square, or holds NaN, infinite or negative numbers, or the layout is unknown.
        """
        return communication.communication_graph(self._theme, comm_adjacency, title=title, layout=layout)

    def plot_scaling_efficiency(self, num_devices: Iterable[object], throughput: Iterable[object], *,
                                title: str | None = None, unit: str = "samples/s") -> Figure:
        """Draw throughput beside perfect scaling, and efficiency = (throughput / devices) relative to the fewest.

        Parameters
        ----------
        num_devices
            Distinct positive whole numbers, in any order.
        throughput
            One positive number per entry of `num_devices`, in `unit`.
        title
            Heading; by default the efficiency at the most devices.
        unit
            Unit of `throughput`, for the axis label.

        Raises
        ------
        ConfigError
            If the lengths differ, a series is empty, or a number is not positive and finite.
        """
        return scaling.scaling_efficiency(self._theme, num_devices, throughput, title=title, unit=unit)

    def plot_step_breakdown(self, breakdown: Mapping[str, float], *, title: str | None = None) -> Figure:
        """Draw the parts of a step in seconds, in the given order, each starting where the one before ended.

        Raises
        ------
        ConfigError
            If the mapping is empty, sums to zero, or holds NaN, infinite or negative numbers.
        """
        return _breakdown.step_breakdown(self._theme, breakdown, title=title)

    def plot_memory(self, stages: Mapping[str, Mapping[str, float]], capacity_bytes: float | None = None, *,
                    title: str | None = None) -> Figure:
        """Draw the memory of a device of each stage as a stack of categories, with the capacity as a line.

        Parameters
        ----------
        stages
            For each stage (or other group of devices) the bytes of each category ("weights", "activations" ...).
        capacity_bytes
            Memory of one device in bytes; no line by default.
        title
            Heading; by default whether the fullest stage fits.

        Raises
        ------
        ConfigError
            If a mapping is empty, sums to zero, or holds NaN, infinite or negative numbers.
        """
        return memory.memory_use(self._theme, stages, capacity_bytes, title=title)

    def plot_memory_timeline(self, memory: StageMemory, limit_bytes: float | None = None, *,
                             title: str | None = None) -> Figure:
        """Draw what one rank allocates over a step as a stack of categories, its peak and what the allocator reserves.

        Parameters
        ----------
        memory
            One stage of `dts.memory_timeline`.
        limit_bytes
            Memory of the device in bytes; no line by default.
        title
            Heading; by default the peak and its moment.

        Raises
        ------
        ConfigError
            If `memory` is something else, or the limit is not positive.
        """
        return memory_timeline.memory_timeline(self._theme, memory, limit_bytes, title=title)

    def plot_fit(self, report: FitReport, *, title: str | None = None) -> Figure:
        """Draw the memory of each pipeline stage of a `dts.fit` report against what a device has.

        Context and what the allocator reserves beyond the tensors stand on top of the categories.
        """
        stages = {
            f"stage {stage.stage}": {**stage.categories,
                                     "fragmentation": max(0.0, stage.reserved_bytes - stage.allocated_bytes),
                                     "context": stage.context_bytes}
            for stage in report.stages
        }
        heading = title or f"{report.verdict.capitalize()}: {report.model} on {report.cluster}"
        return memory.memory_use(self._theme, stages, report.stages[0].limit_bytes, title=heading)

    def save_figure(self, fig: Figure, path: str | os.PathLike[str]) -> Path:
        """Write `fig` as PNG, SVG or PDF by the suffix of `path` and return the path.

        The file appears whole or not at all; an existing one is replaced. Equal figures give equal files.

        Raises
        ------
        ConfigError
            If the suffix is unknown, the folder does not exist or `fig` is no figure.
        """
        return files.save_figure(fig, path)
