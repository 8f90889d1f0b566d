"""Shape of the YAML entries, checked at the file boundary: names and types; the classes check the physics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from .._convert import DTYPES
from ..errors import ConfigError, Problems, suggest
from ..topology import Topology
from ..units import parse_bandwidth, parse_bytes, parse_seconds

__all__ = ["ClusterFile", "DeviceEntry", "InstanceEntry", "LinkEntry", "NodeEntry", "record"]

_SLOWEST_Bps = 1e8
"""Plain numbers below are taken for Gb/s that lack their unit: 1 Gb/s, the slowest card of a cluster, is 1.25e8."""
_SMALLEST_bytes = 2**20
"""Plain numbers below are taken for GiB that lack their unit: no device has so little memory."""
_SIZE = "a size such as 80 GiB or 80 GB (B: bytes)"


def _read(parse: Callable[[str], float], expected: str) -> Callable[[float | str], float | str]:
    """A check of an amount: text must have a unit of its kind."""

    def checked(value: float | str) -> float | str:
        if isinstance(value, str):
            try:
                parse(value)
            except ConfigError:
                raise ValueError(expected) from None
        return value

    return checked


def _plausible(value: float | str) -> float | str:
    """A check of a rate: above zero, and a plain number not so small that it must lack its unit."""
    if not isinstance(value, str) and 0 < value < _SLOWEST_Bps:
        raise ValueError(f"{_RATE}; a plain number is bytes per second, for Gb/s write {value:g} Gb/s")
    if (parse_bandwidth(value) if isinstance(value, str) else value) <= 0:
        raise ValueError("a rate above zero")
    return value


def _large(value: float | str) -> float | str:
    """A check of a device's memory: a plain number not so small that it must lack its unit."""
    if not isinstance(value, str) and 0 < value < _SMALLEST_bytes:
        raise ValueError(f"{_SIZE}; a plain number is bytes, for GiB write {value:g} GiB")
    return value


def _profile(level: str) -> Callable[[Any], Any]:
    """A check of a fabric's name, where it is one and no mapping."""

    def checked(name: Any) -> Any:
        from ..catalog import fabrics

        names = fabrics.profile_names(level)
        if isinstance(name, str) and name not in names:
            raise ValueError(f"a {level} profile; {suggest(name, names)}")
        return name

    return checked


def _topology(name: str) -> str:
    if name:
        try:
            Topology(name)
        except ConfigError:
            names = [str(member.value) for member in Topology]
            raise ValueError(f"a topology; {suggest(name, names)}") from None
    return name


_Number = Annotated[float, Field(strict=True)]
_RATE = "a rate such as 400 Gb/s (bits) or 50 GB/s (bytes)"
Size = Annotated[_Number | str, AfterValidator(_read(parse_bytes, _SIZE))]
Memory = Annotated[Size, AfterValidator(_large)]
Rate = Annotated[_Number | str, AfterValidator(_read(parse_bandwidth, _RATE)), AfterValidator(_plausible)]
Time = Annotated[_Number | str, AfterValidator(_read(parse_seconds, "a time such as 5 us"))]
ScaleUpName = Annotated[str, AfterValidator(_profile("scale_up"))]
ScaleOutName = Annotated[str, AfterValidator(_profile("scale_out"))]
ScaleUpChoice = Annotated[str | dict[str, Any], AfterValidator(_profile("scale_up"))]
ScaleOutChoice = Annotated[str | dict[str, Any], AfterValidator(_profile("scale_out"))]
TopologyName = Annotated[str, AfterValidator(_topology)]
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

    Bps: Rate
    achieved_Bps: Rate | None = None
    latency_s: Time | None = None


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
    hbm_bytes: Memory | None = None
    hbm_Bps: Rate | None = None
    sm_count: Count | None = None
    l2_bytes: Size | None = None
    power_w: Number | None = None
    link: str | None = None
    link_Bps: Rate | None = None
    host_link: str | None = None


class NodeEntry(_Entry):
    """Entry of nodes.yaml; a fabric is a profile, or a mapping with `profile` and the constants that differ."""

    device: str
    devices: Count = 8
    link: ScaleUpName | None = None
    link_Bps: Rate | None = None
    domain_devices: Count = 0
    nics: Number | None = None
    nic_Bps: Rate | None = None
    host_link: str | None = None
    host_bytes: Size | None = None
    host_Bps: Rate | None = None
    host_memory_Bps: Rate | None = None
    nvme_bytes: Size | None = None
    nvme_read_Bps: Rate | None = None
    nvme_write_Bps: Rate | None = None
    scale_out: ScaleOutChoice | None = None
    topology: TopologyName = "fat_tree"
    price_usd_per_h: Number | None = None
    price_date: str = ""
    price_note: str = ""


class InstanceEntry(_Entry):
    """Entry of instances.yaml."""

    provider: str
    node: str
    devices: Count | None = None
    nics: Number | None = None
    nic_Bps: Rate | None = None
    host_bytes: Size | None = None
    nvme_bytes: Size | None = None
    nvme_read_Bps: Rate | None = None
    nvme_write_Bps: Rate | None = None
    scale_out: ScaleOutName
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
    topology: TopologyName = ""
    scale_out: ScaleOutChoice | None = None
    others: list[OtherNodesEntry] = []
    scale_up: ScaleUpChoice | None = None
    remote_bytes: Size | None = None
    remote_Bps: Rate | None = None


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
