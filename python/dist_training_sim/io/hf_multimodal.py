"""Multimodal families: Llama 4's decoder, and the vision towers of Llama 4 and Qwen2.5-VL."""

from __future__ import annotations

from dataclasses import replace

from ..models import Model, VisionTower
from ..models.transformer import LAYER, Attention, Experts, Mlp, Part, language_model, pre_norm_block
from .hf_experts import read_experts
from .hf_fields import Fields

__all__ = ["llama4", "llama4_vision", "qwen2_vl_vision"]


def llama4(f: Fields, name: str) -> Model:
    """Llama 4: attention within chunks on three layers of four, full without rope on the fourth; a shared expert."""
    hidden, layers, vocabulary = f.count("hidden_size"), f.layers("num_hidden_layers"), f.vocabulary()
    heads = f.count("num_attention_heads")
    full = Attention(heads, f.kv_heads(heads, 8), f.count("head_dim", default=128), rope=False)
    chunk = f.count("attention_chunk_size", default=8192, maximum=2**31)
    local = replace(full, rope=True, chunk=chunk)
    experts = read_experts(f, "intermediate_size", "num_local_experts", default=16, top_k=1)
    experts = replace(experts, shared=Mlp(experts.features, experts.activation))
    dense = Mlp(f.count("intermediate_size_mlp", default=16384), experts.activation)
    step = f.count("interleave_moe_layer_step", default=1)
    without_rope = f.count("no_rope_layer_interval", default=4)
    tied = f.flag("tie_word_embeddings", False)
    f.check()
    pairs: list[tuple[Part, Part]] = [
        (local if (i + 1) % without_rope else full, dense if (i + 1) % step else experts) for i in range(layers)
    ]
    made = {p: pre_norm_block(_kind(p[1]), hidden, *p) for p in dict.fromkeys(pairs)}
    return language_model(name, [made[pair] for pair in pairs], hidden, vocabulary, tied=tied)


def _kind(feed: Part) -> str:
    return "moe-layer" if isinstance(feed, Experts) else "dense-layer"


def llama4_vision(f: Fields) -> VisionTower:
    """Llama 4's tower: a ViT with layer norms, pixel shuffle by 2 x 2, a two-layer adapter and a projection."""
    hidden, patch = f.count("hidden_size", default=768), f.count("patch_size", default=14)
    image = f.count("image_size", default=448, maximum=2**14)
    output = f.count("vision_output_dim", default=7680)
    tower = VisionTower(
        layers=f.layers("num_hidden_layers"),
        hidden=hidden,
        heads=f.heads(hidden, "num_attention_heads"),
        feed=Mlp(f.count("intermediate_size"), "gelu", bias=True),
        patch_features=f.count("num_channels", default=3) * patch * patch,
        norm=LAYER,
        merge=4,
        projector=(f.count("projector_input_dim", default=4096), output),
        projector_bias=False,
        projector_norm=None,
        # class token, positions of patches and of it, norms before and after
        extra_parameters=hidden * (1 + (image // patch) ** 2 + 1 + 4),
    )
    f.check()
    return tower


def qwen2_vl_vision(f: Fields) -> VisionTower:
    """Qwen2.5-VL's tower: windows of 112 pixels but on the layers listed, patches of two frames merged 2 x 2."""
    hidden, layers = f.count("hidden_size", default=1280), f.layers("depth")
    patch, merge = f.count("patch_size", "spatial_patch_size", default=14), f.count("spatial_merge_size", default=2)
    window = (f.count("window_size", default=112) // patch) ** 2
    full = set(f.integers("fullatt_block_indexes", maximum=layers))
    joined = hidden * merge * merge
    tower = VisionTower(
        layers=layers,
        hidden=hidden,
        heads=f.heads(hidden, "num_heads"),
        feed=Mlp(f.count("intermediate_size"), "swiglu", bias=True),
        patch_features=f.count("in_chans", "in_channels", default=3)
        * f.count("temporal_patch_size", default=2)
        * patch**2,
        windows=tuple(0 if i in full else window for i in range(layers)),
        merge=merge * merge,
        projector=(joined,),
    )
    f.check()
    return tower
