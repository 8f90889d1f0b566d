"""Pipeline schedules through the public door."""

from __future__ import annotations

from typing import Any

import dist_training_sim as dts
import pytest
from dist_training_sim import _core
from dist_training_sim._convert import to_core
from dist_training_sim.parallel import Schedule
from hypothesis import given, settings
from hypothesis import strategies as st

CHUNKS = {"looped_bfs": 2, "zb_v": 2, "v_half": 2, "v_min": 2, "dualpipe_v": 2, "hanayo": 4}
NAMES = [schedule.value for schedule in Schedule]


def run(model: str = "llama-3.1-8b", cluster: str = "1xdgx-h100", **strategy: Any) -> dts.SimulationResult:
    return dts.simulate(model, cluster, dts.Strategy(**strategy), seq_len=4096)


def layout(schedule: str, pp: int = 4, micro_batches: int = 8) -> dict[str, Any]:
    batch = micro_batches * (8 // pp)
    return {"schedule": schedule, "pp": pp, "vpp": CHUNKS.get(schedule, 1), "global_batch": batch, "zero": 1}


@pytest.mark.parametrize("schedule", NAMES)
def test_every_schedule_runs_every_pass(schedule: str) -> None:
    result = run(**layout(schedule))
    forwards = [event for event in result.events if event.name.startswith("forward")]
    assert {(event.stage, event.micro_batch) for event in forwards}
    per_stage = 4 if schedule == "dualpipe" else 8
    counts = {stage: {e.micro_batch for e in forwards if e.stage == stage} for stage in {e.stage for e in forwards}}
    assert all(len(micro_batches) == per_stage for micro_batches in counts.values())
    assert sum(result.breakdown.values()) == pytest.approx(result.step_time_s, rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(
    schedule=st.sampled_from(NAMES),
    pp=st.sampled_from([2, 4]),
    per_stage=st.integers(2, 4),
    zero=st.integers(0, 3),
    overlap=st.booleans(),
)
def test_folded_equals_expanded(schedule: str, pp: int, per_stage: int, zero: int, overlap: bool) -> None:
    strategy = dts.Strategy(
        **layout(schedule, pp, per_stage * pp) | {"zero": zero, "overlap_grad_reduce": overlap, "tp": 1}
    )
    folded = dts.simulate("llama-3.2-1b", "1xdgx-h100", strategy, seq_len=2048)
    expanded = dts.simulate("llama-3.2-1b", "1xdgx-h100", strategy, seq_len=2048, expand=True)
    assert folded.step_time_s == expanded.step_time_s
    assert folded.breakdown == expanded.breakdown


def activations(schedule: str) -> float:
    return float(max(use.categories["activations"] for use in run(**layout(schedule, 8, 24)).memory))


def test_memory_follows_the_schedule() -> None:
    one = activations("1f1b")
    assert activations("v_min") < activations("v_half") < one < activations("zb_h2") < activations("gpipe")
    assert activations("zb_h2") / activations("zb_h1") == pytest.approx(15 / 8, rel=0.15)


def test_a_bidirectional_pipeline_holds_two_stages_per_rank() -> None:
    one = run(**layout("1f1b")).memory[1].categories
    two = run(**layout("dualpipe")).memory[1].categories
    assert two["weights"] == pytest.approx(2 * one["weights"])
    assert two["gradients"] == pytest.approx(2 * one["gradients"])


def test_zero_bubble_schedules_are_faster() -> None:
    step = {name: run(**layout(name, 8, 24)).step_time_s for name in ("1f1b", "zb_h1", "zb_h2", "zb_v", "v_min")}
    assert max(step["zb_h1"], step["zb_h2"], step["zb_v"]) < step["1f1b"]
    assert step["zb_v"] < step["v_min"]


def test_an_exchange_that_ranks_wait_for_costs_its_launch() -> None:
    def added_s(strategy: dts.Strategy) -> float:
        times_s = []
        for launch_s in (0.0, 2e-3):
            profile = dts.FrameworkProfile.from_catalog("megatron-core").replace(p2p_launch_s=launch_s)
            times_s.append(
                dts.simulate("llama-3.2-1b", "1xdgx-h100", strategy, seq_len=2048, framework=profile).step_time_s
            )
        return times_s[1] - times_s[0]

    plain = dts.Strategy(tp=4, pp=2, global_batch=4)
    # Two ranks, four micro-batches: F0 | B0 with F1 | B1 with F2 | B2 with F3 | B3, each on the longest path.
    assert added_s(plain) == pytest.approx(5 * 2e-3)
    assert added_s(plain.replace(p2p="overlapped")) == 0
    assert added_s(plain.replace(vpp=2)) == 0  # Megatron-Core overlaps the transfers of several chunks
    assert added_s(plain.replace(schedule="zb_h1")) >= 2e-3  # batches here too, though passes may run beside them


def test_a_custom_order_replaces_the_schedule() -> None:
    same = run(pp=2, global_batch=16, custom_order=("F0 F1 F2 F3 B0 B1 B2 B3",) * 2)
    assert same.step_time_s == run(pp=2, global_batch=16, schedule="gpipe", p2p="overlapped").step_time_s
    with pytest.raises(dts.ConfigError, match=r"rank 0: got stuck before B0\.0.*waits for B0\.0 of rank 1"):
        run(pp=2, global_batch=8, custom_order=("F0 B0 F1 B1", "F1 F0 B1 B0"))
    with pytest.raises(dts.ConfigError, match=r"custom_order\[1\]: got X0"):
        run(pp=2, global_batch=4, custom_order=("F0 B0", "X0"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schedule": "zb_v"}, "strategy.vpp: got 1, expected 2 with zb_v; use vpp=2"),
        ({"schedule": "gpipe", "vpp": 2}, "strategy.vpp: got 2, expected 1 with gpipe"),
        ({"schedule": "hanayo", "vpp": 3}, "an even number with hanayo"),
        ({"schedule": "dualpipe", "global_batch": 8}, "at least 2 \\* pp = 8 with dualpipe; use global_batch 16"),
        ({"schedule": "dualpipe", "global_batch": 18}, "a multiple of 2 with dualpipe"),
        ({"schedule": "v_min", "vpp": 2, "global_batch": 6}, "at least pp = 4 with v_min; use global_batch 8"),
        ({"vpp": 2, "micro_batch_group": 3}, "strategy.micro_batch_group: got 3, expected at least pp=4"),
        ({"vpp": 2, "micro_batch_group": 6, "global_batch": 18}, "a rest of at least pp=4; use global_batch 24"),
        ({"micro_batch_group": 4}, "0 unless 1f1b is interleaved"),
        ({"custom_order": ("F0",)}, "one per pipeline rank, pp = 4"),
        ({"custom_order": (3, 4)}, "a text such as"),
    ],
)
def test_rules_of_a_schedule_are_checked(change: dict[str, Any], message: str) -> None:
    with pytest.raises(dts.ConfigError, match=message):
        run(**{"pp": 4, "global_batch": 16, **change})


def test_larger_groups_hold_more() -> None:
    small, large = (run(pp=4, vpp=2, global_batch=32, micro_batch_group=n) for n in (0, 8))
    held = [max(use.categories["activations"] for use in r.memory) for r in (small, large)]
    assert held[1] / held[0] == pytest.approx((6 + 8 + 1) / (6 + 4 + 1), rel=0.02)
    assert large.step_time_s != small.step_time_s


def layers(total: int = 32, **strategy: Any) -> list[int]:
    chosen = dts.Strategy(pp=4, dp=2, global_batch=16, **strategy).resolved(8)
    return _core.layers_per_virtual_stage(total, to_core(chosen))


def test_the_ends_of_a_pipeline_can_hold_fewer_layers() -> None:
    assert layers(first_rank_layers=6, last_rank_layers=6) == [6, 10, 10, 6]
    assert layers(first_rank_layers=8, last_rank_layers=4, vpp=2) == [4, 5, 5, 2, 4, 5, 5, 2]
    assert layers(last_rank_layers=5) == [9, 9, 9, 5]
    # Llama 3 405B: 126 layers and both ends in 16 stages of 8.
    assert layers(126, embedding_as_layer=True, loss_as_layer=True, vpp=4) == [7, *[8] * 14, 7]
    light, even = run(pp=4, global_batch=16, last_rank_layers=5), run(pp=4, global_batch=16)
    assert light.memory[3].categories["weights"] < even.memory[3].categories["weights"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"last_rank_layers": 6}, "the 26 layers left to divide by 3 ranks"),
        ({"embedding_as_layer": True}, "the 33 layers left to divide by 4 ranks"),
        ({"first_rank_layers": 5, "last_rank_layers": 5, "loss_as_layer": True}, "nothing beside embedding_as_layer"),
        ({"last_rank_layers": 5, "layers_per_stage": (8, 8, 8, 8)}, "nothing beside layers_per_stage"),
        ({"last_rank_layers": 8, "pp": 1}, "pp > 1"),
        ({"last_rank_layers": 8, "schedule": "zb_v", "vpp": 2}, "first and last stage are on the end ranks"),
        ({"first_rank_layers": 7, "last_rank_layers": 9, "vpp": 2}, "multiples of vpp = 2"),
    ],
)
def test_sizes_of_the_ends_must_divide(change: dict[str, Any], message: str) -> None:
    with pytest.raises(dts.ConfigError, match=message):
        run(**{"pp": 4, "global_batch": 16, **change})
