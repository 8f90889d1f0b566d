"""What a layer costs in a step against plain statements: narrow casts and their copies, recomputation, recurrences.

A layer's own time is the difference between a model of two layers and one of one: what stands at the ends cancels.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import dist_training_sim as dts
import pytest
from dist_training_sim import _core
from dist_training_sim.frameworks import FrameworkProfile
from dist_training_sim.models import Block, OpKind, ops
from dist_training_sim.models.op import Op, Sharding
from dist_training_sim.models.state_space import scan
from dist_training_sim.models.transformer import Attention, Mlp, language_model, pre_norm_block
from dist_training_sim.simulator.attention_kernel import device_core
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_module import load_reference

ref = load_reference("op_reference")
IDEAL = FrameworkProfile.from_catalog("ideal")
BF16, FP8, INT8 = _core.DType.BF16, _core.DType.FP8, _core.DType.INT8
FORWARD, DATA, WEIGHT = (getattr(_core.GemmPass, name) for name in ("FORWARD", "DATA_GRAD", "WEIGHT_GRAD"))
SEQ, HIDDEN = 1024, 512
close = 1e-6  # of the step, in which the layer's share is small
widths = st.integers(1, 16).map(lambda n: 128 * n)
few = settings(max_examples=20, deadline=None)


def layer_times(block: Block, device: str, profile: FrameworkProfile, **options: Any) -> dict[str, float]:
    """Forward, backward and recomputation of one layer on one device, one micro-batch of one sample."""
    cluster = dts.Cluster(dts.Node.of(dts.Device.from_catalog(device)).replace(devices=1), 1)
    strategy = dts.Strategy(global_batch=1, **options)
    parts = []
    for layers in (3, 1):
        model = language_model("m", [block] * layers, HIDDEN, 256)
        got = dts.simulate(model, cluster, strategy, seq_len=SEQ, framework=profile).breakdown
        parts.append([got[name] for name in ("forward_s", "backward_s", "recompute_s")])
    return {k: (a - b) / 2 for k, a, b in zip(("forward", "backward", "recompute"), *parts, strict=True)}


def spec_of(device: str) -> _core.DeviceSpec:
    return device_core(dts.Device.from_catalog(device), IDEAL)


def product_s(spec: _core.DeviceSpec, dtype: Any, shape: tuple[int, int, int], which: Any) -> float:
    return float(_core.gemm_time_s(spec, dtype, _core.pass_shape(_core.GemmShape(*shape), which), which, 2.0))


def cast_s(spec: _core.DeviceSpec, recipe: str, elements: float, directions: int) -> float:
    """Plain: one copy for a scale per tensor, one along each dimension that is summed for scales per block or row."""
    tensor, block = spec.quantise_fp8_tensor, spec.quantise_fp8_block
    moved, constants, floor, copies = {
        "tensorwise": (tensor.bytes_per_element, tensor, tensor.floor_s, 1),
        "delayed": (tensor.bytes_per_element - 2, tensor, tensor.floor_s / 2, 1),
        "blockwise": (block.bytes_per_element, block, block.floor_s, directions),
        "mxfp8": (block.bytes_per_element + 1 / 32, block, block.floor_s, directions),
        "rowwise": (block.bytes_per_element, block, block.floor_s, directions),
        "switchback": (block.bytes_per_element, block, block.floor_s, 1),
    }[recipe]
    return float(ref.quantise_time(floor, moved, constants.efficiency, spec.hbm_Bps, elements, copies))


@few
@given(widths, st.sampled_from(["tensorwise", "delayed", "blockwise", "mxfp8", "rowwise", "switchback"]))
def test_narrow_matmul(width: int, recipe: str) -> None:
    """Inputs, weights and gradients are cast along both dimensions; SwitchBack keeps weight gradients in 16 bits."""
    whole = recipe in ("rowwise", "switchback")
    device, dtype = ("a100-sxm4-80gb", INT8) if whole else ("h100-sxm5-80gb", FP8)
    options = {"precision": "int8", "int8_recipe": recipe} if whole else {"precision": "fp8", "fp8_recipe": recipe}
    block = Block(
        "b", (ops.matmul("up", HIDDEN, width, Sharding.COLUMN), ops.matmul("down", width, HIDDEN, Sharding.ROW))
    )
    got, spec = layer_times(block, device, IDEAL, **options), spec_of(device)
    both = 1 if recipe == "switchback" else 2  # its weight gradient reads what was never cast
    forward = backward = 0.0
    for ins, outs in ((HIDDEN, width), (width, HIDDEN)):
        shape = (SEQ, outs, ins)
        forward += cast_s(spec, recipe, SEQ * ins, both) + product_s(spec, dtype, shape, FORWARD)
        forward += cast_s(spec, recipe, ins * outs, 2)  # weights, once a step
        backward += cast_s(spec, recipe, SEQ * outs, both) + product_s(spec, dtype, shape, DATA)
        backward += product_s(spec, BF16 if recipe == "switchback" else dtype, shape, WEIGHT)
    assert got["forward"] == pytest.approx(forward, rel=close)
    assert got["backward"] == pytest.approx(backward, rel=close)


def forward_s(spec: _core.DeviceSpec, op: Op) -> float:
    if op.kind is OpKind.MATMUL:
        return product_s(spec, BF16, (SEQ, int(op.out_features), int(op.in_features)), FORWARD)
    moved = SEQ * op.in_features * op.forward_bytes_per_element
    if op.kind is OpKind.NORM:
        return float(_core.norm_time_s(spec, moved))
    if op.kind is not OpKind.ATTENTION:
        return float(_core.stream_time_s(spec, moved))
    shape = _core.AttentionShape()
    shape.heads, shape.kv_heads, shape.q_len, shape.kv_len = op.heads, op.kv_heads, SEQ, SEQ
    shape.qk_dim, shape.v_dim, shape.causal = op.qk_head_dim, op.v_head_dim, True
    return float(_core.flash_attention_time_s(spec, BF16, shape, False))


@few
@given(
    widths,
    st.sampled_from(["none", "full", "core_attention", "alternate_matmuls", "all_but_attention"]),
    st.booleans(),
)
def test_recomputed_modules(width: int, rule: str, stops_early: bool) -> None:
    """Every rule runs the shares of its ops again, at the price of their forward pass."""
    block = pre_norm_block("layer", HIDDEN, Attention(8, 4, 64), Mlp(width, "swiglu"))
    recompute = rule if rule in ("none", "full") else "selective"
    chosen = IDEAL.selective if recompute != "selective" else rule
    profile = IDEAL.replace(selective=chosen, recompute_stops_early=stops_early)
    got, spec = layer_times(block, "h100-sxm5-80gb", profile, recompute=recompute), spec_of("h100-sxm5-80gb")
    parts = {"qkv": 3, "up": 2}
    plain = [(op.name, op.kind.value, op.out_features, parts.get(op.name, 1)) for op in block.ops]
    shares = [0.0] * len(plain) if rule == "none" else ref.recomputed_shares(plain, rule, stops_early)
    if rule == "alternate_matmuls":  # q, k and v are not equally wide: the second, k, runs again
        shares[[op.name for op in block.ops].index("qkv")] = 4 / 16
    expected = sum(share * forward_s(spec, op) for share, op in zip(shares, block.ops, strict=True))
    whole = sum(forward_s(spec, op) for op in block.ops)
    assert got["forward"] == pytest.approx(whole, rel=close)
    assert got["recompute"] == pytest.approx(expected, rel=close, abs=close * whole)


@few
@given(st.sampled_from([64, 128]), st.floats(1e3, 1e7), st.floats(1e2, 1e6))
def test_recurrence(size: int, flops: float, moved: float) -> None:
    """Kernels of chunks at the attention's rate or at the bandwidth, whichever is slower."""
    op = scan("scan", 8, size, size, 1, flops_per_row=flops, bytes_per_row=moved, in_features=HIDDEN)
    into = ops.matmul("in", HIDDEN, HIDDEN)
    block = Block("b", (into, op, ops.matmul("out", 8 * size, HIDDEN)))
    bare = Block("b", (into, replace(op, flops_per_row=1e-9, forward_bytes_per_element=0.0), block.ops[2]))
    spec = spec_of("h100-sxm5-80gb")
    with_scan, without = (layer_times(b, "h100-sxm5-80gb", IDEAL) for b in (block, bare))
    rate = spec.rate(BF16)
    for way, backward in (("forward", False), ("backward", True)):
        kernel = spec.attention_backward if backward else spec.attention_forward
        share = kernel.rate_d64 if size == 64 else kernel.rate_d128
        speed = share * rate.peak_flops * rate.sustained_share
        common = (spec.hbm_Bps, spec.memory.stream_efficiency, backward)
        full, empty = (
            ref.scan_time(spec.memory.kernel_floor_s, SEQ * f, SEQ * b, speed, *common)
            for f, b in ((flops, moved), (1e-9, 0.0))
        )
        assert with_scan[way] - without[way] == pytest.approx(full - empty, rel=1e-4, abs=1e-10)
