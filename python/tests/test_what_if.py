"""`what_if`: every row is a run of the changed job; what cannot run is a row with its reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dist_training_sim as dts
import pytest
from dist_training_sim.cli.app import app
from dist_training_sim.cli.what_if import _because as cell
from dist_training_sim.cli.what_if import parse_change
from dist_training_sim.verbs.what_if import WhatIfRow
from typer.testing import CliRunner

JOB = ("llama-3.1-8b", "2xdgx-h100", dts.Strategy(tp=2, zero=1, global_batch=32))


def change(**settings: Any) -> dts.WhatIfRow:
    return dts.what_if(*JOB, changes=[settings], seq_len=4096).rows[0]


@pytest.mark.parametrize(
    ("settings", "again"),
    [
        ({"cluster": "2xdgx-b200"}, {"cluster": "2xdgx-b200"}),
        ({"nodes": 4}, {"cluster": "4xdgx-h100"}),
        ({"gpus": 8}, {"cluster": "1xdgx-h100"}),
        ({"seq_len": 8192}, {"seq_len": 8192}),
        ({"model": "llama-3.2-3b"}, {"model": "llama-3.2-3b"}),
        ({"framework": "torchtitan"}, {"framework": "torchtitan"}),
        ({"tp": 4, "recompute": "full"}, {"strategy": JOB[2].replace(tp=4, recompute="full")}),
        ({"precision": "fp8", "nodes": 1}, {"strategy": JOB[2].replace(precision="fp8"), "cluster": "1xdgx-h100"}),
    ],
)
def test_a_row_is_a_run_of_the_changed_job(settings: dict[str, Any], again: dict[str, Any]) -> None:
    job: dict[str, Any] = {"model": JOB[0], "cluster": JOB[1], "strategy": JOB[2], "seq_len": 4096} | again
    expected = dts.simulate(job.pop("model"), job.pop("cluster"), job.pop("strategy"), **job)
    base = dts.simulate(*JOB, seq_len=4096)
    row = change(**settings)
    assert row.step_time_s == expected.step_time_s
    assert row.tokens_per_s == expected.tokens_per_s
    assert row.step_time_change == pytest.approx(expected.step_time_s / base.step_time_s - 1)
    assert row.throughput_change == pytest.approx(expected.tokens_per_s / base.tokens_per_s - 1)
    per_token = (expected.devices / expected.tokens_per_s) / (base.devices / base.tokens_per_s)
    assert row.device_seconds_change == pytest.approx(per_token - 1)
    assert row.fits == expected.fits


@pytest.mark.parametrize("name", ["matmul_rate", "memory_bandwidth", "scale_up_bandwidth", "network_bandwidth"])
def test_more_of_a_resource_is_faster_and_less_slower(name: str) -> None:
    report = dts.what_if(*JOB, changes=[{name: 2.0}, {name: 0.5}, {name: 1.0}], seq_len=4096)
    more, less, same = (row.step_time_change for row in report.rows)
    assert more is not None
    assert less is not None
    assert more < 0 < less
    assert same == 0


def test_memory_alone_changes_only_what_fits() -> None:
    row = change(memory=0.25)
    assert row.step_time_change == 0
    assert not row.fits


def test_what_cannot_run_says_why() -> None:
    row = change(tp=3)
    assert row.step_time_s is None
    assert "tp" in row.reason
    assert dts.what_if(*JOB, changes={"three": {"tp": 3}}, seq_len=4096).rows[0].change == "three"


@pytest.mark.parametrize(
    ("changes", "message"),
    [([], "at least one"), ([{"tq": 2}], "tq.*did you mean"), ([{"matmul_rate": 0}], "matmul_rate"),
     ([{"nodes": 0}], "nodes"), ([{"seq_len": 1.5}], "seq_len")],
)  # fmt: skip
def test_bad_changes(changes: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(dts.ConfigError, match=message):
        dts.what_if(*JOB, changes=changes, seq_len=4096)


def test_changes_as_text() -> None:
    assert parse_change("nodes=16, global_batch=256") == {"nodes": 16, "global_batch": 256}
    assert parse_change("network-bandwidth=2x,recompute=full") == {"network_bandwidth": 2.0, "recompute": "full"}
    assert parse_change("sequence_parallel=off,offload_activations=0.5,dp=2") == {
        "sequence_parallel": False, "offload_activations": 0.5, "dp": 2}  # fmt: skip
    for text in ("nodes", "nodes=", "network_bandwidth=fast", "overlap_grad_reduce=2", "tp=two"):
        with pytest.raises(dts.ConfigError, match="--change"):
            parse_change(text)


def test_the_command(tmp_path: Path) -> None:
    figure = tmp_path / "changes.png"
    arguments = ["what-if", "--model", JOB[0], "--cluster", JOB[1], "--tp", "2", "--zero", "1", "--global-batch", "32",
                 "--seq-len", "4096", "--change", "precision=fp8", "--change", "tp=3"]  # fmt: skip
    done = CliRunner().invoke(app, [*arguments, "--plot", str(figure)])
    assert done.exit_code == 0, done.output
    assert max(map(len, done.output.splitlines()[:12])) <= 100
    assert "tp=3 cannot run" in done.output
    assert figure.stat().st_size > 10_000
    plain = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert plain["changes"][0]["step_time_change"] < 0 < plain["base"]["step_time_s"]
    assert CliRunner().invoke(app, arguments[:-4]).exit_code == 2


@pytest.mark.parametrize(
    ("fits", "reason", "text"),
    [(False, "", "does not fit"), (False, "bubble", "does not fit; bubble"), (True, "bubble", "bubble")],
)
def test_why_a_change_matters_has_no_loose_ends(fits: bool, reason: str, text: str) -> None:
    assert cell(WhatIfRow("tp=2", 1.0, fits=fits, reason=reason)) == text
