"""Numbers from users, as arrays: every bad one is named, none is coerced silently."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Real

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError, Problems

__all__ = ["Floats", "as_list", "matrix", "named_amounts", "vector"]

Floats = npt.NDArray[np.float64]
_REPORTED = 3  # offending entries named one by one; the rest are counted


def as_list(where: str, values: object) -> list[object]:
    """Items of any iterable but text and mappings; empty or not iterable is a `ConfigError`."""
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise ConfigError(f"{where}: got {type(values).__name__}, expected a sequence")
    items = list(values)
    if not items:
        raise ConfigError(f"{where}: got an empty sequence, expected at least one entry")
    return items


def _to_float(value: object) -> float:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        return float("nan")
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def vector(problems: Problems, where: str, values: list[object], field: str = "", *, positive: bool = False) -> Floats:
    """Finite numbers >= 0 (or > 0) from `values`; each offending `where[i].field` becomes a problem."""
    array = np.array([_to_float(value) for value in values], dtype=np.float64)
    with np.errstate(invalid="ignore"):
        good = np.isfinite(array) & ((array > 0) if positive else (array >= 0))
    bad = np.flatnonzero(~good)
    rule = f"a finite number {'> 0' if positive else '>= 0'}"
    for i in bad[:_REPORTED]:
        problems.add(f"{where}[{i}]{field and '.' + field}", values[i], rule)
    if len(bad) > _REPORTED:
        problems.add(f"{where}{field and '[...].' + field}", f"{len(bad) - _REPORTED} more such entries", rule)
    return array


def matrix(where: str, values: object) -> Floats:
    """Square matrix of finite numbers >= 0 from nested sequences or a NumPy array."""
    rows = [as_list(f"{where}[{i}]", row) for i, row in enumerate(as_list(where, values))]
    problems = Problems()
    wrong = [i for i, row in enumerate(rows) if len(row) != len(rows)]
    if wrong:
        problems.add(
            f"{where}[{wrong[0]}]",
            f"{len(rows[wrong[0]])} entries in the row",
            f"{len(rows)} as in a square matrix (rows = columns = devices)",
            f"{len(wrong)} such rows",
        )
    cells = [vector(problems, f"{where}[{i}]", row) for i, row in enumerate(rows)]
    problems.raise_if_any()
    square = np.vstack(cells)
    with np.errstate(over="ignore"):
        total = square.sum()
    if not np.isfinite(total):
        raise ConfigError(f"{where}: got entries whose sum overflows, expected bytes with a finite total")
    return square


def named_amounts(where: str, amounts: object, unit: str) -> dict[str, float]:
    """Mapping of names to finite amounts >= 0 with at least one above zero."""
    if not isinstance(amounts, Mapping) or not amounts:
        got = "an empty mapping" if isinstance(amounts, Mapping) else type(amounts).__name__
        raise ConfigError(f"{where}: got {got}, expected a mapping of names to {unit}")
    problems = Problems()
    for name, value in amounts.items():
        if not isinstance(name, str):
            problems.add(f"{where} key", name, "a name (str)")
        number = _to_float(value)
        if not (np.isfinite(number) and number >= 0):
            problems.add(f"{where}[{name!r}]", value, f"{unit}, a finite number >= 0")
    problems.raise_if_any()
    result = {name: _to_float(value) for name, value in amounts.items()}
    if not 0 < sum(result.values()) < float("inf"):
        raise ConfigError(f"{where}: got a total of {sum(result.values())} {unit}, expected a finite total > 0")
    return result
