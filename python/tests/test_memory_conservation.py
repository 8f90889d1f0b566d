"""Laws that memory keeps, whatever the layout: nothing leaks, shards add up, what leaves the device is in its tier."""

from __future__ import annotations

from typing import Any

import dist_training_sim as dts
import numpy as np
import pytest
from dist_training_sim import Cluster, Strategy
from dist_training_sim.models import transformer
from dist_training_sim.models.op import OpKind
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

NODE = Cluster.from_catalog("dgx-h100").node
CLUSTER = Cluster(NODE, 1, remote_bytes="1 TB", remote_Bps="100 GB/s")
SEQ = 256


def model(*, experts: bool = False) -> dts.Model:
    feed: Any = transformer.Experts(8, 2, 256) if experts else transformer.Mlp(512)
    block = transformer.pre_norm_block("layer", 256, transformer.Attention(8, 4, 32), feed)
    return transformer.language_model("small", [block] * 8, 256, 1024)


@st.composite
def layouts(draw: st.DrawFn) -> dict[str, Any]:

    def pick(*values: Any) -> Any:
        return draw(st.sampled_from(values))

    zero, pp = draw(st.integers(0, 3)), pick(1, 2, 4)
    recompute = pick("none", "selective", "full")
    tier = pick("none", "host", "nvme", "remote")
    fields: dict[str, Any] = {
        "zero": zero, "pp": pp, "tp": pick(1, 2), "vpp": pick(1, 2) if pp > 1 else 1, "global_batch": 32,
        "micro_batch": pick(1, 2), "recompute": recompute, "offload_optimizer": tier,
        "offload_activations": pick(0.0, 0.0, 0.5, 1.0),
    }  # fmt: skip
    if tier != "none":
        fields["offload_update"] = pick("host", "device")
        fields["offload_parameters"] = tier if zero == 3 and draw(st.booleans()) else "none"
    if fields["offload_activations"]:
        fields["activation_tier"] = pick("host", "nvme", "remote")
    if recompute == "selective":
        fields["recompute_modules"] = pick((), ("layernorm",), ("mlp", "layernorm"), ("core_attn",))
    if recompute == "full":
        fields["recompute_method"], fields["recompute_layers"] = pick(("uniform", None), ("block", 1), ("every", 2))
        if zero < 3 and not fields["offload_activations"] and draw(st.booleans()):
            fields |= {"recompute_method": "uniform", "recompute_layers": pick(2, 3)}
    return fields


def run(strategy: Strategy, **job: Any) -> dts.Result:
    return dts.simulate(job.get("model", model()), CLUSTER, strategy, seq_len=SEQ, keep_events=False)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(layouts())
def test_every_allocation_is_freed_or_resident(fields: dict[str, Any]) -> None:
    strategy = Strategy(**fields)
    devices = 8 // (strategy.tp * strategy.pp)
    assume(32 % (devices * strategy.micro_batch) == 0)
    result = run(strategy)
    for stage, use in zip(dts.memory_timeline(model(), CLUSTER, strategy, seq_len=SEQ), result.memory, strict=True):
        totals = stage.bytes.sum(axis=1)
        assert totals[0] == totals[-1]
        assert totals.min() >= 0
        assert np.all(stage.bytes >= -1e-6)
        assert totals.max() == stage.peak_bytes == use.allocated_bytes >= totals[0]
        assert stage.reserved_bytes >= stage.peak_bytes - 1e-6
        assert all(held >= 0 for held in use.offloaded_bytes.values())


STATES = ("weights", "gradients", "optimizer")


@pytest.mark.parametrize("experts", [False, True])
@pytest.mark.parametrize("zero", [1, 2, 3])
def test_shards_of_all_ranks_are_the_whole(zero: int, experts: bool) -> None:
    """Data parallel over 8: each stage divides one more of the states by 8; experts lie on 8 ranks already."""
    made = model(experts=experts)
    base: dict[str, Any] = {"global_batch": 32, **({"ep": 2} if experts else {})}
    whole, shard = (run(Strategy(zero=stage, **base), model=made).memory[0].categories for stage in (0, zero))
    for i, name in enumerate(reversed(STATES)):  # optimizer, gradients, weights
        if i < zero:
            copies = _copies(made, 8, 2) if experts else 8
            assert shard[name] * copies == pytest.approx(whole[name], rel=1e-6)
        else:
            assert shard[name] == whole[name]


def _copies(made: dts.Model, dp: int, ep: int) -> float:
    """Dense weights have `dp` copies, experts `dp / ep`: what a rank holds over what it holds of the shards."""
    ops = [op for run in made.layers for _ in range(run.repeat) for op in run.block.ops]
    experts = sum(op.parameters for op in ops if op.kind is OpKind.GROUPED_MATMUL) / ep
    dense = made.parameters - experts * ep
    return (dense + experts) / (dense / dp + experts / (dp / ep))


def test_tensor_and_pipeline_ranks_hold_the_model_once() -> None:
    whole = run(Strategy(dp=8, global_batch=32)).memory[0].categories["weights"]
    split = run(Strategy(tp=2, pp=4, dp=1, global_batch=32)).memory
    norms = 8 * 2 * 256 * 2 + 256 * 2  # of the layers and the last, whole on both tensor-parallel ranks
    assert 2 * sum(use.categories["weights"] for use in split) == pytest.approx(whole + norms)


@pytest.mark.parametrize("tier", ["host", "nvme", "remote"])
@pytest.mark.parametrize("update", ["host", "device"])
def test_what_leaves_the_device_is_in_its_tier(tier: str, update: str) -> None:
    base = run(Strategy(zero=3, global_batch=32)).memory[0]
    off = run(
        Strategy(zero=3, global_batch=32, offload_optimizer=tier, offload_parameters=tier, offload_update=update)
    ).memory[0]
    gone = [name for name in STATES if update == "host" or name != "gradients"]
    assert off.offloaded_bytes[tier] >= sum(base.categories[name] for name in gone) - 1
    staged = off.offloaded_bytes[tier] - sum(base.categories[name] for name in gone)
    assert staged == pytest.approx(0, abs=1) or tier == "host"
    assert off.categories["weights"] == off.categories["optimizer"] == 0
