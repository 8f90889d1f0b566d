"""Which kernel a row measured, its FLOPs by the source's convention, and how the compute model prices it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .. import _core
from ..errors import ConfigError, MissingDataError, Problems
from .corpus import Row

__all__ = ["Kernel", "back_to_back", "family_of", "kernel_of"]

Pass, DType, Clock = _core.GemmPass, _core.DType, _core.Clock
Price = Callable[[_core.DeviceSpec], float]
PREFILL = "inference kernel that also writes the key-value cache: reported, not scored"
SIMT = "fp32 outside tensor cores: reported, not scored"
BEST_SHAPE = "the best of many shapes: reported, not scored"
_KNOWN = "gemm, linear, bmm, simumax sdp_fwd, FlashAttention-2, cuDNN, cross_entropy (liger), rms_norm (liger)"
_LAUNCH_S = 2.5e-6  # of a kernel alone, 4.3 us, beyond 1.8 us in a graph (dogacel.github.io, 2026-03-14, B200)
_CONTROLLER_S = 5e-3  # calls longer than this run at the sustained clock (docs/guide/compute.md, burst and sustained)
_SIMUMAX_LAYOUT = {"TN": Pass.FORWARD, "NN": Pass.DATA_GRAD, "NT": Pass.WEIGHT_GRAD}
_SIMUMAX_STAGE = {"fwd": Pass.FORWARD, "bwd_grad_act": Pass.DATA_GRAD, "bwd_grad_w": Pass.WEIGHT_GRAD}
_FLASH = {"FlashAttention-1": "fa1", "FlashAttention-2": "fa2", "FlashAttention-3": "fa3", "cuDNN": "cudnn"}
_DTYPES = {"fp32": DType.FP32, "fp16": DType.FP16, "bf16": DType.BF16, "fp8": DType.FP8, "mxfp8": DType.FP8}


@dataclass(frozen=True)
class Kernel:
    """One measured kernel.

    Attributes
    ----------
    flops
        By the source's convention, to turn its rate into a time; 0 where it states a time.
    price
        Device → seconds.
    attention
        Name of the attention kernel; empty for the device's own.
    apart
        Why it is not scored; empty where it is.
    """

    flops: float
    price: Price
    attention: str = ""
    apart: str = ""


def kernel_of(row: Row) -> Kernel:
    """Kernel of a row.

    Raises
    ------
    ConfigError, MissingDataError
        Naming the kernel that cannot be priced, or the sizes that the row lacks.
    """
    name = row.text("kernel")
    for pattern, _, make in _KINDS:
        if re.search(pattern, name):
            return make(row)
    raise ConfigError(f"kernel: got {name[:80]!r}, expected one that the compute model prices alone, such as {_KNOWN}")


def family_of(name: str) -> str:
    """Family of a kernel by its name: matmul, grouped matmul, attention, unfused attention, memory-bound, other."""
    return next((family for pattern, family, _ in _KINDS if re.search(pattern, name)), "other")


def _sizes(row: Row, *names: str) -> list[float]:
    found = {name: row.number(f"shape.{name}") for name in names}
    problems = Problems()
    for name, value in found.items():
        if not value or value <= 0:
            problems.add(f"shape.{name}", value, "a positive size")
    problems.raise_if_any()
    return [float(value or 0) for value in found.values()]


def _size_or(row: Row, name: str, default: float) -> float:
    return default if row.number(f"shape.{name}") is None else _sizes(row, name)[0]


def _dtype(row: Row) -> _core.DType:
    return _DTYPES.get(re.split(r"[ /]", row.text("dtype"))[0], DType.BF16)


def back_to_back(price: Callable[[_core.DeviceSpec, _core.Clock], float]) -> Price:
    """Time in a row of equal calls: short ones end before the power controller lowers the clock."""

    def blended(device: _core.DeviceSpec) -> float:
        burst, sustained = price(device, Clock.BURST), price(device, Clock.SUSTAINED)
        return float(burst + (sustained - burst) / (1 + (_CONTROLLER_S / burst) ** 1.7))

    return blended


def _gemm(row: Row, apart: str = "") -> Kernel:
    m, n, k = _sizes(row, "m", "n", "k")
    batch, dtype = _size_or(row, "b", 1.0), _dtype(row)
    shape, out = _core.GemmShape(m, n, k, batch), 4.0 if dtype is DType.FP32 else 2.0
    price = back_to_back(lambda d, clock: _core.gemm_time_s(d, dtype, shape, Pass.FORWARD, out, clock))
    apart = SIMT if dtype is DType.FP32 else apart
    return Kernel(2 * batch * m * n * k, price, apart=apart)


def _training_gemm(row: Row) -> Kernel:
    """Loops of a training library's matmul by layout; weight gradients may add to an fp32 sum."""
    m, n, k = _sizes(row, "m", "n", "k")
    batch, kind = _size_or(row, "b", 1.0), _SIMUMAX_LAYOUT.get(row.text("shape.layout"))
    if kind is None:
        raise MissingDataError("shape.layout: expected TN, NN or NT")
    out = (4.0 if row.text("shape.out_dtype") == "fp32" else 2.0) * (1 + _is_true(row, "shape.accumulate"))
    shape = _core.GemmShape(m, n, k, batch)
    return Kernel(2 * batch * m * n * k, lambda d: _core.gemm_time_s(d, DType.BF16, shape, kind, out, Clock.SUSTAINED))


