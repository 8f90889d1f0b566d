"""Descriptions and results survive pickling: a search can send them to other processes."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import dist_training_sim as dts
import numpy as np
import pytest
from dist_training_sim import _core
from dist_training_sim.catalog import frameworks
from dist_training_sim.hardware import Link, ScaleOut, ScaleUp

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


def test_deep_copies_of_front_door_models_go_their_own_way() -> None:
    compute, memory = dts.ComputeModel(num_devices=4), dts.MemoryModel(num_devices=4)
    compute.set_device(1, speed=0.5)
    memory.allocate(0, "1 GB", name="weights")
    copies = copy.deepcopy((compute, memory))
    assert [copies[0].speed(i) for i in range(4)] == [1, 0.5, 1, 1]
    assert copies[1].usage(0, "hbm").used_bytes == 1e9
    copies[0].set_device(2, speed=0.25)
    copies[1].allocate(0, "1 GB", name="more")
    assert compute.speed(2) == 1
    assert memory.usage(0, "hbm").used_bytes == 1e9
