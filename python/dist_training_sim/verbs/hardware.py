"""`hardware`: the catalogue of devices, nodes, cloud instances and fabrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

from .._display import table_html
from ..catalog import fabrics
from ..catalog import hardware as catalog
from ..catalog.fabrics import FabricRow
from ..catalog.hardware import DeviceRow, NodeRow
from ..errors import ConfigError, shown, suggest
from ..hardware import Device, Node, ScaleOut, ScaleUp
from ..named_enum import NamedEnum

__all__ = ["HardwareKind", "HardwareList", "hardware"]


class HardwareKind(NamedEnum):
    """Parts of the hardware catalogue."""

    DEVICES = "devices"
    NODES = "nodes"
    INSTANCES = "instances"
    FABRICS = "fabrics"


@dataclass(frozen=True, repr=False)
class HardwareList:
    """The catalogue as rows; a kind that was not asked for is empty."""

    devices: tuple[DeviceRow, ...] = ()
    nodes: tuple[NodeRow, ...] = ()
    instances: tuple[NodeRow, ...] = ()
    fabrics: tuple[FabricRow, ...] = ()

    def __repr__(self) -> str:
        return f"<{', '.join(f'{len(getattr(self, kind.value))} {kind.value}' for kind in HardwareKind)}>"

    def _repr_html_(self) -> str:
        devices = [(d.name, d.label, d.generation) for d in self.devices]
        nodes = [(n.name, n.device, n.devices) for n in (*self.nodes, *self.instances)]
        fabrics = [(f.name, f.level, f.device_GBps) for f in self.fabrics]
        tables: list[tuple[str, tuple[str, ...], Sequence[tuple[object, ...]]]] = [
            ("Devices", ("name", "label", "generation"), devices),
            ("Nodes", ("name", "device", "devices"), nodes),
            ("Fabrics", ("name", "level", "GB/s"), fabrics),
        ]
        return "".join(table_html(title, columns, rows) for title, columns, rows in tables if rows)


@overload
def hardware(name: None = None, *, kind: HardwareKind | str | None = None) -> HardwareList: ...
@overload
def hardware(name: str, *, kind: HardwareKind | str | None = None) -> Device | Node | ScaleUp | ScaleOut: ...
def hardware(
    name: str | None = None, *, kind: HardwareKind | str | None = None
) -> HardwareList | Device | Node | ScaleUp | ScaleOut:
    """The hardware catalogue, or one device, node, cloud instance or fabric of it, by name or alias.

    Parameters
    ----------
    name
        A node or instance is looked for first, then a device, then a fabric.
    kind
        Only these: `HardwareKind` or its name. By default all.

    Raises
    ------
    ConfigError
        If there is no such kind or name; the nearest names are suggested.

    Examples
    --------
    >>> hardware("dgx-h100").devices
    8
    """
    kinds = tuple(HardwareKind) if kind is None else (HardwareKind(kind),)
    if name is not None:
        return _one(name, kinds)
    return HardwareList(
        devices=tuple(catalog.device_table()) if HardwareKind.DEVICES in kinds else (),
        nodes=tuple(catalog.node_table()) if HardwareKind.NODES in kinds else (),
        instances=tuple(catalog.node_table(instances=True)) if HardwareKind.INSTANCES in kinds else (),
        fabrics=tuple(fabrics.fabric_table()) if HardwareKind.FABRICS in kinds else (),
    )


_NAMES = {
    HardwareKind.FABRICS: fabrics.fabric_names,
    HardwareKind.DEVICES: catalog.device_names,
    HardwareKind.INSTANCES: catalog.instance_names,
    HardwareKind.NODES: catalog.node_names,
}


def _one(name: str, kinds: tuple[HardwareKind, ...]) -> Device | Node | ScaleUp | ScaleOut:
    kind_of: dict[str, HardwareKind] = {}
    for kind, names in _NAMES.items():  # what comes later wins
        if kind in kinds:
            kind_of |= {alias: kind for entry in names() for alias in (entry.lower(), *catalog.names_of(entry))}
    text = str(name).strip().lower()
    if text not in kind_of:
        raise ConfigError(f"hardware: got {shown(name)}, expected a name of the catalogue; {suggest(text, kind_of)}")
    if kind_of[text] is HardwareKind.FABRICS:
        return fabrics.fabric(text)
    return catalog.device(text) if kind_of[text] is HardwareKind.DEVICES else catalog.node(text)
