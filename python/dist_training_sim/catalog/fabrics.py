"""Look-up of fabrics.yaml: what joins the devices of a domain, and what joins nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..errors import MissingDataError, suggest
from ..hardware.fabric import ScaleOut, ScaleUp
from ._yaml import packaged_entry

__all__ = ["FabricRow", "fabric", "fabric_names", "fabric_table", "profile_names", "scale_out", "scale_up"]

_FILE = "fabrics.yaml"
_SECTIONS = ("scale_up", "scale_out")


@cache
def scale_up(profile: str) -> ScaleUp:
    """Scale-up profile of fabrics.yaml; `MissingDataError` if there is none of that name."""
    return ScaleUp(profile, **_profile("scale_up", profile))


@cache
def scale_out(profile: str) -> ScaleOut:
    """Scale-out profile of fabrics.yaml; `MissingDataError` if there is none of that name."""
    return ScaleOut(profile, **_profile("scale_out", profile))


def _profile(section: str, name: str) -> dict[str, Any]:
    profiles = packaged_entry(_FILE, section)
    if name not in profiles:
        raise MissingDataError(f"{section}: no profile {name!r}; {suggest(name, profiles)}")
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in profiles[name]["values"].items()}
    return {**values, "sources": tuple(_citation(item) for item in profiles[name].get("sources", ()))}


def _citation(item: Mapping[str, Any]) -> str:
    """Source of some fields of a profile; a value that nobody measured says so."""
    assumed = f" (assumed: {item['reason']})" if item.get("assumed") else ""
    return f"{', '.join(item['fields'])}: {item['source']}{assumed}"


def profile_names(level: str) -> tuple[str, ...]:
    """Names of the profiles of `scale_up` or `scale_out`."""
    return tuple(packaged_entry(_FILE, level))


def fabric_names() -> tuple[str, ...]:
    """Names of all profiles, those inside a domain first."""
    return tuple(name for section in _SECTIONS for name in packaged_entry(_FILE, section))


def fabric(name: str) -> ScaleUp | ScaleOut:
    """Profile of either level by name; `MissingDataError` if there is none of that name."""
    return scale_up(name) if name in packaged_entry(_FILE, "scale_up") else scale_out(name)


@dataclass(frozen=True)
class FabricRow:
    """One fabric in a table; None is unknown or, of a network, set by the node's cards. Units as in the field names.

    `ring_efficiency` is the share of the rate that long rings reach; of `constants`, `assumed` are rules, not measured.
    """

    name: str
    level: str
    device_GBps: float | None
    hop_us: float | None
    ring_efficiency: float | None
    constants: int
    assumed: int


def fabric_table() -> list[FabricRow]:
    """All fabrics as plain rows, those inside a domain (`scale_up`) first."""
    return [_row(section, name) for section in _SECTIONS for name in packaged_entry(_FILE, section)]


def _row(section: str, name: str) -> FabricRow:
    values = packaged_entry(_FILE, section)[name]["values"]
    rate, hop_s = values.get("device_Bps"), values.get("hop_s")
    return FabricRow(
        *(name, section),
        device_GBps=None if rate is None else rate / 1e9,
        hop_us=None if hop_s is None else hop_s * 1e6,
        ring_efficiency=values.get("ring_efficiency"),
        constants=len(values),
        assumed=sum(_assumed(section, name, field) for field in values),
    )


def _assumed(section: str, name: str, field: str) -> bool:
    """Whether a rule stands for a value: here, or in the profile that it is taken from."""
    profiles = packaged_entry(_FILE, section)
    item = next(item for item in profiles[name]["sources"] if field in item["fields"])
    return item.get("assumed", False) or (item["source"] in profiles and _assumed(section, item["source"], field))
