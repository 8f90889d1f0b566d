"""Intervals: quantiles by hand, nearness, widening, laws."""

from __future__ import annotations

import math
from itertools import pairwise

import dist_training_sim as dts
import pytest
from dist_training_sim.intervals import (
    Interval,
    Situation,
    interval_of,
    interval_of_step,
    kernel_situation,
    lookup,
    memory_situation,
    situation_of_step,
    step_situation,
)
from dist_training_sim.intervals.lookup import Errors, Table, bounds_of, interval_from, pool_of
from dist_training_sim.intervals.situation import BADGES
from hypothesis import given
from hypothesis import strategies as st

ONES = (1.0, 1.0)
STEP = Situation("step_time", ("dense", "long step", "hopper", "pipeline", "up to 64 devices"))


def table(*errors: Errors, widening: tuple[tuple[float, float], ...] = (ONES,) * 6) -> Table:
    return Table("step_time", errors, widening)


def spread(source: str, stratum: tuple[str, ...], rows: int, centre: float = 0.0) -> Errors:
    """Errors from -0.1 to 0.1 around a centre, evenly."""
    values = tuple(centre - 0.1 + 0.2 * i / (rows - 1) for i in range(rows))
    return Errors(source, stratum, rows, values)


def test_quantiles_by_hand() -> None:
    """41 evenly spaced errors of one source: 50 % and 90 % with room for 41 rows: tails .25 - 1/84 and .05 - 1/84."""
    pool = [spread("a", ("dense",), 41)]
    low50, high50, low90, high90 = bounds_of(pool, 1.0, 1.0)
    step = 0.2 / 40
    assert low50 == pytest.approx(-0.1 + step * (math.ceil((0.25 - 1 / 84) * 41) - 1))
    assert high50 == pytest.approx(-low50)
    assert low90 == pytest.approx(-0.1 + step * (math.ceil((0.05 - 1 / 84) * 41) - 1))
    assert high90 == pytest.approx(-low90)


def test_a_source_weighs_as_the_root_of_its_rows() -> None:
    """100 rows at 0 weigh 10, 4 rows at 1 weigh 2: the median is 0, and the upper end is 1 as 2 / 12 exceeds 5 %."""
    pool = [Errors("a", (), 100, (0.0,) * 40), Errors("b", (), 4, (1.0,) * 4)]
    low50, high50, low90, high90 = bounds_of(pool, 1.0, 1.0)
    assert (low50, high50, low90, high90) == (0.0, 0.0, 0.0, 1.0)
    few = [Errors("a", (), 100, (0.0,) * 40), Errors("b", (), 400, (1.0,) * 40)]
    assert bounds_of(few, 1.0, 1.0)[1] == 1.0


def test_factors_move_ends_from_the_median() -> None:
    pool = [spread("a", ("dense",), 41, centre=0.3)]
    narrow, wide = bounds_of(pool, 1.0, 1.0), bounds_of(pool, 2.0, 3.0)
    assert wide[0] - 0.3 == pytest.approx(2 * (narrow[0] - 0.3))
    assert wide[3] - 0.3 == pytest.approx(3 * (narrow[3] - 0.3))


def test_coordinates_are_given_up_until_enough_sources_remain() -> None:
    near, far = STEP.coordinates, (*STEP.coordinates[:3], "data", "up to 8 devices")
    errors = [spread(name, near, 10) for name in "ab"] + [spread(name, far, 10) for name in "cd"]
    pool, given_up = pool_of(table(*errors), STEP, "")
    assert given_up == 2  # layout and scale
    assert {e.source for e in pool} == set("abcd")
    found = interval_from(table(*errors), STEP, 10.0, "")
    assert found
    assert (found.badge, found.stratum) == ("calibrated", "dense, long step, hopper")
    assert (found.rows, found.sources) == (40, 4)
    assert pool_of(table(*errors), STEP, "a")[1] == len(STEP.coordinates)  # three sources are too few anywhere


def test_interval_in_the_unit_of_the_prediction() -> None:
    errors = [spread(name, STEP.coordinates, 41) for name in "abcd"]
    found = interval_from(table(*errors), STEP, 10.0, "")
    assert found
    assert found.badge == "validated"
    assert 10 * math.exp(-0.1) <= found.low90 < found.low50 < 10.0 < found.high50 < found.high90 <= 10 * math.exp(0.1)
    assert found.covers(10.5)
    assert found.covers(found.high50, 50)
    assert not found.covers(found.high90, 50)
    assert set(found.to_dict()) == {"p50", "p90", "badge", "stratum", "rows", "sources"}


