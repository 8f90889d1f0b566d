"""Predictions against published measurements: read a corpus, map each row to a job, simulate, report the error."""

from __future__ import annotations

from ..intervals import Interval
from .corpus import Row, packaged_corpus, read_rows
from .labels import FIELDS
from .layout_sweeps import LayoutSweep, RankingReport, validate_ranking
from .results import USES, RowResult, ValidationReport
from .row_job import Job, job_of
from .runner import validate
from .summary import Group

__all__ = [
    "FIELDS",
    "USES",
    "Group",
    "Interval",
    "Job",
    "LayoutSweep",
    "RankingReport",
    "Row",
    "RowResult",
    "ValidationReport",
    "job_of",
    "packaged_corpus",
    "read_rows",
    "validate",
    "validate_ranking",
]
