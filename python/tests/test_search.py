"""Batches of strategies: every column is what `simulate` says, whatever the threads; what cannot run is data."""

from __future__ import annotations

from itertools import product
from typing import Any

import dist_training_sim as dts
import numpy as np
import pytest
from dist_training_sim import _core
from dist_training_sim.errors import ConfigError
from dist_training_sim.parallel import Recompute, Schedule

JOB = ("llama-3.1-70b", "8xdgx-h100")
SPACE = dts.StrategySpace(global_batch=128)


def simulated(job: tuple[Any, Any], strategy: dts.Strategy, **options: Any) -> dict[str, float]:
    """What `simulate` says, under the names of the columns."""
    result = dts.simulate(*job, strategy, keep_events=False, **options)
    axes = result.communication
    return {
        "step_time_s": result.step_time_s,
        "tokens_per_s": result.tokens_per_s,
        "mfu": result.mfu,
        "mfu_full_attention": result.mfu_full_attention,
        "hfu": result.hfu,
        "micro_batches": result.micro_batches,
        "allocated_bytes": result.peak_memory.allocated_bytes,
        "reserved_bytes": result.peak_memory.reserved_bytes,
        "oom_probability": result.fullest_stage.oom_probability,
        "host_bytes": max(use.host_bytes for use in result.memory),
        **result.breakdown,
        **{f"communication_{axis}_s": axes[axis]["total_s"] for axis in axes},
        **{f"communication_{axis}_exposed_s": axes[axis]["exposed_s"] for axis in axes},
        "fits": result.fits,
    }


def differences(job: tuple[Any, Any], found: dts.Evaluation, rows: Any, **options: Any) -> list[str]:
    wrong = []
    for row in rows:
        if not found.legal[row]:  # an order that only its own construction finds impossible
            with pytest.raises(ConfigError) as error:
                dts.simulate(*job, found.strategies[row], **options)
            assert found.reason(row) == str(error.value)
            continue
        expected = simulated(job, found.strategies[row], **options)
        got = {name: found[name][row] for name in expected if name != "fits"} | {"fits": found.fits[row]}
        wrong += [f"{row} {name}: {got[name]!r} != {want!r}" for name, want in expected.items() if got[name] != want]
    return wrong


def random_rows(table: dts.StrategyTable, count: int, seed: int) -> dts.StrategyTable:
    rows = np.random.default_rng(seed).choice(len(table), size=count, replace=False)
    return table.take(np.sort(rows))


@pytest.fixture(scope="module")
def space_of_70b() -> dts.StrategyTable:
    return SPACE.table(*JOB, seq_len=4096)


def test_a_thousand_random_strategies_are_what_simulate_says(space_of_70b: dts.StrategyTable) -> None:
    sample = random_rows(space_of_70b, 1000, seed=1)
    found = dts.evaluate(*JOB, sample, seq_len=4096)
    assert found.legal.mean() > 0.99
    assert not differences(JOB, found, range(1000), seq_len=4096)


@pytest.mark.parametrize("framework", ["torchtitan", "megatron-lm-2021", "deepspeed"])
def test_other_frameworks(framework: str, space_of_70b: dts.StrategyTable) -> None:
    sample = random_rows(space_of_70b, 60, seed=2)
    found = dts.evaluate(*JOB, sample, seq_len=4096, framework=framework)
    assert not differences(JOB, found, np.flatnonzero(found.legal), seq_len=4096, framework=framework)


def test_experts_and_nodes_of_two_kinds() -> None:
    job = ("mixtral-8x7b", "2xdgx-h100+2xdgx-a100")
    space = dts.StrategySpace(global_batch=64, micro_batch=(1, 2), offload=("none",), precision=("bf16",))
    sample = random_rows(space.table(*job, seq_len=2048), 80, seed=3)
    found = dts.evaluate(*job, sample, seq_len=2048)
    assert found.legal.all()
    assert not differences(job, found, range(80), seq_len=2048)


@pytest.mark.parametrize("threads", [2, 4])
def test_threads_change_nothing(threads: int, space_of_70b: dts.StrategyTable) -> None:
    sample = random_rows(space_of_70b, 300, seed=4)
    one, several = (dts.evaluate(*JOB, sample, seq_len=4096, threads=n) for n in (1, threads))
    for name, column in one.columns.items():
        assert np.array_equal(column, several[name], equal_nan=True), name


