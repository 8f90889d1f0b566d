"""Names beside points: the most important first, and none where it would cover another name or a point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .inputs import Floats
from .style import Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["label_points"]

_SIZE_PT, _WIDTH, _HEIGHT = 7.5, 0.56, 1.3  # font size, and width and height of a character in font sizes
_GAP_PT = 3.5
_SIDES = tuple((side, rise) for rise in (0.0, 1.0, -1.0, 2.0, -2.0) for side in (1, -1))  # rise in label heights


def label_points(
    axes: Axes,
    theme: Theme,
    points: Floats,
    names: Sequence[str],
    most: int,
    radii_pt: Floats | float = 3.5,
    lines: Floats | None = None,
) -> int:
    """Write up to `most` names beside their points (shape (n, 2), in order of importance); return how many.

    Names avoid the polyline `lines` too. Call it last: scales, limits and every other text have to be set.
    """
    from matplotlib.patheffects import withStroke

    figure = axes.figure
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)  # type: ignore[arg-type]
    per_pt = figure.dpi / 72
    places = axes.transData.transform(points)
    radii = np.broadcast_to(radii_pt, len(points)) * per_pt
    drawn = np.concatenate([places - radii[:, None], places + radii[:, None]], axis=1)
    taken = np.array([text.get_window_extent().extents for text in axes.texts if text.get_text()]).reshape(-1, 4)
    if lines is not None:
        taken = np.concatenate([taken, _dots(axes.transData.transform(lines))])
    done = 0
    for i, name in enumerate(names):
        size = np.array([_WIDTH * len(name), _HEIGHT]) * _SIZE_PT * per_pt
        others = np.concatenate([np.delete(drawn, i, axis=0), taken])
        box = _free_box(places[i], radii[i] + _GAP_PT * per_pt, size, others, np.array(axes.bbox.extents))
        if box is None or done >= most:
            continue
        taken = np.concatenate([taken, box[None]])
        left = box[0] > places[i, 0]
        shift = ((box[0] if left else box[2]) - places[i, 0], (box[1] + box[3]) / 2 - places[i, 1])
        written = axes.annotate(
            name, points[i], xytext=(shift[0] / per_pt, shift[1] / per_pt), textcoords="offset points",
            fontsize=_SIZE_PT, color=theme.text,
            va="center", ha="left" if left else "right", parse_math=False, zorder=5,
        )  # fmt: skip
        written.set_path_effects([withStroke(linewidth=2.0, foreground=theme.background)])  # over lines and grid
        done += 1
    return done


def _dots(line: Floats) -> Floats:
    """A polyline as boxes without size, close together."""
    along = np.linspace(0, len(line) - 1, 60 * len(line))
    at = np.stack([np.interp(along, np.arange(len(line)), line[:, i]) for i in (0, 1)], axis=1)
    return np.concatenate([at, at], axis=1)


def _free_box(at: Floats, away: float, size: Floats, others: Floats, frame: Floats) -> Floats | None:
    """Box in pixels of the first place around a point that is free and inside the frame."""
    for side, rise in _SIDES:
        near = away if abs(rise) < 2 else 0.0
        left = at[0] + near if side > 0 else at[0] - near - size[0]
        middle = at[1] + rise * (size[1] if abs(rise) < 2 else size[1] / 2 + away / 2)
        box: Floats = np.array([left, middle - size[1] / 2, left + size[0], middle + size[1] / 2])
        inside = frame[0] <= box[0] and box[2] <= frame[2] and frame[1] <= box[1] and box[3] <= frame[3]
        apart = (others[:, 2:] <= box[:2]) | (box[2:] <= others[:, :2])  # along x, along y
        if inside and apart.any(axis=1).all():
            return box
    return None
