"""nanotron YAML ↔ jobs. Names read in huggingface/nanotron 2411b022 (2026-04): src/nanotron/config."""

from __future__ import annotations

import math
from typing import Any

from ..errors import Problems
from ..frameworks import FrameworkProfile
from ..hardware import Cluster
from ..models import Model
from ..models.transformer import RMS, Attention, Experts, Mlp
from ..parallel import Strategy
from ..parallel.choices import (
    ContextComm,
    GradDtype,
    Optimizer,
    OptimizerKernels,
    PipelineTransfers,
    Precision,
    Recompute,
    Schedule,
)
from ..parallel.expert_load import Dispatcher
from .decoder_shape import DecoderShape, build_decoder, shape_of
from .located import flat_yaml
from .options import Options
from .training_job import TrainingJob
from .unwritable import refuse_unwritable, refuse_values

__all__ = ["read_nanotron", "write_nanotron"]

_CONFIG = "model.model_config."
_IGNORED = (
    r"(checkpoints|data_stages|general|lighteval|logging|metrics_logging|profiler|tokenizer|s3_upload)(\..*)?",
    r"optimizer\.(clip_grad|learning_rate_scheduler.*|weight_decay.*|optimizer_factory\.(?!name|torch).*)",
    r"model\.(init_method.*|ddp_bucket_cap_mb|make_vocab_size_divisible_by)",
    r"model\.model_config\.(bos.*|eos.*|pad.*|pretraining_tp|rms_norm_eps|rope_.*|initializer_range|use_cache|z_loss.*)",
    r"model\.model_config\.(_.*|max_position_embeddings|is_.*|flex.*|log_attn.*|ring_attn.*|router_aux.*)",
    r"model\.model_config\.moe_config\.router_aux_loss_coef",
    r"optimizer\.(adam_.*|torch_adam.*)|parallelism\.moe_layer_recompute|model\.model_config\.interleaved_rotary",
    r"tokens\.(limit.*|val_check_interval)|parallelism\.(tp_linear_async.*|tp_recompute_allgather)",
)


def read_nanotron(text: str, where: str) -> TrainingJob:
    """Job of a nanotron configuration."""
    o = Options(flat_yaml(text, where))
    shape = _shape(o)
    strategy = _strategy(o)
    seq_len, steps = o.count("tokens.sequence_length"), o.count("tokens.train_steps", default=0, minimum=0)
    if seq_len is None and o.lacks("tokens.sequence_length"):
        o.problems.add(f"{where}: tokens.sequence_length", None, "a whole number: the key is required")
    o.ignore(_IGNORED)
    o.check()
    assert shape is not None  # or a problem was recorded
    assert strategy is not None
    tokens = float(steps) * (strategy.global_batch or 0) * (seq_len or 0)
    axes = (strategy.dp, strategy.tp, strategy.pp, strategy.cp)
    return TrainingJob.of_options(
        o,
        format="nanotron",
        model=build_decoder(shape, "nanotron model"),
        strategy=strategy,
        seq_len=seq_len,
        framework="nanotron",
        devices=math.prod(axis or 1 for axis in axes),
        train_tokens=tokens or None,
    )


