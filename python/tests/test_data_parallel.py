"""Sharding, replicas, gathers and offload through `dts.simulate` and the command line."""

from __future__ import annotations

import json
from typing import Any

import dist_training_sim as dts
import numpy as np
import pytest
from dist_training_sim import _core
from dist_training_sim._convert import to_core
from dist_training_sim.cli import main
from dist_training_sim.frameworks import FrameworkProfile
from dist_training_sim.hardware import Cluster
from dist_training_sim.memory import TierSpec
from dist_training_sim.models import transformer
from hypothesis import given, settings
from hypothesis import strategies as st

IDEAL = FrameworkProfile.from_catalog("ideal")
MODEL = transformer.language_model("small", [transformer.llama_block(256, 8, 4, 512)] * 4, 256, 1024)
PARAMETERS = 4 * (256 * 512 + 256 * 256 + 256 * 1024 + 512 * 256 + 512) + 2 * 1024 * 256 + 256
NODE = Cluster.from_catalog("1xdgx-h100")


def run(framework: FrameworkProfile = IDEAL, cluster: Cluster = NODE, **strategy: Any) -> dts.Result:
    layout = dts.Strategy(**{"global_batch": 16, **strategy})
    return dts.simulate(MODEL, cluster, layout, seq_len=256, framework=framework)


def traffic(**strategy: Any) -> np.ndarray:
    """Bytes of one step from rank to rank."""
    core, layout = to_core(NODE), dts.Strategy(**{"global_batch": 8, **strategy}).resolved(8)
    result = _core.simulate(
        to_core(MODEL),
        core.node.device,
        _core.Interconnect.of_cluster(core),
        to_core(layout),
        to_core(IDEAL),
        256.0,
        keep_traffic=True,
    )
    return np.asarray(result.traffic_bytes())


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([1, 2, 3]), st.sampled_from([1, 2, 4, 8]))
def test_shards_sum_to_the_whole_in_every_group(zero: int, replicas: int) -> None:
    held = run(zero=zero, dp_replicas=replicas).memory[0].categories
    shards = 8 // replicas
    assert held["optimizer"] * shards == pytest.approx(12 * PARAMETERS)
    assert held["gradients"] * (shards if zero >= 2 else 1) == pytest.approx(2 * PARAMETERS)
    assert held["weights"] * (shards if zero == 3 else 1) == pytest.approx(2 * PARAMETERS)


@pytest.mark.parametrize("replicas", [1, 2, 4])
def test_every_rank_sends_what_the_formulas_say(replicas: int) -> None:
    """Per rank: reduce-scatter and all-gather (n-1)/n of 2 P bytes each, all-reduce 2 (r-1)/r of the shard's."""
    n = 8 // replicas
    whole = 2 * PARAMETERS
    expected = 2 * (n - 1) / n * whole + 2 * (replicas - 1) / replicas * whole / n
    sent = traffic(zero=1, dp_replicas=replicas)
    assert sent.sum(axis=1) == pytest.approx(np.full(8, expected))
    assert sent.sum(axis=0) == pytest.approx(sent.sum(axis=1))


def test_resharding_decides_what_is_gathered_again() -> None:
    """Forward gathers all blocks; backward all but the last, from all ranks, from two, or not at all."""
    sent = {group: traffic(zero=3, reshard_after_forward=group).sum() for group in (True, 2, False)}
    last = 2 * (1024 * 256 + 256)  # LM head and final norm: one unit
    again = 2 * PARAMETERS - last
    assert sent[True] - sent[False] == pytest.approx(8 * 7 / 8 * again)
    assert sent[2] - sent[False] == pytest.approx(8 * 1 / 2 * again)


def test_a_wider_gradient_is_reduced_and_held() -> None:
    narrow, wide = (run(grad_dtype=kind) for kind in ("bf16", "fp32"))
    assert wide.peak_memory.categories["gradients"] == 2 * narrow.peak_memory.categories["gradients"]
    sent = [traffic(grad_dtype=kind).sum() for kind in ("bf16", "fp32")]
    assert sent[1] == pytest.approx(2 * sent[0])


