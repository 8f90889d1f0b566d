"""Traces in the form of PyTorch's profiler, read by a strict reader of its fields and by tools for real ones."""

from __future__ import annotations

import gzip
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import dist_training_sim as dts
import numpy as np
import pytest
from dist_training_sim.cli import main
from dist_training_sim.errors import ConfigError

JOB = ("llama-3.1-8b", "1xdgx-h100", dts.Strategy(pp=2, vpp=2, zero=1, global_batch=16))
SEQ_LEN = 4096
SIZES = {
    "_allgather_base": (1, 4),
    "_reduce_scatter_base": (4, 1),
    "allreduce": (1, 1),
    "send": (1, 1),
}  # shares of whole


@pytest.fixture(scope="module")
def result() -> dts.Result:
    return dts.simulate(*JOB, seq_len=SEQ_LEN)


@pytest.fixture(scope="module")
def folder(result: dts.Result, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return result.save_trace(tmp_path_factory.mktemp("traces") / "step", dts.memory_timeline(*JOB, seq_len=SEQ_LEN))


def read(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    trace: dict[str, Any] = json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)
    return trace


def strictly_read(trace: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Events by category, after the rules that readers of Kineto's JSON rely on."""
    assert trace["schemaVersion"] == 1
    assert {"backend", "rank", "world_size"} <= set(trace["distributedInfo"])
    devices = {each["id"] for each in trace["deviceProperties"]}
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in trace["traceEvents"]:
        assert {"ph", "name", "pid", "tid", "ts"} <= set(event)
        assert isinstance(event["pid"], int)
        assert isinstance(event["tid"], int)
        assert event["ph"] in {"X", "M", "C", "s", "f"}
        if event["ph"] == "X":
            assert event["dur"] >= 0
            found[event["cat"]].append(event)
    assert set(found) <= {"user_annotation", "cpu_op", "cuda_runtime", "kernel", "gpu_memcpy"}
    on_device = found["kernel"] + found["gpu_memcpy"]
    calls = {event["args"]["External id"]: event for event in found["cpu_op"]}
    launches = {event["args"]["correlation"]: event for event in found["cuda_runtime"]}
    assert len(calls) == len(found["cpu_op"]) == len(launches) == len(on_device)
    for event in on_device:
        args = event["args"]
        assert args["device"] == event["pid"]
        assert args["device"] in devices
        assert args["stream"] == event["tid"]
        launch, call = launches[args["correlation"]], calls[args["External id"]]
        assert launch["args"]["External id"] == args["External id"]
        assert call["ts"] <= launch["ts"] <= event["ts"]
    ends: dict[tuple[int, int], float] = {}
    for event in sorted(on_device, key=lambda e: e["ts"]):
        stream = event["pid"], event["tid"]
        assert event["ts"] >= ends.get(stream, 0) - 1e-3, "kernels of a stream do not overlap"
        ends[stream] = event["ts"] + event["dur"]
    return found


def test_one_file_has_every_event(result: dts.Result, tmp_path: Path) -> None:
    found = strictly_read(read(result.save_trace(tmp_path / "step.json.gz")))
    columns = result.events.columns

    def ns(seconds: float) -> int:
        return round(seconds * 1e9)

    expected = Counter(
        (int(rank), ns(start), ns(end) - ns(start))
        for rank, start, end in zip(columns["rank"], columns["start_s"], columns["end_s"], strict=True)
    )
    assert Counter((e["pid"], round(e["ts"] * 1e3), round(e["dur"] * 1e3)) for e in found["kernel"]) == expected
    assert {round(e["dur"] * 1e3) for e in found["user_annotation"]} == {ns(result.step_time_s)}


def test_collectives_say_what_torch_distributed_says(result: dts.Result, folder: Path) -> None:
    seen = set()
    for rank in (0, 1):
        events = strictly_read(read(folder / f"rank_{rank}.pt.trace.json.gz"))
        whole = [e for e in result.events if e.device == rank and e.group_size]
        sent = [e["args"] for e in events["kernel"] if "Group size" in e["args"]]
        assert len(sent) == len(whole)
        for event, args in zip(whole, sent, strict=True):
            into, out = SIZES[args["Collective name"]]
            seen.add(args["Collective name"])
            assert args["Group size"] == event.group_size == (2 if event.kind == "send_recv" else 4)
            assert args["In msg size"] * args["Group size"] == pytest.approx(
                event.bytes * args["Group size"] / (args["Group size"] if out > into else 1), rel=1e-6
            )
            assert args["Out msg size"] == pytest.approx(event.bytes / (4 if into > out else 1), abs=1)
            assert (args["In msg nelems"], args["dtype"]) == (args["In msg size"], "Byte")
        assert all(e["name"].startswith("ncclDevKernel_") == ("Group size" in e["args"]) for e in events["kernel"])
    assert seen == {"_allgather_base", "_reduce_scatter_base", "send"}


def test_a_rank_has_a_file_as_its_process_writes_it(result: dts.Result, folder: Path) -> None:
    assert sorted(p.name for p in folder.iterdir()) == ["rank_0.pt.trace.json.gz", "rank_1.pt.trace.json.gz"]
    for rank in (0, 1):
        trace = read(folder / f"rank_{rank}.pt.trace.json.gz")
        assert trace["distributedInfo"] == {"backend": "nccl", "rank": rank, "world_size": 8}
        (device,) = trace["deviceProperties"]
        assert (device["id"], device["totalGlobalMem"]) == (0, result.capacity_bytes)
        counted = [e["args"]["bytes"] for e in trace["traceEvents"] if e["ph"] == "C"]
        assert max(counted) == pytest.approx(result.memory[rank].allocated_bytes, rel=1e-3)


def test_arrows_join_a_transfer_and_its_reader(result: dts.Result, tmp_path: Path) -> None:
    trace = read(result.save_trace(tmp_path / "step.json"))
    arrows = [e for e in trace["traceEvents"] if e["ph"] in "sf"]
    starts = {e["id"]: e for e in arrows if e["ph"] == "s"}
    ends = {e["id"]: e for e in arrows if e["ph"] == "f"}
    assert len(starts) == len(ends) == len(arrows) / 2 == int(np.sum(result.events.columns["kind"] == 4))
    assert all(ends[i]["ts"] >= start["ts"] and ends[i]["bp"] == "e" for i, start in starts.items())


def test_copies_to_the_host_are_copies(tmp_path: Path) -> None:
    strategy = dts.Strategy(zero=3, global_batch=8, offload_optimizer=True)
    result = dts.simulate("llama-3.1-8b", "1xdgx-h100", strategy, seq_len=SEQ_LEN)
    copies = strictly_read(read(result.save_trace(tmp_path / "step.json")))["gpu_memcpy"]
    assert {e["name"].split(" (")[0] for e in copies} == {"Memcpy DtoH", "Memcpy HtoD"}


def test_names_are_escaped(tmp_path: Path, result: dts.Result) -> None:
    name = 'a "fast"\\\n device'
    path = dts.trace.save_trace(result.events, tmp_path / "step.json", job=dts.trace.TracedJob(1.0, 2, name, 1e9))
    assert read(path)["deviceProperties"][0]["name"] == name


def test_the_same_step_gives_the_same_bytes(result: dts.Result, tmp_path: Path) -> None:
    first, second = (result.save_trace(tmp_path / f"{name}.json.gz").read_bytes() for name in "ab")
    assert first == second


def test_the_command_writes_file_and_folder(tmp_path: Path) -> None:
    job = ["--model", "llama-3.2-1b", "--cluster", "1xdgx-h100", "--seq-len", "1024"]
    assert main(["simulate", *job, "--trace", str(tmp_path / "step.json.gz")]) == 0
    assert main(["simulate", *job, "--trace", str(tmp_path / "ranks")]) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ranks", "step.json.gz"]
    assert [p.name for p in (tmp_path / "ranks").iterdir()] == ["rank_0.pt.trace.json.gz"]


def test_a_folder_is_new_or_empty(result: dts.Result, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert len(list(result.save_trace(tmp_path / "empty").iterdir())) == 2
    with pytest.raises(ConfigError, match="new or empty folder"):
        result.save_trace(tmp_path / "empty")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ConfigError, match=r"ends in .pftrace, .json.gz"):
        result.save_trace(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.filterwarnings("ignore")
def test_holistic_trace_analysis_reads_a_prediction(result: dts.Result, folder: Path) -> None:
    analysis = pytest.importorskip("hta.trace_analysis", reason="HolisticTraceAnalysis is not installed")
    trace = analysis.TraceAnalysis(trace_dir=str(folder))
    busy = trace.get_temporal_breakdown(visualize=False)
    assert list(busy["rank"]) == [0, 1]
    columns = result.events.columns
    for rank in (0, 1):
        mine = (columns["rank"] == rank) & (columns["stream"] == 0)
        computes_us = 1e6 * float((columns["end_s"] - columns["start_s"])[mine].sum())
        assert busy["compute_time(us)"][rank] == pytest.approx(computes_us, rel=1e-3)
    overlap = trace.get_comm_comp_overlap(visualize=False)["comp_comm_overlap_pctg"]
    assert ((overlap >= 0) & (overlap <= 100)).all()
    kinds, kernels = trace.get_gpu_kernel_breakdown(visualize=False)
    assert set(kinds["kernel_type"]) >= {"COMPUTATION", "COMMUNICATION"}
    assert {"forward", "backward", "ncclDevKernel_AllGather"} <= set(kernels["name"])


@pytest.mark.filterwarnings("ignore")
def test_tensorboard_reads_a_prediction(result: dts.Result, folder: Path, tmp_path: Path) -> None:
    data = pytest.importorskip("torch_tb_profiler.profiler.data", reason="torch-tb-profiler is not installed")
    for rank in (0, 1):
        file = folder / f"rank_{rank}.pt.trace.json.gz"
        profile = data.RunProfileData.parse(f"rank_{rank}", None, str(file), str(tmp_path))
        assert profile.has_kernel
        assert profile.has_communication
        assert profile.avg_costs.costs[-1] == pytest.approx(1e6 * result.step_time_s)
        assert {node.name for node in profile.comm_node_list} == {"nccl:all_gather", "nccl:reduce_scatter"}
        assert set(profile.kernel_stat.index) >= {"forward", "backward"}
