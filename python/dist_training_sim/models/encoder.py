"""BERT: post-norm encoder blocks with a masked-language-model and a next-sentence head (Devlin et al. 2018)."""

from __future__ import annotations

from . import ops
from .model import Block, LayerRun, Model
from .op import Op, Rows, Sharding
from .transformer import LAYER, Attention, Mlp, post_norm_block

__all__ = ["bert"]


def bert(
    name: str,
    layers: int,
    hidden: int,
    heads: int,
    ffn: int,
    vocabulary: int,
    *,
    positions: int = 512,
    segments: int = 2,
    activation: str = "gelu",
    dropout: bool = True,
    score_dropout: bool = True,
) -> Model:
    """Build the pretraining model, its logits over every token of the sequence."""
    mixer = Attention.multi_head(hidden, heads, rope=False, causal=False, score_dropout=score_dropout)
    block = post_norm_block("layer", hidden, mixer, Mlp(ffn, activation, bias=True), dropout=dropout)
    stem = _stem(hidden, vocabulary, positions, segments, dropout=dropout)
    head = _head(hidden, vocabulary, activation)
    return Model(
        name=name, stem=stem, layers=(LayerRun(block, layers),), head=head, hidden=hidden, tied_embeddings=True
    )


def _stem(hidden: int, vocabulary: int, positions: int, segments: int, *, dropout: bool) -> Block:
    listed: list[Op] = [
        ops.embedding("tokens", vocabulary, hidden),
        ops.position_embedding("positions", positions, hidden),
        ops.position_embedding("segments", segments, hidden),
        LAYER.op("embedding_norm", hidden),
    ]
    if dropout:
        listed.append(ops.dropout("embedding_dropout", hidden))
    return Block("stem", tuple(listed))


def _head(hidden: int, vocabulary: int, activation: str) -> Block:
    """Next sentence from the first token's pooled state; then the masked tokens."""
    return Block(
        "head",
        (
            ops.matmul("pooler", hidden, hidden, Sharding.REPLICATED, bias=True, rows=Rows.SAMPLES, input="block"),
            ops.activation("pooler_act", hidden, "tanh", Sharding.REPLICATED, rows=Rows.SAMPLES),
            ops.matmul("next_sentence", hidden, 2, Sharding.REPLICATED, bias=True, rows=Rows.SAMPLES),
            ops.cross_entropy("next_sentence_loss", 2, Sharding.REPLICATED, rows=Rows.SAMPLES),
            ops.matmul("transform", hidden, hidden, bias=True, input="block"),
            ops.activation("transform_act", hidden, activation, Sharding.SEQUENCE),
            LAYER.op("transform_norm", hidden),
            ops.matmul("lm_head", hidden, vocabulary, Sharding.COLUMN, bias=True),
            ops.cross_entropy("loss", vocabulary),
        ),
    )
