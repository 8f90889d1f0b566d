"""Hugging Face accelerate YAML (FSDP, DeepSpeed, DDP, Megatron-LM) → jobs. Model and batch are not in it.

Names read in huggingface/accelerate 16cb6eb8 (2026-07): commands/config, utils/dataclasses.py.
"""

from __future__ import annotations

from typing import Any

from ..parallel import OffloadTier, Strategy
from ..parallel.choices import GradDtype, Precision, Recompute
from .deepspeed import TIERS
from .located import flat_yaml
from .options import Options
from .training_job import TrainingJob

__all__ = ["FSDP_NOTE", "IGNORED", "accelerate_fields", "node_shards", "read_accelerate"]

FSDP_NOTE = "FSDP is simulated with the constants of torchtitan"

_PROFILES = {
    "fsdp": "torchtitan-eager",
    "deepspeed": "deepspeed",
    "multi_gpu": "pytorch-ddp",
    "no": "pytorch-ddp",
    "megatron_lm": "megatron-core",
}
_SHARDING = {"full_shard": 3, "shard_grad_op": 3, "no_shard": 0, "hybrid_shard": 3, "hybrid_shard_zero2": 3,
             "1": 3, "2": 3, "3": 0, "4": 3, "5": 3}  # fmt: skip
IGNORED = (
    r"(compute_environment|debug|downcast_bf16|enable_cpu_affinity|machine_rank|main_.*|rdzv_.*|same_network|tpu_.*)",
    r"(use_cpu|dynamo_config|dynamo_config\..*|commands|command_file|gpu_ids|mpirun_config.*|tpu_env)",
    r"fsdp_config\.fsdp_(auto_wrap_policy|cpu_ram.*|state_dict_type|sync_module.*|transformer_layer.*|use_orig.*)",
    r"fsdp_config\.fsdp_(min_num_params|ignored_modules|forward_prefetch|backward_prefetch.*|version)",
    r"deepspeed_config\.(zero3_init_flag|zero3_save.*|deepspeed_hostfile|deepspeed_multinode.*|gradient_clipping)",
    r"deepspeed_config\.(deepspeed_exclusion.*|deepspeed_inclusion.*|deepspeed_moe.*|offload_.*_nvme_path)",
    r"megatron_lm_config\.megatron_lm_(gradient_clipping|no_load.*)|parallelism_config\..*(backend|strategy|variant).*",
)


