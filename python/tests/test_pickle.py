"""Descriptions and results survive pickling: a search can send them to other processes."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

import dist_training_sim as dts
import numpy as np
import pytest
from dist_training_sim import _core
from dist_training_sim.catalog import frameworks
from dist_training_sim.hardware import Link, ScaleOut, ScaleUp
from dist_training_sim.network import Collective, FlowNetwork
from dist_training_sim.op_table import OpTable

JOBS = Path(__file__).parents[2] / "examples" / "jobs"

DESCRIPTIONS: list[Any] = [
    dts.Device.from_catalog("h100"),
    dts.Device("mine", rates={"bf16": "400 TFLOP/s"}, hbm_bytes="64 GiB", hbm_Bps="2 TB/s", sm_count=100, kind="tpu"),
    dts.Node.from_catalog("dgx-h100"),
    dts.Cluster.from_catalog("64xdgx-h100"),
    Link("400 Gb/s"),
    ScaleUp.from_catalog("nvlink4"),
    ScaleOut.from_catalog("infiniband"),
    dts.Model.from_catalog("llama-3.1-8b"),
    dts.Model.generic(1e9, 1e6),
    dts.Strategy(tp=2, pp=2, recompute="full", layers_per_stage=(3, 5)),
    *(dts.FrameworkProfile.from_catalog(name) for name in frameworks.names()),
]


@pytest.mark.parametrize("given", DESCRIPTIONS, ids=lambda d: f"{type(d).__name__}-{getattr(d, 'name', '')}")
@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_descriptions(given: Any, protocol: int) -> None:
    back = pickle.loads(pickle.dumps(given, protocol))
    assert back == given
    assert repr(back) == repr(given)
    assert copy.deepcopy(given) == given


@pytest.fixture(scope="module")
def result() -> dts.Result:
    strategy = dts.Strategy(tp=2, pp=2, zero=1, global_batch=16)
    return dts.simulate("gpt2", "1xdgx-h100", strategy, seq_len=1024)


def test_result(result: dts.Result) -> None:
    back = pickle.loads(pickle.dumps(result))
    assert back.to_dict() == result.to_dict()
    assert repr(back) == repr(result)
    assert list(back.events) == list(result.events)
    assert len(back.events) > 0
    assert back.memory == result.memory


def test_result_after_its_parts_were_read(result: dts.Result) -> None:
    assert result.breakdown
    assert result.events
    assert copy.deepcopy(result).stage_breakdowns == result.stage_breakdowns


def test_every_value_of_the_core_s_result_is_kept(result: dts.Result) -> None:
    core = result._core_result
    back = pickle.loads(pickle.dumps(core))
    values = [name for name in dir(core) if name[0] != "_" and not callable(getattr(core, name))]
    assert len(values) > 15
    for name in values:
        assert _plain(getattr(back, name)) == _plain(getattr(core, name)), name
    for name, column in core.event_columns().items():
        kept = back.event_columns()[name]
        assert kept.dtype == column.dtype
        assert np.array_equal(kept, column)


def test_traffic_is_kept() -> None:
    simulator = dts.TrainingSimulator(dts.CommunicationModel(4), dts.ComputeModel(4), dts.MemoryModel(4))
    simulator.set_batch_size(16)
    simulator.set_model_size(parameters=1e8, activations=1e6)
    iteration = simulator.simulate_training_iteration()
    back = pickle.loads(pickle.dumps(iteration))
    assert back.comm_adjacency == iteration.comm_adjacency
    assert sum(map(sum, back.comm_adjacency)) > 0


def test_state_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="another version"):
        _core.Breakdown.__new__(_core.Breakdown).__setstate__((1.0,))


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, (_core.Breakdown, _core.MemoryReport, _core.AxisTime)):
        return {name: getattr(value, name) for name in dir(value) if name[0] != "_"}
    if isinstance(value, _core.StepLinks):
        return {name: np.array(getattr(value, name)).tolist() for name in dir(value) if name[0] != "_"}
    return value


def front_door() -> dict[str, Any]:
    compute, memory = dts.ComputeModel(num_devices=4), dts.MemoryModel(num_devices=4, devices_per_node=2)
    compute.set_device(1, speed=0.5)
    compute.set_device(2, "a100-sxm4-80gb")
    memory.allocate(0, "3 GB", name="gone", category="temporaries")
    memory.free(1)
    memory.allocate(0, "1 GB", name="weights", category="weights")
    memory.allocate(3, "2 GB", "cpu", name="states", category="optimizer")
    comm = dts.CommunicationModel(num_nodes=4)
    comm.set_link(0, 1, bandwidth="1 GB/s")
    simulator = dts.TrainingSimulator(comm, compute, memory)
    simulator.set_batch_size(16)
    simulator.set_model_size(parameters=1e8, activations=1e6)
    return {"compute": compute, "memory": memory, "comm": comm, "simulator": simulator}


@pytest.fixture(params=["pickle", "deepcopy"])
def again(request: pytest.FixtureRequest) -> dict[str, Any]:
    given = front_door()
    return pickle.loads(pickle.dumps(given)) if request.param == "pickle" else copy.deepcopy(given)


def test_front_door_models_come_back_as_they_were(again: dict[str, Any]) -> None:
    given = front_door()
    assert [again["compute"].speed(i) for i in range(4)] == [1, 0.5, 1, 1]
    assert [again["compute"].device(i).name for i in range(4)] == [given["compute"].device(i).name for i in range(4)]
    work = {"parameters": 1e9, "samples": 8}
    for device in (None, 0, 1, 2):
        assert again["compute"].forward_time_s(**work, device=device) == given["compute"].forward_time_s(
            **work, device=device
        )
    usage, used = again["memory"].usage(0), given["memory"].usage(0)
    assert (usage.used_bytes, usage.peak_bytes, usage.by_category) == (1e9, 3e9, {"weights": 1e9})
    assert usage.peak_by_category == used.peak_by_category == {"temporaries": 3e9}
    assert again["memory"].usage(2, "cpu").used_bytes == 2e9  # one pool of the node
    assert [(a.handle, a.name, a.bytes) for a in again["memory"].allocations()] == [
        (2, "weights", 1e9),
        (3, "states", 2e9),
    ]
    once = again["simulator"].simulate_training_iteration()
    assert once.result.to_dict() == given["simulator"].simulate_training_iteration().result.to_dict()


def test_front_door_models_go_their_own_way(again: dict[str, Any]) -> None:
    given = front_door()
    again["compute"].set_device(2, speed=0.25)
    assert again["memory"].allocate(0, "1 GB") == 4  # handles are never used twice
    with pytest.raises(dts.ConfigError, match="freed before"):
        again["memory"].free(1)
    assert given["compute"].speed(2) == 1
    assert given["memory"].usage(0).used_bytes == 1e9


def test_states_that_contradict_themselves_are_refused() -> None:
    made: Any = dts.ComputeModel(2)._model
    kinds, kind_of, speeds = made.__getstate__()
    blank: Any = _core.ComputeModel.__new__(_core.ComputeModel)
    of_compute: list[tuple[Any, ...]] = [
        (kinds, [0, 7], speeds), (kinds, kind_of, [1.0]), (kinds, kind_of, [1.0, -1.0]), (kinds, [], []),
    ]  # fmt: skip
    for state in of_compute:
        with pytest.raises(dts.ConfigError):
            blank.__setstate__(state)
    ledger = dts.MemoryModel(2)
    ledger.allocate(0, "1 GB")
    kept: Any = ledger._core
    devices, per_node, tiers, following, live, peaks = kept.__getstate__()
    lower = copy.deepcopy(ledger)
    lower.free(1)
    lower.reset_peaks()
    lower.allocate(0, 1)
    less: Any = lower._core
    blank = _core.MemoryModel.__new__(_core.MemoryModel)
    of_memory: list[tuple[Any, ...]] = [
        (devices, per_node, tiers, 1, live, peaks),  # a handle not given out yet
        (0, per_node, tiers, following, live, peaks),
        (devices, per_node, tiers, following, live * 100, peaks),  # more than the device holds
        (devices, per_node, tiers, following, live, less.__getstate__()[5]),  # a peak below what is held
    ]
    for state in of_memory:
        with pytest.raises(dts.DtsError):
            blank.__setstate__(state)


CORE = [
    dts.ComputeModel(1, device="b200").device(0),
    *(getattr(dts.ComputeModel(1, device="b200").device(0), name) for name in ("gemm", "memory", "attention_forward")),
    dts.MemoryModel(2).usage(1, "cpu"),
    *dts.MemoryModel(2)._core.tiers,
]


@pytest.mark.parametrize("given", CORE, ids=lambda value: type(value).__name__)
def test_every_value_of_core_structs_is_kept(given: Any) -> None:
    assert _values(pickle.loads(pickle.dumps(given))) == _values(given)


def _values(value: Any) -> Any:
    """What an object is made of, down to numbers and text: core structs by their properties, others by their state."""
    if isinstance(value, (list, tuple, OpTable)):  # ops are priced when first read
        return [_values(item) for item in value]
    if isinstance(value, dict):
        return {key: _values(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return repr(value.tolist())  # NaN equals itself
    if isinstance(value, Enum) or not type(value).__module__.startswith("dist_training_sim"):
        return value
    if type(value).__module__ != _core.__name__:
        return _values(getattr(value, "__dict__", None) or value.__reduce_ex__(2)[1:])
    names = [name for name in dir(value) if name[0] != "_" and not callable(getattr(value, name))]
    return {name: _values(getattr(value, name)) for name in names}


GPT2: dict[str, Any] = {"seq_len": 1024}
LAYOUT = dts.Strategy(dp=8, zero=1, global_batch=64)
RESULTS: dict[str, Callable[[Path], Any]] = {
    "rank grid": lambda _: dts.RankGrid(LAYOUT),
    "collective": lambda _: dts.CommunicationModel(8).all_reduce(1e9),
    "collective estimate": lambda _: dts.collective("all-reduce", "1 GB", "1xdgx-h100"),
    "links": lambda _: dts.CommunicationModel(8).topology_links(),
    "memory estimate": lambda _: dts.MemoryModel(2).estimate(1e9, 1e6, 1),
    "memory strategies": lambda _: dts.MemoryModel(2).strategy_table(1e9, 1e6, 1),
    "run": lambda _: front_door()["simulator"].simulate_training(3),
    "space": lambda _: dts.StrategySpace(global_batch=64),
    "plan": lambda _: dts.plan("gpt2", "1xdgx-h100", global_batch=64, **GPT2),
    "scale": lambda _: dts.scale("gpt2", "1xdgx-h100", [8, 16], global_batch=64, **GPT2),
    "explanation": lambda _: dts.explain("gpt2", "1xdgx-h100", LAYOUT, **GPT2),
    "what if": lambda _: dts.what_if("gpt2", "1xdgx-h100", LAYOUT, changes=[{"zero": 2}], **GPT2),
    "cost": lambda _: dts.cost("gpt2", "1xdgx-h100", LAYOUT, tokens=1e9, **GPT2),
    "check": lambda _: dts.check(JOBS / "job.yaml"),
    "job": lambda _: dts.read_job(JOBS / "train.sh"),
    "fit": lambda _: dts.fit("gpt2", "1xdgx-h100", LAYOUT, **GPT2),
    "memory timeline": lambda _: dts.memory_timeline("gpt2", "1xdgx-h100", LAYOUT, **GPT2),
    "group span": lambda _: dts.group_span("1xdgx-h100", range(8)),
    "hardware": lambda _: dts.hardware(),
    "models": lambda _: dts.models(),
    "network report": lambda _: dts.network("gpt2", "2xdgx-h100", dts.Strategy(global_batch=64), **GPT2),
    "flow network": lambda _: FlowNetwork(dts.CommunicationModel(4), dead_links=[(0, 1)]),
    "flow result": lambda _: FlowNetwork(dts.CommunicationModel(4)).run([Collective("all-reduce", 1e9)], intervals=4),
    "flow fabric": lambda _: dts.FlowFabric(slow_links={"nic 0.0": 0.5}),
    "flow step": lambda _: dts.simulate("gpt2", "2xdgx-h100", dts.Strategy(global_batch=64), network="flow", **GPT2),
    "distribution": lambda _: dts.step_distribution(
        "gpt2", "1xdgx-h100", LAYOUT, stragglers=dts.Stragglers.normal(0.05), steps=4, **GPT2
    ),
    "report": lambda _: dts.report("gpt2", "1xdgx-h100", LAYOUT, **GPT2),
    "written job": lambda _: dts.write_job("megatron-lm", "gpt2", "1xdgx-h100", LAYOUT, **GPT2),
    "sweep": lambda folder: dts.sweep(
        {"model": "gpt2", "cluster": "1xdgx-h100", "global_batch": 32, "seq_len": 1024}, folder / "sweep.sqlite"
    ),
}


@pytest.mark.parametrize("name", RESULTS)
def test_results_of_verbs(name: str, tmp_path: Path) -> None:
    given = RESULTS[name](tmp_path)
    back = pickle.loads(pickle.dumps(given))
    assert type(back) is type(given)
    assert repr(back) == repr(given)
    assert _values(back) == _values(given)


def test_evaluations_keep_rows_and_reasons() -> None:
    model, cluster = dts.Model.from_catalog("gpt2"), dts.Cluster.from_catalog("1xdgx-h100")
    table = dts.StrategyTable({"tp": [1, 5, 8]}, dts.Strategy(global_batch=64))
    given = dts.evaluate(model, cluster, table, seq_len=1024)
    back = pickle.loads(pickle.dumps(given))
    assert [back.reason(i) for i in range(3)] == [given.reason(i) for i in range(3)]
    assert [back.strategies[i] for i in range(3)] == [given.strategies[i] for i in range(3)]
    for name, column in given.columns.items():
        assert np.array_equal(back[name], column, equal_nan=column.dtype.kind == "f"), name
