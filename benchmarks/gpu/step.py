"""A whole training step of a few Llama layers on one GPU: time by phase, and memory.

    python step.py --out data                       # on a GPU
    python step.py --device cpu --quick --out tmp   # dry run

One micro-batch per step: forward with loss, backward, AdamW (fused). `time_us` is the median step; `fwd_us`,
`bwd_us`, `opt_us` the phases. `tflops` counts model FLOPs (causal attention half, logits in, recompute out).
  mixed      bf16 weights and gradients; fp32 master weights, gradients and moments in the optimizer
  bf16       weights, gradients and moments all bf16
  autocast   fp32 weights, gradients and moments; bf16 products through torch.autocast
Memory, bytes as the caching allocator counts them: `static_bytes` between steps, `saved_bytes` that the forward adds
and leaves, the peaks of each phase, and `reserved_bytes` at the end.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import torch
from harness import Bench, parse_args
from llama import Config, Llama
from torch.nn.attention import SDPBackend, sdpa_kernel

KERNELS = {"flash": SDPBackend.FLASH_ATTENTION, "cudnn": SDPBackend.CUDNN_ATTENTION}


class MixedAdamW:
    """AdamW on fp32 master weights of a bf16 model; the gradients are widened into fp32 before the step."""

    def __init__(self, params: list[torch.nn.Parameter]) -> None:
        self.params = params
        self.masters = [param.detach().float() for param in params]
        for master in self.masters:
            master.grad = torch.zeros_like(master)
        self.inner = torch.optim.AdamW(self.masters, lr=1e-4, fused=True)

    def step(self) -> None:
        """Widen the gradients, step, copy the weights back."""
        torch._foreach_copy_([master.grad for master in self.masters], [param.grad for param in self.params])
        self.inner.step()
        torch._foreach_copy_([param.detach() for param in self.params], self.masters)


class Trainer:
    """A model, its optimizer and one micro-batch of random tokens."""

    def __init__(self, bench: Bench, config: Config, case: dict[str, Any]) -> None:
        self.case = case
        self.device = bench.device
        dtype = torch.float32 if case["precision"] == "autocast" else torch.bfloat16
        with torch.device(bench.device):
            self.model = Llama(config, case["recompute"]).to(dtype)
        params = list(self.model.parameters())
        mixed = case["precision"] == "mixed"
        self.optimizer = MixedAdamW(params) if mixed else torch.optim.AdamW(params, lr=1e-4, fused=True)
        self.run = torch.compile(self.model, dynamic=False) if case["form"] == "compiled" else self.model
        self.tokens = torch.randint(config.vocab, (2, case["micro_batch"], config.seq), device=bench.device)
        self.loss = torch.zeros(())

    def forward(self) -> None:
        """Forward with loss."""
        wide = self.case["precision"] == "autocast"
        cast = torch.autocast(self.device, torch.bfloat16) if wide else contextlib.nullcontext()
        with cast, sdpa_kernel(KERNELS[self.case["attention"]]):
            self.loss = self.run(self.tokens[0], self.tokens[1])

    def backward(self) -> None:
        """Backward; recomputation calls attention again, so the kernel choice holds here too."""
        with sdpa_kernel(KERNELS[self.case["attention"]]):
            self.loss.backward()

    def update(self) -> None:
        """Optimizer step; the gradients are freed."""
        self.optimizer.step()
        self.model.zero_grad(set_to_none=True)

    def phases(self) -> dict[str, Any]:
        """The phases of a step, in order."""
        return {"fwd": self.forward, "bwd": self.backward, "opt": self.update}


def timed_steps(bench: Bench, trainer: Trainer) -> tuple[dict[str, list[float]], float]:
    """Run steps for five seconds; return each phase's times in microseconds, and when the second half began.

    Events of a step are read one step later, so the host keeps running ahead of the device.
    """
    times: dict[str, list[float]] = {name: [] for name in trainer.phases()}
    marks: list[list[Any]] = []
    begin = time.perf_counter()
    while len(marks) < 3 or (not bench.quick and time.perf_counter() - begin < 5):
        marks.append([mark(bench)])
        for phase in trainer.phases().values():
            phase()
            marks[-1].append(mark(bench))
        if bench.device == "cuda" and len(marks) > 1:
            marks[-2][-1].synchronize()
    bench.sync()
    for row in marks:
        for name, first, last in zip(times, row, row[1:], strict=False):
            times[name].append(between_us(first, last))
    return times, (begin + time.perf_counter()) / 2


def mark(bench: Bench) -> Any:
    """A point in time on the device, or on the host in a dry run."""
    if bench.device == "cpu":
        return time.perf_counter()
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def between_us(first: Any, last: Any) -> float:
    """Time between two marks."""
    return (last - first) * 1e6 if isinstance(first, float) else first.elapsed_time(last) * 1e3


def memory(bench: Bench, trainer: Trainer) -> dict[str, int]:
    """Allocated bytes through one step."""
    if bench.device == "cpu":
        return {}
    static = torch.cuda.memory_allocated()
    result = {"static_bytes": static}
    for name, phase in trainer.phases().items():
        torch.cuda.reset_peak_memory_stats()
        phase()
        torch.cuda.synchronize()
        result[f"{name}_peak_bytes"] = torch.cuda.max_memory_allocated()
        if name == "fwd":
            result["saved_bytes"] = torch.cuda.memory_allocated() - static
    return result | {"reserved_bytes": torch.cuda.memory_reserved()}


def step_case(bench: Bench, config: Config, **case: Any) -> dict[str, Any]:
    """Time and memory of one configuration."""
    torch._dynamo.reset()
    trainer = Trainer(bench, config, case)
    for _ in range(3):
        for phase in trainer.phases().values():
            phase()
    bench.sync()
    held = memory(bench, trainer)
    with bench.sampler as sampler:
        start = time.perf_counter()
        times, half = timed_steps(bench, trainer)
        end = time.perf_counter()
    steps = len(times["fwd"])
    kept = {name: sorted(values[steps // 2 :]) for name, values in times.items()}
    whole = sorted(sum(row) for row in list(zip(*times.values(), strict=True))[steps // 2 :])
    pick = lambda values, share: round(values[int(share * (len(values) - 1) + 0.5)], 1)  # noqa: E731
    record = {"time_us": pick(whole, 0.5), "p10_us": pick(whole, 0.1), "p90_us": pick(whole, 0.9)}
    record |= {f"{name}_us": pick(values, 0.5) for name, values in kept.items()}
    record["tflops"] = round(config.flops_per_step(case["micro_batch"]) / record["time_us"] / 1e6, 2)
    params = sum(param.numel() for param in trainer.model.parameters())
    stats = {"params": params, "iters": steps, "duration_s": round(end - start, 2)} | sampler.summary(half, end)
    return record | stats | held


def grid(quick: bool) -> Iterator[tuple[Config, dict[str, Any]]]:
    """Models and the ways to train them; the variants that matter most come first."""
    small, large = (4096, 14336, 32, 8), (8192, 28672, 64, 8)
    base = {"form": "eager", "precision": "mixed", "attention": "flash", "recompute": False, "micro_batch": 1}
    rows: list[tuple[tuple[int, ...], int, int, int, dict[str, Any]]] = [
        (small, 4, 128256, 8192, {}),
        (small, 4, 128256, 8192, {"form": "compiled"}),
        (small, 2, 128256, 8192, {}),
        (large, 2, 32000, 8192, {}),
        (large, 2, 32000, 8192, {"form": "compiled"}),
        (small, 4, 32000, 4096, {}),
        (small, 4, 32000, 4096, {"micro_batch": 2}),
        (small, 4, 32000, 4096, {"micro_batch": 2, "form": "compiled"}),
        (small, 4, 32000, 8192, {"recompute": True}),
        (small, 4, 32000, 8192, {"micro_batch": 2}),
        (small, 4, 32000, 8192, {"micro_batch": 2, "attention": "cudnn"}),
        (small, 4, 32000, 8192, {"precision": "autocast"}),
        (small, 4, 32000, 8192, {"precision": "autocast", "form": "compiled"}),
        (small, 4, 32000, 8192, {"precision": "bf16"}),
        (large, 2, 128256, 4096, {}),
        (large, 2, 32000, 4096, {"micro_batch": 2, "recompute": True}),
    ]
    if quick:
        rows = [((64, 96, 4, 2), 2, 128, 32, changes) for *_, changes in rows if changes.get("attention") != "cudnn"]
    for (hidden, ffn, heads, kv_heads), layers, vocab, seq, changes in rows:
        yield Config(hidden, ffn, heads, kv_heads, layers, vocab, seq), base | changes


def main() -> None:
    """Run the grid."""
    bench = Bench("step", parse_args(__doc__))
    for config, case in grid(bench.quick):

        def run(bench: Bench, config: Config = config, case: dict[str, Any] = case, **_: Any) -> dict[str, Any]:
            return step_case(bench, config, **case)

        bench.run(run, what="step", dtype="bf16", **asdict(config), **case)


if __name__ == "__main__":
    main()
