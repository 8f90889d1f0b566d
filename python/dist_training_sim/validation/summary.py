"""Error statistics of groups of rows."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .runner import RowResult

__all__ = ["Group", "percentile", "summarise"]

WORST = 5


@dataclass(frozen=True)
class Group:
    """Errors of the rows of one group; `error = predicted / measured - 1`.

    Attributes
    ----------
    key
        What the rows share, by the names of the grouping; empty for all rows.
    n, skipped
        Rows that count, and rows that do not (their reasons stand in the rows).
    median_error, mean_error, p90_error
        Of the absolute errors: median, mean and nearest-rank 90th percentile.
    bias
        Median error with its sign.
    worst
        Ids of the rows with the largest absolute errors, largest first.
    """

    key: dict[str, str]
    n: int
    skipped: int
    median_error: float | None
    mean_error: float | None
    p90_error: float | None
    bias: float | None
    worst: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {**self.__dict__, "worst": list(self.worst)}


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest-rank percentile: the smallest value that at least `share` of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def summarise(rows: Iterable[RowResult], by: Sequence[str], value_of: Callable[[RowResult, str], str]) -> list[Group]:
    """All rows, then each group of equal values, largest first."""
    rows = list(rows)
    groups: dict[tuple[str, ...], list[RowResult]] = {}
    for row in rows:
        groups.setdefault(tuple(value_of(row, name) for name in by), []).append(row)
    parts = [_group(dict(zip(by, key, strict=True)), members) for key, members in groups.items()]
    parts.sort(key=lambda group: (-group.n, -group.skipped, *group.key.values()))
    return [_group({}, rows), *(parts if by else [])]


def _group(key: dict[str, str], rows: Sequence[RowResult]) -> Group:
    counted = [(row.error, row.id) for row in rows if row.included and row.error is not None]
    errors = [abs(error) for error, _ in counted]
    worst = tuple(name for _, name in sorted(counted, key=lambda pair: (-abs(pair[0]), pair[1]))[:WORST])
    if not errors:
        return Group(key, 0, len(rows), None, None, None, None, ())
    return Group(
        key,
        len(errors),
        len(rows) - len(errors),
        statistics.median(errors),
        statistics.fmean(errors),
        percentile(errors, 0.9),
        statistics.median(error for error, _ in counted),
        worst,
    )
