"""The sizes of a decoder that launch scripts state, as a model; and the sizes of a model, to write one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..errors import ConfigError, Problems
from ..models import Model, with_prediction
from ..models.model import Block
from ..models.op import Op
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

__all__ = ["DecoderShape", "build_decoder", "shape_of"]

MOST_LAYERS = 4096


@dataclass(frozen=True, kw_only=True)
class DecoderShape:
    """A pre-norm decoder with one kind of attention, one dense feed-forward and one kind of experts.

    Attributes
    ----------
    ffn
        Inner width of the dense feed-forward; unused where every layer has experts.
    experts, routed
        The experts, and which layers have them.
    latent
        Latent attention in place of `attention`.
    positions
        Rows of a learned position table; 0 = none.
    embedding_norm
        A norm behind the token table (BLOOM).
    prediction
        Modules that predict further tokens.
    """

    layers: int
    hidden: int
    attention: Attention
    ffn: int
    vocabulary: int
    activation: str = "swiglu"
    mlp_bias: bool = False
    norm: NormKind = RMS
    tied: bool = False
    positions: int = 0
    dropout: bool = False
    embedding_norm: bool = False
    experts: Experts | None = None
    routed: tuple[bool, ...] = ()
    latent: LatentAttention | None = None
    prediction: int = 0


def build_decoder(shape: DecoderShape, name: str) -> Model:
    """Model of a shape.

    Raises
    ------
    ConfigError
        If a size is not legal.
    """
    problems = Problems()
    problems.count("layers", shape.layers, maximum=MOST_LAYERS)
    problems.raise_if_any()
    mixer: Part = shape.latent or shape.attention
    dense = Mlp(shape.ffn, shape.activation, bias=shape.mlp_bias)
    routed = shape.routed or (shape.experts is not None,) * shape.layers
    mixed = shape.experts is not None
    feeds: list[tuple[str, Part]] = [
        ("moe-layer", shape.experts) if shape.experts and has else ("dense-layer" if mixed else "layer", dense)
        for has in routed
    ]
    made = {
        kind: pre_norm_block(kind, shape.hidden, mixer, feed, norm=shape.norm, dropout=shape.dropout)
        for kind, feed in dict(feeds).items()
    }
    model = language_model(
        name,
        [made[kind] for kind, _ in feeds],
        shape.hidden,
        shape.vocabulary,
        tied=shape.tied,
        positions=shape.positions,
        embedding_norm=LAYER if shape.embedding_norm else None,
        final_norm=shape.norm,
        dropout=shape.dropout,
    )
    return replace(with_prediction(model, shape.prediction), name=name) if shape.prediction else model


def shape_of(model: Model) -> DecoderShape:
    """Shape from which `build_decoder` makes this model again.

    Raises
    ------
    ConfigError
        If there is none: sliding windows, state-space layers, encoders and the like have no place in a shape.
    """
    try:
        shape = _read(model)
        same = replace(build_decoder(shape, model.name), layers=model.layers) == model and _layers_equal(shape, model)
    except (StopIteration, KeyError, IndexError, ValueError):
        same = False
    if not same:
        raise ConfigError(
            f"model: got {model.name!r}, expected a decoder of norm, attention, norm and feed-forward or experts, "
            "alike on every layer; other architectures have no options to be written as"
        )
    return shape


def _layers_equal(shape: DecoderShape, model: Model) -> bool:
    """Equal layers, whatever their blocks are called."""
    built = build_decoder(shape, model.name).layers
    return [(run.repeat, run.block.ops) for run in built] == [(run.repeat, run.block.ops) for run in model.layers]


def _named(block: Block) -> dict[str, Op]:
    return {op.name: op for op in block.ops}


def _read(model: Model) -> DecoderShape:
    blocks = [_named(run.block) for run in model.layers]
    dense = next((block for block in blocks if "router" not in block), None)
    sparse = next((block for block in blocks if "router" in block), None)
    first, feed = blocks[0], dense or {}
    head = _named(model.head)
    experts = _experts(sparse) if sparse else None
    return DecoderShape(
        layers=sum(run.repeat for run in model.layers),
        hidden=int(model.hidden),
        attention=_attention(first),
        ffn=int(feed["down"].in_features) if feed else experts.features if experts else 0,
        vocabulary=int(head["lm_head"].out_features),
        activation=_activation(feed["up"], feed["act"]) if feed else experts.activation if experts else "swiglu",
        mlp_bias=feed["up"].bias if feed else False,
        norm=_norm(head["final_norm"]),
        tied=model.tied_embeddings,
        positions=_positions(model),
        dropout="attn_dropout" in first,
        embedding_norm="embedding_norm" in _named(model.stem),
        experts=experts,
        routed=_routed(model) if experts else (),
        latent=_latent(first),
        prediction=len(model.prediction) // 2,
    )


def _positions(model: Model) -> int:
    table = _named(model.stem).get("positions")
    return 0 if table is None else int(table.extra_parameters / table.in_features)


def _routed(model: Model) -> tuple[bool, ...]:
    flags: list[bool] = []
    for run in model.layers:
        flags += ["router" in _named(run.block)] * run.repeat
    return () if all(flags) else tuple(flags)


def _norm(op: Op) -> NormKind:
    return next(kind for kind in (RMS, LAYER, NormKind("layer")) if kind.op(op.name, op.in_features) == op)


def _activation(up: Op, act: Op) -> str:
    """Name of the activation whose op this is."""
    from ..models import ops

    names: Sequence[str] = ("swiglu", "geglu", "reglu", "gelu", "relu", "relu2", "silu")
    width = int(act.out_features)
    return next(name for name in names if ops.activation(act.name, width, name, act.sharding, rows=act.rows) == act)


def _attention(block: dict[str, Op]) -> Attention:
    core = block["attention"]
    heads, kv_heads, size = int(core.heads), int(core.kv_heads), int(core.qk_head_dim)
    qkv = block.get("qkv")
    return Attention(
        heads,
        kv_heads,
        size,
        qkv_bias=qkv is not None and qkv.bias,
        out_bias=block["proj"].bias,
        qk_norm=qkv is not None and "q_norm" in block,
        rope="rope" in block,
        score_dropout=core.score_dropout,
        alibi=core.alibi,
    )


def _latent(block: dict[str, Op]) -> LatentAttention | None:
    if "kv_down" not in block:
        return None
    core, kv_rank = block["attention"], int(block["kv_norm"].in_features)
    rope_dim = int(block["kv_down"].out_features) - kv_rank
    return LatentAttention(
        heads=int(core.heads),
        q_rank=int(block["q_down"].out_features) if "q_down" in block else 0,
        kv_rank=kv_rank,
        nope_dim=int(core.qk_head_dim) - rope_dim,
        rope_dim=rope_dim,
        v_dim=int(core.v_head_dim),
    )


def _experts(block: dict[str, Op]) -> Experts:
    router, up, act = block["router"], block["expert_up"], block["expert_act"]
    shared = None
    if "shared_up" in block:
        kind = _activation(block["shared_up"], block["shared_act"])
        shared = Mlp(int(block["shared_down"].in_features), kind, bias=block["shared_up"].bias)
    return Experts(
        int(router.experts),
        int(router.top_k),
        int(block["expert_down"].in_features),
        _activation(up, act),
        bias=up.bias,
        router_bias=router.bias,
        shared=shared,
        shared_gate="shared_gate" in block,
    )
