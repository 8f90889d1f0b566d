"""Copies of descriptions with some fields changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from .errors import Problems, suggest

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    _T = TypeVar("_T", bound=DataclassInstance)

__all__ = ["replaced"]


def replaced(description: _T, changes: Mapping[str, Any]) -> _T:
    """Copy with some fields changed, checked again.

    Raises
    ------
    ConfigError
        Listing every name that is no field.
    """
    known = [f.name for f in fields(description) if f.init and not f.name.startswith("_")]
    problems = Problems()
    for name in changes:
        if name not in known:
            problems.add(f"{type(description).__name__}.replace", f"{name}=", "a field", suggest(name, known))
    problems.raise_if_any()
    return replace(description, **changes)
