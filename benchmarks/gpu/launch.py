"""What a kernel launch costs: on the host, on an idle stream, and inside a CUDA graph.

    python launch.py --out data                       # on a GPU
    python launch.py --device cpu --quick --out tmp   # dry run (host and stream times alike, no graphs)

  host_us     host time to issue one call, with the device held busy so that the host never waits
  stream_us   time of one call in a long run of calls: the larger of host and device time
  graph_us    time of one call inside a replayed CUDA graph
  kernels     device kernels that one call launches, where the profiler can count them
`what` is op (tiny operations, size 64 x 64), layer (one Llama layer on 64 tokens of hidden size 256, host-bound by
far: its host_us is the host floor of a layer) or replay (host time of one graph replay, by kernels in the graph).
"""

from __future__ import annotations

import time
from typing import Any

import torch
import torch.nn.functional as F
from harness import Bench, Call, graphed, parse_args
from llama import Block, Config

TINY = Config(hidden=256, ffn=896, heads=8, kv_heads=2, layers=1, vocab=64, seq=64)


def host_us(bench: Bench, call: Call, times: int) -> float:
    """Host time of one call while the device is held by a spinning kernel."""
    bench.sync()
    if bench.device == "cuda":
        torch.cuda._sleep(200_000_000)  # cycles: about 0.1 s
    start = time.perf_counter()
    for _ in range(times):
        call()
    spent = time.perf_counter() - start
    bench.sync()
    return spent / times * 1e6


def kernels(bench: Bench, call: Call) -> int | None:
    """How many kernels one call launches."""
    if bench.device == "cpu":
        return None
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as record:
        call()
        bench.sync()
    return sum(1 for event in record.events() if event.device_type.name == "CUDA")


def launch_case(bench: Bench, call: Call, times: int, capture: bool) -> dict[str, Any]:
    """All costs of one call; the median of seven repeats each."""
    for _ in range(5):
        call()

    def median(read: Any) -> float:
        return round(sorted(read() for _ in range(7))[3], 3)

    record: dict[str, Any] = {"host_us": median(lambda: host_us(bench, call, times))}
    record["stream_us"] = median(lambda: bench.elapsed_s(call, 10 * times) / (10 * times) * 1e6)
    record["time_us"] = record["stream_us"]
    if capture and bench.device == "cuda":
        replay = graphed(bench, call, times)
        replay()
        record["graph_us"] = median(lambda: bench.elapsed_s(replay) / times * 1e6)
    return record | {"kernels": kernels(bench, call), "iters": 10 * times}


def tiny_ops(device: str) -> dict[str, tuple[Call, bool]]:
    """Name to (call, whether it can be captured)."""
    x, y, w = (torch.randn(64, 64, device=device, dtype=torch.bfloat16) for _ in range(3))
    q = torch.randn(1, 4, 64, 64, device=device, dtype=torch.bfloat16)
    leaf = torch.randn(64, 64, device=device, dtype=torch.bfloat16, requires_grad=True)
    chain = leaf
    for _ in range(20):
        chain = F.linear(chain, leaf)
    eager = F.silu(leaf) * leaf
    compiled = torch.compile(lambda a, b: F.silu(a) * b + a, dynamic=False)
    grad = torch.ones_like(x)
    return {
        "add_": (lambda: x.add_(y), True),
        "mul": (lambda: x * y, True),
        "linear": (lambda: F.linear(x, w), True),
        "linear, recorded for autograd": (lambda: F.linear(leaf, w), False),
        "layer_norm": (lambda: F.layer_norm(x, (64,)), True),
        "softmax": (lambda: torch.softmax(x, -1), True),
        "sdpa": (lambda: F.scaled_dot_product_attention(q, q, q, is_causal=True), True),
        "compiled silu-mul-add": (lambda: compiled(x, y), True),
        "backward of silu-mul": (lambda: torch.autograd.grad(eager, leaf, grad, retain_graph=True), False),
        "backward of 20 linear": (lambda: torch.autograd.grad(chain, leaf, grad, retain_graph=True), False),
    }


def op_case(bench: Bench, op: str, **_: Any) -> dict[str, Any]:
    """One tiny operation."""
    call, capture = tiny_ops(bench.device)[op]
    many = 20 if "20" in op else 1
    return launch_case(bench, call, 3 if bench.quick else 200 // many, capture)


def layer_case(bench: Bench, form: str, part: str, **_: Any) -> dict[str, Any]:
    """One small Llama layer: the host's work for a layer, which does not depend on its width."""
    block = Block(TINY).to(bench.device, torch.bfloat16)
    run = torch.compile(block, dynamic=False) if form == "compiled" else block
    x = torch.randn(1, TINY.seq, TINY.hidden, device=bench.device, dtype=torch.bfloat16, requires_grad=True)
    angles = torch.randn(2, TINY.seq, TINY.hidden // TINY.heads, device=bench.device, dtype=torch.bfloat16)

    def forward() -> torch.Tensor:
        return run(x, angles[0], angles[1])

    grad = torch.randn_like(x)
    calls = {"fwd": forward, "fwd+bwd": lambda: forward().backward(grad)}
    return launch_case(bench, calls[part], 2 if bench.quick else 5, capture=False)


def replay_case(bench: Bench, kernels_in_graph: int, **_: Any) -> dict[str, Any]:
    """Host time of one graph launch, and device time per kernel in it."""
    x = torch.randn(64, 64, device=bench.device)
    replay = graphed(bench, lambda: x.add_(1.0), kernels_in_graph)
    replay()
    device_us = bench.elapsed_s(replay, 20) / 20 * 1e6
    return {"time_us": round(device_us, 3), "host_us": round(host_us(bench, replay, 10), 3)} | {
        "graph_us": round(device_us / kernels_in_graph, 3)
    }


def main() -> None:
    """Run the three groups."""
    bench = Bench("launch", parse_args(__doc__))
    for op in tiny_ops(bench.device):
        bench.run(op_case, what="op", op=op, dtype="bf16")
    for form in ("eager", "compiled"):
        for part in ("fwd", "fwd+bwd"):
            bench.run(layer_case, what="layer", form=form, part=part, dtype="bf16")
    for count in (10, 100, 1000) if bench.device == "cuda" else ():
        bench.run(replay_case, what="replay", kernels_in_graph=count, dtype="fp32")


if __name__ == "__main__":
    main()
