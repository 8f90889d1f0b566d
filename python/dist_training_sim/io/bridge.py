"""Megatron-Bridge: `run_recipe.py` with overrides ↔ jobs, through the names of Megatron-LM.

Names read in NVIDIA-NeMo/Megatron-Bridge 067f987d (2026-08): scripts/training/run_recipe.py, training/config.py,
training/mixed_precision.py, recipes. A recipe sets more than its overrides say; of a known recipe the model is taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from ..errors import ConfigError, DtsError
from ..frameworks import FrameworkProfile
from ..hardware import Cluster
from ..models import Model
from ..parallel import Strategy
from .decoder_shape import shape_of
from .launch import Launch, read_launch
from .megatron import job_of_options, megatron_environment, megatron_options, torchrun
from .megatron_model import write_shape
from .options import Option, Options
from .training_job import TrainingJob

__all__ = ["read_bridge", "write_bridge"]

_SHORT = {
    "tp": "tensor-model-parallel-size",
    "pp": "pipeline-model-parallel-size",
    "cp": "context-parallel-size",
    "vp": "virtual-pipeline-model-parallel-size",
    "ep": "expert-model-parallel-size",
    "etp": "expert-tensor-parallel-size",
    "gb": "global-batch-size",
    "mb": "micro-batch-size",
    "sl": "seq-length",
    "ms": "train-iters",
    "max-steps": "train-iters",
}
# Bridge's field → Megatron-LM's option, where they differ in more than dashes; the section comes first.
_RENAMED = {
    "model.virtual-pipeline-model-parallel-size": "num-virtual-stages-per-pipeline-rank",
    "model.num-layers-in-first-pipeline-stage": "decoder-first-pipeline-num-layers",
    "model.num-layers-in-last-pipeline-stage": "decoder-last-pipeline-num-layers",
    "model.microbatch-group-size-per-vp-stage": "microbatch-group-size-per-virtual-pipeline-stage",
    "model.num-moe-experts": "num-experts",
    "optimizer.optimizer-cpu-offload": "optimizer-cpu-offload",
    "optimizer.use-distributed-optimizer": "use-distributed-optimizer",
    "dist.use-megatron-fsdp": "use-megatron-fsdp",
    "ddp.use-megatron-fsdp": "use-megatron-fsdp",
}
_SECTIONS = frozenset(("model", "train", "ddp", "dataset", "comm_overlap", "optimizer", "dist", "tokenizer"))
_LEFT_OUT = frozenset(("optimizer.lr", "optimizer.min-lr", "tokenizer.vocab-size"))
_PRECISIONS: Mapping[str, dict[str, object]] = {
    "bf16_mixed": {"bf16": True},
    "fp16_mixed": {"fp16": True},
    "bf16_with_fp8_delayed_scaling_mixed": {"bf16": True, "fp8-format": "hybrid", "fp8-recipe": "delayed"},
    "bf16_with_fp8_current_scaling_mixed": {"bf16": True, "fp8-format": "hybrid", "fp8-recipe": "tensorwise"},
    "bf16_with_fp8_subchannel_scaling_mixed": {"bf16": True, "fp8-format": "hybrid", "fp8-recipe": "blockwise"},
    "bf16_with_mxfp8_mixed": {"bf16": True, "fp8-format": "hybrid", "fp8-recipe": "mxfp8"},
    "bf16_with_nvfp4_mixed": {"bf16": True, "fp4-format": "e2m1"},
}
_OF_RECIPE_NAME = {
    "_fp8cs": "bf16_with_fp8_current_scaling_mixed",
    "_fp8mx": "bf16_with_mxfp8_mixed",
    "_nvfp4": "bf16_with_nvfp4_mixed",
}
_PROFILE = "megatron-bridge-26.02"  # scripts do not name their release: its newest profile on any device
_VANILLA = "vanilla_gpt_pretrain_config"
# Models of the catalogue and a recipe of each, for architectures that the plain GPT recipe cannot be turned into.
_RECIPES = {
    "deepseek-v2-lite": "deepseek_v2_lite_pretrain_8gpu_h100_bf16_config",
    "deepseek-v2": "deepseek_v2_pretrain_128gpu_h100_bf16_config",
    "llama-3-8b": "llama3_8b_pretrain_2gpu_h100_bf16_config",
    "llama-3-70b": "llama3_70b_pretrain_32gpu_h100_bf16_config",
    "llama-3.1-8b": "llama31_8b_pretrain_2gpu_h100_bf16_config",
    "llama-3.1-70b": "llama31_70b_pretrain_32gpu_h100_bf16_config",
    "llama-3.1-405b": "llama31_405b_pretrain_1024gpu_h100_bf16_config",
    "llama-3.2-1b": "llama32_1b_pretrain_1gpu_h100_bf16_config",
    "llama-3.2-3b": "llama32_3b_pretrain_1gpu_h100_bf16_config",
    "llama-2-7b": "llama2_7b_pretrain_2gpu_h100_bf16_config",
    "gpt3-175b": "gpt3_175b_pretrain_32gpu_h100_bf16_config",
}
_BASE = ("use-distributed-optimizer", "overlap-grad-reduce", "overlap-param-gather")


def read_bridge(text: str, where: str, variables: Mapping[str, str] | None = None) -> TrainingJob:
    """Job of a command that runs a recipe."""
    launch = read_launch(text, where, variables)
    given, recipe, precision = _given(launch)
    place = recipe.where if recipe else where
    name = str(recipe.values[0]) if recipe and recipe.values else ""
    model = None if name == _VANILLA or not name else _model_of(name)
    base = _base(model, name, place)
    if precision is None and name:
        suffix = next((mixed for mark, mixed in _OF_RECIPE_NAME.items() if mark in name), "bf16_mixed")
        precision = Option("mixed_precision", (suffix,), place)
    stated = {option.name for option in given}
    chosen = [option for option in base if option.name not in stated]
    o = Options([*chosen, *given, *_of_precision(precision, stated)], "")
    if precision is not None and str(precision.values[0]) not in _PRECISIONS:
        o.reject(precision, f"one of {', '.join(_PRECISIONS)}")
    if model is None and o.lacks("num-layers"):
        o.problems.add(f"{place}: recipe", name, "a recipe of a model of the catalogue, or model.num_layers and others")
    if o.lacks("seq-length"):
        expected = "tokens per sample: what a recipe sets itself is not known here; give model.seq_length=8192, say"
        o.problems.missing(f"{place}: model.seq_length", expected)
    job = job_of_options(o, launch, "megatron-bridge", _PROFILE)
    return _named(job, model, place, name)


def _named(job: TrainingJob, model: Model | None, place: str, recipe: str) -> TrainingJob:
    from dataclasses import replace

    note = f"{place}: recipe {recipe}: what it sets beyond model and precision is not known here, only its overrides"
    same = model is not None and job.model is not None and replace(job.model, name=model.name) == model
    notes = (*job.notes, note) if recipe and recipe != _VANILLA else job.notes
    return replace(job, model=model if same else job.model, notes=notes)


def _given(launch: Launch) -> tuple[list[Option], Option | None, Option | None]:
    """Options under Megatron-LM's names, the recipe, and the precision."""
    given: list[Option] = []
    recipe = precision = None
    for option in launch.options:
        name = option.name.replace("_", "-")
        if name in ("recipe", "model"):
            recipe = option
        elif name not in ("mode", "dataset", "step-func"):
            given += _translated(f"model.{_SHORT.get(name, name)}", option.values, option.where)
    for word in launch.plain:
        key, _, value = word.name.lstrip("+~").partition("=")
        if key == "mixed_precision":
            precision = Option(key, (value,), word.where)
        else:
            given += _translated(key, _values(value), word.where)
    return given, recipe, precision


