"""Where the vertices of a network stand in a drawing: circle, grid, nodes of several devices, or layers of switches."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .inputs import Floats

__all__ = ["circle", "grid", "grid_coordinates", "grid_shape", "layered", "nodes"]

_BEHIND = (0.42, 0.36)  # shift from one of few planes to the next, in steps of the grid


def circle(count: int) -> Floats:
    """On a circle, clockwise from the top; one alone in the middle."""
    angle = np.pi / 2 - 2 * np.pi * np.arange(count) / count
    places = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return places if count > 1 else np.zeros((1, 2))


def _centred(steps: int, step: float) -> Floats:
    return np.asarray((np.arange(steps) - (steps - 1) / 2) * step, dtype=np.float64)


def grid(columns: int, rows: int, planes: int = 1) -> Floats:
    """Row by row from the top left; planes of a third dimension behind one another, to the upper right."""
    column, row, plane = grid_coordinates(columns, rows, planes).T
    tight = min(1.0, 2.0 / planes)  # many planes stay within one step
    x, y = column + tight * _BEHIND[0] * plane, -row + tight * _BEHIND[1] * plane
    places = np.stack([x, y], axis=1)
    places -= (places.max(axis=0) + places.min(axis=0)) / 2
    return np.asarray(places / max(float(np.abs(places).max()), 0.5), dtype=np.float64)


def grid_coordinates(columns: int, rows: int, planes: int) -> Floats:
    """Column, row and plane of each vertex, numbered row by row and plane by plane."""
    plane, row, column = np.meshgrid(np.arange(planes), np.arange(rows), np.arange(columns), indexing="ij")
    return np.stack([column, row, plane], axis=-1).reshape(-1, 3).astype(np.float64)


def nodes(count: int, per_node: int) -> Floats:
    """Groups of `per_node` devices, each group a small circle, the groups on a large one."""
    groups = -(-count // per_node)
    if groups == 1:
        return circle(count)
    centres = circle(groups) if groups > 2 else np.array([[-1.0, 0.0], [1.0, 0.0]])
    inner = circle(per_node) * min(0.45, 0.8 * np.sin(np.pi / groups)) if per_node > 1 else np.zeros((1, 2))
    return (centres[:, None, :] + inner[None, :, :]).reshape(-1, 2)[:count]


def grid_shape(count: int, pairs: Iterable[tuple[int, int]]) -> tuple[int, int, int]:
    """Columns, rows and planes of a mesh or torus numbered row by row, read off its links."""
    linked = set(pairs)
    columns = next((i for i in range(1, count) if (i - 1, i) not in linked), count)
    plane = next((i for i in range(columns, count, columns) if (i - columns, i) not in linked), count)
    return columns, plane // columns, count // plane


def layered(levels: list[int], order: Floats) -> Floats:
    """One row per level, level 0 at the bottom; within a row by `order`, evenly spread."""
    level = np.array(levels)
    places = np.zeros((len(level), 2))
    top = max(int(level.max()), 1)
    for value in np.unique(level).tolist():
        on = np.flatnonzero(level == value)
        ranked = on[np.argsort(order[on], kind="stable")]
        places[ranked, 0] = _centred(len(on), 2.0 / max(len(on), 2))
        places[ranked, 1] = -0.75 + 1.5 * value / top
    return places
