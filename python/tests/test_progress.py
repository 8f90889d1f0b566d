"""Signs of life: on a terminal's stderr, never in a pipe, never on stdout."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest
from dist_training_sim.cli.progress import busy, progress_bar

LINE = ("simulate", "--model", "llama-3.2-1b", "--cluster", "1xdgx-h100", "--seq-len", "4096", "--json")


def test_nothing_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    with busy("working"), progress_bar("rows") as tell:
        assert tell is None
    assert capsys.readouterr() == ("", "")


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = _Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with progress_bar("rows") as tell:
        assert tell
        tell(7, 7)
    assert "7/7" in screen.getvalue()


@pytest.mark.skipif(os.name == "nt", reason="no pseudo-terminals")
def test_a_spinner_on_a_terminal_that_leaves_stdout_alone() -> None:
    import pty

    ours, theirs = pty.openpty()
    job = [sys.executable, "-m", "dist_training_sim", *LINE]
    shell = subprocess.run(
        job, stdout=subprocess.PIPE, stderr=theirs, env={**os.environ, "TERM": "xterm"}, check=True, text=True
    )
    os.close(theirs)
    seen = os.read(ours, 65536).decode()
    os.close(ours)
    assert "simulating" in seen
    assert shell.stdout.startswith("{")
    assert "\x1b" not in shell.stdout