def test_rows_given_one_by_one_and_their_reasons() -> None:
    axes: list[dict[str, Any]] = [{"tp": 8, "zero": 1}, {"tp": 3}, {"dp": 7}]
    rows = [dts.Strategy(global_batch=128, **each) for each in axes]
    found = dts.evaluate(*JOB, rows, seq_len=4096)
    assert found.legal.tolist() == [True, False, False]
    assert np.isnan(found["step_time_s"][1])
    with pytest.raises(ConfigError) as error:
        dts.simulate(*JOB, rows[1], seq_len=4096)
    assert found.reason(1) == str(error.value)
    assert "out of memory" in found.reason(0) or found.fits[0]
    assert not differences(JOB, found, [0], seq_len=4096)
    assert len(dts.evaluate(*JOB, [], seq_len=4096)) == 0


def test_offloading_to_an_unknown_host_is_a_reason() -> None:
    cluster = dts.Cluster.from_catalog("1xdgx-h100")
    cluster = dts.Cluster(cluster.node.replace(host_Bps=None), 1)
    found = dts.evaluate("llama-3.1-8b", cluster, [dts.Strategy(offload_optimizer=True)], seq_len=1024)
    assert not found.legal[0]
    assert "host" in found.reason(0)


def test_best_is_the_fastest_that_fits(space_of_70b: dts.StrategyTable) -> None:
    found = dts.evaluate(*JOB, random_rows(space_of_70b, 500, seed=5), seq_len=4096)
    best = found.best(3)
    assert found.fits[best].all()
    assert found["step_time_s"][best[0]] == found["step_time_s"][found.fits].min()
    assert list(found["step_time_s"][best]) == sorted(found["step_time_s"][best])


def test_the_space_is_what_simulate_accepts() -> None:
    """Every combination of a small space, one by one."""
    two, schedules = (1, 2), ("1f1b", "zb_v", "dualpipe")
    axes: dict[str, Any] = {"tp": two, "pp": (1, 2, 4), "cp": two, "vpp": two, "micro_batch": two, "zero": (0, 3)}
    axes["schedule"] = schedules
    space = dts.StrategySpace(global_batch=16, recompute=("none",), offload=("none",), precision=("bf16",), **axes)
    job = ("llama-3.2-1b", "1xdgx-h100")
    listed = {(s.tp, s.pp, s.cp, s.vpp, s.micro_batch, s.zero, s.schedule) for s in space.table(*job, seq_len=4096)}
    accepted = set()
    for values in product(*axes.values()):
        strategy = dts.Strategy(global_batch=16, **dict(zip(axes, values, strict=True)))
        try:
            dts.simulate(*job, strategy, seq_len=4096)
        except ConfigError:
            continue
        accepted.add((*values[:-1], Schedule(values[-1])))
    assert listed == accepted


def test_a_table_takes_names_members_and_numbers() -> None:
    columns = {"recompute": ["none", Recompute.FULL], "schedule": np.array([0, 3]), "offload_activations": [0, 0.5]}
    table = dts.StrategyTable(columns)
    assert [Recompute(row.recompute).value for row in table] == ["none", "full"]
    assert [Schedule(row.schedule).value for row in table] == ["1f1b", "zb_h1"]
    assert table[-1].offload_activations == 0.5
    with pytest.raises(IndexError):
        table[2]


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        ({"tp": [1, 2], "pp": [1]}, "equal length"),
        ({"colour": [1]}, "strategies.colour"),
        ({"tp": [1.5]}, "strategies.tp"),
        ({"tp": [float("nan")]}, "strategies.tp"),
        ({"schedule": np.array([99])}, "strategies.schedule"),
        ({"tp": ["many"]}, "strategies.tp"),
    ],
)
def test_bad_tables_are_named(columns: Any, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        dts.StrategyTable(columns)


def test_bad_spaces_are_named() -> None:
    with pytest.raises(ConfigError, match="offload"):
        dts.StrategySpace(global_batch=8, offload=("somewhere",))
    with pytest.raises(ConfigError, match="zero"):
        dts.StrategySpace(global_batch=8, zero=())
    with pytest.raises(ConfigError, match="threads"):
        dts.evaluate(*JOB, [], seq_len=128, threads=-1)
    with pytest.raises(ConfigError, match="StrategyTable or Strategy"):
        dts.evaluate(*JOB, ["tp=8"], seq_len=128)  # type: ignore[list-item]


def test_every_field_of_a_strategy_is_part_of_its_key() -> None:
    """`fields_of` in src/parallel/strategy_key.hpp lists what `_core.Strategy` has: an expert load is four of them."""
    import re
    from pathlib import Path

    header = Path(__file__).parents[2] / "src" / "parallel" / "strategy_key.hpp"
    if not header.is_file():
        pytest.skip("no source tree beside this package")
    listed = set(re.findall(r"\bs\.(\w+)", header.read_text(encoding="utf-8").split("fields_of")[1].split("}")[0]))
    known = {name for name in dir(_core.Strategy()) if not name.startswith("_")}
    assert listed == known
