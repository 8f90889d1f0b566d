"""Look-up of the hardware catalogue: devices, links, nodes and cloud instances by name or alias."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..errors import ConfigError, shown, suggest
from ..hardware.build import build_device, build_link, build_node
from ..hardware.device import Device
from ..hardware.link import Link
from ..hardware.node import Node
from ._yaml import packaged_entry, packaged_names, packaged_text
from .constants import constants_key, constants_source, device_constants
from .fabrics import scale_out, scale_up

__all__ = [
    "DeviceRow",
    "NodeRow",
    "device",
    "device_names",
    "device_table",
    "instance_names",
    "link",
    "link_names",
    "names_of",
    "node",
    "node_names",
    "node_table",
]

_DEVICES, _NODES, _INSTANCES, _LINKS = "devices.yaml", "nodes.yaml", "instances.yaml", "links.yaml"
_SOURCES = "sources.yaml"
_SHAPE = ("device", "devices", "link", "link_Bps", "domain_devices", "host_link", "host_Bps", "topology")
_ALIASES = re.compile(r"^  aliases: \[(.*)\]", re.MULTILINE)


@cache
def _aliases(file: str) -> Mapping[str, str]:
    """Every name and alias of a file, in lower case, to its entry; read from the text, without parsing it."""
    known: dict[str, str] = {}
    for name, text in packaged_text(file).items():
        match = _ALIASES.search(text)
        for alias in (name, *(re.split(r",\s*", match.group(1)) if match else ())):
            known.setdefault(alias.lower(), name)
    return known


def _find(what: str, name: object, files: Iterable[str]) -> tuple[str, str]:
    """(file, entry name) of a name or alias."""
    text = str(name).strip().lower()[:200]
    known = {alias: (file, entry) for file in reversed(tuple(files)) for alias, entry in _aliases(file).items()}
    if text not in known:
        near = (_nodes_of(text) if what == "node" else "") or suggest(text, known)
        raise ConfigError(f"{what}: got {shown(text)}, expected a name of the catalogue; {near}")
    return known[text]


def _nodes_of(text: str) -> str:
    """Where a node is expected and a device named: the nodes that hold it; empty for any other name."""
    device = _aliases(_DEVICES).get(text)
    nodes = [name for name in packaged_names(_NODES) if packaged_entry(_NODES, name)["device"] == device]
    return f"it is a device, of nodes {', '.join(nodes[:12])}" if device and nodes else ""


def _citations(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """Full citations of an entry; a source of single values says of which."""
    keys = [(key, "") for key in entry["sources"]]
    keys += [(key, f"{value}: ") for value, key in entry.get("value_sources", {}).items()]
    return tuple(f"{prefix}{packaged_entry(_SOURCES, key)}" for key, prefix in keys)


@cache
def device(name: str) -> Device:
    """Device by name or alias: datasheet joined with the kernel constants of its generation.

    Raises
    ------
    ConfigError
        If there is none of that name; the nearest names are suggested.
    """
    file, key = _find("device", name, (_DEVICES,))
    entry = packaged_entry(file, key)
    measured_as, generation = constants_key(key, entry.get("constants_of")), entry["generation"]
    constants = device_constants(measured_as, generation)
    constants["measured_kernels"] = constants["measured_kernels"] and measured_as == key
    return build_device(key, entry, constants, _citations(entry) + constants_source(measured_as, generation))


@cache
def link(name: str) -> Link:
    """Link by name; `ConfigError` if there is none of that name."""
    file, key = _find("link", name, (_LINKS,))
    entry = packaged_entry(file, key)
    return build_link(key, entry, _citations(entry))


@cache
def node(name: str) -> Node:
    """Node or cloud instance by name or alias.

    Raises
    ------
    ConfigError
        If there is none of that name; the nearest names are suggested.
    """
    file, key = _find("node", name, (_NODES, _INSTANCES))
    entry = packaged_entry(file, key)
    if file == _INSTANCES:
        entry = _instance_entry(entry)
    return build_node(key, entry, device(entry["device"]), link, scale_up, scale_out, _citations(entry))


def _instance_entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An instance as a node entry: the shape of its node, everything outside the box its own."""
    base = packaged_entry(_NODES, entry["node"])
    return {**{key: base[key] for key in _SHAPE if key in base}, **entry}


def device_names() -> tuple[str, ...]:
    """Names of all devices, in catalogue order."""
    return packaged_names(_DEVICES)


def link_names() -> tuple[str, ...]:
    """Names of all links."""
    return packaged_names(_LINKS)


def node_names() -> tuple[str, ...]:
    """Names of all nodes."""
    return packaged_names(_NODES)


def instance_names() -> tuple[str, ...]:
    """Names of all cloud instances."""
    return packaged_names(_INSTANCES)


def names_of(entry: str) -> tuple[str, ...]:
    """Aliases of a device, node or instance, in lower case."""
    return tuple(a for f in (_DEVICES, _NODES, _INSTANCES) for a, e in _aliases(f).items() if e == entry and a != entry)


@dataclass(frozen=True)
class DeviceRow:
    """One device in a table; None is unknown. Units as in the field names."""

    name: str
    label: str
    vendor: str
    kind: str
    generation: str
    bf16_tflops: float | None
    fp8_tflops: float | None
    hbm_gib: float | None
    hbm_GBps: float | None
    power_w: float | None
    link: str | None
    measured_kernels: bool
    kernels_of: str
    announced: bool


@dataclass(frozen=True)
class NodeRow:
    """One node or instance in a table; None is unknown. Units as in the field names."""

    name: str
    label: str
    device: str
    devices: int
    link: str
    domain_devices: int
    nics: float | None
    nic_gbps: float | None
    scale_out: str | None
    usd_per_h: float | None


def device_table() -> list[DeviceRow]:
    """All devices as plain rows, in catalogue order."""
    return [_device_row(device(name)) for name in device_names()]


def node_table(instances: bool = False) -> list[NodeRow]:
    """All nodes, or all cloud instances, as plain rows."""
    return [_node_row(node(name)) for name in (instance_names() if instances else node_names())]


def _device_row(d: Device) -> DeviceRow:
    peak = {dtype: rate.peak_flops / 1e12 for dtype, rate in d.rates.items()}
    return DeviceRow(
        *(d.name, d.label, d.vendor, d.kind.value, d.generation, peak.get("bf16"), peak.get("fp8")),
        hbm_gib=None if d.hbm_bytes is None else d.hbm_bytes / 2**30,
        hbm_GBps=None if d.hbm_Bps is None else d.hbm_Bps / 1e9,
        power_w=d.power_w,
        link=d.link,
        measured_kernels=d.measured_kernels,
        kernels_of=d.kernels_of,
        announced=d.announced,
    )


def _node_row(n: Node) -> NodeRow:
    return NodeRow(
        *(n.name, n.label, n.device.name, n.devices, n.scale_up.name, n.domain_devices, n.nics),
        nic_gbps=None if n.nic_Bps is None else n.nic_Bps * 8e-9,
        scale_out=None if n.scale_out is None else n.scale_out.name,
        usd_per_h=None if n.price is None else n.price.usd_per_h,
    )
