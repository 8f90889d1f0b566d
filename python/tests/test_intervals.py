"""Intervals: mixtures and quantiles by hand, nearness, comparisons, laws."""

from __future__ import annotations

import math
import subprocess
import sys
from itertools import pairwise
from typing import Any

import dist_training_sim as dts
import pytest
from dist_training_sim.intervals import (
    Interval,
    Situation,
    compare,
    interval_of,
    interval_of_fit,
    interval_of_step,
    kernel_situation,
    memory_situation,
    pair_situation,
    situation_of_step,
    step_situation,
)
from dist_training_sim.intervals.errors import Errors, packaged_table
from dist_training_sim.intervals.lookup import chance_above_one, interval_from
from dist_training_sim.intervals.pool import Pool, pooled
from dist_training_sim.intervals.situation import BADGES, RULES, Rule, collective_situation
from hypothesis import given
from hypothesis import strategies as st

RULE = Rule(2, ((2, 2),), ((1, 1),))
ONES = dict.fromkeys(BADGES, (1.0, 1.0))


def evenly(source: str, stratum: tuple[str, ...], most: float, rows: int = 41) -> Errors:
    """Errors from 0 to `most`."""
    return Errors(source, stratum, rows, tuple(most * i / (rows - 1) for i in range(rows)))


def some_pool(*errors: Errors, at: tuple[str, ...] = ("a", "b"), without: tuple[str, ...] = ()) -> Pool:
    found = pooled(errors, RULE, at, without)
    assert found
    return found


class TestPool:
    def test_quantiles_of_one_source(self) -> None:
        pool = some_pool(evenly("one", ("a", "b"), 0.4))
        assert pool.size_at(0.5) == pytest.approx(0.2)
        assert pool.size_at(0.9) == pytest.approx(0.36)
        assert pool.share_below(0.2) == pytest.approx(21 / 41)
        assert pool.share_below(-1) == 0
        assert pool.share_below(9) == pytest.approx(1)

    def test_a_source_weighs_as_the_root_of_its_rows(self) -> None:
        """100 rows at 0.1 weigh 10, 4 rows at 1 weigh 2: 5/6 of the weight lies at 0.1."""
        pool = some_pool(Errors("many", ("a",), 100, (0.1,) * 40), Errors("few", ("a",), 4, (1.0,) * 4))
        assert pool.share_below(0.1) == pytest.approx(10 / 12)
        assert (pool.size_at(0.83), pool.size_at(0.84)) == (0.1, 1.0)

    def test_near_strata_replace_their_share_of_the_mixture(self) -> None:
        """Both sources weigh 1/2 at the root; "a" has one of them, the prior is 2: it replaces 1/3 of the mixture."""
        near, far = Errors("near", ("a", "b"), 1, (0.1,)), Errors("far", ("x", "b"), 1, (1.0,))
        once = 1 / 3 + 2 / 3 * 1 / 2
        assert some_pool(near, far, at=("a", "z")).share_below(0.1) == pytest.approx(once)
        assert some_pool(near, far).share_below(0.1) == pytest.approx(1 / 3 + 2 / 3 * once)

    def test_many_near_sources_take_over(self) -> None:
        near = [Errors(f"near {i}", ("a", "b"), 1, (0.1,)) for i in range(18)]
        far = [Errors(f"far {i}", ("x", "b"), 1, (1.0,)) for i in range(18)]
        assert some_pool(*near, *far).share_below(0.1) > 0.99

    def test_sources_are_left_out_everywhere(self) -> None:
        near, far = evenly("near", ("a", "b"), 0.1), evenly("far", ("x", "b"), 1.0)
        pool = some_pool(near, far, without=("near",))
        assert (pool.size_at(1.0), pool.stratum, pool.rows, pool.sources) == (1.0, (), 41, 1)
        assert pooled([near, far], RULE, ("a", "b"), ("near", "far")) is None

    def test_badges_count_sources(self) -> None:
        here = [evenly(name, ("a", "b"), 0.1) for name in ("one", "two", "three")]
        there = evenly("there", ("x", "b"), 0.1)
        assert some_pool(*here, there).badge == "validated"
        assert some_pool(*here, there, without=("one", "two")).badge == "calibrated"
        assert some_pool(*here, there, without=("one", "two", "three")).badge == "extrapolated"

    def test_the_nearest_stratum_is_named(self) -> None:
        pool = some_pool(evenly("one", ("a", "b"), 0.1), evenly("two", ("a", "c"), 0.1, rows=11))
        assert (pool.stratum, pool.rows, pool.sources) == (("a", "b"), 41, 1)
        pool = some_pool(evenly("one", ("a", "b"), 0.1), evenly("two", ("a", "c"), 0.1, rows=11), at=("a", "z"))
        assert (pool.stratum, pool.rows, pool.sources) == (("a",), 52, 2)


