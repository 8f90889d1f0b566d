"""A point-to-point link: its rate in one direction, and what is known beyond the datasheet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .._replaced import replaced
from ..errors import Problems
from ._fields import MaybeQuantity, Quantity, check_quantities, place

__all__ = ["Link"]


@dataclass(frozen=True)
class Link:
    """A link between two devices, a device and its host, or a node and a switch.

    Parameters
    ----------
    bandwidth_Bps
        Datasheet rate in one direction, bytes per second, or text such as `"400 Gb/s"`, `"900 GB/s"`.
    name
        Any text.
    achieved_Bps
        What a large copy reaches, where measured; None is unknown.
    latency_s
        Time of one traversal of an empty link; None is unknown.
    sources
        Where the values were read.

    Raises
    ------
    ConfigError
        Listing every value that is not physical.

    Examples
    --------
    >>> Link("400 Gb/s").bandwidth_Bps
    50000000000.0
    """

    bandwidth_Bps: Quantity = Quantity("Bps")
    name: str = "link"
    achieved_Bps: MaybeQuantity = MaybeQuantity("Bps")
    latency_s: MaybeQuantity = MaybeQuantity("s")
    sources: tuple[str, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        problems = Problems()
        where = place(problems, "link", self.name)
        check_quantities(problems, where, self, ("bandwidth_Bps", "achieved_Bps"), ("latency_s",))
        problems.raise_if_any()

    @classmethod
    def from_catalog(cls, name: str) -> Link:
        """Link of the catalogue (`"pcie5"`, `"nvlink4"`, `"ib-ndr"`); `ConfigError` if there is none of that name."""
        from ..catalog import hardware

        return hardware.link(name)

    @property
    def copy_Bps(self) -> float:
        """Rate of a large copy: what was measured, else the datasheet rate."""
        return self.bandwidth_Bps if self.achieved_Bps is None else self.achieved_Bps

    def replace(self, **changes: Any) -> Link:
        """Copy with some values changed."""
        return replaced(self, changes)
