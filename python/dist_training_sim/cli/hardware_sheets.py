"""One device, node or fabric of the catalogue as a sheet of facts."""

from __future__ import annotations

from dataclasses import fields
from enum import Enum
from typing import TYPE_CHECKING, Any

from ..hardware import Device, Node, ScaleOut, ScaleUp
from ..units import format_bytes
from .render import figure, new_table, sentence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

__all__ = ["LEVELS", "device_sheet", "fabric_sheet", "kernels_used", "node_sheet"]

LEVELS = {"scale_up": "inside a domain", "scale_out": "between nodes"}


def _sheet(title: str, facts: dict[str, Any], sources: Sequence[str]) -> list[RenderableType]:
    """Facts as two columns; what no source states is said to be unknown."""
    table = new_table(("", ""), left=("",))
    table.show_header = False
    for name, value in facts.items():
        table.add_row(name, "unknown" if value is None else str(value))
    return [sentence(title, "bold"), table, sentence("Sources: " + "; ".join(sources) + ".")]


def _rate(value: float | None) -> str | None:
    return None if value is None else figure(value / 1e9, unit="GB/s")


def _size(value: float | None) -> str | None:
    return None if value is None else format_bytes(value)


def device_sheet(d: Device) -> list[RenderableType]:
    """Facts of a device."""
    facts = {
        "dense peak": ", ".join(f"{t} {figure(r.peak_flops / 1e12)} TFLOP/s" for t, r in d.rates.items()) or None,
        "memory": _size(d.hbm_bytes),
        "memory bandwidth": _rate(d.hbm_Bps),
        "last-level cache": _size(d.l2_bytes),
        "cores": d.sm_count,
        "power cap": None if d.power_w is None else f"{d.power_w:g} W",
        "link": None if d.link is None else f"{d.link}, {_rate(d.link_Bps) or 'rate of its generation'} per direction",
        "host link": d.host_link,
        "kernels": "measured on this device" if d.measured_kernels else kernels_used(d),
        "status": "announced" if d.announced else "sold",
    }
    if d.notes:
        facts["notes"] = d.notes
    return _sheet(f"{d.label or d.name}: {d.vendor} {d.kind.value}, {d.generation}.", facts, d.sources)


def kernels_used(device: Device) -> str:
    """What stands in for the kernels of a device on which none were measured."""
    if device.kernels_of != "generic":
        its = "its generation, " if device.kernels_of == device.generation else ""
        return f"constants of {its}{device.kernels_of}"
    unknown = "" if device.generation == "generic" else f", as none of {device.generation} are known"
    return f"generic constants of all GPUs{unknown}"


def _drives(n: Node) -> str | None:
    if n.nvme_bytes is None:
        return None
    rates = f", {_rate(n.nvme_read_Bps)} read, {_rate(n.nvme_write_Bps)} written" if n.nvme_read_Bps else ""
    return f"{_size(n.nvme_bytes)}{rates}"


def node_sheet(n: Node) -> list[RenderableType]:
    """Facts of a node or cloud instance."""
    nics = None if n.nics is None else f"{n.nics:g}"
    facts = {
        "devices": f"{n.devices} x {n.device.name}",
        "inside": f"{n.scale_up.name}, {_rate(n.scale_up.device_Bps)} per device and direction",
        "domain": f"{n.domain_devices} devices",
        "NICs": nics if nics is None or n.nic_Bps is None else f"{nics} of {n.nic_Bps * 8e-9:g} Gb/s",
        "network": None if n.scale_out is None else f"{n.scale_out.name}, {n.topology}",
        "host memory": _size(n.host_bytes),
        "device to host": _rate(n.host_Bps),
        "host memory bandwidth": _rate(n.host_memory_Bps),
        "NVMe": _drives(n),
        "price": None if n.price is None else f"{n.price.usd_per_h:g} $/h {n.price.date} {n.price.note}".strip(),
    }
    if n.notes:
        facts["notes"] = n.notes
    return _sheet(f"{n.label or n.name}.", facts, n.sources)


def fabric_sheet(f: ScaleUp | ScaleOut) -> list[RenderableType]:
    """Facts of a fabric: every constant with its unit; what is left to the core's value is not listed."""
    level = LEVELS["scale_up" if isinstance(f, ScaleUp) else "scale_out"]
    left_out = {"name", "sources", "domain_devices"}
    given = {k.name: getattr(f, k.name) for k in fields(f) if k.name not in left_out}
    facts = {name: _constant(name, value) for name, value in given.items() if value is not None}
    return _sheet(f"{f.name}: joins devices {level}.", facts, f.sources)


def _constant(name: str, value: Any) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    if name.endswith("_Bps"):
        return str(_rate(value))
    if name.endswith("_bytes"):
        return format_bytes(value)
    return f"{value * 1e6:g} us" if name.endswith("_s") else f"{value:g}" if isinstance(value, float) else str(value)