class TestInterval:
    def test_in_the_unit_of_the_prediction(self) -> None:
        found = interval_from(some_pool(evenly("one", ("a", "b"), 0.4)), ONES, 10.0)
        assert (found.low50, found.high50) == pytest.approx((10 * math.exp(-0.2), 10 * math.exp(0.2)))
        assert (found.low90, found.high90) == pytest.approx((10 * math.exp(-0.36), 10 * math.exp(0.36)))
        assert found.covers(found.high90)
        assert not found.covers(found.high90, 50)
        assert set(found.to_dict()) == {"p50", "p90", "badge", "stratum", "rows", "sources"}

    def test_factors_of_the_badge_widen(self) -> None:
        pool = some_pool(evenly("one", ("a", "b"), 0.4))
        wide = interval_from(pool, ONES | {pool.badge: (2.0, 3.0)}, 1.0)
        assert math.log(wide.high50) == pytest.approx(0.4)
        assert math.log(wide.high90) == pytest.approx(3 * 0.36)

    def test_the_90_percent_interval_holds_the_50_percent_one(self) -> None:
        pool = some_pool(evenly("one", ("a", "b"), 0.4))
        odd = interval_from(pool, ONES | {pool.badge: (5.0, 1.0)}, 1.0)
        assert odd.high90 == odd.high50

    def test_whether_a_job_fits(self) -> None:
        situation = memory_situation(kind="dense", framework="torchtitan")
        need = interval_of(situation, 70.0)
        assert need
        sure = interval_of_fit(situation, 70.0, need.high90 * 1.01)
        open_ = interval_of_fit(situation, 70.0, 70.0)
        never = interval_of_fit(situation, 70.0, need.low90 * 0.99)
        assert sure
        assert open_
        assert never
        assert (sure.low90, sure.high90, sure.low50) == (True, True, True)
        assert (open_.low90, open_.high90) == (False, True)
        assert (never.low90, never.high90) == (False, False)
        assert open_.covers(True)
        assert open_.covers(False)
        assert not sure.covers(False)
        for bound in ("high50", "low50", "high90", "low90"):  # a limit of exactly that suffices
            just = interval_of_fit(situation, 70.0, getattr(need, bound))
            assert just
            assert getattr(just, bound.replace("high", "_").replace("low", "high").replace("_", "low")) is True

    def test_none_where_nothing_was_measured(self) -> None:
        assert interval_of(Situation("weather", ("sunny",)), 1.0) is None
        assert interval_of_fit(Situation("weather", ("sunny",)), 1.0, 1.0) is None


