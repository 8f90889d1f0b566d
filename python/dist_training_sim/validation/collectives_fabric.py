"""Texts on a measured system (accelerator, links inside, network) → cluster of the catalogue.

General rules over the words that publications use, none for one row or one system, so that a system never seen gets
the fabric of its class. What a text leaves open is taken from the catalogue's node of that accelerator.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache

from ..catalog import hardware as catalog
from ..errors import DtsError, MissingDataError
from ..hardware import Cluster, Device, Node, ScaleOut, ScaleUp

__all__ = ["Network", "System", "cluster_of_system", "device_of", "network_of", "scale_up_of"]

Words = tuple[tuple[str, str], ...]

# Accelerators that the catalogue lacks or spells otherwise: the nearest one that has the same link.
_DEVICES: Words = (
    (r"rtx\W?6000\W?d|rtx\W?pro\W?6000|rtx\W?6000\W?pro", "rtx-pro-6000"),
    (r"h800", "h800"),
    (r"mi300a", "mi300x"),
    (r"sm100", "b200"),
    (r"sm90", "h100"),
    (r"arc|b60|b580|xe", "rtx-pro-6000"),
    (r"gaudi", "gaudi2"),
    (r"p100", "v100"),
    (r"cpu|xeon|epyc|gloo", "epyc-9554"),
)
# The first pattern found decides; texts are lower case.
_SCALE_UP: Words = (
    (r"no[- ](?:usable )?p2p|without (?:usable )?p2p|p2p (?:is )?(?:disabled|off|unavailable)", "no-p2p"),
    (r"nvl\s?72|nvl\s?36|mnnvl|72-gpu", "nvl72"),
    (r"nvlink\s?-?6", "nvlink5"),
    (r"nvlink\s?-?5", "nvlink5"),
    (r"nvlink.*(?:direct|mesh|pair|no nvswitch)", "nvlink4-mesh"),
    (r"nvlink\s?-?4", "nvlink4"),
    (r"nvlink\s?-?3", "nvlink3"),
    (r"nvlink\s?-?[12]|cube.?mesh", "nvlink2"),
    (r"xgmi|infinity fabric", "xgmi"),
    (r"neuronlink", "neuronlink"),
    (r"\bici\b.*3d|3d torus", "ici-3d"),
    (r"\bici\b|2d torus", "ici-2d"),
    (r"roce.*scale-up|gaudi", "gaudi-roce"),
    (r"pci\w*\s?(?:gen\s?)?-?6", "pcie6"),
    (r"pci\w*\s?(?:gen\s?)?-?5", "pcie5"),
    (r"pci\w*\s?(?:gen\s?)?-?4", "pcie4"),
    (r"pci\w*\s?(?:gen\s?)?-?3", "pcie3"),
    (r"nvlink", ""),  # its generation is that of the accelerator
)
_FABRICS: Words = (
    (r"sharp|collnet", "infiniband-sharp"),
    (r"omni-?path|\bopa\b", "omni-path"),
    (r"slingshot|cassini|\bcxi\b", "slingshot"),
    (r"tcpxo|fastrak", "tcpxo"),
    (r"tcpx", "tcpx"),
    (r"\bgib\b|titanium|gcp.*(?:roce|rdma)|falcon", "roce-gcp"),
    (r"pollara|ainic|pensando", "roce-pollara"),
    (r"\befa", "efa"),
    (r"socket|\btcp\b|without (?:rdma|the network plugin)", "ethernet"),
    (r"(?:infiniband|\bib\b).*default p2p", "infiniband-default-p2p"),
    (r"infiniband|\bib\b|quantum|\b[ehnx]dr\b", "infiniband"),
    (r"roce|rdma|spectrum", "roce"),
    (r"\bdcn\b|multi-?slice", "dcn"),
    (r"\b\d{3,4}\s?gbe\b|bluefield|connectx|cx-?[678]", "roce"),
    (r"ethernet|gbe\b|\beth\b", "ethernet"),
)
_CARDS = re.compile(r"(\d{1,2})\s?x\s?(\d{2,4})\s?g(?:b(?:/s|ps|e|it/s)?|be)?\b")
_PER_NODE = re.compile(r"(\d{2,5})\s?gb(?:/s|ps) per (?:node|host|instance|vm)")
_SINGLE = re.compile(r"\b(\d{2,4})\s?g(?:b(?:/s|ps|e|it/s)|be)\b")
_COUNT = re.compile(r"(\d{1,2})\s?(?:nics?|hcas?|cards?)\b")
_RACKS = re.compile(r"(\d{1,3}|two|three|four)\s+(?:racks|domains|pods|slices)")
_DOMAIN = re.compile(r"(\d{1,4})-(?:gpu|device|chip) domain")
_LINK_RATE = re.compile(r"(\d{2,4})\s?gb/s(?:/dir| per direction)")
_TRANSFER_GBps = re.compile(r"(\d{1,2})x(\d{2,3})\s?gb/s(?:/dir)?")
_NUMBERS = {"two": 2, "three": 3, "four": 4}
_PORT_Bps = 50e9  # cards that are counted but not rated are ports of 400 Gb/s
_LARGEST_DOMAIN = 72  # NVLink domain of a rack


@dataclass(frozen=True)
class System:
    """What a publication says of the machine of a measurement; a text may be empty.

    Attributes
    ----------
    name, gpu, intra, inter
        Name of the system, accelerator, links inside a domain and network between nodes, as published.
    devices, nodes, node_devices
        Devices that took part, nodes, devices of a whole node.
    library
        Communication library; empty is the vendor's.
    """

    name: str
    gpu: str
    intra: str
    inter: str
    devices: int
    nodes: int
    node_devices: int
    library: str = ""


@dataclass(frozen=True)
class Network:
    """Cards of a node as a text states them, and the fabric; None where it says nothing."""

    nics: float | None = None
    nic_Bps: float | None = None
    fabric: str | None = None


def _first(words: Words, text: str) -> str | None:
    return next((name for pattern, name in words if re.search(pattern, text)), None)


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


@cache
def _spellings() -> tuple[tuple[str, str], ...]:
    """Every name and alias of a device without punctuation, longest first, with its catalogue name."""
    names = [(_plain(alias), name) for name in catalog.device_names() for alias in (name, *catalog.names_of(name))]
    return tuple(sorted(names, key=lambda pair: -len(pair[0])))


@cache
def device_of(text: str) -> Device:
    """Catalogue device whose name the text holds.

    Raises
    ------
    MissingDataError
        If it holds none.
    """
    plain = _plain(text)
    found = _first(_DEVICES, text.lower()) or next((name for alias, name in _spellings() if alias in plain), None)
    if found is None:
        raise MissingDataError(f"gpu: got {text[:80]!r}, expected the name of an accelerator of the catalogue")
    return Device.from_catalog(found)


def scale_up_of(text: str, device: Device, library: str = "") -> ScaleUp:
    """Scale-up profile and device rate of a text such as `"NVLink4 NVSwitch 450 GB/s/dir"`."""
    low = text.lower()
    profile = _first(_SCALE_UP, low) or device.link
    if profile is None:
        raise MissingDataError(f"intra: got {text[:80]!r}, expected the links of {device.name}")
    if profile == "no-p2p":
        generation = _first(tuple(w for w in _SCALE_UP if w[1].startswith("pcie")), low)
        profile = f"{generation or _pcie_of(device)}-no-p2p"
    base = ScaleUp.from_catalog(_as_run_by(library.lower(), profile))
    rate = _rate_of(low, base, device)
    return base if rate is None else base.replace(device_Bps=rate)


def _as_run_by(library: str, profile: str) -> str:
    """Profile of the links as a library drives them, where that is not the vendor's."""
    if "oneccl" in library:
        return "pcie5-xe"
    if "gloo" in library:
        return "host-memory"
    one_shot = f"{profile.replace('nvl72', 'nvlink5')}-one-shot"
    kernels = "custom" in library or "mscclpp" in library or "msccl++" in library
    return one_shot if kernels and profile in ("nvlink3", "nvlink4", "nvlink5", "nvl72") else profile


