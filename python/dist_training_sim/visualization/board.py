"""What every group of figures shares: the theme, and whether figures are for paper or for a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ConfigError
from .style import theme_named

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Board"]


class Board:
    """Theme and kind of the figures; see `Visualizer`."""

    def __init__(self, theme: str = "light", *, interactive: bool = False) -> None:
        self._theme = theme_named(theme)
        if not isinstance(interactive, bool):
            raise ConfigError(f"interactive: got {interactive!r}, expected True or False")
        self._interactive = interactive

    def _shown(self, figure: Figure) -> Figure:
        """The figure itself, or its Plotly form."""
        if not self._interactive:
            return figure
        from .interactive import to_plotly

        interactive: Figure = to_plotly(figure)
        return interactive

    def __repr__(self) -> str:
        return f"Visualizer({self._theme.name!r}{', interactive=True' if self._interactive else ''})"
