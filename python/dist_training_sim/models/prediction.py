"""Modules that predict further tokens from the last hidden state (DeepSeek-V3, arXiv:2412.19437 §2.2)."""

from __future__ import annotations

from dataclasses import replace

from ..errors import Problems
from . import ops
from .model import Block, LayerRun, Model
from .op import BLOCK_INPUT, Op, OpKind, Sharding

__all__ = ["with_prediction"]

JOINED = "predict_proj"


def with_prediction(model: Model, depth: int = 1, layer: Block | None = None) -> Model:
    """Copy of a model with `depth` modules in sequence, each predicting one token further than the one before.

    A module norms the hidden state and the embedding of the next token, joins them in a projection from twice the
    width, runs one transformer layer and shares the token table and the LM head. It runs on the last stage, which
    holds a copy of the table where the pipeline has several.

    Parameters
    ----------
    model
        A language model: its stem looks tokens up, its head ends in logits and a loss.
    depth
        Number of modules, >= 1.
    layer
        Their transformer layer; by default the model's last one.

    Raises
    ------
    ConfigError
        If `depth` is no positive integer, or the model has no token table or LM head.
    """
    problems = Problems()
    problems.count("depth", depth)
    tables = [op for op in model.stem.ops if op.kind is OpKind.EMBEDDING]
    heads = [op for op in model.head.ops if op.kind is OpKind.MATMUL and op.sharding is Sharding.COLUMN]
    if not tables or not heads:
        problems.add("model", model.name, "a language model with a token table and an LM head")
    problems.raise_if_any()
    joined = _joined(layer or model.layers[-1].block, int(model.hidden), tables[0])
    predicts = _head(model.head)
    runs = [run for _ in range(depth) for run in (LayerRun(joined, 1), LayerRun(predicts, 1))]
    return replace(model, name=f"{model.name}-mtp{depth}", prediction=tuple(runs))


def _joined(layer: Block, hidden: int, table: Op) -> Block:
    norms = [ops.norm("token_norm", hidden), ops.norm("state_norm", hidden, input=BLOCK_INPUT)]
    join = [
        ops.elementwise("concat", 2 * hidden, 4, 4),
        ops.matmul(JOINED, 2 * hidden, hidden, Sharding.COLUMN),
    ]
    inner = tuple(replace(op, input=JOINED) if op.input == BLOCK_INPUT else op for op in layer.ops)
    return Block(f"predict-{layer.name}", (replace(table, shared=True), *norms, *join, *inner))


def _head(head: Block) -> Block:
    """The model's own head once more, its matrices shared."""
    shared = tuple(replace(op, shared=True) if op.kind is OpKind.MATMUL else op for op in head.ops)
    return Block("predict-head", shared)