def _shape(o: Options) -> DecoderShape | None:
    c = _CONFIG
    sizes = {
        name: o.count(c + name)
        for name in ("num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size", "vocab_size")
    }
    for name, value in sizes.items():
        if value is None and o.lacks(c + name):
            o.problems.add(c + name, None, "a whole number: the key is required")
    bias, activation = o.flag(c + "attention_bias"), o.text(c + "hidden_act", default="silu")
    kinds = {"silu": "swiglu", "gelu": "geglu"}
    if activation not in kinds and (option := o.get(c + "hidden_act")) is not None:
        o.reject(option, "silu or gelu")
    layers, hidden, heads, ffn, vocabulary = sizes.values()
    kv_heads = o.count(c + "num_key_value_heads", default=heads)
    tied = o.flag(c + "tie_word_embeddings")
    window = o.get(c + "sliding_window_size")
    if window is not None and window.values != (None,):
        o.note(window, "simulated with full attention")
    experts = _experts(o, layers or 1)
    if layers is None or hidden is None or heads is None or ffn is None or vocabulary is None or kv_heads is None:
        return None
    if hidden % heads or heads % kv_heads:
        o.problems.add(c + "num_attention_heads", heads, f"a divisor of {hidden} and a multiple of {kv_heads} kv heads")
        return None
    return DecoderShape(
        layers=layers,
        hidden=hidden,
        attention=Attention(heads, kv_heads, hidden // heads, qkv_bias=bias),
        ffn=ffn,
        vocabulary=vocabulary,
        activation=kinds.get(activation, "swiglu"),
        norm=RMS,
        tied=tied,
        experts=experts[0],
        routed=experts[1],
    )


def _experts(o: Options, layers: int) -> tuple[Experts | None, tuple[bool, ...]]:
    m = _CONFIG + "moe_config."
    if m + "num_experts" not in o:
        o.get(_CONFIG + "moe_config")
        return None, ()
    number, top_k = o.count(m + "num_experts", default=8), o.count(m + "top_k", default=2)
    width, shared = o.count(m + "moe_intermediate_size", default=1408), o.flag(m + "enable_shared_expert")
    shared_width = o.count(m + "shared_expert_intermediate_size", default=5632)
    listed = o.get(m + "layers")
    chosen = {-1} if listed is None else {int(v) for v in listed.values if isinstance(v, int)}
    routed = () if chosen == {-1} else tuple(layer in chosen for layer in range(layers))
    if top_k > number and (option := o.get(m + "top_k")) is not None:
        o.reject(option, f"at most the {number} experts")
        return None, ()
    return Experts(number, top_k, width, shared=Mlp(shared_width) if shared else None), routed


def _strategy(o: Options) -> Strategy | None:
    fields: dict[str, Any] = {axis: o.count(f"parallelism.{axis}", default=1) for axis in ("dp", "tp", "pp")}
    fields |= {field: o.count(f"parallelism.{axis}_parallel_size", default=1) for field, axis in _LONG.items()}
    modes = {"reduce_scatter": True, "all_reduce": False}
    sequence = o.choice("parallelism.tp_mode", known=modes, default=False)
    engines = {"1f1b": Schedule.ONE_F_ONE_B, "afab": Schedule.GPIPE}
    fields["schedule"] = o.choice("parallelism.pp_engine", known=engines, default=Schedule.GPIPE)
    fields["recompute"] = Recompute.FULL if o.flag("parallelism.recompute_layer") else Recompute.NONE
    micro, steps = (o.count(f"tokens.{k}", default=1) for k in ("micro_batch_size", "batch_accumulation_per_replica"))
    fields |= {"micro_batch": micro, "global_batch": micro * steps * fields["dp"]}
    kinds = {"alltoall": Dispatcher.ALLTOALL, "allgather": Dispatcher.ALLGATHER}
    dispatcher = o.choice(_CONFIG + "moe_config.token_dispatcher_type", known=kinds, default=Dispatcher.ALLTOALL)
    if _CONFIG + "moe_config.num_experts" in o:
        fields["moe_dispatcher"] = dispatcher
    fields |= _states(o)
    if len(o.problems):
        return None
    return Strategy(sequence_parallel=sequence and fields["tp"] > 1, **fields)


_LONG = {"cp": "context", "ep": "expert"}


def _states(o: Options) -> dict[str, Any]:
    """Precision, optimizer and sharding; reductions run in buckets beside the last backward only without ZeRO."""
    zero = o.count("optimizer.zero_stage", default=0, minimum=0)
    if zero > 1 and (option := o.get("optimizer.zero_stage")) is not None:
        o.reject(option, "stage 0 or 1: nanotron has no others")
    types = {"bfloat16": Precision.BF16, "float16": Precision.FP16, "float32": Precision.FP32}
    names = {"adamw": Optimizer.ADAM, "sgd": Optimizer.SGD}
    o.get("optimizer.optimizer_factory.torch_adam_is_fused")
    wide = o.flag("optimizer.accumulate_grad_in_fp32", default=True)
    return {
        "zero": zero,
        "overlap_grad_reduce": zero == 0,
        "overlap_param_gather": False,
        "grad_dtype": GradDtype.FRAMEWORK if wide else GradDtype.BF16,
        "precision": o.choice("model.dtype", known=types, default=Precision.BF16),
        "optimizer": o.choice("optimizer.optimizer_factory.name", known=names, default=Optimizer.ADAM),
    }


_WRITABLE = frozenset(
    (
        *("dp", "tp", "pp", "cp", "ep", "etp", "sequence_parallel", "zero", "micro_batch", "global_batch"),
        *("recompute", "schedule", "precision", "optimizer", "grad_dtype", "moe_dispatcher", "optimizer_kernels"),
        *("overlap_grad_reduce", "overlap_param_gather", "fp8_recipe", "int8_recipe", "p2p", "cp_comm", "muon_tp"),
    )
)


def write_nanotron(model: Model, cluster: Cluster, strategy: Strategy, seq_len: int, profile: FrameworkProfile) -> str:
    """A nanotron configuration of the job.

    Raises
    ------
    ConfigError
        Listing what of the job nanotron has no key for.
    """
    import yaml

    s, shape, problems = strategy.resolved(cluster.device_count), shape_of(model), Problems()
    refuse_unwritable(s, "nanotron", problems, _WRITABLE)
    _check_values(s, shape, problems)
    problems.raise_if_any()
    content = {
        "general": {"project": "dts", "run": "planned", "seed": 42, "ignore_sanity_checks": True},
        "checkpoints": {"checkpoints_path": "checkpoints", "checkpoint_interval": 1000},
        "parallelism": _parallelism(s),
        "model": {
            "dtype": _DTYPES[Precision(s.precision)],
            "init_method": {"std": 0.02},
            "model_config": _model_config(shape, s, seq_len),
        },
        "optimizer": _optimizer(s),
        "tokens": {
            "sequence_length": seq_len,
            "micro_batch_size": s.micro_batch,
            "batch_accumulation_per_replica": max(1, (s.global_batch or 1) // (s.micro_batch * (s.dp or 1))),
            "train_steps": 1000,
        },
        "data_stages": [
            {"name": "main", "start_training_step": 1, "data": {"dataset": None, "num_loading_workers": 1, "seed": 42}}
        ],
    }
    return str(yaml.safe_dump(content, sort_keys=False))


_DTYPES = {Precision.BF16: "bfloat16", Precision.FP16: "float16", Precision.FP32: "float32"}


def _parallelism(s: Strategy) -> dict[str, Any]:
    return {
        "dp": s.dp,
        "tp": s.tp,
        "pp": s.pp,
        "context_parallel_size": s.cp,
        "expert_parallel_size": s.ep,
        "pp_engine": "1f1b" if s.schedule is Schedule.ONE_F_ONE_B else "afab",
        "tp_mode": "REDUCE_SCATTER" if s.sequence_parallel or s.tp == 1 else "ALL_REDUCE",
        "tp_linear_async_communication": bool(s.sequence_parallel),
        "recompute_layer": s.recompute is Recompute.FULL,
    }


def _optimizer(s: Strategy) -> dict[str, Any]:
    adam = {"name": "adamW", "adam_beta1": 0.9, "adam_beta2": 0.95, "adam_eps": 1e-08, "torch_adam_is_fused": True}
    return {
        "zero_stage": s.zero,
        "weight_decay": 0.01,
        "clip_grad": 1.0,
        "accumulate_grad_in_fp32": s.grad_dtype is not GradDtype.BF16,
        "optimizer_factory": adam if s.optimizer is Optimizer.ADAM else {"name": "sgd"},
        "learning_rate_scheduler": {"learning_rate": 0.0003, "lr_warmup_steps": 100, "min_decay_lr": 1e-05},
    }


def _model_config(shape: DecoderShape, s: Strategy, seq_len: int) -> dict[str, Any]:
    a, e = shape.attention, shape.experts
    config: dict[str, Any] = {
        "is_qwen2_config" if e or a.qkv_bias else "is_llama_config": True,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.ffn,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": a.heads,
        "num_key_value_heads": a.kv_heads,
        "vocab_size": shape.vocabulary,
        "hidden_act": "silu",
        "attention_bias": a.qkv_bias,
        "tie_word_embeddings": shape.tied,
        "max_position_embeddings": seq_len,
    }
    if e:
        config["moe_config"] = {
            "num_experts": e.experts,
            "top_k": e.top_k,
            "moe_intermediate_size": e.features,
            "enable_shared_expert": e.shared is not None,
            "layers": [i for i, has in enumerate(shape.routed) if has] or [-1],
            "token_dispatcher_type": "allgather" if s.moe_dispatcher is Dispatcher.ALLGATHER else "alltoall",
        } | ({"shared_expert_intermediate_size": e.shared.features} if e.shared else {})
    return config


def _check_values(s: Strategy, shape: DecoderShape, problems: Problems) -> None:
    known: dict[str, tuple[object, ...]] = {
        "zero": (0, 1),
        "precision": tuple(_DTYPES),
        "optimizer": (Optimizer.ADAM, Optimizer.SGD),
        "optimizer_kernels": (OptimizerKernels.FRAMEWORK,),
        "schedule": (Schedule.ONE_F_ONE_B, Schedule.GPIPE),
        "recompute": (Recompute.NONE, Recompute.FULL),
        "grad_dtype": (GradDtype.FRAMEWORK, GradDtype.BF16),
        "p2p": (PipelineTransfers.FRAMEWORK,),
        "cp_comm": (ContextComm.P2P,),
        "moe_dispatcher": (Dispatcher.FRAMEWORK, Dispatcher.ALLTOALL, Dispatcher.ALLGATHER),
        "overlap_param_gather": (False,),
        "overlap_grad_reduce": (s.zero == 0,),
    }
    refuse_values(s, "nanotron", problems, known)
    a = shape.attention
    plain = Attention(a.heads, a.kv_heads, shape.hidden // a.heads, qkv_bias=a.qkv_bias)
    fits = shape.latent is None and a == plain and shape.norm == RMS and shape.activation == "swiglu"
    if not fits or shape.prediction or shape.mlp_bias or shape.dropout or shape.positions:
        problems.add("model", "another architecture", "a Llama- or Qwen2-like decoder in nanotron")
