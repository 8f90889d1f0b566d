"""Best strategies of a space without a look at most of it: what provably cannot win is left out.

A cell is a strategy but for its ZeRO stage and offloading, neither of which shortens the passes of a rank. Cells are
taken in the order of their bounds (`_core.SearchJob.bounds`) until the next one is worse than the worst plan that is
kept; of a cell's strategies those whose states and activations alone exceed the device are left out. Both bounds hold
for every strategy, so the best ones are those of the whole space.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _core
from ..parallel.choices import Schedule
from ..simulator.job import Job
from .evaluation import Evaluation, evaluate_job
from .size import MOST_TOGETHER, check_size
from .strategy_space import OFFLOADS, Columns, StrategySpace, times, where
from .strategy_table import StrategyTable

__all__ = ["Found", "Objective", "combinations_of", "pruned_search"]

_WAVES = ("zb_v", "v_half", "v_min", "dualpipe_v")
_ANY_CHUNKS = ("1f1b", "looped_bfs")
_FIRST_CELLS, _MOST_CELLS, _ROWS_AT_ONCE = 16, 1024, 256
Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Objective:
    """What a search makes small.

    Attributes
    ----------
    value
        Of the columns of an evaluation, one value per row.
    bound
        Of a step time and of reserved bytes that a row at least takes: what `value` of it at least is.
    by_memory
        `bound` grows with the bytes.
    """

    name: str
    value: Callable[[dict[str, npt.NDArray[Any]]], Values]
    bound: Callable[[Values, Values], Values]
    by_memory: bool = False


_ANY = Objective("time", lambda columns: columns["step_time_s"], lambda step_s, _: step_s)


@dataclass(frozen=True)
class Found:
    """What a search looked at.

    Attributes
    ----------
    evaluation
        The rows that were priced in full.
    values
        The objective of each.
    order
        Places of those that fit, best first; ties by the fields of the strategy.
    cells, bounded, combinations
        How many legal cells the space has, strategies that were bounded one by one, and all combinations of the axes.
    least_bytes
        What each of those bounded reserves at least, the smallest of these; infinite where none was.
    """

    evaluation: Evaluation
    values: Values
    order: npt.NDArray[np.int64]
    cells: int
    bounded: int
    combinations: int
    least_bytes: float


def pruned_search(
    job: Job,
    space: StrategySpace,
    objective: Objective,
    *,
    keep: int = 10,
    slack: float = 0.0,
    risk: float = 0.5,
    complete: Callable[[Columns], Columns] = dict,
    threads: int = 0,
) -> Found:
    """The `keep` best strategies of a space that fit, exactly.

    Parameters
    ----------
    slack
        Also every strategy whose objective is by at most this share worse than the best `keep`.
    risk
        Chance of running out of memory below which a strategy fits, at most one half.
    complete
        Columns that follow from those of the axes, added to them.
    threads
        At most so many; 0 takes one per core.
    """
    return _Search(job, space, objective, (keep, 1 + slack, risk), complete, threads).run()


def combinations_of(job: Job, space: StrategySpace) -> int:
    """All combinations that `pruned_search` would choose from."""
    return _Search(job, space, _ANY, (1, 1.0, 0.5), dict, 1).size()


class _Search:
    def __init__(
        self,
        job: Job,
        space: StrategySpace,
        objective: Objective,
        limits: tuple[int, float, float],
        complete: Callable[[Columns], Columns],
        threads: int,
    ) -> None:
        self.job, self.space, self.objective = job, space, objective
        self.keep, self.slack, self.risk = limits
        self.complete, self.threads = complete, threads
        self.base = space.base.replace(global_batch=space.global_batch)
        capacity = max(device.hbm_bytes for device in job.devices)
        factor = job.profile.failure_factor or job.profile.reserved_factor
        self.room_bytes = (capacity - job.profile.context_bytes) / factor
        self.core = job.core_search()
        self.limit = np.inf
        self.parts: list[Evaluation] = []
        self.fitting: Values = np.zeros(0)
        self.bounded = 0
        self.least_bytes = np.inf

    def size(self) -> int:
        """All combinations of the axes."""
        return self._combinations(*self._cells())

    def run(self) -> Found:
        cells, is_open = self._cells()
        combinations = self._combinations(cells, is_open)
        check_size(combinations, MOST_TOGETHER)
        bounds = self._cell_bounds(cells, is_open)
        order = np.argsort(bounds, kind="stable")
        order = order[np.isfinite(bounds[order])]
        place, count = 0, _FIRST_CELLS
        while place < len(order) and bounds[order[place]] <= self.limit:
            chosen = order[place : place + count]
            chosen = chosen[bounds[chosen] <= self.limit]
            self._look_into(self._expanded(cells, is_open, chosen))
            place, count = place + count, min(2 * count, _MOST_CELLS)
        return self._found(int((~np.isnan(bounds)).sum()), combinations)

    def _cells(self) -> tuple[Columns, npt.NDArray[np.bool_]]:
        """Columns of the cells, and whether the ZeRO stage of each is open: stages change the price of narrow casts."""
        columns = replace(self.space, zero=(self.space.zero[0],), offload=("none",)).combinations(self.job)
        columns = where(columns, _has_chunks(columns) & _orders(columns, self.space))
        narrow = np.isin(columns["precision"], [int(_core.DType[name].value) for name in ("FP8", "FP4", "INT8")])
        staged = times(where(columns, narrow), "zero", self.space.zero)
        rest = where(columns, ~narrow)
        joined = {name: np.concatenate([rest[name], staged[name]]) for name in columns}
        return joined, np.arange(len(joined["zero"])) < len(rest["zero"])

    def _cell_bounds(self, cells: Columns, is_open: npt.NDArray[np.bool_]) -> Values:
        """What every strategy of a cell at least takes; NaN where none is legal."""
        least = np.full(len(is_open), np.nan)
        strongest = max(self.space.offload, key=_relief) if self.objective.by_memory else "none"
        stages = self.space.zero[::-1] if self.objective.by_memory else self.space.zero
        for stage in stages:
            open_rows = np.flatnonzero(np.isnan(least))
            if not len(open_rows):
                break
            columns = where(cells, open_rows)
            columns["zero"] = np.where(is_open[open_rows], float(stage), columns["zero"])
            step_s, allocated = self._bounds(
                columns | _offload(strongest, len(open_rows)), memory=self.objective.by_memory
            )
            least[open_rows] = np.where(np.isnan(step_s), np.nan, self._objective_bound(step_s, allocated))
        return least

    def _objective_bound(self, step_s: Values, allocated: Values) -> Values:
        return self.objective.bound(step_s, allocated * self.job.profile.reserved_factor)

    def _bounds(self, columns: Columns, *, memory: bool = True, room_bytes: float = np.inf) -> tuple[Values, Values]:
        rows = StrategyTable(self.complete(columns), self.base).core_arguments(self.job.cluster.device_count)
        step_s, allocated = self.core.bounds(**rows, memory=memory, room_bytes=room_bytes, threads=self.threads)
        return step_s, allocated

    def _expanded(self, cells: Columns, is_open: npt.NDArray[np.bool_], chosen: npt.NDArray[Any]) -> Columns:
        opened = times(where(cells, chosen[is_open[chosen]]), "zero", self.space.zero)
        fixed = where(cells, chosen[~is_open[chosen]])
        columns = {name: np.concatenate([opened[name], fixed[name]]) for name in cells}
        kinds = times(columns, "offload", range(len(self.space.offload)))
        offloads = np.array([OFFLOADS[name] for name in self.space.offload])[kinds.pop("offload").astype(np.int64)]
        return kinds | {name: offloads[:, i] for i, name in enumerate(_OFFLOAD_FIELDS)}

    def _combinations(self, cells: Columns, is_open: npt.NDArray[np.bool_]) -> int:
        stages = np.where(is_open, len(self.space.zero), 1)
        return int(stages.sum()) * len(self.space.offload)

    def _look_into(self, columns: Columns) -> None:
        """Evaluate what of these rows can still win."""
        step_s, allocated = self._bounds(columns, room_bytes=self.room_bytes)
        self.bounded += len(step_s)
        least = float(np.nanmin(allocated, initial=np.inf)) * self.job.profile.reserved_factor
        self.least_bytes = min(self.least_bytes, least)
        bounds = np.where(allocated < self.room_bytes, self._objective_bound(step_s, allocated), np.inf)
        order = np.argsort(bounds, kind="stable")
        order = order[np.isfinite(bounds[order])]
        for first in range(0, len(order), _ROWS_AT_ONCE):
            rows = order[first : first + _ROWS_AT_ONCE]
            rows = rows[bounds[rows] <= self.limit]
            if not len(rows):
                break
            self._evaluate(StrategyTable(self.complete(where(columns, np.sort(rows))), self.base))

    def _evaluate(self, rows: StrategyTable) -> None:
        part = evaluate_job(self.job, rows, self.threads, self.core)
        self.parts.append(part)
        values = self.objective.value(part.columns)[self._fits(part)]
        self.fitting = np.sort(np.concatenate([self.fitting, values]))
        if len(self.fitting) >= self.keep:
            self.fitting = self.fitting[: self.keep]
            self.limit = self.fitting[-1] * self.slack

    def _fits(self, part: Evaluation) -> npt.NDArray[np.bool_]:
        fits: npt.NDArray[np.bool_] = part.fits & (part["oom_probability"] < self.risk)
        return fits

    def _found(self, cells: int, combinations: int) -> Found:
        evaluation = Evaluation.joined(self.parts, self.base)
        values = self.objective.value(evaluation.columns)
        table = evaluation.strategies
        assert isinstance(table, StrategyTable)
        fields = [table.columns[name] for name in sorted(table.columns)]
        places = np.flatnonzero(self._fits(evaluation))
        keys = [field[places] for field in fields[::-1]]
        order = places[np.lexsort([*keys, values[places]])] if len(places) else places
        return Found(evaluation, values, order, cells, self.bounded, combinations, self.least_bytes)


_OFFLOAD_FIELDS = ("offload_optimizer", "offload_parameters", "offload_activations")


def _relief(name: str) -> tuple[int, float]:
    """What leaves the device; of equals to the nearer tier, which more nodes have."""
    values = OFFLOADS[name]
    return sum(value > 0 for value in values), -sum(values)


def _offload(name: str, rows: int) -> Columns:
    return {field: np.full(rows, float(OFFLOADS[name][i])) for i, field in enumerate(_OFFLOAD_FIELDS)}


def _orders(columns: Columns, space: StrategySpace) -> npt.NDArray[np.bool_]:
    """One stage has no order of passes to choose: there one schedule stands for all."""
    names = [Schedule(kind).value for kind in space.schedule]
    plain = next((name for name in names if name not in (*_WAVES, "hanayo", "dualpipe")), None)
    number = -1 if plain is None else int(_core.PipelineSchedule[Schedule(plain).name].value)
    only: npt.NDArray[np.bool_] = (columns["pp"] > 1) | (columns["schedule"] == number)
    return only


def _has_chunks(columns: Columns) -> npt.NDArray[np.bool_]:
    """Whether the schedule takes that many chunks a rank: the rule of `schedule_check.cpp`, for whole columns."""
    names = [kind.value for kind in Schedule]
    numbers = {name: int(_core.PipelineSchedule[Schedule(name).name].value) for name in names}
    schedule, vpp = columns["schedule"], columns["vpp"]
    waves = np.isin(schedule, [numbers[name] for name in _WAVES])
    any_chunks = np.isin(schedule, [numbers[name] for name in _ANY_CHUNKS])
    pairs = schedule == numbers["hanayo"]
    legal: npt.NDArray[np.bool_] = np.where(waves, vpp == 2, np.where(pairs, vpp % 2 == 0, any_chunks | (vpp == 1)))
    return legal
