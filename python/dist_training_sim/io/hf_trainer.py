"""Training arguments of Hugging Face's Trainer, TRL and their relatives (LLaMA-Factory, axolotl) → jobs.

Read from a command line (`torchrun train.py --per_device_train_batch_size 4 ...`), or from YAML or JSON. Files that it
names are followed: DeepSpeed JSON, accelerate's `--config_file`, FSDP settings. Names: transformers' TrainingArguments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .._files import is_file
from ..models import Model, with_lora
from ..parallel import Strategy
from ..parallel.choices import Optimizer, OptimizerKernels, Precision, Recompute
from . import accelerate, deepspeed
from .deepspeed import strategy_of
from .launch import read_launch
from .located import config_text, flat_yaml
from .named_after import entry_named_after
from .options import Option, Options
from .training_job import TrainingJob

__all__ = ["MARKS", "read_hf_trainer"]

MARKS = ("per_device_train_batch_size", "per-device-train-batch-size")
_LENGTHS = (
    "max_seq_length",
    "max_length",
    "cutoff_len",
    "sequence_len",
    "block_size",
    "model_max_length",
    "max_seq_len",
)
_MODELS = ("model_name_or_path", "base_model", "model", "model_name", "model_id", "config_name")
_SHARDED = {"full_shard": None, "shard_grad_op": False, "hybrid_shard": None, "hybrid_shard_zero2": False}
_OPTIMIZERS: Mapping[str, tuple[Optimizer, OptimizerKernels]] = {
    "adamw_torch": (Optimizer.ADAM, OptimizerKernels.FOREACH),
    "adamw_torch_fused": (Optimizer.ADAM, OptimizerKernels.FUSED),
    "adamw_hf": (Optimizer.ADAM, OptimizerKernels.FOREACH),
    "adamw_apex_fused": (Optimizer.ADAM, OptimizerKernels.FUSED),
    **dict.fromkeys(
        ("adamw_8bit", "adamw_bnb_8bit", "adamw_torch_8bit", "paged_adamw_8bit"),
        (Optimizer.ADAM_8BIT, OptimizerKernels.FRAMEWORK),
    ),
    "paged_adamw_32bit": (Optimizer.ADAM, OptimizerKernels.FRAMEWORK),
    "adafactor": (Optimizer.ADAFACTOR, OptimizerKernels.FRAMEWORK),
    "sgd": (Optimizer.SGD, OptimizerKernels.FRAMEWORK),
}
_TARGETS = {"q_proj": "qkv", "k_proj": "qkv", "v_proj": "qkv", "qkv_proj": "qkv", "o_proj": "proj", "gate_proj": "up",
            "up_proj": "up", "gate_up_proj": "up", "down_proj": "down"}  # fmt: skip
_IGNORED = (
    r"(eval_.*|save_.*|dataset.*|validation.*|preprocess.*|text_.*|tokenizer.*|dataloader.*|special_tokens.*)",
    r"(kernel_config.*|wandb_.*|prompt_.*|use_flash_attention.*)",
    r"(gradient_checkpointing_kwargs|lr_scheduler_kwargs|optim_args|torch_compile)[._].*",
)
# Names of transformers' TrainingArguments, TRL, LLaMA-Factory and axolotl.
_IGNORED_NAMES = (
    *("output_dir", "overwrite_output_dir", "overwrite_cache", "do_train", "do_eval", "do_predict", "do_sample"),
    *("eval", "eval_strategy", "eval_steps", "evaluation_strategy", "evals_per_epoch", "per_device_eval_batch_size"),
    *("saves_per_epoch", "save_strategy", "save_steps", "save_total_limit", "load_best_model_at_end", "report_to"),
    *("logging_dir", "logging_strategy", "logging_first_step", "logging_steps", "logging_nan_inf_filter", "log_level"),
    *("log_level_replica", "log_on_each_node", "log_completions", "run_name", "seed", "data_seed", "learning_rate"),
    *("lr_scheduler", "lr_scheduler_type", "lr_scheduler_kwargs", "lr_quadratic_warmup", "lr_groups"),
    *("warmup", "warmup_ratio", "warmup_steps", "weight_decay", "adam_beta1", "adam_beta2", "adam_beta3"),
    *("adam_epsilon", "adam_epsilon2", "max_grad_norm", "num_train_epochs", "num_epochs", "epochs", "train_file"),
    *("data_path", "data_dir", "data_files", "data_collator", "data_config", "data_shared_file_system", "template"),
    *("trust_remote_code", "cache_dir", "streaming", "push_to_hub", "hub_model_id", "hub_strategy", "hub_token"),
    *("hub_private_repo", "hub_always_push", "hub_revision", "resume_from_checkpoint", "resume_download"),
    *("ignore_data_skip", "remove_unused_columns", "ddp_timeout", "torch_dtype", "dtype", "val_set_size"),
    *("chat_template", "strict", "plugins", "model_type", "processor_type", "model_class", "quant_config"),
    *("dist_config.dcp_path", "train_dataset", "sample_backend", "max_new_tokens", "use_fast_tokenizer", "token"),
    *("stage", "plot_loss", "max_samples", "metric_for_best_model", "greater_is_better"),
    *("flash_attn", "flash_attention", "lora_alpha", "lora_dropout", "bias", "task_type"),
    *("gradient_checkpointing_kwargs", "disable_tqdm", "include_inputs_for_metrics", "include_for_metrics"),
    *("include_tokens_per_second", "include_num_input_tokens_seen", "group_by_length", "packing", "sample_packing"),
)
_FSDP_IGNORED = (
    r"(fsdp_config\.)?(fsdp_)?(auto_wrap.*|transformer_layer.*|backward_prefetch.*|forward_prefetch|state_dict.*|version)",
    r"(fsdp_config\.)?(fsdp_)?(use_orig.*|cpu_ram.*|sync_module.*|min_num.*|limit_all_gathers|xla.*)",
)


def read_hf_trainer(
    text: str,
    where: str,
    variables: Mapping[str, str] | None = None,
    *,
    folder: Path | None = None,
    devices: int | None = None,
) -> TrainingJob:
    """Job of training arguments.

    Parameters
    ----------
    folder
        Where files that they name are looked for.
    devices
        Devices of the job: they turn accumulation into the global batch.
    """
    is_command = not where.endswith((".yaml", ".yml", ".json")) and not _is_mapping(text)
    if is_command:
        launch = read_launch(text, where, variables)
        given = [Option(option.name.replace("-", "_"), option.values, option.where) for option in launch.options]
        started, per_node, notes = launch.devices, launch.devices_per_node, launch.notes
        given += [Option("accelerate_file", o.values, o.where) for o in launch.launcher if o.name == "config_file"]
        given = _with_files(launch.plain, given, folder or Path())
    else:
        given, started, per_node, notes = flat_yaml(text, where), None, None, ()
    o = Options(given, "--" if is_command else "")
    machines = None if started is None or per_node is None else max(1, started // per_node)
    reader = _Reader(o, folder or Path(), devices or started, machines)
    fields, profile = reader.layout()
    model = reader.model()
    seq_len, steps = o.count(*_LENGTHS), _steps(o)
    o.ignore(_IGNORED, _IGNORED_NAMES)
    for options in (o, *reader.files):
        options.check()
    strategy = Strategy(**fields)
    tokens = None if steps is None or seq_len is None else float(steps) * (strategy.global_batch or 0) * seq_len
    return TrainingJob.of_options(
        o,
        *reader.files,
        format="hf-trainer",
        model=model,
        strategy=strategy,
        seq_len=seq_len,
        framework=profile,
        devices=started or reader.of_accelerate,
        devices_per_node=per_node,
        train_tokens=tokens or None,
        notes=notes,
    )


def _with_files(plain: Sequence[Option], given: list[Option], folder: Path) -> list[Option]:
    """Options over those of YAML files that the command names, as `axolotl train config.yml` does."""
    stated = {option.name for option in given}
    for word in plain:
        path = folder / word.name
        if word.name.endswith((".yaml", ".yml")) and is_file(path):
            found = flat_yaml(config_text(path), str(path))
            given = [*(option for option in found if option.name not in stated), *given]
    return given


def _is_mapping(text: str) -> bool:
    first = next((line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")), "")
    return first.lstrip().startswith("{") or (
        ":" in first and "=" not in first.split(":")[0] and " " not in first.split(":")[0]
    )


def _steps(o: Options) -> int | None:
    option = o.get("max_steps")
    return None if option is None or str(option.values[0] if option.values else "") == "-1" else o.count("max_steps")


class _Reader:
    """Layout and model of training arguments; the files they name are options too."""

    def __init__(self, o: Options, folder: Path, devices: int | None, machines: int | None) -> None:
        self.o, self.folder, self.devices, self.machines = o, folder, devices, machines
        self.of_accelerate: int | None = None
        self.files: list[Options] = []

    def layout(self) -> tuple[dict[str, Any], str]:
        o = self.o
        fields, profile = self.sharding()
        fields |= self.precision(fields)
        micro = o.count("per_device_train_batch_size", "micro_batch_size", default=8)
        steps = o.count("gradient_accumulation_steps", default=1)
        fields["micro_batch"] = micro
        ranks = fields.get("tp", 1) * fields.get("cp", 1) * fields.get("pp", 1)
        if self.devices is not None:
            fields["global_batch"] = micro * steps * max(1, self.devices // ranks)
        elif steps > 1:
            o.notes.append("the global batch needs the number of devices: one micro-batch per replica is taken")
        kept = o.get("gradient_checkpointing")
        if kept is not None and kept.values == ("offload",):
            o.note(kept, "what is offloaded is simulated as kept on the device")
            fields["recompute"] = Recompute.FULL
        elif o.flag("gradient_checkpointing"):
            fields["recompute"] = Recompute.FULL
        attention = o.get("attn_implementation")
        if attention is not None and attention.values == ("eager",):
            o.note(attention, "fused attention is simulated: eager takes more time and memory")
        option = o.get("optim", "optimizer")
        if option is not None and option.values:
            found = _OPTIMIZERS.get(str(option.values[0]).lower())
            fields |= dict(zip(("optimizer", "optimizer_kernels"), found, strict=True)) if found else {}
            if found is None:
                o.note(option, "simulated as Adam")
        compiled = o.flag("torch_compile")
        if compiled and profile == "torchtitan-eager":
            profile = "torchtitan"
        return fields, profile

    def sharding(self) -> tuple[dict[str, Any], str]:
        """DeepSpeed, FSDP, or the file of `accelerate launch`; else plain data parallelism."""
        o = self.o
        o.refuse_both("deepspeed", "fsdp")
        kind = o.text("dist_config.name")  # LLaMA-Factory's later form
        json_file = o.get("deepspeed", "deepspeed_config", "dist_config.config_file")
        if json_file is not None and json_file.values:
            found = self.file(json_file)
            inner = self.inner([option for option in found if option.values != ("auto",)])
            fields = strategy_of(inner, None)
            inner.ignore((*deepspeed.IGNORED, "train_batch_size|train_micro.*|gradient_accumulation_steps"))
            fields.pop("global_batch")
            return fields, "deepspeed"
        fsdp = " ".join(o.texts("fsdp")).replace(",", " ").split()
        if (fsdp and fsdp[0] not in ("", "false", "[]", "None")) or o.has_section("fsdp_config") or kind == "fsdp2":
            o.notes.append(accelerate.FSDP_NOTE)
            return self.fsdp(fsdp), "torchtitan-eager"
        named = o.get("accelerate_file")
        if named is not None:
            inner = self.inner(self.file(named))
            fields, profile, self.of_accelerate = accelerate.accelerate_fields(inner)
            inner.ignore((*accelerate.IGNORED, "num_machines"))
            self.devices = self.devices or self.of_accelerate
            return fields, profile
        return {"overlap_param_gather": False}, "pytorch-ddp"

    def fsdp(self, words: list[str]) -> dict[str, Any]:
        o = self.o
        config = o.get("fsdp_config")
        extra = self.inner(self.file(config)) if config is not None and config.values else o
        prefix = "" if extra is not o else "fsdp_config."

        def named(name: str) -> tuple[str, str]:
            return f"{prefix}fsdp_{name}", f"{prefix}{name}"

        stated = extra.text(*named("sharding_strategy"), default=next((w for w in words if w in _SHARDED), "")).lower()
        o.count("fsdp_version")
        kind = stated or ("full_shard" if not words or "no_shard" not in words else "no_shard")
        resharding = {"true": True, "false": False, "full_shard": None, "shard_grad_op": False}
        reshard = extra.choice(*named("reshard_after_forward"), known=resharding, default=_SHARDED.get(kind))
        offload = extra.flag(*named("offload_params")) or "offload" in words
        fields: dict[str, Any] = {"zero": 0 if kind == "no_shard" else 3}
        fields["reshard_after_forward"] = reshard if fields["zero"] else None
        if kind.startswith("hybrid_shard"):
            fields |= accelerate.node_shards(o, self.machines)
        if extra.flag(*named("activation_checkpointing")):
            fields["recompute"] = Recompute.FULL
        if offload and fields["zero"]:
            fields |= {"offload_optimizer": True, "offload_parameters": True}
        extra.ignore(_FSDP_IGNORED)
        return fields

    def inner(self, found: list[Option]) -> Options:
        """Options of a file that is named, whose rest is the job's too."""
        self.files.append(Options(found))
        return self.files[-1]

    def file(self, option: Option) -> list[Option]:
        """Options of a file that an option names; none, and a note, where it is not there."""
        path = Path(str(option.values[0]))
        found = next((p for p in (path, self.folder / path, self.folder / path.name) if is_file(p)), None)
        if found is None:
            self.o.note(option, "the file was not found: its settings are not in the job")
            return []
        return flat_yaml(config_text(found), str(found))

    def precision(self, fields: dict[str, Any]) -> dict[str, Any]:
        o = self.o
        o.refuse_both("bf16", "fp16")
        wide = o.flag("tf32", default=True)
        words = {
            "true": True,
            "yes": True,
            "full": True,
            "auto": True,
            "1": True,
            "false": False,
            "no": False,
            "0": False,
        }
        brain, half = self.switch("bf16", words) or o.flag("pure_bf16"), self.switch("fp16", words)
        if brain or half:
            return {"precision": Precision.BF16 if brain else Precision.FP16}
        stated = fields.get("precision")
        return {"precision": stated or (Precision.TF32 if wide else Precision.FP32)}

    def switch(self, name: str, words: Mapping[str, bool]) -> bool:
        """A switch that may also be `auto` (axolotl: where the device can) or given without a value."""
        option = self.o.get(name)
        return option is not None and (not option.values or self.o.choice(name, known=words, default=False))

    def model(self) -> Model | None:
        o = self.o
        option = o.get(*_MODELS)
        name = str(option.values[0]) if option is not None and option.values else ""
        entry = entry_named_after(name)
        local = self.folder / name / "config.json" if name else Path()
        model = Model.from_hf(local) if name and is_file(local) else Model.from_catalog(entry.name) if entry else None
        if model is None and option is not None:
            o.note(option, "neither a folder with a config.json nor of the catalogue: give the model")
        return self.adapted(model)

    def adapted(self, model: Model | None) -> Model | None:
        """The model with LoRA adapters, where they are asked for."""
        o = self.o
        rank, wanted = o.count("lora_r", "lora_rank", "lora_target_rank"), o.flag("use_peft", "use_lora", "lora")
        kind = o.text("finetuning_type", "adapter")
        targets = [name for text in o.texts("lora_target_modules") for name in text.replace(",", " ").split()]
        targets += [name for text in o.texts("lora_target") for name in text.replace(",", " ").split()]
        if model is None or not (wanted or kind in ("lora", "qlora") or rank is not None):
            return model
        names = {_TARGETS[name] for name in targets if name in _TARGETS}
        o.notes.append("adapters of q, k and v are simulated as one of the joint projection")
        return with_lora(model, rank or 8, names or None)
