"""What `dts cost` says of published runs: device-hours, failures, checkpoints, power (docs/guide/cost.md).

python benchmarks/corpus/cost_anchors.py      print the table; refresh.py writes it into the guide
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import dist_training_sim as dts
from dist_training_sim.catalog import cost as catalog

__all__ = ["ANCHORS", "Anchor", "table", "write"]

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "cost.md"
HOUR_S = 3600.0


@dataclass(frozen=True)
class Anchor:
    """A published figure, what is predicted for it, and how far that may be off."""

    what: str
    published: float
    unit: str
    predicted: Callable[[], float]
    tolerance: float
    source: str


@cache
def llama() -> dts.CostReport:
    layout = dts.Strategy(tp=8, pp=16, vpp=4, global_batch=2048, zero=1, embedding_as_layer=True, loss_as_layer=True)
    return dts.cost("llama-3.1-405b", "2048xdgx-h100", layout, seq_len=8192, tokens=15.6e12)


@cache
def deepseek() -> dts.CostReport:
    layout = dts.Strategy(
        pp=16, ep=64, global_batch=15360, zero=1, precision="fp8", fp8_recipe="blockwise",
        schedule="dualpipe", moe_dispatcher="deepep", layers_per_stage=(4,) * 15 + (1,),
    )  # fmt: skip
    return dts.cost("deepseek-v3", "256xhgx-h800", layout, seq_len=4096, tokens=14.8e12)


def deepseek_hours() -> float:
    return deepseek().device_hours / 1e6


@cache
def bloom() -> dts.CostReport:
    layout = dts.Strategy(tp=4, pp=12, global_batch=2048, micro_batch=2, zero=1, recompute="full")
    job: dict[str, Any] = {"seq_len": 2048, "tokens": 366e9, "framework": "megatron-deepspeed"}
    return dts.cost("bloom-176b", "48xdgx-a100-80gb", layout, **job, carbon_kg_per_kwh=0.057, pue=1.0)


def bloom_hours() -> float:
    return bloom().device_hours / 1e6


@cache
def wall_w(model: str, cluster: str, seq_len: int, **layout: Any) -> float:
    """Power at the wall per device, fp8 under NeMo 25 as in MLPerf Training."""
    strategy = dts.Strategy(zero=1, precision="fp8", **layout)
    energy = dts.cost(model, cluster, strategy, seq_len=seq_len, tokens=1e9, framework="nemo-25").energy
    assert energy is not None
    return energy.node_w


def gpt3_w() -> float:
    return wall_w("gpt3-175b", "64xdgx-h100", 2048, tp=4, pp=8, vpp=6, global_batch=2048, micro_batch=2)


def llama2_w(cluster: str) -> float:
    return wall_w("llama-2-70b", cluster, 8192, tp=4, cp=2, global_batch=8)


def rsc_h(devices: int) -> float:
    return catalog.time_between_failures("ampere")[0] / devices


def hopper_h(devices: int) -> float:
    return catalog.time_between_failures("hopper")[0] / devices


def carbon_t(device_hours: float) -> float:
    """At 400 W a device and without a site, as the model card of Llama 2 counts."""
    return float(device_hours * 0.4 * catalog.section("carbon")["kg_per_kWh"] / 1e3)


LLAMA3, BLOOM, MLPERF = "arXiv:2407.21783", "bigscience-workshop/bigscience chronicles", "MLPerf Training 4.0, 5.0"
ANCHORS = (
    Anchor("Llama 3.1 405B, 15.6 T tokens on 16,384 H100", 30.84, "M device-h", lambda: llama().device_hours / 1e6, 0.1,
           "model card of Llama 3.1"),
    Anchor("its time between failures", 3.09, "h", lambda: llama().goodput.mtbf_s / HOUR_S, 0.01, LLAMA3),
    Anchor("its failures in 54 days", 419, "", lambda: 54 * 86400 / llama().goodput.mtbf_s, 0.01, LLAMA3),
    Anchor("DeepSeek-V3, 14.8 T tokens, 2,048 H800", 2.664, "M device-h", deepseek_hours, 0.1,
           "arXiv:2412.19437"),
    Anchor("BLOOM, 366 B tokens on 384 A100 (restarts by hand)", 1.083, "M device-h", bloom_hours, 0.3,
           "arXiv:2211.02001"),
    Anchor("its checkpoint", 2.3, "TB", lambda: bloom().goodput.checkpoint_bytes / 1e12, 0.1, BLOOM),
    Anchor("time to write it", 40, "s", lambda: bloom().goodput.checkpoint_s, 0.5, BLOOM),
    Anchor("its time between failures of GPUs", 7, "days", lambda: bloom().goodput.mtbf_s / 86400, 0.6, BLOOM),
    Anchor("16,384 A100, time between failures", 1.8, "h", lambda: rsc_h(16_384), 0.01, "arXiv:2410.21680"),
    Anchor("131,072 A100, time between failures", 0.23, "h", lambda: rsc_h(131_072), 0.03, "arXiv:2410.21680"),
    Anchor("100,000 H100, time between failures", 18, "min", lambda: hopper_h(100_000) * 60, 0.75, "arXiv:2602.00277"),
    Anchor("400 servers of 8 for 349 days, faults", 584, "", lambda: 3200 * 8375.5 / hopper_h(1), 0.15,
           "stepfun-ai/InfiniteHBD-Trace"),
    Anchor("512 H100 on GPT-3, wall power per device", 856.0, "W", gpt3_w, 0.1, MLPERF),
    Anchor("8 H100 on Llama 2 70B", 893.1, "W", lambda: llama2_w("1xdgx-h100"), 0.1, MLPERF),
    Anchor("8 B200 on Llama 2 70B", 1197.8, "W", lambda: llama2_w("1xdgx-b200"), 0.1, MLPERF),
    Anchor("512 H100 for 56.88 min", 415.4, "kWh", lambda: gpt3_w() * 512 * 56.88 * 60 / 3.6e6, 0.1, MLPERF),
    Anchor("CO2 of Llama 2 7B at 400 W a device", 31.22, "t", lambda: carbon_t(184_320), 0.05, "model card of Llama 2"),
    Anchor("CO2 of all Llama 2", 539, "t", lambda: carbon_t(3_311_616), 0.05, "model card of Llama 2"),
)  # fmt: skip


def table() -> str:
    """The table of the guide."""
    lines = ["| figure | published | predicted | error | source |", "|---|--:|--:|--:|---|"]
    for anchor in ANCHORS:
        value = anchor.predicted()
        figures = (
            f"{anchor.published:.4g} {anchor.unit}".strip() + f" | {value:.4g} | {value / anchor.published - 1:+.0%}"
        )
        lines.append(f"| {anchor.what} | {figures} | {anchor.source} |")
    return "\n".join(lines) + "\n"


def write() -> None:
    """Put the table into the guide in place of the one that stands there."""
    text = PAGE.read_text(encoding="utf-8")
    start = text.index("| figure | published |")
    PAGE.write_text(text[:start] + table() + text[text.index("\n\n", start) + 1 :], encoding="utf-8")


if __name__ == "__main__":
    sys.stdout.write(table())
