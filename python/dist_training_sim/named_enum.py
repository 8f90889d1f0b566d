"""Enum members by name, in any case and with hyphens: `Topology("fat-tree")`, `member(DType, "bf16", "dtype")`."""

from __future__ import annotations

from enum import Enum
from functools import cache
from typing import TypeVar

from .errors import Problems, suggest

__all__ = ["NamedEnum", "member"]

_E = TypeVar("_E", bound=Enum)


def member(kind: type[_E], value: object, where: str) -> _E:
    """Return the member of an enum that `value` is or names; a member of another enum stands for its name.

    Case does not matter, a hyphen is as good as an underscore.

    Raises
    ------
    ConfigError
        With the nearest names, if `value` is no member and names none.
    """
    if isinstance(value, kind):
        return value
    text = value.name if isinstance(value, Enum) else value
    if isinstance(text, str):
        item: _E | None = _by_name(kind).get(_key(text))
        if item is not None:
            return item
    names = [_shown(item) for item in kind]
    fix = suggest(text, names) if isinstance(text, str) else f"known: {', '.join(names)}"
    problems = Problems()
    problems.add(where, value, f"a {kind.__name__} or its name", fix)
    problems.raise_if_any()
    raise AssertionError


class NamedEnum(Enum):
    """Base of enums with lower-case text values, found by `member`'s rules when called with a text."""

    @classmethod
    def _missing_(cls, value: object) -> NamedEnum:
        return member(cls, value, cls.__name__)


@cache
def _by_name(kind: type[_E]) -> dict[str, _E]:
    """Members by what they are called; a name goes before another's value."""
    return {_key(str(item.value)): item for item in kind} | {_key(item.name): item for item in kind}


def _key(text: str) -> str:
    return text.strip().lower().replace("-", "_")


def _shown(item: Enum) -> str:
    """How messages call a member: its value where that is a text, as in this package; enums of the core have names."""
    return item.value if isinstance(item.value, str) else item.name.lower()
