"""The core's times of every kind of op against the plain statement of its formula, on drawn shapes and devices."""

from __future__ import annotations

from typing import Any

import pytest
from dist_training_sim import _core
from dist_training_sim.device_types import device_spec
from hypothesis import given
from hypothesis import strategies as st
from reference_module import load_reference

ref = load_reference("op_reference")
BF16, FP8, FP4 = _core.DType.BF16, _core.DType.FP8, _core.DType.FP4
PASSES = (_core.GemmPass.FORWARD, _core.GemmPass.DATA_GRAD, _core.GemmPass.WEIGHT_GRAD)
WGRAD_RATE = 0.97
extents = st.integers(min_value=1, max_value=20_000)
amounts = st.floats(min_value=1, max_value=1e12)
share = st.floats(min_value=0.3, max_value=1.0)
exact = 1e-9


@st.composite
def devices(draw: st.DrawFn) -> _core.DeviceSpec:
    spec = device_spec(draw(st.sampled_from(["a100", "h100", "b200", "mi300x"])))
    spec.hbm_Bps = draw(st.floats(1e11, 1e13))
    memory = spec.memory
    memory.stream_efficiency, memory.norm_efficiency = draw(share), draw(share)
    memory.gather_efficiency, memory.optimizer_efficiency = draw(share), draw(share)
    memory.kernel_floor_s = draw(st.floats(0, 1e-5))
    return spec


def flops_of(spec: _core.DeviceSpec, dtype: _core.DType) -> float:
    rate = spec.rate(dtype)
    return float(rate.peak_flops * rate.burst_share * rate.sustained_share)


def chip(spec: _core.DeviceSpec, dtype: _core.DType) -> Any:
    g = {FP8: spec.gemm_fp8, FP4: spec.gemm_fp4}.get(dtype, spec.gemm)
    return ref.Chip(
        flops_of(spec, dtype),
        *(spec.hbm_Bps, spec.sm_count, g.small_tile_rate, g.tiny_tile_rate, g.prologue_k, g.floor_s),
        *(g.memory_efficiency, g.overlap_power, g.wave_quantisation),
    )


@given(devices(), amounts)
def test_memory_bound(spec: _core.DeviceSpec, moved: float) -> None:
    m = spec.memory
    for function, efficiency in (
        (_core.stream_time_s, m.stream_efficiency),
        (_core.norm_time_s, m.norm_efficiency),
        (_core.permute_time_s, m.gather_efficiency),
    ):
        expected = ref.pass_time(m.kernel_floor_s, moved, efficiency, spec.hbm_Bps)
        assert function(spec, moved) == pytest.approx(expected, rel=exact)
        assert function(spec, 0) == 0


@given(devices(), st.floats(1, 1e11), st.floats(1, 100))
def test_optimizer(spec: _core.DeviceSpec, parameters: float, each: float) -> None:
    expected = ref.pass_time(
        spec.memory.kernel_floor_s, parameters * each, spec.memory.optimizer_efficiency, spec.hbm_Bps
    )
    assert _core.optimizer_time_s(spec, parameters, each) == pytest.approx(expected, rel=exact)
    assert _core.fused_update_bytes(2, 4, 4, 2) == 3 * 8 + 4 + 2  # weight and two moments, gradient, copy
    assert _core.foreach_adamw_bytes(4) == 76


@given(devices(), amounts, amounts)
def test_known_by_flops_and_bytes(spec: _core.DeviceSpec, flops: float, moved: float) -> None:
    expected = ref.roofline_time(
        spec.memory.kernel_floor_s,
        flops / flops_of(spec, BF16),
        moved / (spec.memory.stream_efficiency * spec.hbm_Bps),
        spec.gemm.overlap_power,
    )
    assert _core.roofline_time_s(spec, BF16, flops, moved) == pytest.approx(expected, rel=exact)


@given(devices(), st.floats(1, 1e11), st.sampled_from([1, 2]))
def test_casts(spec: _core.DeviceSpec, elements: float, directions: int) -> None:
    tensor, block, four = spec.quantise_fp8_tensor, spec.quantise_fp8_block, spec.quantise_fp4_block
    recipes = {  # bytes per element, constants, seconds of the kernels, copies
        "FP8_TENSOR": (tensor.bytes_per_element, tensor, tensor.floor_s, 1),
        "FP8_DELAYED": (tensor.bytes_per_element - 2, tensor, tensor.floor_s / 2, 1),
        "FP8_BLOCK": (block.bytes_per_element, block, block.floor_s, directions),
        "MXFP8": (block.bytes_per_element + 1 / 32, block, block.floor_s, directions),
        "FP4_BLOCK": (four.bytes_per_element, four, four.floor_s, directions),
    }
    for name, (moved, constants, floor, copies) in recipes.items():
        expected = ref.quantise_time(floor, moved, constants.efficiency, spec.hbm_Bps, elements, copies)
        got = _core.quantise_time_s(spec, getattr(_core.QuantiseRecipe, name), elements, directions)
        assert got == pytest.approx(expected, rel=exact), name