def _is_true(row: Row, path: str) -> bool:
    return row.text(path) == "True" or row.flag(path) is True


def _training_grouped(row: Row) -> Kernel:
    groups, m, n, k = _sizes(row, "ng", "M", "N", "K")
    kind = _SIMUMAX_STAGE.get(row.text("shape.stage"))
    if kind is None:
        raise MissingDataError("shape.stage: expected fwd, bwd_grad_act or bwd_grad_w")
    weight = kind is Pass.WEIGHT_GRAD
    forward = _core.GemmShape(m, k, n) if kind is Pass.DATA_GRAD else _core.GemmShape(m, n, k)
    shape, out = _core.pass_shape(forward, kind), 8.0 if weight else 2.0

    def price(device: _core.DeviceSpec) -> float:
        return _core.grouped_gemm_time_s(
            *(device, DType.BF16, groups, shape, kind, out, _core.GROUPED_MULTI_STREAM, Clock.SUSTAINED)
        )

    return Kernel(2 * groups * m * n * k, price)


def _deepgemm_grouped(row: Row) -> Kernel:
    groups, m, n, k = _sizes(row, "groups", "m_per_group", "n", "k")
    return _grouped(row, groups, _core.GemmShape(m, n, k), (Pass.FORWARD,))


def _torchao_grouped(row: Row) -> Kernel:
    groups, total, n, k = _sizes(row, "groups", "total_m", "n", "k")
    name = row.text("kernel")
    passes: tuple[_core.GemmPass, ...] = (Pass.FORWARD, Pass.DATA_GRAD, Pass.WEIGHT_GRAD)
    if "fwd+bwd" not in name:
        passes = (Pass.WEIGHT_GRAD,) if "wgrad" in name else (Pass.DATA_GRAD,) if "dgrad" in name else (Pass.FORWARD,)
    if row.text("dtype").startswith("mxfp8 (incl"):
        raise ConfigError("kernel: conversion passes of a grouped mxfp8 matmul have no price of their own")
    return _grouped(row, groups, _core.GemmShape(total / groups, n, k), passes)


def _grouped(row: Row, groups: float, forward: _core.GemmShape, passes: tuple[_core.GemmPass, ...]) -> Kernel:
    dtype = _dtype(row)

    def price(device: _core.DeviceSpec, clock: _core.Clock) -> float:
        return sum(
            _core.grouped_gemm_time_s(
                *(device, dtype, groups, _core.pass_shape(forward, kind), kind, 2.0, _core.GROUPED_SINGLE_LAUNCH, clock)
            )
            for kind in passes
        )

    flops = 2 * groups * forward.m * forward.n * forward.k * len(passes)
    return Kernel(flops, back_to_back(price))


def _attention_shape(row: Row) -> _core.AttentionShape:
    batch, heads, length, dim = _sizes(row, "batch", "heads", "seqlen", "head_dim")
    shape = _core.AttentionShape()
    shape.batch, shape.heads, shape.kv_heads = batch, heads, _size_or(row, "kv_heads", heads)
    shape.q_len = shape.kv_len = length
    shape.qk_dim = shape.v_dim = dim
    shape.causal = row.flag("shape.causal") is not False
    return shape


def _passes(row: Row) -> tuple[bool, ...]:
    return (False, True) if row.text("pass") in ("fwd+bwd", "full") else (False,)


def _attention_flops(row: Row, shape: _core.AttentionShape) -> float:
    square = 4 * shape.q_len**2 * shape.qk_dim * shape.heads * shape.batch
    return square * (3.5 if len(_passes(row)) == 2 else 1.0) * (0.5 if shape.causal else 1.0)


def _flash(row: Row, kernel: str = "", apart: str = "") -> Kernel:
    shape, passes = _attention_shape(row), _passes(row)
    kernel = kernel or _FLASH[row.text("kernel")]

    def price(device: _core.DeviceSpec) -> float:
        return sum(
            _core.flash_attention_time_s(device, DType.BF16, shape, backward, True, Clock.BURST) for backward in passes
        )

    return Kernel(_attention_flops(row, shape), price, kernel, apart)


def _unfused(row: Row) -> Kernel:
    shape, passes = _attention_shape(row), _passes(row)
    moved = _core.UnfusedAttentionBytes()
    mask = 4.0 if shape.causal else 0.0  # a kernel of its own that reads and writes the scores; no dropout here
    moved.forward_bytes_per_score, moved.backward_bytes_per_score = 8.0 + mask, 14.0 + mask
    return Kernel(
        _attention_flops(row, shape),
        lambda d: sum(_core.unfused_attention_time_s(d, DType.BF16, shape, backward, moved) for backward in passes),
    )