def read_accelerate(text: str, where: str) -> TrainingJob:
    """Job of an accelerate configuration."""
    o = Options(flat_yaml(text, where))
    fields, profile, devices = accelerate_fields(o)
    machines = o.count("num_machines", default=1)
    o.ignore(IGNORED)
    o.check()
    return TrainingJob.of_options(
        o,
        format="accelerate",
        strategy=Strategy(**fields),
        framework=profile,
        devices=devices,
        devices_per_node=None if devices is None else max(1, devices // machines),
    )


def accelerate_fields(o: Options) -> tuple[dict[str, Any], str, int | None]:
    """(fields of the layout, profile, devices) that accelerate's options describe."""
    profile = o.choice("distributed_type", known=_PROFILES, default="pytorch-ddp")
    kinds = {"no": Precision.FP32, "fp16": Precision.FP16, "bf16": Precision.BF16, "fp8": Precision.FP8}
    precision = o.choice("mixed_precision", known=kinds | {"false": Precision.FP32}, default=Precision.FP32)
    fields: dict[str, Any] = {"precision": precision, **_axes(o)}
    devices = o.count("num_processes")
    parts = {"torchtitan-eager": _fsdp, "deepspeed": _deepspeed, "megatron-core": _megatron}
    if profile in parts:
        fields |= parts[profile](o, devices)
    if profile == "pytorch-ddp":
        fields["overlap_param_gather"] = False
    return fields, profile, devices


def node_shards(o: Options, machines: int | None) -> dict[str, Any]:
    """FSDP's hybrid sharding: states over the devices of a machine, replicas over machines (torch `_init_utils.py`)."""
    if machines is None:
        o.notes.append("hybrid sharding: states are sharded over the whole job, whose number of nodes is not given")
    return {"dp_replicas": machines or 1}


def _axes(o: Options) -> dict[str, Any]:
    tp, cp = (o.count(f"parallelism_config.parallelism_config_{axis}_size", default=1) for axis in ("tp", "cp"))
    replicas = o.count("parallelism_config.parallelism_config_dp_replicate_size", default=1)
    shard = o.count("parallelism_config.parallelism_config_dp_shard_size")
    dp = None if shard is None else shard * replicas
    return {"tp": tp, "cp": cp, "dp_replicas": replicas if shard != 1 else 1, "dp": dp}


def _fsdp(o: Options, devices: int | None) -> dict[str, Any]:
    zero = o.choice("fsdp_config.fsdp_sharding_strategy", known=_SHARDING, default=3)
    name = o.text("fsdp_config.fsdp_sharding_strategy").lower()
    keeps = name in ("shard_grad_op", "2", "hybrid_shard_zero2", "5")
    option = o.get("fsdp_config.fsdp_reshard_after_forward")
    texts = {"true": True, "false": False, "full_shard": True, "shard_grad_op": False, "hybrid_shard": True}
    reshard = o.choice("fsdp_config.fsdp_reshard_after_forward", known=texts, default=not keeps)
    offload = o.flag("fsdp_config.fsdp_offload_params")
    full = o.flag("fsdp_config.fsdp_activation_checkpointing")
    o.notes.append(FSDP_NOTE)
    stated = o.get("parallelism_config.parallelism_config_dp_replicate_size") is not None
    hybrid = name in ("hybrid_shard", "4", "hybrid_shard_zero2", "5") and option is None and not stated
    machines = o.count("num_machines", default=1)
    return (node_shards(o, machines) if hybrid else {}) | {
        "zero": zero,
        "reshard_after_forward": reshard if zero == 3 else None,
        "offload_optimizer": offload,
        "offload_parameters": offload,
        "recompute": Recompute.FULL if full else Recompute.NONE,
    }


def _deepspeed(o: Options, devices: int | None) -> dict[str, Any]:
    zero = o.count("deepspeed_config.zero_stage", default=0, minimum=0)
    option = o.get("deepspeed_config.deepspeed_config_file")
    if option is not None:
        o.note(option, "that file is not read: give it itself")
    o.count("deepspeed_config.gradient_accumulation_steps")
    where = {part: o.text(f"deepspeed_config.offload_{part}_device", default="none") for part in ("optimizer", "param")}
    if zero > 3 and (stage := o.get("deepspeed_config.zero_stage")) is not None:
        o.reject(stage, "a stage from 0 to 3")
    offload = {name: TIERS.get(place, OffloadTier.NONE) for name, place in where.items()}
    states = offload["param"] if offload["optimizer"] is OffloadTier.NONE else offload["optimizer"]
    return {
        "zero": min(zero, 3),
        "overlap_grad_reduce": zero == 3,
        "overlap_param_gather": zero == 3,
        "offload_optimizer": states,
        "offload_parameters": offload["param"] if zero == 3 else OffloadTier.NONE,
    }


def _megatron(o: Options, devices: int | None) -> dict[str, Any]:
    c = "megatron_lm_config.megatron_lm_"
    tp, pp = o.count(c + "tp_degree", default=1), o.count(c + "pp_degree", default=1)
    batches = o.count(c + "num_micro_batches", default=1)
    dp = None if devices is None else max(1, devices // (tp * pp))
    return {
        "tp": tp,
        "pp": pp,
        "dp": dp,
        "global_batch": None if dp is None else batches * dp,
        "sequence_parallel": o.flag(c + "sequence_parallelism") and tp > 1,
        "recompute": Recompute.SELECTIVE if o.flag(c + "recompute_activations") else Recompute.NONE,
        "zero": 1 if o.flag(c + "use_distributed_optimizer") else 0,
        "overlap_grad_reduce": False,
        "overlap_param_gather": False,
        "grad_dtype": GradDtype.FRAMEWORK,
    }
