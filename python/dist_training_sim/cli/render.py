"""The look of every table, and the texts of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from ..units import format_seconds

__all__ = ["figure", "gib", "headed", "long_time", "new_table", "sentence", "spans"]


def new_table(columns: Sequence[str], left: Sequence[str] = ()) -> Table:
    """Table whose first column and those in `left` are text, the others right-aligned numbers."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for i, name in enumerate(columns):
        wraps = name in left
        table.add_column(name, justify="left" if i == 0 or wraps else "right", no_wrap=not wraps, overflow="fold")
    return table


def headed(title: str, table: Table, note: str = "") -> Group:
    """A table under its title, with a note below."""
    return Group(Text(title, style="bold"), table, *([Text(note)] if note else []))


def sentence(text: str, style: str = "") -> Text:
    """A line of prose; markup characters in names stay as they are."""
    return Text(text, style=style)


def long_time(seconds: float) -> str:
    """A duration in the largest of days, hours and minutes of which it has two, else as `format_seconds`."""
    for scale, unit in ((86_400.0, "days"), (3_600.0, "h"), (60.0, "min")):
        if seconds >= 2 * scale:
            return f"{figure(seconds / scale, 3)} {unit}"
    return format_seconds(seconds)


def figure(value: float | None, digits: int = 4, unit: str = "") -> str:
    """A number of so many significant digits, without an exponent below a million; unknown as a dash."""
    if value is None:
        return "-"
    text = f"{value:,.{digits}g}" if abs(value) < 10**digits else f"{value:,.0f}"
    return f"{text} {unit}".rstrip()


def gib(value: float, digits: int = 2) -> str:
    """Bytes as GiB; nothing for zero."""
    return f"{value / 2**30:,.{digits}f}" if value else ""


def spans(rows: Sequence[Any]) -> list[tuple[str, Any]]:
    """Runs of equal neighbours as ("2-5", row); a single one as ("2", row)."""
    runs = []
    for _, group in groupby(enumerate(rows), key=lambda item: item[1]):
        members = list(group)
        first, last = members[0][0], members[-1][0]
        runs.append((str(first) if first == last else f"{first}-{last}", members[0][1]))
    return runs
