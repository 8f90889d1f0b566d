"""Optimizer step: AdamW in its foreach and fused forms, and the passes around it.

    python optimizer.py --out data                       # on a GPU
    python optimizer.py --device cpu --quick --out tmp   # dry run

Parameters are cut into tensors as a Llama of hidden size 4096 is. `bytes` is the least a fused step moves: read
parameter, gradient and both moments, write all but the gradient (28 bytes a parameter in fp32, 14 in bf16);
`bytes_per_param` is what the time amounts to at the copy bandwidth measured first, in the same run.
  adamw           one step, states in the dtype of the parameters
  adamw+copy      a fused fp32 step, then the bf16 copy of the weights (34 bytes)
  clip            gradient norm and scaling, fp32 (12 bytes)
  accumulate      bf16 gradients added to fp32 ones (10 bytes)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from harness import Bench, Call, measure, parse_args

HIDDEN, FFN = 4096, 14336
LAYER = [(6144, HIDDEN), (HIDDEN, HIDDEN), (2 * FFN, HIDDEN), (HIDDEN, FFN), (HIDDEN,), (HIDDEN,)]
FUSED_BYTES = {"adamw": {torch.float32: 28, torch.bfloat16: 14}, "adamw+copy": 34, "clip": 12, "accumulate": 10}
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def parameters(device: str, count: float, dtype: torch.dtype) -> list[torch.Tensor]:
    """Tensors of about `count` elements in all, each with a gradient."""
    made: list[torch.Tensor] = []
    left = int(count)
    while left > 0:
        for shape in LAYER:
            size = min(left, torch.Size(shape).numel())
            if size > 0:
                made.append(torch.randn(size, device=device, dtype=dtype) * 0.02)
            left -= size
    for tensor in made:
        tensor.requires_grad_().grad = torch.randn_like(tensor) * 1e-3
    return made


def pass_call(bench: Bench, what: str, form: str, params: list[torch.Tensor]) -> Call:
    """The pass to be timed."""
    grads = [param.grad for param in params if param.grad is not None]
    if what == "clip":
        return lambda: torch.nn.utils.clip_grad_norm_(params, 1.0, foreach=True)
    if what == "accumulate":
        small = [grad.bfloat16() for grad in grads]
        return lambda: torch._foreach_add_(grads, small)
    step = torch.optim.AdamW(params, lr=1e-4, **{form: True}).step
    if what == "adamw":
        return step
    copies = [param.detach().bfloat16() for param in params]
    weights = [param.detach() for param in params]

    def step_and_copy() -> None:
        step()
        torch._foreach_copy_(copies, weights)

    return step_and_copy


def copy_bandwidth(bench: Bench) -> float:
    """Bytes a second of a large copy, read and written."""
    source = torch.randn(1024 if bench.quick else 1 << 29, device=bench.device)
    target = torch.empty_like(source)
    result = measure(bench, [lambda: target.copy_(source)])
    return 8 * source.numel() / result["time_us"] * 1e6


def pass_case(
    bench: Bench, what: str, form: str, dtype: str, params: float, mode: str, copy_bytes_per_s: float
) -> dict[str, Any]:
    """One measurement, set against the copy bandwidth of the same run."""
    tensors = parameters(bench.device, params, DTYPES[dtype])
    result = measure(bench, [pass_call(bench, what, form, tensors)], mode, graph=False)
    least = FUSED_BYTES[what]
    moved = (least[DTYPES[dtype]] if isinstance(least, dict) else least) * params
    time_s = result["time_us"] / 1e6
    rates = {"bytes": round(moved), "bytes_per_s": round(moved / time_s), "tensors": len(tensors)}
    return result | rates | {"bytes_per_param": round(time_s * copy_bytes_per_s / params, 2)}


def grid(quick: bool) -> Iterator[dict[str, Any]]:
    """Sizes and forms; one size sustained."""
    for params in (1e4,) if quick else (1e8, 5e8, 1e9, 2e9):
        for form in ("foreach", "fused"):
            for dtype in DTYPES:
                yield {"what": "adamw", "form": form, "dtype": dtype, "params": params, "mode": "burst"}
        for what, form in (("adamw+copy", "fused"), ("clip", "foreach"), ("accumulate", "foreach")):
            yield {"what": what, "form": form, "dtype": "fp32", "params": params, "mode": "burst"}
    yield {"what": "adamw", "form": "fused", "dtype": "fp32", "params": params, "mode": "sustained"}


def main() -> None:
    """Measure the copy bandwidth, then run the grid."""
    bench = Bench("optimizer", parse_args(__doc__))
    bandwidth = round(copy_bandwidth(bench))
    bench.free()
    for case in grid(bench.quick):
        bench.run(pass_case, **case, copy_bytes_per_s=bandwidth)


if __name__ == "__main__":
    main()
