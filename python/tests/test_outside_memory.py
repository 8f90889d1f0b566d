"""What stands on a device outside the allocator: context, communicators, registered buffers, as named terms."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import dist_training_sim as dts
import pytest
from dist_training_sim import Strategy
from dist_training_sim.catalog.libraries import communication_library, communication_names, communication_sources
from dist_training_sim.cli.app import app
from dist_training_sim.frameworks.communication_library import CommunicationLibrary
from dist_training_sim.result import MemoryUse
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

MIB = 2.0**20


def use_of(strategy: Strategy, stage: int = 0, model: str = "llama-3.1-8b", nodes: int = 1, **job: Any) -> MemoryUse:
    return dts.simulate(model, f"{nodes}xdgx-h100", strategy, seq_len=4096, keep_events=False, **job).memory[stage]


def test_sizes_are_those_of_the_sources_constants() -> None:
    """NCCL src/include/device.h: steps, lines and threads of each protocol."""
    steps, library = 8, communication_library("nccl")
    assert library.simple_bytes == 1 << 22
    assert library.ll_bytes == 8 * 512 * steps * 16
    assert library.ll128_bytes == 120 * 640 * steps * 8
    assert library.switch_buffer_bytes == 128 * 1024 * steps


@pytest.mark.parametrize("name", communication_names())
def test_every_library_states_its_facts_and_sources(name: str) -> None:
    library = communication_library(name)
    assert communication_sources(name)
    assert all(value >= 0 for f in fields(CommunicationLibrary) if (value := getattr(library, f.name)) is not None)
    assert (library == CommunicationLibrary()) == (name == "none")


@settings(max_examples=25, deadline=None)
@given(tp=st.sampled_from([1, 2, 8]), pp=st.sampled_from([1, 2, 4]), zero=st.sampled_from([0, 1]))
def test_terms_sum_to_what_stands_outside(tp: int, pp: int, zero: int) -> None:
    strategy = Strategy(tp=tp, pp=pp, zero=zero, global_batch=64)
    for stage in range(pp):
        use = use_of(strategy, stage, nodes=4)
        parts = use.context_bytes + sum(use.communicator_bytes.values()) + use.user_buffer_bytes
        assert use.outside_bytes == pytest.approx(parts)
        assert use.used_bytes == pytest.approx(use.reserved_bytes + parts)
        assert all(held > 0 for held in use.communicator_bytes.values())


@pytest.mark.parametrize(
    ("strategy", "names"),
    [
        (Strategy(zero=1, global_batch=32), {"world", "dp"}),
        (Strategy(tp=8, zero=1, global_batch=32), {"world", "tp", "dp"}),
        (Strategy(tp=8, pp=4, global_batch=32), {"world", "tp", "pp"}),
        (Strategy(cp=2, tp=4, global_batch=32), {"world", "tp", "cp", "dp"}),
    ],
)
def test_a_layout_makes_the_communicators_of_its_axes(strategy: Strategy, names: set[str]) -> None:
    assert set(use_of(strategy, nodes=4).communicator_bytes) == names


def test_one_device_has_a_context_and_nothing_else() -> None:
    cluster = dts.Cluster(dts.Node.from_catalog("dgx-h100", devices=1), 1)
    use = dts.simulate("llama-3.2-1b", cluster, Strategy(), seq_len=1024, keep_events=False).memory[0]
    assert use.communicator_bytes == {}
    assert use.outside_bytes == use.context_bytes == 426 * MIB


def test_an_all_to_all_of_a_node_connects_every_peer_on_all_channels() -> None:
    """NCCL issue 1685: 7 peers, 32 channels each, 10 + 2 MiB a channel."""
    use = use_of(Strategy(ep=8, zero=1, global_batch=8), model="mixtral-8x7b")
    assert use.communicator_bytes["ep"] == 7 * 32 * 12 * MIB


def test_ends_of_a_pipeline_have_one_neighbour_and_the_copies_of_a_tied_embedding() -> None:
    stages = [use_of(Strategy(pp=4, global_batch=8), s, "llama-3.2-1b").communicator_bytes for s in range(4)]
    assert stages[0]["pp"] < stages[1]["pp"] == stages[2]["pp"]
    assert [("embedding" in stage) for stage in stages] == [True, False, False, True]


def test_connecting_on_use_takes_less_than_connecting_all() -> None:
    profile = dts.FrameworkProfile.from_catalog("megatron-core")
    strategy = Strategy(tp=8, pp=2, global_batch=16)
    eras = [profile.replace(communication_library=name) for name in ("nccl", "nccl-2.21")]
    on_use, at_once = (use_of(strategy, nodes=2, framework=era) for era in eras)
    for name, held in on_use.communicator_bytes.items():
        assert held <= at_once.communicator_bytes[name]
    assert on_use.outside_bytes < at_once.outside_bytes


def test_the_vendors_library_decides() -> None:
    def communicators(cluster: str) -> dict[str, float]:
        strategy = Strategy(zero=1, global_batch=64)
        return dts.simulate("llama-3.2-1b", cluster, strategy, seq_len=1024).memory[0].communicator_bytes

    assert set(communicators("1xmi300x-8x")) == {"world", "dp"}
    assert communicators("2xtpu-v5p-host") == {}


def test_an_unknown_library_is_named_with_its_neighbours() -> None:
    with pytest.raises(dts.ConfigError, match=r"communication_library.*'ncl'.*'nccl'"):
        dts.FrameworkProfile.from_catalog("megatron-core").replace(communication_library="ncl")
    with pytest.raises(dts.ConfigError, match=r"nccl"):
        communication_library("ncl")


@pytest.mark.parametrize("name", communication_names())
def test_a_profile_may_name_every_library(name: str) -> None:
    assert dts.FrameworkProfile(communication_library=name).communication_library == name


@pytest.mark.parametrize(("precision", "bytes_per_element"), [("bf16", 6 * 2 + 4 * 2), ("fp8", 6 * 1 + 4 * 2)])
def test_user_buffers_by_hand(precision: str, bytes_per_element: int) -> None:
    strategy = Strategy(tp=8, micro_batch=2, global_batch=2, precision=precision)
    use = use_of(strategy, framework="nemo-24")
    assert use.user_buffer_bytes == 2 * 4096 * 4096 * bytes_per_element
    assert use_of(strategy.replace(sequence_parallel=False), framework="nemo-24").user_buffer_bytes == 0
    assert use_of(strategy, framework="megatron-core").user_buffer_bytes == 0


def test_user_buffers_stay_within_a_domain_and_bring_two_workspaces() -> None:
    inside = use_of(Strategy(tp=8, global_batch=8), nodes=2, framework="nemo-24")
    across = use_of(Strategy(tp=16, global_batch=8, sequence_parallel=True), nodes=2, framework="nemo-24")
    assert inside.user_buffer_bytes > 0 == across.user_buffer_bytes
    assert inside.categories["workspace"] - across.categories["workspace"] == 2 * 32 * MIB


def test_workspaces_are_named_by_library() -> None:
    stage = dts.memory_timeline("mixtral-8x7b", "1xdgx-h100", Strategy(ep=8, zero=1, global_batch=8), seq_len=1024)[0]
    held = {t.name: t.bytes for t in stage.tensors if t.category == "workspace"}
    assert held == {"cuBLAS workspaces": 64 * MIB, "Transformer Engine workspaces": (1 + 4) * 32 * MIB}


def test_every_door_says_where_reserved_bytes_come_from() -> None:
    job: dict[str, Any] = {"model": "llama-3.1-8b", "cluster": "1xdgx-h100", "seq_len": 4096}
    result = dts.simulate(**job, strategy=Strategy(zero=3, global_batch=8), keep_events=False)
    assert result.peak_memory.reserved_by == result.to_dict()["memory"]["reserved_by"] == "framework factor"
    report = dts.fit(**job, strategy=Strategy(zero=3, global_batch=8))
    assert {stage.reserved_by for stage in report.stages} == {"allocator replay"}
    planned = dts.fit(**job, strategy=Strategy(zero=3, global_batch=8), framework="ideal")
    assert planned.stages[0].reserved_by == "framework factor"
    assert planned.stages[0].reserved_bytes == planned.stages[0].allocated_bytes


def test_the_command_line_names_every_term() -> None:
    words = ["fit", "--model", "llama-3.1-8b", "--cluster", "1xdgx-h100", "--tp", "8", "--seq-len", "4096"]
    words += ["--framework", "nemo-24"]
    text = " ".join(CliRunner().invoke(app, words).output.split())
    for part in ("reserved (allocator replay)", "context 0.42", "communicators", "world", "tp", "user buffers"):
        assert part in text, text
    stage = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)["stages"][0]
    assert stage["reserved_by"] == "allocator replay"
    assert set(stage["communicator_bytes"]) == {"world", "tp"}
    outside = stage["context_bytes"] + sum(stage["communicator_bytes"].values()) + stage["user_buffer_bytes"]
    assert stage["used_bytes"] == pytest.approx(stage["reserved_bytes"] + outside)
