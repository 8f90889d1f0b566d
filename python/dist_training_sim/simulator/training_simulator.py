"""`TrainingSimulator`: the front door that joins a communication, a compute and a memory model into one job."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .. import _core
from .._convert import to_core
from ..communication import CommunicationModel
from ..compute import ComputeModel
from ..errors import ConfigError, Problems
from ..events import EventList
from ..frameworks.profile import FrameworkProfile
from ..memory import MemoryModel, MemoryTier
from ..models.model import Model
from ..op_table import OpTable
from ..parallel.strategy import Strategy
from ..result import Result, breakdown_html, strategy_dict
from .attention_kernel import generation_of, use_attention_kernel
from .workspace import profile_core

__all__ = ["IterationResult", "RunResult", "TrainingSimulator"]

MAX_EVENT_DEVICES = 4096


@dataclass(frozen=True, repr=False)
class IterationResult:
    """One training iteration of the front door.

    Attributes
    ----------
    result
        The full `Result`: utilisation, breakdown per stage, memory.
    """

    result: Result

    @property
    def total_time_ms(self) -> float:
        """Milliseconds of the iteration."""
        return self.result.step_time_s * 1e3

    @cached_property
    def compute_time_ms(self) -> float:
        """Milliseconds of kernels: forward, backward, recomputation, weight update (mean over stages)."""
        b = self.result.breakdown
        return (b["forward_s"] + b["backward_s"] + b["recompute_s"] + b["optimizer_s"]) * 1e3

    @property
    def communication_time_ms(self) -> float:
        """Milliseconds of collectives and transfers of the busiest device, overlapped with compute or not."""
        return float(self.result._core_result.communication_s) * 1e3

    @cached_property
    def exposed_communication_ms(self) -> float:
        """Milliseconds in which compute waits for communication (mean over stages)."""
        return sum(seconds for name, seconds in self.result.breakdown.items() if name.startswith("exposed")) * 1e3

    @property
    def events(self) -> EventList:
        """Timeline: name, kind, device, stream, start and duration of every task."""
        return self.result.events

    @cached_property
    def comm_adjacency(self) -> list[list[float]]:
        """Bytes sent from each device (row) to each other in the iteration."""
        matrix: list[list[float]] = self.result._core_result.traffic_bytes().tolist()
        return matrix

    @property
    def ops(self) -> OpTable | None:
        """Every op with its FLOPs, bytes and seconds."""
        return self.result.ops

    @property
    def breakdown(self) -> dict[str, float]:
        """Seconds by cause, mean over stages; they sum to the iteration."""
        return self.result.breakdown

    @property
    def memory(self) -> dict[str, float]:
        """Peak bytes per device by category, on the fullest stage."""
        return self.result.peak_memory.categories

    @property
    def fits(self) -> bool:
        """Whether the peak fits into the memory model's HBM."""
        return self.result.fits

    def __repr__(self) -> str:
        return (
            f"<IterationResult {self.total_time_ms:.4g} ms: compute {self.compute_time_ms:.4g} ms, "
            f"communication {self.communication_time_ms:.4g} ms, exposed {self.exposed_communication_ms:.4g} ms>"
        )

    def _repr_html_(self) -> str:
        return breakdown_html(repr(self).strip("<>"), self.breakdown)


@dataclass(frozen=True, repr=False)
class RunResult:
    """Several iterations in a row. Iterations are alike: the first one's parameters are gathered as every other's."""

    iteration: IterationResult
    iterations: int
    samples_per_iteration: int

    @property
    def total_time_ms(self) -> float:
        """Milliseconds of the run."""
        return self.iteration.total_time_ms * self.iterations

    @property
    def samples_per_s(self) -> float:
        """Samples trained per second."""
        return self.samples_per_iteration / self.iteration.total_time_ms * 1e3

    def __repr__(self) -> str:
        rate = f"{self.samples_per_s:,.4g} samples/s"
        return f"<RunResult {self.iterations} iterations, {self.total_time_ms:.4g} ms, {rate}>"


