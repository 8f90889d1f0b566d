"""`sweep`: rows are plans, whoever computes them; killed and resumed, nothing is lost or doubled."""

from __future__ import annotations

import csv
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import dist_training_sim as dts
import pytest
from dist_training_sim.cli.app import app
from typer.testing import CliRunner

LAYOUTS = [{"zero": stage, "recompute": "full", "micro_batch": size} for stage in (1, 2, 3) for size in (1, 2, 4)]
AXES: dict[str, Any] = {
    "model": ["llama-3.1-8b", "llama-3.2-3b"],
    "cluster": ["1xdgx-h100", "2xdgx-h100"],
    "global_batch": [64, 128],
    "seq_len": 4096,
    "usd_per_device_h": [2.0, 3.0],
    "strategy": LAYOUTS,
}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return list(dts.sweep(AXES, tmp_path_factory.mktemp("sweep") / "all.sqlite"))


def test_every_point_once_in_order(expected: list[dict[str, Any]]) -> None:
    space = dts.SweepSpace(AXES)
    assert len(expected) == len(space) == 2 * 2 * 2 * 2 * 9
    assert [row["place"] for row in expected] == list(range(len(space)))
    for row, point in zip(expected, space, strict=True):
        assert point == space[row["place"]]
        assert all(row[name] == point[name] for name in ("model", "cluster", "global_batch", "usd_per_device_h"))


