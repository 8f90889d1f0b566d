"""Names beside points: the most important first, and none where it would cover another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .inputs import Floats
from .style import Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["label_points"]

_SIZE_PT, _WIDTH, _HEIGHT = 7.5, 0.62, 1.35  # font size, and width and height of a character in font sizes


def label_points(axes: Axes, theme: Theme, points: Floats, names: Sequence[str], most: int) -> int:
    """Write up to `most` names right of their points (shape (n, 2), in order of importance); return how many.

    Call it once scales and limits are set.
    """
    figure = axes.figure
    per_pt = figure.dpi / 72
    places = axes.transData.transform(points)
    placed: list[tuple[float, float, float, float]] = []
    for (x, y), (at_x, at_y), name in zip(points.tolist(), places.tolist(), names, strict=True):
        width, height = (share * _SIZE_PT * per_pt for share in (_WIDTH * len(name), _HEIGHT))
        spot = _free_spot(at_x, at_y, width, height, per_pt, placed)
        if spot is None or len(placed) >= most:
            continue
        shift, box = spot
        placed.append(box)
        axes.annotate(
            name, (x, y), xytext=shift, textcoords="offset points", fontsize=_SIZE_PT, color=theme.text, va="center",
            ha="left" if shift[0] > 0 else "right", parse_math=False, zorder=5,
        )  # fmt: skip
    return len(placed)


def _free_spot(
    x: float, y: float, width: float, height: float, per_pt: float, placed: list[tuple[float, float, float, float]]
) -> tuple[tuple[float, float], tuple[float, float, float, float]] | None:
    """Shift in points, and box in pixels, of the first place around a point that is still free."""
    for shift in ((7.0, 0.0), (-7.0, 0.0), (7.0, 8.0), (7.0, -8.0), (-7.0, 8.0), (-7.0, -8.0)):
        left = x + shift[0] * per_pt - (width if shift[0] < 0 else 0.0)
        bottom = y + shift[1] * per_pt - height / 2
        box = (left, bottom, left + width, bottom + height)
        if not any(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in placed):
            return shift, box
    return None
