"""Orders of layouts: Kendall's tau by hand, sweeps found in a corpus, and what the package promises of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dist_training_sim as dts
import pytest
from dist_training_sim.cli import main
from dist_training_sim.validation.corpus import packaged_corpus
from dist_training_sim.validation.layout_sweeps import kendall_tau


@pytest.mark.parametrize(
    ("a", "b", "tau"),
    [
        ([1, 2, 3, 4], [1, 2, 3, 4], 1.0),
        ([1, 2, 3, 4], [4, 3, 2, 1], -1.0),
        ([1, 2, 3, 4], [1, 2, 4, 3], 4 / 6),  # one of six pairs the other way
        ([1, 2, 2, 3], [1, 2, 3, 4], 5 / (5 * 6) ** 0.5),  # one tie: 5 of 5 pairs agree, 6 are untied in b
        ([1, 1, 1], [1, 2, 3], 0.0),
    ],
)
def test_kendall_tau_by_hand(a: list[float], b: list[float], tau: float) -> None:
    assert kendall_tau(a, b) == pytest.approx(tau)


@pytest.fixture(scope="module")
def report() -> dts.RankingReport:
    return dts.validate_ranking()


def test_the_bars_of_the_package_hold(report: dts.RankingReport) -> None:
    assert len(report.sweeps) >= 15
    assert report.median_tau >= 0.75
    assert report.best_in_top_share >= 0.8
    assert report.median_regret <= 0.05


def test_a_sweep_is_one_job_and_sorted(report: dts.RankingReport) -> None:
    rows = {}
    for path in packaged_corpus(("step_time",)):
        for row in dts.validation.read_rows(path):
            rows[row.id] = row
    for sweep in report.sweeps:
        assert list(sweep.measured_s) == sorted(sweep.measured_s)
        assert {rows[name].number("global_batch") for name in sweep.ids} == {sweep.global_batch}
        assert {rows[name].number("hardware.gpus") for name in sweep.ids} == {sweep.devices}
        assert sweep.regret >= 0
        first = min(range(len(sweep.ids)), key=lambda i: sweep.predicted_s[i])
        assert sweep.regret == pytest.approx(sweep.measured_s[first] / sweep.measured_s[0] - 1)


def test_the_command_shows_every_sweep(
    report: dts.RankingReport, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sweep as a corpus of its own: the table has its figures, --json the report's."""
    sweep = report.sweeps[0]
    file = tmp_path / "one.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in lines_of(sweep)), encoding="utf-8")
    line = ["validate", "--use", "ranking", "--corpus", str(file)]
    assert main(line) == 0
    printed = capsys.readouterr().out
    assert f"1 jobs measured under {len(sweep.ids)} layouts: median tau {sweep.tau:.2f}" in " ".join(printed.split())
    row = next(text for text in printed.splitlines() if text.strip().startswith(sweep.source[:12]))
    assert row.split()[-4:] == [
        str(len(sweep.ids)),
        f"{sweep.tau:.2f}",
        "yes" if sweep.best_in_top else "no",
        f"{sweep.regret:.1%}",
    ]
    assert main([*line, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(dts.validate_ranking(file).to_dict()))
    for option in (["--where", "model=x"], ["--by", "source"]):
        assert main([*line, *option]) == 2
        assert f"error: {option[0]}: got" in capsys.readouterr().err


def lines_of(sweep: dts.validation.LayoutSweep) -> list[dict[str, Any]]:
    found = []
    for path in packaged_corpus(("step_time",)):
        found += [dict(row.data) for row in dts.validation.read_rows(path) if row.id in sweep.ids]
    return found


def test_measurements_in_the_other_order_turn_tau(report: dts.RankingReport, tmp_path: Path) -> None:
    """Of a sweep that is ranked perfectly, measured times swapped end for end: tau becomes -1."""
    perfect = next(sweep for sweep in report.sweeps if sweep.tau == 1.0)
    rows = {row["id"]: row for row in lines_of(perfect)}
    for name, measured in zip(perfect.ids, reversed(perfect.measured_s), strict=True):
        rows[name]["measured"] = {**rows[name]["measured"], "step_time_s": measured}
    file = tmp_path / "turned.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows.values()), encoding="utf-8")
    (turned,) = dts.validate_ranking(file).sweeps
    assert turned.tau == -1.0
    assert turned.regret == pytest.approx(perfect.measured_s[-1] / perfect.measured_s[0] - 1)


def test_a_corpus_without_sweeps_is_refused(tmp_path: Path, report: dts.RankingReport) -> None:
    file = tmp_path / "three.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in lines_of(report.sweeps[-1])[:3]), encoding="utf-8")
    with pytest.raises(dts.ConfigError, match="at least 4 layouts"):
        dts.validate_ranking(file)
