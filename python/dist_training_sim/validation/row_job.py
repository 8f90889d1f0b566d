"""A row → the job that `simulate` runs: model, cluster, strategy, profile; gaps are filled by the framework's way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..errors import ConfigError, MissingDataError
from ..frameworks import FrameworkDefaults, FrameworkProfile
from ..hardware import Cluster
from ..models import Model
from ..parallel import Schedule, Strategy
from .corpus import Row
from .row_cluster import cluster_of
from .row_experts import expert_options
from .row_framework import mlperf_round, profile_of
from .row_model import model_of
from .row_recompute import recompute_fields
from .row_stages import layers_before_prediction, layers_by_cost, stages_of

__all__ = ["Job", "job_of"]

_PRECISIONS = {
    "fp32": "fp32",
    "tf32": "tf32",
    "fp16": "fp16",
    "bf16": "bf16",
    "fp8": "fp8",
    "mxfp8": "fp8",
    "nvfp4": "fp4",
}
# decoder-first- and decoder-last-pipeline-num-layers of Megatron-LM's functional tests of that name
_UNEVEN_ENDS = 2
_CORES_PER_DEVICE = {"TPU-v7": 2}  # its rows count axes in TensorCores; a device is the chip


@dataclass(frozen=True)
class Job:
    """Arguments of `simulate` for one row."""

    model: Model
    cluster: Cluster
    strategy: Strategy
    profile: FrameworkProfile
    seq_len: int | None


def job_of(row: Row) -> Job:
    """Job of a row.

    Raises
    ------
    ConfigError, MissingDataError
        Naming what the row lacks, contradicts, or asks that cannot be expressed.
    """
    profile = profile_of(row)
    degrees = _degrees(row)
    model = model_of(row, profile.defaults)
    cluster = cluster_of(row)
    strategy = _strategy(row, model, cluster.device_count, degrees, profile.defaults)
    return Job(model, cluster, strategy, profile, None if model.tokens_per_sample else row.count("seq"))


def _degrees(row: Row) -> dict[str, int]:
    cores = _CORES_PER_DEVICE.get(row.text("accelerator"), 1)
    degrees = {axis: row.count(f"parallel.{axis}") or 1 for axis in ("tp", "pp", "cp", "ep")}
    return {**degrees, "cp": max(1, degrees["cp"] // cores)}


def _strategy(row: Row, model: Model, devices: int, degrees: dict[str, Any], defaults: FrameworkDefaults) -> Strategy:
    pp = degrees["pp"]
    ranks = degrees["tp"] * pp * degrees["cp"]
    if devices % ranks:
        raise ConfigError(f"hardware.gpus: got {devices}, expected a multiple of tp * pp * cp = {ranks}")
    dp = row.count("parallel.dp") or devices // ranks
    batch = row.count("global_batch")
    if not batch:
        raise MissingDataError("global_batch: the row does not state how many samples a step has")
    zero = _zero(row, defaults)
    reduce, gather = _overlaps(row, defaults, zero)
    sequence = row.flag("parallel.sp")
    vpp = stages_of(row, model.layer_count, pp, defaults)
    ends = "first_and_last_stage_one_layer_fewer" in row.words("features")
    recompute = recompute_fields(row, defaults)
    return Strategy(
        **recompute,
        dp=dp,
        **degrees,
        **expert_options(row, degrees["ep"], pp, vpp, recompute["recompute"]),
        vpp=vpp,
        etp=row.count("parallel.etp") or (degrees["tp"] if "megatron_ci_golden" in row.words("features") else None),
        sequence_parallel=sequence if sequence is not None else defaults.sequence_parallel,
        zero=zero,
        micro_batch=_micro_batch(row, batch, dp, pp, defaults),
        global_batch=batch,
        schedule=_schedule(row),
        cp_comm="a2a" if degrees["cp"] > 1 and _exchanges_heads(row) else "p2p",
        precision=_precision(row, defaults),
        fp8_recipe=_fp8_recipe(row, defaults),
        overlap_grad_reduce=reduce,
        overlap_param_gather=gather,
        rank_order="tp-cp-ep-pp-dp" if "rank_order_tp_pp_dp" in row.words("features") else "tp-cp-ep-dp-pp",
        optimizer_post_validation="optimizer_post_validation" in row.words("features"),
        embedding_as_layer=ends,
        loss_as_layer=ends,
        layers_per_stage=_layers(row, model, pp, vpp, defaults),
    )


def _exchanges_heads(row: Row) -> bool:
    """Stated, or the default of NVIDIA's LoRA in MLPerf 5.1 (conf/megatron_gpt_peft_tuning_config.yaml: a2a)."""
    tuned = row.text("framework") == "nemo" and " lora " in row.text("model.name").lower() + " "
    return "cp_a2a" in row.words("features") or (tuned and mlperf_round(row.text("software")) >= 5.1)