class TrainingSimulator:
    """Simulate training on devices, links and memories that were modelled one by one.

    By default the job is data-parallel: every device holds the whole model and its share of the batch, and gradients
    are all-reduced while backward runs. `set_strategy` chooses any other layout, `set_model` a described model instead
    of a size.

    Parameters
    ----------
    comm_model, compute_model, memory_model
        Their device counts must agree; `compute_model.num_devices` may be a multiple of `comm_model.num_nodes`, which
        puts several devices on each node.

    Raises
    ------
    ConfigError
        If the three do not describe the same devices.

    Examples
    --------
    >>> simulator = TrainingSimulator(CommunicationModel(4), ComputeModel(4), MemoryModel(4))
    >>> simulator.set_batch_size(64)
    >>> simulator.set_model_size(parameters=250e6, activations=100e6)
    >>> simulator.simulate_training_iteration().total_time_ms > 0
    True
    """

    def __init__(self, comm_model: CommunicationModel, compute_model: ComputeModel, memory_model: MemoryModel) -> None:
        problems = Problems()
        kinds = {"comm_model": CommunicationModel, "compute_model": ComputeModel, "memory_model": MemoryModel}
        for (name, kind), given in zip(kinds.items(), (comm_model, compute_model, memory_model), strict=True):
            if not isinstance(given, kind):
                problems.add(name, given, f"a {kind.__name__}")
        problems.raise_if_any()
        devices = compute_model.num_devices
        if memory_model.num_devices != devices:
            problems.add("memory_model.num_devices", memory_model.num_devices, f"compute_model's {devices}")
        nodes, per_node = comm_model.num_nodes, comm_model.devices_per_node
        if per_node > 1 and nodes * per_node != devices:
            problems.add("comm_model.num_devices", nodes * per_node, f"compute_model's {devices}")
        elif per_node == 1 and devices % nodes:
            problems.add("compute_model.num_devices", devices, f"a multiple of comm_model.num_nodes={nodes}")
        problems.raise_if_any()
        grown = per_node == 1 and devices != nodes
        self._comm = comm_model.with_devices_per_node(devices // nodes) if grown else comm_model
        self._compute = compute_model
        self._memory = memory_model
        self._batch_size: int | None = None
        self._model: Model | None = None
        self._seq_len = 1
        self._strategy = Strategy()
        self._framework = FrameworkProfile.from_catalog("ideal")

    @property
    def num_devices(self) -> int:
        """Devices of the job."""
        return self._compute.num_devices

    def set_batch_size(self, batch_size: int) -> None:
        """Set the samples per iteration, over all devices."""
        problems = Problems()
        problems.count("batch_size", batch_size)
        problems.raise_if_any()
        self._batch_size = batch_size

    def set_model_size(self, parameters: float, activations: float) -> None:
        """Describe the model by its size alone.

        Parameters
        ----------
        parameters
            Number of weights.
        activations
            Elements saved for backward per sample.
        """
        self.set_model(Model.generic(parameters, activations))

    def set_model(self, model: Model | str, seq_len: int | None = None) -> None:
        """Train a described model, or one of the catalogue; `seq_len` tokens per sample where it does not fix them."""
        from .simulate import checked_seq_len

        model = Model.from_catalog(model) if isinstance(model, str) else model
        _check_kind("model", model, Model)
        self._seq_len = checked_seq_len(model, seq_len)
        self._model = model

    def set_strategy(self, strategy: Strategy) -> None:
        """Choose the layout; a batch size set by `set_batch_size` fills a `global_batch` that is left out."""
        _check_kind("strategy", strategy, Strategy)
        self._strategy = strategy

    def set_framework(self, framework: FrameworkProfile | str) -> None:
        """Choose the implementation facts; by default kernels and collectives without any host cost."""
        framework = FrameworkProfile.from_catalog(framework) if isinstance(framework, str) else framework
        _check_kind("framework", framework, FrameworkProfile)
        self._framework = framework

    def simulate_training_iteration(self) -> IterationResult:
        """Simulate one iteration: forward and backward of every micro-batch, gradient reduction, weight update.

        Raises
        ------
        ConfigError
            If the batch size or the model is not set, or the layout does not suit them.
        """
        model, strategy = self._checked_job()
        device, slowdown = self._slowdown(model, strategy)
        use_attention_kernel(device, generation_of(device.name), self._framework)
        memory_Bps = _core.NodeSpec().host_memory_Bps / self._memory.devices_per_node
        described: dict[str, Any] = {
            "model": to_core(model),
            "device": device,
            "network": _core.Interconnect.of_topology(self._comm.core),
            "strategy": to_core(strategy),
            "profile": profile_core(self._framework, generation_of(device.name)),
            "seq_len": float(self._seq_len),
            "host": _core.HostShare(self._memory.host_Bps, memory_Bps),
        }
        core = _core.simulate(**described, expand=True, keep_events=True, keep_traffic=True, slowdown=slowdown)
        return IterationResult(
            Result(
                step_time_s=core.step_time_s,
                model=model.name,
                cluster=f"{self.num_devices} devices",
                strategy=strategy,
                framework=self._framework.name,
                seq_len=self._seq_len,
                capacity_bytes=float(self._memory.usage(0, MemoryTier.HBM).capacity_bytes),
                profile=self._framework,
                _core_result=core,
                ops=OpTable(described),
            )
        )

    def simulate_training(self, iterations: int) -> RunResult:
        """Simulate a run of several iterations."""
        problems = Problems()
        problems.count("iterations", iterations)
        problems.raise_if_any()
        iteration = self.simulate_training_iteration()
        return RunResult(iteration, iterations, iteration.result.strategy.global_batch)

    def _checked_job(self) -> tuple[Model, Strategy]:
        problems = Problems()
        if self._model is None:
            problems.add("model", None, "a model", "call set_model_size or set_model first")
        if self._batch_size is None and self._strategy.global_batch is None:
            problems.add("batch_size", None, "samples per iteration", "call set_batch_size first")
        if self.num_devices > MAX_EVENT_DEVICES:
            problems.add("num_devices", self.num_devices, f"at most {MAX_EVENT_DEVICES}", "use dts.simulate for more")
        problems.raise_if_any()
        assert self._model is not None
        return self._model, self._resolved_strategy()

    def _resolved_strategy(self) -> Strategy:
        """The layout with its batch: by default every replica runs its whole share as one micro-batch."""
        strategy, batch = self._strategy, self._strategy.global_batch or self._batch_size or 1
        replicas = strategy.resolved(self.num_devices).dp or 1
        changes: dict[str, Any] = {"global_batch": batch}
        if strategy == Strategy():
            changes["precision"] = self._default_precision()
            if batch % replicas:
                low = batch // replicas * replicas
                choices = f"{low} or {low + replicas}" if low else str(replicas)
                raise ConfigError(
                    f"batch_size: got {batch}, expected a multiple of the {replicas} replicas; use {choices}"
                )
            changes["micro_batch"] = batch // replicas
        return strategy.replace(**changes).resolved(self.num_devices)

    def _default_precision(self) -> str:
        """The 16-bit type the first device computes in, else fp32."""
        rates = self._compute.device(0).rates
        order = list(_core.DType.__members__.values())
        supported = (n for n in ("bf16", "fp16") if rates[order.index(_core.DType[n.upper()])].peak_flops > 0)
        return next(supported, "fp32")

    def _slowdown(self, model: Model, strategy: Strategy) -> tuple[_core.DeviceSpec, list[float]]:
        """The first device at full speed, and how many times longer than it each device takes for a micro-batch."""
        compute = self._compute
        rows = strategy.micro_batch * (model.tokens_per_sample or self._seq_len)
        dtype = str(strategy_dict(strategy)["precision"])
        times = [
            compute.forward_time_s(model.active_parameters, rows, dtype=dtype, device=i)
            for i in range(compute.num_devices)
        ]
        full_s = times[0] * compute.speed(0)
        return compute.device(0), [t / full_s if full_s > 0 else 1.0 for t in times]

    def __repr__(self) -> str:
        model = "no model" if self._model is None else repr(self._model)
        return f"<TrainingSimulator {self.num_devices} devices, {model}, batch {self._batch_size}>"


def _check_kind(name: str, value: object, kind: type) -> None:
    problems = Problems()
    if not isinstance(value, kind):
        problems.add(name, value, f"a {kind.__name__}")
    problems.raise_if_any()