def test_rows_are_simulations(expected: list[dict[str, Any]]) -> None:
    for row in expected[:: len(expected) // 7]:
        layout = dts.Strategy(**{**dts.SweepSpace(AXES)[row["place"]]["strategy"], "global_batch": row["global_batch"]})
        result = dts.simulate(row["model"], row["cluster"], layout, seq_len=4096)
        assert row["step_time_s"] == result.step_time_s
        assert row["fits"] == result.fits
        assert row["usd_per_step"] == pytest.approx(
            result.step_time_s * result.devices * row["usd_per_device_h"] / 3600
        )


def test_points_without_a_strategy_are_planned(tmp_path: Path) -> None:
    axes = {"model": "llama-3.1-8b", "cluster": ["1xdgx-h100", "1xdgx-h900"], "global_batch": 32, "seq_len": 2048,
            "tp": 2, "cp": 1, "micro_batch": 1}  # fmt: skip
    planned, unknown = dts.sweep(axes, tmp_path / "plans.sqlite")
    best = dts.plan("llama-3.1-8b", "1xdgx-h100", global_batch=32, seq_len=2048, tp=2, cp=1, micro_batch=1).best
    assert planned["step_time_s"] == best.step_time_s
    assert planned["strategy"]["tp"] == 2
    assert unknown["fits"] is False
    assert "dgx-h900" in unknown["reason"]


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_any_executor_gives_the_same_rows(kind: str, tmp_path: Path, expected: list[dict[str, Any]]) -> None:
    pool = ThreadPoolExecutor(2) if kind == "threads" else ProcessPoolExecutor(2, mp_context=get_context("spawn"))
    with pool as executor:
        assert list(dts.sweep(AXES, tmp_path / "sweep.sqlite", executor=executor)) == expected


def test_a_stopped_sweep_goes_on(tmp_path: Path, expected: list[dict[str, Any]]) -> None:
    file, seen = tmp_path / "sweep.sqlite", []

    def stop(done: int, total: int) -> None:
        seen.append((done, total))
        if done == 50:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dts.sweep(AXES, file, progress=stop)
    assert len(dts.SweepResult(file)) == 50
    assert list(dts.sweep(AXES, file, progress=lambda done, total: seen.append((done, total)))) == expected
    assert seen[50] == (51, 144)  # what was done is not done again
    before = len(seen)
    dts.sweep(AXES, file, progress=lambda done, total: seen.append((done, total)))
    assert len(seen) == before


SCRIPT = """
import sys, time
import dist_training_sim as dts
sys.path.insert(0, {folder!r})
from test_sweep import AXES
dts.sweep(AXES, {file!r}, progress=lambda done, total: time.sleep(0.02))
"""


def test_a_killed_sweep_loses_and_doubles_nothing(tmp_path: Path, expected: list[dict[str, Any]]) -> None:
    file = tmp_path / "sweep.sqlite"
    script = SCRIPT.format(folder=str(Path(__file__).parent), file=str(file))
    process = subprocess.Popen([sys.executable, "-c", script])
    try:
        _until(lambda: file.is_file() and _rows(file) >= 20)
    finally:
        process.kill()  # no clean-up of any kind
        process.wait()
    assert 20 <= len(dts.SweepResult(file)) < 144
    assert list(dts.sweep(AXES, file)) == expected


def _rows(file: Path) -> int:
    try:
        return len(dts.SweepResult(file))
    except dts.FormatError:  # tables are not made yet
        return 0


def _until(ready: Any, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.02)


@pytest.mark.skipif(os.name == "nt", reason="a worker is killed by a signal")
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_that_loses_a_worker(tmp_path: Path, expected: list[dict[str, Any]]) -> None:
    distributed = pytest.importorskip("distributed", reason="Dask distributed is not installed: extra [scale]")
    file = tmp_path / "sweep.sqlite"
    killed: list[int] = []
    with (
        distributed.LocalCluster(2, processes=True, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        workers = client.run(os.getpid)
        assert len(set(workers.values())) == 2

        def kill_one(done: int, total: int) -> None:
            if done == 40:
                killed.append(next(iter(workers.values())))
                os.kill(killed[0], signal.SIGKILL)

        found = list(dts.sweep(AXES, file, executor=client, progress=kill_one))
    assert killed
    assert found == expected


def test_tables(tmp_path: Path, expected: list[dict[str, Any]]) -> None:
    result = dts.sweep(AXES | {"strategy": LAYOUTS[:1]}, tmp_path / "sweep.sqlite")
    text = result.to_csv(tmp_path / "sweep.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    assert len(rows) == len(result) == 16
    assert float(rows[3]["step_time_s"]) == list(result)[3]["step_time_s"]
    pandas = pytest.importorskip("pandas", reason="pandas is not installed: extra [scale]")
    frame = result.to_pandas()
    assert frame["step_time_s"].tolist() == [row["step_time_s"] for row in result]
    pytest.importorskip("pyarrow", reason="pyarrow is not installed: extra [scale]")
    assert pandas.read_parquet(result.to_parquet(tmp_path / "sweep.parquet")).equals(frame)


def test_parquet_that_cannot_be_written_is_said_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    from dist_training_sim.verbs import sweep_file

    monkeypatch.setattr(sweep_file, "find_spec", lambda package: None if package == "pyarrow" else object())
    with pytest.raises(dts.MissingDataError, match=r"pyarrow is not installed.*\[scale\]"):
        sweep_file.need_parquet()


@pytest.mark.parametrize(
    ("axes", "message"),
    [({"model": []}, "space.model"), ({"colour": 1}, "colour"), ({"global_batch": 0}, "global_batch"),
     ({"usd_per_device_h": 0}, "usd_per_device_h"), ({"objective": "joy"}, "joy"), ({"strategy": {"tq": 2}}, "tq"),
     ({"seq_len": list(range(1, 200_000))}, "at most 1,000,000")],
)  # fmt: skip
def test_bad_spaces(axes: dict[str, Any], message: str) -> None:
    with pytest.raises(dts.ConfigError, match=message):
        dts.SweepSpace(AXES | axes)


def test_files_that_are_not_of_this_sweep(tmp_path: Path) -> None:
    file, other = tmp_path / "sweep.sqlite", tmp_path / "text.sqlite"
    small = AXES | {"strategy": LAYOUTS[:1], "model": "llama-3.2-3b", "cluster": "1xdgx-h100"}
    dts.sweep(small, file)
    with pytest.raises(dts.ConfigError, match="another space"):
        dts.sweep(small | {"global_batch": 256}, file)
    other.write_text("not a data base, but long enough to look at it" * 50, encoding="utf-8")
    with pytest.raises(dts.FormatError, match="no file of a sweep"):
        dts.sweep(small, other)
    with pytest.raises(dts.MissingDataError, match="expected a file"):
        dts.SweepResult(tmp_path / "none.sqlite")
    with pytest.raises(dts.ConfigError, match="can be written"):
        dts.sweep(small, tmp_path / "no" / "folder.sqlite")
    with pytest.raises(dts.ConfigError, match="Executor or Dask client"):
        dts.sweep(small, tmp_path / "new.sqlite", executor=3)  # type: ignore[arg-type]
    with closing(sqlite3.connect(file)) as connection:
        ((count,),) = connection.execute("SELECT COUNT(DISTINCT place) FROM points").fetchall()
    assert count == len(dts.SweepResult(file))


def test_the_command(tmp_path: Path) -> None:
    file, table = tmp_path / "sweep.sqlite", tmp_path / "sweep.csv"
    arguments = ["sweep", str(file), "--model", "llama-3.1-8b", "--cluster", "1xdgx-h100", "--global-batch", "32",
                 "--seq-len", "2048", "--price", "2,3"]  # fmt: skip
    done = CliRunner().invoke(app, [*arguments, "--csv", str(table)])
    assert done.exit_code == 0, done.output
    assert max(len(line) for line in done.output.splitlines()[1:]) <= 100
    assert len(table.read_text(encoding="utf-8").splitlines()) == 3
    again = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert [point["usd_per_device_h"] for point in again["points"]] == [2.0, 3.0]
    assert CliRunner().invoke(app, [*arguments[:-1], "two"]).exit_code == 2


def test_a_file_without_tables_is_no_sweep_yet(tmp_path: Path) -> None:
    file = tmp_path / "begun.sqlite"
    file.touch()
    with pytest.raises(dts.FormatError, match="no file of a sweep, or one that has just been begun"):
        len(dts.SweepResult(file))
