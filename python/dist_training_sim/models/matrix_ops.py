"""Constructors of ops that hold tables or multiply matrices, of the loss, and of custom ops."""

from __future__ import annotations

import math

from ..errors import ConfigError
from .op import Op, OpKind, Rows, Sharding

__all__ = ["attention", "conv2d", "cross_entropy", "custom", "embedding", "grouped_matmul", "matmul"]


def matmul(
    name: str,
    in_features: float,
    out_features: float,
    sharding: Sharding | str = Sharding.SEQUENCE,
    *,
    bias: bool = False,
    rows: Rows | str = Rows.TOKENS,
    input: str = "",
    shared: bool = False,
) -> Op:
    """Linear layer `[rows, in] x [in, out]`; `column` splits the outputs over tp, `row` the inputs.

    `shared`: its weights are those of another op of the model, counted there.
    """
    return Op(
        name=name,
        kind=OpKind.MATMUL,
        sharding=Sharding(sharding),
        rows=Rows(rows),
        input=input,
        in_features=in_features,
        out_features=out_features,
        bias=bias,
        shared=shared,
    )


def grouped_matmul(
    name: str,
    in_features: float,
    out_features: float,
    experts: float,
    top_k: float,
    sharding: Sharding | str = Sharding.EXPERT_COLUMN,
    *,
    bias: bool = False,
) -> Op:
    """One linear layer per expert over the rows routed to it; experts are split over ep, each over etp."""
    return Op(
        name=name,
        kind=OpKind.GROUPED_MATMUL,
        sharding=Sharding(sharding),
        rows=Rows.ROUTED,
        in_features=in_features,
        out_features=out_features,
        experts=experts,
        top_k=top_k,
        bias=bias,
    )


def attention(
    name: str,
    heads: float,
    kv_heads: float,
    head_dim: float,
    *,
    v_head_dim: float | None = None,
    causal: bool = True,
    window: float = 0,
    chunk: float = 0,
    score_dropout: bool = False,
    alibi: bool = False,
    sinks: bool = False,
) -> Op:
    """Scaled dot-product attention over packed q, k, v; `sinks` adds one learned logit per head.

    Kept for backward: q, k, v and the fp32 log-sum-exp of each head and row (the output is the next op's input).
    """
    v_dim = head_dim if v_head_dim is None else v_head_dim
    return Op(
        name=name,
        kind=OpKind.ATTENTION,
        sharding=Sharding.HEADS,
        in_features=heads * head_dim + kv_heads * (head_dim + v_dim),
        out_features=heads * v_dim,
        extra_parameters=heads if sinks else 0,
        heads=heads,
        kv_heads=kv_heads,
        qk_head_dim=head_dim,
        v_head_dim=v_dim,
        causal=causal,
        window=window,
        chunk=chunk,
        score_dropout=score_dropout,
        alibi=alibi,
        saved_bytes_per_row=4 * heads,
    )


def embedding(
    name: str, vocabulary: float, features: float, sharding: Sharding | str = Sharding.VOCAB, *, shared: bool = False
) -> Op:
    """Token table lookup; keeps the int64 ids."""
    return Op(
        name=name,
        kind=OpKind.EMBEDDING,
        sharding=Sharding(sharding),
        in_features=vocabulary,
        out_features=features,
        saves_input=False,
        saved_bytes_per_row=8,
        shared=shared,
    )


def cross_entropy(
    name: str, classes: float, sharding: Sharding | str = Sharding.HEADS, *, rows: Rows | str = Rows.TOKENS
) -> Op:
    """Softmax cross-entropy over `classes` logits per row; the logits' storage is kept (it becomes the gradient).

    The bytes it moves are a fact of the framework's loss kernel (`FrameworkProfile.cross_entropy_bytes`).
    """
    return Op(
        name=name,
        kind=OpKind.CROSS_ENTROPY,
        sharding=Sharding(sharding),
        rows=Rows(rows),
        in_features=classes,
        out_features=1,
    )


def conv2d(
    name: str,
    in_channels: float,
    out_channels: float,
    kernel: int,
    input_size: int,
    stride: int = 1,
    *,
    groups: float = 1,
    bias: bool = False,
    input: str = "",
) -> Op:
    """Square convolution over an `input_size` x `input_size` image, padded so that the output is input / stride."""
    if not all(isinstance(x, int) and 0 < x < 2**20 for x in (kernel, input_size, stride)):
        raise ConfigError(
            f"{name}: got kernel={kernel!r}, input_size={input_size!r}, stride={stride!r}, expected integers > 0"
        )
    return Op(
        name=name,
        kind=OpKind.CONV2D,
        sharding=Sharding.REPLICATED,
        rows=Rows.SAMPLES,
        input=input,
        in_features=in_channels,
        out_features=out_channels,
        kernel_area=kernel * kernel,
        input_positions=input_size * input_size,
        output_positions=math.ceil(input_size / stride) ** 2,
        groups=groups,
        bias=bias,
    )


def custom(
    name: str,
    *,
    flops_per_row: float,
    in_features: float = 0,
    out_features: float = 0,
    parameters: float = 0,
    forward_bytes: float = 4,
    backward_bytes: float = 8,
    saves_input: bool = True,
    saved_bytes_per_row: float = 0,
    sharding: Sharding | str = Sharding.REPLICATED,
    rows: Rows | str = Rows.TOKENS,
    input: str = "",
) -> Op:
    """Anything else: stated forward FLOP per row, weights, and bytes per input element.

    Backward FLOPs are twice the forward ones when the op has weights (data and weight gradient), else as many.
    """
    return Op(
        name=name,
        kind=OpKind.CUSTOM,
        sharding=Sharding(sharding),
        rows=Rows(rows),
        input=input,
        in_features=in_features,
        out_features=out_features,
        extra_parameters=parameters,
        forward_bytes_per_element=forward_bytes,
        backward_bytes_per_element=backward_bytes,
        saves_input=saves_input,
        saved_bytes_per_row=saved_bytes_per_row,
        flops_per_row=flops_per_row,
    )
