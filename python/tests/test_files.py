"""Everything that writes a file: whole or not there, clear errors where it cannot be written, safe from threads."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import dist_training_sim as dts
import pytest
from dist_training_sim._files import write_whole
from dist_training_sim.cli import main
from dist_training_sim.visualization import Visualizer

AXES = {"model": "llama-3.1-8b", "cluster": "1xdgx-h100", "global_batch": 32, "seq_len": 4096,
        "strategy": {"zero": 3, "recompute": "full"}}  # fmt: skip


@pytest.fixture(scope="module")
def result() -> dts.Result:
    return dts.simulate("llama-3.1-8b", "1xdgx-h100", dts.Strategy(dp=8, zero=3, global_batch=16), seq_len=4096)


@pytest.fixture
def writers(result: dts.Result, tmp_path: Path) -> dict[str, Callable[[Path], Any]]:
    vis = Visualizer()
    figure = vis.plot_scaling_efficiency(num_devices=[1, 2], throughput=[100, 195])
    sweep = dts.sweep(AXES, tmp_path / "kept.sqlite")
    return {
        "figure.png": lambda path: vis.save_figure(figure, path),
        "figure.svg": lambda path: vis.save_figure(figure, path),
        "step.pftrace": result.save_trace,
        "step.json.gz": result.save_trace,
        "points.csv": sweep.to_csv,
    }


NAMES = ["figure.png", "figure.svg", "step.pftrace", "step.json.gz", "points.csv"]


def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    write = Path.write_bytes

    def some(path: Path, data: Any) -> int:
        write(path, bytes(data)[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", some)


@pytest.mark.parametrize("name", NAMES)
def test_a_full_disk_leaves_what_was_there(
    name: str, writers: dict[str, Callable[[Path], Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / name).write_bytes(b"old")
    full_disk(monkeypatch)
    with pytest.raises(dts.ConfigError, match="No space left on device"):
        writers[name](folder / name)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {name: b"old"}


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_that_takes_no_files_is_named(
    name: str, writers: dict[str, Callable[[Path], Any]], tmp_path: Path
) -> None:
    no_folder = tmp_path / "file"
    no_folder.write_bytes(b"")
    with pytest.raises(dts.ConfigError, match=name):
        writers[name](no_folder / name)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")  # noqa: PTH110
def test_a_device_without_room_is_no_crash() -> None:
    with pytest.raises(dts.ConfigError, match=r"'/dev/full'.*No space left"):
        write_whole("/dev/full", "text")
    command = [sys.executable, "-m", "dist_training_sim", "models", "--json"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "error: output: No space left on device\n")


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[Callable[[Path], None]]:
    """Takes the right to write from a folder; skips where rights do not bind this user."""
    locked: list[Path] = []

    def take(folder: Path) -> None:
        locked.append(folder)
        folder.chmod(0o500)
        if os.access(folder, os.W_OK):
            pytest.skip("rights do not bind this user")

    yield take
    for folder in locked:
        folder.chmod(0o700)


@pytest.mark.parametrize("name", NAMES)
def test_a_read_only_folder_is_named_and_left_alone(
    name: str, writers: dict[str, Callable[[Path], Any]], tmp_path: Path, lock: Callable[[Path], None]
) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    (folder / name).write_bytes(b"old")
    lock(folder)
    with pytest.raises(dts.ConfigError, match=rf"{name}.*Permission denied"):
        writers[name](folder / name)
    assert [path.read_bytes() for path in folder.iterdir()] == [b"old"]


def test_a_read_only_sweep_can_be_read_but_not_filled(tmp_path: Path, lock: Callable[[Path], None]) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    file = folder / "sweep.sqlite"
    before = list(dts.sweep(AXES, file))
    file.chmod(0o400)
    lock(folder)
    assert list(dts.SweepResult(file)) == before
    with pytest.raises(dts.DtsError, match=r"sweep\.sqlite"):
        dts.sweep(AXES | {"global_batch": [32, 64]}, file)


def test_a_name_too_long_is_no_crash(writers: dict[str, Callable[[Path], Any]], tmp_path: Path) -> None:
    for name, write in writers.items():
        with pytest.raises(dts.ConfigError):
            write(tmp_path / f"{'long' * 100}" / name)
        with pytest.raises(dts.ConfigError):
            write(tmp_path / f"{'long' * 100}{name}")


def test_many_threads_write_one_file(tmp_path: Path) -> None:
    target = tmp_path / "file"
    contents = [f"{i}" * 200_000 for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda text: write_whole(target, text), contents * 4))
    assert target.read_text() in contents
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_new_file_has_the_rights_of_any_new_file(tmp_path: Path) -> None:
    usual = tmp_path / "usual"
    usual.touch()
    assert write_whole(tmp_path / "file", b"").stat().st_mode == usual.stat().st_mode


# ---- sweeps ----------------------------------------------------------------------------------------------------------


def test_sweep_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("not a database, and longer than the header of one: " + "x" * 4096)
    with pytest.raises(dts.FormatError, match=r"notes\.txt is no file of a sweep"):
        dts.sweep(AXES, other)
    assert other.read_text().startswith("not a database")
    with pytest.raises(dts.ConfigError, match=r"expected a file that can be written \(unable to open"):
        dts.sweep(AXES, tmp_path / "none" / "sweep.sqlite")


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files")
def test_a_new_sweep_without_room_leaves_no_file(tmp_path: Path) -> None:
    """A process that may write no byte to a file meets what a full disk does."""
    import resource

    def no_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))

    job = ["--model", "gpt2", "--cluster", "1xdgx-h100", "--global-batch", "64", "--seq-len", "1024"]
    command = [sys.executable, "-B", "-m", "dist_training_sim", "sweep", "sweep.sqlite", *job]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=no_room, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert re.fullmatch(r"error: file: got 'sweep.sqlite', expected a file that can be written \(.*\)\n", done.stderr)
    assert not list(tmp_path.iterdir())

    (tmp_path / "sweep.sqlite").touch()  # the user's own, though empty
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=no_room, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.sqlite"]


def test_a_truncated_sweep_is_named(tmp_path: Path) -> None:
    file = tmp_path / "sweep.sqlite"
    dts.sweep(AXES, file)
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(dts.DtsError, match=r"sweep\.sqlite"):
        list(dts.SweepResult(file))


def test_a_sweep_of_a_later_version_is_not_touched(tmp_path: Path) -> None:
    file = tmp_path / "sweep.sqlite"
    dts.sweep(AXES, file)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE meta SET value = '2' WHERE name = 'version'")
    with pytest.raises(dts.FormatError, match="of version 2 of sweeps, expected 1"):
        dts.sweep(AXES, file)


def test_columns_that_a_later_version_adds_are_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "sweep.sqlite"
    before = list(dts.sweep(AXES, file))
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("ALTER TABLE points ADD COLUMN later TEXT")
    assert list(dts.sweep(AXES, file)) == before


def test_two_sweeps_fill_one_file(tmp_path: Path) -> None:
    file = tmp_path / "sweep.sqlite"
    axes = AXES | {"cluster": ["1xdgx-h100", "2xdgx-h100", "1xdgx-b200", "2xdgx-b200"]}
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(dts.sweep, axes, file) for _ in range(2)]
        rows = [list(found.result()) for found in both]
    assert rows[0] == rows[1]
    assert [row["devices"] for row in rows[0]] == [8, 16, 8, 16]


OPTIONS = {
    "--page": ["report", "--zero", "3"],
    "--file": ["export", "--to", "megatron-lm", "--zero", "3"],
    "--launch": ["plan"],
    "--out": ["simulate", "--zero", "3"],
    "--trace": ["simulate", "--zero", "3"],
    "--timeline": ["simulate", "--zero", "3"],
}


@pytest.mark.parametrize("option", OPTIONS)
def test_a_file_that_cannot_be_written_is_named_by_its_option(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    job = ["--model", "llama-3.1-8b", "--cluster", "1xdgx-h100", "--global-batch", "64", "--seq-len", "8192"]
    name = "step.svg" if option == "--timeline" else "page.md"
    assert main([*OPTIONS[option], *job, option, str(tmp_path / "file" / name)]) == 2
    assert f"error: {option}: got" in capsys.readouterr().err
