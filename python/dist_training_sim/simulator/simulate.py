"""`simulate`: model, cluster and strategy in, one training step out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import _core
from .._convert import core_of, to_core
from ..errors import Problems
from ..frameworks.profile import FrameworkProfile
from ..hardware.cluster import Cluster
from ..models.model import Model
from ..parallel.strategy import Strategy
from ..result import Result
from .attention_kernel import device_core
from .workspace import profile_core

if TYPE_CHECKING:
    from ..communication import CommunicationModel

__all__ = ["checked_seq_len", "simulate"]


def simulate(
    model: Model | str,
    cluster: Cluster | str,
    strategy: Strategy | None = None,
    *,
    seq_len: int | None = None,
    framework: FrameworkProfile | str = "megatron-core",
    network: CommunicationModel | None = None,
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
        Price collectives on this link-level topology instead of the cluster's fabric.
    expand
        Simulate every rank on its own streams instead of one rank per pipeline stage. A symmetric job gives exactly the
        same times; events then name ranks.
    keep_events
        Keep the timeline; without it a result is smaller.

    Returns
    -------
    Result

    Raises
    ------
    ConfigError
        Listing every rule that the job violates, with the nearest legal values.

    Examples
    --------
    >>> result = simulate("llama-3.1-8b", "1xdgx-h100", Strategy(zero=3, global_batch=64), seq_len=8192)
    >>> result.devices
    8
    """
    model = Model.from_catalog(model) if isinstance(model, str) else model
    cluster = Cluster.from_catalog(cluster) if isinstance(cluster, str) else cluster
    profile = FrameworkProfile.from_catalog(framework) if isinstance(framework, str) else framework
    strategy = Strategy() if strategy is None else strategy
    _check_kinds(model=(model, Model), cluster=(cluster, Cluster), strategy=(strategy, Strategy),
                 framework=(profile, FrameworkProfile))  # fmt: skip
    seq_len = checked_seq_len(model, seq_len)
    resolved = strategy.resolved(cluster.device_count)
    device = device_core(cluster.node.device, profile)
    interconnect = _interconnect(core_of(cluster), network)
    core = _core.simulate(
        core_of(model),
        device,
        interconnect,
        to_core(resolved),
        profile_core(profile, cluster.node.device.generation, model),
        float(seq_len),
        expand,
        keep_events,
    )
    return Result(
        step_time_s=core.step_time_s,
        model=model.name,
        cluster=cluster.name,
        strategy=resolved,
        framework=profile.name,
        seq_len=seq_len,
        capacity_bytes=device.hbm_bytes,
        reserved_factor=profile.reserved_factor,
        failure_factor=profile.failure_factor or profile.reserved_factor,
        _core_result=core,
    )


def _check_kinds(**arguments: tuple[object, type]) -> None:
    problems = Problems()
    for name, (value, kind) in arguments.items():
        if not isinstance(value, kind):
            problems.add(name, value, f"a {kind.__name__}" + ("" if name == "strategy" else " or its name"))
    problems.raise_if_any()


def _interconnect(cluster: _core.ClusterSpec, network: CommunicationModel | None) -> _core.Interconnect:
    if network is None:
        return _core.Interconnect.of_cluster(cluster)
    return _core.Interconnect.of_topology(network.core)


def checked_seq_len(model: Model, seq_len: int | None) -> int:
    """The sequence length to use; the model's own where it fixes one."""
    fixed = int(model.tokens_per_sample)
    problems = Problems()
    if seq_len is None and not fixed:
        problems.add("seq_len", None, f"a number of tokens: {model.name} does not fix it", "give seq_len=8192, say")
    elif seq_len is not None and problems.count("seq_len", seq_len, maximum=10**9) and fixed and seq_len != fixed:
        problems.add("seq_len", seq_len, f"{fixed}, which {model.name} fixes", "leave seq_len out")
    problems.raise_if_any()
    return fixed or int(seq_len or 0)
