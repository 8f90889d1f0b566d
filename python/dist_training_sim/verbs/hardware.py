"""`hardware`: the catalogue of devices, nodes and cloud instances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import overload

from .._display import table_html
from ..catalog import hardware as catalog
from ..catalog.hardware import DeviceRow, NodeRow
from ..errors import ConfigError, shown, suggest
from ..hardware import Device, Node
from ..named_enum import NamedEnum

__all__ = ["HardwareKind", "HardwareList", "hardware"]


class HardwareKind(NamedEnum):
    """Parts of the hardware catalogue."""

    DEVICES = "devices"
    NODES = "nodes"
    INSTANCES = "instances"


@dataclass(frozen=True, repr=False)
class HardwareList:
    """The catalogue as rows; a kind that was not asked for is empty."""

    devices: tuple[DeviceRow, ...] = ()
    nodes: tuple[NodeRow, ...] = ()
    instances: tuple[NodeRow, ...] = ()

    def __repr__(self) -> str:
        return f"<{len(self.devices)} devices, {len(self.nodes)} nodes, {len(self.instances)} instances>"

    def _repr_html_(self) -> str:
        devices = [(d.name, d.label, d.generation) for d in self.devices]
        nodes = [(n.name, n.device, n.devices) for n in (*self.nodes, *self.instances)]
        found = table_html("Devices", ("name", "label", "generation"), devices) if devices else ""
        return found + (table_html("Nodes", ("name", "device", "devices"), nodes) if nodes else "")


@overload
def hardware(name: None = None, *, kind: HardwareKind | str | None = None) -> HardwareList: ...
@overload
def hardware(name: str, *, kind: HardwareKind | str | None = None) -> Device | Node: ...
def hardware(name: str | None = None, *, kind: HardwareKind | str | None = None) -> HardwareList | Device | Node:
    """The hardware catalogue, or one device, node or cloud instance of it, by name or alias.

    Parameters
    ----------
    name
        A node or instance is looked for first, then a device.
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
    )


_NAMES = {
    HardwareKind.DEVICES: catalog.device_names,
    HardwareKind.INSTANCES: catalog.instance_names,
    HardwareKind.NODES: catalog.node_names,
}


def _one(name: str, kinds: tuple[HardwareKind, ...]) -> Device | Node:
    kind_of: dict[str, HardwareKind] = {}
    for kind, names in _NAMES.items():  # what comes later wins
        if kind in kinds:
            kind_of |= {alias: kind for entry in names() for alias in (entry.lower(), *catalog.names_of(entry))}
    text = str(name).strip().lower()
    if text not in kind_of:
        raise ConfigError(f"hardware: got {shown(name)}, expected a name of the catalogue; {suggest(text, kind_of)}")
    return catalog.device(text) if kind_of[text] is HardwareKind.DEVICES else catalog.node(text)
