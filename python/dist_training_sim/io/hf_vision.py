"""Families that are no decoders: BERT, ViT and ResNet."""

from __future__ import annotations

from ..models import Model, encoder, vision
from .hf_fields import WIDEST, Fields

__all__ = ["bert", "resnet", "vit"]

LARGEST_IMAGE = 2**14


def bert(f: Fields, name: str) -> Model:
    """BERT with its two pretraining heads."""
    hidden = f.count("hidden_size")
    shape = (f.layers("num_hidden_layers"), hidden, f.heads(hidden, "num_attention_heads"))
    ffn, vocabulary = f.count("intermediate_size"), f.vocabulary()
    positions = f.count("max_position_embeddings", default=512, maximum=2**24)
    segments = f.count("type_vocab_size", default=2)
    activation = f.activation("hidden_act", "gelu")
    dropout = f.probability("hidden_dropout_prob", 0.1)
    score_dropout = f.probability("attention_probs_dropout_prob", 0.1)
    f.check()
    return encoder.bert(
        name,
        *shape,
        ffn,
        vocabulary,
        positions=positions,
        segments=segments,
        activation=activation,
        dropout=dropout,
        score_dropout=score_dropout,
    )


def vit(f: Fields, name: str) -> Model:
    """Vision Transformer classifier."""
    hidden = f.count("hidden_size")
    shape = (f.layers("num_hidden_layers"), hidden, f.heads(hidden, "num_attention_heads"))
    ffn = f.count("intermediate_size")
    image = f.count("image_size", default=224, maximum=LARGEST_IMAGE)
    patch = f.count("patch_size", default=16, maximum=image)
    channels, classes = f.count("num_channels", default=3), _classes(f)
    dropout, score_dropout = f.probability("hidden_dropout_prob"), f.probability("attention_probs_dropout_prob")
    f.check()
    return vision.vit(
        name,
        *shape,
        ffn,
        image_size=image,
        patch_size=patch,
        channels=channels,
        classes=classes,
        dropout=dropout,
        score_dropout=score_dropout,
    )


def resnet(f: Fields, name: str) -> Model:
    """Bottleneck ResNet classifier; `image_size` may be added to the config, 224 otherwise."""
    depths = f.integers("depths", 1024, required=True)
    widths = f.integers("hidden_sizes", WIDEST, required=True)
    stem, channels, classes = f.count("embedding_size", default=64), f.count("num_channels", default=3), _classes(f)
    image = f.count("image_size", default=224, maximum=LARGEST_IMAGE)
    if f.value("layer_type") not in (None, "bottleneck"):
        f.report("layer_type", f.value("layer_type"), "'bottleneck', the form of ResNet-50 and deeper")
    if len(depths) != len(widths) or 0 in depths or any(width < 4 or width % 4 for width in widths):
        expected = "equally many, depths > 0, sizes multiples of 4"
        f.report("depths, hidden_sizes", (len(depths), len(widths)), expected)
    f.check()
    return vision.resnet(name, depths, widths, stem_width=stem, image_size=image, channels=channels, classes=classes)


def _classes(f: Fields) -> int:
    """Number of labels: stated, else the size of `id2label`, else ImageNet's 1000."""
    labels = f.value("id2label")
    return f.count("num_labels", default=len(labels) if isinstance(labels, dict) and labels else 1000)
