"""Enum members by name: every public argument that takes a member also takes its name in any case."""

from __future__ import annotations

from enum import Enum
from typing import TypeVar

from .errors import ConfigError, suggest

__all__ = ["member"]

_E = TypeVar("_E", bound=Enum)


def member(enum: type[_E], value: _E | str, where: str) -> _E:
    """Return the member of `enum` that `value` is or names.

    Raises
    ------
    ConfigError
        With the nearest names, if `value` is neither a member nor the name of one.
    """
    if isinstance(value, enum):
        return value
    names = {item.name.lower(): item for item in enum}
    if isinstance(value, str) and value.lower() in names:
        return names[value.lower()]
    fix = suggest(value, names) if isinstance(value, str) else f"known: {', '.join(names)}"
    raise ConfigError(f"{where}: got {value!r}, expected a {enum.__name__} or its name; {fix}")
