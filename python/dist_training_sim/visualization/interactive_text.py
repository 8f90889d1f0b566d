"""Texts of an interactive figure: titles, labels beside data, and the keys of legends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .interactive_axes import axis_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["annotations_of"]

_MOST = 400
_PX_PER_PT = 80 / 72


def _literal(text: str) -> str:
    """Text that Plotly shows as it is: it reads a little HTML."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", "<br>")


def _look(text: Any) -> dict[str, Any]:
    from matplotlib.colors import to_hex

    shown = _literal(text.get_text())
    bold = text.get_fontweight() in ("bold", 700)
    return {
        "text": f"<b>{shown}</b>" if bold else shown,
        "showarrow": False,
        "align": text.get_horizontalalignment(),
        "font": {"size": text.get_fontsize() * _PX_PER_PT, "color": to_hex(text.get_color())},
    }


def _placed(figure: Figure, text: Any) -> dict[str, Any]:
    """A text at its place on the page, for titles, notes and legends."""
    extent, side = text.get_window_extent(), text.get_horizontalalignment()
    x = {"left": extent.x0, "right": extent.x1}.get(side, (extent.x0 + extent.x1) / 2)
    place = figure.transFigure.inverted().transform((x, (extent.y0 + extent.y1) / 2))
    return {
        **_look(text),
        "x": float(place[0]),
        "y": float(place[1]),
        "xref": "paper",
        "yref": "paper",
        "xanchor": side,  # letters of a browser are wider or narrower than those of the page
        "yanchor": "middle",
    }


def _at_data(axes: Axes, text: Any, number: int) -> dict[str, Any]:
    """A text that stays beside its data when the reader zooms."""
    extent = text.get_window_extent()
    x, y = axes.transData.inverted().transform(((extent.x0 + extent.x1) / 2, (extent.y0 + extent.y1) / 2))
    x = float(np.log10(x)) if axes.get_xscale() == "log" else float(x)
    y = float(np.log10(y)) if axes.get_yscale() == "log" else float(y)
    first, second = axis_names(number)
    return {**_look(text), "x": x, "y": y, "xref": first, "yref": second, "xanchor": "center", "yanchor": "middle"}


def _inside(axes: Axes, text: Any) -> bool:
    extent, box = text.get_window_extent(), axes.get_window_extent()
    return bool(box.x0 <= (extent.x0 + extent.x1) / 2 <= box.x1 and box.y0 <= (extent.y0 + extent.y1) / 2 <= box.y1)


def _legend(figure: Figure) -> list[dict[str, Any]]:
    """Legends of the figure: a coloured square before each name."""
    from matplotlib.colors import to_hex

    found = []
    for legend in figure.legends:
        for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=True):
            face = handle.get_facecolor() if hasattr(handle, "get_facecolor") else handle.get_color()  # type: ignore[union-attr]
            key = f'<span style="color:{to_hex(face)}">&#9632;</span> '
            found.append({**_placed(figure, text), "text": key + _literal(text.get_text())})
    return found


def annotations_of(figure: Figure, panels: list[Axes]) -> list[dict[str, Any]]:
    """Every text of a figure but those of axes."""
    found = [_placed(figure, text) for text in figure.texts if text.get_text()]
    for number, axes in enumerate(panels, 1):
        for text in (axes.title, axes._left_title):  # type: ignore[attr-defined]
            if text.get_text():
                found.append(_placed(figure, text))
        for text in axes.texts[:_MOST]:
            if text.get_text():
                found.append(_at_data(axes, text, number) if _inside(axes, text) else _placed(figure, text))
    return [*found, *_legend(figure)]
