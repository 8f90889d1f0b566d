"""A million events as files of trace viewers, beside the same events as plain JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dist_training_sim as dts
import numpy as np
import pytest
from dist_training_sim.events import EventList
from dist_training_sim.trace import save_trace
from jobs import LLAMA_70B, cluster

EVENTS = 1_000_000


@pytest.fixture(scope="module")
def events() -> EventList:
    """One step, on as many replicas as make a million events."""
    strategy = dts.Strategy(tp=8, pp=4, vpp=2, zero=1, global_batch=16)
    one = dts.simulate(LLAMA_70B, cluster(32), strategy, seq_len=4096).events
    times = -(-EVENTS // len(one))
    columns = {name: np.tile(values, times) for name, values in one.columns.items()}
    columns["rank"] += np.repeat(np.arange(times) * 4, len(one)).astype(np.int32)
    return EventList({name: values[:EVENTS] for name, values in columns.items()}, sharded=True)


@pytest.mark.parametrize("suffix", [".pftrace", ".json.gz"])
def test_export(benchmark: Any, events: EventList, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"step{suffix}"
    benchmark(save_trace, events, file)
    benchmark.extra_info["bytes"] = file.stat().st_size


def test_plain_json(benchmark: Any, events: EventList, tmp_path: Path) -> None:
    """A dictionary per event and `json.dump`, as most simulators in Python do it."""

    def run() -> None:
        rows = [
            {"ph": "X", "name": e.name, "cat": e.kind, "pid": e.device, "tid": e.stream, "ts": e.start_s * 1e6,
             "dur": e.duration_s * 1e6}
            for e in events
        ]  # fmt: skip
        (tmp_path / "plain.json").write_text(json.dumps({"traceEvents": rows}))

    benchmark.pedantic(run, rounds=1)
    benchmark.extra_info["bytes"] = (tmp_path / "plain.json").stat().st_size
