"""The GPU benchmarks, dry-run on a CPU: every script writes well-formed records, and the summary reads them.

Needs PyTorch (`pip install torch`), which the package does not; skipped without it, and run in CI by its own job.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks" / "gpu"
SCRIPTS = ("gemm", "attention", "memory_bound", "optimizer", "launch", "step")
# What only a GPU has: a case that needs it says so in its record.
ONLY_GPU = ("No viable backend", "No available kernel")
pytest.importorskip("torch")
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="no source tree beside this package")


def run(script: str, *arguments: str) -> str:
    # torch.compile would build C++ for minutes and measure nothing here: it hands the function back.
    command, environment = [sys.executable, str(FOLDER / f"{script}.py"), *arguments], {"TORCHDYNAMO_DISABLE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800, env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("gpu")
    for script in SCRIPTS:
        run(script, "--device", "cpu", "--quick", "--out", str(folder))
    found = {path.stem: list(map(json.loads, path.read_text().splitlines())) for path in folder.glob("*.jsonl")}
    found["folder"] = [{"path": str(folder)}]
    return found


@pytest.mark.parametrize("script", SCRIPTS)
def test_records(script: str, records: dict[str, list[dict[str, Any]]]) -> None:
    rows = records[script]
    assert rows
    measured = [row for row in rows if "error" not in row]
    assert len(measured) >= 0.5 * len(rows)
    for row in rows:
        assert row["dry_run"] is True
        assert row["gpu"] == "cpu"
        assert row["what"]
        assert row["torch"]
    for row in measured:
        assert row.get("time_us", 1) > 0
    for row in rows:
        assert "error" not in row or any(word in row["error"] for word in ONLY_GPU), row


def test_the_summary_refuses_dry_runs_and_reads_records(
    records: dict[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    arguments = ("--bandwidth", "4.8e12", "--peak", "989e12")
    command = [sys.executable, str(FOLDER / "summarise.py"), records["folder"][0]["path"], *arguments]
    refused = subprocess.run(command, capture_output=True, text=True)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "dry run" in refused.stderr
    only_gpu = {"static_bytes": 1e9, "bwd_peak_bytes": 2e9, "reserved_bytes": 3e9}  # a CPU has no statistics of memory
    for script in SCRIPTS:
        lines = [json.dumps(only_gpu | row | {"dry_run": False}) for row in records[script]]
        (tmp_path / f"{script}.jsonl").write_text("\n".join(lines) + "\n")
    text = run("summarise", str(tmp_path), *arguments)
    assert len(text.splitlines()) > 5
    assert "nan" not in text.lower()


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_cpu_is_for_dry_runs_only(script: str) -> None:
    command = [sys.executable, str(FOLDER / f"{script}.py"), "--device", "cpu"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "--quick" in done.stderr


def test_documented() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    for path in FOLDER.glob("*.py"):
        assert f"`{path.name}`" in text, path.name
