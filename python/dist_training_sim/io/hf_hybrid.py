"""Families with recurrent layers between attention: Nemotron-H, Jamba and Qwen3-Next."""

from __future__ import annotations

from dataclasses import replace

from ..models import Block, Model
from ..models.state_space import GatedDelta, Mamba1, Mamba2
from ..models.transformer import Attention, Mlp, Part, language_model, mixer_block, pre_norm_block
from .hf_decoders import grouped_attention
from .hf_experts import read_experts
from .hf_fields import MOST_LAYERS, Fields

__all__ = ["jamba", "nemotron_h", "qwen3_next"]

WIDEST_STATE = 2**16


def nemotron_h(f: Fields, name: str) -> Model:
    """Nemotron-H: one mixer a layer, by the letters of `hybrid_override_pattern`: M Mamba-2, - MLP, * attention."""
    hidden, vocabulary = f.count("hidden_size"), f.vocabulary()
    pattern = f.value("hybrid_override_pattern")
    if not isinstance(pattern, str) or not 0 < len(pattern) <= MOST_LAYERS or set(pattern) - set("M-*"):
        f.report("hybrid_override_pattern", pattern, f"1 to {MOST_LAYERS} of the letters M, - and *")
        pattern = "M"
    heads = f.count("num_attention_heads")
    head_dim = f.count("attention_head_dim", "head_dim", default=128)
    bias = f.flag("attention_bias", False)
    parts: dict[str, Part] = {
        "M": Mamba2(
            f.count("mamba_num_heads"),
            f.count("mamba_head_dim"),
            f.count("ssm_state_size", maximum=WIDEST_STATE),
            f.count("n_groups", default=1),
            f.count("conv_kernel", default=4, minimum=2),
            f.count("chunk_size", default=256),
            bias=f.flag("use_bias", False),
            conv_bias=f.flag("use_conv_bias", True),
        ),
        "-": Mlp(f.count("intermediate_size"), f.activation("mlp_hidden_act", "relu2"), bias=f.flag("mlp_bias", False)),
        "*": Attention(heads, f.kv_heads(heads), head_dim, qkv_bias=bias, out_bias=bias, rope=False),
    }
    names = {"M": "mamba-layer", "-": "mlp-layer", "*": "attention-layer"}
    tied = f.flag("tie_word_embeddings", False)
    f.check()
    made = {letter: mixer_block(names[letter], hidden, parts[letter]) for letter in parts}
    return language_model(name, [made[letter] for letter in pattern], hidden, vocabulary, tied=tied)


def jamba(f: Fields, name: str) -> Model:
    """Jamba: attention on every `attn_layer_period`-th layer, Mamba-1 elsewhere, experts on every second layer."""
    hidden, layers, vocabulary = f.count("hidden_size"), f.layers("num_hidden_layers"), f.vocabulary()
    attention = replace(grouped_attention(f, hidden), rope=False)
    rank = f.value("mamba_dt_rank")
    mamba = Mamba1(
        f.count("mamba_expand", default=2, maximum=64) * hidden,
        f.count("mamba_d_state", default=16, maximum=WIDEST_STATE),
        -(-hidden // 16) if rank in (None, "auto") else f.count("mamba_dt_rank"),
        f.count("mamba_d_conv", default=4, minimum=2),
        norms=True,
    )
    experts = read_experts(f, "intermediate_size", "num_experts", default=16, top_k=2)
    dense = Mlp(experts.features, experts.activation)
    mixes = _every(f, layers, "attn_layer", 8, 4)
    routes = _every(f, layers, "expert_layer", 2, 1)
    tied = f.flag("tie_word_embeddings", False)
    f.check()
    pairs: list[tuple[Part, Part]] = [
        (attention if mixes[i] else mamba, experts if routes[i] else dense) for i in range(layers)
    ]
    return language_model(name, _blocks(hidden, pairs), hidden, vocabulary, tied=tied)


def qwen3_next(f: Fields, name: str) -> Model:
    """Qwen3-Next: three gated delta layers to one of gated attention, many small experts and a gated shared one."""
    hidden, layers, vocabulary = f.count("hidden_size"), f.layers("num_hidden_layers"), f.vocabulary()
    heads = f.count("num_attention_heads")
    attention = Attention(heads, f.kv_heads(heads), f.count("head_dim", default=256), qk_norm=True, output_gate=True)
    delta = GatedDelta(
        f.count("linear_num_value_heads", default=32),
        f.count("linear_num_key_heads", default=16),
        f.count("linear_key_head_dim", default=128),
        f.count("linear_value_head_dim", default=128),
        f.count("linear_conv_kernel_dim", default=4),
    )
    shared = Mlp(
        f.count("shared_expert_intermediate_size", default=512), f.activation("hidden_act", "silu", gated=True)
    )
    experts = read_experts(f, "moe_intermediate_size", "num_experts", default=512, top_k=10)
    experts = replace(experts, shared=shared, shared_gate=True)
    period = f.count("full_attention_interval", default=4)
    tied = f.flag("tie_word_embeddings", False)
    f.check()
    pairs: list[tuple[Part, Part]] = [(delta if (i + 1) % period else attention, experts) for i in range(layers)]
    return language_model(name, _blocks(hidden, pairs), hidden, vocabulary, tied=tied)


def _every(f: Fields, layers: int, what: str, period: int, offset: int) -> list[bool]:
    step, first = f.count(f"{what}_period", default=period), f.count(f"{what}_offset", default=offset, minimum=0)
    return [i % step == first for i in range(layers)]


def _blocks(hidden: int, pairs: list[tuple[Part, Part]]) -> list[Block]:
    """One block a layer; equal ones are the same object, named after their mixer."""
    kinds: dict[type, str] = {Attention: "attention-layer", Mamba1: "mamba-layer", GatedDelta: "delta-layer"}
    made = {pair: pre_norm_block(kinds[type(pair[0])], hidden, *pair) for pair in dict.fromkeys(pairs)}
    return [made[pair] for pair in pairs]
