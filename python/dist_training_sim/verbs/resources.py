"""A cluster and a framework with one resource changed by a factor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from ..frameworks import FrameworkProfile
from ..hardware import Cluster, Node

__all__ = ["RESOURCES", "Resource", "changed", "resources_of"]


@dataclass(frozen=True)
class Resource:
    """One resource: a name, what more of it means, and how a node has it changed."""

    name: str
    words: str
    change: Callable[[Node, float], Node | None]  # None where the node does not say how much it has


def _matmul(node: Node, factor: float) -> Node:
    rates = {name: replace(rate, peak_flops=rate.peak_flops * factor) for name, rate in node.device.rates.items()}
    return node.replace(device=node.device.replace(rates=rates))


def _device(field: str) -> Callable[[Node, float], Node | None]:
    def change(node: Node, factor: float) -> Node | None:
        value = getattr(node.device, field)
        return None if not value else node.replace(device=node.device.replace(**{field: value * factor}))

    return change


def _node(field: str) -> Callable[[Node, float], Node | None]:
    def change(node: Node, factor: float) -> Node | None:
        value = getattr(node, field)
        return None if not value else node.replace(**{field: value * factor})

    return change


def _links(node: Node, factor: float) -> Node | None:
    rate = node.scale_up.device_Bps
    return None if not rate else node.replace(scale_up=node.scale_up.replace(device_Bps=rate * factor))


RESOURCES = (
    Resource("matmul rate", "peak FLOP/s of every type", _matmul),
    Resource("memory bandwidth", "device memory", _device("hbm_Bps")),
    Resource("memory", "bytes of a device", _device("hbm_bytes")),
    Resource("scale-up bandwidth", "links inside a domain", _links),
    Resource("network bandwidth", "NICs", _node("nic_Bps")),
    Resource("host link", "copies between device and host", _node("host_Bps")),
    Resource("NVMe read rate", "states and activations offloaded to nvme", _node("nvme_read_Bps")),
    Resource("host memory bandwidth", "updates on the host", _node("host_memory_Bps")),
)


def changed(cluster: Cluster, resource: Resource, factor: float) -> Cluster | None:
    """The cluster with that much more (or less) of a resource in every node; None where a node does not say."""
    node = resource.change(cluster.node, factor)
    others = [(other, resource.change(other.node, factor)) for other in cluster.others]
    if node is None or any(new is None for _, new in others):
        return None
    return cluster.replace(
        node=node,
        name=cluster.name,
        scale_out=cluster.scale_out,
        others=tuple(replace(other, node=new) for other, new in others if new is not None),
    )


def resources_of(
    cluster: Cluster, profile: FrameworkProfile, factor: float
) -> Iterator[tuple[str, Cluster, FrameworkProfile]]:
    """Every resource that is known, changed: (name, cluster, profile)."""
    for resource in RESOURCES:
        new = changed(cluster, resource, factor)
        if new is not None:
            yield resource.name, new, profile
    host: dict[str, Any] = {
        name: getattr(profile, name) / factor for name in ("host_forward_s_per_op", "host_backward_s_per_op")
    }
    if any(host.values()):
        yield "host speed", cluster, profile.replace(**host)
