"""Op constructors: mirror of the core's header, weights and bytes by hand, bad input."""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path

import pytest
from dist_training_sim.errors import ConfigError
from dist_training_sim.models import Op, OpKind, Rows, Sharding, ops
from hypothesis import given
from hypothesis import strategies as st

HEADERS = Path(__file__).parents[2] / "src" / "workload"


def test_python_fields_mirror_the_core() -> None:
    header = (HEADERS / "op.hpp").read_text(encoding="utf-8")
    struct = re.sub(r"//.*", "", header[header.index("struct Op {") : header.index("// Weights held")])
    declared = re.findall(r"\b(\w+)(?: = [^,;]+)?(?=[,;])", struct)
    assert declared == [field.name for field in dataclasses.fields(Op)]


@pytest.mark.parametrize("enum", [OpKind, Sharding, Rows])
def test_enums_mirror_the_core(enum: type[OpKind] | type[Sharding] | type[Rows]) -> None:
    header = (HEADERS / "op.hpp").read_text(encoding="utf-8")
    body = re.search(rf"enum class {enum.__name__} \{{(.*?)\}};", header, re.DOTALL)
    assert body is not None
    names = re.findall(r"\w+", re.sub(r"//.*", "", body.group(1)))
    snake = [re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower() for name in names]
    assert snake == [member.value for member in enum]
    assert [enum(value.upper()) for value in snake] == list(enum)


@pytest.mark.parametrize(
    ("op", "weights"),
    [
        (ops.matmul("m", 10, 20, bias=True), 220),
        (ops.grouped_matmul("g", 10, 20, 4, 2, bias=True), 880),
        (ops.attention("a", 8, 2, 16, sinks=True), 8),
        (ops.norm("n", 64), 64),
        (ops.norm("n", 64, "layer"), 128),
        (ops.norm("n", 64, "layer", bias=False), 64),
        (ops.norm("n", 64, groups=4), 16),
        (ops.batch_norm("b", 64, 49), 128),
        (ops.activation("a", 64, "swiglu"), 0),
        (ops.embedding("e", 100, 8), 800),
        (ops.position_embedding("p", 100, 8), 800),
        (ops.router("r", 10, 4, 2, bias=True), 44),
        (ops.dispatch("d", 10, 4, 2, input=""), 0),
        (ops.combine("c", 10, 4, 2), 0),
        (ops.conv2d("c", 8, 16, 3, 28, groups=4, bias=True), 8 * 16 * 9 // 4 + 16),
        (ops.cross_entropy("l", 100), 0),
        (ops.dropout("d", 10), 0),
        (ops.custom("x", flops_per_row=1, parameters=7), 7),
    ],
)
def test_weights_of_each_kind(op: Op, weights: int) -> None:
    assert op.parameters == weights


def test_bytes_by_hand() -> None:
    swiglu = ops.activation("a", 64, "swiglu")
    assert swiglu.in_features * swiglu.forward_bytes_per_element == 6 * 64
    assert swiglu.in_features * swiglu.backward_bytes_per_element == 10 * 64
    drop, add = ops.dropout("d", 64, fused=True), ops.residual("r", 64)
    assert drop.forward_bytes_per_element + add.forward_bytes_per_element == 7
    assert drop.saved_bytes_per_row == 64
    pool = ops.pool("p", 64, 4, 1)
    assert pool.in_features * pool.forward_bytes_per_element == 2 * (4 + 1) * 64


def test_conv_output_size() -> None:
    assert ops.conv2d("c", 3, 64, 7, 224, 2).output_positions == 112**2
    assert ops.conv2d("c", 3, 64, 3, 7, 2).output_positions == 16


def test_op_lists_every_bad_field() -> None:
    with pytest.raises(ConfigError) as error:
        ops.attention("a", 8, -2, math.nan, window=-1)
    assert len(str(error.value).splitlines()) >= 4


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ops.attention("a", 8, 3, 16), "divisor of heads=8"),
        (lambda: ops.router("r", 8, 4, 5), "at most experts=4"),
        (lambda: ops.norm("n", 10, groups=3), "divisor of in_features=10"),
        (lambda: ops.norm("n", 10, "batch"), "'rms' or 'layer'"),
        (lambda: ops.activation("a", 10, "swigul"), "did you mean swiglu"),
        (lambda: ops.matmul("m", 10, 10, "colum"), "Sharding: got 'colum'"),
        (lambda: ops.matmul("block", 10, 10), "other than 'block'"),
        (lambda: ops.matmul("m", 1e19, 10), "at most 1e\\+18"),
        (lambda: ops.conv2d("c", 3, 4, 3, 0), "integers > 0"),
        (lambda: ops.conv2d("c", 3, 4, 3, 8, groups=2), "divisor of 3 and 4"),
    ],
)
def test_op_refuses(build: object, message: str) -> None:
    assert callable(build)
    with pytest.raises(ConfigError, match=message):
        build()


NUMBERS = st.one_of(st.integers(-5, 2**70), st.floats(), st.booleans(), st.none(), st.text(max_size=3))


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS)
def test_op_constructors_build_or_explain(a: float, b: float, c: float, d: float) -> None:
    fields = ("in_features", "out_features", "experts", "top_k", "heads", "kv_heads", "qk_head_dim", "v_head_dim")
    for kind in OpKind:
        try:
            op = Op(name="x", kind=kind, **dict(zip(fields, (a, b, c, d, a, b, c, d), strict=True)))  # type: ignore[arg-type]
        except ConfigError:
            continue
        assert op.parameters >= op.active_parameters >= 0
