"""The memory front door: the ledger, transfers, plan estimates and the strategy table."""

from __future__ import annotations

import math
from enum import Enum
from itertools import pairwise
from typing import Any, cast

import pytest
from dist_training_sim.errors import ConfigError, InfeasibleError
from dist_training_sim.memory import BlockShares, MemoryModel, MemoryTier, TierSpec, transformer_layer_bytes
from hypothesis import given
from hypothesis import strategies as st

GB = 1e9


def test_ledger_follows_allocations() -> None:
    memory = MemoryModel(num_devices=8, hbm="80 GB")
    weights = memory.allocate(3, "16 GB", name="weights", category="weights")
    moments = memory.allocate(3, 24e9, "hbm", name="moments", category="optimizer")
    assert memory.usage(3).used_bytes == 40_000_000_000
    assert memory.usage(2).used_bytes == 0
    seconds = memory.transfer(moments, MemoryTier.CPU)
    assert seconds == pytest.approx(1e-6 + 10e-6 + 24e9 / 55e9)
    assert memory.usage(0, "cpu").by_category == {"optimizer": 24_000_000_000}  # the node's, seen from device 0
    memory.free(weights)
    assert memory.usage(3).free_bytes == 80_000_000_000
    assert memory.usage(3).peak_by_category == {"optimizer": 24_000_000_000, "weights": 16_000_000_000}
    memory.reset_peaks()
    assert memory.usage(3).peak_bytes == 0
    assert [a.name for a in memory.allocations()] == ["moments"]
    assert memory.allocation(moments).tier is MemoryTier.CPU


def test_out_of_memory_says_what_helps() -> None:
    memory = MemoryModel(num_devices=1, hbm="80 GB", host="60 GB")
    memory.allocate(0, "50 GB", name="states", category="optimizer")
    with pytest.raises(InfeasibleError) as error:
        memory.allocate(0, "50 GB", name="tape", category="activations")
    text = str(error.value)
    for part in ("device 0", "tier HBM", "50 GB asked", "30 GB free of 80 GB", "optimizer (50 GB)", "CPU has 60 GB"):
        assert part in text
    assert memory.usage(0).used_bytes == 50_000_000_000


def test_freeing_twice_and_unknown_handles_are_clear_errors() -> None:
    memory = MemoryModel(num_devices=1)
    handle = memory.allocate(0, 5)
    memory.free(handle)
    with pytest.raises(ConfigError, match="freed before"):
        memory.free(handle)
    with pytest.raises(ConfigError, match="no allocation ever"):
        memory.transfer(12345, "cpu")
    with pytest.raises(ConfigError, match="a handle that allocate returned"):
        memory.free(2**70)


def test_tier_values_are_used() -> None:
    disk = TierSpec("1 TB", bandwidth="7 GB/s", latency="80 us")
    memory = MemoryModel(num_devices=2, disk=disk, host=TierSpec(bandwidth="10 GB/s", latency=0))
    assert memory.usage(0, "disk").capacity_bytes == 10**12
    assert memory.transfer_time("7 GB", "hbm", "disk") == pytest.approx(1e-6 + 80e-6 + 1.0)
    assert memory.transfer_time("10 GB", "cpu", "hbm") == pytest.approx(1e-6 + 1.0)
    assert memory.transfer_time("1 GB", "remote", "REMOTE") == 0
    assert (memory.num_devices, memory.devices_per_node) == (2, 8)


@pytest.mark.parametrize(
    "bad",
    [
        {"num_devices": 0},
        {"num_devices": 2**31 - 1},
        {"num_devices": 2**40},
        {"devices_per_node": True},
        {"hbm": "80 parsecs"},
        {"hbm": math.nan},
        {"host": -1},
        {"disk": math.inf},
        {"remote": TierSpec(bandwidth=0)},
        {"host": TierSpec(latency=-1)},
    ],
)
def test_illegal_models_are_config_errors(bad: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        MemoryModel(**bad)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [0, -1, math.nan, math.inf, "0 B", 2**60])
def test_illegal_sizes_are_config_errors(size: float | str) -> None:
    with pytest.raises(ConfigError):
        MemoryModel(num_devices=1).allocate(0, size)


