"""Seconds of whole steps on shared links beside the same steps at fixed prices, every rank by itself.

`python benchmarks/step_flows.py`: one run each in this process; ASTRA-sim 2's answers for comparable jobs are in
docs/guide/network.md.
"""

from __future__ import annotations

import sys
import time

import dist_training_sim as dts
from dist_training_sim import FlowFabric, Strategy

PIPELINE = ("llama-3.1-70b", "512xdgx-h100", Strategy(tp=8, pp=8, zero=1, global_batch=1024))
LARGE = ("llama-3.1-405b", "2048xdgx-h100", Strategy(tp=8, pp=16, zero=1, global_batch=2048))
INTERLEAVED = ("llama-3.1-405b", "2048xdgx-h100", Strategy(tp=8, pp=16, vpp=7, zero=1, global_batch=2048))
SHARDED = ("llama-3.1-70b", "2048xdgx-h100", Strategy(zero=3, global_batch=16384))
EXPERTS = ("mixtral-8x22b", "512xdgx-h100", Strategy(tp=4, etp=4, ep=8, pp=8, zero=1, global_batch=2048))
THIN = FlowFabric(topology="fat_tree", oversubscription=4)
HASHED = FlowFabric(topology="fat_tree", oversubscription=2, spines=16, routing="ecmp")
CASES = {
    "4,096 ranks, TP 8 PP 8 DP 64": (PIPELINE, FlowFabric()),
    "the same, one NIC at half rate": (PIPELINE, FlowFabric(slow_links={"nic 5.3": 0.5})),
    "the same, fat tree 4:1": (PIPELINE, THIN),
    "the same, fat tree 2:1 of 16 spines, ECMP": (PIPELINE, HASHED),
    "4,096 ranks, experts: TP 4 EP 8 PP 8 DP 128": (EXPERTS, FlowFabric()),
    "16,384 ranks, TP 8 PP 16 DP 128": (LARGE, FlowFabric()),
    "the same, 7 virtual stages": (INTERLEAVED, FlowFabric()),
    "16,384 ranks, FSDP": (SHARDED, THIN),
}


def seconds(job: tuple[str, str, Strategy], **options: object) -> tuple[float, dts.Result]:
    """Wall time of one prediction, and the prediction."""
    start = time.perf_counter()
    result = dts.simulate(*job, seq_len=8192, keep_events=False, **options)  # type: ignore[arg-type]
    return time.perf_counter() - start, result


def main() -> int:
    """Print one line per case."""
    seconds(PIPELINE)  # fills the caches of the catalogues
    sys.stdout.write("| case | shared links, s | every rank at fixed prices, s | ratio | step over uncontended |\n")
    sys.stdout.write("|---|--:|--:|--:|--:|\n")
    for name, (job, fabric) in CASES.items():
        fixed_s, _ = seconds(job, expand=True)
        shared_s, result = seconds(job, network=fabric)
        slower = result.step_time_s / result.uncontended_step_time_s
        sys.stdout.write(f"| {name} | {shared_s:.2f} | {fixed_s:.2f} | {shared_s / fixed_s:.1f} | {slower:.3f} |\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
