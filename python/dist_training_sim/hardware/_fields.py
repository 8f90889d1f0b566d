"""Fields that accept text with a unit: `hbm_bytes="80 GiB"` is stored as a float in SI units.

A descriptor converts on assignment, so a reader (and the type checker) always sees a float. Text that does not parse is
kept as it is; the owner's check then reports it together with every other problem.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from enum import Enum
from typing import Any, Generic, Protocol, SupportsIndex, TypeVar, cast

from ..errors import ConfigError, Problems
from ..named_enum import member
from ..units import parse_bandwidth, parse_bytes, parse_seconds

__all__ = [
    "MAX_QUANTITY",
    "Converted",
    "Count",
    "MaybeQuantity",
    "Named",
    "Quantity",
    "check_member",
    "check_quantities",
    "check_type",
    "place",
]

MAX_QUANTITY = 1e21
"""Largest byte count, rate or FLOP/s accepted: far above any machine, far below overflow."""

_PARSERS: dict[str, Callable[[str], float]] = {
    "bytes": parse_bytes,
    "Bps": parse_bandwidth,
    "s": parse_seconds,
}
_UNSET: Any = object()


class SupportsRate(Protocol):
    """Anything with a rate in one direction, such as a `Link`."""

    @property
    def bandwidth_Bps(self) -> float: ...


def _read(value: Any, unit: str) -> Any:
    """The SI number of a value with a unit; anything else comes back as it is, for the check to report."""
    if isinstance(value, str):
        try:
            return _PARSERS[unit](value)
        except ConfigError:
            return value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_QUANTITY:
        return float(value)
    rate = getattr(value, "bandwidth_Bps", None) if unit == "Bps" else None
    return value if rate is None else rate


In = TypeVar("In", contravariant=True)
Out = TypeVar("Out", covariant=True)


class Converted(Generic[In, Out]):
    """A dataclass field that accepts more types than it shows: `convert` runs on assignment.

    `convert` returns what it cannot read as it is; the owner's check reports it.
    """

    def __init__(self, convert: Callable[[Any], Any], default: Any = _UNSET) -> None:
        self._convert, self._default, self._name = convert, default, ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: object | None, owner: type) -> Out:
        if instance is not None:
            return cast(Out, instance.__dict__[self._name])
        if self._default is _UNSET:  # dataclasses then treats the field as one without a default
            raise AttributeError(self._name)
        return cast(Out, self._default)

    def __set__(self, instance: object, value: In) -> None:
        instance.__dict__[self._name] = self._convert(value)


class Quantity(Converted["float | str | SupportsRate", float]):
    """A float in SI units; `unit` is one of bytes, Bps (also takes a `Link`), s."""

    def __init__(self, unit: str) -> None:
        super().__init__(lambda value: _read(value, unit))


class MaybeQuantity(Converted["float | str | SupportsRate | None", "float | None"]):
    """A quantity that may be None, which means unknown."""

    def __init__(self, unit: str) -> None:
        super().__init__(lambda value: _read(value, unit), None)


class Count(Converted[SupportsIndex, int]):
    """An integer; integers of NumPy are taken as such."""

    def __init__(self, default: int) -> None:
        super().__init__(_read_count, default)


_E = TypeVar("_E", bound=Enum)


class Named(Converted["_E | str", _E]):
    """A member of an enum, also given by its name; anything else is kept for `check_member` to report."""

    def __init__(self, kind: type[_E], default: _E | None) -> None:
        super().__init__(lambda value: _read_member(kind, value), default)


def _read_member(kind: type[Enum], value: Any) -> Any:
    try:
        return member(kind, value, "")
    except ConfigError:
        return value


def check_member(problems: Problems, where: str, value: object, kind: type[Enum]) -> None:
    """Record a problem unless `value` is a member of the enum."""
    if not isinstance(value, kind):
        problems.add(where, value, f"one of {', '.join(str(item.value) for item in kind)}")


def _read_count(value: Any) -> Any:
    return operator.index(value) if hasattr(value, "__index__") and not isinstance(value, bool) else value


def place(problems: Problems, what: str, name: object) -> str:
    """How messages call a thing, `"device h100"`; records a problem unless `name` is a text with something in it."""
    if not isinstance(name, str) or not name.strip():
        problems.add(f"{what}.name", name, "a name")
        return what
    return f"{what} {name[:80]}"


def check_type(problems: Problems, where: str, value: object, kind: type) -> bool:
    """Record a problem unless `value` is a `kind`; return whether it is."""
    if not isinstance(value, kind):
        hint = f"see {kind.__name__}.from_catalog" if hasattr(kind, "from_catalog") else ""
        problems.add(where, value, f"a {kind.__name__}", hint)
    return isinstance(value, kind)


def check_quantities(
    problems: Problems, where: str, owner: object, positive: tuple[str, ...] = (), non_negative: tuple[str, ...] = ()
) -> None:
    """Record every named field of `owner` that is set and is not a number of its sign, up to `MAX_QUANTITY`."""
    for name in (*positive, *non_negative):
        value = getattr(owner, name)
        check = problems.positive if name in positive else problems.non_negative
        if value is not None and check(f"{where}.{name}", value) and value > MAX_QUANTITY:
            problems.add(f"{where}.{name}", value, f"at most {MAX_QUANTITY:g}")