def test_unknown_names_get_a_suggestion() -> None:
    memory = MemoryModel(num_devices=1)
    with pytest.raises(ConfigError, match="did you mean remote"):
        memory.allocate(0, 1, "remotee")
    with pytest.raises(ConfigError, match="did you mean adam"):
        memory.estimate(1e9, optimizer="adamw")
    with pytest.raises(ConfigError, match="did you mean offload_optimizer"):
        memory.estimate(1e9, offload_optimiser="cpu")  # type: ignore[call-arg]
    with pytest.raises(ConfigError, match="device"):
        memory.usage(1)


class _Recompute(Enum):
    FULL = "full"


def test_options_accept_enums() -> None:
    blocks = BlockShares(10, 0.1)
    memory = MemoryModel(num_devices=1)
    by_enum = memory.estimate(1e9, 1e6, recompute=cast(Any, _Recompute.FULL), blocks=blocks)
    assert by_enum == memory.estimate(1e9, 1e6, recompute="full", blocks=blocks)


def test_every_precision_and_optimizer_has_its_bytes_per_parameter() -> None:
    memory = MemoryModel(num_devices=1)
    expected = {  # weights + gradients + (master +) moments
        ("fp64", "adam"): 32, ("fp32", "adam"): 16, ("tf32", "momentum"): 12, ("fp16", "adam"): 16,
        ("bf16", "momentum"): 12, ("bf16", "sgd"): 8, ("fp8", "adam"): 16, ("fp4", "sgd"): 8, ("int8", "sgd"): 8,
        ("fp32", "sgd"): 8,
    }  # fmt: skip
    for (precision, optimizer), per_parameter in expected.items():
        assert memory.estimate(1e9, precision=precision, optimizer=optimizer).hbm_bytes == per_parameter * 1e9
    assert memory.estimate(1e9, gradients="fp32").hbm_bytes == 18e9
    assert memory.estimate(1e9, gradients="both").hbm_bytes == 20e9


def test_estimate_says_whether_the_plan_fits() -> None:
    memory = MemoryModel(num_devices=8, hbm="80 GB", host="500 GB")
    too_big = memory.estimate(7e9)
    assert not too_big.fits
    assert too_big.missing_bytes == {"HBM": 32e9}
    offloaded = memory.estimate(7e9, offload_optimizer="cpu")  # 8 devices put 84 + 14 GB each on one host
    assert offloaded.missing_bytes == {"CPU": 8 * 98e9 - 500e9}
    assert memory.estimate(7e9, zero=1).fits


def test_strategy_table_compares_with_the_plan() -> None:
    memory = MemoryModel(num_devices=8)
    blocks = BlockShares.transformer(32, seq_len=2048, hidden=4096, heads=32)
    rows = {row.name: row for row in memory.strategy_table(7e9, 1e9, 4, blocks=blocks)}
    assert rows["base"].saved_bytes == 0
    assert rows["zero 1"].saved_bytes == pytest.approx(84 * GB * 7 / 8)
    assert rows["zero 1"].extra_communication_bytes == 0  # reduce-scatter + all-gather cost what an all-reduce does
    assert rows["zero 3"].extra_communication_bytes == pytest.approx(7 / 8 * 14 * GB)
    assert rows["full recompute"].extra_flops_fraction == pytest.approx(1 / 3)
    assert rows["full recompute"].saved_bytes == pytest.approx(8 * GB * (1 - 1 / 17) * (1 - 1 / 32))
    assert rows["selective recompute"].saved_bytes == 0  # flash attention keeps no scores
    assert rows["offload optimizer to CPU"].saved_bytes == 84 * GB
    assert rows["offload optimizer to CPU"].extra_transfer_s == pytest.approx(28e9 / 55e9, rel=0.01)
    assert rows["gradient accumulation"].saved_bytes == 6 * GB
    assert rows["fp32"].saved_bytes == -8 * GB
    assert all(row.source for row in rows.values())


def test_recompute_without_blocks_is_refused() -> None:
    memory = MemoryModel(num_devices=1)
    for strategy in ({"recompute": "full"}, {"offload_parameters": "cpu"}, {"offload_activations": "disk"}):
        with pytest.raises(ConfigError, match="blocks"):
            memory.estimate(1e9, 1e6, **strategy)  # type: ignore[arg-type]


# Worked examples: (source, computed, answer, tolerance).
def _layer(**options: object) -> float:
    return transformer_layer_bytes(seq_len=2048, hidden=12288, heads=96, **options)  # type: ignore[arg-type]