@given(devices(), st.integers(1, 64), extents, extents, st.booleans(), st.booleans())
def test_unfused_attention(
    spec: _core.DeviceSpec, heads: int, q_len: int, kv_len: int, backward: bool, dropout: bool
) -> None:
    shape = _core.AttentionShape()
    shape.heads = shape.kv_heads = heads
    shape.q_len, shape.kv_len, shape.qk_dim, shape.v_dim = q_len, kv_len, 192, 128
    moved = _core.UnfusedAttentionBytes()
    moved.forward_bytes_per_score, moved.backward_bytes_per_score = (13, 17) if dropout else (8, 14)
    peak = spec.rate(BF16).peak_flops
    per_score = moved.backward_bytes_per_score if backward else moved.forward_bytes_per_score
    expected = ref.unfused_time(
        peak, spec.hbm_Bps, spec.memory.kernel_floor_s, heads * q_len * kv_len, 320, per_score, backward
    )
    assert _core.unfused_attention_time_s(spec, BF16, shape, backward, moved) == pytest.approx(expected, rel=exact)


@given(
    st.sampled_from(["h100", "b200"]),
    st.lists(st.integers(0, 6_000), min_size=1, max_size=8).filter(any),
    st.integers(1, 6_000),
    st.integers(1, 6_000),
    st.sampled_from(PASSES),
    st.sampled_from([BF16, FP8]),
    st.booleans(),
)
def test_experts(name: str, rows: list[int], out: int, inner: int, which: Any, dtype: Any, several: bool) -> None:
    spec = device_spec(name)
    kernel = _core.GROUPED_MULTI_STREAM if several else _core.GROUPED_SINGLE_LAUNCH
    at = PASSES.index(which)
    rate = (kernel.forward_rate, kernel.data_grad_rate, kernel.weight_grad_rate)[at] * (WGRAD_RATE if at == 2 else 1)
    each = (kernel.forward_group_s, kernel.data_grad_group_s, kernel.weight_grad_group_s)[at]
    used = [m for m in rows if m]
    shapes = [((m, out, inner), (m, inner, out), (inner, out, m))[at] for m in used]
    width, result = (1 if dtype is FP8 else 2), 8.0
    moved = sum(width * (m * k + n * k) + result * m * n for m, n, k in shapes)
    expected = ref.grouped_time(chip(spec, dtype), shapes, moved, rate, each)
    got = _core.grouped_rows_time_s(spec, dtype, rows, out, inner, which, result, kernel)
    assert got == pytest.approx(expected, rel=exact)
    if len(set(used)) == 1:
        product = _core.GemmShape(*shapes[0])
        equal = _core.grouped_gemm_time_s(spec, dtype, len(used), product, which, result, kernel)
        assert equal == pytest.approx(expected, rel=exact)


@given(st.integers(1, 32), st.integers(1, 512), st.integers(1, 512), st.integers(1, 56), st.sampled_from([1, 3, 7]),
       st.sampled_from(PASSES))  # fmt: skip
def test_convolution(samples: int, ins: int, outs: int, side: int, kernel: int, which: Any) -> None:
    """The matmul of its implicit shape, but with the bytes of the images."""
    spec = device_spec("a100")
    spec.hbm_Bps = 1e30  # so that only the work counts; the bytes are compared below
    shape = _core.ConvShape()
    shape.samples, shape.in_channels, shape.out_channels, shape.kernel_area = samples, ins, outs, kernel**2
    shape.input_positions = shape.output_positions = side**2
    shape.groups = 1
    pixels = samples * side**2
    at = PASSES.index(which)
    implicit = ((pixels, outs, ins * kernel**2), (pixels, ins, outs * kernel**2), (outs, ins * kernel**2, pixels))[at]
    got = _core.conv_time_s(spec, BF16, shape, which, 4.0)
    product = _core.GemmShape(*implicit)
    assert got == pytest.approx(_core.gemm_time_s(spec, BF16, product, which, 4.0), rel=1e-6)
    spec.hbm_Bps, spec.gemm.overlap_power, rate = 1.0, 1e3, spec.rate(BF16)  # only the bytes count
    rate.peak_flops = 1e30
    inputs, results, weights = pixels * ins, pixels * outs, ins * outs * kernel**2
    read = ((inputs + weights, results), (results + weights, inputs), (inputs + results, weights))[at]
    bytes_s = (2 * read[0] + 4 * read[1]) / spec.gemm.memory_efficiency
    assert _core.conv_time_s(spec, BF16, shape, which, 4.0) == pytest.approx(bytes_s, rel=1e-6)


@given(extents, extents, extents, st.sampled_from(PASSES))
def test_systolic(m: int, n: int, k: int, which: Any) -> None:
    spec = device_spec("tpu-v5p")
    c = chip(spec, BF16)
    slower = WGRAD_RATE if which is PASSES[2] else 1.0
    moved = 2.0 * (m * k + n * k) + 4 * m * n
    expected = ref.systolic_time(ref.Chip(**{**vars(c), "flops": c.flops * slower}), m, n, k, moved)
    assert _core.gemm_time_s(spec, BF16, _core.GemmShape(m, n, k), which, 4.0) == pytest.approx(expected, rel=exact)


@given(extents, st.integers(1, 8192), st.booleans(), st.integers(1, 200_000))
def test_bytes_of_tables_and_losses(tokens: int, hidden: int, dense: bool, vocabulary: int) -> None:
    assert _core.embedding_forward_bytes(tokens, hidden, 2) == 4 * tokens * hidden  # a row read, a row written
    backward = _core.embedding_backward_bytes(tokens, hidden, 2, vocabulary, dense)
    assert backward == 4 * tokens * hidden + (4 * vocabulary * hidden if dense else 0)
    fused, eager = ([_core.cross_entropy_bytes_per_logit(f, 2, b) for b in (False, True)] for f in (True, False))
    assert fused == [3 * 2, 2 * 2]
    assert eager == [4 * 4 + 6, 8 * 4 + 6]  # fp32 passes, and a cast of the 16-bit logits
