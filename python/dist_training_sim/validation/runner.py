"""`validate`: predict every row of a corpus and compare with what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DtsError, Problems, suggest
from ..simulator import simulate
from .corpus import Row, read_rows
from .row_framework import framework_of
from .row_job import job_of
from .summary import Group, summarise

__all__ = ["FIELDS", "RowResult", "ValidationReport", "validate"]

FIELDS = ("id", "source", "accelerator", "framework", "kind", "model", "grade", "profile")
_APART = {
    "layout_inconsistent": "the printed layout contradicts itself",
    "degraded_fabric": "degraded fabric: reported, not scored",
    "defect": "defective measurement: reported, not scored",
}


@dataclass(frozen=True)
class RowResult:
    """Prediction for one row.

    Attributes
    ----------
    id, use
        Row and quantity (`"step_time"`).
    predicted, measured
        Seconds per step; None where there is none.
    error
        `predicted / measured - 1`.
    included
        Whether the row counts in the summary; `reason` says why not.
    labels
        What the row can be grouped and chosen by: `FIELDS`.
    breakdown
        Seconds by cause, as `Result.breakdown`; empty without a prediction.
    """

    id: str
    use: str
    predicted: float | None
    measured: float | None
    error: float | None
    included: bool
    reason: str
    labels: Mapping[str, str]
    breakdown: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, without labels and breakdown."""
        names = ("id", "use", "predicted", "measured", "error", "included", "reason")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class ValidationReport:
    """Rows in the order of the corpus; the summary of all of them, then of each group, largest first."""

    rows: tuple[RowResult, ...]
    summary: tuple[Group, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data: `{"rows": [...], "summary": [...]}`."""
        return {"rows": [row.to_dict() for row in self.rows], "summary": [group.to_dict() for group in self.summary]}


def validate(
    corpus: str | Path,
    *,
    where: Mapping[str, str] | None = None,
    by: Sequence[str] = ("source", "accelerator"),
) -> ValidationReport:
    """Predict the step time of every row of a corpus.

    Parameters
    ----------
    corpus
        File of measured runs, one JSON object a line (`.jsonl`, or `.jsonl.gz`); schema: docs/guide/frameworks.md.
    where
        Rows to take: values by name of a field of `FIELDS`, such as `{"accelerator": "H100-SXM-80GB"}`.
    by
        Fields to group the summary by.

    Raises
    ------
    MissingDataError, FormatError
        If there is no such file, or it cannot be read. A bad row is no error: it is reported with its reason.
    ConfigError
        If `where` or `by` names an unknown field.
    """
    chosen = dict(where or {})
    _check_fields("where", chosen)
    _check_fields("by", by)
    labelled = ((row, _labels(row)) for row in read_rows(corpus))
    taken = [(row, labels) for row, labels in labelled if all(labels[name] == chosen[name] for name in chosen)]
    rows = tuple(_predict(row, labels) for row, labels in taken)
    return ValidationReport(rows, tuple(summarise(rows, by, lambda row, name: row.labels[name])))


def _check_fields(where: str, names: Sequence[str] | Mapping[str, str]) -> None:
    problems = Problems()
    for name in names:
        if name not in FIELDS:
            problems.add(where, name, "the name of a field", suggest(str(name), FIELDS))
    problems.raise_if_any()


def _labels(row: Row) -> dict[str, str]:
    return {
        "id": row.id,
        "source": row.source,
        "accelerator": row.text("accelerator"),
        "framework": row.text("framework"),
        "kind": row.text("model.kind"),
        "model": row.text("model.name"),
        "grade": row.grade,
        "profile": framework_of(row),
    }


def _predict(row: Row, labels: Mapping[str, str]) -> RowResult:
    measured = row.number("measured.step_time_s")
    if reason := _unusable(row, measured):
        return RowResult(row.id, "step_time", None, measured, None, False, reason, labels, {})
    try:
        job = job_of(row)
        result = simulate(
            job.model, job.cluster, job.strategy, seq_len=job.seq_len, framework=job.profile, keep_events=False
        )
    except DtsError as problem:
        return RowResult(row.id, "step_time", None, measured, None, False, str(problem), labels, {})
    apart = next((_APART[flag] for flag in row.words("flags") if flag in _APART), "")
    error = result.step_time_s / measured - 1 if measured else None
    return RowResult(
        *(row.id, "step_time", result.step_time_s, measured, error, not apart, apart, labels, result.breakdown)
    )


def _unusable(row: Row, measured: float | None) -> str:
    """Why a row is not predicted at all; empty where it is."""
    if row.problem:
        return row.problem
    if row.grade not in ("A", "B"):
        return f"step time of grade {row.grade or 'none'}: layout, batch or shape not fully known"
    if not measured or measured <= 0:
        return "no measured step time"
    return ""
