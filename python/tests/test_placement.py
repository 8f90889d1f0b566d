"""What a framework makes of a model on tensor-parallel ranks: padded vocabularies, key and value heads copied."""

from __future__ import annotations

from typing import Any

import dist_training_sim as dts
import pytest
from dist_training_sim import ConfigError, FrameworkProfile, Strategy, _core
from dist_training_sim._convert import to_core
from dist_training_sim.models import Model, transformer

HIDDEN, HEADS, KV, HEAD_DIM, FFN, LAYERS, SEQ = 1024, 16, 2, 64, 4096, 2, 512
NODE = dts.Cluster.from_catalog("dgx-h100")
IDEAL = FrameworkProfile.from_catalog("ideal").replace(gather_buffers=0)


def model(vocabulary: int = 8192, kv_heads: int = KV, *, qk_norm: bool = False, gate: bool = False) -> Model:
    mixer = transformer.Attention(HEADS, kv_heads, HEAD_DIM, qk_norm=qk_norm, output_gate=gate)
    block = transformer.pre_norm_block("layer", HIDDEN, mixer, transformer.Mlp(FFN))
    return transformer.language_model("grouped", [block] * LAYERS, HIDDEN, vocabulary)


def run(described: Model, way: str = "replicate", **changes: Any) -> dts.Result:
    profile = IDEAL.replace(kv_heads_below_tp=way, **changes)
    return dts.simulate(described, NODE, Strategy(tp=8, global_batch=2), seq_len=SEQ, framework=profile)


def weights(result: dts.Result) -> float:
    return result.peak_memory.categories["weights"]


def test_more_ranks_than_kv_heads_can_be_refused() -> None:
    with pytest.raises(ConfigError, match="tp to divide kv heads=2"):
        run(model(), "refuse")
    assert run(model(kv_heads=8), "refuse").step_time_s > 0


@pytest.mark.parametrize("gate", [False, True])
def test_replicated_heads_come_with_their_weights(gate: bool) -> None:
    """Every rank holds one key and one value head: the layout of a model with as many heads as ranks."""
    copied, plain = run(model(gate=gate)), run(model(kv_heads=8, gate=gate))
    assert copied.step_time_s == plain.step_time_s
    assert copied.peak_memory.categories == plain.peak_memory.categories
    assert copied.mfu < plain.mfu  # the copies do no work that counts


def test_gathered_heads_keep_split_weights() -> None:
    gathered, copied = run(model(), "gather"), run(model())
    split = 2 * HIDDEN * HEAD_DIM * 2 * (8 - KV) / 8 * LAYERS  # two bytes, k and v, each rank's share of the copies
    assert weights(copied) - weights(gathered) == pytest.approx(split)
    assert gathered.breakdown["exposed_tp_s"] > copied.breakdown["exposed_tp_s"]  # outputs of the projection


@pytest.mark.parametrize("way", ["replicate", "gather"])
def test_norms_of_keys_follow(way: str) -> None:
    assert run(model(qk_norm=True), way).step_time_s > run(model(), way).step_time_s


def test_heads_that_ranks_cannot_share_are_still_refused() -> None:
    block = transformer.pre_norm_block("layer", HIDDEN, transformer.Attention(24, 3, HEAD_DIM), transformer.Mlp(FFN))
    odd = transformer.language_model("odd", [block], HIDDEN, 8192)
    with pytest.raises(ConfigError, match="kv heads=3"):
        run(odd)


def test_vocabulary_is_padded_to_ranks_and_multiple() -> None:
    """50,257 words on 8 ranks: 51,200 of them with Megatron's multiple of 128, 50,264 without."""
    for multiple, padded in ((128, 51_200), (1, 50_264)):
        odd, even = run(model(50_257), vocabulary_multiple=multiple), run(model(padded), vocabulary_multiple=1)
        assert odd.step_time_s == even.step_time_s
        assert odd.peak_memory.categories == even.peak_memory.categories
        assert odd.mfu == pytest.approx(even.mfu * flops(50_257) / flops(padded))


def flops(vocabulary: int) -> float:
    return float(_core.training_flops(to_core(model(vocabulary)), SEQ).causal)


def test_a_multiple_below_one_is_refused() -> None:
    with pytest.raises(ConfigError, match="vocabulary_multiple"):
        run(model(), vocabulary_multiple=0)
