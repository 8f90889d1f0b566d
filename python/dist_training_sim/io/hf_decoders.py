"""Dense decoder families. Field names and defaults are those of the Transformers configuration classes; each function
reads all its fields, checks them together, then builds.
"""

from __future__ import annotations

from dataclasses import replace

from ..models import Model
from ..models.transformer import LAYER, Attention, Mlp, NormKind, language_model, post_norm_block, pre_norm_block
from .hf_fields import Fields

__all__ = [
    "bloom",
    "gpt2",
    "gpt_neox",
    "grouped_attention",
    "llama",
    "mistral",
    "mpt",
    "opt",
    "qwen2",
    "qwen3",
    "qwen3_attention",
    "qwen_windows",
]


def grouped_attention(f: Fields, hidden: int, *, kv_default: int | None = None) -> Attention:
    """Read Llama-style grouped-query attention without biases."""
    heads = f.heads(hidden, "num_attention_heads")
    head_dim = f.count("head_dim", default=hidden // heads)
    return Attention(heads, f.kv_heads(heads, kv_default), head_dim)


def _llama_like(f: Fields, name: str, mixer: Attention, feed: Mlp, windows: list[int], *, tied: bool = False) -> Model:
    hidden, vocabulary = f.count("hidden_size"), f.vocabulary()
    tied = f.flag("tie_word_embeddings", tied)
    f.check()
    by_window = {w: pre_norm_block("layer", hidden, replace(mixer, window=w), feed) for w in dict.fromkeys(windows)}
    return language_model(name, [by_window[w] for w in windows], hidden, vocabulary, tied=tied)


def llama(f: Fields, name: str) -> Model:
    """Llama 1, 2, 3, 3.1, 3.2 and the many that share the class."""
    bias = f.flag("attention_bias", False)
    mixer = replace(grouped_attention(f, f.count("hidden_size")), qkv_bias=bias, out_bias=bias)
    feed = _gated(f, bias=f.flag("mlp_bias", False))
    return _llama_like(f, name, mixer, feed, [0] * f.layers("num_hidden_layers"))


def mistral(f: Fields, name: str) -> Model:
    """Mistral: Llama with a sliding window on every layer where one is stated."""
    window = f.count("sliding_window", default=0, minimum=0, maximum=2**31)
    mixer = grouped_attention(f, f.count("hidden_size"))
    return _llama_like(f, name, mixer, _gated(f), [window] * f.layers("num_hidden_layers"))


def qwen2(f: Fields, name: str) -> Model:
    """Qwen2 and Qwen2.5: biases on q, k, v; sliding window above `max_window_layers` where switched on."""
    mixer = replace(grouped_attention(f, f.count("hidden_size")), qkv_bias=True)
    return _llama_like(f, name, mixer, _gated(f), qwen_windows(f))


def qwen3(f: Fields, name: str) -> Model:
    """Qwen3: norms on q and k, heads of 128 features."""
    bias = f.flag("attention_bias", False)
    mixer = replace(qwen3_attention(f), qkv_bias=bias, out_bias=bias)
    return _llama_like(f, name, mixer, _gated(f), qwen_windows(f))


def qwen3_attention(f: Fields) -> Attention:
    """Read attention with q and k norms; `head_dim` is 128 unless stated."""
    heads = f.count("num_attention_heads")
    return Attention(heads, f.kv_heads(heads), f.count("head_dim", default=128), qk_norm=True)


def qwen_windows(f: Fields) -> list[int]:
    """Read each layer's sliding window."""
    layers = f.layers("num_hidden_layers")
    if not f.flag("use_sliding_window", False):
        return [0] * layers
    window = f.count("sliding_window", default=4096, maximum=2**31)
    first = f.count("max_window_layers", default=28, minimum=0)
    return f.windows(layers, window, [layer >= first for layer in range(layers)])


def _gated(f: Fields, *, bias: bool = False) -> Mlp:
    return Mlp(f.count("intermediate_size"), f.activation("hidden_act", "silu", gated=True), bias=bias)


def gpt2(f: Fields, name: str) -> Model:
    """GPT-2 and GPT-3: learned positions, LayerNorm, biases, dropout 0.1 unless stated, tied embeddings."""
    hidden, layers = f.count("n_embd", "hidden_size"), f.layers("n_layer", "num_hidden_layers")
    vocabulary = f.vocabulary()
    positions = f.count("n_positions", "max_position_embeddings", "n_ctx", maximum=2**24)
    mixer = Attention.multi_head(hidden, f.heads(hidden, "n_head", "num_attention_heads"), rope=False)
    mixer = replace(mixer, score_dropout=f.probability("attn_pdrop", 0.1))
    feed = Mlp(f.count("n_inner", default=4 * hidden), f.activation("activation_function", "gelu_new"), bias=True)
    dropout, tied = f.probability("resid_pdrop", 0.1), f.flag("tie_word_embeddings", True)
    stem_dropout = f.probability("embd_pdrop", 0.1)
    f.check()
    block = pre_norm_block("layer", hidden, mixer, feed, norm=LAYER, dropout=dropout)
    return language_model(
        name,
        [block] * layers,
        hidden,
        vocabulary,
        tied=tied,
        positions=positions,
        final_norm=LAYER,
        dropout=stem_dropout,
    )


def gpt_neox(f: Fields, name: str) -> Model:
    """GPT-NeoX and Pythia: attention and feed-forward side by side unless `use_parallel_residual` is false."""
    hidden, layers, vocabulary = f.count("hidden_size"), f.layers("num_hidden_layers"), f.vocabulary()
    heads, bias = f.heads(hidden, "num_attention_heads"), f.flag("attention_bias", True)
    mixer = Attention.multi_head(hidden, heads, rope=True, bias=bias)
    mixer = replace(mixer, score_dropout=f.probability("attention_dropout"))
    feed = Mlp(f.count("intermediate_size"), f.activation("hidden_act", "gelu"), bias=True)
    parallel, tied = f.flag("use_parallel_residual", True), f.flag("tie_word_embeddings", False)
    dropout = f.probability("hidden_dropout")
    f.check()
    block = pre_norm_block("layer", hidden, mixer, feed, norm=LAYER, dropout=dropout, parallel=parallel)
    return language_model(name, [block] * layers, hidden, vocabulary, tied=tied, final_norm=LAYER, dropout=dropout)


def opt(f: Fields, name: str) -> Model:
    """OPT: learned positions with two extra rows, ReLU; the 350M form has norms after the adds and a narrow table."""
    hidden, layers, vocabulary = f.count("hidden_size"), f.layers("num_hidden_layers"), f.vocabulary()
    bias = f.flag("enable_bias", True)
    mixer = Attention.multi_head(hidden, f.heads(hidden, "num_attention_heads"), rope=False, bias=bias)
    mixer = replace(mixer, score_dropout=f.probability("attention_dropout"))
    feed = Mlp(f.count("ffn_dim"), f.activation("activation_function", "relu"), bias=bias)
    positions = f.count("max_position_embeddings", default=2048, maximum=2**24) + 2
    width = f.count("word_embed_proj_dim", default=hidden)
    before, dropout = f.flag("do_layer_norm_before", True), f.probability("dropout", 0.1)
    tied, final = f.flag("tie_word_embeddings", True), not f.flag("_remove_final_layer_norm", False)
    f.check()
    build = pre_norm_block if before else post_norm_block
    block = build("layer", hidden, mixer, feed, norm=LAYER, dropout=dropout)
    return language_model(
        name,
        [block] * layers,
        hidden,
        vocabulary,
        tied=tied,
        positions=positions,
        projection=0 if width == hidden else width,
        final_norm=LAYER if before and final else None,
    )


def bloom(f: Fields, name: str) -> Model:
    """BLOOM: ALiBi, a norm after the token table, biases."""
    hidden = f.count("hidden_size", "n_embed")
    layers, vocabulary = f.layers("n_layer", "num_hidden_layers"), f.vocabulary()
    mixer = Attention.multi_head(hidden, f.heads(hidden, "n_head", "num_attention_heads"), rope=False)
    mixer = replace(mixer, score_dropout=f.probability("attention_dropout"), alibi=True)
    dropout, tied = f.probability("hidden_dropout"), f.flag("tie_word_embeddings", True)
    f.check()
    block = pre_norm_block("layer", hidden, mixer, Mlp(4 * hidden, "gelu", bias=True), norm=LAYER, dropout=dropout)
    return language_model(name, [block] * layers, hidden, vocabulary, tied=tied, embedding_norm=LAYER, final_norm=LAYER)


def mpt(f: Fields, name: str) -> Model:
    """MPT: ALiBi in place of learned positions, no biases unless `no_bias` is false."""
    hidden, layers, vocabulary = f.count("d_model"), f.layers("n_layers"), f.vocabulary()
    inner = f.section("attn_config")
    bias, alibi = not f.flag("no_bias", True), inner.flag("alibi", False)
    learned = f.flag("learned_pos_emb", True) and not alibi
    heads = f.heads(hidden, "n_heads")
    mixer = Attention.multi_head(hidden, heads, rope=False, bias=bias)
    mixer = replace(mixer, score_dropout=inner.probability("attn_pdrop"), alibi=alibi)
    feed = Mlp(f.count("expansion_ratio", default=4, maximum=64) * hidden, "gelu", bias=bias)
    positions = f.count("max_seq_len", default=2048, maximum=2**24) if learned else 0
    dropout, tied = f.probability("resid_pdrop"), f.flag("tie_word_embeddings", True)
    f.check()
    norm = NormKind("layer", bias=bias)
    block = pre_norm_block("layer", hidden, mixer, feed, norm=norm, dropout=dropout)
    return language_model(name, [block] * layers, hidden, vocabulary, tied=tied, positions=positions, final_norm=norm)
