"""Slow plain statement of the times of all other kinds of op, from the formulas of docs/guide/compute.md.

Matmul and flash attention stand in compute_reference.py. Constants come as plain numbers. Only tests import it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

TILES = ((256, 128), (128, 256), (128, 128), (128, 64), (64, 128), (64, 64))


@dataclass(frozen=True)
class Chip:
    """Matmul rate in FLOP/s, bandwidth in bytes/s, multiprocessors, and matmul constants r1, r3, k0, t0, e, p, w."""

    flops: float
    bandwidth: float
    sms: int
    r1: float
    r3: float
    k0: float
    t0: float
    e: float
    p: float
    w: float


def pass_time(floor: float, moved: float, efficiency: float, bandwidth: float) -> float:
    """A kernel that moves bytes: streaming, norms, permutation, optimizer."""
    return floor + moved / (efficiency * bandwidth) if moved > 0 else 0.0


def roofline_time(floor: float, flops_s: float, bytes_s: float, power: float) -> float:
    """A kernel known by its FLOPs and bytes."""
    return float(floor + (flops_s**power + bytes_s**power) ** (1 / power))


def quantise_time(
    floor: float, moved: float, efficiency: float, bandwidth: float, elements: float, copies: int
) -> float:
    """Read 16 bits and write the rest once for each copy."""
    return floor + (moved + (copies - 1) * max(moved - 2, 0)) * elements / (efficiency * bandwidth)


def unfused_time(
    peak: float, bandwidth: float, floor: float, scores: float, dims: float, moved: float, backward: bool
) -> float:
    """Two products over the whole square, four backward, at 0.55 of peak; passes over scores at 0.75 of bandwidth."""
    products = 2 * scores * dims * (2 if backward else 1)
    return (6 if backward else 4) * floor + scores * moved / (0.75 * bandwidth) + products / (0.55 * peak)


def grouped_time(c: Chip, shapes: list[tuple[float, float, float]], moved: float, rate: float, each: float) -> float:
    """Products (m, n, k) of one launch share its waves; it ends with the deepest tile. `each`: seconds per product."""
    best = math.inf
    for (a, b), relative in zip(TILES, (1.0, 1.0, c.r1, c.r1, c.r1, c.r1 * c.r3), strict=True):
        tiles = [(math.ceil(m / a) * math.ceil(n / b), 64 * math.ceil(k / 64) + c.k0) for m, n, k in shapes]
        count = sum(number for number, _ in tiles)
        mean = sum(number * depth for number, depth in tiles) / count
        u = count / c.sms
        waves = 1.0 if u <= 1 else u + c.w * (math.ceil(u) - u)
        one_k = 2 * a * b / (c.flops * rate / c.sms * relative)
        busy = max(waves * mean, max(depth for _, depth in tiles)) * one_k
        memory = moved / (c.e * c.bandwidth)
        best = min(best, (busy**c.p + memory**c.p) ** (1 / c.p))
    return c.t0 + best + each * len(shapes)


def systolic_time(c: Chip, m: int, n: int, k: int, moved: float) -> float:
    """A matrix unit that pads m to 8, n and k to 128 and has no waves."""
    padded = 2.0 * 8 * math.ceil(m / 8) * 128 * math.ceil(n / 128) * 128 * math.ceil(k / 128)
    return float(c.t0 + ((padded / c.flops) ** c.p + (moved / (c.e * c.bandwidth)) ** c.p) ** (1 / c.p))


def scan_time(
    floor: float, flops: float, moved: float, rate: float, bandwidth: float, efficiency: float, backward: bool
) -> float:
    """Five kernels of a recurrence in chunks; backward runs it again and does 1.5 times as much besides."""
    times = 2.5 if backward else 1.0
    return times * (5 * floor) + max(times * flops / rate, times * moved / (efficiency * bandwidth))


def recomputed_shares(ops: list[tuple[str, str, float, int]], rule: str, stops_early: bool) -> list[float]:
    """Share of each op that runs again before backward; an op is its name, kind, width and fused matmuls."""
    kinds = [kind for _, kind, _, _ in ops]
    if rule == "core_attention":
        return [float(kind == "attention") for kind in kinds]
    if rule == "alternate_matmuls":
        shares, seen = [], 0
        for _, kind, _, parts in ops:
            matmuls = [(seen + part) % 2 for part in range(parts)] if kind == "matmul" else []
            seen += len(matmuls)
            shares.append(sum(matmuls) / parts if matmuls else float(kind != "attention"))
        return shares
    shares = [1.0] * len(ops)
    if stops_early:  # the sums at the end and the matmul before them, which no saved tensor needs
        last = max(i for i, kind in enumerate(kinds) if kind == "matmul")
        shares[last:] = [0.0] * (len(ops) - last)
    if rule == "all_but_attention":
        core = kinds.index("attention")
        shares = [
            0.0 if i == core or (i < core and kind == "matmul") else s
            for i, (s, kind) in enumerate(zip(shares, kinds, strict=True))
        ]
    return shares
