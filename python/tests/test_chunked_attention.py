"""Attention within chunks (Llama 4): as many short sequences, in FLOPs, time and kept scores."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import dist_training_sim as dts
import pytest
from dist_training_sim import ConfigError, FrameworkProfile, Strategy, _core
from dist_training_sim._convert import to_core
from dist_training_sim.catalog import models as catalog
from dist_training_sim.models import Model, OpKind, transformer

SEQ, HIDDEN, HEADS = 8192, 1024, 16
IDEAL = FrameworkProfile.from_catalog("ideal")
CLUSTER = dts.Cluster.from_catalog("dgx-h100")


def model(chunk: int = 0, window: int = 0) -> Model:
    mixer = transformer.Attention(HEADS, HEADS, HIDDEN // HEADS, chunk=chunk, window=window)
    block = transformer.pre_norm_block("layer", HIDDEN, mixer, transformer.Mlp(4096))
    return transformer.language_model("chunks", [block] * 2, HIDDEN, 32_000)


def run(described: Model, seq_len: int = SEQ, framework: FrameworkProfile = IDEAL, **layout: Any) -> dts.Result:
    layout.setdefault("global_batch", 8)
    return dts.simulate(described, CLUSTER, Strategy(**layout), seq_len=seq_len, framework=framework)


def flops(described: Model) -> float:
    return float(_core.training_flops(to_core(described), SEQ).causal)


def test_flops_are_those_of_the_chunks() -> None:
    pairs = 2 * 2 * HIDDEN * 3 * 2  # two products, two FLOP each, forward and twice backward, two layers
    assert flops(model()) - flops(model(1024)) == pytest.approx(pairs * SEQ * (SEQ / 2 - 1024 / 2))
    assert flops(model(SEQ)) == flops(model())


@pytest.mark.parametrize("flash", [True, False])
def test_a_chunk_is_a_sequence(flash: bool) -> None:
    """Eight chunks of one sample cost what eight samples of their length cost."""
    profile = IDEAL.replace(flash_attention=flash)
    chunks = run(model(1024), framework=profile)
    short = run(model(), 1024, framework=profile, micro_batch=8, global_batch=64)
    assert chunks.step_time_s == pytest.approx(short.step_time_s)
    kept = [r.peak_memory.categories["activations"] for r in (chunks, short)]
    assert kept[0] == pytest.approx(kept[1])


def test_wider_chunks_cost_more() -> None:
    times = [run(model(chunk)).step_time_s for chunk in (512, 2048, SEQ)]
    assert times == sorted(times)
    assert run(model(SEQ)).step_time_s == run(model()).step_time_s


def test_a_ring_does_not_know_chunks() -> None:
    with pytest.raises(ConfigError, match="chunks of attention"):
        run(model(1024), cp=2)
    for comm in ("all_gather", "a2a"):
        assert run(model(1024), cp=2, cp_comm=comm).step_time_s < run(model(), cp=2, cp_comm=comm).step_time_s


def test_llama_4_alternates() -> None:
    """Three layers of four within chunks of 8192, the fourth full and without rope."""
    scout = Model.from_catalog("llama-4-scout")
    layers = [run.block for run in scout.layers for _ in range(run.repeat)]
    chunks = [next(op.chunk for op in block.ops if op.kind is OpKind.ATTENTION) for block in layers]
    assert chunks == [8192, 8192, 8192, 0] * 12
    assert [any(op.name == "rope" for op in block.ops) for block in layers] == [True, True, True, False] * 12
    maverick = dict(catalog.entry("llama-4-maverick").config)
    routed = [any(op.kind is OpKind.ROUTER for op in run.block.ops) for run in Model.from_hf(maverick).layers]
    assert routed[:4] == [False, True, False, True]


def test_chunks_are_checked() -> None:
    attention = model().layers[0].block.op("attention")
    with pytest.raises(ConfigError, match="chunk"):
        replace(attention, chunk=-1)