def _values(text: str) -> tuple[str, ...]:
    inside = text.strip("'\"")
    if inside.startswith("[") and inside.endswith("]"):
        return tuple(part.strip(" '\"") for part in inside[1:-1].split(",") if part.strip())
    return (inside,)


def _translated(key: str, values: tuple[object, ...], where: str) -> Iterable[Option]:
    """One override under Megatron-LM's name; some turn into another switch."""
    section, dot, _ = key.partition(".")
    name = key.replace("_", "-")
    on = str(values[0]).lower() in ("true", "1") if values else True
    if name == "model.share-embeddings-and-output-weights":
        return [Option("untie-embeddings-and-output-weights", (str(not on).lower(),), where)]
    if name == "model.gated-linear-unit":
        return [Option("swiglu", (str(on).lower(),), where)]
    if name == "model.activation-func":
        return []
    if name == "dataset.sequence-length":
        return [Option("seq-length", values, where)]
    if name == "ddp.grad-reduce-in-fp32":
        return [Option("accumulate-allreduce-grads-in-fp32" if on else "grad-reduce-in-bf16", ("true",), where)]
    if name in _RENAMED:
        return [Option(_RENAMED[name], values, where)]
    if dot and section in _SECTIONS:
        return [Option(name.split(".", 1)[1] if name not in _LEFT_OUT else name.replace(".", "-"), values, where)]
    return [Option(name.replace(".", "-"), values, where)]


def _model_of(recipe: str) -> Model | None:
    """Model of the catalogue whose name, without marks, begins the recipe's."""
    from ..catalog.models import names

    plain = re.sub(r"[^a-z0-9]", "", recipe.split("_pretrain")[0].split("_sft")[0].split("_peft")[0].lower())
    found = [name for name in names() if re.sub(r"[^a-z0-9]", "", name) == plain]
    return Model.from_catalog(found[0]) if found else None


