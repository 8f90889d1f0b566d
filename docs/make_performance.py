"""Write the results of `make bench` into the guide's page on performance, and draw its figures.

    python docs/make_performance.py [build/bench/results.json] [build/bench/where.json]

Results that are given replace those that are kept in the repository; without any the kept ones are shown anew.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))
import results  # noqa: E402
from likeness import keep  # noqa: E402
from rows import REFERENCES, ROWS, SERIES, Series  # noqa: E402
from table import compared, exponent, markdown, number  # noqa: E402

PAGE = ROOT / "docs" / "guide" / "performance.md"
DPI = 130
LIMIT = "copy "  # the row of that name is a limit, no other way to the same
SHOWN = ("search", "timed", "folded", "interleaved", "expanded_16384", "flow_1024", "flow_ring", "sweep", "perfetto")


def between(text: str, name: str, new: str) -> str:
    """Replace what stands between the markers of that name."""
    marks = f"<!-- {name}: docs/make_performance.py -->", f"<!-- end of {name} -->"
    pattern = re.compile(f"{re.escape(marks[0])}.*?{re.escape(marks[1])}", re.DOTALL)
    return pattern.sub(lambda _: f"{marks[0]}\n\n{new}\n\n{marks[1]}", text)


def machine(found: dict[str, Any]) -> str:
    """What it was measured on."""
    on = found["machine"]
    return f"{on['cpu']}, {on['cores']} cores with a load of {on['load']} before the run, Python {on['python']}."


def references() -> str:
    """The references with their jobs."""
    lines = ["| reference | of | what |", "|---|---|---|"]
    for key, reference in REFERENCES.items():
        rows = ", ".join(f"`{row.key}`" for row in ROWS if key in row.references)
        lines.append(f"| {reference.name} | {rows} | {reference.what} |")
    return "\n".join(lines)


def where(found: dict[str, Any]) -> str:
    """Shares of instructions by room, those above 2 %."""
    works = found.get("where", {})
    names = {row.key: row.what for row in ROWS} | {"expanded": "a step of 405B, 16,384 ranks each at its own pace"}
    lines = ["| work | instructions | by room |", "|---|--:|---|"]
    for work, counts in works.items():
        shares = ", ".join(f"{room} {share:.0%}" for room, share in counts["shares"].items() if share >= 0.02)
        lines.append(f"| {names[work]} | {number(counts['instructions'])} | {shares} |")
    return "\n".join(lines)


def _axes(count: int, height: float) -> tuple[Any, Any]:
    import matplotlib.pyplot as plt
    from dist_training_sim.visualization.style import theme_named

    theme = theme_named("light")
    figure, axes = plt.subplots(1, count, figsize=(10, height), layout="constrained")
    for ax in np.atleast_1d(axes):
        ax.spines[["top", "right"]].set_visible(False)
        ax.spines[["left", "bottom"]].set_color(theme.grid)
        ax.tick_params(colors=theme.muted, labelsize=9)
        ax.grid(True, color=theme.grid, linewidth=0.6)
        ax.set_axisbelow(True)
    return figure, axes


def speed_figure(found: dict[str, Any]) -> Any:
    """How many times as fast as each reference, on a logarithmic axis; the rows of one work stand together."""
    from dist_training_sim.visualization.style import series_colour, theme_named

    theme = theme_named("light")
    groups = [(row.what, [pair for pair in compared(row, found) if not pair[0].startswith(LIMIT)]) for row in ROWS
              if row.key in SHOWN and row.key in found["rows"]]  # fmt: skip
    figure, ax = _axes(1, 0.3 * sum(len(bars) + 0.6 for _, bars in groups) + 0.8)
    ticks, place = [], 0.0
    for _, bars in groups:
        ticks.append(place - (len(bars) - 1) / 2)
        for name, times in bars:
            ax.barh(place, times, color=series_colour(0 if times >= 1 else 1), height=0.8)
            text = f" {number(times)} x {name}"
            ax.annotate(text, (max(times, 1), place), va="center", fontsize=8.5, color=theme.text)
            place -= 1
        place -= 0.6
    ax.axvline(1, color=theme.muted, linewidth=1)
    ax.set(xscale="log", yticks=ticks, xlim=(0.05, 1e6), ylim=(place + 1, 1))
    ax.set_yticklabels([what for what, _ in groups], color=theme.text)
    ax.set_xlabel("times as fast as the reference", color=theme.text)
    ax.grid(False, axis="y")
    ax.tick_params(axis="y", length=0)
    return figure


def growth_figure(found: dict[str, Any]) -> Any:
    """Cost over the size of a job, with the fitted power."""
    from dist_training_sim.visualization.style import series_colour

    figure, axes = _axes(len(SERIES), 3.4)
    for ax, series in zip(axes, SERIES, strict=True):
        _growth(ax, series, found["series"][series.key], series_colour(0), series_colour(1))
    axes[0].set_ylabel("CPU seconds")
    return figure


def _growth(ax: Any, series: Series, entries: list[dict[str, Any]], colour: str, fit: str) -> None:
    sizes = np.array([e["extra"]["x"] for e in entries], dtype=float)
    seconds = np.array([e["seconds"] for e in entries])
    power, fitted = exponent(series, entries), sizes >= series.above
    through = np.exp(np.mean(np.log(seconds[fitted]) - power * np.log(sizes[fitted])))
    ax.plot(sizes, seconds, "o", color=colour, markersize=6)
    ax.plot(sizes[fitted], through * sizes[fitted] ** power, color=fit, linewidth=1.5, label=f"size to the {power:.2f}")
    ax.set(xscale="log", yscale="log", xlabel=series.size)
    ax.set_ylim(min(seconds.min(), 1e-3) / 2, max(seconds.max(), 0.3) * 2)
    ax.set_title(series.what, fontsize=10)
    ax.legend(frameon=False, fontsize=9)


FIGURES = {"speed.png": speed_figure, "growth.png": growth_figure}


def main() -> None:
    """Keep the results, write the page, draw the figures."""
    found = results.keep([Path(name) for name in sys.argv[1:]])
    text = PAGE.read_text(encoding="utf-8")
    for name, new in (
        ("machine", machine(found)),
        ("table", markdown(found)),
        ("references", references()),
        ("where", where(found)),
    ):
        text = between(text, name, new)
    PAGE.write_text(text, encoding="utf-8")
    for file, draw in FIGURES.items():
        keep(draw(found), file, dpi=DPI)


if __name__ == "__main__":
    main()
