"""What a training step put on the links of its cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import ConfigError, shown, suggest
from .pairs import matrix_of_pairs

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from .. import _core

__all__ = ["StepLinks", "TierUse", "step_links"]

TIERS = {"port": "scale-up", "nic": "NIC", "leaf": "leaf - spine"}


@dataclass(frozen=True)
class TierUse:
    """The links of one tier together.

    Attributes
    ----------
    tier : str
        `"scale-up"`, `"NIC"` or `"leaf - spine"`.
    links : int
        Directed links.
    bandwidth_Bps : float
        Of one link.
    bytes : float
        Payload of the step over all of them.
    mean_share, busiest_share : float
        Share of the bandwidth taken over the whole step, of all links and of the busiest one; protocol included.
    peak_share : float
        The largest share of any link in any interval.
    """

    tier: str
    links: int
    bandwidth_Bps: float
    bytes: float
    mean_share: float
    busiest_share: float
    peak_share: float


@dataclass(frozen=True, repr=False, eq=False)
class StepLinks:
    """Bytes and utilisation of every link, and bytes of every pair, of one step.

    Attributes
    ----------
    names : tuple of str
        Of the directed links: `"port 12 out"`, `"nic 3.0 up"`, `"leaf 2 - spine 1 down"`.
    bandwidth_Bps, bytes : array, one value per link
        As built, without faults; payload of the step.
    edges_s : array, intervals + 1
        Ends of the intervals; the last is the end of the step.
    shares : array, links x intervals
        Share of the bandwidth taken, what protocols add included, background traffic left out.
    pair_bytes : array, pairs x 3
        Sending device, receiving device, bytes.
    num_devices : int
        Devices of the cluster.
    """

    names: tuple[str, ...]
    bandwidth_Bps: npt.NDArray[np.float64]
    bytes: npt.NDArray[np.float64]
    edges_s: npt.NDArray[np.float64]
    shares: npt.NDArray[np.float64]
    pair_bytes: npt.NDArray[np.float64]
    num_devices: int

    def index(self, name: str) -> int:
        """Position of a link.

        Raises
        ------
        ConfigError
            With the nearest names, if there is none of that name.
        """
        if name not in self.names:
            raise ConfigError(f"link: got {shown(name)}, expected a link of the step; {suggest(name, self.names)}")
        return self.names.index(name)

    @property
    def mean_shares(self) -> npt.NDArray[np.float64]:
        """Share of each link's bandwidth taken over the whole step."""
        import numpy as np

        widths_s = np.diff(self.edges_s)
        total: npt.NDArray[np.float64] = self.shares @ widths_s / max(float(widths_s.sum()), 1e-300)
        return total

    def busiest(self, count: int = 10) -> list[str]:
        """Names of the links with the largest mean share, largest first."""
        import numpy as np

        order = np.argsort(-self.mean_shares, kind="stable")[:count]
        return [self.names[i] for i in order]

    def tiers(self) -> list[TierUse]:
        """Each tier of links together, from the devices upwards."""
        import numpy as np

        uses, mean = [], self.mean_shares
        for prefix, tier in TIERS.items():
            at = np.array([name.startswith(prefix) for name in self.names])
            if not at.any():
                continue
            shares = mean[at]
            peak = float(self.shares[at].max(initial=0.0))
            uses.append(
                TierUse(tier, int(at.sum()), float(self.bandwidth_Bps[at][0]), float(self.bytes[at].sum()),
                        float(shares.mean()), float(shares.max()), peak)
            )  # fmt: skip
        return uses

    def traffic_matrix(self) -> npt.NDArray[np.float64]:
        """Bytes from each device (row) to each device (column).

        Raises
        ------
        ConfigError
            Beyond 8,192 devices, where the matrix would take more than 512 MiB.
        """
        return matrix_of_pairs(self.pair_bytes, self.num_devices)

    def __repr__(self) -> str:
        return f"<{len(self.names):,} links over {self.shares.shape[1]} intervals, {len(self.pair_bytes):,} pairs>"


def step_links(core: _core.StepLinks, period_s: float, devices: int) -> StepLinks:
    """Links of a core result; `period_s` is where the last interval ends."""
    import numpy as np

    columns = core.busy_bytes.shape[1]
    edges_s = np.minimum(np.arange(columns + 1) * core.interval_s, max(period_s, (columns - 1) * core.interval_s))
    widths_s = np.where(np.diff(edges_s) > 0, np.diff(edges_s), core.interval_s)
    shares = core.busy_bytes / (core.capacity_Bps[:, None] * widths_s)
    return StepLinks(
        tuple(core.names), core.capacity_Bps, core.bytes, edges_s, shares, core.pairs.reshape(-1, 3), devices
    )
