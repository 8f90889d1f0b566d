"""Descriptions to core structs: a frozen dataclass becomes the `_core` struct that has the same field names.

The struct's default-constructed value says which type each field has, so nothing here knows any description: enums
go by name, tuples become lists, a dtype-keyed mapping becomes the core's per-dtype array. A field that the struct lacks
raises `TypeError`, so the two sides cannot drift apart unnoticed.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar

from . import _core
from .errors import MissingDataError, Problems
from .named_enum import member

__all__ = ["DTYPES", "CoreSpec", "core_of", "once_per_object", "to_core"]

DTYPES = tuple(dtype.name.lower() for dtype in _core.DType)
"""Number formats in the order of the core's `DType`."""


@dataclass(frozen=True)
class CoreSpec:
    """How a description maps to its core struct; a description carries it as its class attribute `CORE`.

    Parameters
    ----------
    struct
        Name of the struct in `_core`.
    python_only
        Fields that the core does not know.
    unknown
        Value that stands for "unknown" in the core, for fields that may be None. A field that is None and not listed
        raises `MissingDataError`.
    none_keeps_default
        Fields (True: all but `needed`) that keep the value of the default-constructed struct when they are None.
    needed
        Fields that may not be None.
    """

    struct: str
    python_only: frozenset[str] = frozenset()
    unknown: Mapping[str, float] = field(default_factory=dict)
    none_keeps_default: bool | frozenset[str] = False
    needed: frozenset[str] = frozenset()


def to_core(description: Any, struct: type[Any] | None = None) -> Any:
    """Core struct with the values of a description.

    Parameters
    ----------
    description
        A frozen dataclass with a `CORE` attribute (`CoreSpec`).
    struct
        Class of the struct; by default the one of `_core` that `CORE.struct` names.

    Raises
    ------
    TypeError
        If the struct lacks a field, or a field's value does not fit its type.
    ConfigError
        If a text names no member of the field's enum.
    MissingDataError
        If a value is None and the core has no notion of "unknown" for it.
    """
    spec: CoreSpec = description.CORE
    target = (struct or getattr(_core, spec.struct))()
    for f in fields(description):
        if f.name not in spec.python_only:
            _assign(target, f.name, getattr(description, f.name), spec, description)
    return target


_P = ParamSpec("_P")
_T = TypeVar("_T")


def once_per_object(make: Callable[_P, _T]) -> Callable[_P, _T]:
    """Keep what a function makes of frozen descriptions (and texts) for as long as these live; none may change it."""
    known: dict[tuple[object, ...], tuple[list[weakref.ref[Any]], _T]] = {}

    @wraps(make)
    def kept(*given: _P.args, **named: _P.kwargs) -> _T:
        key = tuple(item if isinstance(item, str) else id(item) for item in given)
        objects = [item for item in given if not isinstance(item, str)]
        before = known.get(key)
        if before is not None and all(ref() is item for ref, item in zip(before[0], objects, strict=True)):
            return before[1]
        made = make(*given, **named)
        known[key] = ([weakref.ref(item, lambda _: known.pop(key, None)) for item in objects], made)
        return made

    return kept


@once_per_object
def core_of(description: Any) -> Any:
    """`to_core(description)`, converted once per object."""
    return to_core(description)


@cache
def _defaults(struct: Callable[[], Any]) -> dict[str, Any]:
    """Fields of a core struct and the values of a default-constructed one."""
    made = struct()
    return {name: getattr(made, name) for name in dir(made) if not name.startswith("_")}


_KINDS = {
    str: "text that UTF-8 can hold",
    bool: "True or False",
    float: "a number",
    int: "an integer",
    list: "a list of these",
}


def _assign(target: Any, name: str, value: Any, spec: CoreSpec, owner: Any) -> None:
    """Set one field of the struct, or say why it cannot be set."""
    struct: Callable[[], Any] = type(target)
    defaults = _defaults(struct)
    if name not in defaults:
        raise TypeError(f"{spec.struct} has no field {name!r}, but {type(owner).__name__} has")
    if value is None:
        kept = spec.none_keeps_default
        if name not in spec.needed and (kept is True or (isinstance(kept, frozenset) and name in kept)):
            return
        if name not in spec.unknown:
            label = getattr(owner, "name", type(owner).__name__)
            raise MissingDataError(f"{label}.{name}: unknown, no source states it; give it with .replace({name}=...)")
        value = spec.unknown[name]
    present = defaults[name]
    converted = _converted(value, present, f"{spec.struct}.{name}")
    try:
        setattr(target, name, converted)
    except TypeError:  # of a type, or text, that the core does not take
        problems = Problems()
        problems.add(
            f"{type(owner).__name__.lower()}.{name}", value, _KINDS.get(type(present), f"a {type(present).__name__}")
        )
        problems.raise_if_any()


def _converted(value: Any, current: Any, where: str) -> Any:
    """`value` in the type of the struct's present value `current`."""
    if isinstance(current, Enum):
        return member(type(current), value, where)
    if current is None and isinstance(value, Enum):  # of an empty list
        return member(getattr(_core, type(value).__name__), value, where)
    if is_dataclass(value) and not isinstance(value, type):
        return to_core(value, None if current is None else type(current))
    if isinstance(value, Mapping) and isinstance(current, Iterable) and not isinstance(current, str):
        return _by_dtype(value, current, where)
    if isinstance(value, tuple):
        first = next(iter(current), None) if isinstance(current, Iterable) else None
        return [_converted(item, first, where) for item in value]
    return value


def _by_dtype(value: Mapping[str, Any], current: Any, where: str) -> list[Any]:
    """The core's per-dtype array, with the entries of a dtype-keyed mapping."""
    items = list(current)
    if len(items) != len(DTYPES) or not set(value) <= set(DTYPES):
        raise TypeError(f"{where}: not an array over the dtypes {', '.join(DTYPES)}")
    for name, item in value.items():
        slot = DTYPES.index(name)
        items[slot] = _converted(item, items[slot], f"{where}[{name}]")
    return items
