"""Results of `make bench` as one table: for the terminal, and as Markdown for the documentation."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np
from rows import REFERENCES, ROWS, SERIES, Row, Series

HEADS = ("work", "measured", "target", "reference", "times as fast", "peak memory", "noise")
Entry = dict[str, Any]  # seconds, count, noise, peak_bytes, extra


def of_google(report: dict[str, Any], peak_bytes: float) -> Entry:
    """Entry of a Google Benchmark's report of one benchmark, repetition by repetition."""
    runs = [run for run in report["benchmarks"] if run["run_type"] == "iteration"]
    scale = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}[runs[0]["time_unit"]]
    times = [run["cpu_time"] * scale for run in runs]
    # Work a second by the same clock: count is that of one iteration.
    count = round(runs[0].get("items_per_second", 0) * times[0])
    return _entry(min(times), median(times), count, peak_bytes, {})


def of_pytest(benchmark: dict[str, Any], peak_bytes: float) -> Entry:
    """Entry of one benchmark of pytest-benchmark's report."""
    stats, extra = benchmark["stats"], dict(benchmark["extra_info"])
    return _entry(stats["min"], stats["median"], extra.pop("count", 0), peak_bytes, extra)


def _entry(least: float, middle: float, count: int, peak_bytes: float, extra: dict[str, Any]) -> Entry:
    return {"seconds": least, "count": count, "noise": middle / least - 1, "peak_bytes": peak_bytes, "extra": extra}


def value(row: Row, found: Entry) -> float:
    """What the row states, in its unit."""
    return float(found["count"] / found["seconds"] if row.is_rate else found["seconds"])


def ratio(row: Row, mine: float, other: float) -> float:
    """How many times as fast."""
    return mine / other if row.is_rate else other / mine


def exponent(series: Series, entries: Sequence[Entry]) -> float:
    """Power of the size that the cost grows with: least squares on logarithms."""
    points = [(e["extra"]["x"], e["seconds"]) for e in entries if e["extra"]["x"] >= series.above]
    sizes, seconds = np.log(np.array(points)).T
    return float(np.polyfit(sizes, seconds, 1)[0])


def number(amount: float) -> str:
    """Two significant digits, three from 100; millions as M."""
    if amount >= 1e9:
        return f"{amount / 1e9:.3g} G"
    if amount >= 1e6:
        return f"{amount / 1e6:.3g} M"
    return f"{float(f'{amount:.3g}'):,.0f}" if amount >= 100 else f"{amount:.2g}"


def quantity(amount: float, unit: str) -> str:
    """Readable amount."""
    if unit != "s":
        return f"{number(amount)} {unit}"
    scale, name = next(each for each in ((1, "s"), (1e-3, "ms"), (1e-6, "µs"), (0, "ns")) if amount >= each[0])
    return f"{number(amount / (scale or 1e-9))} {name}"


def size(amount: float) -> str:
    """Readable bytes."""
    return f"{amount / 1e9:.2g} GB" if amount >= 1e9 else f"{amount / 1e6:.0f} MB"


def compared(row: Row, results: dict[str, Any]) -> list[tuple[str, float]]:
    """Name and ratio of every reference of a row."""
    mine, found = value(row, results["rows"][row.key]), []
    for key in row.references:
        name, theirs = _reference(key, results)
        if theirs is not None:
            found.append((f"{name} {figure(theirs, row.unit)}", ratio(row, mine, theirs)))
    return found


def _reference(key: str, results: dict[str, Any]) -> tuple[str, float | None]:
    """Name and value; no value where its row was not measured."""
    if not key.startswith("row:"):
        return REFERENCES[key].name, REFERENCES[key].value
    other = next(row for row in ROWS if row.key == key[4:])
    found = results["rows"].get(other.key)
    return other.short, None if found is None else value(other, found)


def figure(amount: float, unit: str) -> str:
    """A quantity beside others of its unit."""
    return quantity(amount, unit) if unit == "s" else f"{number(amount)}/s"


def line(row: Row, results: dict[str, Any]) -> list[str]:
    """Cells of a row; several references stand below each other."""
    found, others = results["rows"][row.key], compared(row, results)
    target = "" if row.target is None else ("≥ " if row.is_rate else "≤ ") + figure(row.target, row.unit)
    if row.most_bytes is not None:
        target += f", {size(row.most_bytes)}"
    measured = quantity(value(row, found), row.unit)
    if "bytes" in found["extra"]:
        measured += f", {size(found['extra']['bytes'])}"
    names = "\n".join(name for name, _ in others)
    ratios = "\n".join(f"{number(times)} x" for _, times in others)
    return [row.what, measured, target, names, ratios, size(found["peak_bytes"]), f"{found['noise']:.0%}"]


def series_line(series: Series, entries: Sequence[Entry]) -> list[str]:
    """Cells of a series: its exponent."""
    sizes = [e["extra"]["x"] for e in entries]
    what = f"{series.what}: exponent of cost, {max(series.above, min(sizes)):,} to {max(sizes):,} {series.size}"
    noise, peak = (max(e[name] for e in entries) for name in ("noise", "peak_bytes"))
    return [what, f"{exponent(series, entries):.2f}", f"≤ {series.most}", "", "", size(peak), f"{noise:.0%}"]


def lines(results: dict[str, Any]) -> list[list[str]]:
    """Every line of the table."""
    rows = [line(row, results) for row in ROWS if row.key in results["rows"]]
    return rows + [series_line(s, results["series"][s.key]) for s in SERIES if s.key in results["series"]]


def markdown(results: dict[str, Any]) -> str:
    """The table for a page."""
    rows = [" | ".join(cells).replace("\n", "<br>") for cells in (HEADS, *lines(results))]
    return "\n".join(f"| {row} |" for row in rows).replace("\n", "\n|---|--:|--:|---|--:|--:|--:|\n", 1)


def show(results: dict[str, Any]) -> None:
    """The table on the terminal."""
    from rich.console import Console
    from rich.table import Table

    shown = Table(*HEADS, show_lines=False)
    for column in shown.columns[1:3] + shown.columns[4:]:
        column.justify = "right"
    for cells in lines(results):
        shown.add_row(*cells)
    machine = results["machine"]
    console = Console(width=None if sys.stdout.isatty() else 190)
    console.print(shown)
    on = f"{machine['cpu']}, {machine['cores']} cores, load {machine['load']}"
    console.print(f"{on}; CPU seconds, least of several runs")


def progress(done: int | None, of: int, what: str) -> None:
    """One changing line on a terminal."""
    if sys.stderr.isatty():
        text = "" if done is None else f"[{done + 1}/{of}] {what}"
        sys.stderr.write(f"\r\033[K{text[:110]}")
        sys.stderr.flush()
