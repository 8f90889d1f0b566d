"""What a run on a flow network says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .. import _core
from ..errors import ConfigError, suggest
from ..topology import TopologyLink
from ..units import format_seconds

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


@dataclass(frozen=True, repr=False)
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
    """

    names: tuple[str, ...]
    links: tuple[TopologyLink, ...]
    num_devices: int
    _core: _core.FlowResult = field(compare=False)

    @property
    def time_s(self) -> float:
        """Seconds until the last work has ended."""
        return self._core.end_s

    @property
    def messages(self) -> int:
        """Messages that arrived; a fused ring counts one per neighbour pair."""
        return self._core.flows

    @property
    def timings(self) -> list[Timing]:
        """Of every piece of work, in the order given."""
        times = zip(self.names, self._core.start_s.tolist(), self._core.finish_s.tolist(), strict=True)
        return [Timing(name, start_s, end_s) for name, start_s, end_s in times]

    def __getitem__(self, name: str | int) -> Timing:
        place = name if isinstance(name, int) else self.names.index(name) if name in self.names else None
        if place is None or not -len(self.names) <= place < len(self.names):
            raise ConfigError(f"work: got {name!r}, expected work of the run; {suggest(str(name), self.names)}")
        return Timing(self.names[place], float(self._core.start_s[place]), float(self._core.finish_s[place]))

    def traffic_matrix(self) -> npt.NDArray[np.float64]:
        """Bytes from each rank (row) to each rank (column), background traffic left out.

        Raises
        ------
        ConfigError
            Beyond 8,192 ranks, where the matrix would take more than 512 MiB.
        """
        import numpy as np

        if self.num_devices > 8192:
            raise ConfigError(f"num_devices: got {self.num_devices}, expected at most 8192 in a traffic matrix")
        matrix = np.zeros((self.num_devices, self.num_devices))
        pairs = self._core.pair_bytes
        if pairs:
            src, dst, size = (np.array(column) for column in zip(*pairs, strict=True))
            matrix[src, dst] = size
        return matrix

    def link_bytes(self) -> npt.NDArray[np.float64]:
        """Bytes on each link, background traffic left out."""
        return self._core.link_bytes.copy()

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

        if self._core.interval_s == 0:
            raise ConfigError("intervals: got 0, expected run(..., intervals=50), say, to follow links over time")
        moved = self._core.bytes_over_time
        edges_s = np.minimum(np.arange(moved.shape[1] + 1) * self._core.interval_s, self.time_s)
        rates = np.array([link.bandwidth_Bps for link in self.links])
        return edges_s, moved / (rates[:, None] * np.diff(edges_s))

    def __repr__(self) -> str:
        return f"<{len(self.names)} pieces of work, {self.messages:,} messages: {format_seconds(self.time_s)}>"
