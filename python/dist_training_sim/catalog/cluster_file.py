"""A cluster from a user's YAML file: own devices and nodes beside those of the catalogue."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..errors import DtsError, FormatError, Problems, suggest
from ..hardware.build import build_device, build_node
from ..hardware.cluster import Cluster, OtherNodes
from ..hardware.device import Device
from ..hardware.fabric import ScaleOut, ScaleUp
from ..hardware.node import Node
from ..hardware.rates import Rates
from ..hardware.schema import ClusterFile, DeviceEntry, NodeEntry, record
from . import fabrics
from . import hardware as catalog
from ._yaml import read_user_yaml
from .constants import device_constants

__all__ = ["cluster_of_content", "read_cluster"]

CLUSTER_VERSION = 1


def read_cluster(path: Path) -> Cluster:
    """Cluster of a user's file; the format: docs/guide/hardware.md.

    Raises
    ------
    FormatError
        If the file cannot be read or is no YAML mapping.
    ConfigError
        Listing every entry that is not legal.
    """
    content = read_user_yaml(path)
    if not isinstance(content, Mapping):
        raise FormatError(f"{path}: got {type(content).__name__}, expected a mapping with cluster, nodes and devices")
    return cluster_of_content(content, str(path))


def cluster_of_content(content: Mapping[str, Any], where: str) -> Cluster:
    """Cluster of the content of such a file.

    Raises
    ------
    ConfigError
        Listing every entry that is not legal.
    """
    problems = Problems()
    file = _checked(content, where)
    devices = _each(problems, where, "device", file.devices, _device)
    sound = {name: entry for name, entry in file.nodes.items() if _has_device(entry, devices)}
    nodes = _each(problems, where, "node", sound, lambda name, entry: _node(name, entry, devices))
    _check_names(problems, where, file)
    problems.raise_if_any()
    return _cluster(file, nodes)


def _checked(content: Mapping[str, Any], where: str) -> ClusterFile:
    """The entries; of a file of a newer version without the keys that this one does not know, which a warning names."""
    problems = Problems()
    try:
        return ClusterFile.model_validate(content)
    except ValidationError as error:
        found = error.errors(include_url=False)
        unknown = [item["loc"] for item in found if item["type"] == "extra_forbidden"]
        version = content.get("version")
        if not unknown or type(version) is not int or version <= CLUSTER_VERSION:
            record(problems, where, error)
            problems.raise_if_any()
            raise
    names = ", ".join(".".join(map(str, place)) for place in unknown)
    note = f"{where}: got version {version} of cluster files, read as version {CLUSTER_VERSION} without {names}"
    warnings.warn(note, stacklevel=2)
    return _checked(_without(content, unknown), where)


def _without(content: Mapping[str, Any], places: Sequence[tuple[int | str, ...]]) -> dict[str, Any]:
    """A copy without the keys at some places."""
    kept = copy.deepcopy(dict(content))
    for *outer, last in places:
        inner: Any = kept
        for part in outer:
            inner = inner[part]
        del inner[last]
    return kept


def _each(problems: Problems, where: str, kind: str, entries: Mapping[str, Any], build: Any) -> dict[str, Any]:
    """Every entry that can be built; the problems of the others are recorded."""
    built: dict[str, Any] = {}
    for name, entry in entries.items():
        try:
            built[name] = build(name, entry)
        except DtsError as error:
            problems.carry(f"{where}: {kind}s.{name}", error, f"{kind} {name}")
    return built


def _check_names(problems: Problems, where: str, file: ClusterFile) -> None:
    """Record nodes and devices that neither the file nor the catalogue has."""
    places = {"cluster.node": file.cluster.node}
    places |= {f"cluster.others.{i}.node": other.node for i, other in enumerate(file.cluster.others)}
    for place, name in places.items():
        _check_name(problems, f"{where}: {place}", name, file.nodes, catalog.node)
    for node, entry in file.nodes.items():
        _check_name(problems, f"{where}: nodes.{node}.device", entry.device, file.devices, catalog.device)


def _check_name(
    problems: Problems, where: str, name: str, own: Mapping[str, Any], find: Callable[[str], object]
) -> None:
    if name in own:
        return
    try:
        find(name)
    except DtsError as error:
        near = suggest(name, own)
        if near.startswith("did you mean"):
            problems.add(where, name, "a name of this file or the catalogue", near)
        else:
            problems.carry(where, error, "node" if find is catalog.node else "device")


def _device(name: str, entry: DeviceEntry) -> Device:
    """A device of the file: a catalogue device with changes, or one of its own."""
    given = entry.model_dump(exclude_unset=True)
    sources = tuple(given.get("sources", ()))
    if entry.like is None:
        constants = device_constants(entry.constants_of or "", entry.generation or "generic")
        return build_device(name, {"peak_tflops": {}, **given}, constants | {"measured_kernels": False}, sources)
    base = catalog.device(entry.like)
    if entry.power_w is not None:
        base = base.replace(power_w=entry.power_w)
    left_out = ("like", "constants_of", "aliases", "sources", "value_sources", "peak_tflops", "clock_mhz")
    changes = {k: v for k, v in given.items() if k not in left_out}
    if entry.clock_mhz is not None:
        changes["clock_hz"] = entry.clock_mhz * 1e6
    rates = Rates({**base.rates, **_changed_peaks(base, entry.peak_tflops)})
    return base.replace(name=name, rates=rates, sources=sources or base.sources, **changes)


def _changed_peaks(base: Device, peak_tflops: Mapping[str, float]) -> dict[str, Any]:
    """New peaks that keep the shares of the device they replace."""
    from dataclasses import replace

    peaks = {dtype: peak * 1e12 for dtype, peak in peak_tflops.items()}
    return {d: replace(base.rates[d], peak_flops=p) if d in base.rates else p for d, p in peaks.items()}


def _node(name: str, entry: NodeEntry, devices: Mapping[str, Device]) -> Node:
    given = entry.model_dump(exclude_none=True)
    device = devices.get(entry.device) or catalog.device(entry.device)
    sources = tuple(entry.sources)
    return build_node(name, given, device, catalog.link, fabrics.scale_up, _fabric, sources)


def _has_device(entry: NodeEntry, devices: Mapping[str, Device]) -> bool:
    """Whether the device of a node is there; that it is not is a problem of its own."""
    try:
        return entry.device in devices or bool(catalog.device(entry.device))
    except DtsError:
        return False


def _fabric(choice: str | Mapping[str, Any]) -> ScaleOut:
    """A profile by name, or with some of its constants changed."""
    if isinstance(choice, str):
        return fabrics.scale_out(choice)
    changes = _changes("scale_out", choice, ScaleOut)
    return fabrics.scale_out(str(choice["profile"])).replace(**changes)


def _domain(choice: str | Mapping[str, Any], node: Node) -> ScaleUp:
    """The same for the fabric inside a domain; rate and size of the domain stay those of the node unless given."""
    of_node = {"device_Bps": node.scale_up.device_Bps, "domain_devices": node.scale_up.domain_devices}
    if isinstance(choice, str):
        return fabrics.scale_up(choice).replace(**of_node)
    return fabrics.scale_up(str(choice.get("profile"))).replace(**of_node | _changes("scale_up", choice, ScaleUp))


def _changes(where: str, choice: Mapping[str, Any], kind: type[ScaleOut | ScaleUp]) -> dict[str, Any]:
    """Constants that a mapping gives beside its profile."""
    changes = {k: v for k, v in choice.items() if k != "profile"}
    known = set(kind.__dataclass_fields__) - {"name"}
    problems = Problems()
    for key in changes.keys() - known:
        problems.add(f"{where}.{key}", changes[key], f"one of {', '.join(sorted(known))}")
    if "profile" not in choice:
        problems.add(f"{where}.profile", None, "the name of a profile, such as infiniband or nvlink4")
    problems.raise_if_any()
    return changes


def _cluster(file: ClusterFile, nodes: Mapping[str, Node]) -> Cluster:
    entry = file.cluster

    def node(name: str) -> Node:
        found = nodes.get(name) or catalog.node(name)
        return found if entry.scale_up is None else found.replace(scale_up=_domain(entry.scale_up, found))

    fabric = None if entry.scale_out is None else _fabric(entry.scale_out)
    others = tuple(OtherNodes(node(other.node), tuple(other.at)) for other in entry.others)
    remote = {"remote_bytes": entry.remote_bytes, "remote_Bps": entry.remote_Bps}
    return Cluster(node(entry.node), entry.nodes, fabric, entry.name, entry.topology, others, **remote)
