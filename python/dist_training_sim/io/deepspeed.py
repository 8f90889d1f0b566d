"""DeepSpeed JSON ↔ jobs. Model, sequence length and recomputation are not in it: they stand in the training script.

Names read in deepspeedai/DeepSpeed edaa7221 (2026-08): runtime/constants.py, runtime/zero/config.py,
runtime/tensor_parallel/config.py.
"""

from __future__ import annotations

import json
from typing import Any

from ..errors import Problems
from ..frameworks import FrameworkProfile
from ..hardware import Cluster
from ..models import Model
from ..parallel import Strategy
from ..parallel.choices import (
    ContextComm,
    GradDtype,
    MuonTp,
    OffloadTier,
    Optimizer,
    OptimizerKernels,
    PipelineTransfers,
    Precision,
    Schedule,
)
from .located import flat_yaml
from .options import Options
from .training_job import TrainingJob
from .unwritable import refuse_unwritable, refuse_values

__all__ = ["IGNORED", "TIERS", "read_deepspeed", "strategy_of", "write_deepspeed"]

# With or without "stage3_" before them.
_LIVE = ("max_live_parameters", "max_reuse_distance", "prefetch_bucket_size", "param_persistence_threshold",
         "model_persistence_threshold")  # fmt: skip
_BUCKETS = ("reduce_bucket_size", "allgather_bucket_size")
_OPTIMIZERS = {
    "adam": Optimizer.ADAM,
    "adamw": Optimizer.ADAM,
    "onebitadam": Optimizer.ADAM,
    "zerooneadam": Optimizer.ADAM,
    "sgd": Optimizer.SGD,
    "muon": Optimizer.MUON,
}
IGNORED = (
    r"(optimizer\.(params|legacy.*)|scheduler|flops_profiler|tensorboard|wandb|csv_monitor|comet|comms_logger)(\..*)?",
    r"(steps_per_print|wall_clock_breakdown|gradient_clipping|prescale_gradients|gradient_predivide_factor)",
    r"(dump_state|memory_breakdown|zero_allow.*|zero_force.*|checkpoint.*|dataloader.*|log_level|seed|autotuning.*)",
    r"(fp16|bf16)\.(loss_scale.*|initial_scale.*|hysteresis|min_loss.*|auto_cast|consecutive.*|check_overflow)",
    r"zero_optimization\.(contiguous_gradients|allgather_partitions|load_from.*|elastic.*|round_robin.*|legacy.*)",
    r"zero_optimization\.(stage3_)?gather_(16bit|fp16)_weights_on_model_save",
    r"zero_optimization\.(ignore_unused_parameters|sub_group_size|log_trace_cache_warnings|enable_sanity_checks)",
    r"zero_optimization\.(stage3_)?(module_granularity_threshold|use_all_reduce_for_fetch_params|allgather_sequential)",
    r"zero_optimization\.(use_multi_rank_bucket_allreduce|reduce_scatter|memory_efficient_linear)",
    r"zero_optimization\.offload_(optimizer|param)\.(pin_memory|buffer.*|fast_init|max_in_cpu|pipeline.*|nvme_path)",
    r"(aio|curriculum_learning|data_efficiency|compression_training|elasticity|sparse_gradients)(\..*)?",
)


def read_deepspeed(text: str, where: str, devices: int | None = None) -> TrainingJob:
    """Job of a DeepSpeed JSON file.

    Parameters
    ----------
    devices
        Devices of the job: they turn accumulation steps into the global batch.
    """
    o = Options([option for option in flat_yaml(text, where) if option.values != ("auto",)])
    fields = strategy_of(o, devices)
    o.ignore(IGNORED)
    o.check()
    return TrainingJob.of_options(o, format="deepspeed", strategy=Strategy(**fields), framework="deepspeed")


def strategy_of(o: Options, devices: int | None) -> dict[str, Any]:
    """Fields of the layout that DeepSpeed's options describe."""
    tp = o.count("tensor_parallel.autotp_size", default=1, minimum=0) or 1
    cp = o.count("sequence_parallel_size", default=1)
    stage = o.count("zero_optimization.stage", default=0, minimum=0)
    if stage > 3 and (option := o.get("zero_optimization.stage")) is not None:
        o.reject(option, "a stage from 0 to 3")
    fields: dict[str, Any] = {"tp": tp, "cp": cp, "zero": min(stage, 3), "sequence_parallel": False}
    if cp > 1:
        fields["cp_comm"] = ContextComm.A2A
    overlap = o.flag("zero_optimization.overlap_comm", default=stage == 3)  # the default follows the stage
    fields |= {"overlap_grad_reduce": overlap, "overlap_param_gather": stage == 3}
    fields |= _precision(o) | _offload(o) | _groups(o, devices, tp * cp) | _batch(o, devices, tp * cp)
    fields["optimizer"] = o.choice("optimizer.type", known=_OPTIMIZERS, default=Optimizer.ADAM)
    _note_memory(o)
    option = o.get("zero_optimization.zero_quantized_weights", "zero_optimization.zero_quantized_gradients")
    if option is not None and option.values == (True,):
        o.note(option, "gathers and reductions are simulated unquantised")
    return fields


