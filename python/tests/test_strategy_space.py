"""The space of strategies beside one written as loops."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import product
from typing import Any

import dist_training_sim as dts
import pytest
from dist_training_sim import _core
from dist_training_sim.models import OpKind
from dist_training_sim.simulator.job import Job, described_job

AXES = (
    *("tp", "pp", "vpp", "cp", "ep", "etp", "dp", "micro_batch", "zero", "recompute", "schedule", "precision"),
    *("offload_optimizer", "offload_parameters", "offload_activations"),
)
ONE: dict[str, Any] = {"zero": (1,), "recompute": ("none",), "schedule": ("1f1b",), "offload": ("none",)}
OFFLOADS = {  # host 1, NVMe 2; share of activations
    "none": (0, 0, 0),
    "optimizer": (1, 0, 0),
    "parameters": (1, 1, 0),
    "activations": (0, 0, 1),
    "all": (1, 1, 1),
    "optimizer_nvme": (2, 0, 0),
    "parameters_nvme": (2, 2, 0),
}


def test_the_defaults() -> None:
    space = dts.StrategySpace(global_batch=1)
    assert (space.zero, space.micro_batch) == ((0, 1, 2, 3), (1, 2, 4, 8))
    assert (space.recompute, space.schedule) == (tuple(dts.Recompute), tuple(dts.Schedule))
    assert space.offload == ("none", "optimizer", "parameters", "activations")


def divisors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]


def experts_of(job: Job) -> int | None:
    counts = [op.experts for run in job.model.layers for op in run.block.ops if op.kind is OpKind.GROUPED_MATMUL]
    return int(counts[0]) if counts else None


def layouts(space: dts.StrategySpace, job: Job) -> Iterator[tuple[int, ...]]:
    """tp, pp, vpp, cp, ep, etp, dp, micro_batch."""
    devices, domain = job.cluster.device_count, job.cluster.domain_devices
    layers, experts = sum(run.repeat for run in job.model.layers), experts_of(job)
    tps = space.tp or [d for d in divisors(devices) if d <= domain]
    pps = space.pp or [d for d in divisors(devices) if d <= layers + 2]
    cps = space.cp or [1, *(p for p in (2, 4, 8, 16, 32) if p <= devices and job.seq_len / p >= 2048)]
    for tp, pp, cp, micro_batch in product(tps, pps, cps, space.micro_batch):
        dp = devices // (tp * pp * cp)
        if tp * pp * cp * dp != devices or space.global_batch % (dp * micro_batch):
            continue
        vpps = space.vpp or [v for v in divisors(layers) if v == 1 or (pp > 1 and layers % (pp * v) == 0)]
        etps = space.etp or ([tp] if experts is None else sorted({1, tp}))
        for vpp, ep, etp in product(vpps, space.ep or divisors(experts or 1), etps):
            if dp * cp * tp % ep == 0:
                yield tp, pp, vpp, cp, ep, etp, dp, micro_batch


def by_loops(space: dts.StrategySpace, job: Job) -> Iterator[tuple[float, ...]]:
    precisions = space.precision or ("bf16", "fp8")
    for layout in layouts(space, job):
        for zero, recompute, schedule, precision, offload in product(
            space.zero, space.recompute, space.schedule, precisions, space.offload
        ):
            numbers = (
                int(_core.Recompute[dts.Recompute(recompute).name].value),
                int(_core.PipelineSchedule[dts.Schedule(schedule).name].value),
                int(_core.DType[str(precision).upper()].value),
            )
            yield (*layout, zero, *numbers, *OFFLOADS[offload])


@pytest.mark.parametrize(
    ("model", "axes"),
    [
        ("gpt2", ONE),
        ("gpt2", ONE | {"zero": (0, 3), "precision": ("bf16",), "tp": (1, 4), "micro_batch": (1, 3)}),
        ("gpt2", ONE | {"offload": tuple(OFFLOADS), "tp": (1,), "pp": (2,), "etp": (1,), "micro_batch": (2,)}),
        ("gpt2", ONE | {"schedule": ("1f1b", "zb_v"), "recompute": ("none", "full"), "vpp": (1, 2), "cp": (1, 3)}),
        ("mixtral-8x7b", ONE),
        ("mixtral-8x7b", ONE | {"ep": (1, 4), "etp": (1, 2), "tp": (2, 4), "micro_batch": (1,)}),
    ],
)
@pytest.mark.parametrize("seq_len", [1024, 4096, 32768])
def test_a_space_holds_every_combination_once(model: str, axes: dict[str, Any], seq_len: int) -> None:
    space = dts.StrategySpace(global_batch=48, **axes)
    job = described_job(model, "3xdgx-h100", dts.Strategy(), seq_len, "megatron-core", None, None)
    columns = space.combinations(job)
    found = Counter(zip(*(columns[name].tolist() for name in AXES), strict=True))
    assert set(columns) == set(AXES)
    assert found == Counter(by_loops(space, job))
    assert max(found.values()) == 1
