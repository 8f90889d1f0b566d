"""Offloading to the host, NVMe and a remote tier: what leaves the device is in its tier, and its way takes time."""

from __future__ import annotations

from typing import Any

import dist_training_sim as dts
import pytest
from dist_training_sim import OffloadTier, Strategy
from dist_training_sim.errors import ConfigError, MissingDataError

CLUSTER = dts.Cluster.from_catalog("1xdgx-h100")
JOB: dict[str, Any] = {"model": "llama-3.1-8b", "seq_len": 4096}
BASE = Strategy(zero=3, global_batch=16)
STATES: dict[str, Any] = {"offload_optimizer": "nvme"}


def run(cluster: dts.Cluster = CLUSTER, **changes: Any) -> dts.Result:
    return dts.simulate(**JOB, cluster=cluster, strategy=BASE.replace(**changes), keep_events=False)


def held(result: dts.Result, tier: str) -> float:
    return result.memory[0].offloaded_bytes[tier]


def test_states_leave_the_device_for_their_tier() -> None:
    base, host, nvme = run(), run(offload_optimizer="host"), run(**STATES)
    states = base.memory[0].categories["optimizer"]
    gradients = held(host, "host") - states
    assert host.memory[0].categories["optimizer"] == nvme.memory[0].categories["optimizer"] == 0
    assert gradients > 0
    assert held(nvme, "nvme") == pytest.approx(states + gradients)
    assert 0 < held(nvme, "host") < held(nvme, "nvme") / 4  # three units on their way
    assert held(host, "nvme") == held(base, "nvme") == held(base, "host") == 0


def test_parameters_and_activations_have_tiers_of_their_own() -> None:
    base = run()
    mixed = run(offload_optimizer="host", offload_parameters="nvme", offload_activations=1.0, activation_tier="nvme")
    assert mixed.memory[0].categories["weights"] == 0
    weights = base.memory[0].categories["weights"]
    activations = held(mixed, "nvme") - weights
    assert 0 < activations < 1.1 * base.memory[0].categories["activations"]
    left = mixed.memory[0].categories["activations"]
    assert left + activations >= base.memory[0].categories["activations"]


def test_a_slower_tier_takes_longer() -> None:
    times = [run(**changes).step_time_s for changes in ({}, {"offload_optimizer": "host"}, STATES)]
    assert times == sorted(times)
    assert times[0] < times[1] < times[2]


def test_the_drives_of_a_node_are_shared_by_its_devices() -> None:
    """The update reads 16 bytes a parameter (states and fp32 gradients) and writes 12 over one queue."""
    parameters = dts.Model.from_catalog(JOB["model"]).parameters
    at_least = parameters * (16 / 50e9 + 12 / 25e9)
    assert at_least < run(**STATES).step_time_s < 1.5 * at_least + run(offload_optimizer="host").step_time_s
    fast = CLUSTER.node.replace(nvme_read_Bps="500 GB/s", nvme_write_Bps="500 GB/s")
    assert run(dts.Cluster(fast, 1), **STATES).step_time_s < run(**STATES).step_time_s / 2


def test_the_device_may_update_what_is_offloaded() -> None:
    host, device = run(offload_optimizer="host"), run(offload_optimizer="host", offload_update="device")
    assert held(device, "host") < held(host, "host")  # gradients stay
    assert device.breakdown["optimizer_s"] < host.breakdown["optimizer_s"] / 5
    assert device.breakdown["offload_s"] > 0
    assert device.memory[0].update_bytes > host.memory[0].update_bytes


def test_a_remote_tier_is_reached_over_the_nics() -> None:
    cluster = dts.Cluster(CLUSTER.node, 1, remote_bytes="100 TB", remote_Bps="8 TB/s")
    all_nics = run(cluster, offload_optimizer="remote")
    slower = run(dts.Cluster(CLUSTER.node, 1, remote_bytes="100 TB", remote_Bps="40 GB/s"), offload_optimizer="remote")
    fewer = run(dts.Cluster(CLUSTER.node.replace(nics=1), 1, remote_Bps="8 TB/s"), offload_optimizer="remote")
    assert all_nics.step_time_s < min(slower.step_time_s, fewer.step_time_s)
    assert held(all_nics, "remote") == pytest.approx(held(run(**STATES), "nvme"))


