"""What the GPU benchmark scripts share: options, records, timing, and clock and power readings.

One measurement is one JSON line. `time_us` is the median time of one call, with p10 and p90 over groups of
back-to-back calls; a group is long enough to hide the timer. Calls rotate among several sets of inputs whose total
exceeds the L2 cache, so operands come from device memory, as they do in training.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import statistics
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

Call = Callable[[], Any]
ROTATE_BYTES = 160e6  # more than twice the L2 of any current GPU but Blackwell's (126 MB)


def parse_args(description: str | None) -> argparse.Namespace:
    """Read the options that every script takes."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--quick", action="store_true", help="tiny shapes, a few calls: a dry run, not a measurement")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the .jsonl file")
    parser.add_argument("--budget-s", type=float, default=1e9, help="start no new case after this many seconds")
    parser.add_argument("--only", default="", help="run only cases whose name contains this")
    args = parser.parse_args()
    if args.device == "cpu" and not args.quick:
        parser.error("--device cpu is for dry runs: add --quick")
    torch.manual_seed(0)
    return args


class Sampler:
    """SM clock and board power, read in a thread every 20 ms while a case runs."""

    def __init__(self, device: str) -> None:
        self.rows: list[tuple[float, int, float]] = []
        self._stop = threading.Event()
        self._nvml: Any = None
        if device == "cuda":
            try:
                import pynvml

                pynvml.nvmlInit()
                self._nvml = pynvml
                self._handle = pynvml.nvmlDeviceGetHandleByIndex(torch.cuda.current_device())
            except Exception as error:  # the readings are extra: a run without them is still a run
                print(f"no clock or power readings: {error}", flush=True)

    def __enter__(self) -> Sampler:
        self.rows.clear()
        self._stop.clear()
        if self._nvml:
            self._thread = threading.Thread(target=self._loop, daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._nvml:
            self._thread.join()

    def _loop(self) -> None:
        nvml = self._nvml
        while not self._stop.wait(0.02):
            clock = nvml.nvmlDeviceGetClockInfo(self._handle, nvml.NVML_CLOCK_SM)
            self.rows.append((time.perf_counter(), clock, nvml.nvmlDeviceGetPowerUsage(self._handle) / 1e3))

    def summary(self, since: float, until: float) -> dict[str, float | None]:
        """Mean clock and power over one stretch of time: None where nothing was read."""
        rows = [row for row in self.rows if since <= row[0] <= until]
        if not rows:
            return {"sm_clock_mhz": None, "power_w": None}
        return {
            "sm_clock_mhz": round(statistics.fmean(row[1] for row in rows)),
            "power_w": round(statistics.fmean(row[2] for row in rows), 1),
        }


@dataclass
class Bench:
    """One script's run: where it writes, on what device, and how long it may take."""

    name: str
    args: argparse.Namespace
    start: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        self.device: str = self.args.device
        self.quick: bool = self.args.quick
        self.sampler = Sampler(self.device)
        self.args.out.mkdir(parents=True, exist_ok=True)
        self._file = (self.args.out / f"{self.name}.jsonl").open("w")
        gpu = torch.cuda.get_device_name() if self.device == "cuda" else "cpu"
        self._where = {"torch": torch.__version__, "cuda": torch.version.cuda, "gpu": gpu, "dry_run": self.quick}

    def write(self, **record: Any) -> None:
        """Append one record and show it."""
        self._file.write(json.dumps(record | self._where) + "\n")
        self._file.flush()
        text = record.get("error") or record.get("time_us")
        print(f"{time.perf_counter() - self.start:7.1f} s  {record.get('what')}  {text}", flush=True)

    def run(self, case: Callable[..., dict[str, Any]], **fields: Any) -> None:
        """Measure one case and write it; an error becomes a record, so one failure loses nothing else."""
        label = " ".join(str(value) for value in fields.values())
        if self.args.only not in label or time.perf_counter() - self.start > self.args.budget_s:
            return
        try:
            self.write(**fields, **case(self, **fields))
        except Exception as error:
            self.write(**fields, error=f"{type(error).__name__}: {error}"[:300])
        self.free()

    def free(self) -> None:
        """Give unused memory back, so that cases do not meet each other's leftovers."""
        gc.collect()
        if self.device == "cuda":
            torch.cuda.empty_cache()

    def sync(self) -> None:
        """Wait for the device."""
        if self.device == "cuda":
            torch.cuda.synchronize()

    def elapsed_s(self, call: Call, times: int = 1) -> float:
        """Time `times` calls on the device clock (on the host clock of a CPU dry run)."""
        if self.device == "cpu":
            start = time.perf_counter()
            for _ in range(times):
                call()
            return time.perf_counter() - start
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        first.record()
        for _ in range(times):
            call()
        last.record()
        last.synchronize()
        return first.elapsed_time(last) / 1e3


def shuffled(cases: Iterable[Any]) -> list[Any]:
    """A fixed shuffle: a run cut short by its budget still covers the whole range."""
    order = list(cases)
    random.Random(0).shuffle(order)
    return order


def copies(bytes_per_set: float, quick: bool) -> int:
    """How many sets of inputs to rotate among."""
    return 2 if quick else int(max(1, min(16, -(-ROTATE_BYTES // max(bytes_per_set, 1)))))


def rotate(calls: list[Call]) -> Call:
    """One call that works through a list of calls in turn."""
    state = {"next": 0}

    def step() -> None:
        calls[state["next"] % len(calls)]()
        state["next"] += 1

    return step


def graphed(bench: Bench, call: Call, times: int) -> Call:
    """A CUDA graph of `times` calls: replaying it takes the host out of the timing."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(times):
            call()
    return graph.replay


def measure(bench: Bench, calls: list[Call], mode: str = "burst", graph: bool = True) -> dict[str, Any]:
    """Time one call.

    `burst`: about 20 ms of work after 0.15 s of rest. `sustained`: 4 s without a rest, of which the second half
    counts. Calls under 100 us are timed inside a CUDA graph where they can be captured (`timer` says which).
    """
    call = rotate(calls)
    for _ in range(max(3, len(calls))):
        call()
    bench.sync()
    once_s = bench.elapsed_s(call, 4) / 4
    inner = 2 if bench.quick else max(1, min(1000, round((0.02 if mode == "sustained" else 2e-3) / max(once_s, 1e-7))))
    group, timer = call, "events"
    repeat = inner
    if graph and bench.device == "cuda" and once_s < 100e-6:
        try:
            group, timer, repeat = graphed(bench, call, inner), "graph", 1
            group()
        except Exception as error:
            timer = f"events (no capture: {type(error).__name__})"
            bench.sync()
    times, stats = _groups(bench, lambda: bench.elapsed_s(group, repeat) / inner, mode)
    return _percentiles(times) | {"timer": timer, "iters": inner * len(times)} | stats


def _groups(bench: Bench, group_s: Callable[[], float], mode: str) -> tuple[list[float], dict[str, Any]]:
    """Run groups of calls for as long as the mode asks; return their times and the readings taken meanwhile."""
    sustained = mode == "sustained"
    limit_s = 4.0 if sustained else 0.02
    if not bench.quick:
        time.sleep(0.15)
    times: list[float] = []
    with bench.sampler as sampler:
        start = time.perf_counter()
        while len(times) < 3 or (not bench.quick and time.perf_counter() - start < limit_s):
            times.append(group_s())
        end = time.perf_counter()
    counted_from = (start + end) / 2 if sustained else start
    kept = times[len(times) // 2 :] if sustained else times
    return kept, {"duration_s": round(end - start, 4)} | sampler.summary(counted_from, end)


def _percentiles(times_s: list[float]) -> dict[str, float]:
    ordered = sorted(times_s)
    pick = {"time_us": 0.5, "p10_us": 0.1, "p90_us": 0.9}
    return {name: round(ordered[int(share * (len(ordered) - 1) + 0.5)] * 1e6, 3) for name, share in pick.items()}
