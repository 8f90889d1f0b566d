"""cuDNN's training attention against the catalogue: errors of the constants, and the fit that they come from.

python benchmarks/cudnn_attention.py           error of `compute_constants.yaml` on every set
python benchmarks/cudnn_attention.py --fit     the constants anew, as YAML

The csv beside it: NVIDIA/cudnn-frontend benchmark/sdpa_benchmark_training (MIT), artifacts of v1.13.0, v1.15.0 and
v1.17.0 (2025-07 to 2025-12) and results of 2026-01 to 2026-05; 10 calls after some to warm up, casts to 8 bits left
out; of equal settings the faster. Calls of PyTorch under 4,096 tokens are left out: the host bounds them.

Up to 32,768 tokens a device keeps its burst clock there; calls of 131,072 tokens keep it busy for half a minute, and
their rate over the best of shorter ones is the share that attention keeps of it in training.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from dist_training_sim import _core
from dist_training_sim._convert import to_core
from dist_training_sim.hardware.constants import AttentionConstants
from dist_training_sim.validation.kernels import kernel_device
from dist_training_sim.validation.solve import Array, Problem, Rows, solve

FILE = Path(__file__).with_suffix(".csv")
KERNELS = {"bf16": "", "fp8": "_fp8", "mxfp8": "_mxfp8"}
ERAS = {"9.4": "cudnn_2025", "9.10": "cudnn_2025", "9.13": "cudnn_2025", "9.19": "cudnn_2026", "9.22": "cudnn_2026"}
BURST_TOKENS, SUSTAINED_TOKENS = 32768, 131072
# The tables of 2025 have one sequence with 8 key-value heads: below this too few blocks for a device, and too few rows
# to tell the overhead of a row block, which is that of 2026.
LEAST_TOKENS_2025, OVERHEAD_2026 = 8192, 400.0
BLOCK_Q = {
    "h200-sxm-141gb": (128.0, 128.0),
    "b200-sxm-180gb": (256.0, 128.0),
    "gb200-186gb": (256.0, 128.0),
    "gb300-288gb": (256.0, 128.0),
}
FLOOR_S = (4.0e-6, 10.0e-6)
RATES = {64: "rate_d64", 128: "rate_d128", 256: "rate_d256", 160: "rate_mla"}  # by the mean head dimension


@dataclass(frozen=True)
class Measured:
    """One row of the table."""

    device: str
    kernel: str
    backward: bool
    shape: Any
    time_s: float


def measured() -> list[Measured]:
    """Rows at the burst clock; of a backward pass the faster order of sums, which need not be deterministic."""
    rows = [row for row in _table() if _era(row) and _least(row) <= int(row["tokens"]) <= BURST_TOKENS]
    best: dict[tuple[str, ...], float] = {}
    for row in rows:
        key = tuple(v for k, v in row.items() if k not in ("deterministic", "time_ms", "model"))
        best[key] = min(best.get(key, float("inf")), float(row["time_ms"]))
    return [_row(key, time_ms * 1e-3) for key, time_ms in best.items()]


def _table() -> list[dict[str, str]]:
    with FILE.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _era(row: dict[str, str]) -> str:
    return ERAS.get(row["cudnn"].rpartition(".")[0], "")


def _least(row: dict[str, str]) -> int:
    return LEAST_TOKENS_2025 if _era(row) == "cudnn_2025" and row["device"] != "h200-sxm-141gb" else 0


def kept_clock() -> dict[tuple[str, str, str, str], float]:
    """Rate of the longest calls over the best of those at the burst clock, by device, version, dtype and pass."""
    rates: dict[tuple[str, str, str, str], dict[bool, float]] = {}
    for row in _table():
        tokens = int(row["tokens"])
        if row["model"] != "llama3.1-405b" or BURST_TOKENS < tokens < SUSTAINED_TOKENS:
            continue
        found = rates.setdefault((row["device"], row["cudnn"], row["dtype"], row["pass"]), {})
        long = tokens >= SUSTAINED_TOKENS
        found[long] = max(found.get(long, 0.0), tokens**2 / float(row["time_ms"]))
    return {key: found[True] / found[False] for key, found in rates.items()}


def _row(key: tuple[str, ...], time_s: float) -> Measured:
    device, version, dtype, mask, batch, tokens, heads, kv_heads, qk_dim, v_dim, window, op_pass = key
    shape = _core.AttentionShape()
    shape.batch, shape.heads, shape.kv_heads = float(batch), float(heads), float(kv_heads)
    shape.q_len = shape.kv_len = float(tokens)
    shape.qk_dim, shape.v_dim = float(qk_dim), float(v_dim)
    shape.causal, shape.window = mask == "causal", float(window)
    kernel = ERAS[version.rpartition(".")[0]] + KERNELS[dtype]
    return Measured(device, kernel, op_pass == "backward", shape, time_s)


def price(device: Any, row: Measured) -> float:
    """Seconds of a call, its casts left out as in the benchmark."""
    clock = _core.Clock.BURST
    return float(_core.flash_attention_time_s(device, _core.DType.BF16, row.shape, row.backward, True, clock))


@cache
def catalogue_device(name: str, kernel: str) -> Any:
    """A device of the catalogue at the clock of kernels, without casts."""
    device = kernel_device(name, kernel)
    for way in ("attention_forward", "attention_backward"):
        constants = getattr(device, way)
        constants.cast_bytes = 0.0
        setattr(device, way, constants)
    return device


def errors() -> dict[tuple[str, str, bool], Array]:
    """predicted / measured - 1 by device, kernel and direction."""
    found: dict[tuple[str, str, bool], list[float]] = {}
    for row in measured():
        error = price(catalogue_device(row.device, row.kernel), row) / row.time_s - 1
        found.setdefault((row.device, row.kernel, row.backward), []).append(error)
    return {key: np.array(values) for key, values in found.items()}


def fitted(device: str, kernel: str, backward: bool) -> AttentionConstants:
    """Rates that some row shows, and the overhead of a row block; robust fit of log errors.

    The fixed time of a call there is the host's in part, so it is fitted beside them and not kept.
    """
    rows = [r for r in measured() if (r.device, r.kernel, r.backward) == (device, kernel, backward)]
    shown = {RATES[int(r.shape.qk_dim + r.shape.v_dim) // 2] for r in rows}
    names = [name for name in RATES.values() if name in shown]
    skips = not (backward and kernel.endswith("fp8"))
    start = AttentionConstants(block_overhead=0.0, causal_overhead=0.0, block_q=BLOCK_Q[device][backward])

    def at(x: Array, floor_s: float) -> AttentionConstants:
        rates = dict.fromkeys(RATES.values(), 0.5) | dict(zip(names, np.exp(x[:-2]).tolist(), strict=True))
        overhead = float(np.exp(x[-2]))
        own: dict[str, Any] = {"floor_s": floor_s, "cast_bytes": 0.0, "skips_window": skips}
        return replace(start, **rates, block_overhead=overhead, **own)

    def residuals(x: Array, at_rows: Rows) -> Array:
        made = _with(device, at(x, float(np.exp(x[-1]))), backward)
        return np.log([price(made, rows[i]) / rows[i].time_s for i in at_rows])

    known = kernel.startswith("cudnn_2025") and device != "h200-sxm-141gb"
    centre = np.array([np.log(0.6)] * len(names) + [np.log(OVERHEAD_2026), np.log(20e-6)])
    width = np.array([2.0] * len(names) + [0.05 if known else 2.0, 1.0])
    touches = np.ones((len(centre), len(rows)), dtype=bool)
    x, _, _ = solve(Problem(residuals, touches, np.ones(len(rows)), centre, width), 12)
    print(f"# floor of a call there {np.exp(x[-1]) * 1e6:.0f} us")
    return at(x, FLOOR_S[backward])


def _with(device: str, constants: AttentionConstants, backward: bool) -> Any:
    spec = kernel_device(device, "")
    setattr(spec, "attention_backward" if backward else "attention_forward", to_core(constants))
    return spec


def _print_fit() -> None:
    for kernel, device, backward in sorted({(r.kernel, r.device, r.backward) for r in measured()}):
        c = fitted(device, kernel, backward)
        rates = ", ".join(f"{name}: {getattr(c, name):.3f}" for name in RATES.values())
        way = "backward" if backward else "forward"
        print(f"{kernel} {device} {way}: {{{rates}, block_overhead: {c.block_overhead:.0f}}}")
    for key, share in kept_clock().items():
        print(" ".join(key), f"sustained_share {share:.3f}")


def main() -> None:
    """Print errors, or the fit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fit", action="store_true")
    if parser.parse_args().fit:
        _print_fit()
        return
    print(f"{'device':16}{'kernel':18}{'pass':10}{'rows':>5}{'median':>8}{'p90':>7}{'bias':>7}  (%)")
    for (device, kernel, backward), error in errors().items():
        size, way = np.abs(error), "backward" if backward else "forward"
        figures = (100 * float(f) for f in (np.median(size), np.quantile(size, 0.9), np.median(error)))
        print(f"{device:16}{kernel:18}{way:10}{len(error):5}" + "{:8.1f}{:7.1f}{:+7.1f}".format(*figures))


if __name__ == "__main__":
    main()