def test_activations_over_drives_are_events_of_their_own() -> None:
    strategy = BASE.replace(offload_activations=1.0, activation_tier="nvme")
    result = dts.simulate(**JOB, cluster=CLUSTER, strategy=strategy)
    names = {event.name.split(" mb")[0] for event in result.events if event.kind == "copy"}
    assert names == {"activations to host", "activations to device", "read from tier", "write to tier"}


def test_modules_choose_what_leaves() -> None:
    everything = run(offload_activations=1.0)
    attention = run(offload_activations=1.0, offload_modules="core_attn")
    two = run(offload_activations=1.0, offload_modules="core_attn,attn_proj")
    assert 0 < held(attention, "host") < held(two, "host") < held(everything, "host")
    blocks, tokens = 32, 4096  # the head's stay
    assert held(attention, "host") == pytest.approx(blocks * tokens * 2 * (4096 + 2 * 1024))  # q, k, v


def test_too_small_a_tier_does_not_fit() -> None:
    small = dts.Cluster(CLUSTER.node.replace(nvme_bytes="64 GB"), 1)
    result = run(small, **STATES)
    assert result.memory[0].overfull_tiers == ("nvme",)
    assert not result.fits
    assert result.to_dict()["memory"]["tier_capacity_bytes"]["nvme"] == 8e9
    found = dts.evaluate(**JOB, cluster=small, strategies=[BASE.replace(**STATES)])
    assert not found.fits[0]
    assert found["nvme_bytes"][0] == held(result, "nvme")


@pytest.mark.parametrize(
    ("node", "changes", "words"),
    [
        ({"nvme_read_Bps": None}, STATES, "nvme_bytes, nvme_read_Bps and nvme_write_Bps"),
        ({"nvme_write_Bps": None}, {"offload_activations": 1.0, "activation_tier": "nvme"}, "no NVMe drives known"),
        ({}, {"offload_optimizer": "remote"}, "remote_Bps and remote_bytes"),
        ({"host_Bps": None}, STATES, "node.host_Bps"),
    ],
)
def test_a_tier_that_the_cluster_lacks(node: dict[str, Any], changes: dict[str, Any], words: str) -> None:
    with pytest.raises(MissingDataError) as raised:
        run(dts.Cluster(CLUSTER.node.replace(**node), 1), **changes)
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"offload_update": "device"}, 'use offload_optimizer="host"'),
        ({"offload_parameters": "nvme"}, 'use offload_optimizer="host"'),
        ({"zero": 1, "offload_parameters": "nvme", **STATES}, "use zero=3"),
        ({"activation_tier": "nvme"}, "use offload_activations=1.0"),
        ({"offload_activations": 1.0, "activation_tier": "none"}, "use offload_activations=0"),
        ({"offload_modules": "core_attn"}, "use offload_activations=1.0"),
        ({"offload_activations": 1.0, "offload_modules": "attn_proj"}, "add core_attn"),
        ({"offload_activations": 1.0, "offload_modules": "expert_fc1"}, "attn_norm, qkv_linear, core_attn"),
        ({"offload_activations": 1.0, "offload_modules": "core_attn", "recompute": "full"}, "full recomputation"),
    ],
)
def test_what_cannot_be(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        run(**changes)
    assert words in str(raised.value)


def test_true_is_the_host() -> None:
    assert Strategy(offload_optimizer=True).offload_optimizer is OffloadTier.HOST
    assert Strategy(offload_optimizer=False).offload_optimizer is OffloadTier.NONE
    assert BASE.replace(offload_optimizer=True) == BASE.replace(offload_optimizer="host")
    with pytest.raises(ConfigError, match=r"'disk'.*none, host, nvme, remote"):
        Strategy(offload_optimizer="disk")


def test_fit_says_which_tier_is_too_small() -> None:
    small = dts.Cluster(CLUSTER.node.replace(nvme_bytes="64 GB"), 1)
    report = dts.fit(**JOB, cluster=small, strategy=BASE.replace(**STATES))
    assert (report.fits, report.verdict) == (False, "does not fit")
    assert report.stages[0].overfull_tiers == ("nvme",)
    assert all(option.fits for option in report.remedies)
