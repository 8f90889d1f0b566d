"""A job as a job file of this package."""

from __future__ import annotations

from typing import Any

from ..errors import ConfigError, DtsError, Problems
from ..frameworks import FrameworkProfile
from ..hardware import Cluster
from ..models import Model
from ..models.transformer import RMS
from ..parallel import Strategy
from .decoder_shape import DecoderShape, shape_of
from .job_file import JOB_VERSION

__all__ = ["write_job_file"]


def write_job_file(model: Model, cluster: Cluster, strategy: Strategy, seq_len: int, profile: FrameworkProfile) -> str:
    """YAML that `read_job` reads to the same job; the model by name, or as a Hugging Face config.

    Raises
    ------
    ConfigError
        If the model has no such config, or cluster or profile are not those of the catalogue.
    """
    import yaml

    from ..result import strategy_dict

    problems = Problems()
    for what, thing, kind in (("cluster", cluster, Cluster), ("framework", profile, FrameworkProfile)):
        if not _is_catalogued(thing, kind):
            problems.add(what, thing.name, "one of the catalogue: a changed one has a file of its own")
    problems.raise_if_any()
    plain, default = strategy_dict(strategy), strategy_dict(Strategy())
    layout = {n: list(v) if isinstance(v, tuple) else v for n, v in plain.items() if v != default[n]}
    content = {
        "version": JOB_VERSION,
        "model": model.name if _is_catalogued(model, Model) else _config(model),
        "cluster": cluster.name,
        "seq_len": seq_len,
        "framework": profile.name,
        "strategy": layout,
    }
    head = "# yaml-language-server: $schema=dts-job.schema.json   (dts schema --out dts-job.schema.json)\n"
    return head + str(yaml.safe_dump(content, sort_keys=False))


def _is_catalogued(thing: Model | Cluster | FrameworkProfile, kind: Any) -> bool:
    try:
        return bool(kind.from_catalog(thing.name) == thing)
    except DtsError:
        return False


def _config(model: Model) -> dict[str, Any]:
    """Hugging Face config of a decoder: of the families that could have its shape, the one that gives this model."""
    shape = shape_of(model)
    for config in _candidates(shape):
        try:
            built = Model.from_hf(config)
        except DtsError:
            continue
        if _content(built) == _content(model):
            return config
    raise ConfigError(f"model: got {model.name!r}, expected a model of the catalogue, or the shape of a known family")


def _content(model: Model) -> tuple[object, ...]:
    runs = [(run.repeat, run.block.ops) for run in (*model.layers, *model.prediction)]
    return model.stem.ops, model.head.ops, model.tied_embeddings, runs


def _candidates(s: DecoderShape) -> list[dict[str, Any]]:
    a, e = s.attention, s.experts
    base: dict[str, Any] = {
        "hidden_size": s.hidden,
        "num_hidden_layers": s.layers,
        "num_attention_heads": a.heads,
        "num_key_value_heads": a.kv_heads,
        "head_dim": a.head_dim,
        "intermediate_size": s.ffn,
        "vocab_size": s.vocabulary,
        "tie_word_embeddings": s.tied,
    }
    if s.norm != RMS:
        return [_gpt2(s)]
    if e is None:
        biased = {"attention_bias": a.out_bias, "mlp_bias": s.mlp_bias}
        return [
            {"model_type": "llama", **base, **biased},
            {"model_type": "qwen2", **base},
            {"model_type": "qwen3", **base},
        ]
    routed = {"num_experts_per_tok": e.top_k, "num_local_experts": e.experts, "num_experts": e.experts}
    fine = {"moe_intermediate_size": e.features, "mlp_only_layers": [i for i, has in enumerate(s.routed) if not has]}
    return [
        {"model_type": "mixtral", **base, **routed, "intermediate_size": e.features},
        {"model_type": "qwen3_moe", **base, **routed, **fine},
        *(_deepseek(s, base) if s.latent else []),
    ]


def _gpt2(s: DecoderShape) -> dict[str, Any]:
    off = {"resid_pdrop": 0.1 * s.dropout, "embd_pdrop": 0.1 * s.dropout, "attn_pdrop": 0.1 * s.attention.score_dropout}
    sizes = {"n_embd": s.hidden, "n_layer": s.layers, "n_head": s.attention.heads, "n_inner": s.ffn}
    return {
        "model_type": "gpt2",
        **sizes,
        "vocab_size": s.vocabulary,
        "n_positions": s.positions,
        "tie_word_embeddings": s.tied,
        **off,
    }


def _deepseek(s: DecoderShape, base: dict[str, Any]) -> list[dict[str, Any]]:
    latent, e = s.latent, s.experts
    assert latent is not None
    assert e is not None
    dense = next((i for i, has in enumerate(s.routed) if has), 0)
    sizes = {
        "q_lora_rank": latent.q_rank or None,
        "kv_lora_rank": latent.kv_rank,
        "qk_nope_head_dim": latent.nope_dim,
        "qk_rope_head_dim": latent.rope_dim,
        "v_head_dim": latent.v_dim,
        "n_routed_experts": e.experts,
        "num_experts_per_tok": e.top_k,
        "moe_intermediate_size": e.features,
        "n_shared_experts": e.shared.features // e.features if e.shared else 0,
        "first_k_dense_replace": dense,
        "num_nextn_predict_layers": s.prediction,
    }
    return [{"model_type": kind, **base, **sizes} for kind in ("deepseek_v3", "deepseek_v2")]
