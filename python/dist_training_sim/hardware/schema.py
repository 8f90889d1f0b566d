"""Shape of the YAML entries, checked at the file boundary: names and types; the classes check the physics."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .._convert import DTYPES
from ..errors import Problems

__all__ = ["ClusterFile", "DeviceEntry", "InstanceEntry", "LinkEntry", "NodeEntry", "record"]

Amount = Annotated[float, Field(strict=True)] | str
Number = Annotated[float, Field(strict=True)]
Count = Annotated[int, Field(strict=True)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    label: str = ""
    aliases: list[str] = []
    sources: list[str] = []
    value_sources: dict[str, str] = {}
    notes: str = ""


class LinkEntry(_Entry):
    """Entry of links.yaml."""

    Bps: Amount
    achieved_Bps: Amount | None = None
    latency_s: Amount | None = None


class DeviceEntry(_Entry):
    """Entry of devices.yaml; `like` (files of users) starts from a catalogue device."""

    like: str | None = None
    constants_of: str | None = None
    vendor: str | None = None
    kind: Literal["gpu", "cpu", "tpu", "accelerator"] | None = None
    generation: str | None = None
    announced: bool | None = None
    peak_tflops: dict[Literal[DTYPES], Number] = {}  # type: ignore[valid-type]
    clock_mhz: Number | None = None
    hbm_bytes: Amount | None = None
    hbm_Bps: Amount | None = None
    sm_count: Count | None = None
    l2_bytes: Amount | None = None
    power_w: Number | None = None
    link: str | None = None
    link_Bps: Amount | None = None
    host_link: str | None = None


class NodeEntry(_Entry):
    """Entry of nodes.yaml; a fabric is a profile, or a mapping with `profile` and the constants that differ."""

    device: str
    devices: Count = 8
    link: str | None = None
    link_Bps: Amount | None = None
    domain_devices: Count = 0
    nics: Number | None = None
    nic_Bps: Amount | None = None
    host_link: str | None = None
    host_bytes: Amount | None = None
    host_Bps: Amount | None = None
    host_memory_Bps: Amount | None = None
    nvme_bytes: Amount | None = None
    nvme_read_Bps: Amount | None = None
    nvme_write_Bps: Amount | None = None
    scale_out: str | dict[str, Any] | None = None
    topology: str = "fat_tree"
    price_usd_per_h: Number | None = None
    price_date: str = ""
    price_note: str = ""


class InstanceEntry(_Entry):
    """Entry of instances.yaml."""

    provider: str
    node: str
    devices: Count | None = None
    nics: Number | None = None
    nic_Bps: Amount | None = None
    host_bytes: Amount | None = None
    nvme_bytes: Amount | None = None
    nvme_read_Bps: Amount | None = None
    nvme_write_Bps: Amount | None = None
    scale_out: str
    price_usd_per_h: Number | None = None
    price_date: str = ""
    price_note: str = ""


class OtherNodesEntry(BaseModel):
    """Nodes of another kind in a user's cluster."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    node: str
    at: list[int]


class ClusterEntry(BaseModel):
    """The cluster of a user's file."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    node: str
    nodes: Count = 1
    name: str = ""
    topology: str = ""
    scale_out: str | dict[str, Any] | None = None
    others: list[OtherNodesEntry] = []
    scale_up: str | dict[str, Any] | None = None
    remote_bytes: Amount | None = None
    remote_Bps: Amount | None = None


class ClusterFile(BaseModel):
    """A user's file: own devices and nodes, and one cluster of them."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    version: int = Field(1, ge=1)
    devices: dict[str, DeviceEntry] = {}
    nodes: dict[str, NodeEntry] = {}
    cluster: ClusterEntry


def record(problems: Problems, where: str, error: ValidationError) -> None:
    """Record every problem that pydantic found, in this package's words."""
    for item in error.errors(include_url=False):
        place = ".".join(str(part) for part in item["loc"] if not str(part).startswith("function-"))
        words = item["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
        problems.add(f"{where}: {place}", item["input"] if place else "", words)
