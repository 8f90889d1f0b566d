"""Predictions against published measurements: read a corpus, map each row to a job, simulate, report the error."""

from __future__ import annotations

from .corpus import Row, read_rows
from .row_job import Job, job_of
from .runner import RowResult, ValidationReport, validate
from .summary import Group

__all__ = ["Group", "Job", "Row", "RowResult", "ValidationReport", "job_of", "read_rows", "validate"]
