"""The same figure for a browser: matplotlib artists become Plotly traces that zoom, pan and tell what they are.

Only what this package draws is translated: lines, bars, boxes, points, bands, arrows, images, texts and axes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import MissingDataError
from ..units import format_bytes
from .hover import hover_of
from .interactive_axes import axis_names, lay_out_axes
from .interactive_text import annotations_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["to_plotly"]

_PX_PER_IN = 80
_NO_HOVER = {"hoverinfo": "skip"}
_CORNERS = 5  # of a square marker, closed
_TOLD_CELLS = 128 * 128


def to_plotly(figure: Figure) -> Any:
    """Plotly figure of a matplotlib figure of this package.

    Raises
    ------
    MissingDataError
        If Plotly is not installed.
    """
    try:
        import plotly.graph_objects as go
    except ImportError:
        raise MissingDataError(
            "plotly: got no such package, expected it for interactive=True; "
            "pip install 'dist-training-sim[interactive]'"
        ) from None
    figure.canvas.draw()  # settles ticks, limits and places
    width, height = figure.get_size_inches() * _PX_PER_IN
    drawn = go.Figure()
    panels = [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]
    for number, axes in enumerate(panels, 1):
        for trace in _traces(axes):
            x, y = axis_names(number)
            listed = axes.get_legend() is not None and trace.get("showlegend", False)
            drawn.add_trace({**trace, "xaxis": x, "yaxis": y, "showlegend": listed})
    drawn.update_layout(
        width=round(float(width)),
        height=round(float(height)),
        autosize=False,
        dragmode="pan",
        modebar={"orientation": "v", "bgcolor": "rgba(0,0,0,0)"},
        **lay_out_axes(figure, panels),
        annotations=annotations_of(figure, panels),
    )
    return drawn


def _rgba(colour: Any, alpha: float | None = None) -> str:
    from matplotlib.colors import to_rgba

    red, green, blue, own = to_rgba(colour)
    share = own if alpha is None else alpha
    return f"rgba({red * 255:.0f},{green * 255:.0f},{blue * 255:.0f},{share:.3f})"


def _traces(axes: Axes) -> list[dict[str, Any]]:
    from matplotlib.collections import LineCollection, PathCollection, PolyCollection
    from matplotlib.patches import FancyArrowPatch, Rectangle

    found: list[tuple[float, list[dict[str, Any]]]] = []
    for artist in axes.get_children():
        if artist is axes.patch or not artist.get_visible():
            continue
        if isinstance(artist, PathCollection):
            traces = _points(artist)
        elif isinstance(artist, PolyCollection):
            traces = _polygons(artist)
        elif isinstance(artist, LineCollection):
            traces = _segments(artist)
        elif isinstance(artist, FancyArrowPatch):
            traces = _arrow(artist, axes)
        elif isinstance(artist, Rectangle):
            traces = _bars(artist, axes)
        else:
            continue
        found.append((artist.get_zorder(), traces))
    found += [(line.get_zorder(), _line(line, axes)) for line in axes.get_lines()]
    found += [(image.get_zorder(), _image(image)) for image in axes.images]
    return [trace for _, traces in sorted(found, key=lambda item: item[0]) for trace in traces]


def _name(artist: Any) -> dict[str, Any]:
    label = str(artist.get_label())
    return {"name": label, "showlegend": True} if label and not label.startswith("_") else {"showlegend": False}


def _told(artist: Any) -> dict[str, Any]:
    texts = hover_of(artist)
    return {"hovertext": texts, "hoverinfo": "text"} if texts else dict(_NO_HOVER)


def _points(artist: Any) -> list[dict[str, Any]]:
    places = np.asarray(artist.get_offsets())
    if not len(places):
        return []
    size = np.sqrt(np.broadcast_to(artist.get_sizes(), len(places))) * _PX_PER_IN / 72
    faces = artist.get_facecolors()
    colours = [_rgba(faces[i % len(faces)]) for i in range(len(places))]
    return [
        {
            "type": "scattergl" if len(places) > 2_000 else "scatter",
            "mode": "markers",
            "x": places[:, 0].tolist(),
            "y": places[:, 1].tolist(),
            "marker": {
                "size": size.tolist(),
                "color": colours,
                "opacity": 1,
                "line": {"width": 0},
                "symbol": "square" if len(artist.get_paths()[0].vertices) <= _CORNERS else "circle",
            },
            **_name(artist),
            **_told(artist),
        }
    ]


def _outline(vertices: list[Any], colour: str, edge: str = "", **more: Any) -> dict[str, Any]:
    """One filled trace of many polygons, `None` between them."""
    xs: list[float | None] = []
    ys: list[float | None] = []
    for corners in vertices:
        xs += [*corners[:, 0].tolist(), float(corners[0, 0]), None]
        ys += [*corners[:, 1].tolist(), float(corners[0, 1]), None]
    return {
        "type": "scatter",
        "mode": "lines",
        "x": xs[:-1],
        "y": ys[:-1],
        "fill": "toself",
        "fillcolor": colour,
        "line": {"width": 0.5, "color": edge or colour},
        "hoveron": "points",
        "showlegend": False,
        **_NO_HOVER,
        **more,
    }


def _polygons(artist: Any) -> list[dict[str, Any]]:
    faces = artist.get_facecolors()
    paths = [path.vertices for path in artist.get_paths() if len(path.vertices)]
    if not len(faces) or not paths:
        return []
    edges = artist.get_edgecolors() if np.any(artist.get_linewidths()) else ()
    groups: dict[tuple[str, str], list[Any]] = {}
    shapes = [v[:-1] if len(v) > 4 and (v[0] == v[-1]).all() else v for v in paths]
    for i, corners in enumerate(shapes):
        edge = _rgba(edges[i % len(edges)]) if len(edges) else ""
        groups.setdefault((_rgba(faces[i % len(faces)], artist.get_alpha()), edge), []).append(corners)
    name = str(artist.get_gid() or "")
    traces = [_outline(group, colour, edge, name=name) for (colour, edge), group in groups.items()]
    texts = hover_of(artist)
    if texts:
        middle = np.array([corners.mean(axis=0) for corners in shapes])
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": middle[:, 0].tolist(),
                "y": middle[:, 1].tolist(),
                "marker": {"size": 9, "opacity": 0},
                "hovertext": texts,
                "hoverinfo": "text",
                "showlegend": False,
            }
        )
    return traces


def _segments(artist: Any) -> list[dict[str, Any]]:
    colours = artist.get_colors()
    groups: dict[str, tuple[list[Any], list[Any]]] = {}
    for i, segment in enumerate(artist.get_segments()):
        xs, ys = groups.setdefault(_rgba(colours[i % len(colours)], artist.get_alpha()), ([], []))
        xs += [*segment[:, 0].tolist(), None]
        ys += [*segment[:, 1].tolist(), None]
    width = float(np.mean(artist.get_linewidths()))
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "x": xs,
            "y": ys,
            "line": {"width": width, "color": colour},
            "showlegend": False,
            **_NO_HOVER,
        }
        for colour, (xs, ys) in groups.items()
    ]


def _arrow(artist: Any, axes: Axes) -> list[dict[str, Any]]:
    """The bent shaft as a line that ends in a head."""
    on_page = axes.transData.transform_path(artist.get_path())  # flattened there, where a pixel is a unit
    polygons = on_page.to_polygons(closed_only=False)
    if not polygons:
        return []
    line = axes.transData.inverted().transform(np.asarray(polygons[0]))
    colour = _rgba(artist.get_edgecolor())
    return [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "x": line[:, 0].tolist(),
            "y": line[:, 1].tolist(),
            "line": {"width": float(artist.get_linewidth()), "color": colour},
            "marker": {
                "size": [0.0] * (len(line) - 1) + [9.0],
                "symbol": "arrow",
                "angleref": "previous",
                "color": colour,
                "opacity": 1,
                "line": {"width": 0},
            },
            "showlegend": False,
            **_NO_HOVER,
        }
    ]


def _bars(artist: Any, axes: Axes) -> list[dict[str, Any]]:
    x, y, width, height = artist.get_x(), artist.get_y(), artist.get_width(), artist.get_height()
    if not width or not height:
        return []
    corners = np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]])
    return [_outline([corners], _rgba(artist.get_facecolor(), artist.get_alpha()))]


_DASHES = {"-": "solid", "--": "dash", ":": "dot", "-.": "dashdot"}


def _line(artist: Any, axes: Axes) -> list[dict[str, Any]]:
    x, y = (np.asarray(artist.get_data()[i], dtype=float) for i in range(2))
    if not len(x):
        return []
    if artist.get_transform() == axes.get_yaxis_transform(which="grid"):  # axhline: across the axes
        x = np.array(axes.get_xlim())[: len(x)]
    if artist.get_transform() == axes.get_xaxis_transform(which="grid"):
        y = np.array(axes.get_ylim())[: len(y)]
    has_line, has_marker = artist.get_linestyle() not in ("None", ""), artist.get_marker() not in ("None", "", None)
    mode = "+".join(name for name, on in (("lines", has_line), ("markers", has_marker)) if on) or "lines"
    return [
        {
            "type": "scatter",
            "mode": mode,
            "x": x.tolist(),
            "y": y.tolist(),
            "line": {
                "color": _rgba(artist.get_color()),
                "width": float(artist.get_linewidth()) * 1.2,
                "dash": _DASHES.get(artist.get_linestyle(), "solid"),
            },
            "marker": {"size": float(artist.get_markersize()) * 1.2, "color": _rgba(artist.get_color())},
            **_name(artist),
        }
    ]


def _image(artist: Any) -> list[dict[str, Any]]:
    cells = artist.get_array()
    left, right, bottom, top = artist.get_extent()
    rows, columns = cells.shape
    xs = left + (np.arange(columns) + 0.5) * (right - left) / columns
    ys = top + (np.arange(rows) + 0.5) * (bottom - top) / rows
    filled = np.ma.filled(artist.norm(cells).astype(float), np.nan)
    filled[np.ma.getmaskarray(cells)] = np.nan
    trace = {
        "type": "heatmap",
        "x": xs.tolist(),
        "y": ys.tolist(),
        "zmin": 0,
        "zmax": 1,
        "showscale": False,
        "z": [[None if np.isnan(value) else value for value in row] for row in filled.tolist()],
        "colorscale": [[level, _rgba(artist.cmap(level))] for level in np.linspace(0, 1, 11).tolist()],
        "hovertemplate": "%{y} to %{x}<extra></extra>",
    }
    if cells.size <= _TOLD_CELLS:
        trace["text"] = [[format_bytes(value) for value in row] for row in np.ma.filled(cells, 0.0).tolist()]
        trace["hovertemplate"] = "%{y} to %{x}: %{text}<extra></extra>"
    return [trace]
