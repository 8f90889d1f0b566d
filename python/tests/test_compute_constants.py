"""The constants file: complete, physical, and applied in layers."""

from __future__ import annotations

import pytest
from dist_training_sim import _core
from dist_training_sim.compute_constants import _tables, apply_constants, device_type_spec, use_attention_kernel
from dist_training_sim.errors import MissingDataError

TABLES = _tables()
BF16, FP16, FP8, TF32, FP32 = (_core.DType[name] for name in ("BF16", "FP16", "FP8", "TF32", "FP32"))


def spec_of(name: str) -> _core.DeviceSpec:
    spec = _core.DeviceSpec()
    for dtype in _core.DType:
        spec.rate(dtype).peak_flops = 1e14
    apply_constants(spec, name)
    return spec


@pytest.mark.parametrize("name", TABLES["devices"])
def test_every_device_is_physical(name: str) -> None:
    spec = spec_of(name)
    _core.check_device(spec)
    assert spec.measured_kernels == TABLES["devices"][name].get("measured", False)


@pytest.mark.parametrize("section", ["generations", "device_types"])
def test_every_block_has_a_source(section: str) -> None:
    assert all(block["source"] for block in TABLES[section].values())
    assert all(fit["source"] for kernel in TABLES["attention_kernels"].values() for fit in kernel.values())


def test_a_device_that_changes_shares_says_why() -> None:
    changed = {name: entry for name, entry in TABLES["devices"].items() if {"shares", "memory"} & entry.keys()}
    assert all(entry.get("source") for entry in changed.values()), changed


def test_device_entries_lie_over_their_generation() -> None:
    h100, h200 = spec_of("h100-sxm5-80gb"), spec_of("h200-sxm-141gb")
    assert h100.gemm.prologue_k == h200.gemm.prologue_k == 134.3
    assert (h100.memory.stream_efficiency, h200.memory.stream_efficiency) == (0.91, 0.87)
    assert h100.rate(FP8).burst_share == 0.788
    assert h100.rate(FP16).burst_share == h100.rate(TF32).burst_share == h100.rate(BF16).burst_share == 0.82
    assert (h100.rate(FP32).burst_share, h100.rate(FP32).sustained_share) == (0.77, 0.845)


def test_unknown_devices_get_the_generic_set() -> None:
    spec = spec_of("no-such-device")
    assert not spec.measured_kernels
    assert (spec.gemm.prologue_k, spec.rate(BF16).burst_share) == (171.8, 0.77)


def test_attention_kernels_can_be_exchanged() -> None:
    spec = spec_of("h100-sxm5-80gb")
    assert spec.attention_forward.rate_d128 == 0.597
    use_attention_kernel(spec, "fa3", "h100-sxm5-80gb")
    assert spec.attention_forward.rate_d128 == 0.690
    with pytest.raises(MissingDataError, match="hopper"):
        use_attention_kernel(spec, "fa3", "b200-sxm-180gb")
    with pytest.raises(MissingDataError, match="cudnn"):
        use_attention_kernel(spec, "cuddn", "h100-sxm5-80gb")


def test_generic_types_carry_their_kind() -> None:
    kinds = {name: device_type_spec(name).kind.name for name in TABLES["device_types"]}
    assert kinds == {"GPU": "GPU", "TPU": "TPU", "CPU": "CPU", "CUSTOM": "ACCELERATOR"}
    assert device_type_spec("TPU").systolic
    assert device_type_spec("CPU").sm_count == 64
