"""The model catalogue: `models.yaml` read once, each entry with its published parameter count and source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..errors import ConfigError, shown, suggest
from ..io.hf_config import read_hf_model
from ..models import Model
from ._yaml import packaged_file

__all__ = ["ModelEntry", "entries", "entry", "load", "names"]


@dataclass(frozen=True)
class ModelEntry:
    """One model of the catalogue.

    Attributes
    ----------
    config
        Fields of a Hugging Face config.
    parameters_published, active_published
        Weights as the source states them, all of them and those one token uses (0 = not stated).
    rounding, active_rounding
        Largest distance from the printed figure that its rounding allows; 0 = exact.
    source
        Where the shape and the figures are from.
    """

    name: str
    config: Mapping[str, Any]
    parameters_published: int
    source: str
    rounding: int = 0
    active_published: int = 0
    active_rounding: int = 0


@cache
def entries() -> Mapping[str, ModelEntry]:
    """Return all entries by name, in the order of the file."""
    listed: dict[str, dict[str, Any]] = packaged_file("models.yaml")["models"]
    return {name: ModelEntry(name=name, **fields) for name, fields in listed.items()}


def names() -> list[str]:
    """Return the names of all models, in the order of the file."""
    return list(entries())


def entry(name: str) -> ModelEntry:
    """Return one entry; case, `-`, `_` and spaces in the name do not matter.

    Raises
    ------
    ConfigError
        If there is no such model, with the nearest names.
    """
    found = _by_key().get(_key(name)) if isinstance(name, str) else None
    if found is None:
        raise ConfigError(f"model: got {shown(name)}, expected a model of the catalogue; {suggest(str(name), names())}")
    return found


@cache
def _by_key() -> dict[str, ModelEntry]:
    return {_key(known): item for known, item in entries().items()}


def load(name: str) -> Model:
    """Build a model of the catalogue."""
    return _build(entry(name).name)


@cache
def _build(name: str) -> Model:
    return read_hf_model(entries()[name].config, name)


def _key(name: str) -> str:
    return name.lower().translate(str.maketrans("", "", "-_ "))
