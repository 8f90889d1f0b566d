"""Strategies a second: 70B on 512 H100, time and memory of every layout over all axes."""

from __future__ import annotations

import time
from typing import Any

import dist_training_sim as dts
import pytest
from dist_training_sim.verbs.framework_axes import axes_of, base_of
from jobs import LLAMA_70B, SEQ_LEN, cluster, slices

CLUSTER = cluster(512)
SPACE = dts.StrategySpace(
    global_batch=1024,
    base=base_of(dts.FrameworkProfile.from_catalog("megatron-core")),
    precision=("bf16",),
    **axes_of("megatron-core"),
)
ROWS = 512


@pytest.fixture(scope="module")
def table() -> dts.StrategyTable:
    return SPACE.table(LLAMA_70B, CLUSTER, seq_len=SEQ_LEN)


def evaluate(rows: dts.StrategyTable, threads: int) -> dts.Evaluation:
    return dts.evaluate(LLAMA_70B, CLUSTER, rows, seq_len=SEQ_LEN, threads=threads)


def test_timed(benchmark: Any, table: dts.StrategyTable) -> None:
    """Every strategy timed in full."""
    rows = slices(table, ROWS)
    benchmark.extra_info["count"] = len(rows)
    benchmark(evaluate, rows, 1)


def test_one_by_one(benchmark: Any, table: dts.StrategyTable) -> None:
    """The same strategies by `simulate`, which shares nothing between them."""
    rows = list(slices(table, 32))
    benchmark.extra_info["count"] = len(rows)
    benchmark(lambda: [dts.simulate(LLAMA_70B, CLUSTER, row, seq_len=SEQ_LEN, keep_events=False) for row in rows])


def test_bounded(benchmark: Any, table: dts.StrategyTable) -> None:
    """The best ten of the whole space: strategies that bounds rule out, and those timed in full, together."""
    benchmark.extra_info["count"] = len(table)
    found = benchmark(dts.plan, LLAMA_70B, CLUSTER, seq_len=SEQ_LEN, global_batch=1024, threads=1)
    benchmark.extra_info["timed in full"] = found.searched.evaluated


@pytest.mark.benchmark(timer=time.perf_counter)
@pytest.mark.parametrize("threads", [1, 2])
def test_wall(benchmark: Any, table: dts.StrategyTable, threads: int) -> None:
    """Wall time, for the gain of a second core."""
    rows = slices(table, ROWS)
    benchmark.extra_info["count"] = len(rows)
    benchmark(evaluate, rows, threads)
