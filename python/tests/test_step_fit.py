"""Constants fitted to whole steps: the solver, the fit of made-up runs, and the file it writes."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from dist_training_sim import Device, FrameworkProfile
from dist_training_sim.catalog import frameworks, hardware
from dist_training_sim.catalog.fitted import Fitted
from dist_training_sim.cli import main
from dist_training_sim.simulator import simulate
from dist_training_sim.validation import validate
from dist_training_sim.validation.corpus import read_rows
from dist_training_sim.validation.row_job import job_of
from dist_training_sim.validation.solve import Problem, solve, solve_linear
from dist_training_sim.validation.step_fit import check_steps, errors_by_source, fit_steps


def linear(slopes: Any, truth: Any, *, spread: float = 10.0) -> Problem:
    """Residuals `slopes @ (x - truth)`."""
    slopes, truth = np.array(slopes, float), np.array(truth, float)
    return Problem(
        residuals=lambda x, rows: slopes[rows] @ (x - truth),
        touches=(slopes != 0).T,
        weights=np.ones(len(slopes)),
        centre=np.zeros(slopes.shape[1]),
        spread=np.full(slopes.shape[1], spread),
    )


class TestSolve:
    def test_a_linear_problem_is_solved(self) -> None:
        x, at, slopes = solve(linear([[1, 0], [0, 1], [1, 1], [2, 1]], [0.3, -0.2]))
        assert x == pytest.approx([0.3, -0.2], abs=1e-3)
        assert np.abs(at).max() < 1e-3
        assert slopes[2] == pytest.approx([1, 1])

    def test_a_broken_row_does_not_bend_the_rest(self) -> None:
        problem = linear(np.ones((11, 1)), [0.1])
        broken = np.zeros(11)
        broken[0] = 3.0
        bent = replace(problem, residuals=lambda x, rows: (x[0] - 0.1) - broken[rows])
        assert solve(bent)[0][0] == pytest.approx(0.1, abs=0.02)  # the mean is 0.37

    def test_a_prior_holds_what_no_row_touches(self) -> None:
        assert solve(linear([[1, 0], [1, 0]], [0.2, 5.0]))[0] == pytest.approx([0.2, 0], abs=1e-3)

    def test_a_tight_prior_pulls(self) -> None:
        loose, tight = (solve(linear([[1.0]], [0.2], spread=s))[0][0] for s in (10.0, 0.02))
        assert 0 < tight < 0.1 * loose

    def test_without_some_rows(self) -> None:
        problem = linear([[1.0], [1.0], [1.0]], [0.2])
        at = np.array([0.0, 0.0, -0.5])
        x = solve_linear(problem, np.zeros(1), at, np.ones((3, 1)), np.array([0, 1]))
        assert x == pytest.approx([0.0], abs=1e-6)


def made_up(tmp_path: Path, factor: float) -> Path:
    """Twelve runs of GPT models on A100s, as fast as this model with `factor` on the clock says, from two sources."""
    rows = []
    for i in range(12):
        rows.append({
            "id": f"run-{i}", "source": {"title": "ours" if i % 2 else "theirs"}, "framework": "megatron-lm",
            "software": "Megatron-LM 2022", "accelerator": "A100-SXM-80GB", "precision_family": "bf16",
            "model": {"name": "GPT", "kind": "dense", "layers": 12 + i, "hidden": 4096, "heads": 32, "kv_heads": 32,
                      "head_dim": 128, "ffn": 16384, "gated": False, "vocab": 50257, "tied_embeddings": True},
            "seq": 2048, "global_batch": 8, "micro_batch": 4, "parallel": {"dp": 1, "tp": 8, "pp": 1, "zero": "0"},
            "recompute": "none", "recompute_kind": "none", "features": [],
            "hardware": {"gpu": "A100-SXM4-80GB", "gpus": 8, "gpus_per_node": 8, "interconnect": "NVLink"},
            "measured": {"step_time_s": 1.0}, "use": {"step_time": "A"}, "flags": [],
        })  # fmt: skip
    path = tmp_path / "runs.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    for row, parsed in zip(rows, read_rows(path), strict=True):
        job = job_of(parsed)
        device = job.cluster.node.device
        slower = {
            dtype: type(rate)(rate.peak_flops, rate.burst_share, (rate.sustained_share or 0.0) * factor)
            for dtype, rate in device.rates.items()
        }
        cluster = job.cluster.replace(node=job.cluster.node.replace(device=device.replace(rates=slower)))
        result = simulate(job.model, cluster, job.strategy, seq_len=job.seq_len, framework=job.profile)
        row["measured"] = {"step_time_s": result.step_time_s}
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def test_the_clock_of_made_up_runs_is_found(tmp_path: Path) -> None:
    lines: list[str] = []
    fit = fit_steps(made_up(tmp_path, 0.9), progress=lines.append)
    now = Fitted.packaged().sustained_of("a100-sxm4-80gb", systolic=False)
    assert fit.fitted.sustained_of("a100-sxm4-80gb", systolic=False) == pytest.approx(0.9 * now, rel=0.04)
    assert fit.fitted.sustained["a100-sxm4-80gb"][1] == 12
    total, *sources = errors_by_source(fit)
    assert (total.source, total.rows) == ("all", 12)
    assert {line.source for line in sources} == {"ours", "theirs"}
    assert total.median < 0.02
    assert total.left_out_median < 0.03
    assert any("without ours" in line for line in lines)


def test_the_file_says_what_was_fitted(tmp_path: Path) -> None:
    fitted = Fitted((0.97, 900), {"h100": (1.01, 50)}, {"nanotron": (2.0, 70)}, {})
    again = yaml.safe_load(fitted.to_yaml())
    assert again["every_device"] == {"factor": 0.97, "rows": 900}
    assert again["sustained"] == {"h100": {"factor": 1.01, "rows": 50}}
    assert again["step"] == {}
    assert fitted.sustained_of("h100", systolic=False) == pytest.approx(0.97 * 1.01)
    assert fitted.sustained_of("tpu", systolic=True) == 1
    assert (fitted.host_of("nanotron"), fitted.step_of("nanotron")) == (2.0, 1.0)


def test_packaged_factors_are_of_known_things_and_backed_by_rows() -> None:
    fitted = Fitted.packaged()
    assert set(fitted.sustained) <= set(hardware.device_names())
    assert {*fitted.host, *fitted.step} <= set(frameworks.names())
    for factor, rows in (*fitted.sustained.values(), *fitted.host.values(), *fitted.step.values()):
        assert 0.3 < factor < 6
        assert rows >= 10
    for name in hardware.device_names():
        for rate in Device.from_catalog(name).rates.values():
            assert rate.sustained_share is None or 0 < rate.sustained_share <= 1


def test_profiles_carry_the_fitted_costs() -> None:
    fitted = Fitted.packaged()
    default = FrameworkProfile()
    for name in frameworks.names():
        stated = frameworks._entries()[name]
        profile = FrameworkProfile.from_catalog(name)
        for fact, factor in (("step_cost_s", fitted.step_of(name)), ("host_forward_s_per_op", fitted.host_of(name))):
            assert getattr(profile, fact) == pytest.approx(stated.get(fact, getattr(default, fact)) * factor)


def test_the_command_prints_constants_rows_and_unseen_errors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = made_up(tmp_path, 0.9)
    assert main(["validate", "--refit", "--corpus", str(corpus), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["sustained"]["a100-sxm4-80gb"]["rows"] == 12
    assert yaml.safe_load(told["yaml"])["sustained"] == told["sustained"]
    assert {line["source"] for line in told["errors"]} == {"all", "ours", "theirs"}
    assert all(line["left_out_median"] >= 0 for line in told["errors"])


def test_tables_show_constants_beside_the_packaged_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The A100 has a factor fitted to 12 rows; the packaged one stands beside it; FILE has the same fit."""
    corpus, file = made_up(tmp_path, 0.9), tmp_path / "fit.json"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(["validate", "--refit", "--corpus", str(corpus), "--out", str(file)]) == 0
    out, err = capsys.readouterr()
    told, present = json.loads(file.read_text(encoding="utf-8")), Fitted.packaged()
    now, before = told["sustained"]["a100-sxm4-80gb"]["factor"], present.sustained["a100-sxm4-80gb"][0]
    assert re.search(rf"sustained +a100-sxm4-80gb +{now:.3f} +{before:.3f} +12\b", out)
    every = told["every_device"]["factor"]
    assert re.search(rf"sustained +every device +{every:.3f} +{present.every_device[0]:.3f} +12\b", out)
    for line in told["errors"]:
        shown = [f"{line[name]:.1%}" for name in ("median", "p90")] + [f"{line['bias']:+.1%}"]
        assert re.search(rf"{line['source']} +{line['rows']} +{re.escape('~'.join(shown)).replace('~', ' +')}", out)
    assert "without ours" in err


def test_a_check_leaves_out_around_the_packaged_constants(tmp_path: Path) -> None:
    """Nothing is fitted to all rows: in sample is what the package predicts; left out follows the other source."""
    corpus = made_up(tmp_path, 0.9)
    checked = check_steps(corpus)
    rows = validate(corpus, use="step_time").rows
    assert checked.in_sample == pytest.approx([np.log1p(row.error or 0.0) for row in rows], abs=1e-3)
    assert np.abs(np.median(checked.left_out)) < 0.5 * np.abs(np.median(checked.in_sample))
    packaged = Fitted.packaged().sustained["a100-sxm4-80gb"][0]
    assert checked.fitted.sustained["a100-sxm4-80gb"][0] == pytest.approx(packaged, rel=1e-3)
