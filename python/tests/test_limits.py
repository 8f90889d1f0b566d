"""Requests that no machine could answer are refused before they are begun, with what they would take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dist_training_sim as dts
import numpy as np
import pytest
from dist_training_sim.search.strategy_space import _divisors
from dist_training_sim.verbs import plan_ask

HUGE = range(1, 10**30)  # longer than any list: `len` itself fails
JOB: dict[str, Any] = {"global_batch": 64, "seq_len": 1024}
LAYOUT = dts.Strategy(global_batch=64)
POINT = {"model": "gpt2", "cluster": "1xdgx-h100", "global_batch": 32}

REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "space": (lambda: dts.StrategySpace(global_batch=64, tp=HUGE), r"space\.tp: .*values', expected at most 65,536"),
    "combinations": (
        lambda: dts.StrategySpace(global_batch=64, tp=[1] * 5000, pp=[1] * 5000).table(
            "gpt2", "1xdgx-h100", seq_len=1024
        ),
        r"25,000,000 combinations, about 625 s of a core and 2\.\d+ GiB', expected at most 20,000,000; give fewer",
    ),
    "table": (lambda: dts.StrategyTable({"tp": HUGE}, LAYOUT), r"strategies\.tp: .* at most 20,000,000"),
    "sweep, one axis": (lambda: dts.SweepSpace(POINT | {"seq_len": HUGE}), r"space\.seq_len: .* at most 1,000,000"),
    "sweep, all axes": (
        lambda: dts.SweepSpace(POINT | {"seq_len": range(1, 2000), "global_batch": range(1, 2000)}),
        "got 3,996,001 points, expected at most 1,000,000",
    ),
    "plan, axis": (lambda: dts.plan("gpt2", "1xdgx-h100", tp=HUGE, **JOB), "tp: .* at most 65,536"),
    "plan, sizes": (lambda: dts.plan("gpt2", "1xdgx-h100", gpus=HUGE, **JOB), "gpus: .* at most 65,536"),
    "scale": (lambda: dts.scale("gpt2", "1xdgx-h100", HUGE, **JOB), "devices: .* at most 64"),
    "span": (lambda: dts.group_span("1xdgx-h100", HUGE), "ranks: .* at most 1,048,576"),
    "collective": (lambda: dts.collective("all-reduce", "1 GB", "1xdgx-h100", ranks=HUGE), "ranks: .* at most 8"),
    "changes": (
        lambda: dts.what_if("gpt2", "1xdgx-h100", LAYOUT, changes=[{"zero": 1}] * 20_000, seq_len=1024),
        "changes: .*20,000 values.* at most 10,000",
    ),
    "ranks": (
        lambda: dts.simulate(
            "gpt2", "1000000xdgx-h100", dts.Strategy(global_batch=64 * 8_000_000), seq_len=1024, expand=True
        ),
        "size of the step: got about .* GB and .* s of work for 8e[+]06 ranks",
    ),
    "nodes": (lambda: dts.Cluster.from_catalog("dgx-h100", nodes=10**9), r"cluster\.nodes: got 1000000000"),
    "micro-batches": (
        lambda: dts.simulate("gpt2", "1xdgx-h100", dts.Strategy(dp=8, global_batch=2**31 - 8), seq_len=1024),
        "micro-batches|micro_batch",
    ),
    "links": (lambda: dts.CommunicationModel(2**20, dts.Topology.FULLY_CONNECTED), "links, expected at most"),
    "messages": (
        lambda: dts.CommunicationModel(2**16, dts.Topology.FAT_TREE).all_to_all(1e9),
        "ranks: got 65536 ranks, expected at most .* sends",
    ),
    "devices": (lambda: dts.MemoryModel(num_devices=2**30), "num_devices"),
    "group": (lambda: dts.RankGrid(dts.Strategy(dp=10**9)), "dp"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_too_much_is_refused_before_it_is_begun(name: str) -> None:
    call, message = REFUSED[name]
    with pytest.raises(dts.ConfigError, match=message) as error:
        call()
    assert len(str(error.value)) < 1000


def test_many_searches_are_counted_before_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_ask, "MOST_TOGETHER", 5000)
    monkeypatch.setattr(plan_ask.Ask, "search", None)  # none is begun
    calls: list[Callable[[], object]] = [
        lambda: dts.plan("gpt2", "8xdgx-h100", gpus=[8, 16, 32, 64], **JOB),
        lambda: dts.scale("gpt2", "1xdgx-h100", "8..64", **JOB),
    ]
    for call in calls:
        with pytest.raises(dts.ConfigError, match=r"and more in 4 searches, about .* expected at most 5,000; .* sizes"):
            call()


def test_degrees_that_cannot_divide_the_cluster_cost_nothing() -> None:
    """5,000 values on each of three axes are 10^11 combinations, of which 20 fill a node."""
    wide = dts.StrategySpace(
        global_batch=64, tp=range(1, 5001), pp=range(1, 5001), cp=range(1, 5001), zero=(0,), schedule=("1f1b",)
    )
    narrow = dts.StrategySpace(
        global_batch=64, tp=(1, 2, 4, 8), pp=(1, 2, 4, 8), cp=(1, 2, 4, 8), zero=(0,), schedule=("1f1b",)
    )
    tables = [space.table("gpt2", "1xdgx-h100", seq_len=1024) for space in (wide, narrow)]
    assert len(tables[0]) > 0
    for name, column in tables[0].columns.items():
        assert np.array_equal(column, tables[1].columns[name]), name


@pytest.mark.parametrize("n", [1, 2, 3, 4, 12, 36, 97, 1024, 1000])
def test_divisors(n: int) -> None:
    assert _divisors(n) == [d for d in range(1, n + 1) if n % d == 0]