def _states(parameters: float, **options: object) -> float:
    return MemoryModel(num_devices=8).estimate(parameters, **options).hbm_bytes  # type: ignore[arg-type]


KORTHIKANTI = "Korthikanti et al. (arXiv:2205.05198)"
PLAYBOOK = "HF Ultra-Scale Playbook"
EXAMPLES = [
    ("we-040", KORTHIKANTI, lambda: _layer(), 2.869e9, 1e-3),
    ("we-042", KORTHIKANTI, lambda: _layer(tp=8, sequence_parallel=True), 358.6e6, 1e-3),
    ("we-044", KORTHIKANTI, lambda: _layer(recompute="full"), 50.33e6, 1e-3),
    ("we-045", KORTHIKANTI, lambda: (_layer() - _layer(recompute="selective")) / (2048 * 12288), 80.0, 1e-3),
    *[
        (f"we-{46 + i:03}", PLAYBOOK, lambda p=p, g=g: _states(p, gradients=g) / GB, p * per / GB, 0.02)
        for i, p in enumerate((1e9, 7e9, 7e10))
        for g, per in (("working", 16), ("both", 20))
    ],
    *[
        ("we-050", PLAYBOOK, lambda z=z: _states(7e9, zero=z), answer, 1e-3)
        for z, answer in enumerate((112e9, 38.5e9, 26.25e9, 14e9))
    ],
    ("we-119", "EleutherAI/cookbook transformer math", lambda: _states(20e9) / GB, 320, 0),
    ("we-124", "tatsu-lab/stanford_alpaca issue 56", lambda: _alpaca_gb(), 80.4, 1e-3),
]


def _alpaca_gb() -> float:
    estimate = MemoryModel(num_devices=1).estimate(6.7e9, precision="fp32")
    return (estimate.weights + estimate.optimizer) / GB


@pytest.mark.parametrize(("row", "source", "compute", "answer", "tolerance"), EXAMPLES)
def test_worked_examples(row: str, source: str, compute, answer: float, tolerance: float) -> None:  # type: ignore[no-untyped-def]
    assert compute() == pytest.approx(answer, rel=max(tolerance, 1e-12)), (row, source)


plans = st.fixed_dictionaries(
    {
        "parameters": st.floats(1e6, 1e12),
        "activations_per_sample": st.floats(0, 1e10),
        "samples_per_device": st.integers(4, 64),
        "accumulation_steps": st.integers(1, 4),
        "devices": st.integers(1, 1024),
        "precision": st.sampled_from(["fp32", "bf16"]),
        "recompute": st.sampled_from(["none", "selective", "full"]),
        "offload_optimizer": st.sampled_from(["hbm", "cpu", "disk", "remote"]),
        "offload_activations": st.sampled_from(["hbm", "cpu", "disk"]),
    }
)


@given(plans)
def test_higher_stages_never_need_more(plan: dict[str, object]) -> None:
    memory = MemoryModel(num_devices=8)
    blocks = BlockShares.transformer(24, seq_len=1024, hidden=2048, heads=16, flash_attention=False)
    stages = [memory.estimate(zero=z, blocks=blocks, **plan) for z in range(4)]  # type: ignore[arg-type]
    for lower, higher in pairwise(stages):
        assert higher.hbm_bytes - higher.gathered_parameters <= lower.hbm_bytes * (1 + 1e-12)
        assert higher.communication_bytes >= lower.communication_bytes * (1 - 1e-12)
    for estimate in stages:
        parts = estimate.weights + estimate.gradients + estimate.optimizer
        assert estimate.hbm_bytes == pytest.approx(parts + estimate.activations + estimate.gathered_parameters)
        assert all(math.isfinite(x) and x >= 0 for x in (estimate.transfer_s, estimate.host_bytes, estimate.disk_bytes))


@given(st.lists(st.integers(1, 10**12), min_size=1, max_size=20))
def test_freeing_everything_restores_the_pool(sizes: list[int]) -> None:
    memory = MemoryModel(num_devices=1, hbm=10**14)
    handles = [memory.allocate(0, size) for size in sizes]
    assert memory.usage(0).used_bytes == sum(sizes)
    for handle in handles:
        memory.free(handle)
    assert (memory.usage(0).used_bytes, memory.usage(0).peak_bytes) == (0, sum(sizes))
