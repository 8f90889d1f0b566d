"""Write the results of `make bench` into the guide's page on performance, and draw its figures.

    python docs/make_performance.py [build/bench/results.json]

Without a file the results that are kept in the repository are shown anew; with one they replace those.
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
from rows import REFERENCES, ROWS, SERIES, Series  # noqa: E402
from table import compared, exponent, markdown, number  # noqa: E402

PAGE = ROOT / "docs" / "guide" / "performance.md"
IMAGES = ROOT / "docs" / "img"
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


def speed_figure(found: dict[str, Any]) -> None:
    """How many times as fast as each reference, on a logarithmic axis."""
    from dist_training_sim.visualization.style import series_colour

    bars = []
    for row in (row for row in ROWS if row.key in SHOWN):
        bars += [
            (f"{row.what}\nbeside {name}", float(text[:-2].replace(",", ""))) for name, text in compared(row, found)
        ]
    figure, ax = _axes(1, 0.42 * len(bars) + 0.8)
    names, ratios = zip(*reversed(bars), strict=True)
    ax.barh(names, ratios, color=[series_colour(0 if r >= 1 else 1) for r in ratios], height=0.6)
    for i, r in enumerate(ratios):
        ax.annotate(f" {number(r)} x", (max(r, 1), i), va="center", fontsize=9)
    ax.axvline(1, color="#59636E", linewidth=1)
    ax.set(xscale="log", xlabel="times as fast as the reference")
    ax.grid(False, axis="y")
    ax.tick_params(axis="y", labelsize=8)
    figure.savefig(IMAGES / "speed.png", dpi=130)


def growth_figure(found: dict[str, Any]) -> None:
    """Cost over the size of a job, with the fitted power."""
    from dist_training_sim.visualization.style import series_colour

    figure, axes = _axes(len(SERIES), 3.4)
    for ax, series in zip(axes, SERIES, strict=True):
        _growth(ax, series, found["series"][series.key], series_colour(0), series_colour(1))
    axes[0].set_ylabel("CPU seconds")
    figure.savefig(IMAGES / "growth.png", dpi=130)


def _growth(ax: Any, series: Series, entries: list[dict[str, Any]], colour: str, fit: str) -> None:
    sizes = np.array([e["extra"]["x"] for e in entries], dtype=float)
    seconds = np.array([e["seconds"] for e in entries])
    power, fitted = exponent(series, entries), sizes >= series.above
    through = np.exp(np.mean(np.log(seconds[fitted]) - power * np.log(sizes[fitted])))
    ax.plot(sizes, seconds, "o", color=colour, markersize=6)
    ax.plot(sizes[fitted], through * sizes[fitted] ** power, color=fit, linewidth=1.5, label=f"size to the {power:.2f}")
    ax.set(xscale="log", yscale="log", xlabel=series.size)
    ax.set_ylim(seconds.min() / 3, seconds.max() * 3)
    ax.set_title(series.what, fontsize=10)
    ax.legend(frameon=False, fontsize=9)


def main() -> None:
    """Keep the results, write the page, draw the figures."""
    found = results.keep(Path(sys.argv[1])) if len(sys.argv) > 1 else results.kept()
    text = PAGE.read_text(encoding="utf-8")
    for name, new in (("machine", machine(found)), ("table", markdown(found)), ("references", references())):
        text = between(text, name, new)
    PAGE.write_text(text, encoding="utf-8")
    speed_figure(found)
    growth_figure(found)


if __name__ == "__main__":
    main()
