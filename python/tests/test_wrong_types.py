"""Values of any wrong type or size, in every field and argument: an error that names them, never a crash."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import dist_training_sim as dts
import pytest

JUNK: list[Any] = [
    None, True, 0, -1, 1, 2**31, 10**400, 1e308, -1e308, float("nan"), float("inf"), "", "x", "\udc80", b"x", [], [1],
    ["a"], {}, {"a": 1}, (1, 2), object(), 1j, "1e400", "9" * 5000,
]  # fmt: skip
STRATEGY = dts.Strategy(dp=8, global_batch=8)
JOB: dict[str, Any] = {"model": "gpt2", "cluster": "1xdgx-h100", "strategy": STRATEGY, "seq_len": 128}
DESCRIPTIONS: dict[str, Any] = {
    "model": dts.Model.from_catalog("gpt2"),
    "cluster": dts.Cluster.from_catalog("1xdgx-h100"),
    "strategy": STRATEGY,
    "framework": dts.FrameworkProfile.from_catalog("megatron-core"),
}
DEVICE, NODE = dts.Device.from_catalog("h100"), dts.Node.from_catalog("dgx-h100")
FIELDS = [(of, f.name) for of, given in DESCRIPTIONS.items() for f in dataclasses.fields(given) if f.init]
CALLS: list[tuple[Callable[..., object], Mapping[str, Any]]] = [
    (dts.simulate, JOB),
    (dts.fit, JOB),
    (dts.explain, JOB),
    (dts.what_if, JOB | {"changes": [{"nodes": 2}]}),
    (dts.cost, JOB | {"tokens": 1e9}),
    (dts.Stragglers, {}),
    (dts.ComputeModel, {"num_devices": 8, "device_type": dts.DeviceType.GPU}),
    (dts.MemoryModel, {"num_devices": 8}),
    (dts.CommunicationModel, {"num_nodes": 8, "topology": dts.Topology.RING}),
    (dts.hardware, {}),
    (dts.models, {}),
]
SETTERS: dict[str, dict[str, Any]] = {
    "set_batch_size": {"batch_size": 8},
    "set_model_size": {"parameters": 1e6, "activations": 1e5},
}


def refused_or_done(call: Callable[[], object]) -> None:
    try:
        call()
    except dts.DtsError as error:
        text = str(error)
        assert text
        assert all(len(line) < 2000 for line in text.splitlines())


@pytest.mark.parametrize(("of", "name"), FIELDS, ids=lambda text: str(text))
def test_fields(of: str, name: str) -> None:
    for junk in JUNK:

        def call(junk: Any = junk) -> None:
            given = DESCRIPTIONS | {of: dataclasses.replace(DESCRIPTIONS[of], **{name: junk})}
            dts.simulate(**given, seq_len=128, keep_events=False)

        refused_or_done(call)


@pytest.mark.parametrize("given", [DEVICE, NODE], ids=["device", "node"])
def test_fields_of_hardware(given: Any) -> None:
    for field in dataclasses.fields(given):
        for junk in JUNK if field.init else []:
            refused_or_done(lambda name=field.name, junk=junk: dataclasses.replace(given, **{name: junk}))  # type: ignore[misc]


@pytest.mark.parametrize(("function", "given"), CALLS, ids=[call[0].__name__ for call in CALLS])
def test_arguments(function: Callable[..., object], given: Mapping[str, Any]) -> None:
    for name in inspect.signature(function).parameters:
        for junk in JUNK:
            refused_or_done(lambda name=name, junk=junk: function(**{**given, name: junk}))  # type: ignore[misc]


@pytest.mark.parametrize("setter", SETTERS)
def test_setters(setter: str) -> None:
    for name in SETTERS[setter]:
        for junk in JUNK:

            def call(name: str = name, junk: Any = junk) -> None:
                simulator = dts.TrainingSimulator(
                    dts.CommunicationModel(num_nodes=8, topology=dts.Topology.RING),
                    dts.ComputeModel(num_devices=8, device_type=dts.DeviceType.GPU),
                    dts.MemoryModel(num_devices=8),
                )
                for other, values in SETTERS.items():
                    getattr(simulator, other)(**values)
                getattr(simulator, setter)(**SETTERS[setter] | {name: junk})
                simulator.simulate_training_iteration()

            refused_or_done(call)


# ---- sizes -----------------------------------------------------------------------------------------------------------


def test_a_step_too_large_is_refused_with_an_estimate() -> None:
    strategy = dts.Strategy(dp=2**17, pp=8, global_batch=2**25)
    with pytest.raises(
        dts.ConfigError, match=r"size of the step: got about .* GB and .* s of work for 1\.04858e\+06 ranks"
    ):
        dts.simulate(
            "llama-3.1-8b", dts.Cluster.from_catalog("dgx-h100", nodes=2**17), strategy, seq_len=4096, expand=True
        )


@pytest.mark.parametrize(
    "call",
    [
        lambda: dts.Cluster.from_catalog("dgx-h100", nodes=10**9),
        lambda: dts.CommunicationModel(num_nodes=10**9, topology=dts.Topology.RING),
        lambda: dts.ComputeModel(num_devices=10**9, device_type=dts.DeviceType.GPU),
        lambda: dts.MemoryModel(num_devices=10**9),
        lambda: dts.simulate("llama-3.1-8b", "1xdgx-h100", dts.Strategy(pp=8, global_batch=10**9), seq_len=128),
        lambda: dts.SweepSpace({"model": "gpt2", "cluster": "1xdgx-h100", "global_batch": list(range(1, 10**5)),
                                "seq_len": list(range(1, 10**5))}),
    ],
)  # fmt: skip
def test_a_billion_of_anything_is_refused(call: Callable[[], object]) -> None:
    with pytest.raises(dts.ConfigError):
        call()
