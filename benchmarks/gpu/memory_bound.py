"""Memory-bound operations of a training step: time and the rate of the bytes they must move.

    python memory_bound.py --out data                       # on a GPU
    python memory_bound.py --device cpu --quick --out tmp   # dry run

`bytes` is the least a fused kernel moves: every input read once, every output written once, at the dtype stated in
OPS below (bytes per element of the main tensor). An eager composition of several kernels moves more, which shows as
a lower `bytes_per_s`. `form` is eager, compiled (torch.compile) or native (one library kernel). A few small sizes
give the fixed time t0; the large ones give the bandwidth share e.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from harness import Bench, Call, copies, measure, parse_args

Tensors = list[torch.Tensor]
Op = Callable[..., torch.Tensor]


def rms_norm(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """RMSNorm as models write it: statistics in fp32."""
    wide = x.float()
    return (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-5)).to(x.dtype) * weight


def rope(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotary embedding in the half-split form; x is rows x heads x 128."""
    left, right = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-right, left), dim=-1) * sin


def cross_entropy(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Loss on bf16 logits through an fp32 copy."""
    return F.cross_entropy(logits.float(), target)


@dataclass(frozen=True)
class Case:
    """An operation, its inputs for (rows, cols), and bytes per element of rows x cols, forward and backward."""

    op: Op
    inputs: Callable[[torch.device, int, int], Tensors]
    forward: float
    backward: float = 0
    forms: tuple[str, ...] = ("eager",)
    leaves: int | None = None  # how many inputs take a gradient: all, unless stated


def rand(device: torch.device, *sizes: int, dtype: torch.dtype = torch.bfloat16) -> torch.Tensor:
    """A random tensor."""
    return torch.randn(sizes, device=device, dtype=dtype)


def one(device: torch.device, rows: int, cols: int) -> Tensors:
    return [rand(device, rows, cols)]


def two(device: torch.device, rows: int, cols: int) -> Tensors:
    return [rand(device, rows, cols), rand(device, rows, cols)]


def wide(device: torch.device, rows: int, cols: int) -> Tensors:
    return [rand(device, rows, cols, dtype=torch.float32)]


def weighted(device: torch.device, rows: int, cols: int) -> Tensors:
    return [rand(device, rows, cols), rand(device, cols)]


def rotary(device: torch.device, rows: int, cols: int) -> Tensors:
    head = min(128, cols)
    return [rand(device, rows, cols // head, head), rand(device, rows, 1, head), rand(device, rows, 1, head)]


def labelled(device: torch.device, rows: int, cols: int) -> Tensors:
    return [rand(device, rows, cols), torch.randint(cols, (rows,), device=device)]


def table(device: torch.device, rows: int, cols: int) -> Tensors:
    vocab = 128256 if device.type == "cuda" else 64
    return [torch.randint(vocab, (rows,), device=device), rand(device, vocab, cols)]


BOTH = ("eager", "compiled")
NATIVE_RMS: Op = lambda x, w: F.rms_norm(x, (x.shape[-1],), w)  # noqa: E731
LAYER_NORM: Op = lambda x, w: F.layer_norm(x, (x.shape[-1],), w)  # noqa: E731
OPS = {
    "copy": Case(lambda x: x.clone(), one, 4),
    "add": Case(torch.add, two, 6),
    "cast_to_fp32": Case(lambda x: x.float(), one, 6),
    "cast_to_bf16": Case(lambda x: x.bfloat16(), wide, 6),
    "accumulate_fp32": Case(lambda total, x: total.add_(x), lambda d, r, c: wide(d, r, c) + one(d, r, c), 10),
    "zero_fill": Case(lambda x: x.zero_(), one, 2),
    "abs_max": Case(lambda x: x.abs().amax(), one, 2, forms=BOTH),
    "gelu": Case(F.gelu, one, 4, 6),
    "rms_norm": Case(rms_norm, weighted, 4, 6, BOTH),
    "rms_norm_native": Case(NATIVE_RMS, weighted, 4, 6, ("native",)),
    "layer_norm": Case(LAYER_NORM, weighted, 4, 6, ("native", "compiled")),
    "swiglu": Case(lambda gate, up: F.silu(gate) * up, two, 6, 10, BOTH),
    "rope": Case(rope, rotary, 4, 4, BOTH, leaves=1),
    "softmax": Case(lambda x: torch.softmax(x, dim=-1), one, 4, 6),
    "cross_entropy": Case(cross_entropy, labelled, 2, 4, BOTH),
    "embedding": Case(F.embedding, table, 4, 4),
    "dropout": Case(lambda x: F.dropout(x, 0.1), one, 5, 5),
}


def op_call(bench: Bench, case: Case, op: Op, part: str, rows: int, cols: int) -> Call:
    """One call of one pass on its own inputs."""
    inputs = case.inputs(torch.device(bench.device), rows, cols)
    if part == "fwd":
        return lambda: op(*inputs)
    leaves = [tensor for tensor in inputs if tensor.is_floating_point()][: case.leaves]
    for leaf in leaves:
        leaf.requires_grad_()
    kept = op(*inputs)
    grad = torch.randn_like(kept)
    return lambda: torch.autograd.grad(kept, leaves, grad, retain_graph=True)


def op_case(bench: Bench, what: str, form: str, part: str, rows: int, cols: int, mode: str, **_: Any) -> dict[str, Any]:
    """One measurement of one operation."""
    case = OPS[what]
    torch._dynamo.reset()
    if form == "compiled":  # a compiled backward may reuse its saved tensors: keep them for the repeats
        torch._functorch.config.donated_buffer = False
    op = torch.compile(case.op, dynamic=False) if form == "compiled" else case.op
    moved = (case.forward if part == "fwd" else case.backward) * rows * cols
    if what == "embedding" and part == "bwd":
        moved += 2 * (128256 if bench.device == "cuda" else 64) * cols  # the dense gradient is filled first
    calls = [op_call(bench, case, op, part, rows, cols) for _ in range(copies(moved, bench.quick))]
    result = measure(bench, calls, mode, graph=part == "fwd")
    return result | {"bytes": round(moved), "bytes_per_s": round(moved / result["time_us"] * 1e6)}


def sizes(what: str, quick: bool) -> list[tuple[int, int]]:
    """(rows, cols) for one operation."""
    if quick:
        return [(16, 128)]
    if what == "cross_entropy":
        return [(2048, 128256), (8192, 128256), (8192, 32000)]
    if what == "softmax":
        return [(32768, 2048), (131072, 4096)]
    big = [(8192, 4096), (8192, 8192), (16384, 14336)]
    return [(64, 4096), (512, 4096), (2048, 4096), *big] if what in ("copy", "rms_norm", "swiglu") else big


def grid(quick: bool) -> Iterator[dict[str, Any]]:
    """Every operation in every form, pass and size; streaming sustained last."""
    for what, case in OPS.items():
        for form in case.forms:
            for part in ("fwd", "bwd") if case.backward else ("fwd",):
                for rows, cols in sizes(what, quick):
                    yield {"what": what, "form": form, "part": part, "rows": rows, "cols": cols, "mode": "burst"}
    rows, cols = sizes("add", quick)[-1]
    for what in ("copy", "add"):
        yield {"what": what, "form": "eager", "part": "fwd", "rows": rows, "cols": cols, "mode": "sustained"}


def main() -> None:
    """Run the grid."""
    bench = Bench("memory_bound", parse_args(__doc__))
    for case in grid(bench.quick):
        bench.run(op_case, dtype="bf16", **case)


if __name__ == "__main__":
    main()
