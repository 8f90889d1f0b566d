"""Predicted beside measured for published runs of different kinds, each within 20 %; no constant is per run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import dist_training_sim as dts
import pytest
from dist_training_sim.models import Model

WITHIN = 0.20


def gpt(layers: int, hidden: int, heads: int) -> Model:
    return Model.from_hf(
        {
            "model_type": "gpt2",
            "n_embd": hidden,
            "n_layer": layers,
            "n_head": heads,
            "n_inner": 4 * hidden,
            "vocab_size": 51200,
            "n_positions": 2048,
            "attn_pdrop": 0.1,
            "resid_pdrop": 0.1,
            "embd_pdrop": 0.1,
        }
    )


def llama(layers: int, hidden: int, heads: int, kv_heads: int, ffn: int) -> Model:
    return Model.from_hf(
        {
            "model_type": "llama",
            "hidden_size": hidden,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "num_key_value_heads": kv_heads,
            "intermediate_size": ffn,
            "vocab_size": 128256,
        }
    )


def mpt(layers: int, hidden: int, heads: int) -> Model:
    return Model.from_hf(
        {
            "model_type": "mpt",
            "d_model": hidden,
            "n_layers": layers,
            "n_heads": heads,
            "expansion_ratio": 4,
            "max_seq_len": 2048,
            "vocab_size": 50368,
            "no_bias": True,
        }
    )


@dataclass(frozen=True)
class Run:
    """One published run: what it was, and what its source measured."""

    name: str
    kind: str
    source: str
    model: Model | str
    cluster: str
    strategy: dts.Strategy
    seq_len: int
    framework: str
    measured_s: float
    cluster_changes: tuple[tuple[str, Any], ...] = ()


NO_OVERLAP: dict[str, Any] = {"overlap_grad_reduce": False, "overlap_param_gather": False}
RUNS = [
    Run(
        "Llama-3-8B, 8 x H100 500 W",
        "FSDP, torch.compile, per-op recomputation",
        "torchtitan, Llama 3.1 H100 benchmarks, Dec 2024, table 1",
        "llama-3-8b",
        "1xtorchtitan-h100-96gb",
        dts.Strategy(zero=3, micro_batch=2, global_batch=16, recompute="selective"),
        8192,
        "torchtitan",
        2.4575,
    ),
    Run(
        "GPT-145B, 1,536 x A100",
        "tensor + interleaved pipeline, full recomputation, unfused attention, fp16",
        "Narayanan et al. arXiv:2104.04473, table 1",
        gpt(80, 12288, 96),
        "192xdgx-a100-80gb",
        dts.Strategy(
            tp=8,
            pp=8,
            vpp=2,
            dp=24,
            micro_batch=2,
            global_batch=2304,
            recompute="full",
            precision="fp16",
            sequence_parallel=False,
            **NO_OVERLAP,
        ),
        2048,
        "megatron-lm-2021",
        24.81737,
    ),
    Run(
        "GPT-175B, 64 x A100",
        "sequence parallel, selective recomputation",
        "Korthikanti et al. arXiv:2205.05198, table 5",
        gpt(96, 12288, 96),
        "8xdgx-a100-80gb",
        dts.Strategy(
            tp=8, pp=8, vpp=3, micro_batch=1, global_batch=64, recompute="selective", precision="fp16", **NO_OVERLAP
        ),
        2048,
        "megatron-lm-2022",
        13.75,
    ),
    Run(
        "MPT-13B, 16 x H100",
        "FSDP1, eager",
        "MosaicML llm-foundry, MPT training benchmarks",
        mpt(40, 5120, 40),
        "2xdgx-h100",
        dts.Strategy(zero=3, micro_batch=2, global_batch=32),
        2048,
        "llm-foundry",
        0.85915,
    ),
    Run(
        "Llama-3-70B cut to 12 layers, 8 x B200",
        "tensor parallel, nothing overlapped, bf16",
        "SimuMax v1.2, B200 real-vs-perf table",
        llama(12, 8192, 64, 8, 28672),
        "1xdgx-b200",
        dts.Strategy(tp=4, dp=2, zero=1, micro_batch=1, global_batch=64, **NO_OVERLAP),
        4096,
        "megatron-core",
        2.9646,
    ),
    Run(
        "Llama-3.1-405B, 1,024 x H100",
        "tensor, interleaved pipeline, context parallel, fp8",
        "Megatron-Bridge performance summary 26.02",
        "llama-3.1-405b",
        "128xdgx-h100",
        dts.Strategy(tp=8, pp=8, vpp=8, cp=2, zero=1, micro_batch=1, global_batch=1536, precision="fp8"),
        8192,
        "megatron-core",
        39.51,
    ),
    Run(
        "DeepSeek-V2 cut to 4 layers, 8 x B200",
        "mixture of experts, expert parallel",
        "SimuMax v1.2, B200 real-vs-perf table",
        Model.from_hf(
            {
                "model_type": "deepseek_v2",
                "hidden_size": 5120,
                "num_hidden_layers": 4,
                "num_attention_heads": 128,
                "num_key_value_heads": 128,
                "intermediate_size": 12288,
                "moe_intermediate_size": 1536,
                "n_routed_experts": 160,
                "num_experts_per_tok": 6,
                "n_shared_experts": 2,
                "first_k_dense_replace": 0,
                "vocab_size": 102400,
                "q_lora_rank": 1536,
                "kv_lora_rank": 512,
                "qk_nope_head_dim": 128,
                "qk_rope_head_dim": 64,
                "v_head_dim": 128,
            }
        ),
        "1xdgx-b200",
        dts.Strategy(ep=8, zero=1, micro_batch=1, global_batch=64, **NO_OVERLAP),
        4096,
        "megatron-core",
        0.6762,
    ),
]


def predict(run: Run) -> dts.Result:
    return dts.simulate(run.model, run.cluster, run.strategy, seq_len=run.seq_len, framework=run.framework)


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_published_run_is_predicted(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    result = predict(run)
    error = result.step_time_s / run.measured_s - 1
    with capsys.disabled():
        print(  # noqa: T201 - the table is what this test shows
            f"\n  {run.name:40s} predicted {result.step_time_s:8.3f} s  measured {run.measured_s:8.3f} s  {error:+6.1%}"
            f"  ({run.kind}; {run.source})"
        )
    assert abs(error) <= WITHIN


def test_peak_memory_of_a_published_run() -> None:
    """torchtitan prints 77.0 GiB reserved for the 8B run on 8 GPUs with torch.compile."""
    assert predict(RUNS[0]).peak_memory.reserved_bytes / 2**30 == pytest.approx(77.0, rel=0.05)
