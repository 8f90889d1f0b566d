"""Constants of a fabric from measured sweeps: known constants come back, outliers do not matter, files are readable."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path

import dist_training_sim as dts
import pytest
from dist_training_sim.cli import main
from dist_training_sim.errors import ConfigError, FormatError, MissingDataError
from dist_training_sim.units import format_bytes
from dist_training_sim.verbs import calibrate_nccl, collective

SIZES = [2.0**i for i in range(10, 35)]
TRUE = {"hop_s": 14e-6, "low_latency_Bps": 3e9, "level_startup_s": 60e-6, "ring_efficiency": 0.7}
TRUE |= {"tree_efficiency": 0.7}


def log_of(
    path: Path, cluster: dts.Cluster, kind: str = "all_reduce", glitches: Mapping[float, float] | None = None
) -> Path:
    """What nccl-tests would print if the cluster behaved as the model; sizes in `glitches` take a multiple."""
    name = {"all_to_all": "alltoall"}.get(kind, kind)
    per_node = cluster.node.devices
    lines = [f"# Collective test starting: {name}_perf"]
    for rank in range(cluster.device_count):
        lines.append(f"#  Rank {rank} Group 0 Pid {rank} on n{rank // per_node} device {rank % per_node} [0x1a] GPU")
    for size in SIZES:
        time_us = collective(kind, size, cluster).time_s * 1e6 * (glitches or {}).get(size, 1.0)
        lines.append(f"{size:.0f} {size / 4:.0f} float sum -1 {time_us:.6g} 1.00 1.00 0")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def start() -> dts.Cluster:
    return dts.Cluster.from_catalog("2xdgx-a100-80gb")  # no NVLS: the NICs bound both algorithms


@pytest.fixture
def truth(start: dts.Cluster) -> dts.Cluster:
    assert start.scale_out is not None
    return start.replace(scale_out=start.scale_out.replace(**TRUE))


def test_known_constants_come_back(tmp_path: Path, start: dts.Cluster, truth: dts.Cluster) -> None:
    result = calibrate_nccl([log_of(tmp_path / "a.log", truth)], start)
    assert (result.level, result.profile) == ("scale_out", "infiniband")
    assert result.median_error < 0.01
    for name in ("hop_s", "low_latency_Bps"):
        assert result.after[name] == pytest.approx(TRUE[name], rel=0.1)
    assert result.before["hop_s"] != pytest.approx(TRUE["hop_s"], rel=0.5)


@pytest.mark.parametrize(("nodes", "tolerance"), [(2, 0.03), (4, 0.2)])  # two nodes tell little of a third level
def test_the_fit_predicts_what_it_has_not_seen(
    tmp_path: Path, start: dts.Cluster, truth: dts.Cluster, nodes: int, tolerance: float
) -> None:
    fitted = calibrate_nccl([log_of(tmp_path / "a.log", truth)], start).cluster.replace(nodes=nodes)
    for size in (3e5, 7e7, 5e9):
        measured = collective("all_reduce", size, truth.replace(nodes=nodes)).time_s
        assert collective("all_reduce", size, fitted).time_s == pytest.approx(measured, rel=tolerance)


def test_outliers_are_shown_and_do_not_move_the_fit(tmp_path: Path, start: dts.Cluster, truth: dts.Cluster) -> None:
    clean = calibrate_nccl([log_of(tmp_path / "a.log", truth)], start)
    glitches = {2.0**14: 3.0, 2.0**24: 0.4, 2.0**28: 2.0}
    result = calibrate_nccl([log_of(tmp_path / "b.log", truth, glitches=glitches)], start)
    assert [row.size_bytes for row in result.rows if not row.used] == [2**14, 2**24, 2**28]
    for name, value in clean.after.items():
        assert result.after[name] == pytest.approx(value, rel=0.1)


def test_a_node_fits_its_own_fabric(tmp_path: Path) -> None:
    start = dts.Cluster.from_catalog("1xdgx-a100-80gb")
    up = start.node.scale_up.replace(hop_s=1.5e-6, ring_efficiency=0.6)
    truth = start.replace(node=start.node.replace(scale_up=up))
    result = calibrate_nccl([log_of(tmp_path / "a.log", truth, "all_gather")], start)
    assert result.level == "scale_up"
    assert result.median_error < 0.02
    assert result.after["ring_efficiency"] == pytest.approx(0.6, rel=0.05)


def test_all_to_all_fits_its_own_constants_only(tmp_path: Path, start: dts.Cluster) -> None:
    assert start.scale_out is not None
    truth = start.replace(scale_out=start.scale_out.replace(p2p_efficiency=0.5))
    result = calibrate_nccl([log_of(tmp_path / "a.log", truth, "all_to_all")], start)
    assert set(result.after) == {"p2p_peer_s", "p2p_ramp", "p2p_efficiency"}
    assert result.after["p2p_efficiency"] == pytest.approx(0.5, rel=0.02)


@pytest.mark.parametrize("name", ["1xdgx-a100-80gb", "2xdgx-a100-80gb", "8xgb200-nvl72"])
def test_the_cluster_file_gives_the_same_prices(tmp_path: Path, name: str) -> None:
    start = dts.Cluster.from_catalog(name)
    result = calibrate_nccl([log_of(tmp_path / "a.log", start)], start)
    path = tmp_path / "cluster.yaml"
    path.write_text(result.to_yaml(), encoding="utf-8")
    again = dts.Cluster.from_yaml(path)
    for size in (1e4, 1e7, 1e10):
        fitted = collective("all_reduce", size, result.cluster).time_s
        assert collective("all_reduce", size, again).time_s == pytest.approx(fitted, rel=1e-4)


def test_logs_that_name_nothing_need_the_collective(tmp_path: Path, start: dts.Cluster) -> None:
    path = tmp_path / "bare.log"
    rows = [line for line in log_of(path, start).read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    path.write_text("\n".join(rows), encoding="utf-8")
    with pytest.raises(MissingDataError, match="--kind all_reduce"):
        calibrate_nccl([path], start)
    assert calibrate_nccl([path], start, kind="all_reduce").median_error < 0.01
    with pytest.raises(ConfigError, match="kind: got 'all-in'"):
        calibrate_nccl([path], start, kind="all-in")


def test_too_few_sizes_are_refused(tmp_path: Path, start: dts.Cluster) -> None:
    path = tmp_path / "few.log"
    path.write_text("\n".join(log_of(path, start).read_text(encoding="utf-8").splitlines()[:20]), encoding="utf-8")
    with pytest.raises(FormatError, match="at least 6"):
        calibrate_nccl([path], start)


def test_command(tmp_path: Path, truth: dts.Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    log, yaml, plot = log_of(tmp_path / "a.log", truth), tmp_path / "c.yaml", tmp_path / "c.png"
    lines = log.read_text(encoding="utf-8").splitlines()
    measured = [line for line in lines if not line.startswith("#")]
    rest = [line for line in lines if line.startswith("#")]
    log.write_text("\n".join([*rest, *measured[5:], *measured[:5]]), encoding="utf-8")  # as two sweeps after another
    args = ["calibrate", "nccl", str(log), "--cluster", "2xdgx-a100-80gb"]
    assert main([*args, "--json", "--yaml", str(yaml), "--plot", str(plot)]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["level"] == "scale_out"
    assert len(printed["rows"]) == len(SIZES)
    assert all(math.isfinite(row["error"]) for row in printed["rows"])
    assert plot.stat().st_size > 1000
    assert main(["collective", "all-reduce", "--size", "1MiB", "--cluster", str(yaml)]) == 0
    assert main(args) == 0
    table = capsys.readouterr().out.split("Residuals")[1]
    assert re.findall(r"all_reduce +16 +(\S+ \S+)", table) == [format_bytes(size) for size in sorted(SIZES)]
    assert len(re.findall(r" [+-]\d+\.\d(?: +left out)? *$", table, re.MULTILINE)) == len(SIZES)


@pytest.mark.parametrize(("args", "code"), [(["pcap"], 2), (["nccl"], 4)])
def test_command_refuses(tmp_path: Path, args: list[str], code: int) -> None:
    assert main(["calibrate", *args, str(tmp_path / "none.log"), "--cluster", "2xdgx-a100-80gb"]) == code