def _layers(row: Row, model: Model, pp: int, vpp: int, defaults: FrameworkDefaults) -> tuple[int, ...]:
    if pp > 2 and "uneven_pipeline" in row.text("model.name"):
        inner, spare = divmod(model.layer_count - 2 * _UNEVEN_ENDS, pp - 2)
        return () if spare or inner < 0 else (_UNEVEN_ENDS, *[inner] * (pp - 2), _UNEVEN_ENDS)
    if model.prediction and pp > 1:
        return layers_before_prediction(model.layer_count, pp * vpp)
    if vpp > 1 or defaults.stages != "by_cost" or pp == 1:
        return ()
    return layers_by_cost(model, pp, closes_at_share="after_pp_fix=True" in row.text("notes"))


def _zero(row: Row, defaults: FrameworkDefaults) -> int:
    stated = row.text("parallel.zero")
    if stated in ("fsdp", "hsdp"):
        return 3
    if not stated and row.text("source.url_or_repo_path").startswith("bigscience-workshop/"):
        return 1  # ZERO_STAGE=1 in every training script of that repository, among them those its tables link to
    return int(stated) if stated in ("0", "1", "2", "3") else defaults.zero


def _overlaps(row: Row, defaults: FrameworkDefaults, zero: int) -> tuple[bool, bool]:
    """Whether gradients are reduced, and parameters gathered, beside compute: stated, else the framework's way."""
    reduce = defaults.overlap_sharded_reduce if zero else defaults.overlap_grad_reduce
    gather = defaults.overlap_param_gather
    for word in row.words("features"):
        on = not word.endswith("=false")
        if word.startswith("no_overlap"):
            return False, False
        if word.split("=")[0] in ("overlap_grad_reduce", "overlap_grad_sync") or word == "ddp_impl=torch":
            reduce = on
        elif word.split("=")[0] in ("overlap_param_gather", "overlap_param_sync"):
            gather = on
    return reduce, gather


def _micro_batch(row: Row, batch: int, dp: int, pp: int, defaults: FrameworkDefaults) -> int:
    local = max(1, batch // dp)
    if defaults.micro_batches == "one":
        return local
    if defaults.micro_batches == "stages" and pp > 1 and local % pp == 0:
        return local // pp
    return row.count("micro_batch") or 1


def _schedule(row: Row) -> Schedule:
    for word in row.words("features"):
        if not word.startswith("schedule=") or "1f1b" in word:
            continue
        name = word.removeprefix("schedule=")
        known = {str(item.value): item for item in Schedule}
        if name not in known:
            raise ConfigError(f"schedule: got {name}, expected one of {', '.join(known)}")
        return known[name]
    return Schedule.ONE_F_ONE_B


def _fp8_recipe(row: Row, defaults: FrameworkDefaults) -> str:
    if row.text("precision_family") == "mxfp8":
        return "mxfp8"
    text = row.text("precision").lower()
    return next((name for name in ("tensorwise", "delayed", "blockwise") if name in text), defaults.fp8_recipe)


def _precision(row: Row, defaults: FrameworkDefaults) -> str:
    text = row.text("precision").lower()
    if "autocast" in text and "bf16" in text:
        return "bf16"
    return _PRECISIONS.get(row.text("precision_family"), defaults.precision)
