"""Matrix products of LLM training: bf16 and fp8, in the three training layouts.

    python gemm.py --out data                       # on a GPU
    python gemm.py --device cpu --quick --out tmp   # dry run

m, n, k are always those of the forward layer, y[m,n] = x[m,k] w[n,k]^T:
  fwd NT  y  = x  w^T    dgrad NN  dx = dy w    wgrad TN  dw = dy^T x (bf16 out)
  wgrad_acc TN           the same, accumulated into an fp32 tensor, as training with fp32 gradients does
Every product counts 2 m n k FLOPs (`tflops`). Inputs are random normal: zeros run 13 % faster.
fp8 cases: `fp8` is the product alone, on operands already quantised; `quantise` is the pass over x alone (absolute
maximum, scale, cast), compiled; `fp8+quantise` is both. fp8 products exist in the NT layout only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from harness import Bench, Call, copies, measure, parse_args, shuffled

MODELS = {"8b": (4096, 14336, 6144), "70b": (8192, 28672, 10240), "405b": (16384, 53248, 18432)}
VOCAB = 128256
E4M3_MAX = 448.0
LAYOUT = {"fwd": "NT", "dgrad": "NN", "wgrad": "TN", "wgrad_acc": "TN"}


def layer_shapes() -> list[tuple[int, int]]:
    """(n, k) of the linear layers of three Llama sizes at tensor-parallel degrees 1 to 8."""
    shapes = set()
    for hidden, ffn, qkv in MODELS.values():
        for tp in (1, 2, 4, 8):
            shapes |= {(qkv // tp, hidden), (hidden, hidden // tp), (2 * ffn // tp, hidden), (hidden, ffn // tp)}
        shapes.add((VOCAB, hidden))
    return sorted(shapes)


def tensor(bench: Bench, rows: int, cols: int) -> torch.Tensor:
    """A random bf16 matrix."""
    return torch.randn(rows, cols, device=bench.device, dtype=torch.bfloat16)


def bf16_call(bench: Bench, op: str, m: int, n: int, k: int) -> Call:
    """One product of a layer, on its own inputs."""
    x, w, dy = (lambda: tensor(bench, m, k)), (lambda: tensor(bench, n, k)), (lambda: tensor(bench, m, n))
    if op == "fwd":
        a, b = x(), w().t()
    elif op == "dgrad":
        a, b = dy(), w()
    else:
        a, b = dy().t(), x()
    if op != "wgrad_acc":
        return lambda: torch.mm(a, b)
    total = torch.zeros(n, k, device=bench.device)
    if bench.device == "cpu":  # the CPU has no bf16 product with fp32 output
        return lambda: total.add_(torch.mm(a, b))
    return lambda: torch.addmm(total, a, b, out_dtype=torch.float32, out=total)


def with_rate(result: dict[str, Any], m: int, n: int, k: int) -> dict[str, Any]:
    """Add the achieved rate."""
    return result | {"tflops": round(2 * m * n * k / result["time_us"] / 1e6, 2)}


def bf16_case(bench: Bench, op: str, m: int, n: int, k: int, mode: str, **_: Any) -> dict[str, Any]:
    """One bf16 product."""
    sets = copies(2 * (m * k + n * k + m * n), bench.quick)
    result = measure(bench, [bf16_call(bench, op, m, n, k) for _ in range(sets)], mode)
    return with_rate(result, m, n, k)


def quantise_tensorwise(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Scale a matrix into e4m3 by its largest absolute value."""
    scale = (x.abs().amax().float() / E4M3_MAX).clamp(min=1e-12)
    return (x.float() / scale).clamp(-E4M3_MAX, E4M3_MAX).to(torch.float8_e4m3fn), scale


