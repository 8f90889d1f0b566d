"""The packaged framework profiles (`frameworks.yaml`), read on first use."""

from __future__ import annotations

from functools import cache
from typing import Any

from ..errors import ConfigError, shown, suggest
from ..frameworks import FrameworkDefaults, FrameworkProfile
from ._yaml import packaged_entry
from .fitted import Fitted

__all__ = ["load", "names"]


def _entries() -> dict[str, dict[str, Any]]:
    entries: dict[str, dict[str, Any]] = packaged_entry("frameworks.yaml", "frameworks")
    return entries


def names() -> list[str]:
    """Names of all packaged profiles."""
    return list(_entries())


@cache
def load(name: str) -> FrameworkProfile:
    """Profile of that name; unknown names raise `ConfigError` with the nearest ones."""
    entries = _entries()
    if name not in entries:
        raise ConfigError(f"framework: got {shown(name)}, expected a known profile; {suggest(name, entries)}")
    facts = dict(entries[name])
    defaults = FrameworkDefaults(**facts.pop("defaults", {}))
    profile = FrameworkProfile(name=name, defaults=defaults, **facts)
    fitted = Fitted.packaged()
    return profile.replace(
        host_forward_s_per_op=profile.host_forward_s_per_op * fitted.host_of(name),
        host_backward_s_per_op=profile.host_backward_s_per_op * fitted.host_of(name),
        step_cost_s=profile.step_cost_s * fitted.step_of(name),
    )
