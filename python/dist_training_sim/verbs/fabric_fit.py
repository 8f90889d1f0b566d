"""Constants of a fabric from measured collectives: robust least squares of log(predicted / measured).

Parameters are fitted as logarithms, so they stay positive, by Levenberg-Marquardt steps with weights that fade for
rows far off (soft L1), so a glitch of a factor of three moves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _core

__all__ = ["LARGEST_SHARE", "Observation", "fit_constants", "predicted_s"]

_SCALE = 0.05  # errors beyond it count less than their square
_STEP, _TRIES = 1e-3, 60
LARGEST_SHARE = 1.0
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Observation:
    """One measured collective: core cluster, collective, span, bytes, seconds; `weight` balances series of rows."""

    cluster: Any
    kind: _core.CollectiveKind
    span: _core.GroupSpan
    size_bytes: float
    time_s: float
    weight: float = 1.0


def predicted_s(rows: Sequence[Observation]) -> Floats:
    """Seconds that the model gives each row."""
    return np.array([_core.fabric_collective(r.cluster, r.kind, r.size_bytes, r.span).time_s for r in rows])


def fit_constants(rows: Sequence[Observation], level: str, start: dict[str, float]) -> tuple[dict[str, float], Floats]:
    """Fit constants of one level in place.

    Parameters
    ----------
    rows
        Measurements; the clusters among them are changed to the fitted constants.
    level
        `"scale_up"` or `"scale_out"`.
    start
        Names and starting values above 0.

    Returns
    -------
    dict, array
        The constants, and the relative error `predicted / measured - 1` of each row.
    """
    clusters = {id(row.cluster): row.cluster for row in rows}.values()
    measured = np.array([row.time_s for row in rows])
    weight = np.array([row.weight for row in rows])
    names = list(start)

    def residuals(x: Floats) -> Floats:
        for cluster in clusters:
            spec = cluster.scale_out if level == "scale_out" else cluster.node.scale_up
            for name, value in zip(names, np.exp(x), strict=True):
                setattr(spec, name, min(float(value), LARGEST_SHARE) if name.endswith("efficiency") else float(value))
        return np.asarray(np.log(predicted_s(rows) / measured), dtype=np.float64)

    best = np.log(np.array([start[name] for name in names]))
    best = _descend(residuals, best, weight)
    error = np.exp(residuals(best)) - 1
    spec = next(iter(clusters))
    owner = spec.scale_out if level == "scale_out" else spec.node.scale_up
    return {name: float(getattr(owner, name)) for name in names}, error


def _cost(r: Floats, weight: Floats) -> float:
    return float(np.sum(weight * (np.sqrt(1 + (r / _SCALE) ** 2) - 1)))


def _descend(residuals: Any, x: Floats, weight: Floats) -> Floats:
    """Levenberg-Marquardt with reweighting; every accepted step lowers the cost."""
    r = residuals(x)
    cost, damping = _cost(r, weight), 1e-2
    for _ in range(_TRIES):
        jacobian = np.column_stack([(residuals(x + _STEP * unit) - r) / _STEP for unit in np.eye(len(x))])
        w = weight / np.sqrt(1 + (r / _SCALE) ** 2)
        normal, gradient = jacobian.T @ (w[:, None] * jacobian), jacobian.T @ (w * r)
        for _ in range(8):
            step = -np.linalg.solve(normal + damping * (np.diag(np.diag(normal)) + 1e-9 * np.eye(len(x))), gradient)
            moved = x + np.clip(step, -1.0, 1.0)
            trial = residuals(moved)
            if (new := _cost(trial, weight)) < cost:
                break
            damping *= 4
        else:
            return x
        gained, x, r, cost, damping = cost - new, moved, trial, new, max(damping / 3, 1e-7)
        if gained < 1e-6 * (cost + 1e-9):
            break
    return x
