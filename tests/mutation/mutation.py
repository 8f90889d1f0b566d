"""Mutation test of the cost models: `python tests/mutation/mutation.py cpp|py [--sample 60] [--build build/mutation]`.

A sample of small changes is made, one by one. A C++ file of src/comm, compute, memory and pricing is compiled alone and
linked with the build's other objects: the C++ tests run first, then those tests of the package that ask for costs. A
Python file is changed in a copy of the package. A change that no test notices is printed. Exit code 1 if fewer than
`--least` of the changes were noticed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

import hypothesis  # noqa: F401 -- loaded once, for all the runs of pytest
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from mutants import Mutant, mutants

ROOT = Path(__file__).parents[2]
ROOMS = ("comm", "compute", "memory", "pricing")
PACKAGE = ROOT / "python" / "dist_training_sim"
TESTS = {  # of the Python files that hold cost formulas
    "economics/energy.py": ("test_cost.py",),
    "economics/goodput.py": ("test_cost.py",),
    "economics/scaling_law.py": ("test_cost.py",),
    "hardware/rates.py": ("test_hardware.py", "test_units.py"),
    "intervals/pool.py": ("test_intervals.py", "test_interval_table.py"),
    "intervals/lookup.py": ("test_intervals.py", "test_interval_table.py"),
    "memory_plan.py": ("test_memory.py",),
    "models/parts.py": ("test_parts.py", "test_models.py", "test_parameter_counts.py", "test_ops.py"),
    "models/vision.py": ("test_parts.py", "test_models.py", "test_parameter_counts.py"),
    "network/astra_compat.py": ("test_flow_network.py",),
    "search/strategy_space.py": ("test_strategy_space.py", "test_limits.py"),
    "units.py": ("test_units.py",),
}
CORE_TESTS = (  # of the package, of what the core's cost models say
    *("test_fabric.py", "test_group_span.py", "test_communication.py", "test_compute.py", "test_memory.py"),
    *("test_compute_golden.py", "test_op_reference.py", "test_step_reference.py", "test_worked_examples.py"),
    *("test_layer_reference.py", "test_experts.py", "test_recompute.py", "test_volumes.py", "test_measured_rows.py"),
    *("test_precision.py", "test_data_parallel.py", "test_chunked_attention.py", "test_parallel_options.py"),
    *("test_attention_tables.py", "test_kernel_prices.py", "test_optimizers.py", "test_offload_options.py"),
    *("test_nanotron_memory.py", "test_tiers.py", "test_published_runs.py"),
)
# Of one run of the tests, several times what they take: wall time depends on what else runs.
MOST_CPU_SECONDS, MOST_CPP_SECONDS = 240, 20


class Cpp:
    """Mutants of the core against GoogleTest, then, where `build` has the Python module too, against pytest."""

    def __init__(self, build: Path, scratch: Path) -> None:
        self.build, self.scratch = build, scratch
        listed = subprocess.run(["ninja", "-C", build, "-t", "compdb"], capture_output=True, text=True, check=True)
        start = listed.stdout.index("[")
        self.commands = {entry["file"]: entry["command"] for entry in json.loads(listed.stdout[start:])}
        self.files = [file for room in ROOMS for file in sorted((ROOT / "src" / room).glob("*.cpp"))]
        self.language = "cpp"
        self.module = next(build.glob("src/bindings/_core*.so"), None)
        self.links = {"tests": self._last_command("tests/dts_tests")}
        if self.module is not None:
            self.links["module"] = self._last_command(str(self.module.relative_to(build)))
            shutil.copytree(PACKAGE, scratch / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__", "*.so"))

    def passes_unchanged(self) -> bool:
        """Whether the tests pass without a change."""
        return not _fails([str(self.build / "tests" / "dts_tests"), "--gtest_brief=1"])

    def noticed(self, file: Path, mutant: Mutant) -> bool | None:
        """Whether a test fails, crashes or hangs; None if the change does not compile, which needs no test."""
        changed, made, binary = (self.scratch / name for name in ("mutant.cpp", "mutant.o", "tests"))
        changed.write_text(mutant.text)
        words = [word for word in _command(self.commands[str(file)]) if word != "-O3"]
        words[words.index("-o") + 1], words[words.index(str(file))] = str(made), str(changed)
        if subprocess.run([*words, "-O1", "-w"], cwd=self.build, capture_output=True, check=False).returncode:
            return None
        self._link(self.links["tests"], made, binary)
        if _fails([str(binary), "--gtest_brief=1", "--gtest_fail_fast"]):
            return True
        if self.module is None:
            return False
        self._link(self.links["module"], made, self.scratch / PACKAGE.name / self.module.name)
        return _pytest_fails(CORE_TESTS, self.scratch)

    def _last_command(self, target: str) -> list[str]:
        listed = ["ninja", "-C", str(self.build), "-t", "commands", target]
        return _command(subprocess.run(listed, capture_output=True, text=True, check=True).stdout.splitlines()[-1])

    def _link(self, command: list[str], made: Path, to: Path) -> None:
        """The build's own link, with the mutant before the library that it replaces a member of."""
        words = list(command)
        words[words.index("-o") + 1] = str(to)
        core = next(i for i, word in enumerate(words) if word.endswith("libdts_core.a"))
        subprocess.run([*words[:core], str(made), *words[core:]], cwd=self.build, check=True)


