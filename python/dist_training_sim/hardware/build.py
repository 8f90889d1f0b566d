"""Entries of the catalogue or of a user's file (plain dicts) to `Device`, `Node` and `Link`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..errors import MissingDataError
from .constants import DTypeRate
from .device import Device
from .fabric import ScaleOut, ScaleUp
from .link import Link
from .node import Node, Price

__all__ = ["build_device", "build_link", "build_node"]

Entry = Mapping[str, Any]
_DEVICE_KEYS = (
    *("hbm_bytes", "hbm_Bps", "sm_count", "l2_bytes", "power_w", "kind", "vendor", "generation", "label"),
    *("announced", "link", "link_Bps", "host_link", "notes"),
)
_NODE_KEYS = (
    *("devices", "nics", "nic_Bps", "host_bytes", "host_Bps", "host_memory_Bps", "topology", "label", "notes"),
    *("nvme_bytes", "nvme_read_Bps", "nvme_write_Bps"),
)


def _present(entry: Entry, keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: entry[key] for key in keys if entry.get(key) is not None}


def build_link(name: str, entry: Entry, sources: tuple[str, ...]) -> Link:
    """Link of an entry of links.yaml."""
    values = _present(entry, ("achieved_Bps", "latency_s"))
    return Link(entry["Bps"], entry.get("label", name), sources=sources, **values)


def build_device(name: str, entry: Entry, constants: Mapping[str, Any], sources: tuple[str, ...]) -> Device:
    """Device of an entry of devices.yaml.

    Parameters
    ----------
    name, entry
        Key and content of the entry.
    constants
        Further fields of `Device`; under `shares`, (burst, sustained) by dtype.
    sources
        Citations.
    """
    values = {k: v for k, v in constants.items() if k != "shares"} | _present(entry, _DEVICE_KEYS)
    if entry.get("clock_mhz") is not None:
        values["clock_hz"] = entry["clock_mhz"] * 1e6
    return Device(name, _rates(entry["peak_tflops"], constants.get("shares", {})), sources=sources, **values)


def _rates(peak_tflops: Mapping[str, float], shares: Mapping[str, tuple[float | None, float | None]]) -> dict[str, Any]:
    return {dtype: DTypeRate(peak * 1e12, *shares.get(dtype, (None, None))) for dtype, peak in peak_tflops.items()}


def build_node(
    name: str,
    entry: Entry,
    device: Device,
    link: Callable[[str], Link],
    scale_up: Callable[[str], ScaleUp],
    scale_out: Callable[[str], ScaleOut],
    sources: tuple[str, ...],
) -> Node:
    """Node of an entry of nodes.yaml or instances.yaml.

    Parameters
    ----------
    name, entry, device
        Key and content of the entry, and its device.
    link, scale_up, scale_out
        Look-ups by name.
    sources
        Citations.
    """
    values = _present(entry, _NODE_KEYS)
    host_link = entry.get("host_link", device.host_link)
    if "host_Bps" not in values and host_link:
        values["host_Bps"] = link(host_link).copy_Bps
    fabric = scale_out(entry["scale_out"]) if entry.get("scale_out") else None
    domain = _node_scale_up(entry, device, scale_up)
    return Node(name, device, domain, scale_out=fabric, price=_price(entry), sources=sources, **values)


def _node_scale_up(entry: Entry, device: Device, scale_up: Callable[[str], ScaleUp]) -> ScaleUp:
    """The domain of a node: profile and rate of its own, else of its device."""
    profile = entry.get("link") or device.link
    if profile is None:
        raise MissingDataError(f"device {device.name}.link: unknown; give the node a link, such as link: pcie5")
    base = scale_up(profile)
    rate = entry.get("link_Bps") or device.link_Bps or base.device_Bps
    return base.replace(device_Bps=rate, domain_devices=entry.get("domain_devices", 0))


def _price(entry: Entry) -> Price | None:
    if entry.get("price_usd_per_h") is None:
        return None
    return Price(entry["price_usd_per_h"], entry.get("price_date", ""), entry.get("price_note", ""))
