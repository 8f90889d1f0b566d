"""The core's timelines against the plain-Python statement of the schedules, ZeRO and longest paths."""

from __future__ import annotations

from typing import Any

import pytest
from dist_training_sim import Cluster, FrameworkProfile, Model, Strategy, simulate
from dist_training_sim.models import transformer
from dist_training_sim.parallel.choices import Schedule
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_module import load_reference

ref = load_reference("step_reference")
NODE = Cluster.from_catalog("dgx-h100").node
PROFILE = FrameworkProfile.from_catalog("ideal").replace(bucket_parameters=1.5e6)
KINDS = ("forward", "backward", "gather", "reduce", "send", "tied", "sync", "update")


def _model(layers: int, *, tied: bool) -> Model:
    block = transformer.llama_block(256, 8, 4, 512)
    return transformer.language_model("small", [block] * layers, 256, 2048, tied=tied)


def _cluster(devices: int) -> Cluster:
    return Cluster(NODE.replace(devices=devices) if devices < 8 else NODE, max(1, devices // 8))


def _measured(result: Any) -> tuple[dict[Any, float], dict[Any, float]]:
    """Start and length of every event, by the reference's keys."""
    c = result.events.columns
    starts: dict[Any, float] = {}
    lengths: dict[Any, float] = {}
    for i in range(len(result.events)):
        kind = KINDS[int(c["kind"][i])]
        if kind == "send":
            kind = "send_forward" if int(c["stream"][i]) == 2 else "send_backward"
        key = (kind, int(c["stage"][i]), int(c["micro_batch"][i]), int(c["piece"][i]))
        late = kind == "gather" and 0 < result.strategy.zero < 3 and not result.strategy.overlap_param_gather
        again = kind == "gather" and key in starts
        key = ("late gather" if late else "gather again" if again else kind, *key[1:])
        starts[key], lengths[key] = float(c["start_s"][i]), float(c["end_s"][i] - c["start_s"][i])
    return starts, lengths


def _layout(strategy: Strategy, result: Any, lengths: dict[Any, float], *, tied: bool) -> Any:
    stages = strategy.pp * strategy.vpp
    units = [0] * stages
    for kind, stage, _, piece in lengths:
        if kind == "reduce":
            units[stage] = max(units[stage], piece + 1)
    return ref.Layout(
        pp=strategy.pp, vpp=strategy.vpp, micro_batches=result.micro_batches, units=tuple(units), zero=strategy.zero,
        gpipe=strategy.schedule is Schedule.GPIPE, overlap_reduce=strategy.overlap_grad_reduce,
        overlap_gather=strategy.overlap_param_gather, tied=tied,
    )  # fmt: skip


@st.composite
def jobs(draw: st.DrawFn) -> tuple[Strategy, bool]:
    """Pipelines of every schedule and ZeRO stage on up to 16 devices."""
    pp = draw(st.sampled_from([1, 2, 3, 4]))
    vpp = draw(st.sampled_from([1, 2])) if pp > 1 else 1
    dp = draw(st.sampled_from([1, 2, 4])) if pp != 3 else 1
    zero = draw(st.sampled_from([0, 1, 2, 3]))
    micro_batches = pp * draw(st.integers(1, 3)) if vpp > 1 else draw(st.integers(1, 7))
    # ZeRO-3 overlaps: what waits for a blocking gather or reduction is stated for the other stages only.
    overlap = st.just(True) if zero == 3 else st.booleans()
    strategy = Strategy(
        pp=pp, vpp=vpp, dp=dp, zero=zero, global_batch=dp * micro_batches,
        schedule=draw(st.sampled_from(["1f1b", "gpipe"])) if vpp == 1 else "1f1b",
        recompute=draw(st.sampled_from(["none", "full"])),
        overlap_grad_reduce=draw(overlap), overlap_param_gather=draw(overlap),
    )  # fmt: skip
    return strategy, draw(st.booleans())


@settings(max_examples=150, deadline=None)
@given(jobs())
def test_timeline_is_the_longest_path_of_the_schedule(job: tuple[Strategy, bool]) -> None:
    strategy, tied = job
    devices = (strategy.dp or 1) * strategy.pp
    result = simulate(_model(9, tied=tied), _cluster(devices), strategy, seq_len=256, framework=PROFILE)
    starts, lengths = _measured(result)
    program = ref.StepReference(_layout(strategy, result, lengths, tied=tied)).program
    expected = ref.start_times(program, lengths)
    assert set(starts) <= set(expected), "a task that the reference does not know"
    timed = {key for key in expected if key[0] in ("forward", "backward")}
    assert timed <= set(starts), "a pass that was never run"
    for key, start in starts.items():
        assert start == pytest.approx(expected[key], rel=1e-9, abs=1e-15), key
    end = max(expected[key] + lengths.get(key, 0.0) for key in expected)
    assert result.step_time_s == pytest.approx(end, rel=1e-12)


def test_reference_orders_match_the_published_figures() -> None:
    # PipeDream-flush, 4 stages: stage 2 of arXiv:2006.09503 fig. 2b.
    layout = ref.Layout(pp=4, vpp=1, micro_batches=8, units=(0,) * 4)
    text = " ".join(("F" if forward else "B") + str(batch) for forward, _, batch in ref.passes(layout, 2))
    assert text == "F0 F1 B0 F2 B1 F3 B2 F4 B3 F5 B4 F6 B5 F7 B6 B7"
    # Interleaved, 2 ranks x 2 chunks x 4 micro-batches: stages 0 and 2 on rank 0.
    layout = ref.Layout(pp=2, vpp=2, micro_batches=4, units=(0,) * 4)
    order = [(batch, stage // 2) for forward, stage, batch in ref.passes(layout, 0) if forward]
    assert order == [(0, 0), (1, 0), (0, 1), (1, 1), (2, 0), (3, 0), (2, 1), (3, 1)]


@pytest.mark.parametrize("micro_batches", [1, 2, 5])
def test_reference_pipeline_length(micro_batches: int) -> None:
    layout = ref.Layout(pp=3, vpp=1, micro_batches=micro_batches, units=(0,) * 3)
    program = ref.StepReference(layout).program
    seconds = {key: {"forward": 1.0, "backward": 2.0}.get(key[0], 0.0) for key in program.waits}
    assert max(ref.start_times(program, seconds).values()) == (micro_batches + 2) * 3