def _note_memory(o: Options) -> None:
    for name in _LIVE:
        option = o.get(f"zero_optimization.stage3_{name}", f"zero_optimization.{name}")
        if option is not None:
            o.note(option, "gathered parameters are simulated as those of one block ahead of the one that runs")
    for name in _BUCKETS:
        o.note_if(f"zero_optimization.{name}", "buckets are simulated with the profile's 5e8 elements")


def _precision(o: Options) -> dict[str, Any]:
    half, brain = o.flag("fp16.enabled"), o.flag("bf16.enabled", "bfloat16.enabled")
    cast = o.flag("torch_autocast.enabled") and o.text("torch_autocast.dtype", default="bfloat16")
    if half and brain and (option := o.get("fp16.enabled")) is not None:
        o.reject(option, "false beside bf16.enabled")
    types = {"fp32": GradDtype.FP32, "bf16": GradDtype.BF16, "fp16": GradDtype.BF16}
    grads = o.choice("data_types.grad_accum_dtype", known=types, default=GradDtype.FRAMEWORK)
    o.choice("communication_data_type", known=types, default=grads)
    narrow = Precision.FP16 if half or cast == "float16" else Precision.BF16
    return {"precision": narrow if half or brain or cast else Precision.FP32, "grad_dtype": grads}


TIERS = {"cpu": OffloadTier.HOST, "true": OffloadTier.HOST, "nvme": OffloadTier.NVME}


def _offload(o: Options) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for part, field in (("optimizer", "offload_optimizer"), ("param", "offload_parameters")):
        option = o.get(f"zero_optimization.offload_{part}.device", f"zero_optimization.cpu_offload_{part}")
        o.number(f"zero_optimization.offload_{part}.ratio")
        device = str(option.values[0]).lower() if option is not None and option.values else "none"
        if option is not None and device not in ("cpu", "none", "nvme", "true", "false"):
            o.reject(option, "cpu, nvme or none")
        fields[field] = TIERS.get(device, OffloadTier.NONE)
    if o.flag("zero_optimization.cpu_offload"):
        fields["offload_optimizer"] = OffloadTier.HOST
    if fields["offload_parameters"] is not OffloadTier.NONE and fields["offload_optimizer"] is OffloadTier.NONE:
        o.notes.append("offload_param alone: the optimizer is simulated on the host too")
        fields["offload_optimizer"] = OffloadTier.HOST
    return fields


def _groups(o: Options, devices: int | None, model_ranks: int) -> dict[str, Any]:
    """hpZ keeps a second copy in groups; MiCS shards within groups and replicates across."""
    hpz = o.count("zero_optimization.zero_hpz_partition_size", default=1, minimum=0)
    mics = o.get("zero_optimization.mics_shard_size")
    fields: dict[str, Any] = {"reshard_after_forward": hpz} if hpz > 1 else {}
    if mics is not None and str(mics.values[0] if mics.values else "") != "-1":
        size = o.count("zero_optimization.mics_shard_size", default=1)
        if devices is None:
            o.note(mics, "needs the number of devices: not applied")
        elif devices // model_ranks % size:
            o.reject(mics, f"a divisor of the {devices // model_ranks} data-parallel ranks")
        else:
            fields["dp_replicas"] = devices // model_ranks // size
    return fields


