"""Measured kernels: which they are, and what the compute model prices them as."""

from __future__ import annotations

from typing import Any

import pytest
from dist_training_sim import _core
from dist_training_sim._convert import to_core
from dist_training_sim.errors import MissingDataError
from dist_training_sim.hardware import Device
from dist_training_sim.validation import Row
from dist_training_sim.validation.kernel_prices import kernel_of


def kernel_row(**changes: Any) -> Row:
    shape = {"x": "N", "value": 1024.0, "cfg": '{"M": 4096, "dtype": "torch.float32"}'}
    return Row("k", {"id": "k", "kernel": "layer_norm (huggingface)", "pass": "full", "shape": shape, **changes})


def test_layer_norm_moves_its_tensors_by_kernel() -> None:
    """3 tensors forward, 5 and 2 backward, each kernel with its floor and 2.5 us of launch."""
    device = to_core(Device.from_catalog("h100-sxm5-80gb"))
    memory = device.memory

    def expected(*counts: int) -> float:
        tensor_s = 4096 * 1024 * 4 / (memory.norm_efficiency * device.hbm_Bps)
        return float(sum(2.5e-6 + memory.kernel_floor_s + count * tensor_s for count in counts))

    for passes, counts in (("forward", (3,)), ("backward", (5, 2)), ("full", (3, 5, 2))):
        assert kernel_of(kernel_row(**{"pass": passes})).price(device) == pytest.approx(expected(*counts))
    fused = kernel_of(kernel_row(kernel="rms_norm (liger)", **{"pass": "forward"}))
    assert fused.price(device) == pytest.approx(expected(2))


def test_a_conversion_is_priced_by_its_sizes() -> None:
    device = to_core(Device.from_catalog("b200-sxm-180gb"))
    run = Row("q", {"kernel": "memory-bound: quantize dim0", "dtype": "mxfp8", "shape": {"shape": "8x2048x7168"}})
    recipe = _core.QuantiseRecipe.MXFP8
    assert kernel_of(run).price(device) == _core.quantise_time_s(device, recipe, 8 * 2048 * 7168)
    with pytest.raises(MissingDataError, match="shape"):
        kernel_of(Row("q", {"kernel": "memory-bound: quantize dim0", "dtype": "mxfp8", "shape": {}}))
