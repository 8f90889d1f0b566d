"""Weights counted by the Python descriptions and by the core, which prices them: they must be the same number."""

from __future__ import annotations

from typing import Any

import pytest
from dist_training_sim import _core
from dist_training_sim._convert import to_core
from dist_training_sim.catalog import models
from dist_training_sim.models import Block, LayerRun, Model, Op, OpKind, ops
from dist_training_sim.models.state_space import scan
from hypothesis import given
from hypothesis import strategies as st


def _alone(op: Op) -> Model:
    empty = Block("empty")
    return Model(name="one", stem=empty, layers=(LayerRun(Block("block", (op,)), 1),), head=empty, hidden=1)


def _core_parameters(op: Op) -> float:
    return _core.parameter_count(to_core(_alone(op)))


BY_HAND: list[tuple[Op, int]] = [
    (ops.matmul("x", 3, 5, bias=True), 3 * 5 + 5),
    (ops.grouped_matmul("x", 3, 5, 4, 2, bias=True), 4 * (3 * 5 + 5)),
    (ops.attention("x", 4, 2, 8), 0),
    (ops.attention("x", 4, 2, 8, sinks=True), 4),
    (ops.norm("x", 12), 12),
    (ops.norm("x", 12, "layer"), 24),
    (ops.norm("x", 12, "layer", groups=3), 8),
    (ops.batch_norm("x", 64, 49), 128),
    (ops.activation("x", 7, "swiglu"), 0),
    (ops.residual("x", 7), 0),
    (ops.position_embedding("x", 512, 8), 4096),
    (ops.dropout("x", 7), 0),
    (ops.embedding("x", 100, 8), 800),
    (ops.cross_entropy("x", 100), 0),
    (ops.router("x", 6, 4, 2), 24),
    (ops.router("x", 6, 4, 2, bias=True), 28),  # one bias per expert
    (ops.dispatch("x", 6, 4, 2, input="block"), 0),
    (ops.combine("x", 6, 4, 2), 0),
    (ops.conv2d("x", 64, 128, 3, 56, bias=True), 64 * 128 * 9 + 128),
    (ops.conv2d("x", 64, 128, 3, 56, groups=32), 2 * 128 * 9),
    (ops.custom("x", flops_per_row=1, parameters=123), 123),
    (scan("x", 4, 8, 16, 2, flops_per_row=1, bytes_per_row=1, in_features=40), 0),
    (ops.matmul("x", 3, 5, shared=True), 0),
    (ops.embedding("x", 100, 8, shared=True), 0),
]


@pytest.mark.parametrize(("op", "weights"), BY_HAND, ids=[f"{op.kind.value}-{n}" for op, n in BY_HAND])
def test_weights_by_hand(op: Op, weights: int) -> None:
    assert op.parameters == weights
    assert _core_parameters(op) == weights


def test_every_kind_is_counted_by_hand() -> None:
    assert {op.kind for op, _ in BY_HAND} == set(OpKind)


@pytest.mark.parametrize("name", models.names())
def test_catalogue_models_count_alike(name: str) -> None:
    model = Model.from_catalog(name)
    assert _core.parameter_count(to_core(model)) == model.parameters
    assert _core.active_parameter_count(to_core(model)) == pytest.approx(model.active_parameters, rel=1e-9)


sizes = st.integers(1, 4096)


@st.composite
def any_op(draw: st.DrawFn) -> Op:
    experts = draw(st.integers(1, 64))
    groups = draw(st.sampled_from([1, 2, 4]))
    features: dict[str, Any] = {
        "in_features": groups * draw(sizes), "out_features": groups * draw(sizes), "experts": experts,
        "top_k": draw(st.integers(1, experts)), "heads": draw(sizes), "kv_heads": 1, "qk_head_dim": 8, "v_head_dim": 8,
        "kernel_area": draw(st.integers(1, 49)), "output_positions": 4, "input_positions": 4, "groups": groups,
        "norm_groups": groups, "norm_has_bias": draw(st.booleans()), "bias": draw(st.booleans()),
        "extra_parameters": draw(sizes), "flops_per_row": 1, "shared": draw(st.booleans()),
    }  # fmt: skip
    return Op(name="x", kind=draw(st.sampled_from(OpKind)), **features)


@given(any_op())
def test_any_op_counts_alike(op: Op) -> None:
    assert _core_parameters(op) == op.parameters
