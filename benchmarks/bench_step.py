"""One training step: folded, with events, pipelines of many micro-batches, every rank by itself, on shared links."""

from __future__ import annotations

from typing import Any

import dist_training_sim as dts
import pytest
from dist_training_sim.models import transformer
from jobs import LLAMA_70B, LLAMA_405B, UNEQUAL, large, step
from reference_module import load_reference

DEEP = dts.Strategy(tp=8, pp=64, vpp=8, zero=1, global_batch=1024)
BLOCK = transformer.llama_block(16384, 128, 8, 53248)  # of Llama-3.1-405B
DEEP_MODEL = transformer.language_model("512 layers", [BLOCK] * 512, 16384, 128256)
PIPELINE = dts.Strategy(tp=8, pp=8, zero=1, global_batch=1024)


def test_folded(benchmark: Any) -> None:
    benchmark(step(LLAMA_405B, 16384, large()))


def test_events(benchmark: Any) -> None:
    result = benchmark(step(LLAMA_405B, 16384, large(), keep_events=True))
    benchmark.extra_info["events"] = len(result.events)


def test_interleaved(benchmark: Any) -> None:
    benchmark(step(DEEP_MODEL, 512, DEEP))


def test_plain_python(benchmark: Any) -> None:
    """The order of the same passes and the longest path through them, as plainly as Python says it."""
    reference = load_reference("step_reference")
    layout = reference.Layout(pp=64, vpp=8, micro_batches=128, units=(0,) * 512, zero=1)

    def run() -> float:
        program = reference.StepReference(layout).program
        return float(max(reference.start_times(program, dict.fromkeys(program.waits, 1.0)).values()))

    assert benchmark.pedantic(run, rounds=1) > 0


@pytest.mark.parametrize("devices", [16384, 131072])
def test_expanded(benchmark: Any, devices: int) -> None:
    result = benchmark(step(LLAMA_405B, devices, large(devices), stragglers=UNEQUAL, expand=True))
    benchmark.extra_info["classes"] = result.rank_classes


def test_expanded_fsdp(benchmark: Any) -> None:
    """Every one of the ranks is its own class: nothing folds."""
    sharded = dts.Strategy(zero=3, global_batch=65536)
    result = benchmark(step(LLAMA_70B, 16384, sharded, stragglers=UNEQUAL, expand=True))
    assert result.rank_classes == 16384


@pytest.mark.parametrize("case", ["plain", "hashed"])
def test_shared_links(benchmark: Any, case: str) -> None:
    hashed = dts.FlowFabric(topology="fat_tree", oversubscription=2, spines=16, routing="ecmp")
    benchmark(step(LLAMA_70B, 4096, PIPELINE, network=dts.FlowFabric() if case == "plain" else hashed))


def test_shared_links_large(benchmark: Any) -> None:
    layout = dts.Strategy(tp=8, pp=16, zero=1, global_batch=2048)
    benchmark(step(LLAMA_405B, 16384, layout, network="flow"))
