"""How much of the links a step takes over time, tier by tier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigError
from .canvas import add_legend, add_title, dress, new_figure
from .style import KINDS, Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["link_use"]


def link_use(theme: Theme, links: Any, *, title: str | None = None) -> Figure:
    """Draw one panel per tier; see `Visualizer.plot_link_use`."""
    from ..network.step_links import StepLinks

    if not isinstance(links, StepLinks):
        raise ConfigError(f"links: got {type(links).__name__}, expected the `links` of a Result")
    tiers = _by_tier(links)
    if not tiers or links.shares.shape[1] == 0:
        raise ConfigError("links: got no intervals, expected a step followed over time; give link_intervals=100, say")
    figure = new_figure(theme, 10.0, 1.4 + 1.7 * len(tiers))
    panels = figure.subplots(len(tiers), 1, sharex=True, squeeze=False)[:, 0]
    scale, unit = (1.0, "s") if links.edges_s[-1] >= 1 else (1e-3, "ms")
    for axes, (tier, shares) in zip(panels, tiers.items(), strict=True):
        last = axes is panels[-1]
        x_label = f"Time into the step ({unit})" if last else ""
        dress(axes, theme, grid="y", x_label=x_label, y_label=f"{tier}\n% of bandwidth")
        _draw_tier(axes, links.edges_s / scale, shares)
    panels[0].set_xlim(0, links.edges_s[-1] / scale)
    add_legend(figure, theme, _handles())
    add_title(panels[0], theme, title or "Links over the step")
    return figure


_BUSIEST, _MEAN = KINDS["all_gather"][0], KINDS["forward"][0]


def _by_tier(links: Any) -> dict[str, Any]:
    from ..network.step_links import TIERS

    def of(prefix: str) -> list[int]:
        return [i for i, name in enumerate(links.names) if name.startswith(prefix)]

    rows = {tier: of(prefix) for prefix, tier in TIERS.items()}
    return {f"{tier} ({len(at):,})": links.shares[at] for tier, at in rows.items() if at}


def _draw_tier(axes: Axes, edges: Any, shares: Any) -> None:
    """The busiest link of each interval as an area, the mean of all links as a line."""
    busiest, mean = 100 * shares.max(axis=0), 100 * shares.mean(axis=0)
    axes.stairs(busiest, edges, fill=True, color=_BUSIEST, alpha=0.55)
    axes.stairs(mean, edges, color=_MEAN, linewidth=1.4, baseline=None)
    axes.set_ylim(0, max(5.0, 1.08 * float(np.max(busiest, initial=0.0))))


def _handles() -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    mean = Line2D([], [], color=_MEAN, label="Mean of all links")
    return [Patch(facecolor=_BUSIEST, alpha=0.55, label="Busiest link"), mean]
