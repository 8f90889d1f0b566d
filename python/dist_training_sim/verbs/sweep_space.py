"""The points of a sweep: every combination of models, clusters, batches, prices and the like, as plain data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import product
from typing import Any

from ..errors import ConfigError, Problems, suggest
from ..named_enum import NamedEnum, member
from ..parallel import Strategy
from .plan import PLAN_AXES, PlanObjective

__all__ = ["SWEEP_AXES", "SweepSpace"]

SWEEP_AXES = ("model", "cluster", "framework", "seq_len", "global_batch", "usd_per_device_h", "objective", "strategy")
_DEFAULTS: Mapping[str, Any] = {
    "framework": "megatron-core",
    "seq_len": None,
    "usd_per_device_h": None,
    "objective": "time",
    "strategy": None,
}
MOST_POINTS = 1_000_000
_SINGLE = (str, int, float, Mapping, NamedEnum, Strategy)
_FIELDS = frozenset(f.name for f in fields(Strategy))


class SweepSpace(Sequence[Mapping[str, Any]]):
    """Every combination of the values of some axes, the last axis fastest.

    Parameters
    ----------
    axes
        One value or several by name: `model`, `cluster` (names, or paths of files), `global_batch`; and, each with a
        default, `framework`, `seq_len`, `usd_per_device_h`, `objective`, `strategy` (mappings of fields of `Strategy`;
        None = the best one is planned), and constraints of `plan` such as `tp` (a value per point).

    Raises
    ------
    ConfigError
        Listing every axis that is unknown, empty or of values that are not plain.

    Examples
    --------
    >>> clusters = ["1xdgx-h100", "2xdgx-h100"]
    >>> space = SweepSpace({"model": ["llama-3.1-8b"], "cluster": clusters, "global_batch": [32, 64]})
    >>> len(space), space[3]["cluster"], space[3]["global_batch"]
    (4, '2xdgx-h100', 64)
    """

    def __init__(self, axes: Mapping[str, Any]) -> None:
        problems = Problems()
        for name in axes:
            if name not in SWEEP_AXES and name not in PLAN_AXES:
                problems.add("space", name, "an axis", suggest(name, [*SWEEP_AXES, *PLAN_AXES]))
        for name in ("model", "cluster", "global_batch"):
            if name not in axes:
                problems.missing(f"space.{name}", "at least one value")
        self.axes = {name: _values(name, value, problems) for name, value in axes.items()}
        for name, value in _DEFAULTS.items():
            self.axes.setdefault(name, (value,))
        problems.raise_if_any()
        self._count = 1
        for values in self.axes.values():
            self._count *= len(values)
        if self._count > MOST_POINTS:
            raise ConfigError(f"space: got {self._count:,} points, expected at most {MOST_POINTS:,}")

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(len(self)))]
        if not -len(self) <= place < len(self):
            raise IndexError(f"point {place} of {len(self)}")
        place %= len(self)
        point: dict[str, Any] = {}
        for name, values in reversed(self.axes.items()):
            place, at = divmod(place, len(values))
            point[name] = values[at]
        return dict(reversed(point.items()))

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        names = list(self.axes)
        return (dict(zip(names, values, strict=True)) for values in product(*self.axes.values()))

    @property
    def key(self) -> str:
        """Text that two spaces share if they have the same points in the same order."""
        return json.dumps(self.axes, sort_keys=False)

    def __repr__(self) -> str:
        return f"<{len(self):,} points: {', '.join(f'{len(v)} x {n}' for n, v in self.axes.items() if len(v) > 1)}>"


def _values(name: str, value: Any, problems: Problems) -> tuple[Any, ...]:
    if not isinstance(value, _SINGLE) and not problems.few(f"space.{name}", value, MOST_POINTS):
        return ()
    several = (value,) if isinstance(value, _SINGLE) or value is None else tuple(value)
    if not several:
        problems.add(f"space.{name}", "no value", "at least one")
    made = []
    for item in several:
        plain = getattr(item, "value", item)
        if isinstance(plain, Strategy):
            plain = _fields_of(plain)
        if name in ("model", "cluster", "framework") and not isinstance(plain, str):
            problems.add(f"space.{name}", plain, "a name or a path: workers look it up")
        elif name in ("seq_len", "global_batch") and (plain is not None or name == "global_batch"):
            problems.count(f"space.{name}", plain)
        elif name == "usd_per_device_h" and plain is not None:
            problems.positive(f"space.{name}", plain)
        elif name == "objective":
            plain = member(PlanObjective, plain, "space.objective").value
        elif name == "strategy" and plain is not None:
            plain = _layout(plain, problems)
        made.append(plain)
    return tuple(made)


def _layout(value: Any, problems: Problems) -> Any:
    unknown = [name for name in value if name not in _FIELDS] if isinstance(value, Mapping) else [value]
    if unknown:
        problems.add("space.strategy", unknown[0], "fields of a Strategy")
        return None
    return _fields_of(Strategy(**value))


def _fields_of(strategy: Strategy) -> dict[str, Any]:
    """Fields that differ from their defaults, as plain data."""
    default = Strategy()
    given = {f.name: getattr(strategy, f.name) for f in fields(Strategy)}
    changed = {name: value for name, value in given.items() if value != getattr(default, name)}
    return {name: getattr(value, "value", value) for name, value in changed.items()}
