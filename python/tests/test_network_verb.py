"""`dts network` and `dts simulate --network flow`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from dist_training_sim.cli import main

JOB = [
    "--model",
    "llama-3.1-8b",
    "--cluster",
    "2xdgx-h100",
    "--tp",
    "4",
    "--zero",
    "1",
    "--global-batch",
    "16",
    "--seq-len",
    "2048",
]


def run(capsys: pytest.CaptureFixture[str], *args: str) -> dict[str, Any]:
    assert main([*args, "--json"]) == 0
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    return printed


def test_network_lists_tiers_and_links(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    plot = tmp_path / "links.png"
    plain = run(capsys, "network", *JOB, "--intervals", "10", "--plot", str(plot))
    assert [tier["tier"] for tier in plain["tiers"]] == ["scale-up", "NIC", "leaf - spine"]
    assert len(plain["links"]) == sum(tier["links"] for tier in plain["tiers"])
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert main(["network", *JOB]) == 0
    assert "Busiest links" in capsys.readouterr().out


def test_options_reach_the_network(capsys: pytest.CaptureFixture[str]) -> None:
    fixed = run(capsys, "simulate", *JOB)["step_time_s"]
    flow = run(capsys, "simulate", *JOB, "--network", "flow")
    assert flow["uncontended_step_time_s"] == fixed
    more = (
        ["--network-topology", "fat_tree", "--nodes-per-leaf", "1", "--oversubscription", "8"],
        ["--slow-cables", "nic 0.0=0.2"],
        ["--cable-changes", "nic 0.0=0.2@1ms"],
        ["--background", "0>8=40GB/s"],
        ["--slow-links", "0:0.2"],
        [
            "--network-topology",
            "fat_tree",
            "--nodes-per-leaf",
            "1",
            "--spines",
            "2",
            "--dead-cables",
            "leaf 0 - spine 1",
        ],
    )
    for options in more:
        slower = run(capsys, "simulate", *JOB, "--network", "flow", *options)
        assert slower["step_time_s"] > flow["step_time_s"], options


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--spines", "4"], "--spines: got 4, expected it with --network flow only"),
        (["--network", "packets"], "--network: got 'packets'"),
        (["--network", "flow", "--slow-cables", "nic 0.0"], "slow-cables"),
        (["--network", "flow", "--cable-changes", "nic 0.0=0.5"], "nic 3.0=0.5@2ms"),
        (["--network", "flow", "--background", "0-8=1GB/s"], "0>8=10GB/s"),
        (["--network", "flow", "--routing", "ecmp:x"], "ecmp:SEED"),
        (["--network", "flow", "--dead-cables", "wire 7"], "'wire 7'"),
    ],
)
def test_bad_options_say_what_is_meant(capsys: pytest.CaptureFixture[str], options: list[str], text: str) -> None:
    assert main(["simulate", *JOB, *options]) == 2
    assert text in capsys.readouterr().err.replace("\n", " ")


def test_cut_off_ranks_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", *JOB, "--network", "flow", "--dead-cables", "nic 0.3"]) != 0
    assert "from rank 3" in capsys.readouterr().err.replace("\n", " ")
