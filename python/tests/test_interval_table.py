"""Tables behind intervals: factors by hand, coverage with sources left out, pairs, orders told, the file."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dist_training_sim.catalog.fitted import Fitted
from dist_training_sim.intervals import collective_situation, step_situation
from dist_training_sim.intervals import errors as errors_module
from dist_training_sim.intervals.errors import Errors, Table, packaged_table
from dist_training_sim.intervals.situation import BADGES
from dist_training_sim.validation.coverage import coverage_of, line_of
from dist_training_sim.validation.interval_errors import measured_errors, unit_of
from dist_training_sim.validation.interval_table import MOST_VALUES, Measured, factors_of, table_of, write_tables
from dist_training_sim.validation.ranking import rankings
from dist_training_sim.validation.results import RowResult
from dist_training_sim.validation.step_fit import StepFit

STRATUM = ("dense", "hopper", "pipeline", "up to 64 devices")


def drawn(source: str, spread: float, rows: int, stratum: tuple[str, ...] = STRATUM) -> Errors:
    """Sizes of normal errors."""
    generator = random.Random(source)
    return Errors(source, stratum, rows, tuple(sorted(abs(generator.gauss(0, spread)) for _ in range(rows))))


def steps(*errors: Errors, far: tuple[Errors, ...] = ()) -> Measured:
    return Measured("step_time", errors, far)


class TestFactors:
    def test_equal_sources_need_no_widening(self) -> None:
        factors = table_of(steps(*(drawn(f"source {i}", 0.1, 60) for i in range(12)))).factors
        for low, high in factors.values():
            assert low == pytest.approx(1, abs=0.12)
            assert high == pytest.approx(1, abs=0.12)

    def test_extrapolated_is_no_narrower_than_the_rest(self) -> None:
        near = tuple(drawn(f"source {i}", 0.1, 60) for i in range(8))
        other = tuple(drawn(f"other {i}", 0.1, 60, ("dense", "ampere", *STRATUM[2:])) for i in range(8))
        tiny = tuple(Errors(e.source, e.stratum, e.rows, tuple(v / 100 for v in e.values)) for e in near)
        factors = table_of(steps(*near, *other, far=tiny)).factors
        assert factors["extrapolated"] == max(factors.values())

    def test_large_errors_of_unseen_devices_widen_their_badge_alone(self) -> None:
        near = tuple(drawn(f"source {i}", 0.1, 60) for i in range(8))
        other = tuple(drawn(f"other {i}", 0.1, 60, ("dense", "ampere", *STRATUM[2:])) for i in range(8))
        huge = tuple(Errors(e.source, e.stratum, e.rows, tuple(3 * v for v in e.values)) for e in near)
        plain, widened = table_of(steps(*near, *other)).factors, table_of(steps(*near, *other, far=huge)).factors
        assert widened["extrapolated"][1] > 2 * plain["extrapolated"][1]
        assert widened["validated"][1] < 1.5 * plain["validated"][1]

    def test_a_long_table_does_not_speak_for_all(self) -> None:
        """Of 4,360 rows nine in ten are calm ones of one source, which weighs as five others."""
        several, calm = [drawn(f"source {i}", 0.1, 60) for i in range(6)], drawn("calm", 0.001, 4000)
        with_table, without = table_of(steps(*several, calm)).factors, table_of(steps(*several)).factors
        assert with_table["validated"][1] == pytest.approx(without["validated"][1], rel=0.35)

    def test_a_source_left_out_has_no_say(self) -> None:
        calm, wild = [drawn(f"source {i}", 0.1, 60) for i in range(6)], drawn("wild", 1.0, 500)
        kept = table_of(steps(*calm, wild)).errors
        assert factors_of(steps(*calm, wild), kept, "wild") == factors_of(
            steps(*calm), [e for e in kept if e.source != "wild"]
        )


class TestCoverage:
    def test_of_equal_sources(self) -> None:
        lines = {line.group: line for line in coverage_of(steps(*(drawn(f"s{i}", 0.1, 60) for i in range(12))))}
        assert set(lines) == {"all", "validated"}
        assert lines["all"].rows == 12 * 60
        assert lines["all"].in50 == pytest.approx(0.5, abs=0.05)
        assert lines["all"].in90 == pytest.approx(0.9, abs=0.04)
        assert lines["all"].width90 == pytest.approx(math.exp(2 * 1.645 * 0.1), rel=0.1)

    def test_an_outlier_is_not_covered_by_its_own_errors(self) -> None:
        lines = coverage_of(steps(*(drawn(f"s{i}", 0.1, 60) for i in range(6)), drawn("wild", 10.0, 40)))
        missed = 1 - next(line.in90 for line in lines if line.group == "all")
        assert missed > 0.9 * 40 / 400

    def test_far_rows_count_as_extrapolated_alone(self) -> None:
        near = tuple(drawn(f"s{i}", 0.1, 30) for i in range(4))
        other = tuple(drawn(f"o{i}", 0.1, 30, ("dense", "ampere", *STRATUM[2:])) for i in range(4))
        lines = {line.group: line for line in coverage_of(steps(*near, *other, far=near))}
        assert (lines["all"].rows, lines["extrapolated"].rows) == (240, 120)

    def test_line_by_hand(self) -> None:
        line = line_of("kernels", "all", [(True, True, 1.1, 1.2), (False, True, 1.3, 1.4), (False, False, 1.2, 1.3)])
        assert (line.in50, line.in90) == pytest.approx((1 / 3, 2 / 3))
        assert (line.width50, line.width90) == (1.2, 1.3)


def row(name: str, source: str, predicted: float, measured: float, **axes: int) -> RowResult:
    situation = step_situation(kind="dense", generation="hopper", devices=8, device="h100", model="m", **axes)
    labels = {"source": source, "accelerator": "H100", "model": "m"}
    error = predicted / measured - 1
    return RowResult(name, "step_time", predicted, measured, error, True, "", labels, situation=situation)


def fit_of(rows: Sequence[RowResult], left_out: list[float]) -> StepFit:
    unseen = np.array(left_out)
    ids, sources = tuple(r.id for r in rows), tuple(r.labels["source"] for r in rows)
    return StepFit(Fitted(), ids, sources, unseen, unseen, unseen)


class TestErrors:
    ROWS = (row("a", "one", 1.0, 1.0), row("b", "one", 2.0, 1.9, pp=2), row("c", "two", 3.0, 3.0))

    def test_step_times_are_of_fits_without_their_source(self) -> None:
        found = measured_errors(self.ROWS, fit_of(self.ROWS, [0.2, -0.1, 0.3]), [])
        assert {(e.source, e.values) for e in found["step_time"].errors} == {
            ("one", (0.2,)), ("one", (0.1,)), ("two", (0.3,))
        }  # fmt: skip

    def test_pairs_are_of_one_source(self) -> None:
        found = measured_errors(self.ROWS, fit_of(self.ROWS, [0.2, -0.1, 0.3]), [])
        (pair,) = found["comparison"].errors
        assert (pair.source, pair.stratum) == ("one", ("same device", "same model", "another layout"))
        assert pair.values == pytest.approx((0.3,))

    def test_rows_that_do_not_count_have_no_say(self) -> None:
        rows = [replace(self.ROWS[0], included=False), *self.ROWS[1:]]
        found = measured_errors(rows, fit_of(rows, [0.2, -0.1, 0.3]), [])
        assert sum(e.rows for e in found["step_time"].errors) == 2
        assert "comparison" not in found

    def test_a_collective_belongs_to_its_system(self) -> None:
        labels = {"source": "a list", "accelerator": "H100", "model": "some cluster"}
        situation = collective_situation(fabric="efa", across=True, size_bytes=8)
        one = RowResult("c", "collectives", 1.1, 1.0, 0.1, True, "", labels, situation=situation)
        assert unit_of(one) == "H100 some cluster"
        found = measured_errors([one], fit_of([], []), [])
        (errors,) = found["collectives"].errors
        assert errors.source == "H100 some cluster"
        assert errors.values == pytest.approx([math.log(1.1)])


class TestRankings:
    def test_orders_told_and_measured(self) -> None:
        """Two pairs of runs far apart, one told rightly: errors of others are small, so both chances are high."""
        rows, left_out = [], []
        for source, wrong in (("right", False), ("wrong", True)):
            rows += [row(f"{source} 1", source, 1.0, 1.0), row(f"{source} 2", source, 2.0, 0.5 if wrong else 2.0)]
            left_out += [0.0, math.log(4) if wrong else 0.0]
        for i in range(30):
            rows += [row(f"{i} 1", f"s{i}", 1.0, 1.0), row(f"{i} 2", f"s{i}", 1.0, 1.0)]
            left_out += [0.01, 0.0]
        fit = fit_of(rows, left_out)
        lines = rankings(rows, fit, measured_errors(rows, fit, [])["comparison"])
        sure = lines[-1]
        assert (sure.least, sure.pairs, sure.right) == (0.97, 2, 0.5)
        assert sure.told > 0.97


class TestFile:
    def test_bytes_depend_on_values_only_and_read_back(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        table = table_of(steps(*(drawn(f"source {i}", 0.1, 60) for i in range(3))))
        write_tables([table], tmp_path / "a.gz")
        write_tables([table], tmp_path / "b.gz")
        assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()
        monkeypatch.setattr(errors_module, "FILE", tmp_path / "a.gz")
        packaged_table.cache_clear()
        try:
            assert packaged_table() == {"step_time": table}
        finally:
            packaged_table.cache_clear()

    def test_many_errors_are_thinned_to_quantiles(self) -> None:
        many = Errors("one", STRATUM, 1000, tuple(i / 1000 for i in range(1000)))
        (kept,) = table_of(steps(many)).errors
        assert (kept.rows, len(kept.values)) == (1000, MOST_VALUES)
        assert (kept.values[0], kept.values[-1]) == (0, 0.999)
        assert list(kept.values) == sorted(kept.values)

    def test_packaged(self) -> None:
        for use, table in packaged_table().items():
            assert isinstance(table, Table)
            assert table.factors.keys() == set(BADGES)
            assert all(0.3 < low < 3 and 0.3 < high < 3 for low, high in table.factors.values()), use
            assert all(list(e.values) == sorted(e.values) and e.values[0] >= 0 for e in table.errors)
            assert table.factors["extrapolated"][1] == max(high for _, high in table.factors.values())