def _base(model: Model | None, recipe: str, where: str) -> list[Option]:
    """What the recipe implies: its model's shape, sharded optimizer states and overlap."""
    switches: dict[str, object] = {} if recipe == _VANILLA else dict.fromkeys(_BASE, True)
    if model is not None:
        try:
            shape = write_shape(shape_of(model), 0)
        except DtsError:
            shape = {}
        switches |= {name: value for name, value in shape.items() if name not in ("seq-length", "tokenizer-type")}
    return [
        Option(name, () if value is True else (value,), where)
        for name, value in switches.items()
        if value not in (None, False)
    ]


def _of_precision(precision: Option | None, stated: set[str]) -> list[Option]:
    if precision is None:
        return []
    switches = _PRECISIONS.get(str(precision.values[0]).replace("-", "_"), {})
    return [
        Option(name, () if value is True else (value,), precision.where)
        for name, value in switches.items()
        if name not in stated
    ]


def write_bridge(model: Model, cluster: Cluster, strategy: Strategy, seq_len: int, profile: FrameworkProfile) -> str:
    """A launch script that runs a recipe with every setting of the job as an override."""
    options = megatron_options(model, strategy, seq_len, profile, cluster.device_count)
    recipe = _RECIPES.get(model.name) if model.name in _RECIPES and _is_catalogued(model) else None
    if recipe is None and shape_of(model).latent is not None:
        raise ConfigError(f"model: got {model.name!r} with latent attention, expected one that has a Bridge recipe")
    overrides = _overrides(options, {} if recipe is None else write_shape(shape_of(model), seq_len))
    words = [f"--recipe {recipe or _VANILLA}", "--mode pretrain", "--dataset mock", *overrides]
    return torchrun(cluster, "scripts/training/run_recipe.py", words, megatron_environment(strategy))


def _is_catalogued(model: Model) -> bool:
    return Model.from_catalog(model.name) == model


_SECTION_OF = {
    "global-batch-size": "train",
    "micro-batch-size": "train",
    "train-iters": "train",
    "seq-length": "dataset",
    "vocab-size": "model",
    "use-distributed-optimizer": "ddp",
    "overlap-grad-reduce": "ddp",
    "overlap-param-gather": "ddp",
    "num-distributed-optimizer-instances": "ddp",
    "data-parallel-sharding-strategy": "ddp",
    "use-megatron-fsdp": "dist",
    "ckpt-format": "checkpoint",
    "use-tp-pp-dp-mapping": "dist",
    "optimizer": "optimizer",
    "optimizer-cpu-offload": "optimizer",
    "sgd-momentum": "optimizer",
    "muon-tp-mode": "optimizer",
}
_NOT_BRIDGE = frozenset(("tokenizer-type", "group-query-attention", "mock-data", "lr", "max-position-embeddings"))


def _overrides(options: Mapping[str, object], of_recipe: Mapping[str, object]) -> list[str]:
    """`section.field=value` of every option; switches that recipes may have on are written off."""
    written = [_precision_override(options)]
    explicit = (*_BASE, "sequence-parallel")
    names = {option: field for field, option in _RENAMED.items() if not field.startswith(("dist", "optimizer.use"))}
    for name, value in options.items():
        same = of_recipe.get(name) == value and name != "seq-length"
        if same or name in _NOT_BRIDGE or (value in (None, False) and name not in explicit):
            continue
        field = names.get(name, f"{_SECTION_OF.get(name, 'model')}.{name}").replace("-", "_")
        written += _one_override(name, field, value)
    return [word for word in written if word]


def _one_override(name: str, field: str, value: object) -> list[str]:
    special = {
        "swiglu": ["model.gated_linear_unit=true", "model.activation_func=silu"],
        "disable-bias-linear": ["model.add_bias_linear=false"],
        "untie-embeddings-and-output-weights": ["model.share_embeddings_and_output_weights=false"],
        "grad-reduce-in-bf16": ["ddp.grad_reduce_in_fp32=false"],
        "accumulate-allreduce-grads-in-fp32": ["ddp.grad_reduce_in_fp32=true"],
        "optimizer": [f"optimizer.optimizer={value}"],
    }
    if name in ("bf16", "fp16", "fp8-format", "fp8-recipe", "fp4-format"):
        return []
    if name in special:
        return special[name]
    if isinstance(value, tuple):
        return [f"'{field}=[{','.join(map(str, value))}]'"]
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return [f"'{field}={text}'" if re.search(r"[\[\]()*|]", text) else f"{field}={text}"]


def _precision_override(options: Mapping[str, object]) -> str:
    keys = ("bf16", "fp16", "fp8-format", "fp8-recipe", "fp4-format")
    wanted = {key: options[key] for key in keys if options.get(key) not in (None, False)}
    name = next((name for name, switches in _PRECISIONS.items() if switches == wanted), None)
    return "" if name is None else f"mixed_precision={name}"
