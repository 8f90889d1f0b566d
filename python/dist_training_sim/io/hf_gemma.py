"""Gemma, Gemma 2 and the text part of Gemma 3: GeGLU, wide heads, scaled and tied token table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..models import Model
from ..models.transformer import Attention, Mlp, language_model, pre_norm_block
from .hf_fields import Fields

__all__ = ["gemma", "gemma2", "gemma3"]


def gemma(f: Fields, name: str) -> Model:
    """Gemma 1: full attention on every layer."""
    heads = f.count("num_attention_heads")
    mixer = Attention(heads, f.kv_heads(heads), f.count("head_dim", default=256))
    return _build(f, name, mixer, [0] * f.layers("num_hidden_layers"), sandwich=False, softcap=False)


def gemma2(f: Fields, name: str) -> Model:
    """Gemma 2: norms around each part, a sliding window on the even layers, a softcap on the logits."""
    layers, heads = f.layers("num_hidden_layers"), f.count("num_attention_heads")
    mixer = Attention(heads, f.kv_heads(heads), f.count("head_dim", default=256))
    window = f.count("sliding_window", default=4096, maximum=2**31)
    windows = f.windows(layers, window, [layer % 2 == 0 for layer in range(layers)])
    return _build(f, name, mixer, windows, sandwich=True, softcap=True)


def gemma3(f: Fields, name: str) -> Model:
    """Gemma 3 text: q and k norms, five layers with a sliding window to one without.

    Published configs leave out heads, key/value heads and vocabulary where they are the class defaults 8, 4, 262,208.
    """
    layers = f.layers("num_hidden_layers")
    heads = f.count("num_attention_heads", default=8)
    mixer = Attention(heads, f.kv_heads(heads, 4), f.count("head_dim", default=256), qk_norm=True)
    window = f.count("sliding_window", default=4096, maximum=2**31)
    period = f.count("sliding_window_pattern", default=6)
    windows = f.windows(layers, window, [(layer + 1) % period > 0 for layer in range(layers)])
    return _build(f, name, mixer, windows, sandwich=True, softcap=False, vocabulary=262_208)


def _build(
    f: Fields,
    name: str,
    mixer: Attention,
    windows: Sequence[int],
    *,
    sandwich: bool,
    softcap: bool,
    vocabulary: int | None = None,
) -> Model:
    hidden, words = f.count("hidden_size"), f.vocabulary(vocabulary)
    bias = f.flag("attention_bias", False)
    mixer = replace(mixer, qkv_bias=bias, out_bias=bias)
    # "hidden_act": "gelu" in early configs is overruled by the tanh form; both cost the same
    feed = Mlp(f.count("intermediate_size"), f.activation("hidden_activation", "gelu", gated=True))
    tied = f.flag("tie_word_embeddings", True)
    f.check()
    made = {
        window: pre_norm_block("layer", hidden, replace(mixer, window=window), feed, sandwich=sandwich)
        for window in dict.fromkeys(windows)
    }
    blocks = [made[window] for window in windows]
    return language_model(name, blocks, hidden, words, tied=tied, scaled_embedding=True, softcap=softcap)