def test_offload_moves_states_off_the_device_and_takes_time() -> None:
    base, off = (run(zero=2, offload_optimizer=on) for on in (False, True))
    assert base.peak_memory.host_bytes == 0
    assert off.peak_memory.categories["optimizer"] == 0
    # Master weights, two moments and the 16-bit gradient of an eighth.
    assert off.peak_memory.host_bytes == pytest.approx((12 + 2) * PARAMETERS / 8)
    assert off.breakdown["optimizer_s"] > base.breakdown["optimizer_s"]
    assert off.breakdown["offload_s"] > 0
    assert {event.name.split(" mb")[0] for event in off.events if event.stream == "copy"} == {
        "gradients to host",
        "parameters to device",
    }


def test_a_faster_host_is_never_slower() -> None:
    times = []
    for factor in (1, 2, 8):
        assert NODE.node.host_Bps
        assert NODE.node.host_memory_Bps
        node = NODE.node.replace(
            host_Bps=NODE.node.host_Bps * factor, host_memory_Bps=NODE.node.host_memory_Bps * factor
        )
        cluster = NODE.replace(node=node)
        times.append(run(cluster=cluster, zero=3, offload_optimizer=True, offload_parameters=True,
                         offload_activations=1.0).step_time_s)  # fmt: skip
    assert times == sorted(times, reverse=True)
    assert times[0] > times[-1]


@pytest.mark.parametrize("key", ["host_Bps", "host_memory_Bps"])
def test_an_unknown_host_is_named(key: str) -> None:
    with pytest.raises(dts.MissingDataError, match=key):
        run(cluster=NODE.replace(node=NODE.node.replace(**{key: None})), offload_optimizer=True)


def test_the_host_may_be_too_small() -> None:
    result = run(cluster=NODE.replace(node=NODE.node.replace(host_bytes="1 MB")), offload_optimizer=True)
    assert not result.fits
    assert result.peak_memory.overfull_tiers == ("host",)
    assert result.to_dict()["memory"]["tier_capacity_bytes"]["host"] == 1e6 / 8


def test_the_front_door_offloads_to_its_memory_model() -> None:
    def seconds(host: str) -> float:
        memory = dts.MemoryModel(8, host=TierSpec(bandwidth=host))
        simulator = dts.TrainingSimulator(dts.CommunicationModel(8), dts.ComputeModel(8), memory)
        simulator.set_batch_size(256)
        simulator.set_model_size(parameters=250e6, activations=100e6)
        simulator.set_strategy(dts.Strategy(zero=2, offload_optimizer=True))
        return simulator.simulate_training_iteration().result.step_time_s

    assert seconds("1 GB/s") > seconds("100 GB/s")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"offload_activations": 1.5}, "offload_activations"),
        ({"offload_optimizer": "yes"}, "one of none, host, nvme, remote"),
        ({"reshard_after_forward": -1, "zero": 3}, "reshard_after_forward"),
        ({"reshard_after_forward": True}, "use zero=3"),
        ({"dp_replicas": 3, "zero": 1}, "a divisor of dp"),
        ({"grad_dtype": "fp8"}, "one of framework, bf16, fp32"),
        ({"offload_parameters": True}, "use zero=3"),
    ],
)
def test_illegal_options_are_named(change: dict[str, Any], text: str) -> None:
    with pytest.raises(dts.ConfigError, match=text):
        run(**change)


LINE = ["simulate", "--model", "llama-3.2-1b", "--cluster", "1xdgx-h100", "--seq-len", "1024", "--zero", "3", "--json",
        "--global-batch", "8", "--framework", "torchtitan"]  # fmt: skip


@pytest.mark.parametrize("text", ["true", "false", "4"])
def test_resharding_on_the_command_line(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*LINE, "--reshard-after-forward", text]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["strategy"]["reshard_after_forward"] == json.loads(text)


def test_bad_resharding_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*LINE, "--reshard-after-forward", "often"]) == 2
    assert "expected true, false or a number" in capsys.readouterr().err
