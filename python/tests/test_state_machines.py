"""The public API used in any order: after every step results are finite, conserve what they must, and repeat."""

from __future__ import annotations

import math
import pickle
import tempfile
from pathlib import Path
from typing import Any

import dist_training_sim as dts
import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

QUICK = settings(max_examples=20, stateful_step_count=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def check_step(result: dts.Result) -> None:
    """What holds of every simulated step."""
    assert math.isfinite(result.step_time_s)
    assert result.step_time_s > 0
    parts = result.breakdown
    assert all(math.isfinite(seconds) and seconds >= 0 for seconds in parts.values()), parts
    # Times of a timeline are multiples of 2^-40 s, those of its parts are not.
    assert math.isclose(sum(parts.values()), result.step_time_s, rel_tol=1e-9, abs_tol=4 * 2**-40)
    assert 0 <= result.mfu <= result.hfu * (1 + 1e-12) <= 1
    assert all(math.isfinite(held) and held >= 0 for held in result.peak_memory.categories.values())
    ends = result.events.columns["end_s"]
    assert np.all(result.events.columns["start_s"] <= ends)
    assert float(ends.max(initial=0)) <= result.step_time_s * (1 + 1e-9)
    assert result.tokens_per_s * result.step_time_s > 0


class FrontDoor(RuleBasedStateMachine):
    """`TrainingSimulator` and its three models, changed in any order."""

    @initialize(devices=st.sampled_from([1, 2, 4, 8]), topology=st.sampled_from(["ring", "switch", "fully_connected"]))
    def build(self, devices: int, topology: str) -> None:
        self.devices = devices
        self.comm = dts.CommunicationModel(devices, topology)
        self.compute = dts.ComputeModel(devices)
        self.memory = dts.MemoryModel(devices)
        self.simulator = dts.TrainingSimulator(self.comm, self.compute, self.memory)
        self.has_batch = self.has_model = False
        self.held: dict[int, int] = {}

    @rule(per_device=st.integers(1, 8))
    def set_batch_size(self, per_device: int) -> None:
        self.simulator.set_batch_size(per_device * self.devices)
        self.has_batch = True

    @rule(parameters=st.floats(1e3, 1e10), activations=st.floats(0, 1e8))
    def set_model_size(self, parameters: float, activations: float) -> None:
        self.simulator.set_model_size(parameters, activations)
        self.has_model = True

    @rule(model=st.sampled_from(["gpt2", "bert-base"]))
    def set_model(self, model: str) -> None:
        self.simulator.set_model(model, seq_len=128)
        self.has_model = True

    @rule(zero=st.integers(0, 3))
    def set_strategy(self, zero: int) -> None:
        self.simulator.set_strategy(dts.Strategy(zero=zero))

    @rule(name=st.sampled_from(["ideal", "megatron-core", "deepspeed"]))
    def set_framework(self, name: str) -> None:
        self.simulator.set_framework(name)

    @rule(device=st.integers(0, 7), speed=st.floats(0.1, 1.0))
    def slow_a_device(self, device: int, speed: float) -> None:
        self.compute.set_device(device % self.devices, speed=speed)

    @rule(device=st.integers(0, 7), name=st.sampled_from(["a100", "h100", "b200"]))
    def replace_a_device(self, device: int, name: str) -> None:
        self.compute.set_device(device % self.devices, name)

    @rule(device=st.integers(0, 7), size=st.integers(1, 10**10))
    def hold_memory(self, device: int, size: int) -> None:
        at = device % self.devices
        free = self.memory.usage(at).free_bytes
        try:
            self.held[self.memory.allocate(at, size)] = size
        except dts.InfeasibleError:
            assert size > free

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def give_memory_back(self, data: st.DataObject) -> None:
        handle = data.draw(st.sampled_from(sorted(self.held)))
        self.memory.free(handle)
        del self.held[handle]

    @rule(how=st.sampled_from(["pickle", "pickle all"]))
    def go_on_with_a_copy(self, how: str) -> None:
        again = pickle.loads(pickle.dumps((self.comm, self.compute, self.memory, self.simulator)))
        self.comm, self.compute, self.memory, self.simulator = again

    @rule()
    def simulate(self) -> None:
        if not (self.has_batch and self.has_model):
            with pytest.raises(dts.ConfigError) as error:
                self.simulator.simulate_training_iteration()
            assert ("model" in str(error.value)) == (not self.has_model)
            assert ("batch_size" in str(error.value)) == (not self.has_batch)
            return
        once, again = (self.simulator.simulate_training_iteration() for _ in range(2))
        check_step(once.result)
        assert once.total_time_ms == again.total_time_ms
        assert once.comm_adjacency == again.comm_adjacency
        sent = np.array(once.comm_adjacency)
        assert sent.shape == (self.devices, self.devices)
        assert np.all(np.isfinite(sent))
        assert np.all(np.diag(sent) == 0)
        if self.devices == 1:
            assert once.communication_time_ms == 0
        else:
            assert sent.sum() > 0
        assert once.exposed_communication_ms <= once.total_time_ms * (1 + 1e-9)
        assert self.simulator.simulate_training(3).total_time_ms == 3 * once.total_time_ms

    @invariant()
    def the_ledger_counts_what_is_held(self) -> None:
        if not hasattr(self, "memory"):
            return
        used = sum(self.memory.usage(device).used_bytes for device in range(self.devices))
        assert used == sum(self.held.values())


class LlmDoor(RuleBasedStateMachine):
    """Models, clusters and layouts put together in any order, and every verb asked about them."""

    @initialize(model=st.sampled_from(["gpt2", "llama-3.2-1b"]), nodes=st.sampled_from([1, 2]))
    def build(self, model: str, nodes: int) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.model = dts.Model.from_catalog(model)
        self.cluster = dts.Cluster.from_catalog("dgx-h100", nodes=nodes)
        self.strategy = dts.Strategy(global_batch=64)
        self.seq_len = 1024
        self.last: dts.Result | None = None

    @rule(nodes=st.sampled_from([1, 2, 4]), node=st.sampled_from(["dgx-h100", "dgx-a100-80gb", "dgx-b200"]))
    def choose_cluster(self, nodes: int, node: str) -> None:
        self.cluster, self.last = dts.Cluster.from_catalog(node, nodes=nodes), None

    @rule(data=st.data(), field=st.sampled_from(["tp", "pp", "cp", "micro_batch", "zero", "recompute", "schedule"]))
    def change_layout(self, data: st.DataObject, field: str) -> None:
        values: dict[str, list[Any]] = {
            "zero": [0, 1, 2, 3],
            "recompute": ["none", "selective", "full"],
            "schedule": ["1f1b", "gpipe", "zb_h1"],
        }
        value = data.draw(st.sampled_from(values.get(field, [1, 2, 3, 4])))
        self.strategy, self.last = self.strategy.replace(**{field: value}), None

    @rule(length=st.sampled_from([512, 1024, 4096]))
    def change_length(self, length: int) -> None:
        if self.model.name != "gpt2" or length <= 1024:
            self.seq_len, self.last = length, None

    @rule()
    def simulate(self) -> None:
        evaluated = dts.evaluate(self.model, self.cluster, [self.strategy], seq_len=self.seq_len)
        if not evaluated.legal[0]:
            assert evaluated.reason(0)
            with pytest.raises(dts.ConfigError, match=r": got .*, expected "):
                dts.simulate(self.model, self.cluster, self.strategy, seq_len=self.seq_len)
            self.last = None
            return
        found = dts.simulate(self.model, self.cluster, self.strategy, seq_len=self.seq_len)
        check_step(found)
        again = dts.simulate(self.model, self.cluster, self.strategy, seq_len=self.seq_len)
        assert again.to_dict() == found.to_dict()
        self.last = found

    @precondition(lambda self: self.last is not None)
    @rule()
    def evaluate_says_the_same(self) -> None:
        assert self.last is not None
        row = dts.evaluate(self.model, self.cluster, [self.strategy], seq_len=self.seq_len)
        assert row["step_time_s"][0] == self.last.step_time_s
        assert row["mfu"][0] == self.last.mfu

    @precondition(lambda self: self.last is not None)
    @rule()
    def expanded_says_the_same(self) -> None:
        assert self.last is not None
        every = dts.simulate(self.model, self.cluster, self.strategy, seq_len=self.seq_len, expand=True)
        assert every.step_time_s == self.last.step_time_s

    @precondition(lambda self: self.last is not None)
    @rule()
    def fit(self) -> None:
        assert self.last is not None
        report = dts.fit(self.model, self.cluster, self.strategy, seq_len=self.seq_len)
        assert report.fits == self.last.fits

    @precondition(lambda self: self.last is not None)
    @rule()
    def go_on_with_a_copy(self) -> None:
        assert self.last is not None
        again = pickle.loads(pickle.dumps((self.model, self.cluster, self.strategy, self.last)))
        assert again[:3] == (self.model, self.cluster, self.strategy)
        assert again[3].to_dict() == self.last.to_dict()
        self.model, self.cluster, self.strategy, self.last = again

    @precondition(lambda self: self.last is not None)
    @rule(name=st.sampled_from(["step.json", "step.json.gz", "step.pftrace"]))
    def export(self, name: str) -> None:
        assert self.last is not None
        self.last.save_trace(self.folder / name)
        first = (self.folder / name).read_bytes()
        self.last.save_trace(self.folder / name)
        assert (self.folder / name).read_bytes() == first
        assert [path.name for path in self.folder.iterdir() if path.name.startswith(".")] == []

    @precondition(lambda self: self.last is not None)
    @rule()
    def sweep_of_one_point(self) -> None:
        assert self.last is not None
        layout = {name: getattr(self.strategy, name) for name in ("tp", "pp", "cp", "micro_batch", "zero")}
        layout |= {name: getattr(self.strategy, name).value for name in ("recompute", "schedule")}
        axes = {
            "model": self.model.name, "cluster": f"{self.cluster.nodes}x{self.cluster.node.name}",
            "global_batch": 64, "seq_len": self.seq_len, "strategy": layout,
        }  # fmt: skip
        file = Path(tempfile.mkdtemp(dir=self.folder)) / "sweep.sqlite"
        (row,) = dts.sweep(axes, file)
        assert row["step_time_s"] == self.last.step_time_s


TestFrontDoor = FrontDoor.TestCase
TestFrontDoor.settings = QUICK
TestLlmDoor = LlmDoor.TestCase
TestLlmDoor.settings = QUICK
