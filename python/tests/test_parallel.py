"""`Strategy` and `RankGrid` as a user meets them; the core's grids are tested in tests/rank_grid_test.cpp."""

from __future__ import annotations

from typing import Any

import pytest
from dist_training_sim import ConfigError, RankGrid, Recompute, Schedule, Strategy, _core
from dist_training_sim._convert import to_core
from dist_training_sim.parallel.choices import Optimizer, Precision
from hypothesis import given
from hypothesis import strategies as st


def test_names_and_members_are_the_same() -> None:
    by_name = Strategy(recompute="Selective", schedule="GPipe", optimizer="SGD", precision="fp8")
    by_member = Strategy(
        recompute=Recompute.SELECTIVE, schedule=Schedule.GPIPE, optimizer=Optimizer.SGD, precision=Precision.FP8
    )
    assert by_name == by_member
    assert hash(by_name) == hash(by_member)


@pytest.mark.parametrize(
    ("strategy", "devices", "derived"),
    [
        (Strategy(), 8, {"dp": 8, "etp": 1, "sequence_parallel": False, "global_batch": 8}),
        (Strategy(tp=4, micro_batch=2), 8, {"dp": 2, "etp": 4, "sequence_parallel": True, "global_batch": 4}),
        (Strategy(tp=2, ep=2), 8, {"dp": 4, "etp": 1}),
        (Strategy(tp=2, sequence_parallel=False, dp=1, global_batch=6), 2, {"sequence_parallel": False}),
        (Strategy(tp=4), 2, {"dp": 1}),  # too few devices: simulate says so
    ],
)
def test_derived_values(strategy: Strategy, devices: int, derived: dict[str, Any]) -> None:
    resolved = strategy.resolved(devices)
    assert {name: getattr(resolved, name) for name in derived} == derived
    assert resolved.resolved(devices) == resolved


def test_unresolved_values_stay_open() -> None:
    assert Strategy(tp=2).dp is None
    assert Strategy(tp=2).replace(pp=2) == Strategy(tp=2, pp=2)


BAD_VALUES: list[tuple[str, Any]] = [
    ("tp", 0), ("pp", -1), ("vpp", 1.5), ("cp", True), ("ep", 2**30), ("dp", 0), ("etp", "two"), ("micro_batch", 0),
    ("global_batch", 0), ("zero", 4), ("zero", -1), ("recompute", "some"), ("schedule", "2f2b"), ("optimizer", "lion"),
    ("precision", "int3"), ("overlap_grad_reduce", 1), ("overlap_param_gather", None), ("sequence_parallel", "yes"),
    ("layers_per_stage", (1, -1)), ("layers_per_stage", (1.5,)),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), BAD_VALUES)
def test_bad_values_are_named(field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"strategy\.{field}"):
        Strategy(**{field: value})


def test_all_problems_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        Strategy(tp=0, zero=7, precision="x", micro_batch=-1)
    assert len(str(error.value).splitlines()) == 4


@given(
    st.builds(
        Strategy, dp=st.integers(1, 4), tp=st.sampled_from([1, 2, 4]), pp=st.integers(1, 3), cp=st.sampled_from([1, 2]),
        ep=st.sampled_from([1, 2]), rank_order=st.permutations(["tp", "cp", "ep", "dp", "pp"]).map("-".join),
    )
)  # fmt: skip
def test_axes_partition_the_world(strategy: Strategy) -> None:
    if strategy.ep > (strategy.dp or 1) * strategy.tp * strategy.cp:
        return
    if (strategy.dp or 1) * strategy.tp * strategy.cp % strategy.resolved(1).ep:
        return
    grid = RankGrid(strategy)
    world = list(range(grid.world))
    for axis in ("tp", "cp", "dp", "pp", "ep", "etp", "edp", "dp_cp"):
        groups = grid.groups(axis)
        assert sorted(rank for group in groups for rank in group) == world
        assert len({len(group) for group in groups}) == 1
        assert grid.group(groups[-1][-1], axis) == groups[-1]


def test_grid_by_hand() -> None:
    grid = RankGrid(Strategy(tp=2, pp=2), devices=8)
    assert grid.world == 8
    assert grid.groups("DP") == [[0, 2], [1, 3], [4, 6], [5, 7]]
    assert grid.group(5, "pp") == [1, 5]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: RankGrid(Strategy(tp=2)), "devices"),
        (lambda: RankGrid(Strategy(dp=2)).group(2, "tp"), "0 to 1"),
        (lambda: RankGrid(Strategy(dp=2)).group(-1, "tp"), "rank"),
        (lambda: RankGrid(Strategy(dp=2)).groups("xp"), "did you mean tp"),
        (lambda: RankGrid(Strategy(dp=2, ep=4)), "a divisor of tp"),
        (lambda: RankGrid(Strategy(dp=4, ep=3)), "a divisor of tp"),
        (lambda: RankGrid(Strategy(dp=2, rank_order="tp-pp")), "permutation"),
        (lambda: RankGrid(Strategy(tp=2**20, pp=2**20, dp=1)), "at most"),
    ],
)
def test_grids_that_do_not_exist(make: Any, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        make()


def test_llama_405b_stages() -> None:
    # Llama 3 (arXiv:2407.21783 §3.3.2): 126 layers on 16 stages, one layer less on the first and the last.
    core = to_core(Strategy(pp=16, dp=1).resolved(16))
    assert _core.layers_per_virtual_stage(126, core) == [7, *[8] * 14, 7]
