"""Draws of slow ranks, and the spread of step times that they make."""

from __future__ import annotations

import dist_training_sim as dts
import numpy as np
import pytest
from dist_training_sim.errors import ConfigError
from hypothesis import given
from hypothesis import strategies as st

JOB = ("llama-3.2-1b", "2xdgx-h100", dts.Strategy(tp=2, pp=2, zero=1, global_batch=16))


PINNED = [1.6093945245681751, 1.9633517225922468, 1.2926433306793348, 1.1000788863334514]


def draws(stragglers: dts.Stragglers, ranks: int = 20000, step: int = 0) -> np.ndarray:
    return np.array(stragglers.factor_of_ranks(ranks, step))


def test_distributions_have_their_moments() -> None:
    normal = draws(dts.Stragglers.normal(0.1))
    assert normal.mean() == pytest.approx(1, abs=0.003)
    assert normal.std() == pytest.approx(0.0986, rel=0.02)  # cut at three sigma: 0.98658 sigma
    assert 0.7 <= normal.min() < normal.max() <= 1.3
    logs = np.log(draws(dts.Stragglers.lognormal(0.2)))
    assert logs.mean() == pytest.approx(0, abs=0.006)
    assert logs.std() == pytest.approx(0.2, rel=0.02)
    assert (logs > 0.2 * 2.326).mean() == pytest.approx(0.01, abs=0.003)
    even = draws(dts.Stragglers.uniform(1, 3))
    assert (even.min(), even.max()) == (pytest.approx(1, abs=1e-3), pytest.approx(3, abs=1e-3))
    assert even.mean() == pytest.approx(2, abs=0.02)


@given(st.integers(1, 500), st.floats(0, 1), st.integers(0, 2**60))
def test_a_fraction_is_exact(ranks: int, fraction: float, seed: int) -> None:
    slow = draws(dts.Stragglers.slow_fraction(fraction, 2.0, seed=seed), ranks) == 2
    assert abs(slow.sum() - fraction * ranks) <= 0.5


def test_draws_are_pinned() -> None:
    # Any platform and any number of ranks: SplitMix64 over (seed, step, rank).
    few = draws(dts.Stragglers.uniform(1, 2, seed=7), 4)
    assert few == pytest.approx(PINNED, abs=1e-15)
    assert np.array_equal(draws(dts.Stragglers.uniform(1, 2, seed=7), 4000)[:4], few)


def test_seeds_and_steps_draw_anew() -> None:
    drawn = dts.Stragglers.lognormal(0.1, seed=1)
    assert np.array_equal(draws(drawn, 64), draws(drawn, 64))
    assert not np.isin(draws(drawn, 64), draws(drawn, 64, step=1)).any()
    assert not np.isin(draws(drawn, 64), draws(dts.Stragglers.lognormal(0.1, seed=2), 64)).any()


def test_groups_share_a_draw() -> None:
    factors = draws(dts.Stragglers.lognormal(0.1, group=8), 20)
    assert [len(set(factors[i : i + 8])) for i in (0, 8, 16)] == [1, 1, 1]
    assert len(set(factors)) == 3


def test_stated_ranks() -> None:
    assert dts.Stragglers.of_ranks({1: 2, 3: 1.5}).factor_of_ranks(4) == [1, 2, 1, 1.5]
    with pytest.raises(ConfigError, match=r"stragglers.ranks: got 4, expected ranks from 0 to 3"):
        dts.Stragglers.of_ranks({4: 2}).factor_of_ranks(4)


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"kind": "gamma"}, "gamma"),
        ({"kind": "normal", "sigma": 0.5}, "sigma: got 0.5"),
        ({"kind": "fraction", "fraction": 1.5}, "fraction: got 1.5"),
        ({"kind": "fraction", "fraction": 0.5, "factor": 0}, "factor: got 0"),
        ({"kind": "uniform", "low": 2, "high": 1}, "high: got 1"),
        ({"kind": "lognormal", "sigma": float("nan")}, "sigma: got nan"),
        ({"ranks": (1,), "factors": ()}, "factors: got 0"),
        ({"ranks": (1,), "factors": (-1,)}, "factors: got -1"),
        ({"ranks": (-1,), "factors": (1,)}, "ranks: got -1"),
        ({"seed": -1}, "seed: got -1"),
        ({"group": 0}, "group: got 0"),
    ],
)
def test_what_is_not_legal(values: dict[str, object], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        dts.Stragglers(**values)  # type: ignore[arg-type]


def test_the_spread_is_that_of_single_steps() -> None:
    drawn = dts.Stragglers.lognormal(0.1, seed=3)
    spread = dts.step_distribution(*JOB, seq_len=512, stragglers=drawn, steps=6)
    assert spread.step_times_s[0] == dts.simulate(*JOB, seq_len=512, stragglers=drawn).step_time_s
    for step, seconds in enumerate(spread.step_times_s):
        stated = dts.Stragglers.of_ranks(dict(enumerate(drawn.factor_of_ranks(16, step))))
        assert seconds == dts.simulate(*JOB, seq_len=512, stragglers=stated).step_time_s
    assert spread.even_step_time_s == dts.simulate(*JOB, seq_len=512).step_time_s
    assert spread.slowdown > 1
    assert spread.to_dict()["p50_s"] == np.median(spread.step_times_s)
    assert "6 steps" in repr(spread)


def test_threads_do_not_change_the_spread() -> None:
    drawn = dts.Stragglers.normal(0.05)
    runs = [
        dts.step_distribution(*JOB, seq_len=512, stragglers=drawn, steps=20, threads=n).step_times_s
        for n in (1, 2, 7, 50)
    ]
    assert all(np.array_equal(runs[0], other) for other in runs[1:])


def test_wider_spreads_are_slower() -> None:
    means = [
        dts.step_distribution(*JOB, seq_len=512, stragglers=dts.Stragglers.lognormal(sigma), steps=40).mean_s
        for sigma in (0.0, 0.02, 0.1, 0.3)
    ]
    assert means == sorted(means)
    assert means[0] == pytest.approx(dts.simulate(*JOB, seq_len=512).step_time_s)


def test_arguments_are_checked() -> None:
    with pytest.raises(ConfigError, match="steps: got 0"):
        dts.step_distribution(*JOB, seq_len=512, stragglers=dts.Stragglers(), steps=0)
    with pytest.raises(ConfigError, match="stragglers: got 'slow', expected a Stragglers"):
        dts.step_distribution(*JOB, seq_len=512, stragglers="slow")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"stragglers: got 1\.5, expected a Stragglers"):
        dts.simulate(*JOB, seq_len=512, stragglers=1.5)  # type: ignore[arg-type]
