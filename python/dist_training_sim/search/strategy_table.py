"""`StrategyTable`: many strategies as columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _core
from .._convert import to_core
from ..errors import ConfigError, Problems
from ..named_enum import member
from ..parallel.strategy import Strategy

__all__ = ["StrategyTable"]

Column = npt.NDArray[np.float64]
MOST_ROWS = 20_000_000
_DEFAULT = Strategy()


@dataclass(frozen=True, repr=False, eq=False)
class StrategyTable:
    """Strategies as columns: row i is `base` with the i-th value of every column.

    Attributes
    ----------
    columns
        Arrays of equal length by field of `Strategy`; enums by name or member, `None` nowhere: `dp` and `etp` left out
        are derived as in `Strategy`.
    base
        What no column says.

    Raises
    ------
    ConfigError
        If columns differ in length, name no field that can be a column, or hold what the field cannot.

    Examples
    --------
    >>> table = StrategyTable({"tp": [1, 2, 4, 8], "recompute": ["none", "none", "full", "full"]}, Strategy(zero=1))
    >>> len(table), table[2].tp, table[2].recompute.value
    (4, 4, 'full')
    """

    columns: Mapping[str, Any]
    base: Strategy = field(default_factory=Strategy)

    def __post_init__(self) -> None:
        problems = Problems()
        known = set(_core.strategy_fields())
        made: dict[str, Column] = {}
        for name, values in self.columns.items():
            if name not in known:
                problems.add(f"strategies.{name}", "a column", f"one of {', '.join(sorted(known))}")
                continue
            if problems.few(f"strategies.{name}", values, MOST_ROWS):
                made[name] = _numbers(name, values, problems)
        lengths = {len(values) for values in made.values()}
        if len(lengths) > 1:
            sizes = ", ".join(f"{name} {len(values)}" for name, values in made.items())
            problems.add("strategies", sizes, "columns of equal length")
        problems.raise_if_any()
        object.__setattr__(self, "columns", made)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def __getitem__(self, row: int) -> Strategy:
        if not -len(self) <= row < len(self):
            raise IndexError(f"row {row} of a table of {len(self)} strategies")
        return self.base.replace(**{name: _value(name, values[row]) for name, values in self.columns.items()})

    def __iter__(self) -> Iterator[Strategy]:
        return (self[row] for row in range(len(self)))

    def take(self, rows: npt.NDArray[Any]) -> StrategyTable:
        """Table of these rows, by place or by mask."""
        return StrategyTable({name: values[rows] for name, values in self.columns.items()}, self.base)

    def resolved(self, devices: int) -> StrategyTable:
        """Table in which every derived value is given, for a cluster of `devices` devices."""
        columns = dict(self.columns)

        def of(name: str) -> Column:
            return columns[name] if name in columns else np.full(len(self), float(getattr(self.base, name)))

        if "dp" not in columns and self.base.dp is None:
            columns["dp"] = np.maximum(1.0, devices // (of("tp") * of("pp") * of("cp")))
        if "etp" not in columns and self.base.etp is None:
            columns["etp"] = np.where(of("ep") == 1, of("tp"), 1.0)
        if "sequence_parallel" not in columns and self.base.sequence_parallel is None:
            columns["sequence_parallel"] = (of("tp") > 1).astype(np.float64)
        if "global_batch" not in columns and self.base.global_batch is None:
            columns["global_batch"] = of("dp") * of("micro_batch")
        return StrategyTable(columns, self.base)

    def core_arguments(self, devices: int) -> dict[str, Any]:
        """What the core takes of the table."""
        table = self.resolved(devices)
        return {
            "rows": len(table),
            "bases": [to_core(table.base.resolved(devices))],
            "base_of": np.zeros(len(table), dtype=np.int32),
            "columns": dict(table.columns),
        }

    def __repr__(self) -> str:
        return f"<{len(self):,} strategies over {', '.join(self.columns)}>"


@dataclass(frozen=True, repr=False, eq=False)
class StrategyRows:
    """Strategies given one by one."""

    strategies: tuple[Strategy, ...]

    def __len__(self) -> int:
        return len(self.strategies)

    def __getitem__(self, row: int) -> Strategy:
        return self.strategies[row]

    def core_arguments(self, devices: int) -> dict[str, Any]:
        """What the core takes of them."""
        bases = [to_core(strategy.resolved(devices)) for strategy in self.strategies]
        return {"rows": len(bases), "bases": bases or [to_core(_DEFAULT.resolved(devices))],
                "base_of": np.arange(len(bases), dtype=np.int32), "columns": {}}  # fmt: skip


def rows_of(strategies: StrategyTable | Iterable[Strategy]) -> StrategyTable | StrategyRows:
    """A table as it is, anything else as rows."""
    if isinstance(strategies, StrategyTable):
        return strategies
    rows = tuple(strategies)
    wrong = next((row for row in rows if not isinstance(row, Strategy)), None)
    if wrong is not None:
        raise ConfigError(f"strategies: got {type(wrong).__name__}, expected a StrategyTable or Strategy objects")
    return StrategyRows(rows)


def _numbers(name: str, values: Any, problems: Problems) -> Column:
    """Column as numbers; enum members by their place in the core's enum."""
    kind = _kind_of(name)
    if kind is not None and not (isinstance(values, np.ndarray) and values.dtype.kind in "fiu"):
        core = getattr(_core, _core_enum(name))
        values = [int(member(core, kind(value), name).value) for value in values]
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        problems.add(f"strategies.{name}", type(values).__name__, "numbers")
        return np.zeros(0)
    whole = name in _SHARES or bool(np.all(numbers == np.floor(numbers)))
    if numbers.ndim != 1 or not np.all(np.isfinite(numbers)) or not whole:
        problems.add(f"strategies.{name}", f"an array of shape {numbers.shape}", "a flat array of whole numbers")
    if numbers.size and np.max(np.abs(numbers)) > 2**31 - 1:
        problems.add(f"strategies.{name}", float(np.max(np.abs(numbers))), "numbers below 2^31")
    if kind is not None and numbers.size and not (numbers.min() >= 0 and numbers.max() < len(kind)):
        problems.add(f"strategies.{name}", f"{numbers.min():g} to {numbers.max():g}", f"0 to {len(kind) - 1}")
    return numbers


_SHARES = ("offload_activations", "capacity_factor")


def _kind_of(name: str) -> type[Enum] | None:
    """Enum of a field, from its default value."""
    value = getattr(_DEFAULT, name)
    return type(value) if isinstance(value, Enum) else None


def _core_enum(name: str) -> str:
    return type(getattr(_core.Strategy(), name)).__name__


def _value(name: str, number: float) -> Any:
    """Value of a field from its number in a column."""
    kind = _kind_of(name)
    if kind is not None:
        return kind(getattr(_core, _core_enum(name))(int(number)).name.lower())
    if name in _SHARES:
        return float(number)
    if name == "reshard_after_forward":
        return {-1: None, 0: False, 1: True}.get(int(number), int(number))
    return bool(number) if isinstance(getattr(_DEFAULT, name), bool) or name == "sequence_parallel" else int(number)
