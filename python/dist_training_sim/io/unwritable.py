"""What of a layout a framework has no option for: writers refuse it by name, nothing is dropped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from ..errors import Problems
from ..parallel import Strategy
from ..parallel.expert_load import BALANCED, ExpertLoad

__all__ = ["refuse_unwritable", "refuse_values"]


def refuse_unwritable(s: Strategy, target: str, problems: Problems, writable: frozenset[str]) -> None:
    """Record every field outside `writable` that differs from its default."""
    default = Strategy()
    for name in (f.name for f in fields(Strategy)):
        value, usual = getattr(s, name), getattr(default, name)
        if name not in writable and value != usual:
            text = "balanced" if usual == BALANCED else _plain(usual)
            problems.add(f"strategy.{name}", _plain(value), f"{text}: {target} has no option for another")


def refuse_values(s: Strategy, target: str, problems: Problems, known: Mapping[str, tuple[object, ...]]) -> None:
    """Record fields whose value is none of those that the target knows."""
    for name, values in known.items():
        got = getattr(s, name)
        if not any(got is value or (got == value and type(got) is type(value)) for value in values):
            listed = ", ".join(str(_plain(value)) for value in values)
            one = "one of " if len(values) > 1 else ""
            problems.add(f"strategy.{name}", _plain(got), f"{one}{listed}, as {target} has")


def _plain(value: object) -> object:
    if isinstance(value, ExpertLoad):
        value = value.kind
    if isinstance(value, tuple):
        return ", ".join(str(_plain(item)) for item in value)
    return getattr(value, "value", value)
