"""A row's shape → model. Traits that a shape does not state follow from the family that its name gives.

Families: Llama-like (gated), GPT-like (not gated), MPT, BLOOM, routed experts with or without latent attention, BERT,
and the vision networks of the catalogue. Low-rank adapters: `adapters`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..errors import ConfigError, MissingDataError, Problems
from ..frameworks import FrameworkDefaults
from ..models import Model
from ..models.encoder import bert
from ..models.prediction import with_prediction
from ..models.transformer import (
    LAYER,
    RMS,
    Attention,
    Experts,
    LatentAttention,
    Mlp,
    NormKind,
    Part,
    language_model,
    pre_norm_block,
)
from .adapters import QUERY_KEY_VALUE, low_rank
from .corpus import Row

__all__ = ["model_of"]

MOST_LAYERS = 10_000
_VISION = {"resnet-50": "resnet-50", "vit-b": "vit-b-16", "vit-l": "vit-l-16", "vit-h": "vit-h-14"}
_NOT_EXPRESSIBLE = {
    "t5": "an encoder-decoder with cross-attention",
    "hybrid": "state-space layers between attention",
    "multimodal": "a vision tower in front of a decoder",
    "mimo": "a vision tower in front of a decoder",
    "wan": "a diffusion transformer",
}
# Tokens of a paragraph of SQuAD with its question and answer (assumed). NeMo's fine-tuning runs pack them to the length
# of a row and mask between them (NVIDIA/NeMo docs/source/performance/performance_summary.md, Finetuning).
_PACKED_DOCUMENT = 200


@dataclass(frozen=True)
class _Shape:
    """Sizes of a transformer, every one known."""

    name: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocabulary: int
    gated: bool
    tied: bool


def model_of(row: Row, defaults: FrameworkDefaults) -> Model:
    """Model of a row.

    Parameters
    ----------
    defaults
        Of the row's framework: dropout, vocabulary.

    Raises
    ------
    MissingDataError
        If a size is missing and no rule gives it.
    ConfigError
        If the architecture cannot be expressed, or a size is illegal.
    """
    name = row.text("model.name")
    family = name.lower().split(" ")[0]
    for start, what in _NOT_EXPRESSIBLE.items():
        if family.startswith(start):
            raise ConfigError(f"model: {name} is {what}, which the model parts do not describe")
    for word, entry in _VISION.items():
        if word in name.lower():
            return Model.from_catalog(entry)
    shape = _shape(row, defaults)
    if family.startswith("bert"):
        sizes = (shape.name, shape.layers, shape.hidden, shape.heads, shape.ffn, shape.vocabulary)
        positions = max(512, row.count("seq") or 0)
        return bert(*sizes, positions=positions, dropout=defaults.dropout, score_dropout=defaults.dropout)
    model = _decoder(row, shape, defaults)
    if _predicts_ahead(row):
        return with_prediction(model)
    return _with_adapters(row, model) if _adapted(row) else model


def _with_adapters(row: Row, model: Model) -> Model:
    """As MLPerf's task says, or as recipes of NeMo and Megatron-Bridge have it: rank 32, no output projection.

    NVIDIA/NeMo megatron_gpt_finetuning_config.yaml (2024): target_modules ['attention_qkv'], adapter_dim 32;
    NVIDIA-NeMo/Megatron-Bridge v0.3.0 to v0.5.0 llama3_llm_finetune.py: ["linear_qkv"], peft/lora.py: dim 32.
    """
    recipe = row.text("framework") in ("nemo", "megatron-bridge") and "MLPerf" not in row.text("software")
    return low_rank(model, 32, QUERY_KEY_VALUE) if recipe else low_rank(model)


def _predicts_ahead(row: Row) -> bool:
    """Whether the model has its prediction module: DeepSeek-V3's recipes, unless a row says it was left out.

    The FLOPs that Megatron-Bridge prints for it include the module's (260 GFLOP per token, 250 without).
    """
    name = row.text("model.name").lower()
    recipe = row.text("framework") == "megatron-bridge" and name.startswith("deepseek-v3")
    return recipe and "w/o mtp" not in name


def _adapted(row: Row) -> bool:
    """Whether the run trains adapters alone (a `lora` flag may also stand for the rank of latent attention)."""
    named = "lora" in row.text("model.name").lower().replace("-", " ").split()
    return named or any("lora" in re.split(r"[\s_=]", word)[:1] for word in row.words("features"))


def _shape(row: Row, defaults: FrameworkDefaults) -> _Shape:
    problems = Problems()
    sizes: dict[str, int] = {}
    for name in ("layers", "hidden", "heads"):
        value = row.count(f"model.{name}")
        if problems.count(f"model.{name}", value, maximum=MOST_LAYERS if name == "layers" else 2**24):
            sizes[name] = value or 0
    problems.raise_if_any(MissingDataError)
    heads, hidden = sizes["heads"], sizes["hidden"]
    kv_heads = row.count("model.kv_heads") or heads
    return _Shape(
        name=row.text("model.name") or row.id,
        **sizes,
        kv_heads=kv_heads,
        head_dim=row.count("model.head_dim") or hidden // heads,
        ffn=row.count("model.ffn") or row.count("model.moe_ffn") or 4 * hidden,
        vocabulary=row.count("model.vocab") or defaults.vocabulary,
        gated=bool(row.flag("model.gated")),
        tied=bool(row.flag("model.tied_embeddings")),
    )


def _decoder(row: Row, s: _Shape, defaults: FrameworkDefaults) -> Model:
    key = s.name.lower()
    mpt, bloom = key.startswith("mpt"), key.startswith("bloom")
    norm = RMS if s.gated else NormKind("layer", bias=not mpt)
    # A gated feed-forward stands for a family without dropout, unless it is an option of a script that has it.
    scripted = "swiglu" in row.words("features") and not row.flag("model.mla")
    dropout = defaults.dropout and (scripted or not s.gated)
    mixers = _mixers(row, s, bias=not s.gated and not mpt, rope=s.gated, score_dropout=dropout)
    feeds = _feeds(row, s, bias=not s.gated and not mpt)
    pairs = list(zip(mixers, feeds, strict=True))
    made = {
        pair: pre_norm_block(_kind(pair[1]), s.hidden, *pair, norm=norm, dropout=dropout)
        for pair in dict.fromkeys(pairs)
    }
    return language_model(
        s.name,
        [made[pair] for pair in pairs],
        s.hidden,
        s.vocabulary,
        tied=s.tied,
        positions=0 if s.gated or mpt or bloom else row.count("seq") or 0,
        embedding_norm=LAYER if bloom else None,
        final_norm=norm,
        dropout=dropout,
    )


def _kind(feed: Part) -> str:
    return "moe-layer" if isinstance(feed, Experts) else "layer"


def _mixers(row: Row, s: _Shape, *, bias: bool, rope: bool, score_dropout: bool) -> list[Part]:
    if latent := _latent(row, s):
        return [latent] * s.layers
    key = s.name.lower()
    oss = "gpt-oss" in key
    packed = row.text("framework") == "nemo" and {"sft", "lora"} & set(row.words("features"))
    mixer = Attention(
        s.heads,
        s.kv_heads,
        s.head_dim,
        qkv_bias=bias or oss or "qwen2" in key,
        out_bias=bias or oss,
        qk_norm="qwen3" in key,
        rope=rope,
        score_dropout=score_dropout,
        alibi=key.startswith("bloom"),
        sinks=oss,
        chunk=_PACKED_DOCUMENT if packed else 0,
    )
    return [replace(mixer, window=128) if oss and layer % 2 == 0 else mixer for layer in range(s.layers)]


def _latent(row: Row, s: _Shape) -> LatentAttention | None:
    """Latent attention where the row states it; sizes it leaves out are Megatron-Core's defaults."""
    stated = row.section("model.mla")
    if stated is None and not row.flag("model.mla"):
        return None
    size = _reader(stated or {}, row.words("features"))
    return LatentAttention(
        heads=s.heads,
        q_rank=size("q_lora", "q_lora_rank", 0),
        kv_rank=size("kv_lora", "kv_lora_rank", 512),
        nope_dim=size("qk_nope", "qk_head_dim", 128),
        rope_dim=size("qk_rope", "qk_pos_emb_head_dim", 64),
        v_dim=size("v", "v_head_dim", 128),
    )


