"""Decoder families with routed experts: Mixtral, Qwen-MoE, DeepSeek-V2/V3, GPT-OSS."""

from __future__ import annotations

from dataclasses import replace

from ..models import Model, with_prediction
from ..models.transformer import Experts, LatentAttention, Mlp, Part, language_model, pre_norm_block
from .hf_decoders import grouped_attention, qwen3_attention, qwen_windows
from .hf_fields import Fields

__all__ = ["deepseek_v2", "deepseek_v3", "gpt_oss", "mixtral", "qwen2_moe", "qwen3_moe", "read_experts"]

MOST_EXPERTS = 2**16


def mixtral(f: Fields, name: str) -> Model:
    """Mixtral: experts on every layer."""
    hidden, layers = f.count("hidden_size"), f.layers("num_hidden_layers")
    window = f.count("sliding_window", default=0, minimum=0, maximum=2**31)
    mixer = replace(grouped_attention(f, hidden), window=window)
    experts = read_experts(f, "intermediate_size", "num_local_experts", default=8, top_k=2)
    return _build(f, name, hidden, [mixer] * layers, [experts] * layers)


def qwen2_moe(f: Fields, name: str) -> Model:
    """Qwen1.5-MoE and Qwen2-MoE: fine-grained experts and one gated shared expert."""
    hidden = f.count("hidden_size")
    mixer = replace(grouped_attention(f, hidden), qkv_bias=True)
    shared = Mlp(f.count("shared_expert_intermediate_size"), f.activation("hidden_act", "silu", gated=True))
    experts = read_experts(f, "moe_intermediate_size", "num_experts", default=60)
    experts = replace(experts, shared=shared, shared_gate=True)
    mixers: list[Part] = [replace(mixer, window=window) for window in qwen_windows(f)]
    return _build(f, name, hidden, mixers, _qwen_feeds(f, experts, len(mixers)))


def qwen3_moe(f: Fields, name: str) -> Model:
    """Qwen3-MoE: q and k norms, experts without shared ones."""
    hidden, bias = f.count("hidden_size"), f.flag("attention_bias", False)
    mixer = replace(qwen3_attention(f), qkv_bias=bias, out_bias=bias)
    experts = read_experts(f, "moe_intermediate_size", "num_experts", default=128, top_k=8)
    mixers: list[Part] = [replace(mixer, window=window) for window in qwen_windows(f)]
    return _build(f, name, hidden, mixers, _qwen_feeds(f, experts, len(mixers)))


def _qwen_feeds(f: Fields, experts: Experts, layers: int) -> list[Part]:
    """Experts on every `decoder_sparse_step`-th layer that `mlp_only_layers` does not list."""
    step, dense_layers = f.count("decoder_sparse_step", default=1), set(f.integers("mlp_only_layers", maximum=layers))
    sparse = [layer not in dense_layers and (layer + 1) % step == 0 for layer in range(layers)]
    return _mixed(f, experts, sparse)


def _mixed(f: Fields, experts: Experts, sparse: list[bool]) -> list[Part]:
    if all(sparse):
        return [experts] * len(sparse)
    dense = Mlp(f.count("intermediate_size"), f.activation("hidden_act", "silu", gated=True))
    return [experts if routed else dense for routed in sparse]


def deepseek_v2(f: Fields, name: str) -> Model:
    """DeepSeek-V2: latent attention, first layers dense, shared experts."""
    return _deepseek(f, name, router_bias=False)


def deepseek_v3(f: Fields, name: str) -> Model:
    """DeepSeek-V3: as V2 with a balancing bias per expert, and `num_nextn_predict_layers` prediction modules."""
    depth = f.count("num_nextn_predict_layers", default=0, minimum=0, maximum=64)
    model = _deepseek(f, name, router_bias=True)
    return replace(with_prediction(model, depth), name=name) if depth else model


def _deepseek(f: Fields, name: str, *, router_bias: bool) -> Model:
    hidden, layers = f.count("hidden_size"), f.layers("num_hidden_layers")
    mixer = LatentAttention(
        heads=f.count("num_attention_heads"),
        q_rank=f.count("q_lora_rank", default=0),
        kv_rank=f.count("kv_lora_rank"),
        nope_dim=f.count("qk_nope_head_dim"),
        rope_dim=f.count("qk_rope_head_dim"),
        v_dim=f.count("v_head_dim"),
    )
    experts = replace(read_experts(f, "moe_intermediate_size", "n_routed_experts"), router_bias=router_bias)
    number = f.count("n_shared_experts", default=0, minimum=0, maximum=MOST_EXPERTS)
    if number:
        experts = replace(experts, shared=Mlp(number * experts.features, experts.activation))
    first = f.count("first_k_dense_replace", default=0, minimum=0)
    every = f.count("moe_layer_freq", default=1)
    feeds = _mixed(f, experts, [layer >= first and layer % every == 0 for layer in range(layers)])
    return _build(f, name, hidden, [mixer] * layers, feeds)


def gpt_oss(f: Fields, name: str) -> Model:
    """GPT-OSS: biases throughout, attention sinks, a sliding window on every other layer."""
    hidden, layers = f.count("hidden_size"), f.layers("num_hidden_layers")
    bias = f.flag("attention_bias", True)
    mixer = replace(grouped_attention(f, hidden, kv_default=8), qkv_bias=bias, out_bias=bias, sinks=True)
    window = f.count("sliding_window", default=128, maximum=2**31)
    windows = f.windows(layers, window, [layer % 2 == 0 for layer in range(layers)])
    experts = read_experts(f, "intermediate_size", "num_local_experts", top_k=4)
    experts = replace(experts, bias=True, router_bias=True)
    return _build(f, name, hidden, [replace(mixer, window=w) for w in windows], [experts] * layers)


def read_experts(
    f: Fields, width: str, number: str, *, default: int | None = None, top_k: int | None = None
) -> Experts:
    """Read routed experts from the fields that hold their inner width and their number."""
    experts = f.count(number, default=default, maximum=MOST_EXPERTS)
    chosen = f.count("num_experts_per_tok", default=top_k, maximum=MOST_EXPERTS)
    if chosen > experts:
        f.report("num_experts_per_tok", chosen, f"at most the {experts} experts")
    return Experts(experts, chosen, f.count(width), f.activation("hidden_act", "silu", gated=True))


def _build(f: Fields, name: str, hidden: int, mixers: list[Part], feeds: list[Part]) -> Model:
    vocabulary, tied = f.vocabulary(), f.flag("tie_word_embeddings", False)
    f.check()
    pairs = list(zip(mixers, feeds, strict=True))
    made = {pair: pre_norm_block(_kind(pair[1]), hidden, *pair) for pair in dict.fromkeys(pairs)}
    return language_model(name, [made[pair] for pair in pairs], hidden, vocabulary, tied=tied)


def _kind(feed: Part) -> str:
    return "moe-layer" if isinstance(feed, Experts) else "dense-layer"
