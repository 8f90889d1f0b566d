"""Shape of the YAML entries, checked at the file boundary: names and types; the classes check the physics."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .._convert import DTYPES
from ..errors import Problems, suggest

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
    """Record every problem that pydantic found in a `ClusterFile`, in this package's words."""
    expected: dict[tuple[int | str, ...], list[str]] = {}  # by place; a union says one thing per member
    got: dict[tuple[int | str, ...], Any] = {}
    unknown: list[tuple[int | str, ...]] = []
    for item in error.errors(include_url=False):
        place = _place(item["loc"])
        got[place] = item["input"]
        if item["type"] == "extra_forbidden":
            unknown.append(place)
        expected.setdefault(place, []).append("" if item["type"] == "missing" else _WORDS.get(item["type"], _own(item)))
    for place, words in expected.items():
        if place in unknown:
            near = suggest(str(place[-1]), _keys(place[:-1]))
            problems.add(_named(where, place[:-1]), place[-1], "a known key", near)
        elif place[-1:] == ("[key]",):
            problems.add(_named(where, place[:-2]), place[-2], f"a key of {words[0]}")
        elif words == [""]:
            problems.missing(_named(where, place), "a value")
        else:
            problems.add(_named(where, place), got[place], " or ".join(words))


_WORDS = {
    "bool_parsing": "true or false", "bool_type": "true or false", "dict_type": "a mapping", "float_type": "a number",
    "int_type": "a whole number", "invalid_key": "keys that are text", "list_type": "a list", "model_type": "a mapping",
    "string_type": "text",
}  # fmt: skip
_UNION_PARTS = {"float", "str", "dict[str,any]"}  # pydantic's, behind the place


def _named(where: str, place: tuple[int | str, ...]) -> str:
    return f"{where}: {'.'.join(map(str, place))}" if place else where


def _own(item: Any) -> str:
    """What a value must be by pydantic's own message."""
    if item["type"] == "greater_than_equal":
        return f"a number >= {item['ctx']['ge']}"
    return str(item["msg"]).removeprefix("Input should be ").removeprefix("Value error, ")


def _place(location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    return location[:-1] if len(location) > 1 and location[-1] in _UNION_PARTS else location


def _keys(place: tuple[int | str, ...]) -> list[str]:
    """Keys of the entry at a place of a cluster file."""
    kind: Any = ClusterFile
    for part in place:
        is_entry = isinstance(kind, type) and issubclass(kind, BaseModel)
        kind = kind.model_fields[str(part)].annotation if is_entry else get_args(kind)[-1]
    return list(kind.model_fields)
