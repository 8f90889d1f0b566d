"""One op as data: its kind, dimensions, sharding and what it keeps for backward; the mirror of the core's `Op`."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import ClassVar

from .. import _core
from .._convert import CoreSpec
from .._display import ShortRepr
from ..errors import Problems
from ..named_enum import NamedEnum

__all__ = ["BLOCK_INPUT", "Op", "OpKind", "Rows", "Sharding"]

BLOCK_INPUT = "block"  # value of `Op.input` that means: what the block itself reads
LARGEST = 1e18  # dimensions beyond this are typing errors; products of three of them stay finite


class OpKind(NamedEnum):
    """What an op computes; FLOPs, bytes and weights follow from the kind and the dimensions."""

    MATMUL = "matmul"
    GROUPED_MATMUL = "grouped_matmul"
    ATTENTION = "attention"
    NORM = "norm"
    ACTIVATION = "activation"
    ELEMENTWISE = "elementwise"
    DROPOUT = "dropout"
    EMBEDDING = "embedding"
    CROSS_ENTROPY = "cross_entropy"
    ROUTER = "router"
    DISPATCH = "dispatch"
    COMBINE = "combine"
    CONV2D = "conv2d"
    SCAN = "scan"
    CUSTOM = "custom"


class Sharding(NamedEnum):
    """Where an op's activations live along the tensor-parallel axis, input layout → output layout."""

    REPLICATED = "replicated"  # full → full on every rank
    SEQUENCE = "sequence"  # rows split over tp under sequence parallelism, replicated otherwise
    COLUMN = "column"  # full → split features; weights split by output
    ROW = "row"  # split features → partial sums; weights split by input
    HEADS = "heads"  # split features → split features
    VOCAB = "vocab"  # embedding table split by row: ids → partial sums
    EXPERT = "expert"  # between the two expert matmuls: rows over ep, features over etp
    EXPERT_COLUMN = "expert_column"
    EXPERT_ROW = "expert_row"


class Rows(NamedEnum):
    """What one row of an op is."""

    TOKENS = "tokens"
    ROUTED = "routed"  # one copy of a token for one of its experts
    SAMPLES = "samples"


