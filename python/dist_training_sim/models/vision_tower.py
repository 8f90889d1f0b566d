"""Vision encoders in front of a decoder: a transformer over image patches and a projector to the decoder's width.

They run on the first pipeline stage with tokens of their own (`Block.tokens_per_sample`). The decoder's `seq_len`
counts the image tokens that come out of the projector as well as the text.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from ..errors import Problems, suggest
from . import ops
from .model import Block, LayerRun, Model, layer_runs
from .op import Op, Sharding
from .parts import RMS, Attention, Mlp, NormKind
from .transformer import pre_norm_block

__all__ = ["VisionTower", "frozen", "with_vision"]

PARTS = ("encoder", "stem", "layers", "head", "prediction")


@dataclass(frozen=True, kw_only=True)
class VisionTower:
    """Shape of an encoder and its projector.

    Attributes
    ----------
    layers, hidden, heads, feed, norm, bias
        Its bidirectional transformer; `bias` on all attention projections.
    patch_features
        Numbers in one patch: channels x patch height x patch width (x frames).
    windows
        Patches that attend to each other, per layer; 0 = all patches of an image. Empty = 0 for every layer.
    merge
        Patches joined into one image token before the projector.
    projector
        Widths of the projector's layers between the joined patches and the decoder, GeLU between them.
    extra_parameters
        Position tables, class tokens and other weights of the patch embedding.
    """

    layers: int
    hidden: int
    heads: int
    feed: Mlp
    patch_features: int
    norm: NormKind = RMS
    bias: bool = True
    windows: tuple[int, ...] = ()
    merge: int = 4
    projector: tuple[int, ...] = ()
    projector_bias: bool = True
    projector_norm: NormKind | None = RMS
    patch_bias: bool = False
    extra_parameters: int = 0
    rope: bool = True

    def runs(self, width: int, image_tokens: int, images: int) -> tuple[LayerRun, ...]:
        """Blocks for `image_tokens` tokens of a sample, from `images` pictures of equal size."""
        patches = image_tokens * self.merge
        windows = self.windows or (0,) * self.layers
        blocks = [self._embedding(patches)]
        blocks += [self._layer(window or patches / images, patches, images) for window in windows]
        return layer_runs([*blocks, self._project(width, image_tokens)])

    def _embedding(self, patches: int) -> Block:
        embed = ops.matmul("patches", self.patch_features, self.hidden, bias=self.patch_bias)
        return Block("patch-embedding", (replace(embed, extra_parameters=self.extra_parameters),), patches)

    def _layer(self, chunk: float, patches: int, images: int) -> Block:
        mixer = Attention(
            *(self.heads, self.heads, self.hidden // self.heads),
            qkv_bias=self.bias,
            out_bias=self.bias,
            rope=self.rope,
            causal=False,
        )
        block = pre_norm_block("vision-layer", self.hidden, mixer, self.feed, norm=self.norm)
        if chunk >= patches and images == 1:
            return replace(block, tokens_per_sample=patches)
        listed = tuple(replace(op, chunk=chunk) if op.name == "attention" else op for op in block.ops)
        return Block(block.name, listed, patches)

    def _project(self, width: int, image_tokens: int) -> Block:
        joined = self.hidden * self.merge
        listed: list[Op] = []
        if self.projector_norm:
            kind, bias = self.projector_norm.kind, self.projector_norm.bias
            listed.append(ops.norm("projector_norm", joined, kind, bias=bias, groups=self.merge))
        widths = (joined, *self.projector, width)
        for i, (before, after) in enumerate(pairwise(widths)):
            if i:
                listed.append(ops.activation(f"projector_act{i}", before, "gelu", _region(i - 1)))
            sharding = Sharding.SEQUENCE if len(widths) == 2 else Sharding.COLUMN if i % 2 == 0 else Sharding.ROW
            listed.append(ops.matmul(f"projector{i}", before, after, sharding, bias=self.projector_bias))
        return Block("projector", tuple(listed), image_tokens)


def _region(layer: int) -> Sharding:
    return Sharding.HEADS if layer % 2 == 0 else Sharding.SEQUENCE


def with_vision(model: Model, tower: VisionTower, *, image_tokens: int, images: int = 1) -> Model:
    """Copy of a language model with a vision tower in front.

    Parameters
    ----------
    model
        The decoder.
    tower
        Shape of encoder and projector.
    image_tokens
        Tokens of each sample that come from images, after the projector's merging.
    images
        Pictures they come from; attention does not cross them.

    Raises
    ------
    ConfigError
        If a count is no positive integer, or the windows are not one per layer.
    """
    problems = Problems()
    problems.count("image_tokens", image_tokens)
    problems.count("images", images, maximum=max(1, image_tokens))
    if tower.windows and len(tower.windows) != tower.layers:
        problems.add("tower.windows", len(tower.windows), f"one per layer, {tower.layers}")
    problems.raise_if_any()
    runs = tower.runs(int(model.hidden), image_tokens, images)
    return replace(model, name=f"{model.name}-vision", encoder=runs)


def frozen(model: Model, parts: Collection[str]) -> Model:
    """Copy of a model in which the named parts are not trained: of encoder, stem, layers, head and prediction.

    Frozen matmuls have no weight gradient, no reduction and no optimizer states; an encoder that is frozen whole has no
    backward at all.
    """
    problems = Problems()
    for part in sorted(set(parts) - set(PARTS)):
        problems.add("parts", part, f"some of {', '.join(PARTS)}", suggest(part, PARTS))
    problems.raise_if_any()
    changes: dict[str, Any] = {}
    for part in parts:
        value = getattr(model, part)
        changes[part] = _frozen(value) if isinstance(value, Block) else tuple(_frozen_run(run) for run in value)
    return replace(model, **changes)


def _frozen_run(run: LayerRun) -> LayerRun:
    return LayerRun(_frozen(run.block), run.repeat)


def _frozen(block: Block) -> Block:
    return replace(block, ops=tuple(replace(op, trainable=False) for op in block.ops))
