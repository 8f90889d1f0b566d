"""Figures for choosing and checking: sensitivities, Pareto fronts, searches, rooflines, predicted and measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from . import agreement, coordinates, pareto, roofline, sensitivity
from .board import Board

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ChoiceFigures"]


class ChoiceFigures(Board):
    """Draws what to choose, what would help, and how far predictions are off."""

    def plot_sensitivity(
        self,
        base: float,
        effects: Mapping[str, object],
        *,
        title: str | None = None,
        quantity: str = "Step time",
        unit: str = "s",
        higher_is_better: bool = False,
    ) -> Figure:
        """Draw a tornado: what each change does to a quantity, the largest effects on top (20 at most).

        Parameters
        ----------
        base
            The quantity without any change.
        effects
            For each change the quantity after it, or a pair: after the change down and after the change up.
        title
            Heading; by default the strongest.
        quantity, unit
            What is drawn.
        higher_is_better
            Whether more is better, as of throughput; by default less is, as of a step time.

        Raises
        ------
        ConfigError
            If there are no effects, or a number is not positive and finite.
        """
        return self._shown(
            sensitivity.sensitivity(
                self._theme, base, effects, title=title, quantity=quantity, unit=unit, higher_is_better=higher_is_better
            )
        )

    def plot_pareto_front(
        self,
        records: Iterable[object],
        x: str,
        y: str,
        *,
        label: str | None = None,
        maximise: Iterable[str] = (),
        title: str | None = None,
    ) -> Figure:
        """Draw choices by two quantities, and those that no other beats in both.

        Parameters
        ----------
        records
            One mapping, or object with attributes, per choice.
        x, y
            Names of two numbers of each record; endings such as `_s`, `_bytes` and `_Bps` give the unit.
        label
            Name of the field written beside choices on the front.
        maximise
            Which of `x` and `y` are better when larger; by default both are better when smaller.
        title
            Heading; by default how many are on the front.

        Raises
        ------
        ConfigError
            If there are no records, one lacks a field, or a number is not finite.
        """
        return self._shown(pareto.pareto_front(self._theme, records, x, y, label=label, maximise=maximise, title=title))

    def plot_search(
        self,
        records: Iterable[object],
        objective: str,
        *,
        fields: Iterable[str] | None = None,
        maximise: bool = False,
        title: str | None = None,
    ) -> Figure:
        """Draw the choices of a search as parallel coordinates: a line per choice, the best in colour.

        Parameters
        ----------
        records
            One mapping, or object with attributes, per choice; numbers and texts.
        objective
            Name of the number that tells which is best; the rightmost axis.
        fields
            Axes from the left; by default every field that all records have.
        maximise
            Whether the largest objective is best; by default the smallest.
        title
            Heading; by default the best choice.

        Raises
        ------
        ConfigError
            If there are no records, one lacks a field, or a number is not finite.
        """
        return self._shown(
            coordinates.parallel_coordinates(
                self._theme, records, objective, fields=fields, maximise=maximise, title=title
            )
        )

    def plot_roofline(
        self,
        ops: object,
        peak_flops: float | Mapping[str, float] | None = None,
        memory_Bps: float | None = None,
        *,
        title: str | None = None,
    ) -> Figure:
        """Draw how fast ops run against the roofs of a device, on logarithmic axes.

        Parameters
        ----------
        ops
            A result (or its `ops`): the passes of every op, added up over a step. Or one mapping, or object with
            attributes, per op: `name`, `flops`, `bytes`, `time_s`, and optionally `kind`, which tells colours apart.
            Ops without FLOPs are counted, not drawn.
        peak_flops
            Arithmetic peak in FLOP/s, or several by name (`{"bf16": 989e12, "fp8": 1979e12}`). Of a result by default
            those of the types it computes in.
        memory_Bps
            Memory bandwidth in bytes per second; of a result by default its device's.
        title
            Heading; by default the share of time of memory-bound ops.

        Raises
        ------
        ConfigError
            If there are no ops with FLOPs, or a number is not positive and finite.
        """
        return self._shown(roofline.roofline(self._theme, ops, peak_flops, memory_Bps, title=title))

    def plot_predicted_vs_measured(
        self,
        predicted: Iterable[object],
        measured: Iterable[object],
        *,
        groups: Iterable[object] | None = None,
        quantity: str = "Step time",
        unit: str = "s",
        title: str | None = None,
    ) -> Figure:
        """Draw predictions over measurements, with the line of equality and a band of 20 % around it.

        Parameters
        ----------
        predicted, measured
            Positive numbers, one pair per run.
        groups
            Name of the group of each run; the eight largest groups have their own colours.
        quantity, unit
            What was measured; unit "s" or "B" is written readably.
        title
            Heading; by default the median error.

        Raises
        ------
        ConfigError
            If lengths differ, there are none, or a number is not positive and finite.
        """
        return self._shown(
            agreement.predicted_against_measured(
                self._theme, predicted, measured, groups=groups, quantity=quantity, unit=unit, title=title
            )
        )
