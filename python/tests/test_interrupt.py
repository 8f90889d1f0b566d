"""Ctrl-C ends every long call: as KeyboardInterrupt, on the command line with exit code 130; files stay whole."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

if sys.platform == "win32":
    pytest.skip("SIGINT is sent to a process of its own", allow_module_level=True)

# Each runs for ever if nobody stops it.
CALLS = {
    "expanded step": """
        dts.simulate("llama-3.1-8b", "8192xdgx-h100", dts.Strategy(dp=8192, pp=8, global_batch=8192 * 128),
                     seq_len=8192, expand=True)""",
    "many micro-batches": """
        dts.simulate("llama-3.1-8b", "1xdgx-h100", dts.Strategy(pp=8, global_batch=1_000_000), seq_len=8192)""",
    "v_half": """
        layout = dts.Strategy(pp=8, vpp=2, global_batch=100_000, schedule="v_half")
        dts.simulate("llama-3.1-8b", "1xdgx-h100", layout, seq_len=8192)""",
    "shared links": """
        dts.simulate("llama-3.1-8b", "512xdgx-h100", dts.Strategy(dp=512, tp=8, zero=3, global_batch=512), seq_len=8192,
                     network="flow")""",
    "search": """
        space = dts.StrategySpace(global_batch=1024, micro_batch=(1, 2, 4), zero=(0, 1, 2, 3))
        model, cluster = dts.Model.from_catalog("llama-3.1-70b"), dts.Cluster.from_catalog("dgx-h100", nodes=128)
        table = space.table(model, cluster, seq_len=8192)
        while True:
            dts.evaluate(model, cluster, table, seq_len=8192)""",
    "plan": """
        while True:
            dts.plan("llama-3.1-8b", "2xdgx-h100", seq_len=8192, global_batch=64)""",
    "draws": """
        layout = dts.Strategy(tp=8, global_batch=8192)
        dts.step_distribution("llama-3.1-8b", "64xdgx-h100", layout, stragglers=dts.Stragglers.normal(0.05),
                              steps=1_000_000, seq_len=8192, threads=2)""",
    "messages": """
        comm = dts.CommunicationModel(num_nodes=256, topology=dts.Topology.FAT_TREE)
        network = dts.FlowNetwork(comm)
        while True:
            network.run([Collective("all-to-all", 1e9)])""",
}
FRAME = """
import dist_training_sim as dts
from dist_training_sim.network import Collective
print("ready", flush=True)
try:
    while True:
{body}
except KeyboardInterrupt:
    print("stopped")
"""


def listen_to_ctrl_c() -> None:
    """A shell's background jobs ignore it, and their children after them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def ignore_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def stop(process: subprocess.Popen[str], after_s: float) -> tuple[str, str]:
    time.sleep(after_s)
    assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGINT)
    return process.communicate(timeout=60)


@pytest.mark.parametrize("name", CALLS)
def test_ctrl_c_ends_the_call(name: str) -> None:
    body = textwrap.indent(textwrap.dedent(CALLS[name]), " " * 8)
    process = subprocess.Popen(
        [sys.executable, "-c", FRAME.format(body=body)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=listen_to_ctrl_c,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    out, err = stop(process, 0.8)
    assert out == "stopped\n", err


def test_a_stopped_sweep_ends_with_130_and_goes_on_later(tmp_path: Path) -> None:
    file = tmp_path / "sweep.sqlite"
    clusters = [f"{n}xdgx-h100" for n in range(1, 400)]
    axes = ["--model", "llama-3.1-8b", "--cluster", ",".join(clusters), "--global-batch", "6400", "--seq-len", "4096"]
    command = [sys.executable, "-m", "dist_training_sim", "sweep", str(file), *axes]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=listen_to_ctrl_c
    )
    while not file.exists() or not rows_of(file):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    out, err = stop(process, 0)
    assert process.returncode == 130, (out, err)
    assert "Traceback" not in err
    assert err.endswith("stopped\n")
    begun = rows_of(file)
    assert 0 < begun < len(clusters)

    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=listen_to_ctrl_c
    )
    while rows_of(file) <= begun:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    stop(process, 0)
    assert process.returncode == 130


def rows_of(file: Path) -> int:
    with closing(sqlite3.connect(file, timeout=60)) as connection:
        try:
            return int(connection.execute("SELECT COUNT(*) FROM points").fetchone()[0])
        except sqlite3.OperationalError:  # not begun
            return 0


def test_ctrl_c_before_the_end_of_a_verb_is_code_130(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    from dist_training_sim.cli import main
    from dist_training_sim.cli import models as verb

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(verb, "deliver", stopped)
    assert main(["models"]) == 130
    assert capsys.readouterr().err == "stopped\n"


SEND = "os.kill(os.getpid(), signal.SIGINT)"
AT_IMPORT = """
import os, signal, sys
from dist_training_sim.cli import main

class AtImport:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            {what}

sys.meta_path.insert(0, AtImport())
code = main(["models", "gpt2"])
print("code", code)
"""


def run_with(what: str, module: str, before: Callable[[], None] = listen_to_ctrl_c) -> tuple[int, str, str]:
    program = AT_IMPORT.format(module=module, what=what)
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=before, check=False)
    return done.returncode, done.stdout, done.stderr


def test_ctrl_c_while_the_command_line_loads_is_one_line() -> None:
    assert run_with(SEND, "dist_training_sim.cli.app") == (130, "", "stopped\n")


def test_ctrl_c_that_a_module_turns_into_another_error_is_one_line() -> None:
    """Before 3.12 an interrupt while a class is made arrives as a RuntimeError."""
    turned = "raise RuntimeError('error calling __set_name__') from KeyboardInterrupt()"
    assert run_with(turned, "yaml") == (0, "code 130\n", "stopped\n")


def test_an_ignored_ctrl_c_stays_ignored() -> None:
    """As it is for what a shell runs in the background."""
    for module in ("dist_training_sim.cli.app", "yaml"):
        code, out, err = run_with(SEND, module, ignore_ctrl_c)
        assert (code, out.splitlines()[-1], err) == (0, "code 0", "")
