"""`Strategy`: the parallel axes, batch, recomputation and precision of a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from .._convert import CoreSpec
from .._display import ShortRepr
from .._replaced import replaced
from ..errors import Problems, suggest
from ..named_enum import NamedEnum
from .choices import (
    ContextComm,
    Fp8Recipe,
    GradDtype,
    Int8Recipe,
    MuonTp,
    OffloadModule,
    OffloadTier,
    OffloadUpdate,
    Optimizer,
    OptimizerKernels,
    PipelineTransfers,
    Precision,
    Recompute,
    RecomputeMethod,
    RecomputeModule,
    Schedule,
)
from .expert_load import BALANCED, Dispatcher, ExpertLoad, LoadKind

__all__ = ["Strategy"]

MAX_DEGREE = 1 << 24
_SWITCHES = (
    *("overlap_grad_reduce", "overlap_param_gather", "embedding_as_layer", "loss_as_layer", "sequence_parallel"),
    *("pad_to_capacity", "overlap_shared_experts", "overlap_moe_1f1b", "optimizer_post_validation"),
    "delay_weight_grad",
)


@dataclass(frozen=True, kw_only=True, repr=False)
class Strategy(ShortRepr):
    """A layout of one training job.

    Attributes
    ----------
    dp, tp, pp, vpp, cp, ep, etp
        Degrees of data, tensor, pipeline, virtual pipeline, context, expert and expert-tensor parallelism. `dp=None` is
        derived from the cluster: devices / (tp * pp * cp). `etp=None` is `tp`, or 1 when `ep > 1`.
    sequence_parallel
        Split norms and residuals over the tensor-parallel ranks; None = whenever `tp > 1`.
    zero
        0 replicated states, 1 optimizer states sharded, 2 also gradients, 3 also parameters (FSDP).
    micro_batch, global_batch
        Samples per micro-batch and replica; samples per step. `global_batch=None` is one micro-batch per replica.
    recompute, schedule, optimizer, precision
        The enums of `parallel.choices` or their names.
    recompute_modules
        With `"selective"`: the modules that run again, in place of the framework's rule; a text such as
        `"layernorm,mlp"`, or `RecomputeModule`s.
    recompute_method, recompute_layers
        With `"full"`: which layers, and the number that the method takes; None = the method's own.
    optimizer_kernels, muon_tp
        Kernels of Adam's update; how Muon treats matrices that tensor parallelism splits.
    fp8_recipe, int8_recipe
        How 8-bit matmuls are scaled; `precision="fp4"` is NVFP4, one scale per 16 elements.
    cp_comm, cp_a2a
        Communication of context parallelism, and the ranks that exchange heads under `"a2a+p2p"`.
    overlap_grad_reduce, overlap_param_gather
        Whether gradients are reduced during the last backward, and parameters gathered during the first forward.
    dp_replicas
        Groups of ranks that each hold all sharded states (HSDP; Megatron's distributed-optimizer instances): states are
        sharded over `dp * cp / dp_replicas` neighbouring ranks, gradients reduced over those, then all-reduced between
        the groups on a stream of their own. 1 = sharded over all.
    reshard_after_forward
        FSDP (`zero=3`): True frees gathered parameters after forward and gathers them again for backward, False keeps
        them, an integer n > 1 keeps them sharded over groups of n neighbouring ranks; None = as the framework does.
        Under pipeline stages a framework may keep them between passes; True or n overrides that.
    grad_dtype
        `"bf16"` or `"fp32"`: type of the gradient buffer and of its reduction; `"framework"` = the profile's.
    offload_optimizer
        Tier of the optimizer's states; True = host. Gradients go down as soon as they are reduced, unit by unit states
        are read, updated on the host, and written back; new parameters come up beside the update of the next
        (ZeRO-Offload, arXiv:2101.06840). Needs `host_Bps` and `host_memory_Bps` of the node, and what the tier needs:
        `nvme_read_Bps` and `nvme_write_Bps` of the node, or `remote_Bps` of the cluster.
    offload_update
        `"device"`: offloaded states are copied to the device to be updated there, gradients stay.
    offload_parameters
        With `zero=3` and `offload_optimizer`: tier of the parameter shards, which come up before each gather.
    offload_activations, activation_tier
        Share, 0 to 1, of what each block saves for backward that is copied to the tier after its forward and back one
        block ahead of its backward; the last unit of a stage stays.
    offload_modules
        Of the activations, only the inputs of these ops; a text such as `"core_attn,expert_fc1"`. Empty = all.
    rank_order
        Axes from the fastest varying rank to the slowest.
    layers_per_stage
        Layers of each virtual stage in model order; empty = even.
    moe_dispatcher
        `"alltoall"`, `"allgather"`, `"deepep"`, or `"framework"` for the profile's choice.
    expert_load
        An `ExpertLoad` or a mapping of its fields, the name of a kind, or measured rows per expert.
    capacity_factor, pad_to_capacity
        Rows of an expert beyond `ceil(tokens * top_k / experts * capacity_factor)` per sending rank are dropped; 0
        drops none. With padding every expert computes exactly that many.
    moe_max_nodes
        Node-limited routing: nodes on which the experts of one token may lie, 0 = any. It shortens `"deepep"` alone:
        the others send a row per expert wherever it lies.
    overlap_shared_experts, overlap_moe_1f1b
        What runs beside the exchange of tokens: the shared experts, or the compute of the micro-batch whose backward is
        paired with this one's forward.
    first_rank_layers, last_rank_layers
        Layers of the first and of the last pipeline rank, all chunks together; 0 = as the others.
    embedding_as_layer, loss_as_layer
        Count the embedding, or the loss, as one layer of an even division: its stage holds one layer less.
    delay_weight_grad
        Schedules of whole passes: the input gradient leaves before the weight gradient is computed.
    p2p
        `"framework"`, `"overlapped"` or `"blocking"`: pipeline transfers.
    optimizer_post_validation
        Pipeline ranks update without waiting for the global gradient norm, which is checked afterwards; each starts its
        next step as soon as it is done, so a step takes as long as the longest rank.
    micro_batch_group
        Micro-batches that interleaved 1F1B runs through a chunk before the next; 0 = `pp`.
    custom_order
        One text per pipeline rank that replaces the schedule's order on its placement of stages, e.g.
        `("F0 F1 B0 B1", "F0 B0 W0 F1 B1 W1")`: `F3.1` is the forward of micro-batch 3 on chunk 1, `B` a backward (only
        its input gradient if a `W` follows), `W` a weight gradient, `F4+B3` two passes run as one. An order that cannot
        run is refused with the pass that each stuck rank waits for.

    Raises
    ------
    ConfigError
        Listing every value that is out of range. Whether the layout suits a model and a cluster is checked when both
        are known, by `simulate`.

    Examples
    --------
    >>> Strategy(tp=8, pp=4, vpp=2, micro_batch=1, global_batch=1024, zero=1, recompute="selective").recompute
    <Recompute.SELECTIVE: 'selective'>
    """

    CORE: ClassVar[CoreSpec] = CoreSpec(
        "Strategy", none_keeps_default=frozenset({"reshard_after_forward", "recompute_layers"})
    )

    dp: int | None = None
    tp: int = 1
    pp: int = 1
    vpp: int = 1
    cp: int = 1
    ep: int = 1
    etp: int | None = None
    sequence_parallel: bool | None = None
    zero: int = 0
    micro_batch: int = 1
    global_batch: int | None = None
    recompute: Recompute | str = Recompute.NONE
    recompute_modules: tuple[RecomputeModule | str, ...] | str = ()
    recompute_method: RecomputeMethod | str = RecomputeMethod.UNIFORM
    recompute_layers: int | None = None
    schedule: Schedule | str = Schedule.ONE_F_ONE_B
    optimizer: Optimizer | str = Optimizer.ADAM
    optimizer_kernels: OptimizerKernels | str = OptimizerKernels.FRAMEWORK
    muon_tp: MuonTp | str = MuonTp.BLOCKWISE
    precision: Precision | str = Precision.BF16
    fp8_recipe: Fp8Recipe | str = Fp8Recipe.TENSORWISE
    int8_recipe: Int8Recipe | str = Int8Recipe.ROWWISE
    cp_comm: ContextComm | str = ContextComm.P2P
    cp_a2a: int = 1
    overlap_grad_reduce: bool = True
    overlap_param_gather: bool = True
    dp_replicas: int = 1
    reshard_after_forward: bool | int | None = None
    grad_dtype: GradDtype | str = GradDtype.FRAMEWORK
    offload_optimizer: OffloadTier | str | bool = OffloadTier.NONE
    offload_update: OffloadUpdate | str = OffloadUpdate.HOST
    offload_parameters: OffloadTier | str | bool = OffloadTier.NONE
    offload_activations: float = 0.0
    activation_tier: OffloadTier | str = OffloadTier.HOST
    offload_modules: tuple[OffloadModule | str, ...] | str = ()
    rank_order: str = "tp-cp-ep-dp-pp"
    layers_per_stage: tuple[int, ...] = ()
    moe_dispatcher: Dispatcher | str = Dispatcher.FRAMEWORK
    expert_load: ExpertLoad | Mapping[str, Any] | LoadKind | str | Sequence[float] = BALANCED
    capacity_factor: float = 0.0
    pad_to_capacity: bool = False
    moe_max_nodes: int = 0
    overlap_shared_experts: bool = False
    overlap_moe_1f1b: bool = False
    first_rank_layers: int = 0
    last_rank_layers: int = 0
    embedding_as_layer: bool = False
    loss_as_layer: bool = False
    delay_weight_grad: bool = False
    p2p: PipelineTransfers | str = PipelineTransfers.FRAMEWORK
    optimizer_post_validation: bool = False
    micro_batch_group: int = 0
    custom_order: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        problems = Problems()
        for name in ("tp", "pp", "vpp", "cp", "cp_a2a", "ep", "micro_batch", "dp_replicas"):
            problems.count(f"strategy.{name}", getattr(self, name), maximum=MAX_DEGREE)
        for name in ("dp", "etp", "global_batch"):
            if getattr(self, name) is not None:
                problems.count(f"strategy.{name}", getattr(self, name))
        problems.count("strategy.zero", self.zero, minimum=0, maximum=3)
        if self.recompute_layers is not None:
            problems.count("strategy.recompute_layers", self.recompute_layers, minimum=0, maximum=MAX_DEGREE)
        problems.count("strategy.moe_max_nodes", self.moe_max_nodes, minimum=0)
        problems.non_negative("strategy.capacity_factor", self.capacity_factor)
        self._check_data_parallel(problems)
        self._check_switches(problems)
        object.__setattr__(self, "expert_load", ExpertLoad.of(self.expert_load))
        for name in ("micro_batch_group", "first_rank_layers", "last_rank_layers"):
            problems.count(f"strategy.{name}", getattr(self, name), minimum=0, maximum=MAX_DEGREE)
        layers = problems.listed("strategy.layers_per_stage", self.layers_per_stage, "a list of layer counts")
        object.__setattr__(self, "layers_per_stage", layers)
        for i, count in enumerate(self.layers_per_stage):
            problems.count(f"strategy.layers_per_stage[{i}]", count, minimum=0)
        given = (self.custom_order,) if isinstance(self.custom_order, str) else self.custom_order
        order = problems.listed("strategy.custom_order", given, "a text such as 'F0 B0' for each pipeline rank")
        object.__setattr__(self, "custom_order", order)
        for i, passes in enumerate(order):
            if not isinstance(passes, str) or not passes.isascii():
                problems.add(f"strategy.custom_order[{i}]", passes, "a text such as 'F0 B0'")
        self._name_modules(problems, "recompute_modules", RecomputeModule)
        self._name_modules(problems, "offload_modules", OffloadModule)
        for name in ("offload_optimizer", "offload_parameters"):
            if isinstance(getattr(self, name), bool):
                object.__setattr__(self, name, OffloadTier.HOST if getattr(self, name) else OffloadTier.NONE)
        self._name_enums(problems)
        problems.raise_if_any()

    def _check_switches(self, problems: Problems) -> None:
        for name in _SWITCHES:
            value = getattr(self, name)
            if not isinstance(value, bool) and (value is not None or name != "sequence_parallel"):
                problems.add(f"strategy.{name}", value, "true or false")

    def _check_data_parallel(self, problems: Problems) -> None:
        group = self.reshard_after_forward
        if group is not None and not isinstance(group, bool):
            problems.count("strategy.reshard_after_forward", group, minimum=0, maximum=MAX_DEGREE)
        share = self.offload_activations
        if problems.non_negative("strategy.offload_activations", share) and share > 1:
            problems.add("strategy.offload_activations", share, "a share from 0 to 1")

    def _name_modules(self, problems: Problems, field: str, kind: type[NamedEnum]) -> None:
        given = getattr(self, field)
        if isinstance(given, kind):
            given = (given,)
        if not isinstance(given, (str, tuple, list)):
            problems.add(f"strategy.{field}", given, f"names of modules, as {next(iter(kind)).value!r}")
            return
        names = [part.strip() for part in given.split(",") if part.strip()] if isinstance(given, str) else list(given)
        modules = []
        for i, name in enumerate(names):
            try:
                modules.append(kind(name))
            except ValueError:
                known = ", ".join(str(m.value) for m in kind)
                problems.add(f"strategy.{field}[{i}]", name, f"one of {known}")
        object.__setattr__(self, field, tuple(dict.fromkeys(modules)))

    def _name_enums(self, problems: Problems) -> None:
        kinds: dict[str, type[NamedEnum]] = {
            "recompute": Recompute,
            "recompute_method": RecomputeMethod,
            "offload_optimizer": OffloadTier,
            "offload_parameters": OffloadTier,
            "offload_update": OffloadUpdate,
            "activation_tier": OffloadTier,
            "schedule": Schedule,
            "optimizer": Optimizer,
            "optimizer_kernels": OptimizerKernels,
            "muon_tp": MuonTp,
            "int8_recipe": Int8Recipe,
            "precision": Precision,
            "fp8_recipe": Fp8Recipe,
            "cp_comm": ContextComm,
            "p2p": PipelineTransfers,
            "moe_dispatcher": Dispatcher,
            "grad_dtype": GradDtype,
        }
        for name, kind in kinds.items():
            value = getattr(self, name)
            try:
                object.__setattr__(self, name, kind(value))
            except ValueError:
                known = [str(m.value) for m in kind]
                near = suggest(value, known) if isinstance(value, str) else ""
                fix = near if near.startswith("did you mean") else ""
                problems.add(f"strategy.{name}", value, f"one of {', '.join(known)}", fix)

    def resolved(self, devices: int) -> Strategy:
        """Copy in which every derived value is given, for a cluster of `devices` devices."""
        model_ranks = self.tp * self.pp * self.cp
        dp = self.dp if self.dp is not None else max(1, devices // model_ranks)
        etp = self.etp if self.etp is not None else (self.tp if self.ep == 1 else 1)
        sequence = self.sequence_parallel if self.sequence_parallel is not None else self.tp > 1
        batch = self.global_batch if self.global_batch is not None else dp * self.micro_batch
        return replace(self, dp=dp, etp=etp, sequence_parallel=sequence, global_batch=batch)

    def replace(self, **changes: Any) -> Strategy:
        """Copy with other values, checked again."""
        return replaced(self, changes)
