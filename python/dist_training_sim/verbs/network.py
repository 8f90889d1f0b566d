"""`network`: the links of a cluster under one training step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import Problems
from ..frameworks import FrameworkProfile
from ..hardware import Cluster
from ..models import Model
from ..network.fabric import FlowFabric
from ..network.step_links import StepLinks, TierUse
from ..parallel.stragglers import Stragglers
from ..parallel.strategy import Strategy
from ..simulator import simulate
from ..units import format_seconds
from .inputs import cluster_of, gather, model_of

if TYPE_CHECKING:
    from ..result import Result

__all__ = ["LinkUse", "NetworkReport", "network"]


@dataclass(frozen=True)
class LinkUse:
    """One directed link over a step.

    Attributes
    ----------
    name
        Such as `"nic 3.0 up"`.
    bandwidth_Bps
        As built.
    bytes
        Payload of the step.
    mean_share, peak_share
        Share of the bandwidth taken, protocol included: over the step, and in the busiest interval.
    """

    name: str
    bandwidth_Bps: float
    bytes: float
    mean_share: float
    peak_share: float


@dataclass(frozen=True, repr=False)
class NetworkReport:
    """What a step does to the links, and what sharing them does to the step.

    Attributes
    ----------
    model, cluster
        What was simulated, as text.
    step_time_s
        One step on shared links.
    uncontended_step_time_s
        The same with every collective alone on its links.
    tiers
        Scale-up ports, NICs, leaf-spine cables, each tier together.
    busiest
        The links with the largest mean share, largest first.
    links
        Every link over time, and the bytes of every pair.
    result
        The step itself.
    """

    model: str
    cluster: str
    step_time_s: float
    uncontended_step_time_s: float
    tiers: tuple[TierUse, ...]
    busiest: tuple[LinkUse, ...]
    links: StepLinks = field(compare=False)
    result: Result = field(compare=False)

    @property
    def slowdown(self) -> float:
        """Step time over that without contention, minus 1."""
        return self.step_time_s / self.uncontended_step_time_s - 1

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as printed by `dts network --json`: every link with its bytes and mean share, the tiers."""
        links = self.links
        mean, peak = links.mean_shares.tolist(), links.shares.max(axis=1, initial=0.0).tolist()
        columns = (links.names, links.bandwidth_Bps.tolist(), links.bytes.tolist(), mean, peak)
        return {
            "model": self.model,
            "cluster": self.cluster,
            "step_time_s": self.step_time_s,
            "uncontended_step_time_s": self.uncontended_step_time_s,
            "contention_s": self.result.breakdown["contention_s"],
            "tiers": [vars(tier) for tier in self.tiers],
            "links": [
                dict(zip(("name", "bandwidth_Bps", "bytes", "mean_share", "peak_share"), row, strict=True))
                for row in zip(*columns, strict=True)
            ],
        }

    def __repr__(self) -> str:
        more = f"{self.slowdown:+.2%} by sharing links"
        return f"<{self.model} on {self.cluster}: step {format_seconds(self.step_time_s)}, {more}>"


def network(
    model: Model | str,
    cluster: Cluster | str,
    strategy: Strategy | None = None,
    *,
    seq_len: int | None = None,
    framework: FrameworkProfile | str = "megatron-core",
    fabric: FlowFabric | None = None,
    placement: Sequence[int] | None = None,
    stragglers: Stragglers | None = None,
    intervals: int = 100,
    top: int = 10,
) -> NetworkReport:
    """Run one step on shared links and say what each link carried.

    Parameters
    ----------
    model, cluster, strategy, seq_len, framework, placement, stragglers
        As of `simulate`.
    fabric
        Routing, oversubscription, faults, other jobs' traffic; by default the cluster's plain fabric.
    intervals
        Links are followed over time in at least so many.
    top
        How many of the busiest links to list.

    Raises
    ------
    ConfigError
        Listing every rule that the job or the fabric violates.
    InfeasibleError
        If dead links cut ranks off.

    Examples
    --------
    >>> report = network("llama-3.1-8b", "2xdgx-h100", Strategy(tp=4, zero=1, global_batch=64), seq_len=4096)
    >>> [tier.tier for tier in report.tiers]
    ['scale-up', 'NIC', 'leaf - spine']
    """
    problems = Problems()
    problems.count("intervals", intervals, 1, 1 << 20)
    problems.count("top", top, 0, 1 << 20)
    problems.raise_if_any()
    described, hardware = gather(
        lambda: model_of(model) if isinstance(model, str) else model,
        lambda: cluster_of(cluster) if isinstance(cluster, str) else cluster,
    )
    result = simulate(
        described, hardware, strategy, seq_len=seq_len, framework=framework, network=fabric or FlowFabric(),
        placement=placement, stragglers=stragglers, link_intervals=intervals, keep_events=False,
    )  # fmt: skip
    links = result.links
    assert links is not None  # intervals were asked for
    return NetworkReport(
        result.model, result.cluster_title, result.step_time_s, result.uncontended_step_time_s, tuple(links.tiers()),
        tuple(_use(links, name) for name in links.busiest(top)), links, result,
    )  # fmt: skip


def _use(links: StepLinks, name: str) -> LinkUse:
    at = links.index(name)
    peak = float(links.shares[at].max(initial=0.0))
    return LinkUse(name, float(links.bandwidth_Bps[at]), float(links.bytes[at]), float(links.mean_shares[at]), peak)
