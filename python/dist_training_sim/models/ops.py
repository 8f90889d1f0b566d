"""Constructors of ops. Each states how the op is sharded, the bytes it moves and what it keeps for backward.

Bytes per element are at 2-byte activations, count every operand once (one fused kernel per op), and are derived beside
each value: a read or a write of one element is 2 bytes. Sharding defaults follow Megatron's tensor and sequence
parallelism (Shoeybi et al. 2019, arXiv:1909.08053; Korthikanti et al. 2022, arXiv:2205.05198).
"""

from __future__ import annotations

import math

from ..errors import ConfigError, suggest
from .op import BLOCK_INPUT, Op, OpKind, Rows, Sharding

__all__ = [
    "BLOCK_INPUT",
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

GATED = frozenset({"swiglu", "geglu", "reglu"})
_POINTWISE = frozenset({"gelu", "silu", "relu", "tanh"})


def matmul(
    name: str,
    in_features: float,
    out_features: float,
    sharding: Sharding | str = Sharding.SEQUENCE,
    *,
    bias: bool = False,
    rows: Rows | str = Rows.TOKENS,
    input: str = "",
) -> Op:
    """Linear layer `[rows, in] x [in, out]`; `column` splits the outputs over tp, `row` the inputs."""
    return Op(
        name=name,
        kind=OpKind.MATMUL,
        sharding=Sharding(sharding),
        rows=Rows(rows),
        input=input,
        in_features=in_features,
        out_features=out_features,
        bias=bias,
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
    score_dropout: bool = False,
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
        score_dropout=score_dropout,
        saved_bytes_per_row=4 * heads,
    )


def norm(
    name: str,
    features: float,
    kind: str = "rms",
    *,
    bias: bool | None = None,
    groups: float = 1,
    sharding: Sharding | str = Sharding.SEQUENCE,
    input: str = "",
) -> Op:
    """RMSNorm (`"rms"`) or LayerNorm (`"layer"`, with a bias unless `bias=False`) in one kernel.

    Forward reads and writes x (4 B). Backward reads x and dy, adds the residual stream's gradient and writes dx (8 B).
    Kept: x, and per row an fp32 1/sigma, for LayerNorm also the mean.
    """
    if kind not in ("rms", "layer"):
        raise ConfigError(f"{name}: got norm {kind!r}, expected 'rms' or 'layer'")
    layer = kind == "layer"
    return Op(
        name=name,
        kind=OpKind.NORM,
        sharding=Sharding(sharding),
        input=input,
        in_features=features,
        out_features=features,
        norm_has_bias=layer if bias is None else bias,
        norm_groups=groups,
        forward_bytes_per_element=4,
        backward_bytes_per_element=8,
        saved_bytes_per_row=groups * (8 if layer else 4),
    )


def batch_norm(name: str, channels: float, positions: float) -> Op:
    """BatchNorm over a batch of images, statistics kept per channel.

    The statistics need a pass of their own before x is normalised: 6 B forward; likewise 10 B backward (x and dy for
    the two sums, then x, dy and dx).
    """
    return Op(
        name=name,
        kind=OpKind.NORM,
        sharding=Sharding.REPLICATED,
        rows=Rows.SAMPLES,
        in_features=channels * positions,
        out_features=channels * positions,
        norm_has_bias=True,
        norm_groups=positions,
        forward_bytes_per_element=6,
        backward_bytes_per_element=10,
    )


def activation(
    name: str,
    out_features: float,
    function: str = "gelu",
    sharding: Sharding | str = Sharding.HEADS,
    *,
    rows: Rows | str = Rows.TOKENS,
) -> Op:
    """GeLU, SiLU, ReLU, tanh, or the gated SwiGLU, GeGLU and ReGLU, which read two halves and write their product.

    Pointwise: 4 B forward (x, y), 6 B backward (x, dy, dx). Gated, per output element: 6 B forward (gate, up, y), 10 B
    backward (gate, up, dy and two gradients), here stated per input element, of which there are twice as many.
    """
    if function not in GATED | _POINTWISE:
        raise ConfigError(f"{name}: got activation {function!r}, {suggest(function, GATED | _POINTWISE)}")
    gated = function in GATED
    return Op(
        name=name,
        kind=OpKind.ACTIVATION,
        sharding=Sharding(sharding),
        rows=Rows(rows),
        in_features=2 * out_features if gated else out_features,
        out_features=out_features,
        forward_bytes_per_element=3 if gated else 4,
        backward_bytes_per_element=5 if gated else 6,
        saves_input=function not in ("relu", "tanh"),  # these need only their output, which the next op keeps
    )


def elementwise(
    name: str,
    features: float,
    forward_bytes: float = 4,
    backward_bytes: float = 4,
    sharding: Sharding | str = Sharding.SEQUENCE,
    *,
    saves_input: bool = False,
    extra_parameters: float = 0,
    rows: Rows | str = Rows.TOKENS,
) -> Op:
    """Any op that treats each element by itself: a scale, a softcap, an add; bytes are per element."""
    return Op(
        name=name,
        kind=OpKind.ELEMENTWISE,
        sharding=Sharding(sharding),
        rows=Rows(rows),
        in_features=features,
        out_features=features,
        forward_bytes_per_element=forward_bytes,
        backward_bytes_per_element=backward_bytes,
        saves_input=saves_input,
        extra_parameters=extra_parameters,
    )


def pool(name: str, channels: float, input_positions: float, output_positions: float, *, maximum: bool = False) -> Op:
    """Pooling over image positions: reads its input, writes its output, and the reverse in backward.

    The input is kept, also by an average, because the ReLU before it needs it; `maximum` adds an int64 index per
    output.
    """
    outputs = channels * output_positions
    bytes_each_way = 2 + 2 * output_positions / input_positions if input_positions else 0
    return Op(
        name=name,
        kind=OpKind.ELEMENTWISE,
        sharding=Sharding.REPLICATED,
        rows=Rows.SAMPLES,
        in_features=channels * input_positions,
        out_features=outputs,
        forward_bytes_per_element=bytes_each_way,
        backward_bytes_per_element=bytes_each_way,
        saved_bytes_per_row=8 * outputs if maximum else 0,
    )


def residual(
    name: str, features: float, sharding: Sharding | str = Sharding.SEQUENCE, *, rows: Rows | str = Rows.TOKENS
) -> Op:
    """Add the previous op's output to the residual stream: two reads, one write (6 B).

    In backward the gradient passes unchanged; the 6 B are the sum of the two gradients where the branches forked.
    """
    return elementwise(name, features, 6, 6, sharding, rows=rows)


def rope(name: str, features: float) -> Op:
    """Rotary position embedding of the q and k features: read and write, each way (4 B, fused); keeps nothing."""
    return elementwise(name, features, 4, 4, Sharding.HEADS)


def dropout(name: str, features: float, *, fused: bool = False) -> Op:
    """Dropout with a one-byte mask kept; `fused` into the add that follows, forward moves only the mask.

    Alone: read, write, mask (5 B each way). Fused: 1 B forward, so that dropout and add cost the 7 B of a fused
    bias-dropout-add kernel; backward stays 5 B.
    """
    return Op(
        name=name,
        kind=OpKind.DROPOUT,
        in_features=features,
        out_features=features,
        forward_bytes_per_element=1 if fused else 5,
        backward_bytes_per_element=5,
        saves_input=False,
        saved_bytes_per_row=features,
    )


def embedding(name: str, vocabulary: float, features: float, sharding: Sharding | str = Sharding.VOCAB) -> Op:
    """Token table lookup, 4 B per output element each way; keeps the int64 ids."""
    return Op(
        name=name,
        kind=OpKind.EMBEDDING,
        sharding=Sharding(sharding),
        in_features=vocabulary,
        out_features=features,
        forward_bytes_per_element=4,
        backward_bytes_per_element=4,
        saves_input=False,
        saved_bytes_per_row=8,
    )


def position_embedding(name: str, positions: float, features: float) -> Op:
    """Add a learned row per position: reads x and the table row, writes x (6 B); backward adds into the table (4 B)."""
    return elementwise(name, features, 6, 4, extra_parameters=positions * features)


def cross_entropy(
    name: str, classes: float, sharding: Sharding | str = Sharding.HEADS, *, rows: Rows | str = Rows.TOKENS
) -> Op:
    """Softmax cross-entropy over `classes` logits per row; the logits' storage is kept (it becomes the gradient).

    8 + 12 B per logit is what one fused kernel is measured to cost (Liger-Kernel benchmark csv: 21 B of datasheet
    bandwidth forward + backward); an eager fp32 upcast costs 14 + 22 B instead.
    """
    return Op(
        name=name,
        kind=OpKind.CROSS_ENTROPY,
        sharding=Sharding(sharding),
        rows=Rows(rows),
        in_features=classes,
        out_features=1,
        forward_bytes_per_element=8,
        backward_bytes_per_element=12,
    )


def router(name: str, features: float, experts: float, top_k: float, *, bias: bool = False) -> Op:
    """Expert scores and top-k per token; keeps fp32 logits, fp32 probabilities and the routing map (9 B per expert)."""
    return Op(
        name=name,
        kind=OpKind.ROUTER,
        in_features=features,
        out_features=experts,
        experts=experts,
        top_k=top_k,
        bias=bias,
        saved_bytes_per_row=9 * experts,
    )


def dispatch(name: str, features: float, experts: float, top_k: float, *, input: str) -> Op:
    """Tokens → experts: permute (read and write each routed copy, 4 B) and all-to-all; keeps nothing itself."""
    return _exchange(OpKind.DISPATCH, name, features, experts, top_k, input)


def combine(name: str, features: float, experts: float, top_k: float) -> Op:
    """Experts → tokens: all-to-all, un-permute and sum (4 B per routed copy).

    The routing weights are applied in the expert activation (fused path), so no input is kept.
    """
    return _exchange(OpKind.COMBINE, name, features, experts, top_k, "")


def _exchange(kind: OpKind, name: str, features: float, experts: float, top_k: float, input: str) -> Op:
    return Op(
        name=name,
        kind=kind,
        rows=Rows.ROUTED,
        input=input,
        in_features=features,
        out_features=features,
        experts=experts,
        top_k=top_k,
        forward_bytes_per_element=4,
        backward_bytes_per_element=4,
        saves_input=False,
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
