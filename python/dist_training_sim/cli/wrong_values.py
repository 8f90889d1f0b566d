"""Options whose values are no numbers, in the words of every other problem."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from .outcome import ExitCode, complain

__all__ = ["Verbs"]

_KINDS = {"int": "a whole number", "float": "a number"}


class Verbs(TyperGroup):
    """The verbs; where a value is no number, a line says what was given and expected."""

    def invoke(self, ctx: Any) -> Any:
        """Run the verb that the arguments name."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            told = _told(error)
            if not told:
                raise
            complain(told)
            raise typer.Exit(ExitCode.USAGE) from None


def _told(error: Any) -> str:
    """What typer's checker of types found, told as the package tells it; empty of anything else."""
    listed = getattr(error.__cause__, "errors", None)  # a ValidationError of pydantic
    found = listed()[0] if listed is not None else {}
    expected = _KINDS.get(str(found.get("type", "")).partition("_")[0])
    if expected is None or error.param is None:
        return ""
    return f"{max(error.param.opts, key=len)}: got {found['input']!r}, expected {expected}"
