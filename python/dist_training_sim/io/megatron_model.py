"""Megatron's options of a model ↔ the shape of a decoder."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from ..models.transformer import LAYER, RMS, Attention, Experts, LatentAttention, Mlp
from .decoder_shape import DecoderShape
from .megatron_options import VOCABULARIES
from .named_after import entry_named_after
from .options import Options

__all__ = ["read_shape", "write_shape"]

GPT2_VOCABULARY = 50_257
MOST_LAYERS = 4096
_PATTERN = re.compile(r"\[([01](?:,[01])*)\](?:\*(\d{1,4}))?")


def read_shape(o: Options) -> DecoderShape | None:
    """Shape that options describe; None where problems were recorded."""
    layers, hidden = o.count("num-layers", "encoder-num-layers"), o.count("hidden-size")
    heads = o.count("num-attention-heads")
    stated = {"num-layers": layers, "hidden-size": hidden, "num-attention-heads": heads}
    for name, value in stated.items():
        if value is None and o.lacks(name):
            o.problems.add(f"{o.prefix}{name}", None, "a whole number: the option is required")
    if layers is None or hidden is None or heads is None:
        return None
    if layers > MOST_LAYERS:
        o.problems.add(f"{o.prefix}num-layers", layers, f"at most {MOST_LAYERS}")
        return None
    gated = o.flag("swiglu") or o.flag("quick-geglu")
    default_ffn = int(4 * hidden * 2 / 3) // 64 * 64 if gated else 4 * hidden  # arguments.py: a multiple of 64
    ffn = o.count("ffn-hidden-size", default=default_ffn)
    activation = _activation(o)
    bias = not o.flag("disable-bias-linear") and o.flag("add-bias-linear", default=True)
    rope = _rope(o)
    return DecoderShape(
        layers=layers,
        hidden=hidden,
        attention=_attention(o, heads, hidden, bias=bias, rope=rope),
        ffn=ffn,
        vocabulary=_vocabulary(o),
        activation=activation,
        mlp_bias=bias,
        norm=o.choice("normalization", known={"layernorm": LAYER, "rmsnorm": RMS}, default=LAYER),
        tied=not o.flag("untie-embeddings-and-output-weights"),
        positions=_positions(o, rope=rope),
        dropout=o.number("hidden-dropout", default=0.1) > 0,
        embedding_norm=o.flag("embed-layernorm"),
        experts=_experts(o, ffn, activation, bias=bias),
        routed=_routed(o, layers),
        latent=_latent(o, heads),
        prediction=o.count("mtp-num-layers", default=0, minimum=0),
    )


def _activation(o: Options) -> str:
    known = {name: name for name in ("swiglu", "geglu", "reglu")}  # of the BigScience fork
    if forked := o.choice("glu-activation", known=known, default=None):
        return forked
    if o.flag("swiglu"):
        return "swiglu"
    if o.flag("quick-geglu"):
        return "geglu"
    if o.flag("squared-relu"):
        return "relu2"
    o.flag("openai-gelu")
    return "gelu"


def _rope(o: Options) -> bool:
    kind = o.text("position-embedding-type", default="learned_absolute")
    return kind in ("rope", "yarn", "mrope") or o.flag("use-rotary-position-embeddings")


def _positions(o: Options, *, rope: bool) -> int:
    kind = o.text("position-embedding-type", default="learned_absolute")
    rows = o.count("max-position-embeddings", default=o.count("seq-length", "encoder-seq-length", default=0, minimum=0))
    learned = kind in ("learned_absolute", "absolute") and not o.flag("no-position-embedding")
    return rows if learned and not rope else 0


def _attention(o: Options, heads: int, hidden: int, *, bias: bool, rope: bool) -> Attention:
    groups = o.count("num-query-groups", default=1)
    kv_heads = groups if o.flag("group-query-attention") or "num-query-groups" in o else heads
    size = o.count("kv-channels", default=0)
    if not size and hidden % heads:
        option = o.get("num-attention-heads")
        if option is not None:
            o.reject(option, f"a divisor of the hidden size {hidden}")
        size = 1
    if heads % kv_heads and (option := o.get("num-query-groups")) is not None:
        o.reject(option, f"a divisor of {heads} attention heads")
    return Attention(
        heads,
        kv_heads,
        size or hidden // heads,
        qkv_bias=bias or o.flag("add-qkv-bias"),
        out_bias=bias,
        qk_norm=o.flag("qk-layernorm"),
        rope=rope,
        score_dropout=o.number("attention-dropout", default=0.1) > 0,
        alibi=o.text("position-embedding-type", default="") == "alibi",
    )


def _latent(o: Options, heads: int) -> LatentAttention | None:
    """Sizes that are not given are Megatron's defaults."""
    sizes = {
        "q_rank": o.count("q-lora-rank", default=0),
        "kv_rank": o.count("kv-lora-rank", default=32),
        "nope_dim": o.count("qk-head-dim", default=128),
        "rope_dim": o.count("qk-pos-emb-head-dim", default=64),
        "v_dim": o.count("v-head-dim", default=128),
    }
    return LatentAttention(heads=heads, **sizes) if o.flag("multi-latent-attention") else None


def _experts(o: Options, ffn: int, activation: str, *, bias: bool) -> Experts | None:
    number = o.count("num-experts")
    width = o.count("moe-ffn-hidden-size", default=ffn)
    top_k = o.count("moe-router-topk", default=2)
    shared = o.count("moe-shared-expert-intermediate-size", default=0, minimum=0)
    gate, router_bias = o.flag("moe-shared-expert-gate"), o.flag("moe-router-enable-expert-bias")
    if number is None:
        return None
    if top_k > number and (option := o.get("moe-router-topk", "num-experts")) is not None:
        o.reject(option, f"at most the {number} experts")
        return None
    return Experts(
        number,
        top_k,
        width,
        activation,
        bias=bias,
        router_bias=router_bias,
        shared=Mlp(shared, activation) if shared else None,
        shared_gate=gate,
    )