class TestSituations:
    def test_coordinates(self) -> None:
        step = step_situation(kind="moe", generation="hopper", devices=9, pp=2, tp=8)
        assert step.coordinates == ("moe", "hopper", "pipeline", "up to 64 devices")
        big = step_situation(kind="dense", generation="x", devices=513, cp=2)
        assert big.coordinates[1:] == ("x", "tensor or context", "over 512 devices")
        assert memory_situation(kind="dense", framework="nanotron").coordinates == ("dense", "nanotron", "data")
        blocking = memory_situation(kind="dense", framework="megatron-deepspeed-blocking", pp=2)
        assert blocking.coordinates == ("dense", "megatron-deepspeed", "pipeline")
        collective = collective_situation(fabric="efa", across=True, size_bytes=2**20)
        assert collective.coordinates == ("across nodes", "efa", "medium messages")

    def test_rules_name_coordinates_that_exist(self) -> None:
        lengths = {use: {len(e.stratum) for e in table.errors} for use, table in packaged_table().items()}
        assert lengths.keys() == RULES.keys()
        for use, rule in RULES.items():
            assert len(lengths[use]) == 1
            depths = [depth for depth, _ in (*rule.validated, *rule.calibrated)]
            assert max(depths) <= max(lengths[use])

    @pytest.mark.parametrize(
        ("name", "kind"), [("llama-3.1-8b", "dense"), ("deepseek-v3", "moe"), ("resnet-50", "vision")]
    )
    def test_of_a_step(self, name: str, kind: str) -> None:
        model, cluster = dts.Model.from_catalog(name), dts.Cluster.from_catalog("4xdgx-h100")
        situation = situation_of_step(model, cluster, dts.Strategy(tp=8, pp=2))
        assert situation.coordinates == (kind, "hopper", "pipeline", "up to 64 devices")
        assert situation.device == cluster.node.device.name
        assert name in situation.model
        assert interval_of_step(2.0, model, cluster, dts.Strategy(tp=8, pp=2)) == interval_of(situation, 2.0)

    def test_of_a_pair(self) -> None:
        one = step_situation(kind="dense", generation="hopper", devices=8, device="h100", model="m")
        other = step_situation(kind="dense", generation="hopper", devices=8, tp=8, device="h100", model="m")
        assert pair_situation(one, other).coordinates == ("same device", "same model", "another layout")
        assert pair_situation(one, one).coordinates == ("same device", "same model", "same layout")
        assert pair_situation(one, other) == pair_situation(other, one)


def test_packaged_intervals() -> None:
    """Real strata: a common job is validated, an unheard-of device extrapolated and wider."""
    common = interval_of(step_situation(kind="dense", generation="hopper", devices=64, tp=8, pp=2), 10.0)
    strange = interval_of(step_situation(kind="dense", generation="nobody's", devices=64, tp=8, pp=2), 10.0)
    assert common
    assert strange
    assert (common.badge, strange.badge) == ("validated", "extrapolated")
    assert common.high90 / common.low90 < strange.high90 / strange.low90


def test_without_leaves_a_source_out() -> None:
    situation = step_situation(kind="dense", generation="ampere", devices=64, tp=8, pp=2)
    everyone = interval_of(situation, 10.0)
    assert everyone
    names = {errors.source for errors in packaged_table()["step_time"].errors}
    vtrain = next(name for name in names if "ground_truth_multi" in name)
    rest = interval_of(situation, 10.0, without=vtrain)
    assert rest
    assert rest.rows < everyone.rows
    assert rest.sources == everyone.sources - 1


