"""Vision networks: Vision Transformers and bottleneck ResNets.

Convolutions are not split over tensor-parallel ranks. Sources: ViT, Dosovitskiy et al. 2020, arXiv:2010.11929; ResNet,
He et al. 2015, arXiv:1512.03385, in the v1.5 form of torchvision (the stride sits in the 3x3 convolution).
"""

from __future__ import annotations

from collections.abc import Sequence

from . import ops
from .model import Block, LayerRun, Model, layer_runs
from .op import BLOCK_INPUT, Op, Rows, Sharding
from .transformer import LAYER, Attention, Mlp, pre_norm_block

__all__ = ["bottleneck", "resnet", "vit"]


def vit(
    name: str,
    layers: int,
    hidden: int,
    heads: int,
    ffn: int,
    *,
    image_size: int = 224,
    patch_size: int = 16,
    channels: int = 3,
    classes: int = 1000,
    dropout: bool = False,
    score_dropout: bool = False,
) -> Model:
    """Vision Transformer: patches and a class token, bidirectional pre-norm blocks, a linear classifier."""
    patches = (image_size // patch_size) ** 2
    tokens = patches + 1
    mixer = Attention.multi_head(hidden, heads, rope=False, causal=False, score_dropout=score_dropout)
    feed = Mlp(ffn, "gelu", bias=True)
    block = pre_norm_block("layer", hidden, mixer, feed, norm=LAYER, dropout=dropout)
    patch = ops.conv2d("patches", channels, hidden, patch_size, image_size, patch_size, bias=True)
    class_token = ops.elementwise("class_token", hidden, 4, 4, extra_parameters=hidden)
    stem = Block("stem", (patch, class_token, ops.position_embedding("positions", tokens, hidden)))
    head = Block("head", (LAYER.op("final_norm", hidden), *_classifier(hidden, classes)))
    runs = (LayerRun(block, layers),)
    return Model(name=name, stem=stem, layers=runs, head=head, hidden=hidden, tokens_per_sample=tokens)


def resnet(
    name: str,
    depths: Sequence[int],
    widths: Sequence[int],
    *,
    stem_width: int = 64,
    image_size: int = 224,
    channels: int = 3,
    classes: int = 1000,
) -> Model:
    """Bottleneck ResNet; `widths` are the output channels of the stages, `depths` their blocks."""
    half = -(-image_size // 2)
    quarter = -(-half // 2)
    stem = Block(
        "stem",
        (
            *_conv_norm("conv", channels, stem_width, 7, image_size, 2),
            _relu("relu", stem_width, half),
            ops.pool("pool", stem_width, half * half, quarter * quarter, maximum=True),
        ),
    )
    blocks: list[Block] = []
    width_in, size = stem_width, quarter
    for stage, (depth, width) in enumerate(zip(depths, widths, strict=True), start=1):
        for index in range(depth):
            stride = 2 if stage > 1 and index == 0 else 1
            blocks.append(bottleneck(f"stage{stage}", width_in, width, size, stride))
            width_in, size = width, -(-size // stride)
    head = Block("head", (ops.pool("average", width_in, size * size, 1), *_classifier(width_in, classes)))
    hidden = stem_width * quarter * quarter
    return Model(name=name, stem=stem, layers=layer_runs(blocks), head=head, hidden=hidden, tokens_per_sample=1)


def bottleneck(name: str, width_in: int, width: int, size: int, stride: int = 1) -> Block:
    """1x1, 3x3 and 1x1 convolutions with batch norms, and a projected shortcut where the shape changes."""
    inner, out = width // 4, -(-size // stride)
    listed = [
        *_conv_norm("reduce", width_in, inner, 1, size, input=BLOCK_INPUT),
        _relu("reduce_relu", inner, size),
        *_conv_norm("spatial", inner, inner, 3, size, stride),
        _relu("spatial_relu", inner, out),
        *_conv_norm("expand", inner, width, 1, out),
    ]
    if stride > 1 or width_in != width:
        listed += _conv_norm("shortcut", width_in, width, 1, size, stride, input=BLOCK_INPUT)
    listed.append(ops.residual("add", width * out * out, Sharding.REPLICATED, rows=Rows.SAMPLES))
    listed.append(_relu("relu", width, out))
    return Block(name, tuple(listed))


def _conv_norm(
    name: str, width_in: int, width: int, kernel: int, size: int, stride: int = 1, *, input: str = ""
) -> list[Op]:
    conv = ops.conv2d(name, width_in, width, kernel, size, stride, input=input)
    return [conv, ops.batch_norm(f"{name}_norm", width, conv.output_positions)]


def _relu(name: str, width: int, size: int) -> Op:
    return ops.activation(name, width * size * size, "relu", Sharding.REPLICATED, rows=Rows.SAMPLES)


def _classifier(hidden: int, classes: int) -> list[Op]:
    """One row per sample: the class token, or the pooled features."""
    replicated, samples = Sharding.REPLICATED, Rows.SAMPLES
    return [
        ops.matmul("classifier", hidden, classes, replicated, bias=True, rows=samples),
        ops.cross_entropy("loss", classes, replicated, rows=samples),
    ]
