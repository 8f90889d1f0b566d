"""The front-door ComputeModel: device types, per-device properties, generic and custom work, bad input."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from dist_training_sim import _core
from dist_training_sim.compute import ComputeModel, DeviceType, DType, OpProfile
from dist_training_sim.device_types import device_spec
from dist_training_sim.errors import ConfigError, MissingDataError
from dist_training_sim.hardware import Device
from hypothesis import given
from hypothesis import strategies as st

amounts = st.floats(min_value=0, max_value=1e14)
growth = st.floats(min_value=1, max_value=10)
extents = st.integers(1, 20_000)
GPU = ComputeModel(8)


def custom(**changes: float | str) -> ComputeModel:
    """100 TFLOP/s at 50 %, 1 TB/s."""
    given_: dict[str, float | str] = {"peak_flops": 1e14, "memory_bandwidth": "1 TB/s", "efficiency": 0.5}
    return ComputeModel(4, DeviceType.CUSTOM, **(given_ | changes))  # type: ignore[arg-type]


def test_default_is_eight_gpus_of_the_h100_class() -> None:
    assert GPU.num_devices == 8
    assert GPU.device_type is DeviceType.GPU
    spec = GPU.device(7)
    assert (spec.name, spec.sm_count, spec.rate(DType.BF16).peak_flops) == ("h100-sxm5-80gb", 132, 989e12)


@pytest.mark.parametrize("name", ["CPU", "gpu", "Tpu"])
def test_device_types_also_by_name(name: str) -> None:
    assert ComputeModel(1, name).device_type is DeviceType[name.upper()]


def test_device_types_are_ordered_as_their_hardware() -> None:
    times = [ComputeModel(1, kind).matmul_time_s(8192, 8192, 8192) for kind in ("gpu", "tpu", "cpu")]
    assert times == sorted(times)
    assert times[2] > 20 * times[0]


def test_forward_by_hand_when_compute_bound() -> None:
    model = custom()
    # 2 x 1e9 x 1e5 FLOPs at 50 TFLOP/s; weights are 2 GB.
    assert model.forward_time_s(1e9, 1e5) == pytest.approx(4.0, rel=1e-3)
    assert model.backward_time_s(1e9, 1e5) == pytest.approx(8.0, rel=1e-3)


def test_forward_by_hand_when_memory_bound() -> None:
    model = custom(memory_efficiency=1.0)
    # 1e9 activations written and read at 2 bytes.
    assert model.forward_time_s(1.0, 1.0, 1e9) == pytest.approx(4e-3, rel=1e-2)


def test_weight_update_moves_28_bytes_per_parameter() -> None:
    assert custom(memory_efficiency=1.0).weight_update_time_s(1e9) == pytest.approx(28e-3, rel=1e-3)
    assert custom(memory_efficiency=1.0).weight_update_time_s(1e9, bytes_per_parameter=12) == pytest.approx(
        12e-3, rel=1e-3
    )


def test_op_profile_by_hand() -> None:
    assert custom().op_time_s(OpProfile(flops=5e13, bytes=1.0)) == pytest.approx(1.0, rel=1e-3)
    assert custom(memory_efficiency=0.5).op_time_s(OpProfile(0.0, 1e12)) == pytest.approx(2.0, rel=1e-3)


def test_attention_options_matter() -> None:
    base = GPU.attention_time_s(1, 32, 8192, 128)
    assert 1.7 < GPU.attention_time_s(1, 32, 8192, 128, causal=False) / base < 2.0
    assert GPU.attention_time_s(1, 32, 8192, 128, window=1024) < 0.5 * base
    assert GPU.attention_time_s(1, 32, 8192, 128, backward=True) > 2.5 * base
    starved = ComputeModel(1, memory_bandwidth=1e10)
    assert starved.attention_time_s(1, 128, 64, 128, kv_heads=8) < 0.6 * starved.attention_time_s(1, 128, 64, 128)


def test_slowest_device_decides() -> None:
    model = ComputeModel(4)
    before = model.matmul_time_s(4096, 4096, 4096)
    model.set_device(2, speed=0.8)
    assert model.speed(2) == 0.8
    assert model.matmul_time_s(4096, 4096, 4096) == pytest.approx(before / 0.8)
    assert model.matmul_time_s(4096, 4096, 4096, device=0) == before


def test_devices_may_differ() -> None:
    model = ComputeModel(2)
    model.set_device(1, "generic-cpu")
    assert model.forward_time_s(1e9, 1e3) == model.forward_time_s(1e9, 1e3, device=1)
    assert model.forward_time_s(1e9, 1e3) == ComputeModel(1, "cpu").forward_time_s(1e9, 1e3)


def test_described_device_is_copied() -> None:
    spec = device_spec("h100")
    model = ComputeModel(1, device=spec)
    spec.hbm_Bps = 1.0
    assert model.device(0).hbm_Bps == 3.35e12
    assert model.matmul_time_s(512, 512, 512) == GPU.matmul_time_s(512, 512, 512)


def test_overrides_replace_the_figures_of_a_type() -> None:
    model = ComputeModel(1, "gpu", peak_flops=2 * 989e12, memory_bandwidth=6.7e12)
    spec = model.device(0)
    assert spec.rate(DType.FP8).peak_flops == pytest.approx(2 * 1979e12)
    assert spec.hbm_Bps == 6.7e12
    assert model.matmul_time_s(8192, 8192, 8192) < GPU.matmul_time_s(8192, 8192, 8192)


def test_narrow_types_fall_back_where_they_do_not_exist() -> None:
    assert custom().matmul_time_s(4096, 4096, 4096, "fp8") == custom().matmul_time_s(4096, 4096, 4096, "bf16")
    assert GPU.matmul_time_s(8192, 8192, 8192, "fp8") < 0.7 * GPU.matmul_time_s(8192, 8192, 8192)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ComputeModel(0), ["num_devices"]),
        (lambda: ComputeModel(2.5), ["num_devices"]),  # type: ignore[arg-type]
        (lambda: ComputeModel(1, "gpux"), ["device_type", "gpu"]),
        (lambda: ComputeModel(1, "custom"), ["peak_flops", "memory_bandwidth"]),
        (lambda: ComputeModel(1, peak_flops=-1, efficiency=1.5), ["peak_flops", "efficiency"]),
        (lambda: ComputeModel(1, memory_bandwidth="fast"), ["memory_bandwidth"]),
        (lambda: ComputeModel(1, "cpu", device="h100"), ["device_type", "h100"]),
        (lambda: ComputeModel(1, device="h1000"), ["device", "did you mean"]),
        (lambda: ComputeModel(1, device=100), ["device", "DeviceSpec"]),  # type: ignore[arg-type]
        (lambda: ComputeModel(1, device=_core.DeviceSpec()), ["peak"]),
        (lambda: GPU.forward_time_s(-1, math.nan, math.inf), ["parameters", "samples", "activations"]),
        (lambda: GPU.forward_time_s(1, 1, device=8), ["device index", "7"]),
        (lambda: GPU.matmul_time_s(1, 1, 1, "bf15"), ["dtype", "bf16"]),
        (lambda: GPU.matmul_time_s("1", 1, 1), ["m"]),  # type: ignore[arg-type]
        (lambda: GPU.op_time_s(OpProfile(1, -1)), ["bytes"]),
        (lambda: GPU.set_device(0), ["set_device"]),
        (lambda: GPU.set_device(0, speed=0), ["speed"]),
    ],
)
def test_bad_input_names_every_problem(call: Callable[[], object], words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        call()
    assert all(word in str(caught.value) for word in words), str(caught.value)


@given(amounts, amounts, amounts, growth)
def test_generic_work_is_finite_and_grows(parameters: float, samples: float, activations: float, factor: float) -> None:
    base = GPU.forward_time_s(parameters, samples, activations)
    assert math.isfinite(base)
    assert base >= 0
    assert GPU.forward_time_s(parameters * factor, samples, activations) >= base
    assert GPU.forward_time_s(parameters, samples * factor, activations) >= base
    assert GPU.forward_time_s(parameters, samples, activations * factor) >= base


@given(extents, extents, extents, extents, st.sampled_from(["gpu", "cpu", "tpu"]))
def test_matmul_grows_with_rows_columns_and_doubled_depth(m: int, n: int, k: int, more: int, kind: str) -> None:
    model = MODELS[kind]
    base = model.matmul_time_s(m, n, k)
    assert 0 < base <= model.matmul_time_s(m + more, n, k)
    assert base <= model.matmul_time_s(m, n + more, k)
    assert base <= model.matmul_time_s(m, n, 2 * k)


@given(extents, extents, extents)
def test_more_bandwidth_or_rate_never_slows(m: int, n: int, k: int) -> None:
    base = GPU.matmul_time_s(m, n, k)
    assert FASTER.matmul_time_s(m, n, k) <= base
    assert WIDER.matmul_time_s(m, n, k) <= base


@given(st.integers(1, 64), st.integers(1, 20_000), st.integers(1, 256), st.integers(1, 5_000), st.booleans())
def test_attention_grows(heads: int, seq_len: int, head_dim: int, more: int, backward: bool) -> None:
    base = GPU.attention_time_s(1, heads, seq_len, head_dim, backward=backward)
    assert 0 < base <= GPU.attention_time_s(1, heads, seq_len + more, head_dim, backward=backward)
    assert base <= GPU.attention_time_s(1, heads + 1, seq_len, head_dim, backward=backward) * (1 + 1e-12)
    assert base <= GPU.attention_time_s(1, heads, seq_len, head_dim + 1, backward=backward) * (1 + 1e-12)


MODELS = {kind: ComputeModel(1, kind) for kind in ("gpu", "cpu", "tpu")}
FASTER = ComputeModel(1, peak_flops=1.5 * 989e12)
WIDER = ComputeModel(1, memory_bandwidth=1.5 * 3.35e12)


def test_device_by_name_object_and_core_spec() -> None:
    by_name = ComputeModel(2, device="b200")
    described = Device.from_catalog("b200")
    assert by_name.device(0).name == described.name == "b200-sxm-180gb"
    times = [
        ComputeModel(2, device=d).matmul_time_s(4096, 4096, 4096) for d in ("b200", described, device_spec("b200"))
    ]
    assert times[0] == times[1] == times[2] == by_name.matmul_time_s(4096, 4096, 4096)
    by_name.set_device(1, "h100")
    assert by_name.device(1).name == "h100-sxm5-80gb"
    with pytest.raises(MissingDataError, match="sm_count"):
        ComputeModel(1, device=described.replace(sm_count=None))
