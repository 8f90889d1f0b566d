"""Slow plain statement of the matmul and attention times, written from the formulas of docs/guide/compute.md.

It loops where the core uses closed forms, and takes constants as plain numbers. Only tests import it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Machine:
    """What the formulas need of a device: rate in FLOP/s, bandwidth in bytes/s."""

    flops: float
    bandwidth: float
    sms: int


@dataclass(frozen=True)
class Gemm:
    """Constants r1, r3, k0, t0, e_bw, p, w, cs, l2x."""

    r1: float
    r3: float
    k0: float
    t0: float
    e_bw: float
    p: float
    w: float
    cs: float
    l2x: float


def gemm_time(machine: Machine, g: Gemm, m: int, n: int, k: int, in_bytes: float, out_bytes: float) -> float:
    """Minimum over tiles and splits of joined compute and memory time, plus t0."""
    best = math.inf
    for a, b, rate in (
        (256, 128, 1.0),
        (128, 256, 1.0),
        (128, 128, g.r1),
        (128, 64, g.r1),
        (64, 128, g.r1),
        (64, 64, g.r1 * g.r3),
    ):
        for s in (1, 2, 4, 8, 16):
            if s > 1 and k / s < 128:
                continue
            u = math.ceil(m / a) * math.ceil(n / b) * s / machine.sms
            waves = 1.0 if u <= 1 else u + g.w * (math.ceil(u) - u)
            block = 2 * a * b * (64 * math.ceil(k / (64 * s)) + g.k0) / (machine.flops / machine.sms * rate)
            memory = (in_bytes * (m * k + n * k) + out_bytes * m * n) / (g.e_bw * machine.bandwidth)
            if s > 1:
                memory += 8 * s * m * n / (g.l2x * g.e_bw * machine.bandwidth)
            time = ((waves * block) ** g.p + memory**g.p) ** (1 / g.p) + (g.cs if s > 1 else 0.0)
            best = min(best, time)
    return g.t0 + best


@dataclass(frozen=True)
class Flash:
    """Rate as a share of peak, overheads c0 and cd in keys, rows per block, t0."""

    rate: float
    c0: float
    cd: float
    block: int
    t0: float


def flash_time(
    machine: Machine,
    f: Flash,
    heads: int,
    q_len: int,
    kv_len: int,
    dims: float,
    *,
    causal: bool,
    window: int,
    backward: bool,
) -> float:
    """Causal blocks over multiprocessors; `machine.flops` is the peak, `heads` counts batch x heads."""
    keys_all = f.block * math.ceil(kv_len / f.block)
    total = 0.0
    for row in range(math.ceil(q_len / f.block)):
        keys = keys_all
        if window:
            keys = min(keys, window + f.block)
        if causal:
            keys = min(keys, max(kv_len - q_len, 0) + (row + 1) * f.block)
        total += keys + f.c0 + (f.cd if causal else 0.0)
    multiple = 2.5 if backward else 1.0
    unit = 2 * f.block * dims * machine.sms / (f.rate * machine.flops) * multiple
    longest = (keys_all + f.c0) * unit
    return float(f.t0 + ((heads * total * unit / machine.sms) ** 4 + longest**4) ** 0.25)
