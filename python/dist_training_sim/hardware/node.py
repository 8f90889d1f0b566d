"""A node: devices, what joins them, and what leaves the node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .._convert import CoreSpec
from .._replaced import replaced
from ..errors import MissingDataError, Problems
from ..topology import Topology
from ._fields import Count, MaybeQuantity, Named, check_member, check_quantities, check_type, place
from .device import Device
from .fabric import ScaleOut, ScaleUp
from .link import Link

__all__ = ["Node", "Price"]

_MAX_DEVICES = 10**4
_QUANTITIES = (
    *("nic_Bps", "host_Bps", "host_memory_Bps", "host_bytes"),
    *("nvme_bytes", "nvme_read_Bps", "nvme_write_Bps"),
)


@dataclass(frozen=True)
class Price:
    """List price of a whole node.

    Parameters
    ----------
    usd_per_h
        US dollars per hour.
    date
        When it was valid, as text; empty where the source gives none.
    note
        Kind of price and source of doubtful parts.
    """

    usd_per_h: float
    date: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        problems = Problems()
        problems.non_negative("price.usd_per_h", self.usd_per_h)
        problems.raise_if_any()


@dataclass(frozen=True, repr=False)
class Node:
    """A node of equal devices. A value of None is unknown.

    Parameters
    ----------
    name
        Any text.
    device
        The device.
    scale_up
        What joins the devices.
    devices
        How many, 1 to 10,000.
    nics, nic_Bps
        Network cards and the rate of one per direction (text such as `"400 Gb/s"`, or a `Link`).
    host_bytes, host_Bps, host_memory_Bps
        Host memory, the rate between one device and it per direction, and the bandwidth of that memory.
    nvme_bytes, nvme_read_Bps, nvme_write_Bps
        Local NVMe drives, all together: capacity and sequential rates. The devices of the node share them.
    scale_out
        What joins nodes of this kind, unless the cluster says otherwise.
    topology
        Shape of that network: a `Topology` or its name.
    price
        List price of the node.
    label, sources, notes
        A readable name, where the values were read, and remarks.

    Raises
    ------
    ConfigError
        Listing every value that is not physical.
    """

    CORE: ClassVar[CoreSpec] = CoreSpec(
        "NodeSpec",
        python_only=frozenset(
            (
                "scale_out",
                "topology",
                "price",
                "label",
                "sources",
                "notes",
                "nvme_bytes",
                "nvme_read_Bps",
                "nvme_write_Bps",
            )
        ),
        unknown={"nics": 0.0, "nic_Bps": 0.0, "host_bytes": 0.0, "host_Bps": 0.0, "host_memory_Bps": 0.0},
    )

    name: str
    device: Device
    scale_up: ScaleUp
    devices: Count = Count(8)
    nics: float | None = None
    nic_Bps: MaybeQuantity = MaybeQuantity("Bps")
    host_bytes: MaybeQuantity = MaybeQuantity("bytes")
    host_Bps: MaybeQuantity = MaybeQuantity("Bps")
    host_memory_Bps: MaybeQuantity = MaybeQuantity("Bps")
    nvme_bytes: MaybeQuantity = MaybeQuantity("bytes")
    nvme_read_Bps: MaybeQuantity = MaybeQuantity("Bps")
    nvme_write_Bps: MaybeQuantity = MaybeQuantity("Bps")
    scale_out: ScaleOut | None = None
    topology: Named[Topology] = Named(Topology, Topology.FAT_TREE)
    price: Price | None = None
    label: str = ""
    sources: tuple[str, ...] = ()
    notes: str = ""

    def __post_init__(self) -> None:
        problems = Problems()
        where = place(problems, "node", self.name)
        check_type(problems, f"{where}.device", self.device, Device)
        counted = problems.count(f"{where}.devices", self.devices, 1, _MAX_DEVICES)
        if check_type(problems, f"{where}.scale_up", self.scale_up, ScaleUp) and counted:
            self._check_domain(problems, where)
        if self.scale_out is not None:
            check_type(problems, f"{where}.scale_out", self.scale_out, ScaleOut)
        check_quantities(problems, where, self, _QUANTITIES, ("nics",))
        check_member(problems, f"{where}.topology", self.topology, Topology)
        if self.price is not None and not isinstance(self.price, Price):
            problems.add(f"{where}.price", self.price, "a Price")
        problems.raise_if_any()

    def _check_domain(self, problems: Problems, where: str) -> None:
        domain = self.scale_up.domain_devices
        if domain and domain % self.devices:
            problems.add(
                f"{where}.scale_up.domain_devices",
                domain,
                f"a multiple of the node's {self.devices} devices",
                "use 0 for one domain per node",
            )

    @classmethod
    def from_catalog(cls, name: str, **changes: Any) -> Node:
        """Node or cloud instance of the catalogue, with some fields changed.

        Raises
        ------
        ConfigError
            If there is none of that name (the nearest are suggested), or a changed value is not physical.
        """
        from ..catalog import hardware

        node = hardware.node(name)
        return node.replace(**changes) if changes else node

    @classmethod
    def of(
        cls,
        device: Device | str,
        devices: int = 8,
        *,
        name: str | None = None,
        link: str | Link | None = None,
        scale_out: ScaleOut | str | None = None,
        **values: Any,
    ) -> Node:
        """Node by hand from a device (or its catalogue name).

        Parameters
        ----------
        device, devices
            The device and how many.
        name
            Defaults to `"8x h100-sxm5-80gb"`, say.
        link
            Scale-up profile; a `Link` also gives its rate. By default the device's own link.
        scale_out
            A `ScaleOut` or the name of a profile.
        values
            Further fields of `Node`, such as `nics=8, nic_Bps="400 Gb/s"`.

        Examples
        --------
        >>> Node.of("l40s", 4, nics=1, nic_Bps="100 Gb/s").devices
        4
        """
        chip = Device.from_catalog(device) if isinstance(device, str) else device
        fabric = ScaleOut.from_catalog(scale_out) if isinstance(scale_out, str) else scale_out
        title = name or f"{devices}x {chip.name}"
        return cls(title, chip, _scale_up(chip, link, title), devices, scale_out=fabric, **values)

    @property
    def domain_devices(self) -> int:
        """Devices of one scale-up domain."""
        return self.scale_up.domain_devices or self.devices

    def replace(self, **changes: Any) -> Node:
        """Copy with some fields changed, such as `nics=4`."""
        return replaced(self, changes)

    def __repr__(self) -> str:
        nics = "NICs unknown" if self.nics is None else f"{self.nics:g} NICs"
        if self.nics is not None and self.nic_Bps is not None:
            nics += f" of {self.nic_Bps * 8e-9:g} Gb/s"
        return f"Node({self.name}: {self.devices} x {self.device.name}, {self.scale_up.name}, {nics})"


def _scale_up(device: Device, link: str | Link | None, where: str) -> ScaleUp:
    """Profile and rate of a hand-built node."""
    if isinstance(link, Link):
        return ScaleUp.from_link(link, link.name)
    profile = link or device.link
    if profile is None:
        raise MissingDataError(f'node {where}.link: device {device.name} names no link; give link="pcie5", say')
    base = ScaleUp.from_catalog(profile)
    own_rate = device.link_Bps if profile == device.link else None
    return base if own_rate is None else base.replace(device_Bps=own_rate)