_REQUIRED: dict[OpKind, tuple[str, ...]] = {
    OpKind.MATMUL: ("in_features", "out_features"),
    OpKind.GROUPED_MATMUL: ("in_features", "out_features", "experts", "top_k"),
    OpKind.ATTENTION: ("heads", "kv_heads", "qk_head_dim", "v_head_dim"),
    OpKind.NORM: ("in_features", "norm_groups"),
    OpKind.ACTIVATION: ("in_features", "out_features"),
    OpKind.ELEMENTWISE: ("in_features",),
    OpKind.DROPOUT: ("in_features",),
    OpKind.EMBEDDING: ("in_features", "out_features"),
    OpKind.CROSS_ENTROPY: ("in_features",),
    OpKind.ROUTER: ("in_features", "experts", "top_k"),
    OpKind.DISPATCH: ("in_features", "experts", "top_k"),
    OpKind.COMBINE: ("in_features", "experts", "top_k"),
    OpKind.CONV2D: ("in_features", "out_features", "kernel_area", "output_positions", "input_positions", "groups"),
    OpKind.SCAN: ("in_features", "heads", "kv_heads", "qk_head_dim", "v_head_dim", "flops_per_row"),
    OpKind.CUSTOM: (),
}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Op(ShortRepr):
    """One op of a block. Dimensions are those of the unsharded op; the constructors in `ops` set the fields per kind.

    Attributes
    ----------
    name
        Unique within its block.
    kind, sharding, rows
        See `OpKind`, `Sharding`, `Rows`; their string values are accepted too.
    input
        Name of the earlier op whose output is read; `""` = the previous op, `"block"` = what the block itself reads.
    in_features, out_features
        Elements per row read and produced.
    extra_parameters
        Weights beyond those the kind implies.
    forward_bytes_per_element, backward_bytes_per_element
        Norm, activation, elementwise, dropout, custom: bytes moved per element of `in_features` at 2-byte activations.
    saves_input, saved_bytes_per_row
        What backward needs: the op's input, and bytes kept besides it (statistics, masks).
    norm_groups
        Parts of a row that share one gain of `in_features / norm_groups` weights.
    shared
        Computes with the weights of an op elsewhere in the model, which holds and counts them.
    window, chunk
        Sliding attention window in tokens, and chunks outside of which a token sees nothing; 0 = all.
    score_dropout, alibi
        Dropout on the attention scores, and a bias by distance added to them: passes of unfused attention.
    flops_per_row
        Custom and scan ops: forward FLOP per row.
    gathers_output
        An output split over tp is gathered on every rank after the op.

    Raises
    ------
    ConfigError
        Listing every field that is illegal for the op's kind.
    """

    CORE: ClassVar[CoreSpec] = CoreSpec("Op")

    name: str
    kind: OpKind = OpKind.CUSTOM
    sharding: Sharding = Sharding.SEQUENCE
    rows: Rows = Rows.TOKENS
    input: str = ""
    in_features: float = 0
    out_features: float = 0
    bias: bool = False
    trainable: bool = True
    shared: bool = False
    extra_parameters: float = 0
    heads: float = 0
    kv_heads: float = 0
    qk_head_dim: float = 0
    v_head_dim: float = 0
    causal: bool = True
    window: float = 0
    chunk: float = 0
    score_dropout: bool = False
    alibi: bool = False
    experts: float = 0
    top_k: float = 0
    forward_bytes_per_element: float = 0
    backward_bytes_per_element: float = 0
    saves_input: bool = True
    saved_bytes_per_row: float = 0
    norm_has_bias: bool = False
    norm_groups: float = 1
    output_positions: float = 0
    kernel_area: float = 0
    input_positions: float = 0
    groups: float = 1
    flops_per_row: float = 0
    gathers_output: bool = False

    def __post_init__(self) -> None:
        problems = Problems()
        for field, enum in (("kind", OpKind), ("sharding", Sharding), ("rows", Rows)):
            object.__setattr__(self, field, enum(getattr(self, field)))
        _check_types(self, problems)
        if not len(problems):
            _check_shape(self, problems)
        problems.raise_if_any()

    @property
    def parameters(self) -> int:
        """Weights of the whole, unsharded op, all experts counted."""
        if self.shared:
            return 0
        count = _core.op_parameter_count(
            *(_CORE_KINDS[self.kind], self.in_features, self.out_features, self.bias, self.experts, self.norm_groups),
            *(self.norm_has_bias, self.kernel_area, self.groups, self.extra_parameters),
        )
        return round(count)

    @property
    def active_parameters(self) -> int:
        """Weights one token uses: of routed experts, the share `top_k / experts`."""
        if self.kind is not OpKind.GROUPED_MATMUL:
            return self.parameters
        return min(self.parameters, round(self.parameters * self.top_k / self.experts))


_KINDS = tuple((field.name, field.type) for field in fields(Op))


def _check_types(op: Op, problems: Problems) -> None:
    if not isinstance(op.name, str) or not op.name or op.name == BLOCK_INPUT:
        problems.add("name", op.name, f"a non-empty text other than {BLOCK_INPUT!r}")
    for name, kind in _KINDS:
        value = getattr(op, name)
        if type(value) in (int, float) and kind == "float" and 0 <= value <= LARGEST:
            continue  # as nearly all are
        where = f"{op.name}.{name}"
        if kind == "bool" and not isinstance(value, bool):
            problems.add(where, value, "true or false")
        elif kind == "float" and problems.non_negative(where, value) and value > LARGEST:
            problems.add(where, value, f"at most {LARGEST:g}")
    if not isinstance(op.input, str):
        problems.add(f"{op.name}.input", op.input, "the name of an earlier op")


def _check_shape(op: Op, problems: Problems) -> None:
    for field in _REQUIRED[op.kind]:
        problems.positive(f"{op.name}.{field}", getattr(op, field))
    if len(problems):
        return
    if op.kind in (OpKind.ATTENTION, OpKind.SCAN) and not _divides(op.kv_heads, op.heads):
        problems.add(f"{op.name}.kv_heads", op.kv_heads, f"a divisor of heads={op.heads}")
    if op.top_k > op.experts:
        problems.add(f"{op.name}.top_k", op.top_k, f"at most experts={op.experts}")
    if op.kind is OpKind.NORM and not _divides(op.norm_groups, op.in_features):
        problems.add(f"{op.name}.norm_groups", op.norm_groups, f"a divisor of in_features={op.in_features}")
    if op.kind is OpKind.CONV2D and not (_divides(op.groups, op.in_features) and _divides(op.groups, op.out_features)):
        problems.add(f"{op.name}.groups", op.groups, f"a divisor of {op.in_features} and {op.out_features} channels")


def _divides(part: float, whole: float) -> bool:
    return math.fmod(whole, part) == 0


_CORE_KINDS = {kind: getattr(_core.OpKind, kind.name) for kind in OpKind}
