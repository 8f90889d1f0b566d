"""`simulate`: model, cluster and strategy in, one training step out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import _core
from .._convert import to_core
from ..errors import Problems
from ..frameworks.profile import FrameworkProfile
from ..hardware.cluster import Cluster
from ..models.model import Model
from ..op_table import OpTable
from ..parallel.stragglers import Stragglers
from ..parallel.strategy import Strategy
from ..result import Result
from .job import checked_seq_len, described_job

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..communication import CommunicationModel
    from ..network import FlowFabric

__all__ = ["checked_seq_len", "simulate"]


def simulate(
    model: Model | str,
    cluster: Cluster | str,
    strategy: Strategy | None = None,
    *,
    seq_len: int | None = None,
    framework: FrameworkProfile | str = "megatron-core",
    network: CommunicationModel | FlowFabric | str | None = None,
    placement: Sequence[int] | None = None,
    stragglers: Stragglers | None = None,
    link_intervals: int = 0,
    expand: bool = False,
    keep_events: bool = True,
) -> Result:
    """Predict one training step.

    Parameters
    ----------
    model
        A `Model`, or the name of one of the catalogue.
    cluster
        A `Cluster`, or a name such as `"64xdgx-h100"`.
    strategy
        The layout; by default data parallelism over every device.
    seq_len
        Tokens per sample; needed unless the model fixes it (vision models do).
    framework
        A `FrameworkProfile` or the name of one of the catalogue.
    network
        By default every collective takes the price of its group on the cluster's fabric. `"flow"`, or a `FlowFabric`
        for routing, oversubscription, faults and other jobs' traffic: collectives share the cluster's links with what
        else is on them. A `CommunicationModel`: priced on that link-level topology, with textbook algorithms.
    placement
        Device of each rank, a permutation; by default rank r runs on device r. Stragglers are numbered by rank.
    stragglers
        How much slower some ranks compute. Ranks that behave alike are simulated once; events name the first of each.
    link_intervals
        Above 0, with a flow network: follow every link over time in at least this many intervals (`result.links`).
    expand
        Simulate every replica by itself even where it behaves as others do. Times are exactly the same; events then
        name every rank.
    keep_events
        Keep the timeline; without it a result is smaller.

    Returns
    -------
    Result

    Raises
    ------
    ConfigError
        Listing every rule that the job violates, with the nearest legal values.
    InfeasibleError
        If dead links cut ranks off, or a flow network has more to simulate than is sensible.
    MissingDataError
        If the strategy offloads to a tier that the cluster lacks, or of which it does not say how fast it is.

    Examples
    --------
    >>> result = simulate("llama-3.1-8b", "1xdgx-h100", Strategy(zero=3, global_batch=64), seq_len=8192)
    >>> result.devices
    8
    """
    problems = Problems()
    problems.count("link_intervals", link_intervals, 0, 1 << 20)
    problems.flag("expand", expand)
    problems.flag("keep_events", keep_events)
    problems.raise_if_any()
    job = described_job(model, cluster, strategy, seq_len, framework, network, stragglers, placement)
    if link_intervals and job.flow is None:
        problems.add("link_intervals", link_intervals, "0 without shared links", 'give network="flow"')
    problems.raise_if_any()
    described = job.core_arguments()
    core = _core.simulate(
        **described,
        expand=expand,
        keep_events=keep_events,
        stragglers=None if stragglers is None else to_core(stragglers),
        flow=job.flow,
        intervals=link_intervals,
    )
    return Result(
        step_time_s=core.step_time_s,
        model=job.model.name,
        cluster=job.cluster.name,
        strategy=job.strategy,
        framework=job.profile.name,
        seq_len=job.seq_len,
        capacity_bytes=min(core.capacity_bytes),
        profile=job.profile,
        _core_result=core,
        ops=OpTable(described),
        _described=(job.model, job.cluster, job.strategy),
        stage_capacity_bytes=tuple(core.capacity_bytes),
        tier_capacity_bytes=job.tier_capacity_bytes,
    )
