"""Cost of simulating ranks that differ: 16,384 of them, as classes and one by one.

    python benchmarks/uneven_ranks.py
"""

from __future__ import annotations

import sys
import time

import dist_training_sim as dts
from dist_training_sim.simulator.job import described_job

CLUSTER = dts.Cluster.from_catalog("2048xdgx-h100")
MODEL = dts.Model.from_catalog("llama-3.1-70b")
LAYOUTS = {
    "tp 8, pp 16, dp 128, 128 micro-batches": dts.Strategy(tp=8, pp=16, zero=1, global_batch=16384),
    "fsdp over 16,384, 4 micro-batches": dts.Strategy(zero=3, global_batch=65536),
}
STRAGGLERS = {
    "equal ranks": None,
    "one slow rank": dts.Stragglers.of_ranks({4711: 1.3}),
    "every rank drawn": dts.Stragglers.lognormal(0.05),
}


def peak_bytes() -> float:
    """Peak resident memory of this process, where the system tells it."""
    if sys.platform == "win32":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measure(strategy: dts.Strategy, stragglers: dts.Stragglers | None, expand: bool) -> str:
    """Best of three runs, as a line of the report."""
    runs = []
    for _ in range(3):
        start = time.perf_counter()
        result = dts.simulate(
            MODEL, CLUSTER, strategy, seq_len=4096, stragglers=stragglers, expand=expand, keep_events=False
        )
        runs.append(time.perf_counter() - start)
    what = f"{result.rank_classes:6,} classes  step {result.step_time_s:.6f} s"
    return f"{min(runs):8.3f} s  {what}  {peak_bytes() / 1e6:6.0f} MB"


def main() -> None:
    """Print one line per layout and kind of difference."""
    described_job(MODEL, CLUSTER, None, 4096, "megatron-core", None, None)  # catalogue read
    for layout, strategy in LAYOUTS.items():
        for ranks, stragglers in STRAGGLERS.items():
            for expand in (False, True):
                how = "one by one" if expand else "classes"
                print(f"{layout:40} {ranks:18} {how:10} {measure(strategy, stragglers, expand)}")
    start = time.perf_counter()
    dts.step_distribution(MODEL, CLUSTER, LAYOUTS["tp 8, pp 16, dp 128, 128 micro-batches"], seq_len=4096,
                          stragglers=STRAGGLERS["every rank drawn"] or dts.Stragglers(), steps=100)  # fmt: skip
    print(f"100 drawn steps of the first layout: {time.perf_counter() - start:.2f} s")


if __name__ == "__main__":
    main()
