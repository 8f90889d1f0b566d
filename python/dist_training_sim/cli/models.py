"""`dts models`: the model catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .. import verbs
from ..units import format_count
from .deliver import Json, Out, deliver
from .outcome import ExitCode
from .render import headed, new_table, sentence

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..verbs import ModelSummary

__all__ = ["EXAMPLES", "models"]

EXAMPLES = """\b
Examples:
  dts models
  dts models mixtral-8x7b
  dts models ./config.json --json
"""

Name = Annotated[
    str | None,
    typer.Argument(metavar="[NAME]", help="Catalogue name, or path of a Hugging Face config.json or its folder."),
]


def models(name: Name = None, as_json: Json = False, out: Out = None) -> ExitCode:
    """List models of the catalogue, or what one is made of."""
    result = verbs.models(name)
    tables = _list(result) if isinstance(result, list) else _one(result)
    deliver(result, tables, as_json=as_json, out=out)
    return ExitCode.OK


def _list(summaries: list[ModelSummary]) -> list[RenderableType]:
    table = new_table(("name", "parameters", "active", "layers", "hidden"))
    for m in summaries:
        active = "" if m.active_parameters == m.parameters else format_count(m.active_parameters)
        table.add_row(m.name, format_count(m.parameters), active, str(m.layers), str(m.hidden))
    return [headed(f"{len(summaries)} models", table)]


def _one(m: ModelSummary) -> list[RenderableType]:
    active = "" if m.active_parameters == m.parameters else f", {format_count(m.active_parameters)} of them for a token"
    tied = ", embedding and output tied" if m.tied_embeddings else ""
    text = f"{m.name}: {format_count(m.parameters)} parameters{active}, {m.layers} layers of width {m.hidden}{tied}."
    table = new_table(("block", "count", "parameters of one", "of all"))
    for part in m.parts:
        table.add_row(part.name, str(part.count), f"{part.parameters:,}", f"{part.count * part.parameters:,}")
    published = f" Published count: {m.parameters_published:,}." if m.parameters_published else ""
    return [sentence(text, "bold"), headed("Blocks in order", table), sentence(f"Source: {m.source}.{published}")]
