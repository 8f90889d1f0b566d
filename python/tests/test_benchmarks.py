"""The table of `make bench`: every row names a benchmark, every benchmark has a row, and its arithmetic."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
import results
from rows import REFERENCES, ROWS, SERIES
from table import exponent, markdown, of_google, of_pytest, quantity, value
from where import counted

FOLDER = Path(__file__).parents[2] / "benchmarks"


def python_benchmarks() -> set[str]:
    """`FILE::TEST`, without parameters."""
    return {
        f"{path.name}::{node.name}"
        for path in FOLDER.glob("bench_*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def cpp_benchmarks() -> set[str]:
    """Names without arguments."""
    text = "".join(path.read_text(encoding="utf-8") for path in FOLDER.glob("*.cpp"))
    return {f"cpp:{name}" for name in re.findall(r"^BENCHMARK\((\w+)\)", text, re.MULTILINE)}


def test_rows_and_benchmarks_are_the_same() -> None:
    named = {re.split(r"[\[/]", each.run)[0] for each in (*ROWS, *SERIES)}
    assert named - python_benchmarks() - cpp_benchmarks() == set()
    assert python_benchmarks() - named == set()
    assert cpp_benchmarks() - named <= {"cpp:flow_ring_fused", "cpp:flow_all_to_all"}  # by hand


def test_references_exist_and_are_used() -> None:
    used = {key for row in ROWS for key in row.references}
    rows = {row.key: row for row in ROWS}
    assert {key for key in used if not key.startswith("row:")} == set(REFERENCES)
    for row in ROWS:
        for other in (rows[key[4:]] for key in row.references if key.startswith("row:")):
            assert other.unit == row.unit
            assert other.short
    assert len(rows) + len(SERIES) == len({each.key for each in (*ROWS, *SERIES)})


def pytest_entry(seconds: float, **extra: Any) -> dict[str, Any]:
    return of_pytest({"stats": {"min": seconds, "median": 1.5 * seconds}, "extra_info": extra}, 5e7)


def test_a_rate_and_a_time_are_compared_the_right_way_round() -> None:
    results = {"rows": {"timed": pytest_entry(0.5, count=1000), "folded": pytest_entry(0.001)}, "series": {}}
    table = markdown(results)
    assert "2,000 strategies/s | ≥ 20,000/s | Calculon 271/s<br>llm-analysis 1,950/s<br>SimuMax 13/s" in table
    assert "7.4 x<br>1 x<br>156 x | 50 MB | 50%" in table
    assert "1 ms | ≤ 2 ms | SimuMax (175B) 78 ms | 78 x" in table


def test_a_reference_of_the_same_run_is_left_out_where_it_did_not_run() -> None:
    one = {"rows": {"wall_2": pytest_entry(1.0, count=100)}, "series": {}}
    assert "one thread" not in markdown(one)
    one["rows"]["wall_1"] = pytest_entry(1.9, count=100)
    assert "one thread 53/s | 1.9 x" in markdown(one)


def test_google_benchmark_reports_repetitions() -> None:
    runs = [
        {"run_type": "iteration", "cpu_time": t, "time_unit": "ms", "items_per_second": 1e3 * 50 / t}
        for t in (2.0, 2.2, 4.0)
    ]
    found = of_google({"benchmarks": [*runs, {"run_type": "aggregate"}]}, 1e6)
    assert (found["seconds"], found["count"]) == (0.002, 50)
    assert found["noise"] == pytest.approx(0.1)


@pytest.mark.parametrize("power", [0.0, 1.0, 1.5])
def test_the_exponent_is_that_of_the_sizes_asked_for(power: float) -> None:
    series = next(s for s in SERIES if s.above)
    sizes = (series.above / 4, series.above, 2 * series.above, 8 * series.above)
    entries = [pytest_entry(100 if x < series.above else 3 * x**power, x=x) for x in sizes]
    assert exponent(series, entries) == pytest.approx(power, abs=1e-12)


@pytest.mark.parametrize(
    ("amount", "unit", "text"),
    [
        (2.5, "s", "2.5 s"),
        (0.0123, "s", "12 ms"),
        (3e-6, "s", "3 µs"),
        (4e-8, "s", "40 ns"),
        (123456, "x/s", "123,000 x/s"),
    ],
)
def test_figures_are_short(amount: float, unit: str, text: str) -> None:
    assert quantity(amount, unit) == text


def test_instructions_count_for_the_room_of_their_function() -> None:
    """What a function calls is not its own; clones that compilers make count for the function."""
    rooms = {"dts::a(int)": "step", "dts::b()": "engine"}
    lines = """fl=(1) ???
fn=(1) dts::a(int) [clone .isra.0]
0 5
+2 7
cfn=(2) dts::b()
calls=3 20
* 100
fn=(2)
20 100
fn=(3) std::vector<int>::grow()
30 4
fn=(4) malloc
0 9
fn=(5) dts::unknown()
1 2""".splitlines()
    expected = {"step": 12, "engine": 100, "standard library": 4, "allocation and copying of memory": 9, "rest": 2}
    assert counted(lines, rooms) == expected


def test_pages_show_the_results_that_are_kept() -> None:
    docs = FOLDER.parent / "docs"
    page = (docs / "guide" / "performance.md").read_text(encoding="utf-8")
    found = results.kept()
    assert markdown(found) in page
    readme = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
    for key in ("search", "folded", "expanded_131072", "flow_4096"):
        row = next(row for row in ROWS if row.key == key)
        assert f"| {row.what} | {quantity(value(row, found['rows'][key]), row.unit)} |" in readme


def test_results_are_kept_row_by_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "KEPT", tmp_path / "kept.json")
    for name, rows in (("first", {"a": 1, "b": 2}), ("second", {"b": 3})):
        (tmp_path / name).write_text(json.dumps({"rows": rows, "took_s": len(rows)}))
    assert results.keep([tmp_path / "first"]) == {"rows": {"a": 1, "b": 2}, "took_s": 2}
    assert results.keep([tmp_path / "second"]) == {"rows": {"a": 1, "b": 3}, "took_s": 1} == results.kept()