def _reader(section: Mapping[str, Any], features: tuple[str, ...]) -> Any:
    def size(key: str, option: str, default: int) -> int:
        value = section.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**24:
            return value
        return _option(features, option) or default

    return size


def _option(features: tuple[str, ...], name: str) -> int:
    """Number that a launch option among the features gives; 0 where it is absent."""
    for word in features:
        if match := re.fullmatch(rf"{name}=(\d{{1,8}})", word):
            return int(match.group(1))
    return 0


def _feeds(row: Row, s: _Shape, *, bias: bool) -> list[Part]:
    activation = "swiglu" if s.gated else "gelu"
    dense = Mlp(s.ffn, activation, bias=bias)
    experts = row.count("model.experts")
    if not experts:
        return [dense] * s.layers
    key, features = s.name.lower(), row.words("features")
    width = row.count("model.moe_ffn") or s.ffn
    shared = (row.count("model.shared_experts") or 0) * width or _option(
        features, "moe_shared_expert_intermediate_size"
    )
    routed = Experts(
        experts,
        min(experts, row.count("model.topk") or 1),
        width,
        activation,
        bias="gpt-oss" in key,
        router_bias=any(word in key for word in ("gpt-oss", "deepseek-v3", "kimi")),
        shared=Mlp(shared, activation) if shared else None,
    )
    first = min(s.layers, row.count("model.dense_layers") or _leading_dense(features))
    return [dense] * first + [routed] * (s.layers - first)


def _leading_dense(features: tuple[str, ...]) -> int:
    """Dense layers before the first with experts, from Megatron's `moe-layer-freq=([0]*3+[1]*12)`."""
    for word in features:
        if match := re.match(r"moe_layer_freq=\(\[0\]\*(\d{1,4})\+\[1\]", word):
            return int(match.group(1))
    return 0
