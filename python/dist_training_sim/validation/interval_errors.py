"""Errors of a validated corpus by use, source and stratum, each row as unknown to the fit as can be."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

from ..intervals import Situation, pair_situation
from ..intervals.errors import Errors
from ..intervals.situation import RULES
from .collectives_report import left_out_errors
from .corpus import Row
from .interval_table import Measured
from .results import RowResult
from .step_fit import StepFit

__all__ = ["measured_errors", "unit_of"]

_Groups = dict[tuple[str, tuple[str, ...]], list[float]]


def unit_of(row: RowResult) -> str:
    """Whose errors a row's are: its source, or of a collective the system, as one source publishes many."""
    return f"{row.labels['accelerator']} {row.labels['model']}" if row.use == "collectives" else row.labels["source"]


def measured_errors(rows: Iterable[RowResult], steps: StepFit, collectives: Sequence[Row]) -> dict[str, Measured]:
    """Errors of every use that has intervals, and of comparisons of step times.

    Parameters
    ----------
    rows
        Predictions of a corpus; those that do not count are left out.
    steps
        Step times with each source, and with each generation of devices, left out of the fit.
    collectives
        Rows that collectives are predicted from, to leave their systems out.
    """
    usable = [row for row in rows if row.included and row.situation and row.error is not None and row.error > -1]
    left_out = dict(zip(steps.rows, map(float, steps.left_out), strict=True))
    far = dict(zip(steps.rows, map(float, steps.far), strict=True))
    ratios = {row.id: math.log1p(row.error or 0.0) for row in usable if row.use not in ("step_time", "collectives")}
    ratios |= {name: math.log1p(error) for name, error in left_out_errors(collectives).items() if error > -1}
    timed = [row for row in usable if row.use == "step_time" and row.id in left_out]
    found = {"step_time": Measured("step_time", _by_stratum(timed, left_out), _by_stratum(timed, far))}
    found["comparison"] = Measured("comparison", _pairs(timed, left_out))
    for use in RULES.keys() - found.keys():
        own = [row for row in usable if row.use == use]
        found[use] = Measured(use, _by_stratum(own, {row.id: math.log1p(row.error or 0.0) for row in own} | ratios))
    return {use: found[use] for use in RULES if found[use].errors}


def _by_stratum(rows: Iterable[RowResult], ratios: Mapping[str, float]) -> tuple[Errors, ...]:
    groups: _Groups = {}
    for row in rows:
        groups.setdefault((unit_of(row), _situation(row).coordinates), []).append(abs(ratios[row.id]))
    return _errors(groups)


def _pairs(rows: Sequence[RowResult], ratios: Mapping[str, float]) -> tuple[Errors, ...]:
    """How far the errors of two runs of one source lie apart."""
    sources: dict[str, list[RowResult]] = {}
    for row in rows:
        sources.setdefault(unit_of(row), []).append(row)
    groups: _Groups = {}
    for source, runs in sources.items():
        for one, other in combinations(runs, 2):
            stratum = pair_situation(_situation(one), _situation(other)).coordinates
            groups.setdefault((source, stratum), []).append(abs(ratios[one.id] - ratios[other.id]))
    return _errors(groups)


def _errors(groups: _Groups) -> tuple[Errors, ...]:
    return tuple(Errors(unit, at, len(values), tuple(sorted(values))) for (unit, at), values in sorted(groups.items()))


def _situation(row: RowResult) -> Situation:
    assert row.situation is not None
    return row.situation
