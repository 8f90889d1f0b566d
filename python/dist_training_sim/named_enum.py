"""Enums whose members are also found by name, in any case and with hyphens: `Topology("fat-tree")`."""

from __future__ import annotations

from enum import Enum

from .errors import ConfigError, suggest

__all__ = ["NamedEnum"]


class NamedEnum(Enum):
    """Base of enums with lower-case string values; an unknown name raises `ConfigError` with the nearest ones."""

    @classmethod
    def _missing_(cls, value: object) -> NamedEnum:
        key = value.strip().lower().replace("-", "_") if isinstance(value, str) else ""
        for member in cls:
            if member.value == key:
                return member
        names = [str(member.value) for member in cls]
        raise ConfigError(f"{cls.__name__}: got {value!r}, expected one of its names; {suggest(str(value), names)}")
