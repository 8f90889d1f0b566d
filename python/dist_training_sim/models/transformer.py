"""Transformer blocks and language models: norms and adds around two parts, token table and head around blocks."""

from __future__ import annotations

from collections.abc import Iterable

from . import ops
from .model import Block, Model, layer_runs
from .op import BLOCK_INPUT, Op, Sharding
from .parts import LAYER, RMS, Attention, Experts, LatentAttention, Mlp, NormKind, Part

__all__ = [
    "LAYER",
    "RMS",
    "Attention",
    "Experts",
    "LatentAttention",
    "Mlp",
    "NormKind",
    "Part",
    "gpt_block",
    "language_head",
    "language_model",
    "llama_block",
    "mixer_block",
    "post_norm_block",
    "pre_norm_block",
]


def pre_norm_block(
    name: str,
    hidden: int,
    mixer: Part,
    feed: Part,
    *,
    norm: NormKind = RMS,
    dropout: bool = False,
    sandwich: bool = False,
    parallel: bool = False,
) -> Block:
    """Norm → attention → add, norm → feed-forward → add.

    Parameters
    ----------
    dropout
        Before each residual add.
    sandwich
        A further norm after each part, before the add (Gemma 2).
    parallel
        Both parts read the block's input (GPT-NeoX).
    """

    def half(prefix: str, part: Part, reads: str) -> list[Op]:
        after = [norm.op(f"{prefix}_post_norm", hidden)] if sandwich else []
        before = norm.op(f"{prefix}_norm", hidden, input=reads)
        return [before, *part.ops(hidden, before.name), *after, *_add(prefix, hidden, dropout=dropout)]

    return Block(name, (*half("attn", mixer, ""), *half("mlp", feed, BLOCK_INPUT if parallel else "")))


def mixer_block(name: str, hidden: int, part: Part, *, norm: NormKind = RMS) -> Block:
    """One part alone: norm → part → add (layers of hybrid models such as Nemotron-H)."""
    before = norm.op("norm", hidden)
    return Block(name, (before, *part.ops(hidden, before.name), ops.residual("add", hidden)))


def post_norm_block(
    name: str, hidden: int, mixer: Part, feed: Part, *, norm: NormKind = LAYER, dropout: bool = False
) -> Block:
    """Attention → add → norm, feed-forward → add → norm (BERT, OPT-350M)."""

    def half(prefix: str, part: Part, reads: str) -> list[Op]:
        return [*part.ops(hidden, reads), *_add(prefix, hidden, dropout=dropout), norm.op(f"{prefix}_norm", hidden)]

    return Block(name, (*half("attn", mixer, BLOCK_INPUT), *half("mlp", feed, "attn_norm")))


def _add(prefix: str, hidden: int, *, dropout: bool) -> list[Op]:
    drop = [ops.dropout(f"{prefix}_dropout", hidden, fused=True)] if dropout else []
    return [*drop, ops.residual(f"{prefix}_add", hidden)]


def llama_block(hidden: int, heads: int, kv_heads: int, ffn: int, *, head_dim: int = 0, window: int = 0) -> Block:
    """RMSNorm, grouped-query attention with rope, SwiGLU, no biases (Llama, Mistral)."""
    mixer = Attention(heads, kv_heads, head_dim or hidden // heads, window=window)
    return pre_norm_block("layer", hidden, mixer, Mlp(ffn))


def gpt_block(hidden: int, heads: int, ffn: int = 0, *, dropout: bool = True) -> Block:
    """LayerNorm, multi-head attention, GeLU, biases everywhere (GPT-2, GPT-3, Megatron)."""
    mixer = Attention(heads, heads, hidden // heads, qkv_bias=True, out_bias=True, rope=False, score_dropout=dropout)
    feed = Mlp(ffn or 4 * hidden, "gelu", bias=True)
    return pre_norm_block("layer", hidden, mixer, feed, norm=LAYER, dropout=dropout)


def language_head(
    hidden: int,
    vocabulary: int,
    *,
    norm: NormKind | None = RMS,
    projection: int = 0,
    bias: bool = False,
    softcap: bool = False,
) -> Block:
    """Final norm, (down projection), logits split over the vocabulary, (tanh softcap), cross-entropy."""
    listed = [norm.op("final_norm", hidden)] if norm else []
    if projection:
        listed.append(ops.matmul("project_out", hidden, projection))
    listed.append(ops.matmul("lm_head", projection or hidden, vocabulary, Sharding.COLUMN, bias=bias))
    if softcap:
        listed.append(ops.activation("softcap", vocabulary, "tanh"))
    listed.append(ops.cross_entropy("loss", vocabulary))
    return Block("head", tuple(listed))


def _language_stem(
    hidden: int, vocabulary: int, positions: int, projection: int, norm: NormKind | None, *, dropout: bool, scaled: bool
) -> Block:
    listed = [ops.embedding("tokens", vocabulary, projection or hidden)]
    if projection:
        listed.append(ops.matmul("project_in", projection, hidden))
    if scaled:
        listed.append(ops.elementwise("scale", hidden))
    if positions:
        listed.append(ops.position_embedding("positions", positions, hidden))
    if norm:
        listed.append(norm.op("embedding_norm", hidden))
    if dropout:
        listed.append(ops.dropout("embedding_dropout", hidden))
    return Block("stem", tuple(listed))


def language_model(
    name: str,
    blocks: Iterable[Block],
    hidden: int,
    vocabulary: int,
    *,
    tied: bool = False,
    positions: int = 0,
    projection: int = 0,
    embedding_norm: NormKind | None = None,
    final_norm: NormKind | None = RMS,
    dropout: bool = False,
    scaled_embedding: bool = False,
    softcap: bool = False,
) -> Model:
    """Token table, blocks in order, final norm, LM head and loss.

    Parameters
    ----------
    blocks
        One per layer; equal neighbours are joined into runs.
    tied
        The LM head uses the token table.
    positions
        Rows of a learned position table; 0 = none (rope, ALiBi).
    projection
        Width of the token table where it differs from `hidden` (OPT-350M); 0 = the same.
    scaled_embedding, softcap
        Gemma's multiplication after the lookup, and its tanh on the logits.
    """
    stem = _language_stem(
        hidden, vocabulary, positions, projection, embedding_norm, dropout=dropout, scaled=scaled_embedding
    )
    head = language_head(hidden, vocabulary, norm=final_norm, projection=projection, softcap=softcap)
    return Model(name=name, stem=stem, layers=layer_runs(blocks), head=head, hidden=hidden, tied_embeddings=tied)
