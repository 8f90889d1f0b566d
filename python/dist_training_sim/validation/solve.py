"""Robust non-linear least squares with Gaussian priors, for a few dozen parameters that each touch some rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "Problem", "Rows", "slopes_at", "solve", "solve_linear"]

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]
_HUBER = 0.08  # residuals beyond it (8 %) pull with constant force, so that a broken row does not bend the rest
_STEP = 0.03  # finite difference, in log units
_LONGEST = 0.4  # a parameter moves no further in one iteration


@dataclass(frozen=True)
class Problem:
    """What is fitted.

    Attributes
    ----------
    residuals
        `residuals(x, rows)`: log(predicted / measured) of the rows at the parameters `x`.
    touches
        Boolean, parameters x rows: which rows a parameter can change.
    weights
        Of the rows.
    centre, spread
        Of the priors, per parameter.
    """

    residuals: Callable[[Array, Rows], Array]
    touches: npt.NDArray[np.bool_]
    weights: Array
    centre: Array
    spread: Array


def _robust(residuals: Array, weights: Array) -> Array:
    size = np.maximum(np.abs(residuals), 1e-12)
    result: Array = weights * np.minimum(1.0, _HUBER / size) / _HUBER**2
    return result


def slopes_at(problem: Problem, x: Array, at: Array) -> Array:
    """Slopes of the residuals `at` the parameters `x` (rows x parameters), by finite differences."""
    slopes = np.zeros((len(at), len(x)))
    for i in range(len(x)):
        rows = np.flatnonzero(problem.touches[i])
        moved = x.copy()
        moved[i] += _STEP
        slopes[rows, i] = (problem.residuals(moved, rows) - at[rows]) / _STEP
    return slopes


def solve_linear(problem: Problem, x: Array, at: Array, slopes: Array, rows: Rows, iterations: int = 30) -> Array:
    """Parameters that fit `rows` where residuals are linear around `x`: `at + slopes @ (new - x)`."""
    new = x.copy()
    prior = 1 / problem.spread**2
    for _ in range(iterations):
        residuals = at[rows] + slopes[rows] @ (new - x)
        w = _robust(residuals, problem.weights[rows])
        normal = (slopes[rows] * w[:, None]).T @ slopes[rows] + np.diag(prior)
        force = slopes[rows].T @ (w * residuals) + prior * (new - problem.centre)
        new = new - np.linalg.solve(normal, force)
    return new


def solve(problem: Problem, iterations: int = 4) -> tuple[Array, Array, Array]:
    """Fitted parameters, residuals there, and slopes of the residuals (rows x parameters)."""
    everything = np.arange(len(problem.weights))
    x = problem.centre.copy()
    at = problem.residuals(x, everything)
    slopes = slopes_at(problem, x, at)
    for _ in range(iterations):
        target = solve_linear(problem, x, at, slopes, everything)
        x = x + np.clip(target - x, -_LONGEST, _LONGEST)
        at = problem.residuals(x, everything)
        slopes = slopes_at(problem, x, at)
    return x, at, slopes
