"""Causal self-attention: flash and cuDNN kernels through scaled_dot_product_attention, and the unfused form.

    python attention.py --out data                       # on a GPU
    python attention.py --device cpu --quick --out tmp   # dry run (the CPU has no cuDNN kernel: an error record)

`part` is fwd, bwd (backward alone, on a kept graph) or fwd+bwd. `tflops` counts the causal half: forward
2 b h s^2 d (two products, half the square), backward 2.5 times that. The unfused form computes the full square and
counts bytes instead: 8 an element of the score matrix forward, 14 backward (bf16, no dropout), its products aside;
`bytes_per_s` there includes the time of the products.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from harness import Bench, Call, copies, measure, parse_args, shuffled
from torch.nn.attention import SDPBackend, sdpa_kernel

KERNELS = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
}
SHARE = {"fwd": 1.0, "bwd": 2.5, "fwd+bwd": 3.5}
SCORE_BYTES = {"fwd": 8, "bwd": 14, "fwd+bwd": 22}


def unfused(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Attention as two batched products around a masked softmax."""
    scores = torch.matmul(q * (1 / math.sqrt(q.shape[-1])), k.transpose(-1, -2))
    return torch.matmul(torch.softmax(scores + mask, dim=-1), v)


def attention_call(bench: Bench, kernel: str, part: str, shape: tuple[int, ...]) -> Call:
    """One call of one pass on its own inputs."""
    batch, heads, kv_heads, seq, dim = shape

    def rand(count: int) -> torch.Tensor:
        sizes = (batch, count, seq, dim)
        return torch.randn(sizes, device=bench.device, dtype=torch.bfloat16, requires_grad=part != "fwd")

    inputs = (rand(heads), rand(kv_heads), rand(kv_heads))
    grad = torch.randn(batch, heads, seq, dim, device=bench.device, dtype=torch.bfloat16)
    if kernel == "unfused":
        mask = torch.full((seq, seq), -torch.inf, device=bench.device, dtype=torch.bfloat16).triu(1)

        def forward() -> torch.Tensor:
            return unfused(*inputs, mask)
    else:

        def forward() -> torch.Tensor:
            with sdpa_kernel(KERNELS[kernel]):
                return F.scaled_dot_product_attention(*inputs, is_causal=True, enable_gqa=kv_heads != heads)

    if part == "fwd":
        return forward
    if part == "fwd+bwd":
        return lambda: torch.autograd.grad(forward(), inputs, grad)
    kept = forward()
    return lambda: torch.autograd.grad(kept, inputs, grad, retain_graph=True)


def attention_case(
    bench: Bench, kernel: str, part: str, batch: int, heads: int, kv_heads: int, seq: int, dim: int, mode: str, **_: Any
) -> dict[str, Any]:
    """One attention measurement."""
    shape = (batch, heads, kv_heads, seq, dim)
    score_bytes = 2 * batch * heads * seq * seq if kernel == "unfused" else 0
    sets = copies(8 * batch * (heads + kv_heads) * seq * dim + 3 * score_bytes, bench.quick)
    calls = [attention_call(bench, kernel, part, shape) for _ in range(sets)]
    result = measure(bench, calls, mode, graph=part == "fwd")
    if kernel == "unfused":
        moved = SCORE_BYTES[part] * batch * heads * seq * seq
        return result | {"bytes": moved, "bytes_per_s": round(moved / result["time_us"] * 1e6)}
    flops = SHARE[part] * 2 * batch * heads * seq * seq * dim
    return result | {"tflops": round(flops / result["time_us"] / 1e6, 2)}


def grid(quick: bool) -> Iterator[dict[str, Any]]:
    """Batch, heads, KV heads, sequence, head size, as fields of a case."""
    shapes = [(max(1, 16384 // s), 32, 32, s, d) for s in (1024, 2048, 4096, 8192, 16384, 32768) for d in (64, 128)]
    shapes += [(1, h, kv, s, 128) for h, kv in ((32, 8), (64, 8), (8, 1), (4, 1), (16, 2)) for s in (4096, 8192)]
    shapes += [(1, 128, 8, 8192, 128), (4, 16, 16, 1024, 64), (1, 8, 1, 32768, 128), (16, 8, 8, 2048, 128)]
    plain = [(4, 16, 16, 2048, 128), (1, 32, 32, 4096, 128), (8, 12, 12, 1024, 64)]
    long = [(2, 32, 8, 8192, 128)]
    if quick:
        shapes, plain, long = [(1, 2, 2, 32, 16), (1, 4, 2, 32, 16)], [(1, 2, 2, 32, 16)], [(1, 2, 1, 32, 16)]
    kernels = ("flash", "cudnn")
    groups = [("sustained", kernels, long), ("burst", ("unfused",), plain), ("burst", kernels, shuffled(shapes))]
    names = ("batch", "heads", "kv_heads", "seq", "dim")
    for mode, used, some in groups:
        for shape in some:
            for kernel in used:
                for part in SHARE:
                    yield {"kernel": kernel, "part": part, "mode": mode} | dict(zip(names, shape, strict=True))


def main() -> None:
    """Run the grid."""
    bench = Bench("attention", parse_args(__doc__))
    for case in grid(bench.quick):
        bench.run(attention_case, what="attention", dtype="bf16", causal=True, **case)


if __name__ == "__main__":
    main()
