"""torchtitan: TOML files and flags → jobs.

Names read in pytorch/torchtitan 238fa995 (2026-02, the last with TOML files: config/job_config.py,
distributed/pipeline_parallel.py, models/*/__init__.py), 6b03ffa3 (2024-12) and b5bcd76c (2026-08, recipe functions and
counts of tokens: config/configs.py, models/*/config_registry.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._files import is_file
from ..errors import DtsError
from ..models import Model
from ..parallel.choices import (
    ContextComm,
    Fp8Recipe,
    Optimizer,
    OptimizerKernels,
    Precision,
    Recompute,
    RecomputeMethod,
    Schedule,
)
from ..parallel.expert_load import Dispatcher
from ..parallel.strategy import Strategy
from .launch import Launch, read_launch
from .located import config_text, flat_toml
from .options import Option, Options
from .training_job import TrainingJob

__all__ = ["FLAVORS", "SCHEDULES", "cut_stages", "model_flavor", "read_torchtitan"]

FLAVORS: Mapping[tuple[str, str], str] = {
    ("llama3", "8B"): "llama-3.1-8b",
    ("llama3", "70B"): "llama-3.1-70b",
    ("llama3", "405B"): "llama-3.1-405b",
    ("deepseek_v3", "16B"): "deepseek-v2-lite",
    ("deepseek_v3", "236B"): "deepseek-v2",
    ("deepseek_v3", "671B"): "deepseek-v3",
    ("qwen3", "0.6B"): "qwen3-0.6b",
    ("qwen3", "1.7B"): "qwen3-1.7b",
    ("qwen3", "4B"): "qwen3-4b",
    ("qwen3", "8B"): "qwen3-8b",
    ("qwen3", "14B"): "qwen3-14b",
    ("qwen3", "32B"): "qwen3-32b",
    ("qwen3", "30B-A3B"): "qwen3-30b-a3b",
    ("qwen3", "235B-A22B"): "qwen3-235b-a22b",
    ("llama4", "17bx16e"): "llama-4-scout",
    ("llama4", "17bx128e"): "llama-4-maverick",
    ("gpt_oss", "20b"): "gpt-oss-20b",
    ("gpt_oss", "120b"): "gpt-oss-120b",
}
# Schedule by its name, and whether a rank holds several stages.
SCHEDULES: Mapping[str, tuple[Schedule, bool]] = {
    "1f1b": (Schedule.ONE_F_ONE_B, False),
    "gpipe": (Schedule.GPIPE, False),
    "interleaved1f1b": (Schedule.ONE_F_ONE_B, True),
    "loopedbfs": (Schedule.LOOPED_BFS, True),
    "zbvzerobubble": (Schedule.ZB_V, True),
    "dualpipev": (Schedule.DUALPIPE_V, True),
}
_RECOMPUTE = {
    "none": Recompute.NONE,
    "selective": Recompute.SELECTIVE,
    "full": Recompute.FULL,
}
_KERNELS = {"for-loop": OptimizerKernels.FOREACH, "foreach": OptimizerKernels.FOREACH, "fused": OptimizerKernels.FUSED}
_IGNORED = (
    r"(job|profiling|profiler|metrics|checkpoint|comm|validation|validator|fault_tolerance|lr_scheduler|debug)\..*",
    r"(memory_estimation|dataloader|hf_assets_path|experimental\.custom.*)(\..*)?",
    r"model\.(hf_assets_path|tokenizer_path|print_after_conversion|norm_type)",
    r"optimizer\.(lr|beta1|beta2|eps|weight_decay|early_step_in_backward)",
    r"training\.(dataset.*|max_norm|warmup_steps|gc_freq|gc_debug|seed|deterministic|dataloader.*|dtype)",
    r"(training|parallelism)\.(disable_)?(enable_)?loss_parallel|compile\.(backend|components|passes)",
    r"quantize\..*\.(filter_fqns|emulate|fqns|mxfp8_dim1.*|precompute.*|enable_fsdp_float8.*)|float8\.(filter.*|pre.*)",
    r"activation_checkpoint\.(per_op.*|early_stop|memory_budget|visual.*|preserve.*|determinism.*|debug)",
    r"parallelism\.(context_parallel_(load_balancer|ptrr.*)|module_fqns.*|spmd_backend|pipeline_parallel_schedule_csv)",
)


def read_torchtitan(
    text: str,
    where: str,
    variables: Mapping[str, str] | None = None,
    *,
    folder: Path | None = None,
    devices: int | None = None,
) -> TrainingJob:
    """Job of a TOML file, or of a command that names one and overrides it by flags.

    Parameters
    ----------
    folder
        Where a TOML file that a command names is looked for.
    devices
        Devices of the job, where the command does not say.
    """
    if where.endswith(".toml"):
        launch, given = Launch("", (), (), (), None, None, ()), flat_toml(text, where)
        notes: list[str] = []
    else:
        launch = read_launch(text, where, variables)
        given, notes = _with_file(launch, folder)
    o = Options(given, "--" if launch.program else "")
    o.notes += notes
    devices = devices or launch.devices
    model = _model(o)
    strategy, seq_len = _Reader(o, model, devices).read()
    steps = o.count("training.steps", default=0, minimum=0)
    o.ignore(_IGNORED)
    o.check()
    assert strategy is not None  # or a problem was recorded
    tokens = float(steps) * (strategy.global_batch or 0) * (seq_len or 0) or None
    return TrainingJob.of_options(
        o,
        format="torchtitan",
        model=model,
        strategy=strategy,
        seq_len=seq_len,
        framework=_profile(o),
        devices=launch.devices,
        devices_per_node=launch.devices_per_node,
        train_tokens=tokens,
        notes=launch.notes,
    )


def _with_file(launch: Launch, folder: Path | None) -> tuple[list[Option], list[str]]:
    """Flags over the options of the TOML file that they name."""
    flags = [option for option in launch.options if "." in option.name or option.name in ("module", "config")]
    flags = [Option(option.name.replace("-", "_"), option.values, option.where) for option in flags]
    named = next((option for option in flags if option.name == "job.config_file"), None)
    if named is None or not named.values:
        return flags, []
    path = Path(str(named.values[0]))
    found = next((p for p in (path, (folder or Path()) / path, (folder or Path()) / path.name) if is_file(p)), None)
    if found is None:
        return flags, [f"{named.where}: {path} was not found: only the flags are read, not the file"]
    stated = {option.name for option in flags}
    from_file = flat_toml(config_text(found), str(found))
    return [*(option for option in from_file if option.name not in stated), *flags], []


def _model(o: Options) -> Model | None:
    """Model of a name and flavor, or of a recipe function such as `llama3_8b`."""
    name, flavor = o.text("model.name", "module", default="llama3"), o.text("model.flavor")
    option = o.get("model.flavor", "config")
    recipe = o.text("config")
    for (known, size), entry in FLAVORS.items():
        plain = f"{known}_{size}".lower().replace("-", "_").replace(".", "_")
        if (known, size) == (name, flavor.removesuffix("_flex").removesuffix("_varlen")) or recipe == plain:
            return Model.from_catalog(entry)
    if option is None:
        o.notes.append("the options name no model: give one")
    else:
        listed = ", ".join(size for known, size in FLAVORS if known == name) or ", ".join({n for n, _ in FLAVORS})
        o.note(option, f"a model of {name} that the catalogue does not hold (it has {listed}): give one")
    return None


_SECTIONS = ("parallelism", "training", "experimental")  # where releases of torchtitan kept the degrees


class _Reader:
    """Layout of torchtitan's options; dp and pipeline splits follow from the model and the number of devices."""

    def __init__(self, o: Options, model: Model | None, devices: int | None) -> None:
        self.o, self.model, self.devices = o, model, devices

    def degree(self, name: str) -> int:
        names = [f"{section}.{name}" for section in _SECTIONS]
        return self.o.count(*names, default=1)

    def read(self) -> tuple[Strategy | None, int | None]:
        o = self.o
        seq_len = o.count("training.seq_len", "training.max_context_length", default=2048)
        tp, pp, cp = (self.degree(f"{axis}_parallel_degree") for axis in ("tensor", "pipeline", "context"))
        fields: dict[str, Any] = {"tp": tp, "pp": pp, "cp": cp, "ep": self.degree("expert_parallel_degree")}
        fields["etp"] = o.count("parallelism.expert_tensor_parallel_degree")
        fields["sequence_parallel"] = tp > 1 and o.flag("parallelism.enable_sequence_parallel", default=True)
        fields |= self.data_parallel(tp * pp * cp) | self.pipeline(pp) | _kernels(o) | _precision(o)
        fields["cp_comm"] = o.choice(
            *("parallelism.context_parallel_rotate_method", "experimental.context_parallel_rotate_method"),
            known={"allgather": ContextComm.ALL_GATHER, "alltoall": ContextComm.P2P},
            default=ContextComm.ALL_GATHER if cp > 1 else None,
        )
        kinds = {"standard": Dispatcher.ALLTOALL, "deepep": Dispatcher.DEEPEP}
        fields["moe_dispatcher"] = o.choice("parallelism.expert_parallel_comm_backend", known=kinds, default=None)
        fields |= self.recompute()
        fields |= self.batch(seq_len, fields)
        if len(o.problems):
            return None, None
        return Strategy(**{name: value for name, value in fields.items() if value is not None}), seq_len

    def data_parallel(self, model_ranks: int) -> dict[str, Any]:
        o = self.o
        replicas = self.degree("data_parallel_replicate_degree")
        shard = o.get("parallelism.data_parallel_shard_degree", "training.data_parallel_shard_degree")
        whole = shard is None or str(shard.values[0] if shard.values else "") == "-1"
        degree = None if whole else self.degree("data_parallel_shard_degree")
        keeps = {"default": None, "always": True, "never": False}
        reshard = o.choice("parallelism.fsdp_reshard_after_forward", known=keeps, default=None)
        offload = o.flag("training.enable_cpu_offload")
        if degree == 1:
            return {"zero": 0, "dp": replicas}
        dp = None if degree is None else replicas * degree
        if dp is not None and self.devices is not None and dp * model_ranks != self.devices and shard is not None:
            o.reject(shard, f"degrees whose product is the {self.devices} devices")
        sharded = {"zero": 3, "dp": dp, "dp_replicas": replicas, "reshard_after_forward": reshard}
        return sharded | ({"offload_optimizer": True, "offload_parameters": True} if offload else {})

    def pipeline(self, pp: int) -> dict[str, Any]:
        o = self.o
        schedule, several = o.choice(
            *("parallelism.pipeline_parallel_schedule", "experimental.pipeline_parallel_schedule"),
            known=SCHEDULES,
            default=(Schedule.ONE_F_ONE_B, False),
        )
        first = o.count("parallelism.pipeline_parallel_first_stage_less_layers", default=1, minimum=0)
        last = o.count("parallelism.pipeline_parallel_last_stage_less_layers", default=1, minimum=0)
        each = o.count("parallelism.pipeline_parallel_layers_per_stage")
        if pp == 1:
            return {}
        layers = 0 if self.model is None else sum(run.repeat for run in self.model.layers)
        stages = math.ceil((layers + first + last) / each) if each and layers else pp * (2 if several else 1)
        if stages % pp and (option := o.get("parallelism.pipeline_parallel_layers_per_stage")) is not None:
            o.reject(option, f"a number that gives a multiple of {pp} stages, not {stages}")
            return {}
        given = o.get(*(f"{section}.pipeline_parallel_degree" for section in _SECTIONS))
        if layers and stages > layers + first + last and given is not None:
            o.reject(given, f"at most a stage for each of the {layers} layers, not {stages} stages")
            return {}
        found = cut_stages(layers, stages, first, last) if layers else ()
        return {"schedule": schedule, "vpp": stages // pp, "layers_per_stage": found}

    def batch(self, seq_len: int, fields: dict[str, Any]) -> dict[str, Any]:
        """Micro-batches are the local batch, or of one size under a pipeline; the 2026 form counts tokens."""
        o, pp = self.o, fields["pp"]
        tokens = o.count("training.num_tokens_per_microbatch_per_dp_rank")
        whole_tokens = _unless_minus_one(o, "training.num_tokens_per_train_step")
        many = o.count("parallelism.num_pp_microbatches", "experimental.pipeline_parallel_microbatches")
        micro = o.count("parallelism.pipeline_parallel_microbatch_size", default=1)
        local = o.count("training.local_batch_size", "training.batch_size", default=8)
        whole = _unless_minus_one(o, "training.global_batch_size")
        if tokens is not None:
            micro, local = max(1, tokens // seq_len), max(1, tokens // seq_len) * (many or 1 if pp > 1 else 1)
            whole = None if whole_tokens is None else whole_tokens // seq_len
        elif pp == 1:
            micro = local
        elif many:
            micro = max(1, local // many)
        if whole is None and local != micro:
            dp = fields.get("dp") or (self.devices or 0) // (fields["tp"] * pp * fields["cp"])
            if not dp:
                o.notes.append("the global batch needs the number of devices: one micro-batch per replica is taken")
                return {"micro_batch": micro}
            whole = local * dp
        return {"micro_batch": micro, "global_batch": whole}

    def recompute(self) -> dict[str, Any]:
        o = self.o
        option = o.get("activation_checkpoint.mode")
        if option is not None and option.values == ("memory_budget",):
            o.note(option, "simulated as selective")
            return {"recompute": Recompute.SELECTIVE}
        kind = o.choice("activation_checkpoint.mode", known=_RECOMPUTE, default=Recompute.SELECTIVE)
        every = o.text("activation_checkpoint.selective_ac_option", default="2")
        if kind is Recompute.SELECTIVE and every != "op":
            layers = o.count("activation_checkpoint.selective_ac_option", default=2)
            return {"recompute": Recompute.FULL, "recompute_method": RecomputeMethod.EVERY, "recompute_layers": layers}
        return {"recompute": kind}


def _unless_minus_one(o: Options, name: str) -> int | None:
    option = o.get(name)
    return None if option is None or str(option.values[0] if option.values else "") == "-1" else o.count(name)


def cut_stages(layers: int, stages: int, first: int, last: int) -> tuple[int, ...]:
    """Layers of each stage: even, the embedding and the output counted as so many layers (`pipeline_parallel.py`)."""
    each, extra = divmod(layers + first + last, stages)
    counts = [each + (stage < extra) for stage in range(stages)]
    counts[0] -= first
    counts[-1] -= last
    return tuple(max(0, count) for count in counts)


def _kernels(o: Options) -> dict[str, Any]:
    names = {"adamw": Optimizer.ADAM, "adam": Optimizer.ADAM, "muon": Optimizer.MUON}
    kind = o.choice("optimizer.name", known=names, default=Optimizer.ADAM)
    default = OptimizerKernels.FRAMEWORK
    kernels = o.choice("optimizer.implementation", known=_KERNELS, default=default)
    if "optimizer.fused" in o:
        kernels = OptimizerKernels.FUSED if o.flag("optimizer.fused") else OptimizerKernels.FOREACH
    return {"optimizer": kind, "optimizer_kernels": kernels}


def _precision(o: Options) -> dict[str, Any]:
    converters = " ".join(o.texts("model.converters"))
    recipe = o.text("quantize.linear.float8.recipe_name", "float8.recipe_name", default="tensorwise")
    o.text("quantize.linear.mx.recipe_name", "mx.recipe_name")
    old = o.flag("float8.enable_float8_linear", "float8.enable_fsdp_float8_all_gather")
    wide = o.text("training.mixed_precision_param", default="bfloat16")
    o.text("training.mixed_precision_reduce")
    if "mx" in converters:
        return {"precision": Precision.FP8, "fp8_recipe": Fp8Recipe.MXFP8}
    if "float8" in converters or old:
        if recipe not in ("tensorwise", "None") and (option := o.get("quantize.linear.float8.recipe_name")):
            o.note(option, "simulated with one scale per tensor")
        return {"precision": Precision.FP8, "fp8_recipe": Fp8Recipe.TENSORWISE}
    return {"precision": Precision.FP32 if wide == "float32" else Precision.BF16}


def _profile(o: Options) -> str:
    if "config" in o or "training.num_tokens_per_microbatch_per_dp_rank" in o:
        o.flag("compile.enable")
        return "torchtitan-2026"
    since_2025 = "compile.enable" in o or "training.local_batch_size" in o  # the loss is compiled as well
    compiled = o.flag("compile.enable", "training.compile")
    names = [f"{section}.enable_async_tensor_parallel" for section in ("parallelism", "experimental", "compile")]
    overlaps = o.flag(*names)
    if not compiled:
        return "torchtitan-eager"
    return ("torchtitan-2025" if since_2025 else "torchtitan") + ("-async-tp" if overlaps else "")


def model_flavor(model: Model) -> tuple[str, str] | None:
    """torchtitan's name and flavor of a model of the catalogue; None where it has none."""
    for names, entry in FLAVORS.items():
        try:
            if entry == model.name and Model.from_catalog(entry) == model:
                return names
        except DtsError:
            continue
    return None