def _routed(o: Options, layers: int) -> tuple[bool, ...]:
    """Which layers have experts: every n-th, or a pattern such as `([0]*3+[1]*58)`."""
    option = o.get("moe-layer-freq")
    if option is None or not option.values or "num-experts" not in o:
        return ()
    text = "".join(map(str, option.values)).replace(" ", "").strip("()")
    if text.isdecimal() and 0 < int(text[:6]) <= layers:
        flags = [layer % int(text[:6]) == 0 for layer in range(layers)]
    else:
        parts = [_PATTERN.fullmatch(part) for part in text.split("+")]
        repeats = [(m.group(1).split(","), int(m.group(2) or 1)) for m in parts if m is not None]
        if None in parts or sum(len(p) * n for p, n in repeats) != layers:
            o.reject(option, f"a number, or a pattern of {layers} layers such as ([0]*3+[1]*{layers - 3})")
            return ()
        flags = [flag == "1" for pattern, times in repeats for flag in pattern * times]
    return () if all(flags) else tuple(flags)


def _vocabulary(o: Options) -> int:
    """Stated, or implied by the tokenizer."""
    kind, name = o.text("tokenizer-type").lower(), o.text("tokenizer-model")
    stated = o.count("vocab-size", "padded-vocab-size", "pad-vocab-size-to")
    o.count("make-vocab-size-divisible-by")
    if stated is not None:
        return stated
    if kind in VOCABULARIES:
        return VOCABULARIES[kind]
    entry = entry_named_after(name)
    known = None if entry is None else entry.config.get("vocab_size")
    place = "the options give no vocabulary"
    if known is not None:
        o.notes.append(f"{place}: {known:,} of {PurePosixPath(name).name} is taken")
        return int(known)
    o.notes.append(f"{place}: {GPT2_VOCABULARY:,} of GPT-2 is assumed; add {o.prefix}vocab-size")
    return GPT2_VOCABULARY


def write_shape(shape: DecoderShape, seq_len: int) -> dict[str, object]:
    """Options of a shape by name; True is a switch."""
    a, experts = shape.attention, shape.experts
    options: dict[str, object] = {
        "num-layers": shape.layers,
        "hidden-size": shape.hidden,
        "ffn-hidden-size": shape.ffn,
        "num-attention-heads": a.heads,
        "kv-channels": None if shape.latent else a.head_dim,
        "group-query-attention": not shape.latent and a.kv_heads != a.heads,
        "num-query-groups": a.kv_heads if not shape.latent and a.kv_heads != a.heads else None,
        "seq-length": seq_len,
        "max-position-embeddings": shape.positions or seq_len,
        "position-embedding-type": "learned_absolute" if shape.positions else "rope" if _turns(shape) else "none",
        "vocab-size": shape.vocabulary,
        "tokenizer-type": "NullTokenizer",
        "normalization": "RMSNorm" if shape.norm == RMS else "LayerNorm",
        "swiglu": shape.activation == "swiglu",
        "quick-geglu": shape.activation == "geglu",
        "squared-relu": shape.activation == "relu2",
        "disable-bias-linear": not shape.mlp_bias,
        "add-qkv-bias": a.qkv_bias and not shape.mlp_bias,
        "qk-layernorm": a.qk_norm or (shape.latent is not None),
        "untie-embeddings-and-output-weights": not shape.tied,
        "attention-dropout": "0.1" if a.score_dropout else "0.0",
        "hidden-dropout": "0.1" if shape.dropout else "0.0",
        "mtp-num-layers": shape.prediction or None,
    }
    return options | (_write_experts(experts, shape) if experts else {}) | _write_latent(shape.latent)


def _turns(shape: DecoderShape) -> bool:
    return shape.attention.rope or shape.latent is not None


def _write_experts(e: Experts, shape: DecoderShape) -> dict[str, object]:
    return {
        "num-experts": e.experts,
        "moe-router-topk": e.top_k,
        "moe-ffn-hidden-size": e.features,
        "moe-layer-freq": _frequency(shape.routed),
        "moe-grouped-gemm": True,
        "moe-router-enable-expert-bias": e.router_bias,
        "moe-router-score-function": "sigmoid" if e.router_bias else None,
        "moe-shared-expert-intermediate-size": e.shared.features if e.shared else None,
        "moe-shared-expert-gate": e.shared_gate,
    }


def _frequency(routed: tuple[bool, ...]) -> str | None:
    """Runs of layers with and without experts, as Megatron's pattern."""
    runs: list[list[int]] = []
    for flag in routed:
        if runs and runs[-1][0] == flag:
            runs[-1][1] += 1
        else:
            runs.append([int(flag), 1])
    return "(" + "+".join(f"[{flag}]*{times}" for flag, times in runs) + ")" if runs else None


def _write_latent(latent: LatentAttention | None) -> dict[str, object]:
    if latent is None:
        return {}
    return {
        "multi-latent-attention": True,
        "q-lora-rank": latent.q_rank or None,
        "kv-lora-rank": latent.kv_rank,
        "qk-head-dim": latent.nope_dim,
        "qk-pos-emb-head-dim": latent.rope_dim,
        "v-head-dim": latent.v_dim,
    }
