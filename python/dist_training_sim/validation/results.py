"""What a validation says of a row: prediction, measurement, error, interval, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .._display import table_html
from ..intervals import Interval, Situation

if TYPE_CHECKING:
    from .summary import Group

__all__ = ["USES", "RowResult", "ValidationReport", "skipped"]

USES = ("step_time", "memory", "fit", "collectives", "kernels")
Value = float | bool | None


@dataclass(frozen=True)
class RowResult:
    """Prediction for one row.

    Attributes
    ----------
    id, use
        Row and quantity: one of `USES`.
    predicted, measured
        Seconds (step_time, collectives, kernels), bytes (memory), or whether the job fits (fit); None where there is
        none.
    error
        `predicted / measured - 1`; of fit 0 where it is right, 1 where it is wrong.
    included
        Whether the row counts in the summary; `reason` says why not.
    labels
        What the row can be grouped and chosen by: `FIELDS`.
    breakdown
        Seconds by cause of a step time, as `Result.breakdown`; else empty.
    interval
        Where the truth should lie, from the errors of sources that the row's source is not among; None where the use
        has none.
    situation
        Where the prediction stands among measured ones; None where the use has no intervals.
    """

    id: str
    use: str
    predicted: Value
    measured: Value
    error: float | None
    included: bool
    reason: str
    labels: Mapping[str, str]
    breakdown: Mapping[str, float] = field(default_factory=dict)
    interval: Interval | None = None
    situation: Situation | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data, without labels, breakdown and situation."""
        names = ("id", "use", "predicted", "measured", "error", "interval", "included", "reason")
        plain = {name: getattr(self, name) for name in names}
        return plain | {"interval": self.interval.to_dict() if self.interval else None}


@dataclass(frozen=True, repr=False)
class ValidationReport:
    """Rows in the order of the corpus; for each use the summary of its rows, then of each group, largest first."""

    rows: tuple[RowResult, ...]
    summary: tuple[Group, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data: `{"rows": [...], "summary": [...]}`."""
        return {"rows": [row.to_dict() for row in self.rows], "summary": [group.to_dict() for group in self.summary]}

    def __repr__(self) -> str:
        counted = sum(row.included for row in self.rows)
        uses = ", ".join(f"{g.key['use']} {g.median_error:.1%}" for g in self._whole() if g.median_error is not None)
        return f"<ValidationReport {counted:,} of {len(self.rows):,} rows count; median errors: {uses or 'none'}>"

    def _repr_html_(self) -> str:
        rows = []
        for g in self.summary:
            errors = ("" if e is None else f"{e:.1%}" for e in (g.median_error, g.p90_error, g.bias))
            rows.append((", ".join(g.key.values()), g.n, *errors))
        return table_html(repr(self).strip("<>"), ("group", "rows", "median", "p90", "bias"), rows)

    def _whole(self) -> list[Group]:
        """The group of all rows of each use."""
        return [group for group in self.summary if set(group.key) == {"use"}]


def skipped(name: str, use: str, measured: Value, reason: str, labels: Mapping[str, str]) -> RowResult:
    """Row without a prediction."""
    return RowResult(name, use, None, measured, None, False, reason, labels)
