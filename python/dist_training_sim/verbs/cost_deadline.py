"""The least number of nodes with which a run meets a deadline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..errors import ConfigError, DtsError, InfeasibleError
from ..hardware import Cluster
from ..parallel import Strategy
from .cost_report import CostReport, DeadlineOption

__all__ = ["least_nodes"]

MOST_OPTIONS = 64


def least_nodes(
    cluster: Cluster, strategy: Strategy, days: float, report_of: Callable[[Cluster, Strategy], CostReport]
) -> CostReport:
    """Report of the smallest cluster of this kind of node that ends in time and fits, with all sizes tried.

    Raises
    ------
    ConfigError
        If the strategy states no global batch, which stays as data parallelism grows.
    InfeasibleError
        If no size does, with the days of the best.
    """
    tried: list[DeadlineOption] = []
    reasons: list[str] = []
    for nodes, dp in _sizes(cluster, strategy):
        sized = replace(cluster, nodes=nodes, name="", others=())
        try:
            report = report_of(sized, strategy.replace(dp=dp))
        except DtsError as error:
            if not tried and not isinstance(error, InfeasibleError):
                raise
            reasons.append(f"{nodes} nodes: {str(error).splitlines()[0]}")
            continue
        meets = report.days <= days and report.fits
        figures = (report.days, report.device_hours, report.usd, report.fits, meets)
        tried.append(DeadlineOption(report.devices, nodes, dp, *figures))
        if meets:
            return replace(report, options=tuple(tried))
    raise _missed(days, strategy, tried, reasons)


def _missed(days: float, strategy: Strategy, tried: list[DeadlineOption], reasons: list[str]) -> InfeasibleError:
    fitting = [option for option in tried if option.fits]
    if not fitting:
        why = "; ".join(reasons[:3]) or "none fits into memory"
        return InfeasibleError(f"days: got {days:g}, but no size of the cluster can run this job ({why})")
    best = min(fitting, key=lambda option: option.days)
    batch = f"the global batch of {strategy.global_batch:,}"
    return InfeasibleError(
        f"days: got {days:g}, expected at least {best.days:.3g}, on {best.devices:,} devices, beyond which {batch} "
        "cannot be split or failures eat the gain; raise the global batch or the deadline"
    )


def _sizes(cluster: Cluster, strategy: Strategy) -> list[tuple[int, int]]:
    """(nodes, dp) with whole nodes, the global batch dividing evenly, from the smallest."""
    batch = strategy.global_batch
    if batch is None:
        raise ConfigError("global_batch: got None, expected samples per step: with a deadline it stays as dp grows")
    ranks, per_node = strategy.tp * strategy.pp * strategy.cp, cluster.node.devices
    most = batch // strategy.micro_batch
    fits = [dp for dp in range(1, most + 1) if most % dp == 0 and ranks * dp % per_node == 0]
    sizes = [(ranks * dp // per_node, dp) for dp in fits if dp % strategy.dp_replicas == 0]
    if not sizes:
        raise InfeasibleError(
            f"days: no number of whole nodes of {per_node} devices suits tp x pp x cp = {ranks} and a global batch of "
            f"{batch}"
        )
    return sizes[:MOST_OPTIONS]
