"""Writing a figure: the format follows from the suffix, and a file is either whole or not there."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._files import is_folder, write_whole
from ..errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["figure_html", "figure_svg", "save_figure"]

# Metadata per suffix: no dates, so that equal figures give equal files.
_METADATA: dict[str, dict[str, Any]] = {
    ".png": {},
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None},
    ".html": {"Date": None},
}
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>body {{ margin: 0; background: {background}; }} svg {{ display: block; margin: auto; max-width: 100%;
height: auto; }}</style></head><body>
{picture}
</body></html>
"""


def _is_plotly(figure: object) -> bool:
    return type(figure).__module__.startswith("plotly.")


def _checked(figure: object, path: str | os.PathLike[str]) -> Path:
    from matplotlib.figure import Figure

    if not isinstance(figure, Figure) and not _is_plotly(figure):
        raise ConfigError(f"fig: got {type(figure).__name__}, expected a figure of Visualizer")
    target = Path(path)
    known = [".html"] if _is_plotly(figure) else list(_METADATA)
    if target.suffix.lower() not in known:
        fix = "; an interactive figure is a page" if _is_plotly(figure) else ""
        raise ConfigError(f"path: got {target.name!r}, expected a name that ends in {' or '.join(known)}{fix}")
    if not is_folder(target.parent):
        raise ConfigError(f"path: got {str(target)!r}, expected a file in an existing folder; create {target.parent}")
    return target


def figure_svg(figure: Figure, *, salt: str = "", text: bool = False) -> str:
    """The figure as an SVG element, equal for equal figures.

    Figures of one page need different salts, so that their ids differ. With `text` letters stay text, not outlines.
    """
    from matplotlib import rc_context

    buffer = io.BytesIO()
    with rc_context({"svg.hashsalt": f"dist_training_sim{salt}", "svg.fonttype": "none" if text else "path"}):
        figure.savefig(buffer, format="svg", metadata=_METADATA[".svg"])
    drawing = buffer.getvalue().decode("utf-8")
    return drawing[drawing.index("<svg") :]


def figure_html(figure: Any) -> str:
    """A page with the figure that needs no network: an SVG, or Plotly with its script inside."""
    if _is_plotly(figure):
        look = {"displaylogo": False}
        return str(figure.to_html(include_plotlyjs=True, full_html=True, div_id="figure", config=look))
    from matplotlib.colors import to_hex

    return _PAGE.format(title="figure", background=to_hex(figure.get_facecolor()), picture=figure_svg(figure))


def _content(figure: Any, suffix: str) -> bytes:
    if suffix == ".html":
        return figure_html(figure).encode("utf-8")
    from matplotlib import rc_context

    buffer = io.BytesIO()
    with rc_context({"svg.hashsalt": "dist_training_sim"}):
        figure.savefig(buffer, format=suffix[1:], metadata=_METADATA[suffix])
    return buffer.getvalue()


def save_figure(fig: Figure, path: str | os.PathLike[str]) -> Path:
    """Write `fig` to `path`; see `Visualizer.save_figure`."""
    target = _checked(fig, path)
    return write_whole(target, _content(fig, target.suffix.lower()))