def quantise_rowwise(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Scale every row into e4m3 by its own largest absolute value."""
    scale = (x.abs().amax(dim=1, keepdim=True).float() / E4M3_MAX).clamp(min=1e-12)
    return (x.float() / scale).clamp(-E4M3_MAX, E4M3_MAX).to(torch.float8_e4m3fn), scale


QUANTISE: dict[str, Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]] = {
    "tensorwise": quantise_tensorwise,
    "rowwise": quantise_rowwise,
}


def fp8_call(bench: Bench, what: str, scaling: str, m: int, n: int, k: int, fast: bool) -> Call:
    """One fp8 product, its quantise pass, or both."""
    quantise = torch.compile(QUANTISE[scaling], dynamic=False)
    x = tensor(bench, m, k)
    w8, w_scale = QUANTISE[scaling](tensor(bench, n, k))
    x8, x_scale = QUANTISE[scaling](x)
    w_scale = w_scale.t().contiguous() if scaling == "rowwise" else w_scale

    def product(a: torch.Tensor, a_scale: torch.Tensor) -> torch.Tensor:
        return torch._scaled_mm(
            a, w8.t(), scale_a=a_scale, scale_b=w_scale, out_dtype=torch.bfloat16, use_fast_accum=fast
        )

    if what == "quantise":
        return lambda: quantise(x)
    if what == "fp8":
        return lambda: product(x8, x_scale)
    return lambda: product(*quantise(x))


def fp8_case(
    bench: Bench, what: str, scaling: str, fast_accum: bool, m: int, n: int, k: int, mode: str, **_: Any
) -> dict[str, Any]:
    """One fp8 measurement; `quantise` counts 5 bytes an element tensorwise (read 2, read 2, write 1), 3 rowwise."""
    torch._dynamo.reset()
    sets = copies(m * k + n * k + 2 * m * n, bench.quick)
    calls = [fp8_call(bench, what, scaling, m, n, k, fast_accum) for _ in range(sets)]
    result = measure(bench, calls, mode)
    if what == "quantise":
        moved = (5 if scaling == "tensorwise" else 3) * m * k
        return result | {"bytes": moved, "bytes_per_s": round(moved / result["time_us"] * 1e6)}
    return with_rate(result, m, n, k)


def long_grid(quick: bool) -> Iterator[dict[str, Any]]:
    """A few large products in every layout, each as a burst and sustained."""
    shapes = [(4096, 4096, 4096), (8192, 8192, 8192), (8192, 28672, 4096), (8192, 7168, 8192), (16384, 16384, 16384)]
    for m, n, k in [(64, 96, 32)] if quick else shapes:
        for op in LAYOUT:
            for mode in ("burst", "sustained"):
                yield {"op": op, "m": m, "n": n, "k": k, "mode": mode}


def wide_grid(quick: bool) -> list[dict[str, Any]]:
    """Bursts over the whole range of shapes."""
    layers = [(m, n, k) for n, k in layer_shapes() for m in (1024, 4096, 8192)]
    some = [(m, n, k) for n, k in ((6144, 4096), (4096, 14336), (8192, 8192)) for m in (512, 2048, 16384, 32768)]
    odd = [(4096, 4096, k) for k in (128, 256, 512, 1024)] + [(4096, n, 4096) for n in (8, 64, 160, 576, 1000, 3000)]
    odd += [(m, 4096, 4096) for m in (1, 16, 64, 128, 256, 1000, 2561, 3073)] + [(4095, 4097, 4096), (1024,) * 3]
    if quick:
        layers, some, odd = [(32, 48, 64)], [], [(1, 7, 33)]
    cases = [(op, *shape) for shape in layers for op in ("fwd", "dgrad", "wgrad")]
    cases += [("fwd", *shape) for shape in some + odd]
    cases += [("wgrad_acc", *shape) for shape in layers if shape[0] == 8192]
    return shuffled({"op": op, "m": m, "n": n, "k": k, "mode": "burst"} for op, m, n, k in cases)


def fp8_grid(quick: bool) -> Iterator[dict[str, Any]]:
    """The fp8 cases: product, quantise pass and both as bursts; one shape sustained, with either accumulation."""
    shapes = [(8192, 8192, 8192), (8192, 28672, 4096), (8192, 4096, 14336), (2048, 6144, 4096), (16384, 8192, 28672)]
    shapes = [(32, 48, 64)] if quick else shapes
    for scaling in QUANTISE:
        for m, n, k in shapes:
            shape = {"scaling": scaling, "m": m, "n": n, "k": k}
            for what in ("fp8", "quantise", "fp8+quantise"):
                yield {"what": what, "fast_accum": True, "mode": "burst"} | shape
        for fast in (True, False):
            m, n, k = shapes[0]
            yield {"what": "fp8", "fast_accum": fast, "mode": "sustained", "scaling": scaling, "m": m, "n": n, "k": k}


def main() -> None:
    """Run the long cases, then fp8, then as much of the wide grid as the budget allows."""
    bench = Bench("gemm", parse_args(__doc__))
    for case in long_grid(bench.quick):
        bench.run(bf16_case, what="gemm", dtype="bf16", layout=LAYOUT[case["op"]], **case)
    for case in fp8_grid(bench.quick):
        bench.run(fp8_case, dtype="e4m3", layout="NT", **case)
    for case in wide_grid(bench.quick):
        bench.run(bf16_case, what="gemm", dtype="bf16", layout=LAYOUT[case["op"]], **case)


if __name__ == "__main__":
    main()
