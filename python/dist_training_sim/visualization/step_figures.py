"""Figures of one step: timeline, pipeline, breakdown, memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from . import breakdown as _breakdown
from . import memory, memory_timeline, pipeline, timeline
from .board import Board

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..verbs.fit import FitReport
    from ..verbs.memory_timeline import StageMemory

__all__ = ["StepFigures"]


class StepFigures(Board):
    """Draws what one training step does and holds."""

    def plot_training_timeline(
        self,
        events: object,
        *,
        title: str | None = None,
        devices: Iterable[int] | None = None,
        max_devices: int = 16,
        window_s: tuple[float, float] | None = None,
    ) -> Figure:
        """Draw what each device does over one step: a tall lane for compute, thin lanes for the other streams.

        Up to `max_devices` devices are all shown. Above that, devices with the same events are shown once; if more
        than `max_devices` different ones remain, evenly spaced ones and the one that ends last are. The figure says
        what it left out. The share at the right is the time during which the compute stream is busy.

        Parameters
        ----------
        events
            Objects or mappings with `name`, `kind` ("forward", "all_reduce" ...; unknown kinds are drawn as other),
            `device`, `stream` ("compute", "dp" ...), `start_s`, `duration_s` in seconds, and optionally
            `micro_batch`, which is written into boxes that have room. Or a result that has `events`.
        title
            Heading; by default device count and duration.
        devices
            Device numbers to show, in this order; by default all or a selection.
        max_devices
            Most devices shown when `devices` is not given.
        window_s
            Part of the step to show, (start, end) in seconds; by default all of it.

        Raises
        ------
        ConfigError
            If events are empty, lack a field, hold NaN, infinite or negative numbers, or all last 0 s.
        """
        return self._shown(
            timeline.training_timeline(
                self._theme, events, title=title, devices=devices, max_devices=max_devices, window_s=window_s
            )
        )

    def plot_pipeline(self, events: object, *, title: str | None = None, max_devices: int = 16) -> Figure:
        """Draw which micro-batch each pipeline stage works on: numbered passes, chunks by shade, waiting in grey.

        Parameters
        ----------
        events
            As of `plot_training_timeline`; forward and backward passes, weight gradients, recomputation and updates are
            drawn. `stage`, where events have it, is the virtual stage and tells the chunks of a device apart.
        title
            Heading; by default micro-batches, time and the share of waiting.
        max_devices
            Most devices shown; beyond, as in `plot_training_timeline`.

        Raises
        ------
        ConfigError
            If events are bad, as in `plot_training_timeline`, or none is a pass.
        """
        return self._shown(pipeline.pipeline_diagram(self._theme, events, title=title, max_devices=max_devices))

    def plot_step_breakdown(self, breakdown: Mapping[str, float] | object, *, title: str | None = None) -> Figure:
        """Draw the parts of a step as a waterfall, in the given order, each starting where the one before ended.

        Parameters
        ----------
        breakdown
            Seconds by name, such as `result.breakdown`, or a result that has one.
        title
            Heading; by default the step and its largest part.

        Raises
        ------
        ConfigError
            If the mapping is empty, sums to zero, or holds NaN, infinite or negative numbers.
        """
        return self._shown(_breakdown.step_breakdown(self._theme, breakdown, title=title))

    def plot_memory(
        self,
        stages: Mapping[str, Mapping[str, float]] | object,
        capacity_bytes: float | None = None,
        *,
        title: str | None = None,
    ) -> Figure:
        """Draw the memory of a device of each stage as a stack of categories, with the capacity as a line.

        Parameters
        ----------
        stages
            For each stage (or other group of devices) the bytes of each category ("weights", "activations" ...); or a
            result, whose pipeline stages and capacity are taken.
        capacity_bytes
            Memory of one device in bytes; no line by default.
        title
            Heading; by default whether the fullest stage fits.

        Raises
        ------
        ConfigError
            If a mapping is empty, sums to zero, or holds NaN, infinite or negative numbers.
        """
        return self._shown(memory.memory_use(self._theme, stages, capacity_bytes, title=title))

    def plot_memory_timeline(
        self, memory: StageMemory, limit_bytes: float | None = None, *, title: str | None = None
    ) -> Figure:
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
        return self._shown(memory_timeline.memory_timeline(self._theme, memory, limit_bytes, title=title))

    def plot_fit(self, report: FitReport, *, title: str | None = None) -> Figure:
        """Draw the memory of each pipeline stage of a `dts.fit` report against what a device has.

        What the allocator reserves beyond the tensors, and what stands outside it, come on top of the categories.
        """
        stages = {
            f"stage {stage.stage}": {
                **stage.categories,
                "fragmentation": max(0.0, stage.reserved_bytes - stage.allocated_bytes),
                **memory.outside_of(stage),
            }
            for stage in report.stages
        }
        heading = title or f"{report.verdict.capitalize()}: {report.model} on {report.cluster}"
        return self._shown(memory.memory_use(self._theme, stages, report.stages[0].limit_bytes, title=heading))
