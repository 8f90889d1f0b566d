"""`models`: the model catalogue, and what one model is made of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import overload

from .._display import table_html
from ..catalog import models as catalog
from ..models import Block, Model
from ..units import format_count
from .inputs import MODEL_SUFFIXES, is_path, model_of

__all__ = ["ModelPart", "ModelSummary", "models"]


@dataclass(frozen=True)
class ModelPart:
    """A block of a model: its name, how often it comes, the weights of one."""

    name: str
    count: int
    parameters: int


@dataclass(frozen=True, repr=False)
class ModelSummary:
    """A model in figures.

    Attributes
    ----------
    name
        Name of the catalogue, or of the config that was read.
    parameters, active_parameters
        Weights of the model, and those that one token uses; tied tables once.
    layers, hidden
        Blocks between embedding and head; features of the residual stream.
    tied_embeddings
        Whether the head uses the table of the embedding.
    tokens_per_sample
        Sequence length that the model fixes (vision); 0 = chosen by `seq_len`.
    parts
        Its blocks in order, encoder and prediction modules included; neighbours of one name and size together.
    parameters_published
        Weights as the source states them; 0 = not in the catalogue.
    source
        Where shape and figures are from.
    """

    name: str
    parameters: int
    active_parameters: int
    layers: int
    hidden: int
    tied_embeddings: bool
    tokens_per_sample: int
    parts: tuple[ModelPart, ...]
    parameters_published: int
    source: str

    def __repr__(self) -> str:
        return f"<{self.name}: {format_count(self.parameters)} parameters, {self.layers} layers of width {self.hidden}>"

    def _repr_html_(self) -> str:
        rows = [(part.name, part.count, f"{part.parameters:,}") for part in self.parts]
        return table_html(repr(self).strip("<>"), ("block", "count", "parameters of one"), rows)


@overload
def models(name: None = None) -> list[ModelSummary]: ...
@overload
def models(name: str) -> ModelSummary: ...
def models(name: str | None = None) -> list[ModelSummary] | ModelSummary:
    """All models of the catalogue, or one of them; also one of a Hugging Face config, by its path.

    Raises
    ------
    ConfigError
        If there is no such model; the nearest names are suggested.
    MissingDataError
        If there is no such file.

    Examples
    --------
    >>> models("llama-3.1-8b").parameters
    8030261248
    """
    if name is None:
        return [_summary(catalog.load(entry.name), entry) for entry in catalog.entries().values()]
    if is_path(name, MODEL_SUFFIXES):
        return _summary(model_of(name), source=name)
    entry = catalog.entry(name)
    return _summary(catalog.load(entry.name), entry)


def _summary(model: Model, entry: catalog.ModelEntry | None = None, source: str = "") -> ModelSummary:
    return ModelSummary(
        name=model.name,
        parameters=model.parameters,
        active_parameters=model.active_parameters,
        layers=model.layer_count,
        hidden=int(model.hidden),
        tied_embeddings=model.tied_embeddings,
        tokens_per_sample=int(model.tokens_per_sample),
        parts=_parts(_blocks(model)),
        parameters_published=0 if entry is None else entry.parameters_published,
        source=source if entry is None else entry.source,
    )


def _blocks(model: Model) -> Iterable[tuple[Block, int]]:
    yield from ((run.block, run.repeat) for run in model.encoder)
    yield model.stem, 1
    yield from ((run.block, run.repeat) for run in model.layers)
    yield model.head, 1
    yield from ((run.block, run.repeat) for run in model.prediction)


def _parts(runs: Iterable[tuple[Block, int]]) -> tuple[ModelPart, ...]:
    """Blocks in order; neighbours of one name and size are one part."""
    sized = [(block.name, block.parameters, count) for block, count in runs if block.ops]
    groups = groupby(sized, key=lambda item: item[:2])
    return tuple(ModelPart(name, sum(item[2] for item in group), weights) for (name, weights), group in groups)
