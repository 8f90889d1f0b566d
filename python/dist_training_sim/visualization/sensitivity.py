"""Tornado: what each change does to a result, the largest effects on top."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConfigError, Problems
from .canvas import add_legend, add_title, dress, format_axis, new_figure, plain
from .inputs import Floats
from .style import KINDS, Theme
from .values import value_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["sensitivity"]

_MOST = 20
_NOTHING = 1e-9  # of the base: no effect
_BETTER, _WORSE = KINDS["forward"][0], KINDS["all_reduce"][0]


def _values(problems: Problems, name: object, given: object) -> list[float]:
    """One or two positive numbers of a change, or none."""
    values = [given] if isinstance(given, Real) else list(given) if isinstance(given, Iterable) else []
    if not 1 <= len(values) <= 2:
        problems.add(f"effects[{name!r}]", given, "one number or a pair (low, high)")
        return []
    numbers = [_number(value) for value in values]
    good = [problems.positive(f"effects[{name!r}]", number) for number in numbers]
    return numbers if all(good) else []


def _read(base: object, effects: object) -> tuple[list[str], Floats]:
    """Names, and for each the lowest and highest value, largest span first."""
    if not isinstance(effects, Mapping) or not effects:
        got = "an empty mapping" if isinstance(effects, Mapping) else type(effects).__name__
        raise ConfigError(f"effects: got {got}, expected a mapping of changes to a value or to (low, high)")
    problems = Problems()
    middle = _number(base)
    problems.positive("base", base)
    rows = {str(name): _values(problems, name, given) for name, given in effects.items()}
    problems.raise_if_any()
    ends = [values if len(values) == 2 else [*values, middle] for values in rows.values()]
    spans = np.array([[min(pair), max(pair)] for pair in ends])
    order = np.argsort(spans[:, 0] - spans[:, 1], kind="stable")
    return [list(rows)[i] for i in order], spans[order]


def _number(value: object) -> float:
    return float(value) if isinstance(value, Real) and not isinstance(value, bool) else float("nan")


def _draw(axes: Axes, theme: Theme, base: float, spans: Floats, unit: str, higher_is_better: bool) -> None:
    rows = np.arange(len(spans))
    low, high = (_WORSE, _BETTER) if higher_is_better else (_BETTER, _WORSE)
    for column, colour in ((0, low), (1, high)):
        ends = np.maximum(spans[:, 1], base) if column else np.minimum(spans[:, 0], base)
        axes.barh(rows, ends - base, left=base, height=0.66, color=colour)
        for row, end in zip(rows.tolist(), ends.tolist(), strict=True):
            if abs(end - base) > _NOTHING * base:
                axes.annotate(
                    f"{end / base - 1:+.{1 if abs(end - base) >= 1e-3 * base else 2}%}",
                    (end, row),
                    xytext=(4 if column else -4, 0),
                    va="center",
                    textcoords="offset points",
                    ha="left" if column else "right",
                    fontsize=8,
                    color=theme.text,
                )
    axes.axvline(base, color=theme.text, linewidth=1.2)


def sensitivity(
    theme: Theme,
    base: float,
    effects: Mapping[str, object],
    *,
    title: str | None = None,
    quantity: str = "Step time",
    unit: str = "s",
    higher_is_better: bool = False,
) -> Figure:
    """Draw a tornado; see `Visualizer.plot_sensitivity`."""
    from matplotlib.patches import Patch

    names, spans = _read(base, effects)
    some = max(1, int((spans[:, 1] - spans[:, 0] > _NOTHING * base).sum()))
    without, skipped = len(names) - some, max(some - _MOST, 0)
    names, spans = names[: min(some, _MOST)], spans[: min(some, _MOST)]
    figure = new_figure(theme, 9.5, 1.9 + 0.34 * len(names))
    axes = figure.add_subplot()
    dress(axes, theme, grid="x", x_label=quantity)
    _draw(axes, theme, float(base), spans, unit, higher_is_better)
    axes.set_yticks(range(len(names)), names)
    plain(axes.get_yticklabels())
    axes.set_ylim(len(names) - 0.4, -0.6)
    reach = max(float(spans.max()) - base, base - float(spans.min()), 1e-3 * base)
    axes.set_xlim(min(float(spans.min()), base) - 0.18 * reach, max(float(spans.max()), base) + 0.18 * reach)
    format_axis(axes, "x", lambda value: value_text(value, unit))
    add_legend(figure, theme, [Patch(facecolor=_BETTER, label="better"), Patch(facecolor=_WORSE, label="worse")])
    best = spans[:, 1].max() if higher_is_better else spans[:, 0].min()
    heading = f"{quantity}: {names[0]} matters most" if best != base else f"{quantity}: nothing helps"
    note = f"base {value_text(float(base), unit)}" + (f"; {skipped} smaller effects left out" if skipped else "")
    note += f"; {without} without effect left out" if without else ""
    add_title(axes, theme, title or heading, note)
    return figure
