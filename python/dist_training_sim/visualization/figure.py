"""A matplotlib figure that shows itself in a notebook without `pyplot`."""

from __future__ import annotations

import io

from matplotlib.figure import Figure

__all__ = ["ShownFigure"]

_NOTEBOOK_DPI = 100


class ShownFigure(Figure):
    """Figure with the picture that Jupyter asks for; in all else a plain `matplotlib.figure.Figure`."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=_NOTEBOOK_DPI, metadata={"Software": None})
        return buffer.getvalue()
