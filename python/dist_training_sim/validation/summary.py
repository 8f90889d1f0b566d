"""Error statistics of groups of rows."""

from __future__ import annotations

import math
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .results import RowResult

__all__ = ["Group", "percentile", "reason_class", "summarise"]

WORST = 5


@dataclass(frozen=True)
class Group:
    """Errors of the rows of one group; `error = predicted / measured - 1`, of `fit` 0 or 1.

    Attributes
    ----------
    key
        What the rows share: `use`, and the fields of the grouping.
    n, skipped
        Rows that count, and rows that do not.
    reasons
        Why rows do not count, and how many each; most first.
    median_error, mean_error, p90_error
        Of the absolute errors: median, mean (MAPE; of `fit` the share of wrong answers), nearest-rank 90th percentile.
    bias
        Median error with its sign; of `fit` the share that is wrongly said not to fit less that wrongly said to fit.
    covered90
        Share of the measured values that lie in their 90 % intervals; None where the use has none.
    worst
        Ids of the rows with the largest absolute errors, largest first.
    """

    key: dict[str, str]
    n: int
    skipped: int
    reasons: dict[str, int]
    median_error: float | None
    mean_error: float | None
    p90_error: float | None
    bias: float | None
    covered90: float | None
    worst: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {**self.__dict__, "worst": list(self.worst)}


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest-rank percentile: the smallest value that at least `share` of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def reason_class(reason: str) -> str:
    """A reason without its row's own numbers, so that equal causes count together."""
    first = re.sub(r"'[^']*'", "...", reason.split("\n")[0]).split("; ")[0]
    return re.sub(r"\b\d[\d.,]*", "#", first)[:100]


def summarise(rows: Iterable[RowResult], by: Sequence[str]) -> list[Group]:
    """For each use all of its rows, then each group of equal values, largest first."""
    uses: dict[str, list[RowResult]] = {}
    for row in rows:
        uses.setdefault(row.use, []).append(row)
    return [group for use, members in uses.items() for group in _of_use(use, members, by)]


def _of_use(use: str, rows: Sequence[RowResult], by: Sequence[str]) -> list[Group]:
    groups: dict[tuple[str, ...], list[RowResult]] = {}
    for row in rows:
        values = {**row.labels, "use": row.use}
        groups.setdefault(tuple(values[name] for name in by), []).append(row)
    parts = [_group({"use": use, **dict(zip(by, key, strict=True))}, members) for key, members in groups.items()]
    parts.sort(key=lambda group: (-group.n, -group.skipped, *group.key.values()))
    return [_group({"use": use}, rows), *(parts if by else [])]


def _group(key: dict[str, str], rows: Sequence[RowResult]) -> Group:
    counted = [row for row in rows if row.included and row.error is not None]
    reasons = Counter(reason_class(row.reason) for row in rows if row.reason)
    skipped, listed = len(rows) - len(counted), dict(reasons.most_common())
    if not counted:
        return Group(key, 0, skipped, listed, None, None, None, None, None, ())
    errors = [abs(row.error or 0.0) for row in counted]
    ranked = sorted(counted, key=lambda row: (-abs(row.error or 0.0), row.id))
    return Group(
        key,
        len(errors),
        skipped,
        listed,
        statistics.median(errors),
        statistics.fmean(errors),
        percentile(errors, 0.9),
        _bias(counted),
        _covered(counted),
        tuple(row.id for row in ranked[:WORST] if row.error),
    )


def _bias(rows: Sequence[RowResult]) -> float:
    if rows[0].use == "fit":
        return statistics.fmean(float(bool(row.measured)) - float(bool(row.predicted)) for row in rows)
    return statistics.median(row.error or 0.0 for row in rows)


def _covered(rows: Sequence[RowResult]) -> float | None:
    told = [row for row in rows if row.interval]
    inside = sum(row.interval.covers(float(row.measured or 0.0)) for row in told if row.interval)
    return inside / len(told) if told else None
