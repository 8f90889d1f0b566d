"""Look-up of cost.yaml, and of list prices of devices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..errors import ConfigError, shown, suggest
from . import hardware
from ._yaml import packaged_file

__all__ = ["DevicePrice", "law", "law_names", "price_of_device", "priced_when", "section", "time_between_failures"]

FILE = "cost.yaml"


@dataclass(frozen=True)
class DevicePrice:
    """What one device costs for an hour.

    Attributes
    ----------
    usd_per_device_h
        US dollars.
    source
        The instance, the kind of price, its date.
    """

    usd_per_device_h: float
    source: str


def section(name: str) -> Mapping[str, Any]:
    """One section of the file."""
    found: Mapping[str, Any] = packaged_file(FILE)[name]
    return found


def time_between_failures(generation: str) -> tuple[float, str]:
    """(device-hours between failures, source) of a generation of devices."""
    table = section("failures")
    entry = table.get(generation, table["other"])
    return float(entry["device_hours"]), str(entry["source"])


def law_names() -> list[str]:
    """Names of the scaling laws."""
    return list(section("scaling_laws"))


def law(name: str) -> Mapping[str, Any]:
    """Constants of a scaling law.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    laws = section("scaling_laws")
    if not isinstance(name, str) or name not in laws:
        raise ConfigError(f"law: got {shown(name)}, expected a scaling law; {suggest(name, laws)}")
    found: Mapping[str, Any] = laws[name]
    return found


@cache
def price_of_device(device: str) -> DevicePrice | None:
    """The lowest dated list price of a cloud instance with that device, else the lowest undated; None where none is."""
    nodes = [hardware.node(name) for name in hardware.instance_names()]
    priced = [node for node in nodes if node.price is not None and node.device.name == device]
    if not priced:
        return None
    best = min(priced, key=lambda n: (not (n.price and n.price.date), n.price.usd_per_h / n.devices if n.price else 0))
    assert best.price is not None
    return DevicePrice(best.price.usd_per_h / best.devices, f"{best.name}, {priced_when(best.price)}")


def priced_when(price: Any) -> str:
    """Date and kind of a price, as text."""
    when = price.date or "date not stated"
    kind = price.note.split(";")[0]
    return f"{when}: {kind}" if kind else str(when)
