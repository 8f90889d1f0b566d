"""Jobs → the flags of torchtitan's TOML era (to February 2026); later versions take Python recipe functions."""

from __future__ import annotations

from ..errors import ConfigError, Problems
from ..frameworks import FrameworkProfile
from ..hardware import Cluster
from ..models import Model
from ..parallel import OffloadTier, Strategy
from ..parallel.choices import (
    ContextComm,
    Fp8Recipe,
    Optimizer,
    OptimizerKernels,
    PipelineTransfers,
    Precision,
    Recompute,
    RecomputeMethod,
)
from ..parallel.expert_load import Dispatcher
from .megatron import torchrun
from .torchtitan import SCHEDULES, cut_stages, model_flavor
from .unwritable import refuse_unwritable, refuse_values

__all__ = ["write_torchtitan"]

_WRITABLE = frozenset(
    (
        *("dp", "tp", "pp", "vpp", "cp", "ep", "etp", "sequence_parallel", "zero", "micro_batch", "global_batch"),
        *("recompute_method", "recompute_layers"),
        *("recompute", "schedule", "optimizer_kernels", "precision", "fp8_recipe", "int8_recipe", "cp_comm"),
        *("dp_replicas", "reshard_after_forward", "offload_optimizer", "offload_parameters", "layers_per_stage"),
        *("moe_dispatcher", "embedding_as_layer", "loss_as_layer", "optimizer", "p2p"),
        *("overlap_grad_reduce", "overlap_param_gather"),
    )
)
_SPOKEN = {
    "1f1b": "1F1B",
    "gpipe": "GPipe",
    "interleaved1f1b": "Interleaved1F1B",
    "loopedbfs": "LoopedBFS",
    "zbvzerobubble": "ZBVZeroBubble",
    "dualpipev": "DualPipeV",
}


def write_torchtitan(
    model: Model, cluster: Cluster, strategy: Strategy, seq_len: int, profile: FrameworkProfile
) -> str:
    """A launch script with every setting of the job as a flag.

    Raises
    ------
    ConfigError
        Listing what of the job torchtitan has no flag for.
    """
    flavor = model_flavor(model)
    if flavor is None:
        raise ConfigError(f"model: got {model.name!r}, expected one that torchtitan ships: its flags name no other")
    s, problems = strategy.resolved(cluster.device_count), Problems()
    refuse_unwritable(s, "torchtitan", problems, _WRITABLE)
    _check_values(s, problems)
    layers = sum(run.repeat for run in model.layers)
    flags = {"model.name": flavor[0], "model.flavor": flavor[1], "training.seq_len": seq_len}
    flags |= _data_parallel(s) | _degrees(s) | _pipeline(s, layers, problems) | _batch(s) | _compute(s, profile)
    problems.raise_if_any()
    words = [f"--{name}{_value(value)}" for name, value in flags.items() if value not in (None, False, "")]
    return torchrun(cluster, "-m torchtitan.train", words)


def _value(value: object) -> str:
    return "" if value is True else f" {value}"


def _check_values(s: Strategy, problems: Problems) -> None:
    known: dict[str, tuple[object, ...]] = {
        "zero": (0, 3),
        "optimizer": (Optimizer.ADAM,),
        "precision": (Precision.BF16, Precision.FP32, Precision.FP8),
        "schedule": tuple(dict.fromkeys(schedule for schedule, _ in SCHEDULES.values())),
        "cp_comm": (ContextComm.ALL_GATHER, ContextComm.P2P),
        "moe_dispatcher": (Dispatcher.FRAMEWORK, Dispatcher.ALLTOALL, Dispatcher.DEEPEP),
        "p2p": (PipelineTransfers.FRAMEWORK,),
        "reshard_after_forward": (None, True, False),
        "offload_optimizer": (OffloadTier.NONE, OffloadTier.HOST),
        "recompute_method": (RecomputeMethod.UNIFORM, RecomputeMethod.EVERY),
    }
    if s.recompute_method is RecomputeMethod.UNIFORM:
        known["recompute_layers"] = (None, 1)
    if s.precision is Precision.FP8:
        known["fp8_recipe"] = (Fp8Recipe.TENSORWISE, Fp8Recipe.MXFP8)
    refuse_values(s, "torchtitan", problems, known)
    if s.tp > 1 and not s.sequence_parallel:
        problems.add("strategy.sequence_parallel", False, "true beside tp > 1 in torchtitan")
    if s.offload_optimizer != s.offload_parameters:
        problems.add("strategy.offload_parameters", s.offload_parameters.value, "as offload_optimizer in torchtitan")  # type: ignore[union-attr]
    if not s.overlap_grad_reduce:
        problems.add("strategy.overlap_grad_reduce", False, "true: torchtitan always overlaps")
    if s.zero and not s.overlap_param_gather:
        problems.add("strategy.overlap_param_gather", False, "true: torchtitan always overlaps")


