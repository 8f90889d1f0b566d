"""Kernel measurements beside the prices of the compute model, each at the clock that its benchmark ran at."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from .. import _core
from .._convert import to_core
from ..catalog.fitted import Fitted
from ..errors import DtsError
from ..hardware import Device
from ..intervals import interval_of, kernel_situation
from .corpus import Row
from .kernel_prices import Kernel, kernel_of
from .results import RowResult, skipped

__all__ = ["device_label", "kernel_device", "predict_kernel"]

_VENDOR = re.compile(r"^(NVIDIA|AMD|Intel|Tesla|GeForce)\s+|\s*\(.*\)$|\s+SXM$")
# Driver and table names that the catalogue does not list as they stand.
_DEVICES = {
    "H100 80GB HBM3": "H100-SXM-80GB",
    "A100-SXM4-80GB": "A100-SXM-80GB",
    "A100": "A100-SXM-80GB",
    "A100 PCIe": "A100-PCIe-80GB",
    "A100 80GB PCIe": "A100-PCIe-80GB",
    "A100-PCIE-40GB": "A100-PCIe-40GB",
    "RTX 3090": "RTX3090",
    "Gaudi 2": "Gaudi2",
    "Gaudi 3": "Gaudi3",
    "GH200": "GH200-96GB",
    "H100": "H100-SXM-80GB",
    "H200": "H200-SXM-141GB",
    "B200": "B200-SXM",
    "B300": "B300-SXM",
}


def device_label(name: str) -> str:
    """Accelerator of a row, as runs name it."""
    before = ""
    while name != before:
        before, name = name, _VENDOR.sub("", name)
    return _DEVICES.get(name, name)


def predict_kernel(row: Row, labels: Mapping[str, str]) -> RowResult:
    """Compare one kernel's time."""
    if row.problem:
        return skipped(row.id, "kernels", None, row.problem, labels)
    try:
        kernel = kernel_of(row)
        measured = _measured_s(row, kernel)
        predicted = kernel.price(kernel_device(labels["accelerator"], kernel.attention))
    except DtsError as problem:
        return skipped(row.id, "kernels", _stated_s(row), str(problem), labels)
    if not measured:
        return skipped(row.id, "kernels", None, "no measured time", labels)
    situation = kernel_situation(family=labels["kind"], generation=_generation(labels["accelerator"]))
    return RowResult(
        *(row.id, "kernels", predicted, measured, predicted / measured - 1, not kernel.apart, kernel.apart, labels),
        interval=interval_of(situation, predicted, without=labels["source"]),
        situation=situation,
    )


@lru_cache(maxsize=64)
def _generation(name: str) -> str:
    return Device.from_catalog(name).generation


def _at_kernel_clock(device: Device) -> Device:
    """As kernels showed it: without the factor on the clock that was fitted to whole steps."""
    factor = Fitted.packaged().sustained_of(device.name, device.systolic)
    shares = {t: min(1.0, (rate.sustained_share or 1.0) / factor) for t, rate in device.rates.items()}
    rates = {t: replace(r, sustained_share=shares[t]) for t, r in device.rates.items()}
    ways = {way: getattr(device, way) for way in ("attention_forward", "attention_backward")}
    return device.replace(rates=rates, **{way: c.at_clock(1 / factor) for way, c in ways.items()})


@lru_cache(maxsize=64)
def kernel_device(name: str, attention: str) -> _core.DeviceSpec:
    device = Device.from_catalog(name)
    return to_core(_at_kernel_clock(device.with_attention_kernel(attention) if attention else device))  # type: ignore[no-any-return]


def _stated_s(row: Row) -> float | None:
    time_us = row.number("time_us")
    return time_us * 1e-6 if time_us and time_us > 0 else None


def _measured_s(row: Row, kernel: Kernel) -> float | None:
    rate = row.number("tflops")
    return _stated_s(row) or (kernel.flops / (rate * 1e12) if rate and rate > 0 and kernel.flops else None)
