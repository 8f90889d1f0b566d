"""`scale`: each point is the best plan or the fixed layout of its size; efficiency and the bend by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dist_training_sim as dts
import pytest
from dist_training_sim.cli.app import app
from dist_training_sim.verbs.scale import parse_counts
from typer.testing import CliRunner

JOB: dict[str, Any] = {"global_batch": 32, "seq_len": 4096}
FEW: dict[str, Any] = {"cp": 1, "vpp": 1, "micro_batch": 1}


def test_best_plans_at_each_size() -> None:
    report = dts.scale("llama-3.1-8b", "1xdgx-h100", [8, 16], **JOB, **FEW)
    for point in report.points:
        plan = dts.plan("llama-3.1-8b", f"{point.devices // 8}xdgx-h100", **JOB, **FEW, top=1)
        assert point.step_time_s == plan.best.step_time_s
        assert point.global_batch == 32
    first, second = report.points
    assert first.efficiency == 1
    assert second.efficiency == pytest.approx((second.tokens_per_s or 0) / (first.tokens_per_s or 1) / 2)


def test_a_fixed_layout_grows_by_data_parallelism() -> None:
    layout = dts.Strategy(tp=8, zero=1)
    report = dts.scale("llama-3.1-8b", "1xdgx-h100", "8..512", **JOB, strategy=layout)
    assert [point.devices for point in report.points] == [8, 16, 32, 64, 128, 256, 512]
    for point in report.points[:-1]:
        assert point.strategy is not None
        assert point.strategy.dp == point.devices // 8
    assert report.points[-1].strategy is None  # 64 replicas, 32 samples
    assert "global_batch" in report.points[-1].reason
    efficiencies = [point.efficiency for point in report.points[:-1] if point.efficiency is not None]
    assert efficiencies == sorted(efficiencies, reverse=True)
    assert report.bend is next(p for p in report.points if p.efficiency is not None and p.efficiency < 0.9)
    assert "exposed data-parallel" in report.bend.reason
    assert f"below 90% from {report.bend.devices} devices on" in report.sentence


def test_weak_scaling_grows_the_batch() -> None:
    report = dts.scale("llama-3.1-8b", "1xdgx-h100", "8..32", **JOB, mode="weak", strategy=dts.Strategy(tp=8, zero=1))
    assert [point.global_batch for point in report.points] == [32, 64, 128]
    strong = dts.scale("llama-3.1-8b", "1xdgx-h100", "8..32", **JOB, strategy=dts.Strategy(tp=8, zero=1))
    assert (report.points[-1].efficiency or 0) > (strong.points[-1].efficiency or 1)


def test_models_that_fit_nowhere() -> None:
    report = dts.scale("llama-3.1-70b", "1xdgx-h100", [8], **JOB, tp=1, offload="none")
    assert report.points[0].step_time_s is None
    assert report.sentence.startswith("No layout of llama-3.1-70b")


@pytest.mark.parametrize(
    ("text", "counts"), [("64..512", [64, 128, 256, 512]), ("8,24", [8, 24]), ("8..30", [8, 16]), ("8", [8])]
)
def test_counts(text: str, counts: list[int]) -> None:
    assert parse_counts(text) == counts


@pytest.mark.parametrize("text", ["", "8..", "16..8", "a,b", "0..8", "1..2..3"])
def test_bad_counts(text: str) -> None:
    with pytest.raises(dts.ConfigError, match="expected two ends"):
        parse_counts(text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"devices": [12]}, "multiple of 8"), ({"devices": []}, "devices: got nothing"),
     ({"global_batch": 0}, "global_batch"),
     ({"mode": "odd"}, "odd"), ({"strategy": dts.Strategy(), "tp": 2}, "beside a fixed strategy"),
     ({"speed": 1}, "speed=")],
)  # fmt: skip
def test_bad_questions(arguments: dict[str, Any], message: str) -> None:
    asked: dict[str, Any] = {"devices": [8], **JOB} | arguments
    with pytest.raises(dts.ConfigError, match=message):
        dts.scale("llama-3.1-8b", "1xdgx-h100", asked.pop("devices"), **asked)


def test_the_command(tmp_path: Path) -> None:
    figure = tmp_path / "scaling.png"
    arguments = ["scale", "8..32", "--fixed", "--tp", "8", "--zero", "1", "--model", "llama-3.1-8b", "--cluster",
                 "dgx-h100", "--global-batch", "32", "--seq-len", "4096"]  # fmt: skip
    done = CliRunner().invoke(app, [*arguments, "--plot", str(figure)])
    assert done.exit_code == 0, done.output
    assert max(map(len, done.output.splitlines())) <= 100
    assert figure.stat().st_size > 10_000
    plain = json.loads(CliRunner().invoke(app, [*arguments, "--weak", "--json"]).stdout)
    assert [point["global_batch"] for point in plain["points"]] == [32, 64, 128]
    assert CliRunner().invoke(app, ["scale", "8..4", *arguments[2:]]).exit_code == 2
    tight = ["scale", "8", "--model", "llama-3.1-70b", "--cluster", "dgx-h100", "--seq-len", "8192"]
    assert CliRunner().invoke(app, tight).exit_code == 2
