"""Calculations printed in public material, each redone through the package.

Sources: the scaling book (jax-ml/scaling-book at 0819a7d), stas00/ml-engineering, the Ultra-Scale Playbook (Hugging
Face), Korthikanti et al. arXiv:2205.05198, Narayanan et al. arXiv:2104.04473, bigscience-workshop/bigscience and
EleutherAI/cookbook. Numbers are those that the source prints or that its formula gives; the id names the row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dist_training_sim as dts
import pytest
from dist_training_sim import Cluster, ComputeModel, Device, Model, OpProfile, Strategy, _core
from dist_training_sim._convert import to_core
from dist_training_sim.models import Block, LayerRun, ops, transformer
from dist_training_sim.verbs.memory_timeline import CATEGORIES

DAY = 86400.0


def _roofline(peak: float = 1e15, bandwidth: float = 1e12, efficiency: float = 1.0) -> ComputeModel:
    """A device that reaches its stated rates, without any kernel floor."""
    made = ComputeModel(
        1, "custom", peak_flops=peak, memory_bandwidth=bandwidth, efficiency=efficiency, memory_efficiency=1.0
    )
    spec = made.device(0)
    spec.memory.kernel_floor_s = 0.0
    return ComputeModel(1, device=spec)


def _stream_s(size: float, bandwidth: float) -> float:
    return _roofline(bandwidth=bandwidth).op_time_s(OpProfile(0, size))


def _math_s(flops: float, peak: float, efficiency: float = 1.0) -> float:
    return _roofline(peak, efficiency=efficiency).op_time_s(OpProfile(flops, 0))


def _critical_batch(peak: float, bandwidth: float, bytes_per_weight: float) -> float:
    """Batch at which 2 B D F of math takes as long as streaming D F weights."""
    return bytes_per_weight * _stream_s(1, bandwidth) / _math_s(2, peak)


def _training_flops(parameters: float, tokens: float) -> float:
    return _core.training_flops(to_core(Model.generic(parameters, 0)), 1).causal * tokens


def _one(model: Model, **options: Any) -> dts.Result:
    """One step on one GPU; the layout of a model's FLOPs does not matter to it."""
    seq_len = options.pop("seq_len", None)
    cluster = Cluster(Cluster.from_catalog("dgx-h100").node.replace(devices=1), 1)
    return dts.simulate(model, cluster, Strategy(**options), seq_len=seq_len, framework="ideal")


def _executed_flops(parameters: float, recompute: str) -> float:
    """Hardware FLOPs of one row of a model known by its size."""
    return float(_one(Model.generic(parameters, 0), recompute=recompute)._core_result.hardware_flops)


def _dense(layers: int, hidden: int, ffn: int, vocabulary: int, heads: int) -> Model:
    block = transformer.llama_block(hidden, heads, heads, ffn)
    return transformer.language_model("dense", [block] * layers, hidden, vocabulary)