def _batch(o: Options, devices: int | None, model_ranks: int) -> dict[str, Any]:
    """DeepSpeed's rule: batch = micro-batch x accumulation x data-parallel ranks; any one may be left out."""
    batch, micro = o.count("train_batch_size"), o.count("train_micro_batch_size_per_gpu")
    steps = o.count("gradient_accumulation_steps")
    dp = None if devices is None else max(1, devices // model_ranks)
    if dp is not None:
        if batch is None and (micro or steps):
            batch = (micro or 1) * (steps or 1) * dp
        elif batch is not None and micro is None:
            micro = max(1, batch // (dp * (steps or 1)))
        option = o.get("train_batch_size")
        if batch and micro and option and batch != micro * (steps or max(1, batch // (micro * dp))) * dp:
            product = f"{micro} x {steps or 'accumulation'} x {dp}"
            o.reject(option, f"micro-batch x accumulation steps x data-parallel ranks, {product}")
    elif batch is None and steps:
        o.notes.append("the global batch needs the number of devices: one micro-batch per replica is taken")
    return {"micro_batch": micro or 1, "global_batch": batch}


_WRITABLE = frozenset(
    (
        *("dp", "tp", "cp", "cp_comm", "sequence_parallel", "zero", "micro_batch", "global_batch", "precision", "etp"),
        *("grad_dtype", "optimizer", "overlap_grad_reduce", "overlap_param_gather", "offload_optimizer", "recompute"),
        *("offload_parameters", "reshard_after_forward", "dp_replicas", "fp8_recipe", "int8_recipe"),
        *("optimizer_kernels", "p2p", "schedule", "muon_tp"),
    )
)


def write_deepspeed(model: Model, cluster: Cluster, strategy: Strategy, seq_len: int, profile: FrameworkProfile) -> str:
    """A DeepSpeed JSON configuration of the job's layout.

    Raises
    ------
    ConfigError
        Listing what of the layout DeepSpeed has no option for.
    """
    s, problems = strategy.resolved(cluster.device_count), Problems()
    refuse_unwritable(s, "DeepSpeed", problems, _WRITABLE)
    _check_values(s, problems)
    problems.raise_if_any()
    batch, dp = s.global_batch or 1, s.dp or 1
    zero: dict[str, Any] = {"stage": s.zero, "overlap_comm": s.overlap_grad_reduce}
    devices: dict[object, str] = {tier: device for device, tier in TIERS.items() if device != "true"}
    for name, tier in (("offload_optimizer", s.offload_optimizer), ("offload_param", s.offload_parameters)):
        if tier in devices:
            path = {"nvme_path": "/local_nvme"} if tier is OffloadTier.NVME else {}
            zero[name] = {"device": devices[tier], "pin_memory": True, **path}
    if s.zero == 3 and type(s.reshard_after_forward) is int:
        zero["zero_hpz_partition_size"] = s.reshard_after_forward
    if s.dp_replicas > 1:
        zero["mics_shard_size"] = dp // s.dp_replicas
    content: dict[str, Any] = {
        "train_batch_size": batch,
        "train_micro_batch_size_per_gpu": s.micro_batch,
        "gradient_accumulation_steps": max(1, batch // (s.micro_batch * dp)),
        "gradient_clipping": 1.0,
        "zero_optimization": zero,
        "bf16": {"enabled": s.precision is Precision.BF16},
        "fp16": {"enabled": s.precision is Precision.FP16},
    }
    kinds = {Optimizer.ADAM: "AdamW", Optimizer.SGD: "SGD", Optimizer.MUON: "Muon"}
    content["optimizer"] = {"type": kinds[s.optimizer], "params": {"lr": 1e-4}}  # type: ignore[index]
    if s.grad_dtype is not GradDtype.FRAMEWORK:
        content["data_types"] = {"grad_accum_dtype": s.grad_dtype.value}  # type: ignore[union-attr]
    if s.tp > 1:
        content["tensor_parallel"] = {"autotp_size": s.tp}
    if s.cp > 1:
        content["sequence_parallel_size"] = s.cp
    return json.dumps(content, indent=2) + "\n"


def _check_values(s: Strategy, problems: Problems) -> None:
    known: dict[str, tuple[object, ...]] = {
        "precision": (Precision.FP32, Precision.BF16, Precision.FP16),
        "optimizer": (Optimizer.ADAM, Optimizer.SGD, Optimizer.MUON),
        "optimizer_kernels": (OptimizerKernels.FRAMEWORK,),
        "schedule": (Schedule.ONE_F_ONE_B,),
        "p2p": (PipelineTransfers.FRAMEWORK,),
        **dict.fromkeys(("offload_optimizer", "offload_parameters"), (OffloadTier.NONE, *TIERS.values())),
    }
    if s.cp > 1:
        known["cp_comm"] = (ContextComm.A2A,)
    if s.tp > 1 and s.optimizer is Optimizer.MUON:
        known["muon_tp"] = (MuonTp.BLOCKWISE,)
    refuse_values(s, "DeepSpeed", problems, known)
    if s.zero and s.overlap_param_gather != (s.zero == 3):
        when = "true: stage 3 gathers ahead" if s.zero == 3 else "false: stages 1 and 2 gather after the update"
        problems.add("strategy.overlap_param_gather", s.overlap_param_gather, f"{when}, in DeepSpeed")
    if s.sequence_parallel:
        problems.add("strategy.sequence_parallel", True, "false: DeepSpeed's tensor parallelism has none")
    if s.reshard_after_forward is False:
        problems.add("strategy.reshard_after_forward", False, "the default, or a group size, in DeepSpeed JSON")
