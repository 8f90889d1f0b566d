"""A prediction on one page: what was asked, where the step goes, whether it fits, what would help, who says so."""

from __future__ import annotations

from .make import Report, report

__all__ = ["Report", "report"]