def test_the_90_percent_interval_holds_the_prediction() -> None:
    """A stratum that is all too fast still does not exclude the number it is attached to."""
    errors = [spread(name, STEP.coordinates, 41, centre=0.5) for name in "abcd"]
    found = interval_from(table(*errors), STEP, 1.0, "")
    assert found
    assert found.low90 == 1.0 < found.low50


def test_distance_widens() -> None:
    factors = tuple((1.0, 1.0 + given_up) for given_up in range(6))
    far = ("dense", "long step", "ampere", "data", "up to 8 devices")
    near = table(*(spread(name, STEP.coordinates, 41) for name in "abcd"), widening=factors)
    distant = table(*(spread(name, far, 41) for name in "abcd"), widening=factors)
    here, there = interval_from(near, STEP, 1.0, ""), interval_from(distant, STEP, 1.0, "")
    assert here
    assert there
    assert there.badge == "extrapolated"
    assert there.high90 / there.low90 > here.high90 / here.low90


def test_situations() -> None:
    step = step_situation(0.2, kind="moe", generation="hopper", devices=9, pp=2, tp=8)
    assert step.coordinates == ("moe", "short step", "hopper", "pipeline", "up to 64 devices")
    assert step.stratum(2) == ("moe", "short step", "hopper")
    big = step_situation(3.0, kind="dense", generation="x", devices=513, cp=2)
    assert big.coordinates[1:] == ("long step", "x", "tensor or context", "over 512 devices")
    assert memory_situation(kind="dense", framework="nanotron").coordinates == ("dense", "nanotron", "data")
    for situation in (step, memory_situation(kind="d", framework="f"), kernel_situation(family="f", generation="g")):
        assert len(BADGES[situation.use]) == len(situation.coordinates) + 1


@pytest.mark.parametrize(("name", "kind"), [("llama-3.1-8b", "dense"), ("deepseek-v3", "moe"), ("resnet-50", "vision")])
def test_situation_of_a_step(name: str, kind: str) -> None:
    model, cluster = dts.Model.from_catalog(name), dts.Cluster.from_catalog("4xdgx-h100")
    situation = situation_of_step(2.0, model, cluster, dts.Strategy(tp=8, pp=2))
    assert situation.coordinates == (kind, "long step", "hopper", "pipeline", "up to 64 devices")
    found = interval_of_step(2.0, model, cluster, dts.Strategy(tp=8, pp=2))
    assert found == interval_of(situation, 2.0)


def test_packaged_intervals() -> None:
    """Real strata: a common job is validated, an unheard-of device extrapolated and wider; no table, no interval."""
    common = interval_of(step_situation(10.0, kind="dense", generation="hopper", devices=64, tp=8, pp=2), 10.0)
    strange = interval_of(step_situation(10.0, kind="dense", generation="nobody's", devices=64, tp=8, pp=2), 10.0)
    assert common
    assert strange
    assert (common.badge, strange.badge) == ("validated", "extrapolated")
    assert common.high90 / common.low90 < strange.high90 / strange.low90
    assert interval_of(Situation("collectives", ("all_reduce",)), 1.0) is None


def test_without_leaves_a_source_out() -> None:
    situation = step_situation(10.0, kind="dense", generation="ampere", devices=64, tp=8, pp=2)
    everyone = interval_of(situation, 10.0)
    assert everyone
    names = {errors.source for errors in lookup.packaged_table()["step_time"].errors}
    vtrain = next(name for name in names if "ground_truth_multi" in name)
    rest = interval_of(situation, 10.0, without=vtrain)
    assert rest
    assert rest.stratum != everyone.stratum or rest.rows < everyone.rows


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
    situation = step_situation(10.0, kind=kind, generation=generation, devices=devices, tp=tp, pp=pp)
    found, twice = interval_of(situation, predicted), interval_of(situation, 2 * predicted)
    assert isinstance(found, Interval)
    assert twice
    ends = (found.low90, found.low50, found.high50, found.high90)
    assert all(low <= high * (1 + 1e-12) for low, high in pairwise(ends))
    assert ends[0] > 0
    assert found.low90 <= predicted <= found.high90
    doubled = (twice.low90, twice.low50, twice.high50, twice.high90)
    assert doubled == pytest.approx(tuple(2 * end for end in ends))
