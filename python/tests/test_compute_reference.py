"""The core's matmul and attention times against the plain-Python statement of the formulas."""

from __future__ import annotations

import pytest
from dist_training_sim import _core
from dist_training_sim.device_types import device_spec
from hypothesis import given
from hypothesis import strategies as st
from reference_module import load_reference

ref = load_reference("compute_reference")
BF16, FORWARD = _core.DType.BF16, _core.GemmPass.FORWARD
extents = st.integers(min_value=1, max_value=40_000)
share = st.floats(min_value=0.3, max_value=1.0)


@st.composite
def machines(draw: st.DrawFn) -> _core.DeviceSpec:
    """A device with drawn constants within the limits of `check_device`."""
    spec = device_spec("h100")
    spec.sm_count = draw(st.integers(1, 304))
    spec.hbm_Bps = draw(st.floats(1e11, 1e13))
    rate = spec.rate(BF16)
    rate.peak_flops = draw(st.floats(1e12, 5e15))
    rate.burst_share, rate.sustained_share = draw(share), draw(share)
    gemm = spec.gemm
    gemm.small_tile_rate, gemm.tiny_tile_rate = draw(share), draw(share)
    gemm.prologue_k, gemm.floor_s = draw(st.floats(0, 500)), draw(st.floats(0, 1e-5))
    gemm.memory_efficiency, gemm.overlap_power = draw(share), draw(st.floats(1, 8))
    gemm.wave_quantisation, gemm.split_k_floor_s = draw(st.floats(0, 1)), draw(st.floats(0, 1e-5))
    gemm.l2_factor = draw(st.floats(1, 8))
    _core.check_device(spec)
    return spec


@given(machines(), extents, extents, extents)
def test_gemm(spec: _core.DeviceSpec, m: int, n: int, k: int) -> None:
    rate, g = spec.rate(BF16), spec.gemm
    flops = rate.peak_flops * rate.burst_share * rate.sustained_share
    expected = ref.gemm_time(
        ref.Machine(flops, spec.hbm_Bps, spec.sm_count),
        ref.Gemm(
            g.small_tile_rate,
            g.tiny_tile_rate,
            g.prologue_k,
            g.floor_s,
            g.memory_efficiency,
            g.overlap_power,
            g.wave_quantisation,
            g.split_k_floor_s,
            g.l2_factor,
        ),
        m,
        n,
        k,
        2.0,
        4.0,
    )
    got = _core.gemm_time_s(spec, BF16, _core.GemmShape(m, n, k), FORWARD, 4.0)
    assert got == pytest.approx(expected, rel=1e-9)


@given(
    st.integers(1, 64),
    st.integers(1, 20_000),
    st.integers(1, 20_000),
    st.booleans(),
    st.integers(0, 5_000),
    st.booleans(),
)
def test_flash_attention(heads: int, q_len: int, kv_len: int, causal: bool, window: int, backward: bool) -> None:
    spec = device_spec("h100")
    spec.hbm_Bps = 1e18  # the reference leaves the bandwidth bound out
    c = spec.attention_backward if backward else spec.attention_forward
    shape = _core.AttentionShape()
    shape.heads = shape.kv_heads = heads
    shape.q_len, shape.kv_len, shape.qk_dim, shape.v_dim = q_len, kv_len, 128, 128
    shape.causal, shape.window = causal, window
    expected = ref.flash_time(
        ref.Machine(spec.rate(BF16).peak_flops, spec.hbm_Bps, spec.sm_count),
        ref.Flash(c.rate_d128, c.block_overhead, c.causal_overhead, int(c.block_q), c.floor_s),
        heads,
        q_len,
        kv_len,
        256.0,
        causal=causal,
        window=window,
        backward=backward,
    )
    got = _core.flash_attention_time_s(spec, BF16, shape, backward, True, _core.Clock.BURST)
    assert got == pytest.approx(expected, rel=1e-9)
