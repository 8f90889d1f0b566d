"""The stub of the compiled module says what the module has."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy", reason="mypy is not installed: pip install '.[lint]'")

ALLOWLIST = Path(__file__).with_name("stubtest_allowlist.txt")


def _stubtest(allowlist: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mypy.stubtest", "dist_training_sim._core", "--concise"]
    return subprocess.run(
        [*command, "--allowlist", str(allowlist)], capture_output=True, text=True, timeout=300, check=False
    )


def test_stub_agrees_with_the_compiled_module() -> None:
    done = _stubtest(ALLOWLIST)
    assert done.returncode == 0, done.stdout + done.stderr


def test_allowlist_hides_nothing_but_what_it_names() -> None:
    lines = [line for line in ALLOWLIST.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert lines
    assert all(line.endswith((".__init__", ".__pybind11_native_enum__")) for line in lines)
