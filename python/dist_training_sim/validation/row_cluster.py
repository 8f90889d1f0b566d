"""A row's accelerator, device count and interconnect text → cluster of the catalogue; general rules, none by row."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigError, MissingDataError
from ..hardware import Cluster, Device, Node, ScaleOut
from .corpus import Row

__all__ = ["Network", "cluster_of", "network_of"]

_NODES = {
    "V100-SXM-16GB": "dgx-1-v100-16gb",
    "V100-SXM-32GB": "dgx-1-v100",
    "A100-SXM-40GB": "dgx-a100-40gb",
    "A100-SXM-80GB": "dgx-a100-80gb",
    "A100-PCIe-80GB": "a100-pcie-8x",
    "H100-SXM-80GB": "dgx-h100",
    "H100-SXM-96GB-HBM2e": "torchtitan-h100-96gb",
    "H100-PCIe-80GB": "h100-pcie-8x",
    "H800-SXM-80GB": "h800-8x",
    "H200-SXM-141GB": "dgx-h200",
    "GH200-96GB": "gh200-alps",
    "B200-SXM": "dgx-b200",
    "B300-SXM": "dgx-b300",
    "GB200": "gb200-nvl72",
    "GB300": "gb300-nvl72",
    "L40S": "l40s-4x",
    "MI250X-GCD": "mi250x-4oam",
    "MI300X": "mi300x-8x",
    "MI325X": "mi325x-8x",
    "MI350X": "mi350x-8x",
    "MI355X": "mi355x-8x",
    "TPU-v3": "tpu-v3-host",
    "TPU-v4": "tpu-v4-host",
    "TPU-v5e": "tpu-v5e-host",
    "TPU-v5p": "tpu-v5p-host",
    "TPU-v6e": "tpu-v6e-host",
    "TPU-v7": "tpu-v7x-host",
    "Gaudi2": "gaudi2-8x",
    "Gaudi3": "gaudi3-8x",
    "Trainium1-NeuronCore": "trn1-32xlarge-cores",
    "Trainium1": "trn1-32xlarge",
    "Trainium2": "trn2-48xlarge",
}
# Accelerators whose node has no published network of its own: they share the platform of these.
_NETWORK_OF = {"MI325X": "mi300x-8x", "MI350X": "mi355x-8x"}
# pytorch/ao torchao/testing/training/roofline_utils.py: its H100 has 2.4 TB/s, Meta's own variant.
_NODES_OF_TORCHAO = {"H100-SXM-80GB": "torchtitan-h100-96gb"}
# The caps behind "power limited": pytorch/ao pull request 3566 names its authors' B200 of 750 W.
_LIMITED_W = {"B200-SXM": 750.0}
# The first that occurs in the text of the network decides.
_FABRICS = (
    ("omni-path", "omni-path"),
    ("slingshot", "slingshot"),
    ("infiniband", "infiniband"),
    (" ib ", "infiniband"),
    ("efa", "efa"),
    ("roce", "roce"),
    ("ethernet", "roce"),
)
_OTHER_USE = re.compile(r"\b(storage|management|manageability)\b", re.IGNORECASE)
_CARDS = re.compile(r"\b(\d{1,2})\s?x\s?[^,|;:]*?\b(\d{2,4})\s?Gb(?:/s|/Sec|ps|e)?\b(?!/\d)")  # not GB/s, not 10Gb/25Gb
_PER_NODE = re.compile(r"\b(\d{2,5}) Gb/s (?:per node|node-node)")
_PER_DEVICE = re.compile(r"\b(\d{2,4}) Gb/s [^,;|]*?\bper GPU")
_LINKS = re.compile(r"\b(\d{1,2}) Omni-Path links per node")
_OMNI_PATH_Bps = 12.5e9  # one card, 100 Gb/s
_CARD_Bps = 25e9  # one card of the generation whose rates are printed per node, 200 Gb/s


@dataclass(frozen=True)
class Network:
    """What a text says of the cards of a node: how many, their rate, and the fabric; None where it says nothing."""

    nics: int | None = None
    nic_Bps: float | None = None
    fabric: str | None = None


def network_of(text: str, devices: int) -> Network:
    """Read a free text; parts on storage and management are left out unless they name compute too."""
    parts = [part for part in re.split(r"[,|]", text) if not _OTHER_USE.search(part) or "compute" in part.lower()]
    used = ",".join(parts)
    fabric = _fabric(used)
    if match := _LINKS.search(used):
        return Network(int(match.group(1)), _OMNI_PATH_Bps, "omni-path")
    if match := _PER_DEVICE.search(used):
        return Network(devices, float(match.group(1)) / 8 * 1e9, fabric)
    if match := _PER_NODE.search(used):
        total_Bps = float(match.group(1)) / 8 * 1e9
        cards_each = _OMNI_PATH_Bps if fabric == "omni-path" else _CARD_Bps
        nics = min(devices, max(1, round(total_Bps / cards_each)))
        return Network(nics, total_Bps / nics, fabric)
    cards = [
        (int(n) * float(rate), int(n), float(rate) / 8 * 1e9, part)
        for part in parts
        for n, rate in _CARDS.findall(part)
    ]
    if not cards:
        return Network(fabric=fabric)
    _, nics, rate_Bps, part = max(cards, key=lambda card: card[0])
    return Network(nics, rate_Bps, _fabric(part) or fabric)


def _fabric(text: str) -> str | None:
    return next((name for word, name in _FABRICS if word in f" {text.lower()} "), None)


def cluster_of(row: Row) -> Cluster:
    """Cluster of as many devices as the row used.

    Raises
    ------
    ConfigError
        If the accelerator is unknown, or the device count fills no whole nodes.
    MissingDataError
        If several nodes are used and neither the row nor the catalogue knows their network.
    """
    node, devices = _node(row), row.count("hardware.gpus")
    if not devices:
        raise MissingDataError("hardware.gpus: the row does not state how many devices were used")
    if devices < node.devices:
        return Cluster(node.replace(devices=devices), 1)
    if devices % node.devices:
        raise ConfigError(f"hardware.gpus: got {devices}, expected a multiple of {node.devices} devices per node")
    return Cluster(node, devices // node.devices)


def _node(row: Row) -> Node:
    name = row.text("accelerator")
    named = _NODES | (_NODES_OF_TORCHAO if row.text("source.url_or_repo_path").startswith("pytorch/ao ") else {})
    node = Node.from_catalog(named[name]) if name in named else Node.of(Device.from_catalog(name))
    if name in _LIMITED_W and "power limited" in row.text("hardware.gpu"):
        node = node.replace(device=node.device.replace(power_w=_LIMITED_W[name]))
    if name in _NETWORK_OF and not node.nics:
        like = Node.from_catalog(_NETWORK_OF[name])
        node = node.replace(nics=like.nics, nic_Bps=like.nic_Bps)
    per_node = row.count("hardware.gpus_per_node") or node.devices
    network = network_of(row.text("hardware.interconnect"), per_node)
    changes: dict[str, Any] = {}
    if per_node != node.devices:
        changes["devices"] = per_node
        if node.nics:  # as many cards per device as the catalogue's node has
            changes["nics"] = max(1.0, node.nics * per_node / node.devices)
    if node.device.kind.value == "gpu":  # other chips carry their network with them
        if network.nics:
            changes |= {"nics": float(network.nics), "nic_Bps": network.nic_Bps}
        if network.fabric:
            changes["scale_out"] = ScaleOut.from_catalog(network.fabric)
    return node.replace(**changes) if changes else node
