"""Write the tables of published runs and of speed into README.md: `python docs/make_readme.py`."""

from __future__ import annotations

import functools
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
SPEED = ("search", "timed", "folded", "interleaved", "expanded_16384", "expanded_131072", "flow_1024", "flow_4096",
         "perfetto")  # fmt: skip


def published() -> str:
    """The runs of `python/tests/test_published_runs.py`, predicted beside measured."""
    sys.path.insert(0, str(ROOT / "python" / "tests"))
    from test_published_runs import RUNS, predict

    lines = ["| published run | what it exercises | measured | predicted | error |", "|---|---|--:|--:|--:|"]
    for run in RUNS:
        step = predict(run).step_time_s
        error = f"{100 * (step / run.measured_s - 1):+.1f} %"
        source = run.source.partition(",")[0]
        numbers = f"{run.measured_s:#.4g} s | {step:#.4g} s | {error}"
        lines.append(f"| {run.name} ({source}) | {run.kind} | {numbers} |")
    return "\n".join(lines)


def speed() -> str:
    """Rows of the kept results of `make bench`."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    import results
    from rows import ROWS
    from table import compared, number, quantity, size, value

    found = results.kept()
    lines = ["| work, one core | here | others | peak memory |", "|---|--:|---|--:|"]
    for row in (row for row in ROWS if row.key in SPEED):
        others = ", ".join(f"{name} ({number(times)} x)" for name, times in compared(row, found))
        here, peak = quantity(value(row, found["rows"][row.key]), row.unit), size(found["rows"][row.key]["peak_bytes"])
        lines.append(f"| {row.what} | {here} | {others} | {peak} |")
    return "\n".join(lines)


def _filled(marks: tuple[str, str], table: str, _: re.Match[str]) -> str:
    return f"{marks[0]}\n\n{table}\n\n{marks[1]}"


def main() -> None:
    """Replace what stands between the markers."""
    text = README.read_text(encoding="utf-8")
    for name, table in (("published", published()), ("speed", speed())):
        marks = f"<!-- {name}: docs/make_readme.py -->", f"<!-- end of {name} -->"
        between = re.compile(f"{re.escape(marks[0])}.*?{re.escape(marks[1])}", re.DOTALL)
        text = between.sub(functools.partial(_filled, marks, table), text)
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
