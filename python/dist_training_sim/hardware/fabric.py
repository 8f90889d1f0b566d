"""The two fabric levels: inside a scale-up domain, and beyond it. Fields mirror the core's structs.

A constant that is None keeps the core's value; the values of each profile and their sources: catalog/fabrics.yaml.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar

from .._convert import CoreSpec
from .._replaced import replaced
from ..errors import Problems
from ..named_enum import NamedEnum
from ._fields import MaybeQuantity, Named, check_member, check_quantities, place
from .link import Link

__all__ = ["ScaleOut", "ScaleUp", "ScaleUpKind"]

_MAX_DOMAIN = 2**20


class ScaleUpKind(NamedEnum):
    """How the devices of a domain are wired: any two directly (NVSwitch, xGMI, PCIe), or as neighbours on a torus."""

    FLAT = "flat"
    TORUS = "torus"


@dataclass(frozen=True)
class ScaleUp:
    """What joins the devices of one domain (NVLink, xGMI, ICI, PCIe).

    Parameters
    ----------
    name
        Name of the profile.
    device_Bps
        Datasheet rate per device and direction, text such as `"450 GB/s"`, or a `Link`; None is unknown.
    domain_devices
        Devices of one domain; 0 is the node's devices.
    kind
        `ScaleUpKind` or its name.
    launch_s ... ring_devices
        Constants of the cost formulas, explained at the core's `ScaleUpSpec`; None keeps the core's value.
    sources
        Where the constants were read or fitted.

    Raises
    ------
    ConfigError
        Listing every value that is not physical.
    """

    CORE: ClassVar[CoreSpec] = CoreSpec(
        "ScaleUpSpec",
        python_only=frozenset({"sources"}),
        none_keeps_default=True,
        needed=frozenset({"device_Bps"}),
    )

    name: str
    device_Bps: MaybeQuantity = MaybeQuantity("Bps")
    domain_devices: int = 0
    kind: Named[ScaleUpKind] = Named(ScaleUpKind, ScaleUpKind.FLAT)
    launch_s: MaybeQuantity = MaybeQuantity("s")
    hop_s: MaybeQuantity = MaybeQuantity("s")
    ring_efficiency: float | None = None
    ring_ramp: float | None = None
    ring_ramp_growth: float | None = None
    all_reduce_copy: float | None = None
    gather_copy: float | None = None
    ring_sms: float | None = None
    nvls_min_ranks: int | None = None
    nvls_startup_s: MaybeQuantity = MaybeQuantity("s")
    nvls_ramp: float | None = None
    nvls_efficiency: float | None = None
    nvls_tree_efficiency: float | None = None
    nvls_sms: float | None = None
    p2p_launch_s: MaybeQuantity = MaybeQuantity("s")
    p2p_peer_s: MaybeQuantity = MaybeQuantity("s")
    p2p_ramp: float | None = None
    p2p_efficiency: float | None = None
    p2p_copy: float | None = None
    sendrecv_efficiency: float | None = None
    group_exponent: float | None = None
    torus_axes: int | None = None
    torus_shape: tuple[int, int, int] | None = None
    torus_wrap: int | None = None
    ring_devices: int | None = None
    simple_startup_s: MaybeQuantity = MaybeQuantity("s")
    simple_hop_s: MaybeQuantity = MaybeQuantity("s")
    ll_efficiency: float | None = None
    ll128_startup_s: MaybeQuantity = MaybeQuantity("s")
    ll128_efficiency: float | None = None
    one_shot_launch_s: MaybeQuantity = MaybeQuantity("s")
    one_shot_peer_s: MaybeQuantity = MaybeQuantity("s")
    one_shot_efficiency: float | None = None
    p2p_channels: int | None = None
    p2p_channel_Bps: MaybeQuantity = MaybeQuantity("Bps")
    p2p_part_bytes: MaybeQuantity = MaybeQuantity("bytes")
    sources: tuple[str, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        problems = Problems()
        where = place(problems, "scale_up", self.name)
        check_member(problems, f"{where}.kind", self.kind, ScaleUpKind)
        problems.count(f"{where}.domain_devices", self.domain_devices, 0, _MAX_DOMAIN)
        check_quantities(problems, where, self, ("device_Bps",), _constants(self, "device_Bps", "domain_devices"))
        problems.raise_if_any()

    @classmethod
    def from_catalog(cls, profile: str) -> ScaleUp:
        """Profile of catalog/fabrics.yaml (`"nvlink4"`, `"pcie5"`, `"xgmi"`) with the rate of its generation."""
        from ..catalog import fabrics

        return fabrics.scale_up(profile)

    @classmethod
    def from_link(cls, link: Link, profile: str, domain_devices: int = 0) -> ScaleUp:
        """Profile with the rate of a link and, where it is known, its latency as the cost of one hop."""
        base = cls.from_catalog(profile)
        hop_s = base.hop_s if link.latency_s is None else link.latency_s
        return replace(base, device_Bps=link, hop_s=hop_s, domain_devices=domain_devices)

    def replace(self, **changes: Any) -> ScaleUp:
        """Copy with some fields changed."""
        return replaced(self, changes)


@dataclass(frozen=True)
class ScaleOut:
    """What joins nodes (InfiniBand, RoCE, EFA ...): constants of the cost formulas; None keeps the core's value.

    `group_nics`, where it is not 0, is how many of a node's cards one group's rings use at most.

    Raises
    ------
    ConfigError
        Listing every value that is not physical.
    """

    CORE: ClassVar[CoreSpec] = CoreSpec("ScaleOutSpec", python_only=frozenset({"sources"}), none_keeps_default=True)

    name: str
    hop_s: MaybeQuantity = MaybeQuantity("s")
    low_latency_Bps: MaybeQuantity = MaybeQuantity("Bps")
    level_startup_s: MaybeQuantity = MaybeQuantity("s")
    ramp: float | None = None
    ring_efficiency: float | None = None
    tree_efficiency: float | None = None
    group_nics: float | None = None
    p2p_peer_s: MaybeQuantity = MaybeQuantity("s")
    p2p_ramp: float | None = None
    p2p_efficiency: float | None = None
    sendrecv_efficiency: float | None = None
    ll128_startup_s: MaybeQuantity = MaybeQuantity("s")
    ramp_bytes: MaybeQuantity = MaybeQuantity("bytes")
    ll128_Bps: MaybeQuantity = MaybeQuantity("Bps")
    sharp_efficiency: float | None = None
    sharp_startup_s: MaybeQuantity = MaybeQuantity("s")
    sources: tuple[str, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        problems = Problems()
        where = place(problems, "scale_out", self.name)
        check_quantities(problems, where, self, ("low_latency_Bps",), _constants(self, "low_latency_Bps"))
        problems.raise_if_any()

    @classmethod
    def from_catalog(cls, profile: str) -> ScaleOut:
        """Profile of catalog/fabrics.yaml (`"infiniband"`, `"roce"`, `"efa"`)."""
        from ..catalog import fabrics

        return fabrics.scale_out(profile)

    def replace(self, **changes: Any) -> ScaleOut:
        """Copy with some fields changed, such as `hop_s="2 us"`."""
        return replaced(self, changes)


def _constants(profile: ScaleUp | ScaleOut, *others: str) -> tuple[str, ...]:
    """Names of the plain number fields, which must not be negative."""
    left_out = {"name", "kind", "torus_shape", "group_exponent", "sources", *others}
    return tuple(f.name for f in fields(profile) if f.name not in left_out)
