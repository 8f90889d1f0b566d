"""The constants file: complete, physical, and applied in layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dist_training_sim.catalog
import pytest
import yaml
from dist_training_sim import _core
from dist_training_sim._convert import to_core
from dist_training_sim.catalog.constants import device_constants
from dist_training_sim.catalog.fitted import Fitted
from dist_training_sim.compute import ComputeModel
from dist_training_sim.device_types import DeviceType, device_spec, type_of
from dist_training_sim.errors import MissingDataError
from dist_training_sim.frameworks import FrameworkProfile
from dist_training_sim.hardware import Device
from dist_training_sim.simulator.attention_kernel import device_core

FILE = Path(dist_training_sim.catalog.__file__).with_name("compute_constants.yaml")
TABLES: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
BF16, FP16, FP8, TF32, FP32 = (_core.DType[name] for name in ("BF16", "FP16", "FP8", "TF32", "FP32"))


@pytest.mark.parametrize("name", TABLES["devices"])
def test_every_device_is_physical(name: str) -> None:
    device = Device.from_catalog(name)
    assert device.measured_kernels == TABLES["devices"][name].get("measured", False)
    if device.sm_count is not None:
        _core.check_device(to_core(device))


def test_every_block_has_a_source() -> None:
    assert all(block["source"] for block in TABLES["generations"].values())
    assert all(fit["source"] for kernel in TABLES["attention_kernels"].values() for fit in kernel.values())


def test_a_device_that_changes_shares_says_why() -> None:
    changed = {name: entry for name, entry in TABLES["devices"].items() if {"shares", "memory"} & entry.keys()}
    assert all(entry.get("source") for entry in changed.values()), changed


def test_device_entries_lie_over_their_generation() -> None:
    h100, h200 = device_spec("h100-sxm5-80gb"), device_spec("h200-sxm-141gb")
    assert h100.gemm.prologue_k == h200.gemm.prologue_k == 134.3
    assert (h100.memory.stream_efficiency, h200.memory.stream_efficiency) == (0.91, 0.87)
    assert h100.rate(FP8).burst_share == 0.788
    assert h100.rate(FP16).burst_share == h100.rate(TF32).burst_share == h100.rate(BF16).burst_share == 0.82
    assert h100.rate(FP32).burst_share == 0.77
    clock = 0.845 * Fitted.packaged().sustained_of("h100-sxm5-80gb", systolic=False)
    assert h100.rate(FP32).sustained_share == pytest.approx(clock)


def test_unknown_devices_get_the_generic_set() -> None:
    constants = device_constants("no-such-device", "no-such-generation")
    assert not constants["measured_kernels"]
    assert constants["gemm"].prologue_k == 171.8
    assert constants["shares"]["bf16"] == (0.77, pytest.approx(0.85 * Fitted.packaged().every_device[0]))


def test_attention_kernels_can_be_exchanged() -> None:
    h100 = Device.from_catalog("h100-sxm5-80gb")
    assert h100.attention_forward.rate_d128 == 0.597
    assert h100.with_attention_kernel("fa3").attention_forward.rate_d128 == 0.690
    triton, narrow, fa2 = (h100.with_attention_kernel(kernel) for kernel in ("triton", "cudnn_fp8", "fa2"))
    rates = [device.attention_forward.rate_d128 or 0.0 for device in (triton, fa2)]
    assert 0 < rates[0] < rates[1]
    for way, ratio in (("attention_forward", 1.5), ("attention_backward", 1.25)):
        for rate in ("rate_d64", "rate_d128", "rate_d256"):
            known = getattr(getattr(h100, way), rate)
            assert getattr(getattr(narrow, way), rate) == pytest.approx(ratio * known, rel=2e-3)
    with pytest.raises(MissingDataError, match="hopper"):
        Device.from_catalog("b200-sxm-180gb").with_attention_kernel("fa3")
    with pytest.raises(MissingDataError, match="cudnn"):
        h100.with_attention_kernel("cuddn")


def test_generic_types_are_catalogue_devices() -> None:
    custom = ComputeModel(1, "custom", peak_flops=1e14, memory_bandwidth="1 TB/s")
    assert custom.device_type is DeviceType.CUSTOM
    assert custom.device(0).memory.norm_efficiency == TABLES["generations"]["generic"]["memory"]["norm_efficiency"]
    for kind, name in (("gpu", "h100"), ("tpu", "tpu-v5p"), ("cpu", "generic-cpu")):
        spec = ComputeModel(1, kind).device(0)
        assert type_of(spec) is DeviceType(kind)
        assert spec.name == Device.from_catalog(name).name
        assert spec.hbm_bytes == Device.from_catalog(name).hbm_bytes
    assert ComputeModel(1, "tpu").device(0).systolic


@pytest.mark.parametrize(("power_w", "factor"), [(500.0, 0.5**0.6), (1000.0, 1.0)])
def test_attention_slows_under_a_power_cap_as_matmuls_do(power_w: float, factor: float) -> None:
    usual = Device.from_catalog("b200-sxm-180gb").with_attention_kernel("cudnn_2026")
    share = usual.attention_forward.sustained_share
    assert share
    capped = usual.replace(power_w=power_w)
    assert capped.attention_forward.sustained_share == pytest.approx(share * factor)
    profile = FrameworkProfile(attention_kernel="cudnn_2026")
    described = device_core(Device.from_catalog("b200-sxm-180gb").replace(power_w=power_w), profile)
    assert described.attention_forward.sustained_share == pytest.approx(share * factor)


def test_an_unknown_device_keeps_the_kernel_of_its_generation_at_its_clock() -> None:
    mine = Device.from_catalog("b200-sxm-180gb").replace(name="mine")
    described = device_core(mine, FrameworkProfile(attention_kernel="cudnn_2026"))
    assert described.attention_forward.rate_d128 == 0.709