class TestComparison:
    def test_the_chance_by_hand(self) -> None:
        """A third of the logarithm, 0.202, exceeds 21 of 41 errors; half of those lie on this side."""
        pool = some_pool(evenly("one", ("a", "b"), 0.4))
        factors = ONES | {pool.badge: (2.0, 3.0)}
        assert chance_above_one(pool, factors, math.exp(0.606)) == pytest.approx(0.5 + 21 / 82)
        assert chance_above_one(pool, factors, math.exp(-0.606)) == pytest.approx(0.5 - 21 / 82)
        assert chance_above_one(pool, factors, 1.0) == 0.5

    MODEL, CLUSTER = dts.Model.from_catalog("llama-3.1-8b"), dts.Cluster.from_catalog("4xdgx-h100")

    def result(self, **axes: Any) -> dts.Result:
        strategy = dts.Strategy(global_batch=256, **axes)
        return dts.simulate(self.MODEL, self.CLUSTER, strategy, seq_len=8192, keep_events=False)

    def test_two_plans(self) -> None:
        one, other = self.result(tp=2), self.result(tp=8)
        there, back = one.compared_to(other), other.compared_to(one)
        assert there
        assert back
        assert there.speedup == pytest.approx(other.step_time_s / one.step_time_s)
        assert there.probability_faster == pytest.approx(1 - back.probability_faster)
        assert (there.probability_faster > 0.5) == (there.speedup > 1)
        assert there.interval.low90 < there.speedup < there.interval.high90
        assert there.interval.stratum == "same device, same model, same layout"

    def test_a_plan_beside_itself(self) -> None:
        one = self.result(tp=2)
        same = one.compared_to(one)
        assert same
        assert (same.speedup, same.probability_faster) == (1, 0.5)

    def test_shared_causes_make_a_comparison_surer_than_either_prediction(self) -> None:
        one, other = self.result(tp=2), self.result(tp=4)
        ratio, alone = one.compared_to(other), one.interval
        assert ratio
        assert alone
        assert ratio.interval.high50 / ratio.interval.low50 < alone.high50 / alone.low50

    @given(st.floats(0.01, 100), st.floats(1.0001, 1.5))
    def test_the_chance_grows_with_the_speedup(self, ratio: float, more: float) -> None:
        pool = some_pool(evenly("one", ("a", "b"), 0.4))
        first, second = (chance_above_one(pool, ONES, value) for value in (ratio, ratio * more))
        assert 0 <= first <= second <= 1
        assert chance_above_one(pool, ONES, 1 / ratio) == pytest.approx(1 - first)

    def test_by_hand(self) -> None:
        """Half of the errors of pairs lie below 0.2: a ratio of exp(0.2) holds with 1/2 + 1/4."""
        pool = some_pool(evenly("one", ("a", "b"), 0.4))
        assert chance_above_one(pool, ONES, math.exp(0.2001)) == pytest.approx(0.5 + 21 / 41 / 2)

    def test_front_door_results_have_none(self) -> None:
        simulator = dts.TrainingSimulator(
            dts.CommunicationModel(num_nodes=8), dts.ComputeModel(num_devices=8), dts.MemoryModel(num_devices=8)
        )
        simulator.set_batch_size(64)
        simulator.set_model_size(parameters=1e9, activations=1e6)
        result = simulator.simulate_training_iteration().result
        assert result.interval is None
        assert result.compared_to(self.result(tp=2)) is None
        assert self.result(tp=2).compared_to(result) is None

    def test_nothing_measured(self) -> None:
        assert compare(Situation("x", ("a",)), 1.0, Situation("x", ("a",)), 2.0) is not None


def test_intervals_are_read_when_asked_for() -> None:
    """A simulation opens no file of errors; `Result.interval` does, once."""
    code = (
        "import dist_training_sim as dts, sys\n"
        "r = dts.simulate('llama-3.1-8b', '1xdgx-h100', dts.Strategy(zero=3, global_batch=64), seq_len=8192)\n"
        "assert 'dist_training_sim.intervals.errors' not in sys.modules\n"
        "assert r.interval is r.interval\n"
        "from dist_training_sim.intervals.errors import packaged_table\n"
        "assert packaged_table.cache_info().misses == 1\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@given(
    predicted=st.floats(1e-6, 1e6),
    kind=st.sampled_from(["dense", "moe", "vision", "other", "?"]),
    generation=st.sampled_from(["hopper", "ampere", "blackwell_dc", "tpu", "?"]),
    devices=st.integers(1, 100_000),
    tp=st.integers(1, 16),
    pp=st.integers(1, 64),
)
def test_ends_are_ordered_and_scale(
    predicted: float, kind: str, generation: str, devices: int, tp: int, pp: int
) -> None:
    situation = step_situation(kind=kind, generation=generation, devices=devices, tp=tp, pp=pp)
    found, twice = interval_of(situation, predicted), interval_of(situation, 2 * predicted)
    assert isinstance(found, Interval)
    assert twice
    ends = (found.low90, found.low50, predicted, found.high50, found.high90)
    assert all(low <= high * (1 + 1e-12) for low, high in pairwise(ends))
    assert ends[0] > 0
    doubled = (twice.low90, twice.low50, 2 * predicted, twice.high50, twice.high90)
    assert doubled == pytest.approx(tuple(2 * end for end in ends))


@given(family=st.text(max_size=9), generation=st.text(max_size=9))
def test_any_kernel_has_an_interval(family: str, generation: str) -> None:
    found = interval_of(kernel_situation(family=family, generation=generation), 1e-3)
    assert found
    assert found.badge in BADGES