def _data_parallel(s: Strategy) -> dict[str, object]:
    replicas = s.dp_replicas if s.zero else s.dp
    names = {None: None, True: "always", False: "never"}
    reshard = s.reshard_after_forward
    return {
        "parallelism.data_parallel_replicate_degree": replicas,
        "parallelism.data_parallel_shard_degree": (s.dp or 1) // s.dp_replicas if s.zero else 1,
        "parallelism.fsdp_reshard_after_forward": names[reshard] if s.zero == 3 and isinstance(reshard, bool) else None,
        "training.enable_cpu_offload": s.offload_optimizer is OffloadTier.HOST,
    }


def _degrees(s: Strategy) -> dict[str, object]:
    kinds: dict[object, str] = {ContextComm.ALL_GATHER: "allgather", ContextComm.P2P: "alltoall"}
    return {
        "parallelism.tensor_parallel_degree": s.tp,
        "parallelism.pipeline_parallel_degree": s.pp,
        "parallelism.context_parallel_degree": s.cp,
        "parallelism.context_parallel_rotate_method": kinds.get(s.cp_comm) if s.cp > 1 else None,
        "parallelism.expert_parallel_degree": s.ep if s.ep > 1 else None,
        "parallelism.expert_tensor_parallel_degree": s.etp if s.ep > 1 else None,
        "parallelism.expert_parallel_comm_backend": "deepep" if s.moe_dispatcher is Dispatcher.DEEPEP else None,
    }


def _pipeline(s: Strategy, layers: int, problems: Problems) -> dict[str, object]:
    if s.pp == 1:
        return {}
    stages = s.pp * s.vpp
    even = s.layers_per_stage or cut_stages(layers, stages, int(s.embedding_as_layer), int(s.loss_as_layer))
    ends = next(((a, b) for a in (0, 1) for b in (0, 1) if cut_stages(layers, stages, a, b) == even), None)
    if ends is None or min(even) < 1:
        expected = "a cut that is even but for one layer at either end, as torchtitan's"
        problems.add("strategy.layers_per_stage", even, expected)
        return {}
    several = s.vpp > 1
    name = next((n for n, found in SCHEDULES.items() if found == (s.schedule, several)), None)
    each = -(-(layers + sum(ends)) // stages)
    if name is None or (several and -(-(layers + sum(ends)) // each) != stages):
        problems.add("strategy.vpp", s.vpp, f"chunks per rank that torchtitan's {s.schedule.value} can cut")  # type: ignore[union-attr]
        return {}
    return {
        "parallelism.pipeline_parallel_schedule": _SPOKEN[name],
        "parallelism.pipeline_parallel_first_stage_less_layers": str(ends[0]),
        "parallelism.pipeline_parallel_last_stage_less_layers": str(ends[1]),
        "parallelism.pipeline_parallel_layers_per_stage": each if several else None,
        "parallelism.pipeline_parallel_microbatch_size": s.micro_batch,
    }


def _batch(s: Strategy) -> dict[str, object]:
    batch, dp = s.global_batch or 1, s.dp or 1
    local = max(1, batch // dp) if s.pp > 1 else s.micro_batch
    return {"training.local_batch_size": local, "training.global_batch_size": batch}


def _compute(s: Strategy, profile: FrameworkProfile) -> dict[str, object]:
    kernels: dict[object, str] = {OptimizerKernels.FUSED: "fused", OptimizerKernels.FOREACH: "foreach"}
    fp8 = s.precision is Precision.FP8
    mx = s.fp8_recipe is Fp8Recipe.MXFP8
    op = s.recompute is Recompute.SELECTIVE
    every = s.recompute is Recompute.FULL and s.recompute_method is RecomputeMethod.EVERY
    return {
        "activation_checkpoint.mode": "selective" if every else s.recompute.value,  # type: ignore[union-attr]
        "activation_checkpoint.selective_ac_option": "op" if op else s.recompute_layers or 2 if every else None,
        "optimizer.implementation": kernels.get(s.optimizer_kernels),
        "model.converters": "quantize.linear.mx" if fp8 and mx else "quantize.linear.float8" if fp8 else None,
        "training.mixed_precision_param": "float32" if s.precision is Precision.FP32 else None,
        "compile.enable": profile.name != "torchtitan-eager",
        "parallelism.enable_async_tensor_parallel": profile.name.endswith("-async-tp"),
    }
