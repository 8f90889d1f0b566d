"""A plain Llama in PyTorch, for the step and launch benchmarks: no framework, so every kernel is known."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint


@dataclass(frozen=True)
class Config:
    """The sizes of a model."""

    hidden: int
    ffn: int
    heads: int
    kv_heads: int
    layers: int
    vocab: int
    seq: int

    def flops_per_step(self, batch: int) -> float:
        """Model FLOPs, forward and backward: causal attention counted half, logits in, embedding lookup out."""
        head = self.hidden // self.heads
        qkvo = self.hidden * (2 * self.hidden + 2 * self.kv_heads * head)
        weights = self.layers * (qkvo + 3 * self.hidden * self.ffn) + self.vocab * self.hidden
        attention = 2 * self.layers * self.seq * self.hidden  # per token: two products, half the square
        return 3.0 * batch * self.seq * (2 * weights + attention)


def rotate_half(x: torch.Tensor) -> torch.Tensor:
    """The quarter-turn of the rotary embedding."""
    left, right = x.chunk(2, dim=-1)
    return torch.cat((-right, left), dim=-1)


class Block(nn.Module):
    """One transformer layer: RMSNorm, grouped-query attention with RoPE, RMSNorm, SwiGLU."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        hidden, head = config.hidden, config.hidden // config.heads
        self.head = head
        self.split = (config.heads * head, config.kv_heads * head, config.kv_heads * head)
        self.norm_1, self.norm_2 = nn.RMSNorm(hidden), nn.RMSNorm(hidden)
        self.qkv = nn.Linear(hidden, sum(self.split), bias=False)
        self.out = nn.Linear(hidden, hidden, bias=False)
        self.gate, self.up = (nn.Linear(hidden, config.ffn, bias=False) for _ in range(2))
        self.down = nn.Linear(config.ffn, hidden, bias=False)

    def attention(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        """Causal self-attention."""
        q, k, v = (
            part.unflatten(-1, (-1, self.head)).transpose(1, 2) for part in self.qkv(x).split(self.split, dim=-1)
        )
        q, k = (part * cos + rotate_half(part) * sin for part in (q, k))
        q, k = q.to(v.dtype), k.to(v.dtype)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=q.shape[1] != k.shape[1])
        return self.out(mixed.transpose(1, 2).flatten(2))

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        """The layer's output."""
        x = x + self.attention(self.norm_1(x), cos, sin)
        y = self.norm_2(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


class Llama(nn.Module):
    """Embedding, layers, norm, output projection, loss (on fp32 logits)."""

    def __init__(self, config: Config, recompute: bool = False) -> None:
        super().__init__()
        self.recompute = recompute
        self.embed = nn.Embedding(config.vocab, config.hidden)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.RMSNorm(config.hidden)
        self.head = nn.Linear(config.hidden, config.vocab, bias=False)
        half = config.hidden // config.heads // 2
        angles = torch.outer(torch.arange(config.seq), 500000.0 ** (-torch.arange(half) / half)).repeat(1, 2)
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())

    def forward(self, tokens: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The loss of one micro-batch."""
        x = self.embed(tokens)
        for block in self.blocks:
            x = self._through(block, x)
        logits = self.head(self.norm(x))
        return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())

    def _through(self, block: nn.Module, x: torch.Tensor) -> torch.Tensor:
        if self.recompute:
            return checkpoint(block, x, self.cos, self.sin, use_reentrant=False)
        return block(x, self.cos, self.sin)
