"""Options of frameworks on recomputation and offloading: read, and written so that they read back."""

from __future__ import annotations

import json
from typing import Any

import dist_training_sim as dts
import pytest
from dist_training_sim import Strategy

MEGATRON = (
    "torchrun --nproc_per_node 8 pretrain_gpt.py --num-layers 32 --hidden-size 4096 --num-attention-heads 32"
    " --seq-length 4096 --max-position-embeddings 4096 --micro-batch-size 1 --global-batch-size 8"
    " --vocab-size 128256 --bf16 "
)


def read(options: str) -> tuple[Strategy, tuple[str, ...]]:
    job = dts.read_job(text=MEGATRON + options, format="megatron-lm")
    return job.strategy, tuple(job.notes)


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        ("--recompute-granularity selective", {"recompute": "selective"}),
        ("--recompute-granularity selective --recompute-modules core_attn", {"recompute": "selective"}),
        (
            "--recompute-granularity selective --recompute-modules layernorm mlp",
            {"recompute": "selective", "recompute_modules": ("layernorm", "mlp")},
        ),
        ("--recompute-granularity full --recompute-method uniform --recompute-num-layers 1", {"recompute": "full"}),
        (
            "--recompute-granularity full --recompute-method uniform --recompute-num-layers 4",
            {"recompute": "full", "recompute_layers": 4},
        ),
        (
            "--recompute-granularity full --recompute-method block --recompute-num-layers 5",
            {"recompute": "full", "recompute_method": "block", "recompute_layers": 5},
        ),
        ("--optimizer-cpu-offload", {"offload_optimizer": "host"}),
        (
            "--fine-grained-activation-offloading --offload-modules core_attn attn_proj",
            {"offload_activations": 1.0, "offload_modules": ("core_attn", "attn_proj")},
        ),
        (
            "--fine-grained-activation-offloading --offload-modules core_attn --activation-offload-fraction 0.5",
            {"offload_activations": 0.5, "offload_modules": ("core_attn",)},
        ),
    ],
)
def test_megatron(options: str, fields: dict[str, Any]) -> None:
    strategy, notes = read(options)
    expected = Strategy(**fields)
    for name in ("recompute", "recompute_modules", "recompute_method", "recompute_layers", "offload_optimizer",
                 "offload_activations", "offload_modules"):  # fmt: skip
        assert getattr(strategy, name) == getattr(expected, name)
    assert not [note for note in notes if "simulated" in note]


def test_a_module_that_is_not_simulated_is_noted() -> None:
    strategy, notes = read("--recompute-granularity selective --recompute-modules mhc layernorm")
    assert strategy == Strategy(
        recompute="selective", recompute_modules="layernorm", global_batch=8,
        overlap_grad_reduce=False, overlap_param_gather=False, sequence_parallel=False,
    )  # fmt: skip
    assert any("simulated without mhc" in note for note in notes)


@pytest.mark.parametrize("format", ["megatron-lm", "megatron-bridge"])
@pytest.mark.parametrize(
    "fields",
    [
        {"recompute": "selective", "recompute_modules": ("layernorm", "mlp")},
        {"recompute": "full", "recompute_method": "block", "recompute_layers": 5},
        {"recompute": "full", "recompute_layers": 4},
        {"offload_optimizer": "host", "offload_activations": 1.0, "offload_modules": ("core_attn",)},
    ],
)
def test_what_is_written_reads_back(format: str, fields: dict[str, Any]) -> None:
    strategy = Strategy(tp=2, zero=1, global_batch=16, **fields)
    written = dts.write_job(format, "llama-3.1-8b", "1xdgx-h100", strategy, seq_len=4096)
    back = dts.read_job(text=written.text, format=format, devices=8).strategy
    for name in fields:
        assert getattr(back, name) == getattr(strategy, name)


def test_torchtitan_recomputes_every_nth_layer() -> None:
    strategy = Strategy(zero=3, recompute="full", recompute_method="every", recompute_layers=3, global_batch=16)
    strategy = strategy.replace(cp_comm="all_gather")
    written = dts.write_job("torchtitan", "llama-3.1-8b", "1xdgx-h100", strategy, seq_len=4096)
    assert "--activation_checkpoint.mode selective" in written.text
    assert "--activation_checkpoint.selective_ac_option 3" in written.text
    back = dts.read_job(text=written.text, format="torchtitan", devices=8).strategy
    assert (back.recompute, back.recompute_method, back.recompute_layers) == (
        strategy.recompute, strategy.recompute_method, 3,
    )  # fmt: skip


def test_deepspeed_names_tiers() -> None:
    offload = {
        "offload_optimizer": {"device": "nvme", "nvme_path": "/local_nvme"},
        "offload_param": {"device": "cpu"},
    }
    job = dts.read_job(text=json.dumps({"zero_optimization": {"stage": 3, **offload}}))
    assert (job.strategy.offload_optimizer, job.strategy.offload_parameters) == (
        dts.OffloadTier.NVME, dts.OffloadTier.HOST,
    )  # fmt: skip
    strategy = Strategy(zero=3, offload_optimizer="nvme", offload_parameters="nvme", global_batch=8)
    text = dts.write_job("deepspeed", "llama-3.1-8b", "1xdgx-h100", strategy, seq_len=4096).text
    back = dts.read_job(text=text, format="deepspeed", devices=8).strategy
    assert back.offload_optimizer is back.offload_parameters is dts.OffloadTier.NVME


@pytest.mark.parametrize(
    ("format", "fields"),
    [
        ("megatron-lm", {"offload_optimizer": "nvme"}),
        ("megatron-lm", {"offload_activations": 1.0}),
        ("megatron-lm", {"recompute": "full", "recompute_method": "every"}),
        ("torchtitan", {"zero": 3, "offload_optimizer": "nvme", "offload_parameters": "nvme"}),
        ("torchtitan", {"recompute": "selective", "recompute_modules": ("mlp",)}),
        ("torchtitan", {"recompute": "full", "recompute_layers": 2}),
        ("nanotron", {"recompute": "full", "recompute_method": "block", "recompute_layers": 2}),
        ("deepspeed", {"offload_optimizer": "remote"}),
    ],
)
def test_what_a_framework_cannot_be_told(format: str, fields: dict[str, Any]) -> None:
    names = [name for name in fields if name not in ("zero", "recompute")]
    with pytest.raises(dts.ConfigError) as raised:
        dts.write_job(format, "llama-3.1-8b", "1xdgx-h100", Strategy(global_batch=8, **fields), seq_len=4096)
    assert any(f"strategy.{name}" in str(raised.value) for name in names)
