"""Parts of transformer blocks: attention, latent attention, feed-forward, experts. Each lists its ops and declares how
they lie along the tensor- and expert-parallel axes; the collectives follow from that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from . import ops
from .op import Op, Rows, Sharding

__all__ = ["LAYER", "RMS", "Attention", "Experts", "LatentAttention", "Mlp", "NormKind", "Part"]


@dataclass(frozen=True)
class NormKind:
    """`"rms"` or `"layer"`, with or without a bias."""

    kind: str = "rms"
    bias: bool = False

    def op(self, name: str, features: float, *, input: str = "") -> Op:
        """Return the norm over the residual stream."""
        return ops.norm(name, features, self.kind, bias=self.bias, input=input)


RMS = NormKind("rms")
LAYER = NormKind("layer", bias=True)


class Part(Protocol):
    """Half of a block: the ops between a norm, whose name is `reads`, and the residual add."""

    def ops(self, hidden: int, reads: str) -> list[Op]:
        """List the ops in order."""
        ...


@dataclass(frozen=True)
class Attention:
    """Multi-head, grouped-query or multi-query attention with a fused q, k, v projection.

    Attributes
    ----------
    qk_norm
        RMSNorm over each head's q and k, one gain each (Qwen3, Gemma 3).
    window, chunk
        Sliding window in tokens, and chunks that a token does not see beyond; 0 = full.
    output_gate
        A sigmoid gate on the output, projected beside q (Qwen3-Next).
    sinks
        One learned logit per head in the softmax (GPT-OSS).
    alibi
        A bias by distance on the scores in place of positions (BLOOM, MPT).
    """

    heads: int
    kv_heads: int
    head_dim: int
    qkv_bias: bool = False
    out_bias: bool = False
    qk_norm: bool = False
    rope: bool = True
    causal: bool = True
    window: int = 0
    score_dropout: bool = False
    sinks: bool = False
    chunk: int = 0
    output_gate: bool = False
    alibi: bool = False

    @classmethod
    def multi_head(
        cls,
        hidden: int,
        heads: int,
        *,
        bias: bool = True,
        rope: bool = True,
        causal: bool = True,
        score_dropout: bool = False,
    ) -> Attention:
        """As many k and v heads as q heads, `hidden / heads` wide, with biases on both projections or on none."""
        return cls(
            *(heads, heads, hidden // heads),
            qkv_bias=bias,
            out_bias=bias,
            rope=rope,
            causal=causal,
            score_dropout=score_dropout,
        )

    def ops(self, hidden: int, reads: str) -> list[Op]:
        """q, k, v → (norm) → (rope) → attention → output projection."""
        q, kv = self.heads * self.head_dim, self.kv_heads * self.head_dim
        gate = q if self.output_gate else 0
        listed = [ops.matmul("qkv", hidden, q + gate + 2 * kv, Sharding.COLUMN, bias=self.qkv_bias, input=reads)]
        if self.qk_norm:
            listed.append(ops.norm("q_norm", q, groups=self.heads, sharding=Sharding.HEADS))
            listed.append(ops.norm("k_norm", kv, groups=self.kv_heads, sharding=Sharding.HEADS, input="qkv"))
        if self.rope:
            listed.append(ops.rope("rope", q + kv))
        listed.append(self._core())
        if gate:  # read it and the output, write; backward reads both and the gradient and writes two
            listed.append(ops.elementwise("output_gate", q, 6, 10, Sharding.HEADS, saves_input=True))
        listed.append(ops.matmul("proj", q, hidden, Sharding.ROW, bias=self.out_bias))
        return listed

    def _core(self) -> Op:
        return ops.attention(
            "attention",
            self.heads,
            self.kv_heads,
            self.head_dim,
            causal=self.causal,
            window=self.window,
            chunk=self.chunk,
            score_dropout=self.score_dropout,
            alibi=self.alibi,
            sinks=self.sinks,
        )


@dataclass(frozen=True)
class LatentAttention:
    """Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434 §2.1), in its training form.

    The down projections and their norms work on each token alone (sequence region, weights whole on every rank); the up
    projections are split by heads. `q_rank=0`: q is projected directly.
    """

    heads: int
    q_rank: int
    kv_rank: int
    nope_dim: int
    rope_dim: int
    v_dim: int

    def ops(self, hidden: int, reads: str) -> list[Op]:
        """q down/up, kv down/up, rope, attention, output projection."""
        qk = self.nope_dim + self.rope_dim
        kv_up = self.heads * (self.nope_dim + self.v_dim)
        return [
            *self._query(hidden, reads, self.heads * qk),
            ops.matmul("kv_down", hidden, self.kv_rank + self.rope_dim, input=reads),
            ops.norm("kv_norm", self.kv_rank),
            ops.matmul("kv_up", self.kv_rank, kv_up, Sharding.COLUMN),
            # the rotated part is joined to the rest and copied to every head: q and k are rewritten whole
            ops.rope("rope", 2 * self.heads * qk),
            ops.attention("attention", self.heads, self.heads, qk, v_head_dim=self.v_dim),
            ops.matmul("proj", self.heads * self.v_dim, hidden, Sharding.ROW),
        ]

    def _query(self, hidden: int, reads: str, features: int) -> list[Op]:
        if not self.q_rank:
            return [ops.matmul("q", hidden, features, Sharding.COLUMN, input=reads)]
        return [
            ops.matmul("q_down", hidden, self.q_rank, input=reads),
            ops.norm("q_norm", self.q_rank),
            ops.matmul("q_up", self.q_rank, features, Sharding.COLUMN),
        ]


@dataclass(frozen=True)
class Mlp:
    """Two linear layers around an activation; a gated one projects to twice `features` first."""

    features: int
    activation: str = "swiglu"
    bias: bool = False

    def ops(self, hidden: int, reads: str, prefix: str = "") -> list[Op]:
        """Up, activation, down."""
        width = self.features * (2 if self.activation in ops.GATED else 1)
        return [
            ops.matmul(f"{prefix}up", hidden, width, Sharding.COLUMN, bias=self.bias, input=reads),
            ops.activation(f"{prefix}act", self.features, self.activation),
            ops.matmul(f"{prefix}down", self.features, hidden, Sharding.ROW, bias=self.bias),
        ]


@dataclass(frozen=True)
class Experts:
    """Routed experts, optionally with shared experts that every token takes.

    Attributes
    ----------
    features
        Inner width of one routed expert.
    shared
        The shared experts as one MLP, or None.
    shared_gate
        A learned sigmoid scales the shared output (Qwen2-MoE).
    """

    experts: int
    top_k: int
    features: int
    activation: str = "swiglu"
    bias: bool = False
    router_bias: bool = False
    shared: Mlp | None = None
    shared_gate: bool = False

    def ops(self, hidden: int, reads: str) -> list[Op]:
        """Router, dispatch, expert up/activation/down, combine; then the shared experts beside them."""
        return self._routed(hidden, reads) + (self._shared(self.shared, hidden, reads) if self.shared else [])

    def _routed(self, hidden: int, reads: str) -> list[Op]:
        number, top_k, width = self.experts, self.top_k, self.features
        both = width * (2 if self.activation in ops.GATED else 1)
        column, row = Sharding.EXPERT_COLUMN, Sharding.EXPERT_ROW
        return [
            ops.router("router", hidden, number, top_k, bias=self.router_bias),
            ops.dispatch("dispatch", hidden, number, top_k, input=reads),
            ops.grouped_matmul("expert_up", hidden, both, number, top_k, column, bias=self.bias),
            ops.activation("expert_act", width, self.activation, Sharding.EXPERT, rows=Rows.ROUTED),
            ops.grouped_matmul("expert_down", width, hidden, number, top_k, row, bias=self.bias),
            ops.combine("combine", hidden, number, top_k),
        ]

    def _shared(self, shared: Mlp, hidden: int, reads: str) -> list[Op]:
        gate = [ops.matmul("shared_gate", hidden, 1, input=reads)] if self.shared_gate else []
        scale = [ops.elementwise("shared_scale", hidden, 4, 6, saves_input=True)] if self.shared_gate else []
        return [*gate, *shared.ops(hidden, reads, "shared_"), *scale, ops.residual("shared_add", hidden)]
