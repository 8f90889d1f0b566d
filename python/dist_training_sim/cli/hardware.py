"""`dts hardware`: the catalogue of devices, nodes, cloud instances and fabrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .. import verbs
from ..hardware import Device, Node, ScaleOut, ScaleUp
from .deliver import Json, Out, deliver
from .hardware_sheets import LEVELS, device_sheet, fabric_sheet, node_sheet
from .outcome import ExitCode
from .render import figure, headed, new_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Group, RenderableType

    from ..catalog.fabrics import FabricRow
    from ..catalog.hardware import DeviceRow, NodeRow
    from ..verbs import HardwareList

__all__ = ["EXAMPLES", "hardware"]

EXAMPLES = """\b
Examples:
  dts hardware --kind devices
  dts hardware dgx-h100
  dts hardware mi300x --json
  dts hardware --kind fabrics
  dts hardware nvlink4
"""

_HELP = "Device, node, cloud instance or fabric, or an alias."
Name = Annotated[str | None, typer.Argument(metavar="[NAME]", help=_HELP)]
_KINDS = "|".join(kind.value for kind in verbs.HardwareKind)
Kind = Annotated[str | None, typer.Option(metavar=_KINDS, help="Only these.", show_default="all")]


def hardware(name: Name = None, kind: Kind = None, as_json: Json = False, out: Out = None) -> ExitCode:
    """List devices, nodes, cloud instances and fabrics, or show one."""
    result = verbs.hardware(name, kind=kind)
    if isinstance(result, Device):
        tables = device_sheet(result)
    elif isinstance(result, Node):
        tables = node_sheet(result)
    elif isinstance(result, (ScaleUp, ScaleOut)):
        tables = fabric_sheet(result)
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
    if listed.fabrics:
        tables.append(_fabric_rows(listed.fabrics))
    return tables


def _device_rows(rows: Sequence[DeviceRow]) -> Group:
    columns = ("name", "bf16 TFLOP/s", "fp8 TFLOP/s", "memory GiB", "GB/s", "W", "link", "kernels")
    table = new_table(columns, left=("link", "kernels"))
    for d in rows:
        figures = [figure(value) for value in (d.bf16_tflops, d.fp8_tflops, d.hbm_gib, d.hbm_GBps, d.power_w)]
        kernels = "measured" if d.measured_kernels else d.kernels_of
        table.add_row(d.name, *figures, d.link or "-", kernels)
    announced = ", ".join(d.name for d in rows if d.announced)
    note = "kernels: measured on the device, or whose matmul constants stand in"
    return headed(f"{len(rows)} devices", table, f"{note}; announced, not sold: {announced}")


def _node_rows(title: str, rows: Sequence[NodeRow]) -> Group:
    priced = any(n.usd_per_h is not None for n in rows)
    columns = ("name", "devices", "link", "domain", "NICs", "Gb/s", "network", *(("$/h",) if priced else ()))
    table = new_table(columns, left=("devices", "link", "network"))
    for n in rows:
        network = [figure(n.nics), figure(n.nic_gbps), n.scale_out or "-"]
        price = [figure(n.usd_per_h)] if priced else []
        table.add_row(n.name, f"{n.devices} x {n.device}", n.link, str(n.domain_devices), *network, *price)
    return headed(f"{len(rows)} {title}", table)


def _fabric_rows(rows: Sequence[FabricRow]) -> Group:
    columns = ("name", "joins devices", "GB/s of one", "hop us", "long rings", "assumed")
    table = new_table(columns, left=("joins devices",))
    for f in rows:
        share = "-" if f.ring_efficiency is None else f"{f.ring_efficiency:.0%}"
        assumed = f"{f.assumed} of {f.constants}"
        table.add_row(f.name, LEVELS[f.level], figure(f.device_GBps), figure(f.hop_us, 3), share, assumed)
    note = "long rings: the share of that rate, or of the cards', that they reach; assumed: nobody measured"
    return headed(f"{len(rows)} fabrics", table, note)