def _pcie_of(device: Device) -> str:
    return device.link if device.link and device.link.startswith("pcie") else "pcie4"


def _rate_of(low: str, base: ScaleUp, device: Device) -> float | None:
    """Rate of a device that a text states or its accelerator has; PCIe keeps that of its generation."""
    if base.name.startswith(("pcie", "host")):
        return None
    if match := _TRANSFER_GBps.search(low):  # "7x64 GB/s/dir": links times rate
        return float(match.group(1)) * float(match.group(2)) * 1e9
    if "mesh" not in low and (match := _LINK_RATE.search(low)):
        return float(match.group(1)) * 1e9
    if device.link is not None and device.link_Bps is not None and device.link.split("-")[0][:4] == base.name[:4]:
        return float(device.link_Bps)
    return None


def network_of(text: str) -> Network:
    """Cards, their rate and the fabric of a text such as `"EFA 3200 Gb/s per node (32x100 Gb/s)"`."""
    low = text.lower()
    fabric = _first(_FABRICS, low)
    count = _COUNT.search(low)
    if match := _CARDS.search(low):
        return Network(float(match.group(1)), float(match.group(2)) / 8 * 1e9, fabric)
    if match := _PER_NODE.search(low):
        nics = float(count.group(1)) if count else 1.0
        return Network(nics, float(match.group(1)) / 8 * 1e9 / nics, fabric)
    single = _SINGLE.search(low)
    return Network(
        float(count.group(1)) if count else None, float(single.group(1)) / 8 * 1e9 if single else None, fabric
    )


