"""Turn the records of a run into the constants that the simulator's compute model asks for.

    python summarise.py data --bandwidth 4.8e12 --peak 989e12     # datasheet figures of the GPU measured

Prints: burst and sustained GEMM rates and their ratio (sigma); dgrad and wgrad against forward at equal shapes;
fp8 rates and the quantise pass; attention rates; bandwidth share e and fixed time t0 of each memory-bound operation;
optimizer bytes per parameter; launch costs; step times and memory. Needs no PyTorch. Dry runs are refused.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Record = dict[str, Any]


def load(folder: Path, name: str) -> list[Record]:
    """The good records of one script."""
    path = folder / f"{name}.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    if any(record["dry_run"] for record in records):
        raise SystemExit(f"{path} is a dry run: it holds no measurement")
    return [record for record in records if "error" not in record]


def spread(values: Iterable[float]) -> str:
    """Median and quartiles of some values."""
    some = sorted(values)
    if len(some) < 2:
        return " ".join(f"{value:.3g}" for value in some) or "no data"
    low, middle, high = statistics.quantiles(some, n=4)
    return f"{middle:.3g} ({low:.3g} to {high:.3g}, {len(some)} shapes)"


def ratios(records: list[Record], value: str, field: str, over: str, key: tuple[str, ...]) -> dict[str, list[float]]:
    """Value of each other setting of `field` over that of setting `over`, at equal `key`."""
    groups: dict[tuple[Any, ...], dict[str, float]] = defaultdict(dict)
    for record in records:
        groups[tuple(record[name] for name in key)][record[field]] = record[value]
    found: dict[str, list[float]] = defaultdict(list)
    for group in groups.values():
        for setting in group.keys() - {over} if over in group else ():
            found[setting].append(group[setting] / group[over])
    return found


def gemm(folder: Path, peak: float) -> None:
    """Rates and ratios of bf16 products."""
    records = [record for record in load(folder, "gemm") if record["what"] == "gemm"]
    train = [record for record in records if min(record["m"], record["n"], record["k"]) >= 512]
    for mode in ("burst", "sustained"):
        rates = [r["tflops"] for r in train if r["mode"] == mode and r["op"] == "fwd" and r["time_us"] > 500]
        shares = spread(rate * 1e12 / peak for rate in rates)
        print(f"gemm fwd {mode}, over 0.5 ms: {spread(rates)} TFLOP/s; of peak {shares}")
    for op, values in ratios(train, "tflops", "mode", "burst", ("op", "m", "n", "k")).items():
        print(f"gemm {op} / burst, any layout (sigma): {spread(values)}")
    for op, values in ratios(train, "tflops", "op", "fwd", ("mode", "m", "n", "k")).items():
        print(f"gemm rate of {op} / fwd: {spread(values)}")


def fp8(folder: Path, bandwidth: float) -> None:
    """fp8 products and the quantise pass."""
    records = [record for record in load(folder, "gemm") if record["dtype"] == "e4m3"]
    for r in records:
        shape = f"{r['what']} {r['scaling']} {r['mode']} fast={r['fast_accum']} {r['m']} x {r['n']} x {r['k']}"
        rate = f"{r['tflops']} TFLOP/s" if "tflops" in r else f"e {r['bytes_per_s'] / bandwidth:.2f}"
        print(f"{shape}: {r['time_us']} us, {rate}")


def attention(folder: Path) -> None:
    """Attention rates by kernel and pass."""
    for r in load(folder, "attention"):
        shape = f"b{r['batch']} h{r['heads']}/{r['kv_heads']} s{r['seq']} d{r['dim']}"
        rate = f"{r['tflops']} TFLOP/s" if "tflops" in r else f"{r['bytes_per_s'] / 1e12:.2f} TB/s"
        print(f"attention {r['kernel']} {r['part']} {r['mode']} {shape}: {r['time_us']} us, {rate}")


def line(points: list[tuple[float, float]]) -> tuple[float, float]:
    """Intercept and slope of the line through (bytes, seconds) that minimises relative error."""
    weights = [1 / seconds**2 for _, seconds in points]
    mean = [sum(w * p[i] for w, p in zip(weights, points, strict=True)) / sum(weights) for i in (0, 1)]
    over = sum(w * (x - mean[0]) * (y - mean[1]) for w, (x, y) in zip(weights, points, strict=True))
    slope = over / sum(w * (x - mean[0]) ** 2 for w, (x, _) in zip(weights, points, strict=True))
    return mean[1] - slope * mean[0], slope


def memory_bound(folder: Path, bandwidth: float) -> None:
    """Fixed time and bandwidth share of each operation, in bytes of a fused kernel."""
    groups: dict[tuple[str, str, str], list[tuple[float, float]]] = defaultdict(list)
    for r in load(folder, "memory_bound"):
        if r["mode"] == "burst":
            groups[r["what"], r["form"], r["part"]].append((r["bytes"], r["time_us"] / 1e6))
    for name, points in groups.items():
        best = max(size / seconds for size, seconds in points) / bandwidth
        fit = ""
        if len(points) >= 3:
            fixed, slope = line(points)
            fit = f"; fit t0 {fixed * 1e6:.2f} us, e {1 / slope / bandwidth:.3f}"
        print(f"{' '.join(name)}: best e {best:.3f}{fit}")


def others(folder: Path) -> None:
    """Optimizer, launch and step records, one line each."""
    for r in load(folder, "optimizer"):
        form = f"{r['what']} {r['form']} {r['dtype']} {r['params']:.1e} params {r['mode']}"
        print(f"{form}: {r['time_us']} us, {r['bytes_per_param']} B/param at copy speed")
    for r in load(folder, "launch"):
        name = " ".join(str(r[key]) for key in ("what", "op", "form", "part", "kernels_in_graph") if key in r)
        costs = ", ".join(f"{key} {r[key]}" for key in ("host_us", "stream_us", "graph_us", "kernels") if key in r)
        print(f"{name}: {costs}")
    for r in load(folder, "step"):
        model = f"h{r['hidden']} L{r['layers']} V{r['vocab']} s{r['seq']} mb{r['micro_batch']}"
        form = f"{r['form']} {r['precision']} {r['attention']} recompute={r['recompute']}"
        phases = "/".join(f"{r[f'{name}_us'] / 1e3:.1f}" for name in ("fwd", "bwd", "opt"))
        held = "/".join(f"{r[name] / 1e9:.1f}" for name in ("static_bytes", "bwd_peak_bytes", "reserved_bytes"))
        print(f"step {model} {form}: {r['time_us'] / 1e3:.1f} ms ({phases}), {r['tflops']} TFLOP/s, {held} GB")


def main() -> None:
    """Print the summary of one folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bandwidth", type=float, required=True, help="datasheet memory bandwidth, bytes/s")
    parser.add_argument("--peak", type=float, required=True, help="datasheet dense bf16 rate, FLOP/s")
    args = parser.parse_args()
    gemm(args.folder, args.peak)
    fp8(args.folder, args.bandwidth)
    attention(args.folder)
    memory_bound(args.folder, args.bandwidth)
    others(args.folder)


if __name__ == "__main__":
    main()
