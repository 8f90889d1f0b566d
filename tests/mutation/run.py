"""Mutation test of the cost models: `python tests/mutation/run.py cpp|py [--sample 60] [--seed 0] [--build build/cpp]`.

A sample of small changes is made, one at a time: C++ files of src/comm, compute, memory and pricing are compiled alone
A sample of small changes is made, one by one: C++ files of src/comm, compute, memory and pricing are compiled alone and
that no test notices is printed. Exit code 1 if fewer than `--least` of the changes were noticed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

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
    "models/parts.py": ("test_models.py", "test_parameter_counts.py", "test_ops.py"),
    "models/vision.py": ("test_models.py", "test_parameter_counts.py"),
    "network/astra_compat.py": ("test_flow_network.py",),
    "search/strategy_space.py": ("test_search.py", "test_limits.py", "test_pruned_search.py"),
    "units.py": ("test_units.py",),
}
MOST_SECONDS = 300


class Cpp:
    """Mutants of the core against GoogleTest."""

    def __init__(self, build: Path, scratch: Path) -> None:
        self.build, self.scratch = build, scratch
        listed = subprocess.run(["ninja", "-C", build, "-t", "compdb"], capture_output=True, text=True, check=True)
        start = listed.stdout.index("[")
        self.commands = {entry["file"]: entry["command"] for entry in json.loads(listed.stdout[start:])}
        self.files = [file for room in ROOMS for file in sorted((ROOT / "src" / room).glob("*.cpp"))]
        self.language = "cpp"

    def noticed(self, file: Path, mutant: Mutant) -> bool:
        """Whether it does not compile, or a test fails, crashes or hangs."""
        changed, made, binary = (self.scratch / name for name in ("mutant.cpp", "mutant.o", "tests"))
        changed.write_text(mutant.text)
        words = shlex.split(self.commands[str(file)].split("&&")[0])
        words = [word for word in words if word != "ccache" and word != "-O3"]
        words[words.index("-o") + 1], words[words.index(str(file))] = str(made), str(changed)
        if subprocess.run([*words, "-O1", "-w"], cwd=self.build, capture_output=True, check=False).returncode:
            return True
        objects = sorted((self.build / "tests" / "CMakeFiles" / "dts_tests.dir").glob("*.o"))
        libraries = [self.build / "src" / "libdts_core.a", *self.build.glob("tests/*.a")]
        system = [] if list(self.build.glob("tests/*.a")) else ["-lgtest_main", "-lgtest"]
        link = [words[0], *objects, made, *libraries, *system, "-pthread", "-o", binary]
        subprocess.run([str(word) for word in link], check=True)
        return _fails([str(binary), "--gtest_brief=1", "--gtest_fail_fast"], {})


class Py:
    """Mutants of a copy of the package against pytest."""

    def __init__(self, scratch: Path) -> None:
        self.copy = scratch / "python" / "dist_training_sim"
        shutil.copytree(PACKAGE, self.copy, symlinks=False, ignore=shutil.ignore_patterns("__pycache__"))
        self.files = [PACKAGE / name for name in TESTS]
        self.language = "py"

    def noticed(self, file: Path, mutant: Mutant) -> bool:
        """Whether a test of the file fails or hangs."""
        name = file.relative_to(PACKAGE).as_posix()
        changed = self.copy / name
        kept = changed.read_text()
        tests = [str(ROOT / "python" / "tests" / test) for test in TESTS[name]]
        try:
            changed.write_text(mutant.text)
            command = [sys.executable, "-B", "-m", "pytest", "-x", "-q", "-n0", "-p", "no:cacheprovider", *tests]
            return _fails(command, {"PYTHONPATH": str(self.copy.parent), "CI": "1"})
        finally:
            changed.write_text(kept)


def _fails(command: list[str], environment: dict[str, str]) -> bool:
    try:
        done = subprocess.run(
            command, env=os.environ | environment, capture_output=True, timeout=MOST_SECONDS, check=False, cwd=ROOT
        )
    except subprocess.TimeoutExpired:
        return True
    return done.returncode != 0


def main() -> int:
    """Try a sample; 1 if too many changes go unnoticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("language", choices=["cpp", "py"])
    parser.add_argument("--sample", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "cpp")
    parser.add_argument("--least", type=float, default=0.8)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        judge = Cpp(asked.build.resolve(), Path(folder)) if asked.language == "cpp" else Py(Path(folder))
        every = [(file, mutant) for file in judge.files for mutant in mutants(file.read_text(), judge.language)]
        sample = random.Random(asked.seed).sample(every, min(asked.sample, len(every)))
        killed = 0
        for tried, (file, mutant) in enumerate(sample, 1):
            noticed = judge.noticed(file, mutant)
            killed += noticed
            if not noticed:
                print(f"not noticed: {file.relative_to(ROOT)} {mutant}", flush=True)
            if tried % 10 == 0:
                print(f"{tried} tried, {killed} noticed", flush=True)
    print(f"{killed} of {len(sample)} noticed ({killed / len(sample):.0%}); {len(every):,} changes are possible")
    return 0 if killed >= asked.least * len(sample) else 1


if __name__ == "__main__":
    sys.exit(main())
