"""The pruned search finds what a look at every strategy finds, and its bounds hold for each."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import dist_training_sim as dts
import numpy as np
import pytest
from dist_training_sim import _core
from dist_training_sim.search.pruned import pruned_search
from dist_training_sim.simulator.job import Job, described_job
from dist_training_sim.verbs.plan_objective import objective_of, terms_of

JOBS = {
    "dense": ("llama-3.1-8b", "2xdgx-h100", "megatron-core", 16, 4096),
    "large": ("llama-3.1-70b", "8xdgx-h100", "megatron-core", 64, 2048),
    "experts": ("mixtral-8x7b", "4xdgx-h100", "megatron-core", 32, 2048),
    "fsdp": ("llama-3.1-8b", "1xdgx-h100", "torchtitan", 32, 4096),
    "sharded": ("llama-3.1-70b", "8xdgx-h100", "torchtitan", 64, 2048),
    "unfused": ("gpt3-175b", "16xdgx-a100", "megatron-lm-2022", 64, 2048),
    "two kinds": ("llama-3.1-8b", "1xdgx-h100+1xdgx-a100", "megatron-core", 32, 2048),
    "tied": ("llama-3.2-1b", "1xdgx-h100", "megatron-core", 16, 2048),
}


def job_of(name: str) -> Job:
    model, cluster, framework, _, seq_len = JOBS[name]
    return described_job(model, cluster, dts.Strategy(), seq_len, framework, None, None)


def candidates(name: str, count: int, seed: int, **axes: Any) -> dts.StrategyTable:
    space = dts.StrategySpace(global_batch=JOBS[name][3], **axes)
    columns = space.combinations(job_of(name))
    table = dts.StrategyTable(columns, space.base.replace(global_batch=space.global_batch))
    rows = np.random.default_rng(seed).choice(len(table), size=min(count, len(table)), replace=False)
    return table.take(np.sort(rows))


def bounds(job: Job, table: dts.StrategyTable) -> tuple[Any, Any]:
    return job.core_search().bounds(**table.core_arguments(job.cluster.device_count), threads=0)


@pytest.mark.parametrize("name", JOBS)
def test_no_strategy_takes_less_than_its_bounds(name: str) -> None:
    model, cluster, framework, _, seq_len = JOBS[name]
    table = candidates(name, 300, seed=1)
    step_s, allocated = bounds(job_of(name), table)
    legal = ~np.isnan(step_s)
    found = dts.evaluate(model, cluster, table.take(legal), seq_len=seq_len, framework=framework)
    runs = found.legal  # ZB-1p may find no order
    assert runs.sum() > 30
    assert np.all(step_s[legal][runs] <= found["step_time_s"][runs])
    assert np.all(allocated[legal][runs] <= found["allocated_bytes"][runs])


def test_bounds_are_refused_where_the_layout_is() -> None:
    name = "dense"
    table = candidates(name, 200, seed=2)
    step_s, _ = bounds(job_of(name), table)
    model, cluster, framework, _, seq_len = JOBS[name]
    found = dts.evaluate(model, cluster, table, seq_len=seq_len, framework=framework)
    assert not np.any(found.legal & np.isnan(step_s))


def test_the_bound_of_one_device_is_its_compute() -> None:
    """Without an update, a schedule or communication a step is its passes: the bound misses little of it."""
    job = described_job("llama-3.1-8b", "1xdgx-h100", dts.Strategy(), 4096, "ideal", None, None)
    table = dts.StrategyTable({"zero": [1]}, dts.Strategy(global_batch=64))
    step_s, _ = bounds(job, table)
    parts = dts.simulate("llama-3.1-8b", "1xdgx-h100", table[0], seq_len=4096, framework="ideal").breakdown
    assert step_s[0] == pytest.approx(parts["forward_s"] + parts["backward_s"], rel=1e-6)


SPACES: dict[str, dict[str, Any]] = {
    "dense": {"schedule": ("1f1b", "zb_v"), "offload": ("none", "optimizer"), "cp": (1,), "zero": (0, 1, 3),
              "micro_batch": (1, 2), "vpp": (1, 2), "precision": ("bf16",)},
    "large": {"schedule": ("1f1b",), "precision": ("bf16",), "micro_batch": (1,), "offload": ("none",), "cp": (1,),
              "tp": (4, 8), "vpp": (1, 2, 5)},
    "experts": {"schedule": ("1f1b",), "micro_batch": (1,), "offload": ("none",), "tp": (1, 4), "cp": (1,),
                "vpp": (1, 2), "pp": (1, 2, 4), "recompute": ("none", "full"), "precision": ("bf16",)},
    "fsdp": {"schedule": ("1f1b", "gpipe"), "zero": (0, 3), "micro_batch": (1, 2), "vpp": (1,), "cp": (1,)},
    "two kinds": {"schedule": ("1f1b",), "micro_batch": (1,), "offload": ("none",), "cp": (1,), "vpp": (1,)},
    "tied": {"schedule": ("1f1b",), "precision": ("bf16", "fp8"), "zero": (0, 1, 3), "offload": ("none",), "cp": (1,)},
}  # fmt: skip


@cache
def every_strategy(name: str) -> dts.Evaluation:
    model, cluster, framework, global_batch, seq_len = JOBS[name]
    space = dts.StrategySpace(global_batch=global_batch, **SPACES[name])
    table = chosen(space, space.table(model, cluster, seq_len=seq_len, framework=framework))
    return dts.evaluate(model, cluster, table, seq_len=seq_len, framework=framework)


def chosen(space: dts.StrategySpace, table: dts.StrategyTable) -> dts.StrategyTable:
    """One schedule where there is one stage."""
    waves = ("zb_v", "v_half", "v_min", "dualpipe_v", "hanayo", "dualpipe")
    plain = next((i for i, name in enumerate(space.schedule) if name not in waves), None)
    numbers = [_core.PipelineSchedule[dts.Schedule(name).name].value for name in space.schedule]
    number = -1 if plain is None else numbers[plain]
    return table.take((table.columns["pp"] > 1) | (table.columns["schedule"] == number))


@pytest.mark.parametrize("objective", ["time", "memory", "cost", "energy"])
@pytest.mark.parametrize("name", SPACES)
def test_pruned_search_equals_brute_force(name: str, objective: str) -> None:
    job, every = job_of(name), every_strategy(name)
    limits = {"step_time_s": None, "memory_bytes": None}
    goal = objective_of(objective, terms_of(job.cluster, 2.0, limits, 0.5), job.cluster.device_count)
    space = dts.StrategySpace(global_batch=JOBS[name][3], **SPACES[name])
    found = pruned_search(job, space, goal, keep=7)
    values = np.sort(goal.value(every.columns)[every.fits])[:7]
    assert len(values) == 7
    assert found.values[found.order[:7]].tolist() == values.tolist()
    if objective == "time" and name != "two kinds":  # where bounds of time say nothing
        assert len(found.evaluation) < 0.7 * len(every)


@pytest.mark.parametrize("seed", range(4))
def test_random_small_spaces(seed: int) -> None:
    """Any few values of any axes, a random risk and slack: the same best strategies as of all of them."""
    rng = np.random.default_rng(seed)

    def pick(values: Sequence[Any], most: int) -> tuple[Any, ...]:
        return tuple(rng.choice(values, size=rng.integers(1, most + 1), replace=False).tolist())

    axes: dict[str, Any] = {
        "tp": pick([1, 2, 4, 8], 2),
        "cp": (1,),
        "vpp": (1, 2),
        "zero": pick([0, 1, 2, 3], 2),
        "micro_batch": pick([1, 2, 4], 2),
        "recompute": pick(["none", "selective", "full"], 2),
        "schedule": pick(["1f1b", "gpipe", "zb_h1", "zb_v", "hanayo", "dualpipe_v", "looped_bfs"], 2),
        "offload": pick(["none", "optimizer", "activations", "all"], 2),
        "precision": pick(["bf16", "fp8"], 2),
    }
    job, risk, slack = job_of("dense"), float(rng.uniform(0.05, 0.5)), float(rng.uniform(0, 0.2))
    goal = objective_of("time", terms_of(job.cluster, None, {"step_time_s": None, "memory_bytes": None}, risk), 16)
    space = dts.StrategySpace(global_batch=16, **axes)
    found = pruned_search(job, space, goal, keep=5, risk=risk, slack=slack)
    table = chosen(space, space.table(*JOBS["dense"][:2], seq_len=4096))
    every = dts.evaluate(*JOBS["dense"][:2], table, seq_len=4096)
    values = np.sort(every["step_time_s"][every.fits & (every["oom_probability"] < risk)])
    got = found.values[found.order]
    assert got[:5].tolist() == values[:5].tolist()
    if len(values) >= 5:  # with slack every strategy up to there is in it
        limit = values[4] * (1 + slack)
        assert (got <= limit).sum() == (values <= limit).sum()


def test_a_space_without_a_legal_strategy() -> None:
    job = job_of("dense")
    goal = objective_of("time", terms_of(job.cluster, None, {"step_time_s": None, "memory_bytes": None}, 0.5), 16)
    found = pruned_search(job, dts.StrategySpace(global_batch=64, tp=(3,)), goal)
    assert (found.cells, len(found.evaluation), len(found.order)) == (0, 0, 0)
