"""cuDNN's training attention against the catalogue: errors of the constants, and the fit that they come from.

python benchmarks/cudnn_attention.py           error of `compute_constants.yaml` on every set
python benchmarks/cudnn_attention.py --fit     the constants anew, as YAML

The csv beside it: NVIDIA/cudnn-frontend benchmark/sdpa_benchmark_training/results (MIT), versions of 2026-01
to 2026-05; means of 10 calls, casts to 8 bits left out.
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
from dist_training_sim.validation.kernel_prices import back_to_back
from dist_training_sim.validation.kernels import kernel_device
from dist_training_sim.validation.solve import Array, Problem, Rows, solve

FILE = Path(__file__).with_suffix(".csv")
KERNELS = {"bf16": "cudnn_2026", "fp8": "cudnn_2026_fp8", "mxfp8": "cudnn_2026_mxfp8"}
BLOCK_Q = {"h200-sxm-141gb": (128.0, 128.0), "gb200-186gb": (256.0, 128.0), "gb300-288gb": (256.0, 128.0)}
FLOOR_S = (4.0e-6, 10.0e-6)
RATES = {64: "rate_d64", 128: "rate_d128", 256: "rate_d256", 160: "rate_mla"}  # by the mean head dimension


@dataclass(frozen=True)
class Measured:
    """One row of the table."""

    device: str
    dtype: str
    backward: bool
    shape: Any
    time_s: float


def measured() -> list[Measured]:
    """Rows of cuDNN 9.19 and later; of a backward pass the faster order of sums, which need not be deterministic."""
    with FILE.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if not row["cudnn"].startswith("9.18")]
    best: dict[tuple[str, ...], float] = {}
    for row in rows:
        key = tuple(v for k, v in row.items() if k not in ("deterministic", "time_ms", "model"))
        best[key] = min(best.get(key, float("inf")), float(row["time_ms"]))
    return [_row(key, time_ms * 1e-3) for key, time_ms in best.items()]


def _row(key: tuple[str, ...], time_s: float) -> Measured:
    device, _, dtype, mask, batch, tokens, heads, kv_heads, qk_dim, v_dim, window, op_pass = key
    shape = _core.AttentionShape()
    shape.batch, shape.heads, shape.kv_heads = float(batch), float(heads), float(kv_heads)
    shape.q_len = shape.kv_len = float(tokens)
    shape.qk_dim, shape.v_dim = float(qk_dim), float(v_dim)
    shape.causal, shape.window = mask == "causal", float(window)
    return Measured(device, dtype, op_pass == "backward", shape, time_s)


def price(device: Any, row: Measured) -> float:
    """Seconds of a call among equal ones, its casts left out as in the benchmark."""
    return back_to_back(
        lambda d, clock: _core.flash_attention_time_s(d, _core.DType.BF16, row.shape, row.backward, True, clock)
    )(device)


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
        kernel = KERNELS[row.dtype]
        error = price(catalogue_device(row.device, kernel), row) / row.time_s - 1
        found.setdefault((row.device, kernel, row.backward), []).append(error)
    return {key: np.array(values) for key, values in found.items()}


def fitted(device: str, dtype: str, backward: bool) -> AttentionConstants:
    """Rates that some row shows, and the overhead of a row block; robust fit of log errors."""
    rows = [r for r in measured() if (r.device, r.dtype, r.backward) == (device, dtype, backward)]
    shown = {RATES[int(r.shape.qk_dim + r.shape.v_dim) // 2] for r in rows}
    names = [name for name in RATES.values() if name in shown]
    skips = not (backward and dtype != "bf16")
    block_q, floor_s = BLOCK_Q[device][backward], FLOOR_S[backward]
    start = AttentionConstants(block_overhead=0.0, causal_overhead=0.0, block_q=block_q, floor_s=floor_s)

    def at(x: Array) -> AttentionConstants:
        rates = dict.fromkeys(RATES.values(), 0.5) | dict(zip(names, np.exp(x[:-1]).tolist(), strict=True))
        return replace(start, **rates, block_overhead=float(np.exp(x[-1])), cast_bytes=0.0, skips_window=skips)

    def residuals(x: Array, at_rows: Rows) -> Array:
        made = _with(device, at(x), backward)
        return np.log([price(made, rows[i]) / rows[i].time_s for i in at_rows])

    centre = np.array([np.log(0.6)] * len(names) + [np.log(500.0)])
    touches = np.ones((len(centre), len(rows)), dtype=bool)
    x, _, _ = solve(Problem(residuals, touches, np.ones(len(rows)), centre, np.full(len(centre), 2.0)), 12)
    return at(x)


def _with(device: str, constants: AttentionConstants, backward: bool) -> Any:
    spec = kernel_device(device, "")
    setattr(spec, "attention_backward" if backward else "attention_forward", to_core(constants))
    return spec


def _print_fit() -> None:
    for dtype, kernel in KERNELS.items():
        print(f"{kernel}:")
        for device in BLOCK_Q:
            for backward in (False, True):
                if any((r.device, r.dtype, r.backward) == (device, dtype, backward) for r in measured()):
                    c = fitted(device, dtype, backward)
                    rates = ", ".join(f"{name}: {getattr(c, name):.3f}" for name in RATES.values())
                    way = "backward" if backward else "forward"
                    print(f"  {device} {way}: {{{rates}, block_overhead: {c.block_overhead:.0f}}}")


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
