"""Look-up of libraries.yaml: what libraries take of device memory."""

from __future__ import annotations

from functools import cache

from ..errors import ConfigError, shown, suggest
from ..frameworks.communication_library import CommunicationLibrary
from ._yaml import packaged_file

__all__ = ["communication_library", "communication_names", "communication_sources"]

FILE = "libraries.yaml"


def communication_names() -> list[str]:
    """Names of the collective libraries, by era."""
    return list(packaged_file(FILE)["communication"])


@cache
def communication_library(name: str) -> CommunicationLibrary:
    """Collective library of that name; unknown names raise `ConfigError` with the nearest ones."""
    known = packaged_file(FILE)["communication"]
    if name not in known:
        raise ConfigError(f"communication_library: got {shown(name)}, expected a known one; {suggest(name, known)}")
    return CommunicationLibrary(**known[name]["facts"])


def communication_sources(name: str) -> list[str]:
    """Where the facts of a library were read."""
    return list(packaged_file(FILE)["communication"][name]["sources"])