@cache
def _node_like(device: Device) -> Node | None:
    """The catalogue's node with this device that has NICs, if there is one."""
    nodes: Iterable[Node] = (catalog.node(name) for name in catalog.node_names())
    return next((n for n in nodes if n.device.name == device.name and n.nics), None)


def cluster_of_system(system: System) -> Cluster:
    """Cluster that a measurement ran on.

    Raises
    ------
    ConfigError
        If counts contradict each other.
    MissingDataError
        If the accelerator or its links are unknown.
    """
    device = _device_or_nearest(system)
    scale_up = scale_up_of(system.intra or system.name, device, system.library)
    network = _network(system, device)
    devices = max(system.node_devices, -(-system.devices // max(system.nodes, 1)))
    scale_up = replace(scale_up, domain_devices=_domain(system, scale_up, devices))
    if re.search(r"via nic|shm (?:is )?disabled|and shm", system.intra.lower()):
        return _nic_only(device, scale_up, network, devices * system.nodes)
    node = Node("measured", device, scale_up, devices, nics=network.nics, nic_Bps=network.nic_Bps)
    fabric = None if network.fabric is None else ScaleOut.from_catalog(network.fabric)
    return Cluster(node, system.nodes, fabric, system.name[:80])


def _device_or_nearest(system: System) -> Device:
    """The accelerator; where the catalogue has none of that name, one with the links that the text states."""
    try:
        return device_of(system.gpu)
    except DtsError:
        profile = _first(_SCALE_UP, system.intra.lower())
        if not profile:
            raise
        names = catalog.device_names()
        return next((d for d in map(Device.from_catalog, names) if d.link == profile), Device.from_catalog(names[0]))


def _domain(system: System, scale_up: ScaleUp, node_devices: int) -> int:
    """Devices of one scale-up domain; 0 is the node. Racks that a job does not fill hold equal shares of it."""
    if scale_up.kind.value == "torus":
        slices = _counted(_RACKS.search(f"{system.inter} {system.name}".lower()))
        return max(node_devices * system.nodes // slices, node_devices)
    if scale_up.name != "nvl72" and not _DOMAIN.search(system.intra.lower()):
        return 0
    text = f"{system.intra} {system.name} {system.inter}".lower()
    most = int(match.group(1)) if (match := _DOMAIN.search(text)) else _LARGEST_DOMAIN
    racks = max(-(-system.devices // most), _counted(_RACKS.search(text)))
    share = -(-system.devices // racks)
    return max(node_devices, share - share % node_devices)


def _counted(match: re.Match[str] | None) -> int:
    """A number in figures or words; 1 where there is none."""
    return 1 if match is None else max(1, _NUMBERS.get(match.group(1)) or int(match.group(1)))


def _network(system: System, device: Device) -> Network:
    """Network of the text, completed by the catalogue's node of the accelerator."""
    stated = network_of(system.inter or system.name)
    like = _node_like(device)
    if system.nodes == 1 or like is None:
        rate = stated.nic_Bps or 12.5e9
        return Network(stated.nics or 1.0, rate, stated.fabric or "ethernet") if system.nodes > 1 else stated
    known = like.scale_out.name if like.scale_out else "infiniband"
    fabric = stated.fabric or known
    if fabric == "efa" and "a100" in device.name:
        fabric = "efa-p4"
    own = (like.nics or 1.0) * (like.nic_Bps or 0.0) * max(system.node_devices, 1) / like.devices
    nics = stated.nics or (like.nics or 1.0) * max(system.node_devices, 1) / like.devices
    rate = stated.nic_Bps or (min(like.nic_Bps or 0.0, _PORT_Bps) if stated.nics else own / nics)
    return Network(nics, rate, fabric)


def _nic_only(device: Device, scale_up: ScaleUp, network: Network, devices: int) -> Cluster:
    """Peers that may use neither PCIe nor host memory: every device is a node with a card of its own."""
    node = Node("measured", device, replace(scale_up, domain_devices=0), 1, nics=1.0, nic_Bps=network.nic_Bps)
    fabric = None if network.fabric is None else ScaleOut.from_catalog(network.fabric)
    return Cluster(node, devices, fabric)
