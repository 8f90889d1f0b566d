"""Rows of a search or sweep as columns: read from mappings or objects, checked together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real

import numpy as np

from ..errors import ConfigError, Problems, suggest
from .inputs import Floats, as_list

__all__ = ["column", "field_names", "mixed_column", "read_records"]

_REPORTED = 3


def read_records(where: str, records: Iterable[object]) -> list[Mapping[str, object]]:
    """Each record as a mapping; objects by their attributes.

    Raises
    ------
    ConfigError
        If there are none, or one has neither keys nor attributes.
    """
    rows = as_list(where, records)
    problems = Problems()
    read: list[Mapping[str, object]] = []
    for i, row in enumerate(rows):
        if isinstance(row, Mapping):
            read.append(row)
        elif hasattr(row, "__dict__") and not isinstance(row, type):
            read.append(vars(row))
        else:
            problems.add(f"{where}[{i}]", row, "a mapping of names to values, or an object with attributes")
    problems.raise_if_any()
    return read


def field_names(records: Sequence[Mapping[str, object]]) -> list[str]:
    """Fields that every record has and that hold numbers or text, in the order of the first."""
    return [name for name in records[0] if all(isinstance(row.get(name), (Real, str)) for row in records)]


def _values(where: str, records: Sequence[Mapping[str, object]], name: str) -> list[object]:
    missing = [i for i, row in enumerate(records) if name not in row]
    if missing:
        known = {key for row in records for key in row}
        raise ConfigError(
            f"{where}[{missing[0]}]: got no {name!r} ({len(missing)} such), expected one in every record; "
            f"{suggest(name, known)}"
        )
    return [row[name] for row in records]


def column(where: str, records: Sequence[Mapping[str, object]], name: str) -> Floats:
    """Finite numbers of one field."""
    problems = Problems()
    values = _values(where, records, name)
    bad = [i for i, value in enumerate(values) if not _finite(value)]
    for i in bad[:_REPORTED]:
        problems.add(f"{where}[{i}].{name}", values[i], "a finite number")
    if len(bad) > _REPORTED:
        problems.add(f"{where}[...].{name}", f"{len(bad) - _REPORTED} more such entries", "a finite number")
    problems.raise_if_any()
    return np.array([float(value) for value in values])  # type: ignore[arg-type]


def mixed_column(where: str, records: Sequence[Mapping[str, object]], name: str) -> tuple[Floats, list[str]]:
    """One field as positions: finite numbers as they are (no names), else the index of each distinct text."""
    values = _values(where, records, name)
    if all(isinstance(value, Real) and not isinstance(value, bool) for value in values):
        return column(where, records, name), []
    names = sorted({str(value) for value in values})
    return np.array([float(names.index(str(value))) for value in values]), names


def _finite(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(float(value))
