"""What stands beside a figure's right edge: figures of lanes, and lines at a device's memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .style import Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["label_margin", "limit_line", "margin_heading"]

_MARGIN_X = 1.008  # of the axes' width


def label_margin(axes: Axes, theme: Theme, y: float, text: str) -> None:
    """Write `text` beside the lane at `y`, in units of the axes."""
    axes.text(_MARGIN_X, y, text, transform=axes.get_yaxis_transform(), va="center", fontsize=7.5, color=theme.muted)


def margin_heading(axes: Axes, theme: Theme, text: str) -> None:
    """Write what the labels of the margin mean above them."""
    axes.annotate(
        text,
        (_MARGIN_X, 1),
        xycoords="axes fraction",
        xytext=(0, 5),
        textcoords="offset points",
        fontsize=7.5,
        color=theme.muted,
        va="bottom",
    )


def limit_line(axes: Axes, theme: Theme, y: float, text: str) -> None:
    """Draw a dashed line across at `y`, with `text` beside its end."""
    axes.axhline(y, color=theme.text, linestyle="--", linewidth=1.2)
    axes.annotate(
        text,
        (1, y),
        ha="left",
        va="center",
        fontsize=8,
        xycoords=("axes fraction", "data"),
        xytext=(3, 0),
        textcoords="offset points",
        color=theme.text,
    )
