"""The front door: the documented snippet as written, its values by hand, and its agreement with `dts.simulate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dist_training_sim as dts
import numpy as np
import pytest
from dist_training_sim import CommunicationModel, ComputeModel, ConfigError, MemoryModel, Strategy, TrainingSimulator
from dist_training_sim._convert import to_core
from hypothesis import given, settings
from hypothesis import strategies as st

DEVICES = 8


def simulator(
    devices: int = DEVICES,
    *,
    comm: CommunicationModel | None = None,
    compute: ComputeModel | None = None,
    batch: int | None = 256,
    parameters: float = 250e6,
    activations: float = 100e6,
) -> TrainingSimulator:
    made = TrainingSimulator(
        comm or CommunicationModel(devices), compute or ComputeModel(devices), MemoryModel(num_devices=devices)
    )
    if batch:
        made.set_batch_size(batch)
    made.set_model_size(parameters=parameters, activations=activations)
    return made


def test_the_documented_snippet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    import dist_training_sim as dts

    comm_model = dts.CommunicationModel(num_nodes=8, topology=dts.Topology.RING)
    compute_model = dts.ComputeModel(num_devices=8, device_type=dts.DeviceType.GPU)
    memory_model = dts.MemoryModel(num_devices=8)
    simulator = dts.TrainingSimulator(comm_model, compute_model, memory_model)
    simulator.set_batch_size(256)
    simulator.set_model_size(parameters=250e6, activations=100e6)
    results = simulator.simulate_training_iteration()
    times = results.total_time_ms, results.compute_time_ms, results.communication_time_ms
    assert all(isinstance(value, float) and value > 0 for value in times)
    assert max(times[1:]) <= times[0] <= sum(times)

    from dist_training_sim.visualization import Visualizer

    vis = Visualizer()
    fig = vis.plot_training_timeline(results.events)
    assert fig.get_axes()
    fig = vis.plot_communication_graph(results.comm_adjacency)
    assert fig.get_axes()
    fig = vis.plot_scaling_efficiency(num_devices=[1, 2, 4, 8, 16, 32], throughput=[100, 195, 380, 740, 1400, 2600])
    vis.save_figure(fig, "scaling_efficiency.png")
    assert (tmp_path / "scaling_efficiency.png").read_bytes()[:4] == b"\x89PNG"


# --- values by hand ---------------------------------------------------------------------------------------------------


def test_gradients_of_a_ring_by_hand() -> None:
    # 16-bit gradients of 250 M weights: each rank sends 2 (n - 1)/n of 500 MB to its neighbour.
    result = simulator(comm=CommunicationModel(8, "ring")).simulate_training_iteration()
    matrix = np.array(result.comm_adjacency)
    assert matrix.shape == (8, 8)
    for rank in range(8):
        assert matrix[rank].sum() == pytest.approx(2 * 7 / 8 * 500e6)
        assert matrix[:, rank].sum() == pytest.approx(matrix[rank].sum())
        assert matrix[rank, rank] == 0


def test_one_device_has_no_communication() -> None:
    result = simulator(1, batch=32).simulate_training_iteration()
    assert result.communication_time_ms == result.exposed_communication_ms == 0
    assert np.array(result.comm_adjacency).sum() == 0
    assert result.total_time_ms == pytest.approx(result.compute_time_ms)


def test_compute_time_is_the_compute_models() -> None:
    # 16 layers of 1/16 of the work each; the weight gradients' own traffic is small against so much computation.
    compute = ComputeModel(1)
    result = simulator(1, compute=compute, batch=8192, parameters=8e9, activations=0).simulate_training_iteration()
    forward = compute.forward_time_s(8e9, 8192)
    assert result.breakdown["forward_s"] == pytest.approx(forward, rel=0.05)
    assert result.breakdown["backward_s"] == pytest.approx(2 * forward, rel=0.05)


def test_breakdown_and_memory() -> None:
    result = simulator().simulate_training_iteration()
    assert sum(result.breakdown.values()) * 1e3 == pytest.approx(result.total_time_ms, rel=1e-9)
    # Weights and gradients in 16 bits, fp32 master weight and two moments; 32 samples of 100 M 16-bit elements.
    assert result.memory["weights"] == result.memory["gradients"] == 2 * 250e6
    assert result.memory["optimizer"] == 12 * 250e6
    assert result.memory["activations"] == pytest.approx(32 * 100e6 * 2)
    assert result.fits
    assert "IterationResult" in repr(result)
    huge = simulator(parameters=20e9).simulate_training_iteration()
    assert not huge.fits


def test_events_cover_the_iteration_on_every_device() -> None:
    result = simulator().simulate_training_iteration()
    assert {event.device for event in result.events} == set(range(8))
    assert {event.kind for event in result.events} == {"forward", "backward", "all_reduce", "optimizer"}
    assert max(event.end_s for event in result.events) * 1e3 == pytest.approx(result.total_time_ms)
    for device in range(8):
        busy = sum(e.duration_ms for e in result.events if e.device == device and e.stream == "compute")
        assert busy == pytest.approx(result.compute_time_ms)


def test_a_run_is_its_iterations() -> None:
    one = simulator().simulate_training_iteration()
    run = simulator().simulate_training(100)
    assert run.total_time_ms == 100 * one.total_time_ms
    assert run.samples_per_s == pytest.approx(256 / one.total_time_ms * 1e3)
    with pytest.raises(ConfigError, match="iterations"):
        simulator().simulate_training(0)


# --- the two doors ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("framework", ["ideal", "megatron-core", "torchtitan"])
@pytest.mark.parametrize(
    "strategy",
    [
        Strategy(zero=1, global_batch=16),
        Strategy(tp=2, pp=2, micro_batch=2, global_batch=32, recompute="selective"),
        Strategy(cp=2, zero=3, global_batch=8, recompute="full"),
        Strategy(pp=4, vpp=2, global_batch=16, schedule="1f1b"),
    ],
    ids=lambda s: f"tp{s.tp}pp{s.pp}cp{s.cp}z{s.zero}",
)
def test_both_doors_give_bit_equal_results(strategy: Strategy, framework: str) -> None:
    comm = CommunicationModel(1, "switch", devices_per_node=8)
    cluster = dts.Cluster.from_catalog("1xdgx-h100")
    described = dts.simulate(
        "llama-3.2-1b", cluster, strategy, seq_len=2048, framework=framework, network=comm, expand=True
    )
    device = to_core(cluster).node.device
    joined = TrainingSimulator(comm, ComputeModel(8, device=device), MemoryModel(8, hbm=device.hbm_bytes))
    joined.set_model("llama-3.2-1b", seq_len=2048)
    joined.set_strategy(strategy)
    joined.set_framework(framework)
    result = joined.simulate_training_iteration().result
    assert result.step_time_s == described.step_time_s
    assert result.stage_breakdowns == described.stage_breakdowns
    assert result.memory == described.memory
    for name, column in described.events.columns.items():
        np.testing.assert_array_equal(column, result.events.columns[name])


def test_generic_models_pass_both_doors() -> None:
    comm = CommunicationModel(8, "fat_tree")
    cluster = dts.Cluster.from_catalog("1xdgx-h100")
    strategy = Strategy(micro_batch=32, global_batch=256)
    described = dts.simulate(
        dts.Model.generic(250e6, 100e6), cluster, strategy, framework="ideal", network=comm, expand=True
    )
    device = to_core(cluster).node.device
    assert simulator(comm=comm, compute=ComputeModel(8, device=device)).simulate_training_iteration().total_time_ms == (
        described.step_time_s * 1e3
    )


def test_same_input_same_output() -> None:
    first, second = (simulator().simulate_training_iteration() for _ in range(2))
    assert first.total_time_ms == second.total_time_ms
    assert first.comm_adjacency == second.comm_adjacency
    again = simulator()
    assert [again.simulate_training_iteration().total_time_ms for _ in range(2)] == [first.total_time_ms] * 2


# --- what should matter, matters --------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(st.floats(1.1, 20), st.sampled_from(["ring", "tree", "torus_2d", "fully_connected", "switch"]))
def test_faster_links_and_devices_are_never_slower(factor: float, topology: str) -> None:
    def total(bandwidth: float, compute: ComputeModel) -> float:
        comm = CommunicationModel(8, topology, bandwidth=bandwidth)
        return simulator(comm=comm, compute=compute).simulate_training_iteration().total_time_ms

    base = total(20e9, ComputeModel(8, peak_flops=300e12))
    assert total(20e9 * factor, ComputeModel(8, peak_flops=300e12)) <= base
    assert total(20e9, ComputeModel(8, peak_flops=300e12 * factor)) <= base


@settings(max_examples=20, deadline=None)
@given(st.integers(0, DEVICES - 1), st.floats(0.1, 1.0))
def test_a_straggler_slows_the_job_by_at_most_its_factor(device: int, speed: float) -> None:
    compute = ComputeModel(DEVICES)
    even = simulator(compute=compute).simulate_training_iteration().total_time_ms
    compute.set_device(device, speed=speed)
    result = simulator(compute=compute).simulate_training_iteration()
    assert even * (1 - 1e-12) <= result.total_time_ms <= even / speed * (1 + 1e-12)
    assert sum(result.breakdown.values()) * 1e3 == pytest.approx(result.total_time_ms, rel=1e-9)
    if speed < 0.9:
        assert result.total_time_ms > even


def test_it_does_not_matter_which_device_is_slow() -> None:
    totals = set()
    for device in range(DEVICES):
        compute = ComputeModel(DEVICES)
        compute.set_device(device, speed=0.5)
        totals.add(round(simulator(compute=compute).simulate_training_iteration().total_time_ms, 9))
    assert len(totals) == 1


def test_a_device_with_fewer_flops_slows_compute_bound_work() -> None:
    def iteration(weak: set[int]) -> float:
        compute = ComputeModel(DEVICES)
        for index in weak:
            compute.set_device(index, ComputeModel(1, peak_flops=200e12).device(0))
        return simulator(compute=compute, batch=8 * 2**16, activations=0).simulate_training_iteration().total_time_ms

    strong, one, every = iteration(set()), iteration({3}), iteration(set(range(DEVICES)))
    assert one > 3 * strong  # a fifth of the FLOP/s
    assert one == pytest.approx(every, rel=0.02)
    assert iteration({0}) == pytest.approx(every, rel=0.02)


def test_several_devices_per_node() -> None:
    # 16 devices on 4 nodes of one: the network grows to four devices a node.
    def total(comm: CommunicationModel) -> Any:
        return simulator(16, comm=comm, batch=64).simulate_training_iteration()

    grown, stated = total(CommunicationModel(4)), total(CommunicationModel(4, devices_per_node=4))
    assert np.array(grown.comm_adjacency).shape == (16, 16)
    assert grown.total_time_ms == stated.total_time_ms
    assert grown.comm_adjacency == stated.comm_adjacency


def test_strategy_fills_in_the_batch() -> None:
    made = simulator(batch=64)
    made.set_strategy(Strategy(zero=1, micro_batch=2))
    result = made.simulate_training_iteration().result
    assert (result.strategy.global_batch, result.micro_batches, result.strategy.zero) == (64, 4, 1)
    made.set_strategy(Strategy(micro_batch=2, global_batch=32))
    assert made.simulate_training_iteration().result.micro_batches == 2


def test_framework_costs_are_off_until_asked_for() -> None:
    made = simulator()
    ideal = made.simulate_training_iteration()
    assert ideal.breakdown["host_s"] == ideal.breakdown["fixed_s"] == 0
    made.set_framework("megatron-core")
    assert made.simulate_training_iteration().total_time_ms > ideal.total_time_ms


def test_default_precision_is_what_the_device_computes_in() -> None:
    compute = ComputeModel(2, "cpu")
    result = simulator(2, compute=compute, batch=2).simulate_training_iteration()
    assert result.result.strategy.precision.value in ("bf16", "fp16", "fp32")


@pytest.mark.parametrize("topology", ["ring", "fat_tree", "fully_connected"])
def test_512_devices(topology: str) -> None:
    result = simulator(512, comm=CommunicationModel(512, topology), batch=512).simulate_training_iteration()
    assert result.result.devices == 512
    assert len(result.comm_adjacency) == 512


# --- errors -----------------------------------------------------------------------------------------------------------


def test_the_three_models_must_describe_the_same_devices() -> None:
    with pytest.raises(ConfigError) as error:
        TrainingSimulator(CommunicationModel(3), ComputeModel(8), MemoryModel(4))
    assert "memory_model.num_devices" in str(error.value)
    assert "multiple of comm_model.num_nodes=3" in str(error.value)
    with pytest.raises(ConfigError, match=r"comm_model.num_devices"):
        TrainingSimulator(CommunicationModel(2, devices_per_node=3), ComputeModel(8), MemoryModel(8))


def test_what_is_not_set_is_named() -> None:
    bare = TrainingSimulator(CommunicationModel(2), ComputeModel(2), MemoryModel(2))
    with pytest.raises(ConfigError) as error:
        bare.simulate_training_iteration()
    assert "set_model_size" in str(error.value)
    assert "set_batch_size" in str(error.value)


@pytest.mark.parametrize(("batch", "text"), [(255, "248 or 256"), (3, "use 8"), (1, "use 8")])
def test_a_batch_that_does_not_divide(batch: int, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        simulator(batch=batch).simulate_training_iteration()


@pytest.mark.parametrize("bad", [0, -8, 2.5, True, "many", None, 2**40])
def test_bad_batch_sizes(bad: Any) -> None:
    with pytest.raises(ConfigError, match="batch_size"):
        simulator(batch=None).set_batch_size(bad)


@pytest.mark.parametrize(
    ("parameters", "activations"), [(0, 1), (-1, 1), (float("nan"), 1), (1e6, -1), (1e6, float("inf")), ("big", 1)]
)
def test_bad_model_sizes(parameters: Any, activations: Any) -> None:
    with pytest.raises(ConfigError):
        simulator().set_model_size(parameters, activations)


def test_layout_errors_reach_the_caller() -> None:
    made = simulator()
    made.set_strategy(Strategy(tp=3))
    with pytest.raises(ConfigError, match="must divide 8"):
        made.simulate_training_iteration()
    with pytest.raises(ConfigError, match="seq_len"):
        made.set_model("gpt2")


def test_too_many_devices_for_events() -> None:
    made = TrainingSimulator(CommunicationModel(1, devices_per_node=8192), ComputeModel(8192), MemoryModel(8192))
    made.set_batch_size(8192)
    made.set_model_size(1e6, 1)
    with pytest.raises(ConfigError, match=r"dts.simulate"):
        made.simulate_training_iteration()


@pytest.mark.parametrize("bad", [5, None, object()])
def test_things_of_the_wrong_kind_are_named(bad: Any) -> None:
    simulator = dts.TrainingSimulator(dts.CommunicationModel(2), dts.ComputeModel(2), dts.MemoryModel(2))
    for call, name in (
        (lambda: simulator.set_model(bad), "model"),
        (lambda: simulator.set_strategy(bad), "strategy"),
        (lambda: simulator.set_framework(bad), "framework"),
        (lambda: dts.TrainingSimulator(bad, bad, bad), "memory_model"),
        (lambda: dts.simulate(bad, bad, dts.Strategy(), framework=bad), "cluster"),
    ):
        with pytest.raises(dts.ConfigError, match=name):
            call()
