"""Constructors of ops. Each states how the op is sharded, the bytes it moves and what it keeps for backward.

Bytes per element are at 2-byte activations, count every operand once (one fused kernel per op), and are derived beside
each value: a read or a write of one element is 2 bytes. Sharding defaults follow Megatron's tensor and sequence
parallelism (Shoeybi et al. 2019, arXiv:1909.08053; Korthikanti et al. 2022, arXiv:2205.05198).
"""

from __future__ import annotations

from .matrix_ops import attention, conv2d, cross_entropy, custom, embedding, grouped_matmul, matmul
from .op import BLOCK_INPUT, Op, OpKind, Rows, Sharding
from .pointwise_ops import (
    GATED,
    activation,
    batch_norm,
    dropout,
    elementwise,
    norm,
    pool,
    position_embedding,
    residual,
    rope,
)
from .routing_ops import combine, dispatch, router

__all__ = [
    "BLOCK_INPUT",
    "GATED",
    "Op",
    "OpKind",
    "Rows",
    "Sharding",
    "activation",
    "attention",
    "batch_norm",
    "combine",
    "conv2d",
    "cross_entropy",
    "custom",
    "dispatch",
    "dropout",
    "elementwise",
    "embedding",
    "grouped_matmul",
    "matmul",
    "norm",
    "pool",
    "position_embedding",
    "residual",
    "rope",
    "router",
]
