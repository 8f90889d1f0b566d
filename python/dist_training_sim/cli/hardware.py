"""`dts hardware`: the catalogue of devices, nodes and cloud instances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import verbs
from ..hardware import Device, Node
from ..units import format_bytes
from .deliver import Json, Out, deliver
from .outcome import ExitCode
from .render import figure, headed, new_table, sentence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Group, RenderableType

    from ..catalog.hardware import DeviceRow, NodeRow
    from ..verbs import HardwareList

__all__ = ["EXAMPLES", "hardware"]

EXAMPLES = """\b
Examples:
  dts hardware --kind devices
  dts hardware dgx-h100
  dts hardware mi300x --json
"""

Name = Annotated[str | None, typer.Argument(metavar="[NAME]", help="Device, node or cloud instance, or an alias.")]
_KINDS = "|".join(kind.value for kind in verbs.HardwareKind)
Kind = Annotated[str | None, typer.Option(metavar=_KINDS, help="Only these.", show_default="all")]


def hardware(name: Name = None, kind: Kind = None, as_json: Json = False, out: Out = None) -> ExitCode:
    """List devices, nodes and cloud instances, or show one."""
    result = verbs.hardware(name, kind=kind)
    if isinstance(result, Device):
        tables = _device(result)
    elif isinstance(result, Node):
        tables = _node(result)
    else:
        tables = _lists(result)
    deliver(result, tables, as_json=as_json, out=out)
    return ExitCode.OK


def _lists(listed: HardwareList) -> list[RenderableType]:
    tables: list[RenderableType] = []
    if listed.devices:
        tables.append(_device_rows(listed.devices))
    for title, rows in (("nodes", listed.nodes), ("cloud instances", listed.instances)):
        if rows:
            tables.append(_node_rows(title, rows))
    return tables


def _device_rows(rows: Sequence[DeviceRow]) -> Group:
    columns = ("name", "bf16 TFLOP/s", "fp8 TFLOP/s", "memory GiB", "GB/s", "W", "link", "kernels")
    table = new_table(columns, left=("link", "kernels"))
    for d in rows:
        figures = [figure(value) for value in (d.bf16_tflops, d.fp8_tflops, d.hbm_gib, d.hbm_GBps, d.power_w)]
        kernels = "measured" if d.measured_kernels else "announced" if d.announced else "generic"
        table.add_row(d.name, *figures, d.link or "-", kernels)
    return headed(f"{len(rows)} devices", table)


def _node_rows(title: str, rows: Sequence[NodeRow]) -> Group:
    priced = any(n.usd_per_h is not None for n in rows)
    columns = ("name", "devices", "link", "domain", "NICs", "Gb/s", "network", *(("$/h",) if priced else ()))
    table = new_table(columns, left=("devices", "link", "network"))
    for n in rows:
        network = [figure(n.nics), figure(n.nic_gbps), n.scale_out or "-"]
        price = [figure(n.usd_per_h)] if priced else []
        table.add_row(n.name, f"{n.devices} x {n.device}", n.link, str(n.domain_devices), *network, *price)
    return headed(f"{len(rows)} {title}", table)


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


def _device(d: Device) -> list[RenderableType]:
    facts = {
        "dense peak": ", ".join(f"{t} {figure(r.peak_flops / 1e12)} TFLOP/s" for t, r in d.rates.items()) or None,
        "memory": _size(d.hbm_bytes),
        "memory bandwidth": _rate(d.hbm_Bps),
        "last-level cache": _size(d.l2_bytes),
        "cores": d.sm_count,
        "power cap": None if d.power_w is None else f"{d.power_w:g} W",
        "link": None if d.link is None else f"{d.link}, {_rate(d.link_Bps) or 'rate of its generation'} per direction",
        "host link": d.host_link,
        "kernels": "measured on this device" if d.measured_kernels else "constants of its generation",
        "status": "announced" if d.announced else "sold",
    }
    if d.notes:
        facts["notes"] = d.notes
    return _sheet(f"{d.label or d.name}: {d.vendor} {d.kind.value}, {d.generation}.", facts, d.sources)


def _drives(n: Node) -> str | None:
    if n.nvme_bytes is None:
        return None
    rates = f", {_rate(n.nvme_read_Bps)} read, {_rate(n.nvme_write_Bps)} written" if n.nvme_read_Bps else ""
    return f"{_size(n.nvme_bytes)}{rates}"


def _node(n: Node) -> list[RenderableType]:
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