def _command(line: str) -> list[str]:
    """The compiler's call of a line that may do more before and after it."""
    part = next(part for part in line.split("&&") if " -o " in part)
    return [word for word in shlex.split(part) if word != "ccache"]


def _pytest_fails(tests: Sequence[str], folder: Path, *, limited: bool = True) -> bool:
    """Whether a test fails or hangs with the package of a folder; in a child process, to which pytest comes loaded."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] != 0
    code = 1
    try:
        os.chdir(ROOT)
        if limited:
            _limit(MOST_CPU_SECONDS)
        os.environ |= {"PYTHONPATH": str(folder), "CI": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        sys.path.insert(0, str(folder))
        sys.dont_write_bytecode = True
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
        files = [str(ROOT / "python" / "tests" / test) for test in tests]
        loaded = "ignore::pytest.PytestAssertRewriteWarning"  # Hypothesis is
        code = pytest.main(["-x", "-q", "-n0", "-p", "no:cacheprovider", "-W", loaded, *files])
    except BaseException:
        traceback.print_exc(file=sys.__stderr__)
    finally:
        os._exit(code)


class Py:
    """Mutants of a copy of the package against pytest."""

    def __init__(self, scratch: Path) -> None:
        self.copy = scratch / "python" / "dist_training_sim"
        shutil.copytree(PACKAGE, self.copy, symlinks=False, ignore=shutil.ignore_patterns("__pycache__"))
        self.files = [PACKAGE / name for name in TESTS]
        self.language = "py"

    def passes_unchanged(self) -> bool:
        """Whether the tests pass without a change."""
        return not _pytest_fails(
            sorted({test for tests in TESTS.values() for test in tests}), self.copy.parent, limited=False
        )

    def noticed(self, file: Path, mutant: Mutant) -> bool:
        """Whether a test of the file fails or hangs."""
        name = file.relative_to(PACKAGE).as_posix()
        changed = self.copy / name
        kept = changed.read_text()
        try:
            changed.write_text(mutant.text)
            return _pytest_fails(TESTS[name], self.copy.parent)
        finally:
            changed.write_text(kept)


def _fails(command: list[str]) -> bool:
    ran = subprocess.run(
        command, capture_output=True, check=False, cwd=ROOT, preexec_fn=lambda: _limit(MOST_CPP_SECONDS)
    )
    return ran.returncode != 0


def _limit(seconds: int) -> None:
    """End this process, as a failure, when it has computed for too long."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


def main() -> int:
    """Try a sample; 1 if too many changes go unnoticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("language", choices=["cpp", "py"])
    parser.add_argument("--sample", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "mutation")
    parser.add_argument("--least", type=float, default=0.8)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        judge = Cpp(asked.build.resolve(), Path(folder)) if asked.language == "cpp" else Py(Path(folder))
        if not judge.passes_unchanged():
            sys.exit("the tests fail without any change")
        every = [(file, mutant) for file in judge.files for mutant in mutants(file.read_text(), judge.language)]
        random.Random(asked.seed).shuffle(every)
        tried, killed = 0, 0
        for file, mutant in every:
            noticed = judge.noticed(file, mutant)
            if noticed is None:
                continue
            tried, killed = tried + 1, killed + noticed
            if not noticed:
                print(f"not noticed: {file.relative_to(ROOT)} {mutant}", flush=True)
            if tried % 10 == 0:
                print(f"{tried} tried, {killed} noticed", flush=True)
            if tried == asked.sample:
                break
    print(f"{killed} of {tried} noticed ({killed / tried:.0%}); {len(every):,} changes are possible")
    return 0 if killed >= asked.least * tried else 1


if __name__ == "__main__":
    sys.exit(main())
