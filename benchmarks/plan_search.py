"""Search of the best layout of a 70B model on 512 devices, beside pricing a sample of all layouts one by one.

python benchmarks/plan_search.py
"""

from __future__ import annotations

import time

import dist_training_sim as dts
import numpy as np
from dist_training_sim.verbs.framework_axes import axes_of, base_of

MODEL, CLUSTER, SEQ_LEN, BATCH, SAMPLE = "llama-3.1-70b", "64xdgx-h100", 8192, 1024, 300


def main() -> None:
    dts.plan(MODEL, "1xdgx-h100", seq_len=SEQ_LEN, global_batch=8)  # loads the catalogue
    wall, cpu = time.perf_counter(), time.process_time()
    report = dts.plan(MODEL, CLUSTER, seq_len=SEQ_LEN, global_batch=BATCH)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{report.searched.combinations:,} combinations, {report.searched.evaluated:,} priced")
    print(f"plan: {wall:.2f} s, {cpu:.2f} core-seconds")
    base = base_of(dts.FrameworkProfile.from_catalog("megatron-core"))
    space = dts.StrategySpace(global_batch=BATCH, base=base, precision=("bf16",), **axes_of("megatron-core"))
    table = space.table(MODEL, CLUSTER, seq_len=SEQ_LEN)
    rows = np.sort(np.random.default_rng(0).choice(len(table), SAMPLE, replace=False))
    start = time.process_time()
    dts.evaluate(MODEL, CLUSTER, table.take(rows), seq_len=SEQ_LEN)
    all_s = (time.process_time() - start) * len(table) / SAMPLE
    print(f"every legal layout ({len(table):,}): {all_s:.1f} core-seconds by a sample, {all_s / cpu:.0f} times as long")


if __name__ == "__main__":
    main()
