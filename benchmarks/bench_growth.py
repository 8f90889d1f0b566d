"""How the cost of a step grows with the job: one point per size, for the figures and their fitted exponents."""

from __future__ import annotations

from typing import Any

import pytest
from jobs import LLAMA_405B, UNEQUAL, large, step


@pytest.mark.parametrize("replicas", [1, 4, 16, 64, 256, 1024])
def test_replicas(benchmark: Any, replicas: int) -> None:
    """Folded: data parallelism grows, and with it the cluster."""
    benchmark.extra_info["x"] = replicas
    benchmark(step(LLAMA_405B, 128 * replicas, large(128 * replicas)))


@pytest.mark.parametrize("micro_batches", [16, 32, 64, 128, 256, 512, 1024])
def test_micro_batches(benchmark: Any, micro_batches: int) -> None:
    """Folded: gradient accumulation grows."""
    benchmark.extra_info["x"] = micro_batches
    benchmark(step(LLAMA_405B, 1024, large(1024, micro_batches)))


@pytest.mark.parametrize("ranks", [2048, 4096, 8192, 16384, 32768, 65536, 131072])
def test_ranks(benchmark: Any, ranks: int) -> None:
    """Every rank at a pace of its own."""
    benchmark.extra_info["x"] = ranks
    benchmark(step(LLAMA_405B, ranks, large(ranks), stragglers=UNEQUAL, expand=True))
