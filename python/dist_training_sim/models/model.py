"""A model as data: input stem, blocks repeated in order, output head; the mirror of the core's `ModelSpec`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from os import PathLike
from typing import Any, ClassVar

from .._convert import CoreSpec
from ..errors import Problems, suggest
from ..units import format_count
from . import ops
from .op import BLOCK_INPUT, Op, OpKind, Rows

__all__ = ["Block", "LayerRun", "Model", "layer_runs"]

MOST_LAYERS = 100_000


@dataclass(frozen=True)
class Block:
    """Ops in order; the unit that pipeline stages, FSDP and recomputation work on.

    Attributes
    ----------
    tokens_per_sample
        Rows of its token ops per sample where they are not the model's: image patches of an encoder; 0 = the model's.
    """

    CORE: ClassVar[CoreSpec] = CoreSpec("Block")

    name: str
    ops: tuple[Op, ...] = ()
    tokens_per_sample: float = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "ops", tuple(self.ops))

    @property
    def parameters(self) -> int:
        """Weights of the block, all experts counted."""
        return sum(op.parameters for op in self.ops)

    @property
    def active_parameters(self) -> int:
        """Weights one token uses."""
        return sum(op.active_parameters for op in self.ops)

    def op(self, name: str) -> Op:
        """Return the op of that name; `ConfigError` with the nearest names where there is none."""
        found = {op.name: op for op in self.ops}
        if name not in found:
            problems = Problems()
            problems.add(f"{self.name}.op", name, "the name of an op of this block", suggest(name, found))
            problems.raise_if_any()
        return found[name]

    def __repr__(self) -> str:
        return f"Block({self.name!r}, {len(self.ops)} ops, {format_count(self.parameters)} parameters)"


@dataclass(frozen=True)
class LayerRun:
    """`repeat` consecutive copies of one block."""

    CORE: ClassVar[CoreSpec] = CoreSpec("LayerRun")

    block: Block
    repeat: int = 1


def layer_runs(blocks: Iterable[Block]) -> tuple[LayerRun, ...]:
    """Join consecutive equal blocks of a layer list into runs.

    Examples
    --------
    >>> [run.repeat for run in layer_runs([Block("a"), Block("a"), Block("b")])]
    [2, 1]
    """
    return tuple(LayerRun(block, sum(1 for _ in group)) for block, group in groupby(blocks))


@dataclass(frozen=True, kw_only=True)
class Model:
    """Stem, layers and head.

    Attributes
    ----------
    stem, head
        Run on the first and on the last pipeline stage.
    layers
        Runs of equal blocks, split over pipeline stages.
    hidden
        Features of the residual stream, sent between pipeline stages.
    tokens_per_sample
        Fixed sequence length (vision); 0 = given by `seq_len`.
    tied_embeddings
        The head's output matmul uses the stem's token table: counted once.
    encoder
        Blocks before the stem, on the first stage, with tokens of their own: a vision tower and its projector.
    prediction
        Blocks beside the head, on the last stage: modules that predict further tokens (`models.prediction`).

    Raises
    ------
    ConfigError
        Listing every problem: no layers, repeated op names, inputs that name no earlier op, matmuls whose
        `in_features` differ from what they read, tied embeddings of different size.

    Examples
    --------
    An architecture of one's own, a gated MLP without attention:

    >>> from dist_training_sim.models import Block, LayerRun, Model, ops, transformer
    >>> hidden, inner, vocabulary = 1024, 4096, 32_000
    >>> block = Block("gated-mlp", (
    ...     ops.norm("norm", hidden),
    ...     ops.matmul("in", hidden, 2 * inner, "column"),
    ...     ops.activation("gate", inner, "swiglu"),
    ...     ops.matmul("out", inner, hidden, "row"),
    ...     ops.residual("add", hidden),
    ... ))
    >>> stem = Block("stem", (ops.embedding("tokens", vocabulary, hidden),))
    >>> head = transformer.language_head(hidden, vocabulary)
    >>> Model(name="mlp-lm", stem=stem, layers=(LayerRun(block, 24),), head=head, hidden=hidden)
    Model('mlp-lm', 24 layers, 367.6 M parameters)
    """

    CORE: ClassVar[CoreSpec] = CoreSpec("ModelSpec")

    name: str
    stem: Block
    layers: tuple[LayerRun, ...]
    head: Block
    hidden: float
    tokens_per_sample: float = 0
    tied_embeddings: bool = False
    encoder: tuple[LayerRun, ...] = ()
    prediction: tuple[LayerRun, ...] = ()

    def __post_init__(self) -> None:
        problems = Problems()
        for name in ("layers", "encoder", "prediction"):
            runs = problems.listed(f"model.{name}", getattr(self, name), "a list of LayerRuns")
            wrong = [run for run in runs if not isinstance(run, LayerRun)]
            if wrong:
                problems.add(f"model.{name}", wrong[0], "a LayerRun")
            object.__setattr__(self, name, runs)
        for name in ("stem", "head"):
            if not isinstance(getattr(self, name), Block):
                problems.add(f"model.{name}", getattr(self, name), "a Block")
        problems.flag("model.tied_embeddings", self.tied_embeddings)
        problems.raise_if_any()
        _check_model(self, problems)
        problems.raise_if_any()

    @classmethod
    def from_hf(
        cls, config: str | PathLike[str] | Mapping[str, Any], name: str = "", *, image_tokens: int = 0, images: int = 1
    ) -> Model:
        """Read a Hugging Face `config.json` (a path, its folder, or the parsed dict); see `io.hf_config`.

        `image_tokens` of a sample, from `images` pictures, put the vision tower of a multimodal config in front.
        """
        from ..io.hf_config import read_hf_model

        return read_hf_model(config, name, image_tokens=image_tokens, images=images)

    @classmethod
    def from_catalog(cls, name: str) -> Model:
        """Return a model of the catalogue, such as `"llama-3.1-8b"`; `catalog.models.names()` lists them."""
        from ..catalog.models import load

        return load(name)

    @classmethod
    def generic(cls, parameters: float, activations: float, *, layers: int = 16, name: str = "generic") -> Model:
        """Return a model known only by its size: equal layers of one op with 2 FLOP per parameter and sample.

        Parameters
        ----------
        parameters
            Number of weights of all layers, >= 1.
        activations
            Elements kept for backward per sample, all layers; each is also written and read once in forward.
        layers
            Layers they are spread over; gradients of one can be reduced while another computes.
        """
        problems = Problems()
        problems.at_least_one("parameters", parameters)
        problems.non_negative("activations", activations)
        problems.count("layers", layers, maximum=MOST_LAYERS)
        problems.raise_if_any()
        op = ops.custom(
            "layer",
            flops_per_row=2 * parameters / layers,
            in_features=activations / layers,
            out_features=activations / layers,
            parameters=parameters / layers,
            rows=Rows.SAMPLES,
        )
        empty = Block("empty")
        runs = (LayerRun(Block("layer", (op,)), layers),)
        width = activations / layers
        return cls(name=name, stem=empty, layers=runs, head=empty, hidden=width, tokens_per_sample=1)

    @property
    def layer_count(self) -> int:
        """Number of blocks between stem and head."""
        return sum(run.repeat for run in self.layers)

    @property
    def parameters(self) -> int:
        """Weights of the model: all experts, tied weights once."""
        total = sum(run.repeat * run.block.parameters for run in self._runs())
        return total + self.stem.parameters + self.head.parameters - self._tied_parameters()

    @property
    def active_parameters(self) -> int:
        """Weights one token uses: routed experts count `top_k / experts`."""
        total = sum(run.repeat * run.block.active_parameters for run in self._runs())
        return total + self.stem.active_parameters + self.head.active_parameters - self._tied_parameters()

    def blocks(self) -> Iterator[Block]:
        """Yield each distinct position once: stem, the block of every run, head."""
        yield self.stem
        yield from (run.block for run in self._runs())
        yield self.head

    def _runs(self) -> tuple[LayerRun, ...]:
        return self.encoder + self.layers + self.prediction

    def _tied_parameters(self) -> int:
        return _table_size(self) if self.tied_embeddings else 0

    def __repr__(self) -> str:
        text = f"{format_count(self.parameters)} parameters"
        if self.active_parameters != self.parameters:
            text += f", {format_count(self.active_parameters)} active"
        return f"Model({self.name!r}, {self.layer_count} layers, {text})"


def _table_size(model: Model) -> int:
    """Weights of the token table, the first embedding of the stem; 0 where there is none."""
    return next((op.parameters for op in model.stem.ops if op.kind is OpKind.EMBEDDING), 0)


def _check_model(model: Model, problems: Problems) -> None:
    if not isinstance(model.name, str) or not model.name:
        problems.add("model.name", model.name, "a non-empty text")
    problems.non_negative("model.hidden", model.hidden)
    problems.non_negative("model.tokens_per_sample", model.tokens_per_sample)
    if not model.layers:
        problems.add("model.layers", [], "at least one layer")
    for run in model.encoder + model.layers + model.prediction:
        problems.count(f"{run.block.name}.repeat", run.repeat, maximum=MOST_LAYERS)
    for block in dict.fromkeys(model.blocks()):
        _check_block(block, problems)
    if model.tied_embeddings:
        _check_tied(model, problems)


def _check_tied(model: Model, problems: Problems) -> None:
    size = _table_size(model)
    outputs = [op for op in model.head.ops if op.kind is OpKind.MATMUL and op.in_features * op.out_features == size]
    if not size or not outputs:
        expected = "an embedding in the stem and a matmul of the same size in the head"
        problems.add("model.tied_embeddings", True, expected)


def _check_block(block: Block, problems: Problems) -> None:
    problems.non_negative(f"{block.name}.tokens_per_sample", block.tokens_per_sample)
    seen: dict[str, Op] = {}
    previous: Op | None = None
    for op in block.ops:
        where = f"{block.name}.{op.name}"
        if op.name in seen:
            problems.add(where, op.name, "op names that are unique within their block")
        if op.input not in ("", BLOCK_INPUT, *seen):
            problems.add(f"{where}.input", op.input, "the name of an earlier op of the block", suggest(op.input, seen))
        _check_reads(where, op, seen.get(op.input, previous if op.input == "" else None), problems)
        seen[op.name] = previous = op


def _check_reads(where: str, op: Op, source: Op | None, problems: Problems) -> None:
    """A matmul must read exactly what its source produces; other ops may use part of it."""
    if source is None or op.kind not in (OpKind.MATMUL, OpKind.GROUPED_MATMUL):
        return
    if op.in_features != source.out_features:
        problems.add(f"{where}.in_features", op.in_features, f"{source.out_features:g}, which {source.name} produces")