def _training_attention(row: Row) -> Kernel:
    """Causal attention in training loops; the source counts the FLOPs of the whole square."""
    batch, length, heads, qk, v = _sizes(row, "batch", "seq_len", "head_num", "qk_head_dim", "v_head_dim")
    backward = row.text("kernel").endswith("bwd")
    shape = _core.AttentionShape()
    shape.batch, shape.heads, shape.kv_heads = batch, heads, _size_or(row, "kv_head_num", heads)
    shape.q_len = shape.kv_len = length
    shape.qk_dim, shape.v_dim, shape.causal = qk, v, True
    return Kernel(
        2 * length**2 * (qk + v) * heads * batch * (2.5 if backward else 1.0),
        lambda d: _core.flash_attention_time_s(d, DType.BF16, shape, backward, True, Clock.SUSTAINED),
        "cudnn",
    )


def _tokens_by_width(row: Row) -> tuple[float, float, float]:
    """Rows, columns and bytes per element of a Liger benchmark."""
    try:
        config: dict[str, Any] = json.loads(row.text("shape.cfg") or "{}")
    except ValueError:
        config = {}
    value, axis = row.number("shape.value") or 0.0, row.text("shape.x")
    rows = config.get("M") or (config.get("B") or 0) * (config.get("T") or 0)
    if not value or axis not in ("N", "H", "V") or not isinstance(rows, (int, float)) or not rows:
        raise MissingDataError("shape: the sizes of the benchmark are not known")
    return float(rows), value, 4.0 if "32" in str(config.get("dtype", "torch.float32")) else 2.0


def _cross_entropy(row: Row) -> Kernel:
    rows, vocabulary, element = _tokens_by_width(row)
    fused = "liger" in row.text("kernel")
    moved = sum(_core.cross_entropy_bytes_per_logit(fused, element, backward) for backward in _passes(row))
    return Kernel(0.0, lambda d: _core.stream_time_s(d, moved * rows * vocabulary))


def _fused_rows(tensors: float) -> Callable[[Row], Kernel]:
    """Fused kernels over rows, forward: each tensor is moved once."""

    def make(row: Row) -> Kernel:
        if row.text("pass") != "forward":
            raise ConfigError("kernel: a Triton autograd function backward is bound by its host, not by one op")
        return _over_rows(row, (tensors,))

    return make


# torch.nn.LayerNorm (pytorch/pytorch aten/src/ATen/native/cuda/layer_norm_kernel.cu), tensors moved by each kernel.
# Forward: moments, then the result, each from the input. Backward: two sums from input and gradient, then the result
# from both; gradients of weight and bias from both once more.
_LAYER_NORM = {"forward": (3.0,), "backward": (5.0, 2.0), "full": (3.0, 5.0, 2.0)}


def _layer_norm(row: Row) -> Kernel:
    return _over_rows(row, _LAYER_NORM.get(row.text("pass"), ()))


def _over_rows(row: Row, tensors: tuple[float, ...]) -> Kernel:
    """Kernels launched one by one, each with the tensors of rows x width elements that it moves."""
    rows, width, element = _tokens_by_width(row)
    moved = [count * element * rows * width for count in tensors]
    return Kernel(0.0, lambda d: sum(_LAUNCH_S + _core.norm_time_s(d, each) for each in moved))


def _quantise(row: Row) -> Kernel:
    """Conversion to MXFP8 along one dimension."""
    sizes = [float(size) for size in re.findall(r"\d+", row.text("shape.shape"))]
    if not sizes or row.text("dtype") != "mxfp8":
        raise MissingDataError("shape.shape, dtype: expected sizes such as 8x2048x7168, and mxfp8")
    return Kernel(0.0, lambda d: _core.quantise_time_s(d, _core.QuantiseRecipe.MXFP8, math.prod(sizes)))


_KINDS: tuple[tuple[str, str, Callable[[Row], Kernel]], ...] = (
    (r"^(gemm|linear|bmm)( \(|$)", "matmul", _gemm),
    (r"^matmul \(best shape", "matmul", lambda row: _gemm(row, BEST_SHAPE)),
    (r"^DeepGEMM Normal", "matmul", _gemm),
    (r"^simumax matmul$", "matmul", _training_gemm),
    (r"^DeepGEMM Grouped", "grouped matmul", _deepgemm_grouped),
    (r"^grouped_gemm|^mxfp8 scaled_grouped_mm", "grouped matmul", _torchao_grouped),
    (r"^simumax group_matmul$", "grouped matmul", _training_grouped),
    (r"^simumax sdp_", "attention", _training_attention),
    (r"^context attention", "attention", lambda row: _flash(row, "cudnn", PREFILL)),
    (r"^(FlashAttention-[123]|cuDNN)$", "attention", _flash),
    (r"^pytorch_unfused$", "unfused attention", _unfused),
    (r"^cross_entropy \(", "memory-bound", _cross_entropy),
    (r"^(rms_norm|layer_norm|softmax) \(liger\)$", "memory-bound", _fused_rows(2.0)),
    (r"^fused_add_rms_norm \(liger_fused", "memory-bound", _fused_rows(4.0)),
    (r"^layer_norm \(huggingface\)$", "memory-bound", _layer_norm),
    (r"^memory-bound: quantize", "memory-bound", _quantise),
)
