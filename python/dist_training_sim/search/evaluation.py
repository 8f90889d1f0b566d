"""`evaluate`: time and memory of many strategies, as columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .. import _core
from ..errors import Problems
from ..frameworks.profile import FrameworkProfile
from ..hardware.cluster import Cluster
from ..models.model import Model
from ..parallel.strategy import Strategy
from ..simulator.job import Job, described_job
from .strategy_table import StrategyRows, StrategyTable, rows_of

if TYPE_CHECKING:
    from ..communication import CommunicationModel

__all__ = ["Evaluation", "evaluate"]


@dataclass(frozen=True, repr=False, eq=False)
class Evaluation:
    """What each strategy of a batch gives; arrays with one entry per strategy.

    Attributes
    ----------
    strategies
        The rows: `evaluation.strategies[i]` is a `Strategy`.
    columns
        Arrays by name, NaN where a strategy was refused. The names are those of `Result`: `step_time_s`,
        `tokens_per_s`, `mfu`, `mfu_full_attention`, `hfu`, `micro_batches`; memory of the stage that fills its devices
        most: `allocated_bytes`, `reserved_bytes`, `used_bytes`, `oom_probability`; `host_bytes`,
        `nvme_bytes`, `remote_bytes` of what is offloaded; the parts of `Result.breakdown`; and
        of `Result.communication` for every axis `communication_tp_s` and `communication_tp_exposed_s`.
    """

    strategies: StrategyTable | StrategyRows
    columns: dict[str, npt.NDArray[Any]]
    _reasons: list[str]

    def __len__(self) -> int:
        return len(self.strategies)

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        return self.columns[name]

    @property
    def fits(self) -> npt.NDArray[np.bool_]:
        """Legal, and more likely to fit into memory than not."""
        fits: npt.NDArray[np.bool_] = self.columns["status"] == _core.RowStatus.FITS.value
        return fits

    @property
    def legal(self) -> npt.NDArray[np.bool_]:
        """Whether the job accepts the strategy; the columns of the others are NaN."""
        legal: npt.NDArray[np.bool_] = self.columns["status"] != _core.RowStatus.ILLEGAL.value
        return legal

    def reason(self, row: int) -> str:
        """Why a strategy cannot run; empty where it can."""
        if self.legal[row]:
            return "" if self.fits[row] else f"out of memory: {self.columns['oom_probability'][row]:.0%} likely to fail"
        return self._reasons[int(self.columns["reason"][row])]

    @classmethod
    def joined(cls, parts: Sequence[Evaluation], base: Strategy) -> Evaluation:
        """One evaluation of all rows of several, whose tables have the same columns."""
        tables = [part.strategies for part in parts if isinstance(part.strategies, StrategyTable)]
        if not tables:
            return cls(StrategyTable({}, base), _no_rows(), [])
        reasons: dict[str, int] = {}
        for part in parts:
            for reason in part._reasons:
                reasons.setdefault(reason, len(reasons))
        columns = {name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns}
        numbers = [np.array([*(reasons[reason] for reason in part._reasons), -1])[part["reason"]] for part in parts]
        columns["reason"] = np.concatenate(numbers)
        joined = {name: np.concatenate([table.columns[name] for table in tables]) for name in tables[0].columns}
        return cls(StrategyTable(joined, base), columns, list(reasons))

    def best(self, count: int = 10, by: str = "step_time_s") -> npt.NDArray[np.int64]:
        """Places of the strategies that fit with the smallest values of a column, best first, ties in order of rows."""
        places = np.flatnonzero(self.fits)
        order = np.argsort(self.columns[by][places], kind="stable")
        found: npt.NDArray[np.int64] = places[order[:count]]
        return found

    def __repr__(self) -> str:
        legal, fits = int(self.legal.sum()), int(self.fits.sum())
        return f"<{len(self):,} strategies: {legal:,} legal, {fits:,} fit>"


def evaluate(
    model: Model | str,
    cluster: Cluster | str,
    strategies: StrategyTable | Iterable[Strategy],
    *,
    seq_len: int | None = None,
    framework: FrameworkProfile | str = "megatron-core",
    network: CommunicationModel | None = None,
    threads: int = 0,
) -> Evaluation:
    """Predict time and memory of many strategies of one job.

    Every row is what `simulate` says of that strategy, bit for bit; one that cannot run is a row with its reason.

    Parameters
    ----------
    model, cluster, seq_len, framework, network
        As of `simulate`.
    strategies
        A `StrategyTable`, or strategies one by one. Neighbours that share tensor-parallel degree, micro-batch and the
        like share prices, so sorted tables are faster.
    threads
        At most so many; 0 takes one per core. Results do not depend on it.

    Raises
    ------
    ConfigError
        If the job itself is not legal, whatever the strategy.

    Examples
    --------
    >>> table = StrategyTable({"tp": [1, 2, 4, 8]}, Strategy(zero=1, global_batch=64, recompute="full"))
    >>> found = evaluate("llama-3.1-8b", "1xdgx-h100", table, seq_len=4096)
    >>> int(found.strategies[found.best(1)[0]].tp) in (1, 2, 4, 8)
    True
    """
    problems = Problems()
    problems.count("threads", threads, minimum=0, maximum=1024)
    problems.raise_if_any()
    job = described_job(model, cluster, Strategy(), seq_len, framework, network, None)
    return evaluate_job(job, rows_of(strategies), threads)


def evaluate_job(
    job: Job, rows: StrategyTable | StrategyRows, threads: int, core: _core.SearchJob | None = None
) -> Evaluation:
    """`evaluate` of a described job, whose own strategy does not count; `core`: the same job, with what it knows."""
    columns, reasons = (core or job.core_search()).evaluate(
        **rows.core_arguments(job.cluster.device_count),
        failure_factor=job.profile.failure_factor or job.profile.reserved_factor,
        tier_capacity_bytes=[-1.0, *(-1.0 if limit is None else limit for limit in job.tier_capacity_bytes.values())],
        threads=threads,
    )
    return Evaluation(rows, columns, reasons)


def _no_rows() -> dict[str, npt.NDArray[Any]]:
    """The columns of no strategies."""
    names = ("status", "reason", *_core.evaluation_columns())
    return {name: np.zeros(0) for name in names}
