"""Megatron's options of a layout ↔ `Strategy`. What Megatron has no option for is refused, never dropped."""

from __future__ import annotations

import re
from typing import Any

from ..errors import Problems
from ..frameworks import FrameworkProfile
from ..parallel.choices import (
    Fp8Recipe,
    GradDtype,
    MuonTp,
    OffloadModule,
    OffloadTier,
    Optimizer,
    OptimizerKernels,
    PipelineTransfers,
    Precision,
    Recompute,
    RecomputeMethod,
    RecomputeModule,
    Schedule,
)
from ..parallel.expert_load import BALANCED, UNIFORM, Dispatcher
from ..parallel.strategy import Strategy
from .megatron_options import (
    COUNTS,
    CP_COMM,
    DISPATCHERS,
    FP8_RECIPES,
    METHODS,
    MUON_TP,
    OPTIMIZERS,
    RECOMPUTE,
    SHARDING,
    SWITCHES,
)
from .options import Options
from .unwritable import refuse_unwritable, refuse_values

__all__ = ["read_strategy", "write_strategy"]

TP_PP_DP = "tp-cp-ep-pp-dp"
MOST_STAGES = 4096
_REPEAT = re.compile(r"(\([^()]*\)|[tEmL|])\*(\d{1,4})")


def read_strategy(o: Options, layers: int) -> Strategy | None:
    """Layout that options describe; None where problems were recorded."""
    fields: dict[str, Any] = {name: o.count(option) for name, option in COUNTS.items()}
    fields["tp"] = fields["tp"] or o.count("model-parallel-size")
    fields |= {name: o.flag(option) for name, option in SWITCHES.items()}
    fields["vpp"] = fields["vpp"] or _vpp(o, layers, fields["pp"] or 1)
    fields["sequence_parallel"] = o.flag("sequence-parallel") and (fields["tp"] or 1) > 1
    fields |= _precision(o) | _optimizer(o) | _sharding(o) | _experts(o) | _context(o)
    fields |= _recompute(o)
    if "embedding" in o.text("pp-partition-method"):  # type:transformer|embedding of DeepSpeed's pipeline
        fields |= {"embedding_as_layer": True, "loss_as_layer": True}
    fields["layers_per_stage"] = _layout(o)
    fields["rank_order"] = TP_PP_DP if o.flag("use-tp-pp-dp-mapping") else None
    o.note_if("no-overlap-p2p-communication", "transfers are taken as the framework profile has them")
    _note_overlap(o)
    o.note_if("rampup-batch-size", "the full batch is simulated, not the ramp")
    o.note_if("step-batch-size-schedule", "the full batch is simulated, not the ramp")
    _note_kernels(o)
    o.note_if("moe-router-group-topk", "routing limited to groups of experts is not simulated")
    o.count("moe-router-num-groups")
    if len(o.problems):
        return None
    return Strategy(**{name: value for name, value in fields.items() if value is not None})


def _note_kernels(o: Options) -> None:
    """Kernels are those of the framework profile, which a script can contradict."""
    for name, values in (("transformer-impl", ("local",)), ("attention-backend", ("unfused", "local"))):
        option = o.get(name)
        if option is not None and o.text(name) in values:
            o.note(option, "kernels are those of the framework profile; megatron-lm-2022 has unfused attention")


