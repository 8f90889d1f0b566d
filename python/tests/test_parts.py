"""Parts of blocks by hand: what each op reads and gives, in features or elements of a row."""

from __future__ import annotations

from itertools import pairwise

import pytest
from dist_training_sim.models import Block, Model, Op, OpKind, Rows
from dist_training_sim.models.parts import Attention, Experts, LatentAttention, Mlp
from dist_training_sim.models.vision import bottleneck, resnet, vit

H = 512


def widths(listed: list[Op]) -> list[tuple[str, float, float]]:
    return [(op.name, op.in_features, op.out_features) for op in listed]


def test_grouped_attention_with_norms_and_a_gate() -> None:
    listed = Attention(8, 2, 64, output_gate=True, qk_norm=True).ops(H, "x")
    assert widths(listed) == [
        ("qkv", H, 512 + 512 + 2 * 128),  # q, its gate, k and v
        ("q_norm", 512, 512),
        ("k_norm", 128, 128),
        ("rope", 640, 640),
        ("attention", 512 + 2 * 128, 512),
        ("output_gate", 512, 512),
        ("proj", 512, H),
    ]
    assert [op.norm_groups for op in listed[1:3]] == [8, 2]
    gate = listed[5]
    assert (gate.forward_bytes_per_element, gate.backward_bytes_per_element) == (6, 10)


def test_latent_attention() -> None:
    """16 heads of 128 + 64 for q and k, 128 for v; k and v from 512 features, 64 rotated ones beside."""
    plain = LatentAttention(16, 0, 512, 128, 64, 128).ops(H, "x")
    rest = [
        ("kv_down", H, 512 + 64),
        ("kv_norm", 512, 512),
        ("kv_up", 512, 16 * (128 + 128)),
        ("rope", 2 * 16 * 192, 2 * 16 * 192),
        ("attention", 16 * (192 + 192 + 128), 16 * 128),
        ("proj", 16 * 128, H),
    ]
    assert widths(plain) == [("q", H, 16 * 192), *rest]
    lower = LatentAttention(16, 96, 512, 128, 64, 128).ops(H, "x")
    assert widths(lower) == [("q_down", H, 96), ("q_norm", 96, 96), ("q_up", 96, 16 * 192), *rest]


def test_experts_and_those_that_all_take() -> None:
    listed = Experts(8, 2, 256, shared=Mlp(300), shared_gate=True).ops(H, "x")
    assert widths(listed) == [
        ("router", H, 8),
        ("dispatch", H, H),
        ("expert_up", H, 2 * 256),
        ("expert_act", 2 * 256, 256),
        ("expert_down", 256, H),
        ("combine", H, H),
        ("shared_gate", H, 1),
        ("shared_up", H, 600),
        ("shared_act", 600, 300),
        ("shared_down", 300, H),
        ("shared_scale", H, H),
        ("shared_add", H, H),
    ]
    assert [(op.experts, op.top_k) for op in listed if op.rows is Rows.ROUTED and op.experts] == [(8, 2)] * 4
    scale = listed[-2]
    assert (scale.forward_bytes_per_element, scale.backward_bytes_per_element) == (4, 6)
    relu = Experts(8, 1, 256, "relu").ops(H, "x")
    assert widths(relu)[2:4] == [("expert_up", H, 256), ("expert_act", 256, 256)]


@pytest.mark.parametrize(("activation", "up"), [("swiglu", 600), ("gelu", 300)])
def test_a_gated_mlp_projects_to_twice_its_features(activation: str, up: int) -> None:
    assert widths(Mlp(300, activation).ops(H, "x")) == [("up", H, up), ("act", up, 300), ("down", 300, H)]


def read(op: Op) -> float:
    return op.in_features * (op.input_positions if op.kind is OpKind.CONV2D else 1)


def given(op: Op) -> float:
    return op.out_features * (op.output_positions if op.kind is OpKind.CONV2D else 1)


def flow(block: Block, entering: float) -> float:
    """Elements of a sample that leave a block; every op reads as many as its input gives."""
    made, last = {"block": entering}, entering
    for op in block.ops:
        assert read(op) == (made[op.input] if op.input else last), (block.name, op.name)
        last = made[op.name] = given(op)
    return last


@pytest.mark.parametrize("image_size", [224, 225, 65])
def test_a_residual_network_reads_what_it_gives(image_size: int) -> None:
    model = resnet("r", (3, 4, 6, 3), (256, 512, 1024, 2048), image_size=image_size)
    size = image_size
    sizes = [size := -(-size // 2) for _ in range(5)]
    assert flow(model.stem, 3 * image_size**2) == model.hidden == 64 * sizes[1] ** 2
    elements = float(model.hidden)
    for run, width, size in zip(_stages(model), (256, 512, 1024, 2048), sizes[1:], strict=True):
        for block in run:
            elements = flow(block, elements)
        assert elements == width * size**2
    assert flow(model.head, elements) == 1  # the loss
    assert model.tokens_per_sample == 1


def _stages(model: Model) -> list[list[Block]]:
    blocks = [run.block for run in model.layers for _ in range(run.repeat)]
    stages: list[list[Block]] = [[blocks[0]]]
    for before, block in pairwise(blocks):
        stages.append([block]) if block.name != before.name else stages[-1].append(block)
    return stages


def test_a_bottleneck_with_and_without_a_projection() -> None:
    assert "shortcut" not in [op.name for op in bottleneck("b", 256, 256, 56).ops]
    for changed in (bottleneck("b", 64, 256, 56), bottleneck("b", 256, 256, 56, 2)):
        assert "shortcut" in [op.name for op in changed.ops]
    kernels = {op.name: op.kernel_area for op in bottleneck("b", 64, 256, 56, 2).ops if op.kind is OpKind.CONV2D}
    assert kernels == {"reduce": 1, "spatial": 9, "expand": 1, "shortcut": 1}


def test_the_defaults_are_those_of_imagenet() -> None:
    """ViT-B/16 and ResNet-50 as torchvision counts them."""
    model = vit("v", 12, 768, 12, 3072)
    assert (model.parameters, model.tokens_per_sample) == (86_567_656, 197)
    assert resnet("r", (3, 4, 6, 3), (256, 512, 1024, 2048)).parameters == 25_557_032
    class_token = next(op for op in model.stem.ops if op.name == "class_token")
    assert (class_token.forward_bytes_per_element, class_token.backward_bytes_per_element) == (4, 4)
