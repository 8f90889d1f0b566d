"""`StrategySpace`: which strategies a search looks at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _core
from ..errors import Problems
from ..frameworks.profile import FrameworkProfile
from ..hardware.cluster import Cluster
from ..models.model import Model
from ..models.op import OpKind
from ..parallel.choices import Precision, Recompute, Schedule
from ..parallel.strategy import Strategy
from ..simulator.job import Job, described_job
from .size import check_size
from .strategy_table import MOST_ROWS, StrategyTable

__all__ = ["OFFLOADS", "Columns", "StrategySpace", "times", "where"]

OFFLOADS = {  # optimizer, parameters by their tier; share of activations
    "none": (0, 0, 0.0),
    "optimizer": (1, 0, 0.0),
    "parameters": (1, 1, 0.0),
    "activations": (0, 0, 1.0),
    "all": (1, 1, 1.0),
    "optimizer_nvme": (2, 0, 0.0),
    "parameters_nvme": (2, 2, 0.0),
}
_MOST_VALUES = 65_536  # of one axis
_LEAST_TOKENS = 2048  # of a sequence on one context-parallel rank, unless cp is given
_AXES = (
    *("tp", "pp", "vpp", "cp", "ep", "etp", "zero", "micro_batch", "recompute", "schedule", "offload", "precision"),
)
Columns = dict[str, npt.NDArray[np.float64]]


@dataclass(frozen=True, kw_only=True)
class StrategySpace:
    """Axes of a search and the values each may take; `table` gives every legal combination.

    Attributes
    ----------
    global_batch
        Samples per step.
    tp, pp, vpp, cp, ep, etp
        Degrees; None takes every one that makes sense: `tp` divisors of the devices up to a scale-up domain, `pp` up
        to the layers, `vpp` divisors of a rank's layers, `cp` powers of two that leave 2,048 tokens a rank, `ep`
        divisors of the experts, `etp` 1 and `tp`. `dp` is what is left of the cluster.
    zero, micro_batch, recompute, schedule
        Values of those fields of `Strategy`.
    offload
        Of "none", "optimizer", "parameters" (with the optimizer), "activations", "all" to the host, "optimizer_nvme",
        "parameters_nvme" to NVMe drives.
    precision
        Matmul types; None takes bf16, and fp8 where the device computes in it.
    base
        All other fields.

    Examples
    --------
    >>> space = StrategySpace(global_batch=64, micro_batch=(1, 2), recompute=("none", "full"), schedule=("1f1b",))
    >>> table = space.table("llama-3.1-8b", "1xdgx-h100", seq_len=4096)
    >>> len(table) > 100 and all(row.tp * row.pp * row.cp * row.dp == 8 for row in table)
    True
    """

    global_batch: int
    tp: Sequence[int] | None = None
    pp: Sequence[int] | None = None
    vpp: Sequence[int] | None = None
    cp: Sequence[int] | None = None
    ep: Sequence[int] | None = None
    etp: Sequence[int] | None = None
    zero: Sequence[int] = (0, 1, 2, 3)
    micro_batch: Sequence[int] = (1, 2, 4, 8)
    recompute: Sequence[Recompute | str] = tuple(Recompute)
    schedule: Sequence[Schedule | str] = tuple(Schedule)
    offload: Sequence[str] = ("none", "optimizer", "parameters", "activations")
    precision: Sequence[Precision | str] | None = None
    base: Strategy = field(default_factory=Strategy)

    def __post_init__(self) -> None:
        problems = Problems()
        problems.count("space.global_batch", self.global_batch, maximum=2**31 - 1)
        for name in _AXES:
            problems.few(f"space.{name}", getattr(self, name), _MOST_VALUES)
        problems.raise_if_any()
        for name in ("tp", "pp", "vpp", "cp", "ep", "etp", "micro_batch"):
            for value in getattr(self, name) or ():
                problems.count(f"space.{name}", value, maximum=1 << 24)
        for name in ("zero", "micro_batch", "recompute", "schedule", "offload"):
            if not len(getattr(self, name)):
                problems.add(f"space.{name}", "no value", "at least one")
        for value in self.offload:
            if value not in OFFLOADS:
                problems.add("space.offload", value, f"one of {', '.join(OFFLOADS)}")
        problems.raise_if_any()

    def table(
        self,
        model: Model | str,
        cluster: Cluster | str,
        *,
        seq_len: int | None = None,
        framework: FrameworkProfile | str = "megatron-core",
        threads: int = 0,
    ) -> StrategyTable:
        """Every strategy of the space that keeps the rules of layouts, neighbours sharing prices.

        A schedule fitted to pass times (`zb_1p`, `zb_2p`) may still find no order: `evaluate` says so.

        Parameters
        ----------
        model, cluster, seq_len, framework
            As of `simulate`.
        threads
            At most so many; 0 takes one per core.

        Raises
        ------
        ConfigError
            If the space is empty, or has more than 20 million combinations.
        """
        job = described_job(model, cluster, Strategy(), seq_len, framework, None, None)
        candidates = StrategyTable(self.combinations(job), self.base.replace(global_batch=self.global_batch))
        rows = candidates.core_arguments(job.cluster.device_count)
        return candidates.take(job.core_search().legal(**rows, threads=threads))

    def combinations(self, job: Job) -> Columns:
        """Every combination that fills the cluster and the batch, by arithmetic alone."""
        devices, layers = job.cluster.device_count, sum(run.repeat for run in job.model.layers)
        columns: Columns = {"dp": np.ones(1)}
        for name, values in zip(("tp", "pp", "cp"), self._outer(job, layers), strict=True):
            columns = times(columns, name, [value for value in values if devices % value == 0])
            columns["dp"] *= columns[name]
            columns = where(columns, devices % columns["dp"] == 0)
        columns["dp"] = devices / columns.pop("dp")
        columns = times(columns, "micro_batch", self.micro_batch)
        columns = where(columns, self.global_batch % (columns["dp"] * columns["micro_batch"]) == 0)
        columns = self._expert_axes(columns, job)
        columns = times(columns, "vpp", self.vpp or _divisors(layers))
        if self.vpp is None:
            divides = (columns["pp"] > 1) & (layers % (columns["pp"] * columns["vpp"]) == 0)
            columns = where(columns, (columns["vpp"] == 1) | divides)
        for name, values in self._inner(job):
            columns = times(columns, name, values)
        offload = np.array([OFFLOADS[name] for name in self.offload])
        columns = times(columns, "offload", range(len(offload)))
        which = columns.pop("offload").astype(np.int64)
        for i, name in enumerate(("offload_optimizer", "offload_parameters", "offload_activations")):
            columns[name] = offload[which, i]
        return columns

    def _outer(self, job: Job, layers: int) -> list[Sequence[int]]:
        devices, domain = job.cluster.device_count, job.cluster.domain_devices
        powers = [1 << i for i in range(25)]
        return [
            self.tp or [d for d in _divisors(devices) if d <= domain],
            self.pp or [d for d in _divisors(devices) if d <= layers + 2],
            self.cp or [1, *(p for p in powers if 1 < p <= devices and job.seq_len // p >= _LEAST_TOKENS)],
        ]

    def _expert_axes(self, columns: Columns, job: Job) -> Columns:
        ops = [op for run in job.model.layers for op in run.block.ops if op.kind is OpKind.GROUPED_MATMUL]
        experts = int(ops[0].experts) if ops else 1
        columns = times(columns, "ep", self.ep or _divisors(experts))
        columns = where(columns, (columns["tp"] * columns["cp"] * columns["dp"]) % columns["ep"] == 0)
        if self.etp is None and not ops:
            return columns | {"etp": columns["tp"]}
        if self.etp is not None:
            return times(columns, "etp", self.etp)
        columns = times(columns, "etp", (0, 1))  # 1, or as tp
        columns = where(columns, (columns["etp"] == 0) | (columns["tp"] > 1))
        return columns | {"etp": np.where(columns["etp"] == 0, 1.0, columns["tp"])}

    def _inner(self, job: Job) -> list[tuple[str, Sequence[Any]]]:
        """Axes whose values combine freely; the last varies fastest."""
        types = self.precision or ("bf16", *(("fp8",) if "fp8" in job.cluster.node.device.rates else ()))
        return [
            ("precision", _numbers_of(_core.DType, types)),
            ("recompute", _numbers_of(_core.Recompute, self.recompute)),
            ("schedule", _numbers_of(_core.PipelineSchedule, [Schedule(value).name for value in self.schedule])),
            ("zero", self.zero),
        ]


def _numbers_of(core: Any, values: Sequence[Any]) -> list[int]:
    return [int(core[str(getattr(value, "name", value)).upper()].value) for value in values]


def _divisors(n: int) -> list[int]:
    small = [d for d in range(1, isqrt(n) + 1) if n % d == 0]
    return small + [n // d for d in reversed(small) if d * d < n]


def where(columns: Columns, mask: npt.NDArray[Any]) -> Columns:
    """Rows by mask or by place."""
    return {name: values[mask] for name, values in columns.items()}


def times(columns: Columns, name: str, values: Sequence[Any] | range) -> Columns:
    """Every row with every value, which varies fastest."""
    rows, count = len(next(iter(columns.values()))), len(values)
    check_size(rows * count, MOST_ROWS)
    wider = {key: np.repeat(column, count) for key, column in columns.items()}
    return wider | {name: np.tile(np.asarray(values, dtype=np.float64), rows)}
