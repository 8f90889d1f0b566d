"""Constructors of memory-bound ops: norms, activations, residual adds, dropout, pooling."""

from __future__ import annotations

from ..errors import ConfigError, suggest
from .op import Op, OpKind, Rows, Sharding

__all__ = [
    "activation",
    "batch_norm",
    "dropout",
    "elementwise",
    "norm",
    "pool",
    "position_embedding",
    "residual",
    "rope",
]

GATED = frozenset({"swiglu", "geglu", "reglu"})
_POINTWISE = frozenset({"gelu", "silu", "relu", "relu2", "tanh"})


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
    """GeLU, SiLU, ReLU and its square, tanh, or the gated SwiGLU, GeGLU and ReGLU: two halves in, their product out.

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


def position_embedding(name: str, positions: float, features: float) -> Op:
    """Add a learned row per position: reads x and the table row, writes x (6 B); backward adds into the table (4 B)."""
    return elementwise(name, features, 6, 4, extra_parameters=positions * features)
