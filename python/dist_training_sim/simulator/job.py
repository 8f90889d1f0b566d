"""A described job as the core takes it: names looked up, kinds checked, layout resolved."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any

from .. import _core
from .._convert import core_of, to_core
from ..errors import ConfigError, Problems, shown
from ..frameworks.profile import FrameworkProfile
from ..hardware.cluster import Cluster
from ..models.model import Model
from ..network.fabric import FlowFabric
from ..parallel.stragglers import Stragglers
from ..parallel.strategy import Strategy
from .attention_kernel import device_core
from .workspace import profile_core

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..communication import CommunicationModel

    Network = CommunicationModel | FlowFabric | str | None

__all__ = ["Job", "checked_seq_len", "described_job"]


@dataclass(frozen=True)
class Job:
    """Descriptions of a job, and its core structs."""

    model: Model
    cluster: Cluster
    strategy: Strategy
    profile: FrameworkProfile
    seq_len: int
    devices: tuple[_core.DeviceSpec, ...]
    interconnect: _core.Interconnect
    flow: _core.FlowStepOptions | None = None

    def core_arguments(self) -> dict[str, Any]:
        """What every function of the core takes of a job."""
        return {
            "model": core_of(self.model),
            "device": self.devices[0],
            "network": self.interconnect,
            "strategy": to_core(self.strategy),
            "profile": profile_core(self.profile, self._generation),
            "seq_len": float(self.seq_len),
            "other_devices": list(self.devices[1:]),
            "host": self._host(),
        }

    def core_search(self) -> _core.SearchJob:
        """For many strategies in its own's place; what they share is priced once."""
        arguments = self.core_arguments()
        del arguments["strategy"]
        return _core.SearchJob(**arguments)

    @property
    def _generation(self) -> str:
        return self.cluster.node.device.generation

    def _host(self) -> _core.HostShare:
        # A device's part of its host; among several kinds of nodes the slowest, for which the others wait.
        kinds, devices = self.cluster.node_kinds, self.cluster.node.devices

        def slowest(name: str) -> float:
            return min(getattr(node, name) or 0.0 for node in kinds)

        nics = min((node.nics or 0.0) * (node.nic_Bps or 0.0) for node in kinds) / devices
        remote = min(nics, (self.cluster.remote_Bps or 0.0) / self.cluster.device_count)
        return _core.HostShare(
            copy_Bps=slowest("host_Bps"),
            memory_Bps=slowest("host_memory_Bps") / devices,
            nvme=_core.TierRate(slowest("nvme_read_Bps") / devices, slowest("nvme_write_Bps") / devices),
            remote=_core.TierRate(remote, remote),
        )

    @property
    def tier_capacity_bytes(self) -> dict[str, float | None]:
        """A device's part of host memory, of NVMe drives, of the remote tier; `None` where any is not known."""
        whole = self.cluster.remote_bytes
        return {
            "host": self._least("host_bytes"),
            "nvme": self._least("nvme_bytes"),
            "remote": None if whole is None else whole / self.cluster.device_count,
        }

    def _least(self, name: str) -> float | None:
        """Of the node that has least, for one device."""
        known = [value for node in self.cluster.node_kinds if (value := getattr(node, name)) is not None]
        return min(known) / self.cluster.node.devices if len(known) == len(self.cluster.node_kinds) else None


def described_job(
    model: Model | str,
    cluster: Cluster | str,
    strategy: Strategy | None,
    seq_len: int | None,
    framework: FrameworkProfile | str,
    network: Network,
    stragglers: Stragglers | None,
    placement: Sequence[int] | None = None,
) -> Job:
    """Job of what a verb was given.

    Raises
    ------
    ConfigError
        If something is of the wrong kind, no name of the catalogue, or does not suit the rest.
    """
    model = Model.from_catalog(model) if isinstance(model, str) else model
    cluster = Cluster.from_catalog(cluster) if isinstance(cluster, str) else cluster
    profile = FrameworkProfile.from_catalog(framework) if isinstance(framework, str) else framework
    strategy = Strategy() if strategy is None else strategy
    _check_kinds(model=(model, Model), cluster=(cluster, Cluster), strategy=(strategy, Strategy),
                 framework=(profile, FrameworkProfile), stragglers=(stragglers, (Stragglers, type(None))))  # fmt: skip
    seq_len = checked_seq_len(model, seq_len)
    fabric = FlowFabric() if isinstance(network, str) else network
    if isinstance(network, str) and network.lower() != "flow":
        raise ConfigError(f"network: got {shown(network)}, expected 'flow', a FlowFabric or a CommunicationModel")
    return Job(
        model=model,
        cluster=cluster,
        strategy=strategy.resolved(cluster.device_count),
        profile=profile,
        seq_len=seq_len,
        devices=tuple(device_core(node.device, profile) for node in cluster.node_kinds),
        interconnect=_placed(_interconnect(core_of(cluster), fabric), placement),
        flow=fabric.core(cluster) if isinstance(fabric, FlowFabric) else None,
    )


def _check_kinds(**arguments: tuple[object, Any]) -> None:
    problems = Problems()
    for name, (value, kind) in arguments.items():
        if not isinstance(value, kind):
            named = "" if name in ("strategy", "stragglers") else " or its name"
            problems.add(name, value, f"a {(kind[0] if isinstance(kind, tuple) else kind).__name__}{named}")
    problems.raise_if_any()


def _placed(network: _core.Interconnect, placement: Sequence[int] | None) -> _core.Interconnect:
    if placement is None:
        return network
    problems = Problems()
    devices = problems.listed("placement", placement, "a list of device numbers, one per rank")
    for i, device in enumerate(devices):
        if not isinstance(device, Integral) or isinstance(device, bool) or abs(int(device)) >= 2**31:
            problems.add(f"placement[{i}]", device, "a device number")
    problems.raise_if_any()
    return network.placed([int(device) for device in devices])


def _interconnect(cluster: _core.ClusterSpec, network: CommunicationModel | FlowFabric | None) -> _core.Interconnect:
    if network is None:
        return _core.Interconnect.of_cluster(cluster)
    if isinstance(network, FlowFabric):  # who else uses its NICs comes out of the step
        return _core.Interconnect.of_cluster(cluster, alone=True)
    if cluster.others:
        raise ConfigError(
            "network: got a link-level network for a cluster of several kinds of nodes, expected one of equal nodes; "
            "leave network out, or give its slow links there"
        )
    core = getattr(network, "core", None)
    if not isinstance(core, _core.CommunicationModel):
        given = type(network).__name__
        raise ConfigError(f"network: got a {given}, expected 'flow', a FlowFabric or a CommunicationModel")
    return _core.Interconnect.of_topology(core)


def checked_seq_len(model: Model, seq_len: int | None) -> int:
    """The sequence length to use; the model's own where it fixes one."""
    fixed = int(model.tokens_per_sample)
    problems = Problems()
    if seq_len is None and not fixed:
        problems.missing("seq_len", f"a number of tokens: {model.name} does not fix it; give seq_len=8192, say")
    elif seq_len is not None and problems.count("seq_len", seq_len, maximum=10**9) and fixed and seq_len != fixed:
        problems.add("seq_len", seq_len, f"{fixed}, which {model.name} fixes", "leave seq_len out")
    problems.raise_if_any()
    return fixed or int(seq_len or 0)
