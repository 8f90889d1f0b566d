"""A report as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .sections import Section, Table, sections, summary

if TYPE_CHECKING:
    from .make import Report

__all__ = ["document"]


def document(report: Report) -> str:
    """The whole document."""
    from .. import __version__

    parts = [f"# {report.result.model} on {report.result.cluster_title}", "", f"**{summary(report)}**", ""]
    for section in sections(report):
        parts += _section(section)
    return "\n".join([*parts, f"Written by dist_training_sim {__version__}.", ""])


def _section(section: Section) -> list[str]:
    if not (section.text or section.tables or section.items):
        return []  # figures alone
    lines = [f"## {section.title}", ""]
    for text in section.text:
        lines += [text, ""]
    for table in section.tables:
        lines += [*_table(table), ""]
    lines += [f"- {item}" for item in section.items]
    return [*lines, ""] if section.items else lines


def _table(table: Table) -> list[str]:
    def row(cells: list[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    align = [" --- ", *(" --: " if table.figures else " --- " for _ in table.head[1:])]
    return [row(list(table.head)), f"|{'|'.join(align)}|", *(row(list(cells)) for cells in table.rows)]