def _vpp(o: Options, layers: int, pp: int) -> int | None:
    each = o.count("num-layers-per-virtual-pipeline-stage")
    if each is None:
        return None
    if layers % (pp * each) and (option := o.get("num-layers-per-virtual-pipeline-stage")) is not None:
        o.reject(option, f"a divisor of the {layers / pp:g} layers of a pipeline stage")
        return None
    return max(1, layers // (pp * each))


def _note_overlap(o: Options) -> None:
    """Overlap of tensor-parallel collectives with matmuls belongs to the framework profile."""
    for name in ("tp-comm-overlap", "no-tp-comm-overlap-ag", "no-tp-comm-overlap-rs", "tp-comm-overlap-rs-dgrad"):
        o.note_if(name, "taken as the framework profile has it; a profile with it: .replace(tp_overlap='userbuffers')")


def _precision(o: Options) -> dict[str, Any]:
    o.refuse_both("bf16", "fp16")
    o.refuse_both("fp8-format", "fp4-format")
    wide = Precision.FP16 if o.flag("fp16") else Precision.BF16 if o.flag("bf16") else Precision.FP32
    narrow = o.get("fp8-format", "fp8"), o.get("fp4-format", "fp4")
    precision = Precision.FP8 if narrow[0] else Precision.FP4 if narrow[1] else wide
    recipe = o.choice("fp8-recipe", known=FP8_RECIPES, default=Fp8Recipe.DELAYED)
    o.text("fp4-recipe")
    o.refuse_both("grad-reduce-in-bf16", "accumulate-allreduce-grads-in-fp32")
    grads = GradDtype.FP32 if o.flag("accumulate-allreduce-grads-in-fp32") else GradDtype.FRAMEWORK
    grads = GradDtype.BF16 if o.flag("grad-reduce-in-bf16") else grads
    fp8 = {"fp8_recipe": recipe} if precision is Precision.FP8 else {}
    return {"precision": precision, "grad_dtype": grads, **fp8}


def _optimizer(o: Options) -> dict[str, Any]:
    kind = o.choice("optimizer", known=OPTIMIZERS, default=Optimizer.ADAM)
    if kind is Optimizer.MOMENTUM and o.number("sgd-momentum", default=0.9) == 0:
        kind = Optimizer.SGD
    if o.flag("use-bnb-optimizer") and kind is Optimizer.ADAM:
        kind = Optimizer.ADAM_8BIT
    mode = o.choice("muon-tp-mode", known=MUON_TP, default=MuonTp.DUPLICATED)
    share = o.number("optimizer-offload-fraction", default=1.0)
    if share != 1.0 and (option := o.get("optimizer-offload-fraction")) is not None:
        o.note(option, "simulated as 1, all states on the host" if share else "simulated as 1")
    offload = OffloadTier.HOST if o.flag("optimizer-cpu-offload") else OffloadTier.NONE
    muon = {"muon_tp": mode} if kind is Optimizer.MUON else {}
    return {"optimizer": kind, "offload_optimizer": offload, **muon, **_activations(o)}


def _activations(o: Options) -> dict[str, Any]:
    """Inputs of modules that lie on the host between the passes."""
    known = {str(module.value): module for module in OffloadModule}
    names, option = o.texts("offload-modules"), o.get("offload-modules")
    share = o.number("activation-offload-fraction", default=1.0)
    if not o.flag("fine-grained-activation-offloading"):
        return {}
    if option is not None and (left_out := [name for name in names if name not in known]):
        o.note(option, f"simulated without {', '.join(left_out)}")
    found = tuple(known[name] for name in names if name in known)
    return {"offload_activations": share, "offload_modules": found} if found else {}


def _sharding(o: Options) -> dict[str, Any]:
    o.refuse_both("use-megatron-fsdp", "use-torch-fsdp2")
    stage = o.choice("data-parallel-sharding-strategy", known=SHARDING, default=3)
    fsdp = o.flag("use-megatron-fsdp", "use-custom-fsdp")
    distributed = 1 if o.flag("use-distributed-optimizer") else 0
    if "deepspeed" in o:  # the fork of DeepSpeed has a stage of its own
        distributed = o.count("zero-stage", default=distributed, minimum=0)
        if distributed > 3 and (option := o.get("zero-stage")) is not None:
            o.reject(option, "a stage from 0 to 3")
        return {"zero": min(distributed, 3)}
    if o.flag("use-torch-fsdp2"):
        keeps = o.flag("torch-fsdp2-no-reshard-after-forward")
        return {"zero": 3, "reshard_after_forward": False if keeps else None}
    return {"zero": stage if fsdp else distributed}


def _experts(o: Options) -> dict[str, Any]:
    dispatcher = o.choice("moe-token-dispatcher-type", known=DISPATCHERS, default=Dispatcher.ALLGATHER)
    deepep = o.flag("moe-enable-deepep")
    o.text("moe-flex-dispatcher-backend")
    capacity = o.number("moe-expert-capacity-factor", default=0.0)
    if "num-experts" not in o:
        return {}
    forced = o.flag("moe-router-force-load-balancing")  # logits at random
    return {
        "moe_dispatcher": Dispatcher.DEEPEP if deepep else dispatcher,
        "capacity_factor": capacity,
        "expert_load": UNIFORM if forced else BALANCED,
    }


def _context(o: Options) -> dict[str, Any]:
    kinds = o.texts("cp-comm-type")
    option = o.get("cp-comm-type")
    if option is not None and len(set(kinds)) > 1:
        o.note(option, f"one kind for all layers is simulated, {kinds[0]}")
    fields: dict[str, Any] = {}
    if ulysses := o.count("ds-sequence-parallel-size"):
        fields |= {"cp": ulysses, "cp_comm": "a2a"}
    if kinds:
        fields["cp_comm"] = o.choice("cp-comm-type", known=CP_COMM, default=None)
    if sizes := o.count("hierarchical-context-parallel-sizes"):
        fields["cp_a2a"] = sizes
    return fields


def _recompute(o: Options) -> dict[str, Any]:
    kind = o.choice("recompute-granularity", known=RECOMPUTE, default=Recompute.NONE)
    if o.flag("checkpoint-activations") | o.flag("deepspeed-activation-checkpointing"):
        kind = Recompute.FULL
    if o.flag("recompute-activations") and kind is Recompute.NONE:
        kind = Recompute.SELECTIVE
    method = o.choice("recompute-method", known=METHODS, default=RecomputeMethod.UNIFORM)
    number = o.count("recompute-num-layers", default=1, minimum=0)
    modules = _modules(o)
    if kind is Recompute.SELECTIVE:
        return {"recompute": kind, "recompute_modules": modules}
    if kind is not Recompute.FULL:
        return {"recompute": kind}
    layers = None if method is RecomputeMethod.UNIFORM and number < 2 else number
    return {"recompute": kind, "recompute_method": method, "recompute_layers": layers}


def _modules(o: Options) -> tuple[RecomputeModule, ...]:
    """Those that are simulated; core attention alone is the framework's own rule."""
    known = {str(module.value): module for module in RecomputeModule}
    names, option = o.texts("recompute-modules"), o.get("recompute-modules")
    left_out = [name for name in names if name not in known]
    if left_out and option is not None:
        o.note(option, f"simulated without {', '.join(left_out)}")
    found = tuple(dict.fromkeys(known[name] for name in names if name in known))
    return () if found == (RecomputeModule.CORE_ATTN,) else found


def _layout(o: Options) -> tuple[int, ...] | None:
    """Layers of each virtual stage from `Ett|(ttt|)*3L`; None where no layout is given."""
    option = o.get("pipeline-model-parallel-layout")
    if option is None or not option.values:
        return None
    text = str(option.values[0]).replace(",", "").replace(" ", "")
    for _ in range(8):
        if len(text) > 10_000 or (match := _REPEAT.search(text)) is None:
            break
        text = text[: match.start()] + match.group(1).strip("()") * int(match.group(2)) + text[match.end() :]
    stages = text.strip("|").split("|")
    if not re.fullmatch(r"[tEmL|]+", text) or len(stages) > MOST_STAGES:
        o.reject(option, "a layout such as Ett|(tt|)*30L")
        return None
    return tuple(stage.count("t") for stage in stages)


# --- writing ------------------------------------------------------------------------------------------------------


def write_strategy(s: Strategy, profile: FrameworkProfile, problems: Problems, *, routed: bool) -> dict[str, object]:
    """Options of a layout by name; True is a switch."""
    written = frozenset(COUNTS) | frozenset(SWITCHES) | _SPECIAL
    refuse_unwritable(s, "Megatron-LM", problems, written)
    _check_values(s, problems)
    options: dict[str, object] = {option: getattr(s, name) for name, option in COUNTS.items()}
    options |= {option: getattr(s, name) for name, option in SWITCHES.items()}
    for name in ("dp_replicas", "vpp"):
        options[COUNTS[name]] = getattr(s, name) if getattr(s, name) > 1 else None
    for name in ("first_rank_layers", "last_rank_layers", "micro_batch_group"):
        options[COUNTS[name]] = getattr(s, name) or None
    if not routed:
        options |= {COUNTS["ep"]: None, COUNTS["etp"]: None}
    options |= {
        "sequence-parallel": bool(s.sequence_parallel) and s.tp > 1,
        "use-tp-pp-dp-mapping": s.rank_order == TP_PP_DP,
        "pipeline-model-parallel-layout": _write_layout(s),
        "cp-comm-type": s.cp_comm.value if s.cp > 1 else None,  # type: ignore[union-attr]
        "hierarchical-context-parallel-sizes": (s.cp_a2a, s.cp // s.cp_a2a) if s.cp_a2a > 1 else None,
        "overlap-param-gather": s.overlap_param_gather and s.zero > 0,
        "overlap-grad-reduce": s.overlap_grad_reduce or (s.overlap_param_gather and s.zero > 0),
    }
    return options | _write_precision(s) | _write_recompute(s) | _write_states(s) | _write_experts(s, profile, routed)


_SPECIAL = frozenset(
    (
        *("offload_optimizer", "offload_activations", "offload_modules"),
        *("recompute_modules", "recompute_method", "recompute_layers"),
        *("dp", "zero", "recompute", "precision", "fp8_recipe", "grad_dtype", "optimizer", "muon_tp", "cp_comm"),
        *("cp_a2a", "rank_order", "layers_per_stage", "moe_dispatcher", "capacity_factor", "sequence_parallel"),
        *("reshard_after_forward", "schedule", "optimizer_kernels", "p2p", "int8_recipe", "expert_load"),
    )
)


def _check_values(s: Strategy, problems: Problems) -> None:
    """Record values of writable fields that Megatron cannot take."""
    known: dict[str, tuple[object, ...]] = {
        "schedule": (Schedule.ONE_F_ONE_B,),
        "expert_load": (BALANCED, UNIFORM),
        "precision": (Precision.FP32, Precision.BF16, Precision.FP16, Precision.FP8, Precision.FP4),
        "optimizer": (Optimizer.ADAM, Optimizer.MOMENTUM, Optimizer.SGD, Optimizer.MUON),
        "optimizer_kernels": (OptimizerKernels.FRAMEWORK,),
        "p2p": (PipelineTransfers.FRAMEWORK,),
        "offload_optimizer": (OffloadTier.NONE, OffloadTier.HOST),
        "recompute_method": (RecomputeMethod.UNIFORM, RecomputeMethod.BLOCK),
        "rank_order": ("tp-cp-ep-dp-pp", TP_PP_DP),
    }
    refuse_values(s, "Megatron-LM", problems, known)
    if s.offload_activations and not s.offload_modules:
        share = "0, or offload_modules beside it: Megatron-LM offloads inputs of modules"
        problems.add("strategy.offload_activations", s.offload_activations, share)
    if s.reshard_after_forward not in (None, True):
        problems.add("strategy.reshard_after_forward", s.reshard_after_forward, "the default in Megatron-LM")
    if s.sequence_parallel and s.tp == 1:
        problems.add("strategy.sequence_parallel", True, "tp > 1 beside it in Megatron-LM")
    if s.overlap_param_gather and s.zero and not s.overlap_grad_reduce:
        problems.add("strategy.overlap_grad_reduce", False, "true beside overlap_param_gather in Megatron-LM")


def _write_layout(s: Strategy) -> str | None:
    if not s.layers_per_stage:
        return None
    return "E" + "|".join("t" * count for count in s.layers_per_stage) + "L"


def _write_precision(s: Strategy) -> dict[str, object]:
    return {
        "bf16": s.precision in (Precision.BF16, Precision.FP8, Precision.FP4),
        "fp16": s.precision is Precision.FP16,
        "fp8-format": "hybrid" if s.precision is Precision.FP8 else None,
        "fp8-recipe": s.fp8_recipe.value if s.precision is Precision.FP8 else None,  # type: ignore[union-attr]
        "fp4-format": "e2m1" if s.precision is Precision.FP4 else None,
        "grad-reduce-in-bf16": s.grad_dtype is GradDtype.BF16,
        "accumulate-allreduce-grads-in-fp32": s.grad_dtype is GradDtype.FP32,
    }


def _write_recompute(s: Strategy) -> dict[str, object]:
    full = s.recompute is Recompute.FULL
    return {
        "recompute-granularity": None if s.recompute is Recompute.NONE else s.recompute.value,  # type: ignore[union-attr]
        "recompute-method": s.recompute_method.value if full else None,  # type: ignore[union-attr]
        "recompute-num-layers": (1 if s.recompute_layers is None else s.recompute_layers) if full else None,
        "recompute-modules": tuple(module.value for module in s.recompute_modules) or None,  # type: ignore[union-attr]
    }


def _write_states(s: Strategy) -> dict[str, object]:
    kinds: dict[object, str] = {Optimizer.MUON: "muon", Optimizer.MOMENTUM: "sgd", Optimizer.SGD: "sgd"}
    kind = kinds.get(s.optimizer)
    sharding = {stage: name for name, stage in SHARDING.items()}
    fsdp = s.zero > 1
    return {
        "use-distributed-optimizer": s.zero > 0,
        "use-megatron-fsdp": fsdp,
        "data-parallel-sharding-strategy": sharding[s.zero] if fsdp else None,
        "ckpt-format": "fsdp_dtensor" if fsdp else None,  # arguments.py asserts it
        "optimizer-cpu-offload": s.offload_optimizer is OffloadTier.HOST,
        "fine-grained-activation-offloading": s.offload_activations > 0,
        "offload-modules": tuple(module.value for module in s.offload_modules) or None,  # type: ignore[union-attr]
        "activation-offload-fraction": s.offload_activations if 0 < s.offload_activations < 1 else None,
        "optimizer": kind,
        "sgd-momentum": "0.0" if s.optimizer is Optimizer.SGD else None,
        "muon-tp-mode": s.muon_tp.value if kind == "muon" else None,  # type: ignore[union-attr]
    }


def _write_experts(s: Strategy, profile: FrameworkProfile, routed: bool) -> dict[str, object]:
    if not routed:
        return {}
    kind = profile.moe_dispatcher if s.moe_dispatcher is Dispatcher.FRAMEWORK else s.moe_dispatcher.value  # type: ignore[union-attr]
    return {
        "moe-token-dispatcher-type": "flex" if kind == "deepep" else kind,
        "moe-flex-dispatcher-backend": "deepep" if kind == "deepep" else None,
        "moe-expert-capacity-factor": s.capacity_factor or None,
        "moe-router-force-load-balancing": s.expert_load == UNIFORM,
    }
