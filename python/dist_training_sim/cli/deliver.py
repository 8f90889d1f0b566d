"""Results to stdout and files: tables for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .outcome import write_file

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["Json", "Out", "deliver", "show", "to_plain"]

MAX_WIDTH = 100

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else, to stdout.")]
Out = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write the result as JSON to FILE.")]


def deliver(result: object, tables: Iterable[RenderableType], *, as_json: bool, out: Path | None) -> None:
    """Write `result` as JSON to `out`, and print it: as JSON, or as the `tables` that show it."""
    text = json.dumps(to_plain(result), indent=2, ensure_ascii=False, allow_nan=False) if as_json or out else ""
    if out:
        write_file(out, f"{text}\n")
    if as_json:
        _tolerate_old_encodings()
        sys.stdout.write(f"{text}\n")
    else:
        show(tables)


def to_plain(value: object) -> Any:
    """Plain data of a result: dataclasses and mappings as objects, enums by value."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if is_dataclass(value):
        return {f.name: to_plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    return value


def show(tables: Iterable[RenderableType]) -> None:
    """Print with blank lines between; at most 100 columns, no colour in a pipe or with NO_COLOR."""
    from rich.console import Console

    _tolerate_old_encodings()
    console = Console(highlight=False)
    console.on_broken_pipe = _reader_has_gone  # type: ignore[method-assign]  # rich would end with code 1
    console.width = min(console.width, MAX_WIDTH) if console.is_terminal else MAX_WIDTH
    for i, table in enumerate(tables):
        if i:
            console.print()
        console.print(table)


def _reader_has_gone() -> None:
    raise BrokenPipeError


def _tolerate_old_encodings() -> None:
    """Show a character that the output's encoding lacks as an escape."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
