"""Vision towers in front of a decoder: published weights, tokens of their own, the first stage, and freezing."""

from __future__ import annotations

from typing import Any

import dist_training_sim as dts
import pytest
from dist_training_sim import ConfigError, FrameworkProfile, Strategy, _core
from dist_training_sim._convert import to_core
from dist_training_sim.models import Model, OpKind, VisionTower, frozen, transformer, with_vision
from dist_training_sim.models.transformer import Mlp

SCOUT: dict[str, Any] = {
    "model_type": "llama4",
    "text_config": {
        "model_type": "llama4_text", "vocab_size": 202048, "hidden_size": 5120, "num_hidden_layers": 48,
        "num_attention_heads": 40, "num_key_value_heads": 8, "head_dim": 128, "intermediate_size": 8192,
        "intermediate_size_mlp": 16384, "num_local_experts": 16, "num_experts_per_tok": 1,
        "interleave_moe_layer_step": 1, "attention_chunk_size": 8192,
    },
    "vision_config": {
        "hidden_size": 1408, "num_hidden_layers": 34, "num_attention_heads": 16, "intermediate_size": 5632,
        "image_size": 336, "patch_size": 14, "projector_input_dim": 4096, "vision_output_dim": 4096,
    },
}  # fmt: skip
MAVERICK = {**SCOUT, "text_config": {**SCOUT["text_config"], "num_local_experts": 128, "interleave_moe_layer_step": 2}}
QWEN: dict[str, Any] = {
    "model_type": "qwen2_5_vl", "vocab_size": 152064, "hidden_size": 3584, "num_hidden_layers": 28,
    "num_attention_heads": 28, "num_key_value_heads": 4, "intermediate_size": 18944, "use_sliding_window": False,
    "tie_word_embeddings": False,
    "vision_config": {
        "depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "in_chans": 3, "patch_size": 14,
        "window_size": 112, "fullatt_block_indexes": [7, 15, 23, 31],
    },
}  # fmt: skip
TOWER = VisionTower(
    layers=4, hidden=512, heads=8, feed=Mlp(2048, "gelu", bias=True), patch_features=588, projector=(1024,)
)
DECODER = transformer.language_model("decoder", [transformer.llama_block(1024, 16, 8, 4096)] * 4, 1024, 32_000)
CLUSTER = dts.Cluster.from_catalog("dgx-h100")
IDEAL = FrameworkProfile.from_catalog("ideal")


def run(model: Model, **layout: Any) -> dts.Result:
    return dts.simulate(model, CLUSTER, Strategy(global_batch=8, **layout), seq_len=2048, framework=IDEAL)


@pytest.mark.parametrize(
    ("config", "published"),
    [(SCOUT, 108_641_793_536), (MAVERICK, 401_583_781_376), (QWEN, 8_292_166_656)],
    ids=["Llama-4-Scout-17B-16E", "Llama-4-Maverick-17B-128E", "Qwen2.5-VL-7B-Instruct"],
)
def test_weights_are_the_published_ones(config: dict[str, Any], published: int) -> None:
    """Elements of the tensors on the hub, text and vision together."""
    assert Model.from_hf(config, image_tokens=1024, images=2).parameters == published
    assert not Model.from_hf(config).encoder


def test_new_configs_nest_the_text_part() -> None:
    text = {k: v for k, v in QWEN.items() if k != "vision_config"} | {"model_type": "qwen2_5_vl_text"}
    nested = {"model_type": "qwen2_5_vl", "text_config": text, "vision_config": QWEN["vision_config"]}
    assert Model.from_hf(nested, image_tokens=256).parameters == Model.from_hf(QWEN, image_tokens=256).parameters


def test_image_tokens_need_a_tower() -> None:
    with pytest.raises(ConfigError, match="image_tokens"):
        Model.from_hf({"model_type": "llama"} | {k: v for k, v in QWEN.items() if k != "model_type"}, image_tokens=64)


def test_windows_of_qwen() -> None:
    """8 x 8 patches of 14 pixels on 28 layers, whole images on 4."""
    runs = Model.from_hf(QWEN, image_tokens=1024, images=4).encoder
    chunks = [
        op.chunk for run in runs for op in run.block.ops for _ in range(run.repeat) if op.kind is OpKind.ATTENTION
    ]
    assert (chunks.count(64), chunks.count(1024)) == (28, 4)


def test_flops_count_patches() -> None:
    """Four patches to a token; attention within each image sees all of its patches."""
    with_images = with_vision(DECODER, TOWER, image_tokens=512, images=2)
    patches, of_image = 2048, 1024
    layer = 2 * 512 * (3 * 512 + 512 + 2 * 2048) + 4 * 8 * 64 * of_image
    tower = patches * (2 * 588 * 512 + 4 * layer) + 512 * 2 * (2048 * 1024 + 1024 * 1024)
    seen = [_core.training_flops(to_core(m), 2048).causal for m in (DECODER, with_images)]
    assert seen[1] - seen[0] == pytest.approx(3 * tower)


def test_the_first_stage_sees_the_images() -> None:
    plain, images = (run(m, pp=2) for m in (DECODER, with_vision(DECODER, TOWER, image_tokens=512)))
    assert images.stage_breakdowns[0]["forward_s"] > 1.2 * plain.stage_breakdowns[0]["forward_s"]
    assert images.stage_breakdowns[1]["forward_s"] == pytest.approx(plain.stage_breakdowns[1]["forward_s"])
    assert images.memory[0].categories["activations"] > plain.memory[0].categories["activations"]


def test_a_frozen_tower_has_no_backward() -> None:
    trained = with_vision(DECODER, TOWER, image_tokens=512)
    still = frozen(trained, ("encoder",))
    assert run(still).breakdown["backward_s"] == pytest.approx(run(DECODER).breakdown["backward_s"])
    assert run(still).breakdown["forward_s"] == pytest.approx(run(trained).breakdown["forward_s"])
    kept = [run(m).peak_memory.categories for m in (DECODER, still, trained)]
    assert kept[0]["activations"] == kept[1]["activations"] < kept[2]["activations"]
    assert kept[0]["gradients"] == kept[1]["gradients"] < kept[2]["gradients"]
    assert kept[0]["weights"] < kept[1]["weights"] == kept[2]["weights"]


def test_context_parallel_ranks_each_see_all_patches() -> None:
    model = with_vision(DECODER, TOWER, image_tokens=512)
    extra = [run(m, cp=4).breakdown["forward_s"] - run(DECODER, cp=4).breakdown["forward_s"] for m in (model,)]
    alone = run(model).breakdown["forward_s"] - run(DECODER).breakdown["forward_s"]
    assert extra[0] == pytest.approx(4 * alone)  # four times the micro-batches, nothing split


def test_layouts_run() -> None:
    model = with_vision(DECODER, TOWER, image_tokens=512, images=4)
    for layout in ({"tp": 4}, {"zero": 3}, {"recompute": "full"}, {"precision": "fp8"}, {"pp": 2, "schedule": "zb_h1"}):
        assert run(model, **layout).fits


def test_counts_are_checked_together() -> None:
    odd = VisionTower(layers=4, hidden=512, heads=8, feed=Mlp(2048), patch_features=588, windows=(64,))
    with pytest.raises(ConfigError, match="image_tokens") as caught:
        with_vision(DECODER, odd, image_tokens=0)
    assert "windows" in str(caught.value)
    with pytest.raises(ConfigError, match="did you mean encoder"):
        frozen(DECODER, ("encoders",))
