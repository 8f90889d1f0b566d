"""Import time of the package over that of NumPy: `python benchmarks/import_time.py [--runs 15] [--gate]`.

Each run is a fresh interpreter that imports NumPy, then the package, and prints both wall times; the medians are
compared, so caches of the operating system are warm. `--gate` exits with 1 when the package costs more than 50 ms.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

LIMIT_MS = 50.0
CODE = """
import time
a = time.perf_counter(); import numpy
b = time.perf_counter(); import dist_training_sim
c = time.perf_counter(); print((b - a) * 1e3, (c - b) * 1e3)
"""


def import_ms() -> tuple[float, float]:
    """Milliseconds of importing NumPy, and of importing the package after it."""
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    numpy_ms, package_ms = map(float, done.stdout.split())
    return numpy_ms, package_ms


def main() -> int:
    """Print the medians and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--gate", action="store_true")
    options = parser.parse_args()
    import_ms()  # fills the caches
    runs = [import_ms() for _ in range(options.runs)]
    numpy_ms, package_ms = (statistics.median(column) for column in zip(*runs, strict=True))
    sys.stdout.write(
        f"numpy {numpy_ms:.1f} ms, dist_training_sim {package_ms:.1f} ms over it "
        f"({package_ms / numpy_ms:.2f} of NumPy's), limit {LIMIT_MS:.0f} ms, {options.runs} runs\n"
    )
    return int(options.gate and package_ms > LIMIT_MS)


if __name__ == "__main__":
    raise SystemExit(main())
