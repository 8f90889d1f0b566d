"""The packaged framework profiles (`frameworks.yaml`), read on first use."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from ..errors import ConfigError, suggest
from ..frameworks.profile import FrameworkProfile

__all__ = ["load", "names"]


@cache
def _entries() -> dict[str, dict[str, Any]]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = (files(__package__) / "frameworks.yaml").read_text(encoding="utf-8")
    entries: dict[str, dict[str, Any]] = yaml.load(text, Loader=loader)["frameworks"]
    return entries


def names() -> list[str]:
    """Names of all packaged profiles."""
    return list(_entries())


@cache
def load(name: str) -> FrameworkProfile:
    """Profile of that name; unknown names raise `ConfigError` with the nearest ones."""
    entries = _entries()
    if name not in entries:
        raise ConfigError(f"framework: got {name!r}, expected a known profile; {suggest(name, entries)}")
    return FrameworkProfile(name=name, **entries[name])