def _gpt(layers: int, hidden: int, heads: int) -> Model:
    """Megatron GPT with whole attention squares, as Korthikanti et al. count them."""
    mixer = transformer.Attention(heads, heads, hidden // heads, qkv_bias=True, out_bias=True, rope=False, causal=False)
    feed = transformer.Mlp(4 * hidden, "gelu", bias=True)
    block = transformer.pre_norm_block("layer", hidden, mixer, feed, norm=transformer.LAYER)
    return transformer.language_model("gpt", [block] * layers, hidden, 51200, tied=True)


def _recomputed_share(layers: int, hidden: int, heads: int) -> float:
    """FLOPs of recomputing core attention over those of forward and backward."""
    result = _one(_gpt(layers, hidden, heads), recompute="selective", seq_len=2048)
    return result.hfu / result.mfu - 1


def _published_hfu_over_mfu(layers: int, hidden: int, heads: int) -> float:
    """Korthikanti et al. add s/6h to 1 + s/6h + V/12hL for recomputed attention: three passes where one runs."""
    return 1 + 3 * _recomputed_share(layers, hidden, heads)


def _attention_length(hidden: int) -> float:
    """Sequence length at which a whole attention square costs as much as its four projections."""

    def flops(listed: tuple[Any, ...], seq_len: float) -> float:
        model = Model(name="part", stem=Block("stem"), layers=(LayerRun(Block("b", listed), 1),), head=Block("head"),
                      hidden=hidden)  # fmt: skip
        return _core.training_flops(to_core(model), seq_len).full

    projections = tuple(ops.matmul(name, hidden, hidden, input="block") for name in ("q", "k", "v", "o"))
    square = (ops.attention("attention", hidden / 128, hidden / 128, 128),)
    return flops(projections, 1) / flops(square, 1)  # one grows with T, the other with T^2


def _waves(blocks: int, sms: int) -> float:
    """Waves of `blocks` 128 x 256 output tiles: time over that of a single one, multiprocessors alike."""

    def seconds(tiles: int, count: int) -> float:
        spec = ComputeModel(1).device(0)
        rate = spec.rate(_core.DType.BF16)
        rate.peak_flops, rate.burst_share, rate.sustained_share = 1e12 * count, 1.0, 1.0
        spec.sm_count, spec.hbm_Bps = count, 1e30
        gemm = spec.gemm
        gemm.floor_s, gemm.wave_quantisation, gemm.overlap_power = 0.0, 1.0, 8.0
        gemm.small_tile_rate = gemm.tiny_tile_rate = 1e-3  # library tiles below 128 x 256 never win
        return ComputeModel(1, device=spec).matmul_time_s(128 * tiles, 256, 64)  # k too short to be split

    return seconds(blocks, sms) / seconds(1, sms)


def _tiles(m: int, n: int) -> int:
    """Output tiles of a GEMM: the smallest machine on which they make one wave."""
    spec = ComputeModel(1).device(0)
    spec.hbm_Bps = 1e30
    spec.gemm.floor_s, spec.gemm.wave_quantisation = 0.0, 1.0
    spec.gemm.small_tile_rate = spec.gemm.tiny_tile_rate = 1e-3

    def seconds(sms: int) -> float:
        spec.sm_count = sms
        spec.rate(_core.DType.BF16).peak_flops = 1e12 * sms
        return ComputeModel(1, device=spec).matmul_time_s(m, n, 64)

    low, high, single = 1, 2**17, seconds(2**17)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if seconds(middle) < 1.5 * single else (middle + 1, high)
    return low


def _pod(host: str, nodes: int, hbm: str) -> dict[str, float]:
    cluster = Cluster.from_catalog(host, nodes=nodes)
    device = cluster.node.device.replace(hbm_bytes=hbm)
    return {
        "hosts": cluster.nodes,
        "cores": cluster.device_count * (device.sm_count or 0),
        "flops": cluster.device_count * device.peak("bf16"),
        "hbm_tb": cluster.device_count * (device.hbm_bytes or 0) / 1e12,
    }


def _interleaved_bubble() -> float:
    node = Cluster.from_catalog("dgx-h100").node
    strategy = Strategy(pp=8, vpp=2, dp=1, micro_batch=2**16, global_batch=32 * 2**16)  # hops take nothing beside this
    result = dts.simulate(Model.generic(1e9, 0), Cluster(node, 1), strategy, framework="ideal")
    stage = result.stage_breakdowns[3]
    return stage["pipeline_s"] / (stage["forward_s"] + stage["backward_s"])


def _selective_saving() -> float:
    """Share of GPT-3's layer activations that selective recomputation drops (unfused attention)."""
    model = Model.from_catalog("gpt3-175b")
    cluster = Cluster(Cluster.from_catalog("dgx-a100-80gb").node, 12)

    def kept(recompute: str) -> float:
        strategy = Strategy(pp=96, dp=1, tp=1, global_batch=1, recompute=recompute)
        stages = dts.memory_timeline(model, cluster, strategy, seq_len=2048, framework="megatron-lm-2021")
        return float(stages[50].bytes[:, CATEGORIES.index("activations")].max())

    return 1 - kept("selective") / kept("none")


def _selective_cost() -> float:
    """Recomputed FLOPs of GPT-3 over those of a forward pass, a third of all."""
    return 3 * _recomputed_share(96, 12288, 96)


def _accumulation() -> int:
    strategy = Strategy(dp=128, micro_batch=2, global_batch=1024)
    return dts.simulate("gpt2", "16xdgx-h100", strategy, seq_len=1024).micro_batches


Row = tuple[str, Callable[[], Any], Any, float]
EXAMPLES: list[Row] = [
    ("we-001", lambda: _stream_s(2 * 200e9 / 32, 1.2e12), 0.01042, 0.05),
    ("we-002", lambda: _pod("tpu-v5e-host", 32, "16 GB"),
     {"hosts": 32, "cores": 256, "flops": 5.1e16, "hbm_tb": 4.1}, 0.02),
    ("we-003", lambda: _pod("tpu-v5p-host", 2240, "96 GB"),
     {"hosts": 2240, "cores": 17920, "flops": 4.113e18, "hbm_tb": 860.2}, 0.02),
    ("we-004", lambda: _critical_batch(920e12, 15e9, 2), 61330, 0.05),
    ("we-005", lambda: _critical_batch(197e12, 820e9, 1), 120.1, 0.05),
    ("we-006", lambda: _critical_batch(394e12, 820e9, 1), 240.2, 0.05),
    ("we-022", lambda: _math_s(65.536e12, 312e12, 0.5), 0.4201, 0.02),
    ("we-024", lambda: _training_flops(70.4e9, 15e12), 6.336e24, 0.02),
    ("we-025", lambda: _training_flops(70.4e9, 1), 4.224e11, 0.02),
    ("we-026", lambda: _math_s(6.3e24 / 8960, Device.from_catalog("tpu-v5p").peak("bf16"), 0.4) / DAY, 44.32, 0.03),
    ("we-027", lambda: _math_s(6.3e24, Device.from_catalog("tpu-v5p").peak("bf16")) / DAY / 365, 435.2, 0.02),
    ("we-029", lambda: _attention_length(4096), 8192, 0),
    ("we-032", lambda: _dense(40, 5120, 13824, 32000, 40).parameters, 13.02e9, 0.003),
    ("we-033", lambda: _dense(64, 4096, 16384, 32000, 32).parameters, 17.44e9, 0.02),
    ("we-058", lambda: ops.embedding("tokens", 250880, 14336).parameters, 3596615680, 0),
    ("we-062", lambda: _math_s(_executed_flops(13e9, "full") * 300e9 / 256, 45e12) / DAY, 31.35, 0.02),
    ("we-065", lambda: _published_hfu_over_mfu(48, 6144, 64), 0.437 / 0.415, 0.02),
    ("we-067", lambda: _published_hfu_over_mfu(105, 20480, 128), 0.570 / 0.560, 0.02),
    ("we-068", lambda: _published_hfu_over_mfu(128, 25600, 160), 0.570 / 0.563, 0.02),
    ("we-069", lambda: 156e12 / Device.from_catalog("a100-sxm4-80gb").peak("bf16"), 0.5, 0),
    ("we-070", lambda: 400e12 / Device.from_catalog("h100-sxm5-80gb").peak("bf16"), 0.4044, 0.001),
    ("we-071", lambda: Device.from_catalog("h100-sxm5-80gb").peak("bf16") / 1e12, 989.43, 0.003),
    ("we-072", lambda: Device.from_catalog("a100-sxm4-80gb").peak("bf16") / 1e12, 311.869, 0.003),
    ("we-073", lambda: Device.from_catalog("mi355x").peak("bf16") / 1e12, 2516.58, 0.003),
    ("we-076", lambda: Device.from_catalog("gaudi2").peak("bf16") / 1e12, 432.538, 0.003),
    ("we-077", lambda: Device.from_catalog("gaudi3").peak("bf16") / 1e12, 1677.72, 0.003),
    ("we-079", lambda: {"148": _waves(148, 148), "152": _waves(148, 152)}, {"148": 1, "152": 1}, 1e-3),
    ("we-080", lambda: {"148": _waves(152, 148), "152": _waves(152, 152)}, {"148": 2, "152": 1}, 1e-3),
    ("we-082", lambda: {"148": _waves(304, 148), "152": _waves(304, 152)}, {"148": 3, "152": 2}, 1e-3),
    ("we-084", lambda: {"148": _waves(50000, 148), "152": _waves(50000, 152)}, {"148": 338, "152": 329}, 1e-3),
    ("we-085", lambda: _tiles(8192, 14336), 3584, 0),
    ("we-087", _interleaved_bubble, 0.1094, 0.001),
    ("we-108", lambda: {"hbm": _stream_s(16e9, 810e9), "math": _math_s(270e9, 197e12)},
     {"hbm": 0.01975, "math": 0.001371}, 0.06),
    ("we-110", lambda: _critical_batch(197e12, 17.82e12, 2), 11.43, 0.1),
    ("we-115", lambda: _executed_flops(52e9, "full") * 2048 * 1024 / (127 * 64) / 1e12, 107.3, 0.001),
    ("we-117", lambda: _training_flops(7e9, 1e12), 4.2e22, 0),
    ("we-120", _accumulation, 4, 0),
    ("we-123", lambda: {"saved": _selective_saving(), "cost": _selective_cost()}, {"saved": 0.70, "cost": 0.027}, 0.01),
]  # fmt: skip

# Rows that other tests of this folder redo.
ELSEWHERE = {
    "test_communication.py": "010 012 013 015 017 018 019 020 021 023 099 104 105",
    "test_memory.py": "040 042 044 045 046 047 048 050 119 124",
}

# Rows that ask something the package does not answer.
NOT_APPLICABLE = {
    "inference: key-value caches and serving": "035 039",
    "arithmetic on given bytes or counts, no model behind it": "016 055 090 103",
    "a collective over two torus axes at once; classic algorithms take one group": "009",
    "loading an array over the PCIe links of its hosts before training": "106",
    "an optimizer recipe without gradients (10 bytes a parameter)": "053",
    "closed forms for the best mix of FSDP and tensor parallelism on a TPU mesh, no job": "092 093 094",
    "a measured throughput loss whose model and layout the source does not state": "121",
    "failures, checkpoints and energy or money: no such model yet": "127 128 129 130 132 133 134 136 137 138 140",
}

ALL_ROWS = (
    "001 002 003 004 005 006 009 010 012 013 015 016 017 018 019 020 021 022 023 024 025 026 027 029 032 033 035 "
    "039 040 042 044 045 046 047 048 050 053 055 058 062 065 067 068 069 070 071 072 073 076 077 079 080 082 084 "
    "085 087 090 092 093 094 099 103 104 105 106 108 110 115 117 119 120 121 123 124 127 128 129 130 132 133 134 "
    "136 137 138 140"
)


@pytest.mark.parametrize(
    ("compute", "answer", "tolerance"), [row[1:] for row in EXAMPLES], ids=[row[0] for row in EXAMPLES]
)
def test_worked_example(compute: Callable[[], Any], answer: Any, tolerance: float) -> None:
    assert compute() == pytest.approx(answer, rel=tolerance or 1e-12)


def test_every_row_is_redone_or_listed_with_a_reason() -> None:
    here = [row[0].removeprefix("we-") for row in EXAMPLES]
    rest = [*ELSEWHERE.values(), *NOT_APPLICABLE.values()]
    rows = here + [row for group in rest for row in group.split()]
    assert sorted(rows) == ALL_ROWS.split(), "each row once"
