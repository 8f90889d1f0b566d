"""Perfetto traces, read back by Perfetto's own protobuf schema."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import dist_training_sim as dts
import numpy as np
import pytest
from dist_training_sim.cli import main
from dist_training_sim.errors import ConfigError
from dist_training_sim.events import EventList
from dist_training_sim.trace import save_trace

JOB = ("llama-3.1-8b", "1xdgx-h100", dts.Strategy(pp=4, vpp=2, zero=1, global_batch=16))
BEGIN, END, COUNT = 1, 2, 4


@pytest.fixture(scope="module")
def schema() -> Any:
    return pytest.importorskip(
        "perfetto.protos.perfetto.trace.perfetto_trace_pb2", reason="the perfetto package is not installed"
    )


def read(schema: Any, path: Path) -> Any:
    trace = schema.Trace()
    trace.ParseFromString(path.read_bytes())
    return trace.packet


@pytest.fixture(scope="module")
def result() -> dts.Result:
    return dts.simulate(*JOB, seq_len=4096)


def test_slices_are_the_events(schema: Any, result: dts.Result, tmp_path: Path) -> None:
    packets = read(schema, result.save_trace(tmp_path / "step.pftrace"))
    threads, names, open_at = {}, {}, {}
    slices: Counter[tuple[int, str, int, int]] = Counter()
    for p in packets:
        if p.HasField("track_descriptor") and p.track_descriptor.HasField("thread"):
            thread = p.track_descriptor.thread
            threads[p.track_descriptor.uuid] = (thread.pid - 1, thread.thread_name)
        names.update({entry.iid: entry.name for entry in p.interned_data.event_names})
        if not p.HasField("track_event"):
            continue
        event = p.track_event
        if event.type == BEGIN:
            assert event.track_uuid not in open_at, "slices of a stream do not overlap"
            open_at[event.track_uuid] = (names[event.name_iid], p.timestamp)
        elif event.type == END:
            name, start = open_at.pop(event.track_uuid)
            slices[(threads[event.track_uuid][0], name.split(" mb")[0], start, p.timestamp)] += 1
    assert not open_at

    def ns(seconds: float) -> int:
        return round(seconds * 1e9)

    kinds = result.events.kind_names[0]
    c = result.events.columns
    expected = Counter(
        (int(rank), kinds[kind], ns(start), ns(end))
        for rank, kind, start, end in zip(c["rank"], c["kind"], c["start_s"], c["end_s"], strict=True)
    )
    assert slices == expected
    assert {name for _, name in threads.values()} >= {"compute", "send forward", "send backward", "data parallel"}


def test_flows_join_a_transfer_and_the_pass_that_reads_it(schema: Any, result: dts.Result, tmp_path: Path) -> None:
    packets = read(schema, result.save_trace(tmp_path / "step.pftrace"))
    leaves: Counter[int] = Counter()
    arrives: Counter[int] = Counter()
    for p in packets:
        leaves.update(p.track_event.flow_ids)
        arrives.update(p.track_event.terminating_flow_ids)
    sends = int(np.sum(result.events.columns["kind"] == 4))
    assert sends == 2 * 16 * 7 // 2
    assert set(leaves) == set(arrives)
    assert len(leaves) == sends
    assert set(leaves.values()) == set(arrives.values()) == {1}


def test_rows_that_stand_for_many_ranks_are_called_stages(schema: Any, tmp_path: Path) -> None:
    layout = dts.Strategy(pp=2, zero=1, global_batch=8)
    for devices, row in ((8, "pipeline stage"), (2, "rank")):
        result = dts.simulate("gpt2", dts.Cluster(dts.Node.of("h100", devices)), layout, seq_len=1024)
        packets = read(schema, result.save_trace(tmp_path / "step.pftrace"))
        tracks = [p.track_descriptor for p in packets if p.HasField("track_descriptor")]
        names = [t.process.process_name for t in tracks if t.HasField("process")]
        assert sorted(names) == [f"{row} 0", f"{row} 1"]
        chrome = json.loads(result.save_trace(tmp_path / "step.json").read_text(encoding="utf-8"))
        named = {event["args"]["name"] for event in chrome["traceEvents"] if event["name"] == "process_name"}
        assert {f"{row} 0 GPU", f"{row} 1 GPU"} <= named


def test_memory_is_a_counter(schema: Any, result: dts.Result, tmp_path: Path) -> None:
    memory = dts.memory_timeline(*JOB, seq_len=4096)
    packets = read(schema, result.save_trace(tmp_path / "step.pftrace", memory))
    values = [p.track_event.double_counter_value for p in packets if p.track_event.type == COUNT]
    assert len(values) == sum(len(stage.time_s) for stage in memory)
    assert max(values) == max(stage.bytes.sum(axis=1).max() for stage in memory)


def test_use_of_the_busiest_links_is_a_counter(schema: Any, tmp_path: Path) -> None:
    job = ("llama-3.1-8b", "2xdgx-h100", dts.Strategy(tp=8, pp=2, zero=1, global_batch=8))
    result = dts.simulate(*job, seq_len=4096, network="flow", link_intervals=20)
    assert result.links is not None
    packets = read(schema, result.save_trace(tmp_path / "step.pftrace"))
    tracks = {p.track_descriptor.uuid: p.track_descriptor for p in packets if p.HasField("track_descriptor")}
    processes = {uuid: t.process.process_name for uuid, t in tracks.items() if t.HasField("process")}
    seen: dict[str, list[float]] = {}
    for p in packets:
        if p.track_event.type == COUNT:
            track = tracks[p.track_event.track_uuid]
            assert processes[track.parent_uuid] == "network"
            seen.setdefault(track.name, []).append(p.track_event.double_counter_value)
    busy = [name for name, shares in zip(result.links.names, result.links.shares, strict=True) if shares.any()]
    assert set(seen) <= set(busy)
    assert len(seen) == min(len(busy), 64)
    for name, values in seen.items():
        assert values == (100 * result.links.shares[result.links.index(name)]).tolist()
    assert max(map(max, seen.values())) == 100 * result.links.shares.max()


def a_million(result: dts.Result) -> EventList:
    """The same step on some thousand replicas, every rank by itself."""
    one = result.events.columns
    times = -(-1_000_000 // len(result.events))
    columns = {name: np.tile(values, times) for name, values in one.items()}
    columns["rank"] += np.repeat(np.arange(times) * 4, len(one["kind"])).astype(np.int32)
    return EventList(columns, sharded=True)


def test_a_million_events_take_less_than_50_megabytes(tmp_path: Path, result: dts.Result) -> None:
    events = a_million(result)
    assert len(events) >= 1_000_000
    assert save_trace(events, tmp_path / "many.pftrace").stat().st_size <= 50 * len(events)


def test_a_million_events_parse_with_the_schema(schema: Any, tmp_path: Path, result: dts.Result) -> None:
    events = a_million(result)
    begin = schema.TrackEvent.TYPE_SLICE_BEGIN
    packets = read(schema, save_trace(events, tmp_path / "many.pftrace"))
    assert sum(packet.track_event.type == begin for packet in packets) == len(events)


def test_a_query_gives_the_step_time(tmp_path: Path, result: dts.Result) -> None:
    """Perfetto's own reader, where its binary is installed."""
    binary = shutil.which("trace_processor_shell") or shutil.which("trace_processor")
    if binary is None:
        pytest.skip("no trace processor on the path")
    processor = pytest.importorskip("perfetto.trace_processor", reason="the perfetto package is not installed")
    config = processor.TraceProcessorConfig(bin_path=binary)
    with processor.TraceProcessor(trace=str(result.save_trace(tmp_path / "step.pftrace")), config=config) as reader:
        (row,) = reader.query("select count(*) as slices, max(ts + dur) - min(ts) as step_ns from slice")
    assert row.slices == len(result.events)
    assert row.step_ns == round(1e9 * result.events.columns["end_s"].max())


def test_the_command_writes_it(tmp_path: Path) -> None:
    file = tmp_path / "step.pftrace"
    job = ["--model", "llama-3.2-1b", "--cluster", "1xdgx-h100", "--seq-len", "1024"]
    assert main(["simulate", *job, "--trace", str(file)]) == 0
    assert file.stat().st_size > 0
    assert [p.name for p in tmp_path.iterdir()] == ["step.pftrace"]


def test_bad_requests_are_named(result: dts.Result, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="pftrace"):
        result.save_trace(tmp_path / "step.txt")
    with pytest.raises(ConfigError, match="existing folder"):
        result.save_trace(tmp_path / "nowhere" / "step.pftrace")
    with pytest.raises(ConfigError, match="keep_events"):
        dts.simulate(*JOB, seq_len=4096, keep_events=False).save_trace(tmp_path / "step.pftrace")
    assert not list(tmp_path.iterdir())
