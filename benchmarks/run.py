"""`make bench`: measure every row of rows.py in a process of its own, print one table, write the results as JSON.

    python benchmarks/run.py [--quick] [--only KEY ...] [--cpp build/bench/benchmarks/dts_benchmarks] [--out FILE]

Times are CPU seconds, least of several runs, so that other work on the machine counts little; noise is what the median
lies above the least. Peak memory is that of the row's process, interpreter included.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import table
from rows import ROWS, SERIES, Row

HERE = Path(__file__).parent
ROOT = HERE.parent
QUICK = {"repetitions": 3, "seconds": 0.3}
FULL = {"repetitions": 5, "seconds": 1.5}


def run_process(command: list[str], environment: dict[str, str]) -> float:
    """Run to the end; peak resident bytes. Output appears only where it fails."""
    with tempfile.TemporaryFile() as said:
        redirect = [(os.POSIX_SPAWN_DUP2, said.fileno(), 1), (os.POSIX_SPAWN_DUP2, said.fileno(), 2)]
        child = os.posix_spawn(command[0], command, environment, file_actions=redirect)
        _, status, used = os.wait4(child, 0)
        if status:
            said.seek(0)
            raise RuntimeError(f"{' '.join(command)} failed:\n{said.read().decode(errors='replace')}")
    return used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measure_cpp(program: Path, name: str, effort: dict[str, float], out: Path) -> list[dict[str, Any]]:
    """A Google Benchmark: one entry."""
    command = [str(program), f"--benchmark_filter=^{name}$", f"--benchmark_out={out}", "--benchmark_out_format=json",
               f"--benchmark_repetitions={effort['repetitions']:.0f}",
               f"--benchmark_min_time={effort['seconds'] / effort['repetitions']}s"]  # fmt: skip
    peak_bytes = run_process(command, dict(os.environ))
    return [table.of_google(json.loads(out.read_text()), peak_bytes)]


def measure_python(test: str, effort: dict[str, float], out: Path) -> list[dict[str, Any]]:
    """A test of pytest-benchmark: an entry per parameter."""
    options = [f"--benchmark-json={out}", "--benchmark-only", "--benchmark-timer=time.process_time",
               f"--benchmark-min-rounds={effort['repetitions']}", f"--benchmark-max-time={effort['seconds']}",
               "--benchmark-min-time=0.01", "--benchmark-warmup=off", "-p", "no:cacheprovider"]  # fmt: skip
    command = [sys.executable, "-m", "pytest", str(HERE / test), "--rootdir", str(ROOT), *options]
    peak_bytes = run_process(command, dict(os.environ))
    return [table.of_pytest(entry, peak_bytes) for entry in json.loads(out.read_text())["benchmarks"]]


def measure(run: str, program: Path, effort: dict[str, float]) -> list[dict[str, Any]]:
    """Entries of one benchmark."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.json"
        kind, _, name = run.partition(":")
        return measure_cpp(program, name, effort, out) if kind == "cpp" else measure_python(run, effort, out)


def chosen(options: argparse.Namespace) -> tuple[list[Row], list[Any]]:
    """Rows and series to run."""
    keep = [row for row in ROWS if (row.key in options.only if options.only else row.quick or not options.quick)]
    series = [s for s in SERIES if (s.key in options.only if options.only else not options.quick)]
    unknown = set(options.only) - {each.key for each in (*ROWS, *SERIES)}
    if unknown:
        sys.exit(f"--only: got {', '.join(sorted(unknown))}, expected keys of benchmarks/rows.py")
    return keep, series


def idle() -> bool:
    """Whether nothing else needs the cores."""
    return os.getloadavg()[0] < 0.5


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        name = models[0].partition(":")[2].strip() if models else name
    load = round(os.getloadavg()[0], 1)
    return {"cpu": name, "cores": os.cpu_count(), "load": load, "python": platform.python_version()}


def write(results: dict[str, Any], out: Path) -> None:
    """Row by row, so that a run that is stopped leaves what it has."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="the main rows, about a minute")
    parser.add_argument("--only", nargs="*", default=(), metavar="KEY", help="rows of benchmarks/rows.py by key")
    parser.add_argument("--cpp", type=Path, default=ROOT / "build" / "bench" / "benchmarks" / "dts_benchmarks")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench" / "results.json")
    options = parser.parse_args()
    rows, series = chosen(options)
    busy = [] if idle() else [row for row in rows if row.idle and row.key not in options.only]
    rows = [row for row in rows if row not in busy]
    effort, start = (QUICK if options.quick else FULL), time.perf_counter()
    results: dict[str, Any] = {"machine": machine(), "rows": {}, "series": {}}
    failures = []
    for done, each in enumerate([*rows, *series]):
        table.progress(done, len(rows) + len(series), each.what)
        try:
            entries = measure(each.run, options.cpp, effort)
        except RuntimeError as error:
            failures.append(str(error))
            continue
        if isinstance(each, Row):
            results["rows"][each.key] = entries[0]
        else:
            results["series"][each.key] = entries
        write(results, options.out)
    table.progress(None, 0, "")
    results["took_s"] = round(time.perf_counter() - start)
    write(results, options.out)
    table.show(results)
    for row in busy:
        print(f"left out, for wall time needs an idle machine: {row.what}")
    print(f"{results['took_s']} s; written to {options.out}")
    print("".join(failures), file=sys.stderr, end="")
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
