"""What a run on a flow network says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import ConfigError, shown, suggest
from ..topology import TopologyLink
from ..units import format_seconds
from .pairs import matrix_of_pairs

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["FlowResult", "Timing"]


@dataclass(frozen=True)
class Timing:
    """When one piece of work ran.

    Attributes
    ----------
    name : str
        Its name, or its position as text.
    start_s, end_s : float
        Seconds. A message ends when its last byte has arrived.
    """

    name: str
    start_s: float
    end_s: float

    @property
    def time_s(self) -> float:
        """Seconds from start to end."""
        return self.end_s - self.start_s


@dataclass(frozen=True, repr=False, eq=False)
class FlowResult:
    """What a run on a flow network says; `result["name"]` or `result[0]` is the `Timing` of one piece of work.

    Attributes
    ----------
    names : tuple of str
        Of the work, in the order given.
    links : tuple of TopologyLink
        Of the network, in the order of `link_bytes`.
    num_devices : int
        Ranks of the network.
    messages : int
        That arrived; a fused ring counts one per neighbour pair.
    start_s, end_s : array, one value per piece of work
        Seconds. A message ends when its last byte has arrived.
    link_bytes : array, one value per link
        Bytes, background traffic left out.
    pair_bytes : array, pairs x 3
        Sender, receiver, bytes.
    interval_s : float
        Length of the intervals of `bytes_over_time`; 0 if the run did not follow links over time.
    bytes_over_time : array, links x intervals
        Bytes in each interval, background traffic left out.
    """

    names: tuple[str, ...]
    links: tuple[TopologyLink, ...]
    num_devices: int
    messages: int
    start_s: npt.NDArray[np.float64]
    end_s: npt.NDArray[np.float64]
    link_bytes: npt.NDArray[np.float64]
    pair_bytes: npt.NDArray[np.float64]
    interval_s: float
    bytes_over_time: npt.NDArray[np.float64]

    @property
    def time_s(self) -> float:
        """Seconds until the last work has ended."""
        return float(self.end_s.max(initial=0.0))

    @property
    def timings(self) -> list[Timing]:
        """Of every piece of work, in the order given."""
        times = zip(self.names, self.start_s.tolist(), self.end_s.tolist(), strict=True)
        return [Timing(name, start_s, end_s) for name, start_s, end_s in times]

    def __getitem__(self, name: str | int) -> Timing:
        place = name if isinstance(name, int) else self.names.index(name) if name in self.names else None
        if place is None or not -len(self.names) <= place < len(self.names):
            raise ConfigError(f"work: got {shown(name)}, expected work of the run; {suggest(str(name), self.names)}")
        return Timing(self.names[place], float(self.start_s[place]), float(self.end_s[place]))

    def traffic_matrix(self) -> npt.NDArray[np.float64]:
        """Bytes from each rank (row) to each rank (column), background traffic left out.

        Raises
        ------
        ConfigError
            Beyond 8,192 ranks, where the matrix would take more than 512 MiB.
        """
        return matrix_of_pairs(self.pair_bytes, self.num_devices)

    def link_utilization(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """How busy each link was over time: mean share of its bandwidth, background traffic left out.

        Returns
        -------
        edges_s : array, intervals + 1
            Ends of the intervals; the last is the end of the run.
        shares : array, links x intervals
            From 0 to 1.

        Raises
        ------
        ConfigError
            If the run was not asked for intervals.
        """
        import numpy as np

        if self.interval_s == 0:
            raise ConfigError("intervals: got 0, expected run(..., intervals=50), say, to follow links over time")
        moved = self.bytes_over_time
        edges_s = np.minimum(np.arange(moved.shape[1] + 1) * self.interval_s, self.time_s)
        rates = np.array([link.bandwidth_Bps for link in self.links])
        return edges_s, moved / (rates[:, None] * np.diff(edges_s))

    def __repr__(self) -> str:
        return f"<{len(self.names)} pieces of work, {self.messages:,} messages: {format_seconds(self.time_s)}>"
