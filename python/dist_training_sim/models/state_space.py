"""Mixers whose state does not grow with the sequence: Mamba-2, Mamba-1 and gated delta networks, as parts of blocks.

Their recurrences are computed chunk by chunk with matrix products. Symbols of the FLOP counts, per token and forward:
H heads, P features of a head's values, N of its state, G groups that share keys and queries, Q tokens of a chunk.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from . import ops
from .op import Op, OpKind, Sharding

__all__ = ["GatedDelta", "Mamba1", "Mamba2", "scan"]

FP32 = 4


def scan(
    name: str,
    heads: float,
    head_dim: float,
    state: float,
    groups: float,
    *,
    flops_per_row: float,
    bytes_per_row: float,
    in_features: float,
    saved_bytes_per_row: float = 0,
) -> Op:
    """Recurrence over the sequence, known by its forward FLOPs and bytes per token.

    Backward computes the states again and takes 2.5 times both; the states are not kept. Heads are split over tp, and
    exchanged for the sequence where context parallelism splits it.
    """
    return Op(
        name=name,
        kind=OpKind.SCAN,
        sharding=Sharding.HEADS,
        in_features=in_features,
        out_features=heads * head_dim,
        heads=heads,
        kv_heads=groups,
        qk_head_dim=state,
        v_head_dim=head_dim,
        flops_per_row=flops_per_row,
        forward_bytes_per_element=bytes_per_row / in_features,
        backward_bytes_per_element=bytes_per_row / in_features,
        saved_bytes_per_row=saved_bytes_per_row,
    )


def _conv(name: str, channels: float, kernel: int) -> Op:
    """Short causal convolution of each channel and its SiLU: 4 B forward, 6 B backward, `kernel` weights and a bias."""
    return ops.elementwise(
        name,
        channels,
        4,
        6,
        Sharding.HEADS,
        saves_input=True,
        extra_parameters=channels * (kernel + 1),
    )


@dataclass(frozen=True)
class Mamba2:
    """State-space duality layer (Dao & Gu 2024, arXiv:2405.21060) with grouped B and C and a gated norm.

    FLOPs (§6, algorithm of listing 1): C B' within chunks 2 Q N G, their product with x 2 Q P H, both on the causal
    half; states of chunks 2 N P H and outputs from states 2 N P H. Bytes (mamba_ssm `ssd_combined.py`): x, B, C and dt
    read by two kernels, y written; fp32 states of each chunk written, read and written by the passing, read; C B' in
    fp32 written and read.
    """

    heads: int
    head_dim: int
    state: int
    groups: int = 1
    conv: int = 4
    chunk: int = 256
    bias: bool = False
    conv_bias: bool = True

    def ops(self, hidden: int, reads: str) -> list[Op]:
        """Projection to z, x, B, C, dt → convolution → scan → gate and norm → projection."""
        inner, shared = self.heads * self.head_dim, 2 * self.groups * self.state
        mixed = inner + shared
        conv = _conv("conv", mixed, self.conv if self.conv_bias else self.conv - 1)
        return [
            ops.matmul("in_proj", hidden, inner + mixed + self.heads, Sharding.COLUMN, bias=self.bias, input=reads),
            conv,
            self._scan(mixed),
            # the gate: read y and z, write; backward reads y, z and the gradient and writes two
            ops.elementwise("gate", inner, 6, 10, Sharding.HEADS, saves_input=True),
            ops.norm("gate_norm", inner, sharding=Sharding.HEADS),
            ops.matmul("out_proj", inner, hidden, Sharding.ROW, bias=self.bias),
        ]

    def _scan(self, mixed: float) -> Op:
        h, p, n, g, q = self.heads, self.head_dim, self.state, self.groups, self.chunk
        flops = q * n * g + q * p * h + 4 * n * p * h
        moved = 2 * 2 * mixed + 2 * h * p + 4 * FP32 * h * p * n / q + 2 * FP32 * g * q
        made = scan("scan", h, p, n, g, flops_per_row=flops, bytes_per_row=moved, in_features=mixed,
                    saved_bytes_per_row=FP32 * h)  # fmt: skip
        return _with_parameters(made, 3 * h)  # A, D and the bias of dt, one per head


@dataclass(frozen=True)
class Mamba1:
    """Selective scan of Mamba-1 (Gu & Dao 2023, arXiv:2312.00752) with the norms that Jamba puts on dt, B and C.

    The scan is elementwise: 9 FLOP per feature and state element (exponential, decay, input, sum, output), one kernel
    that reads x, dt, z, B and C and writes y, states in registers; backward computes them again.
    """

    inner: int
    state: int
    dt_rank: int
    conv: int = 4
    norms: bool = False

    def ops(self, hidden: int, reads: str) -> list[Op]:
        """Projection to x, z → convolution → dt, B, C from x → scan with the gate → projection."""
        d, n, r = self.inner, self.state, self.dt_rank
        normed = [ops.norm("dt_norm", r, input="x_proj")] if self.norms else []
        norms = [ops.norm("state_norm", 2 * n, input="x_proj")] if self.norms else []
        recurrence = scan(
            "scan", d, 1, n, d, flops_per_row=9 * d * n, bytes_per_row=2 * 4 * d + 2 * 2 * n, in_features=d
        )
        return [
            ops.matmul("in_proj", hidden, 2 * d, Sharding.COLUMN, input=reads),
            _conv("conv", d, self.conv),
            ops.matmul("x_proj", d, r + 2 * n, Sharding.ROW),
            *norms,
            *normed,
            ops.matmul("dt_proj", r, d, Sharding.COLUMN, bias=True, input="dt_norm" if self.norms else ""),
            _with_parameters(recurrence, d * n + d),  # A and D
            ops.matmul("out_proj", d, hidden, Sharding.ROW),
        ]


@dataclass(frozen=True)
class GatedDelta:
    """Gated delta network (Yang et al. 2024, arXiv:2412.06464) as in Qwen3-Next: q, k of `key_heads`, v of `heads`.

    FLOPs of the chunked form (arXiv:2406.06484 §3, K key and V value features): K K' and its inverse 2 Q K + Q^2, the
    two products with it 2 Q (K + V), the state read for values and queries and updated 6 K V, Q K' and its product with
    the values 2 Q (K + V), those of a chunk on the causal half. Bytes: q, k, v and two gates read twice, two
    intermediates of their size written and read, the output written, states of each chunk written and read in fp32.
    """

    heads: int
    key_heads: int
    key_dim: int
    value_dim: int
    conv: int = 4
    chunk: int = 64

    def ops(self, hidden: int, reads: str) -> list[Op]:
        """Projection to q, k, v, z and two gates → convolution → scan → gated norm → projection."""
        keys, values = self.key_heads * self.key_dim, self.heads * self.value_dim
        mixed = 2 * keys + values
        return [
            ops.matmul("in_proj", hidden, mixed + values + 2 * self.heads, Sharding.COLUMN, input=reads),
            ops.elementwise("conv", mixed, 4, 6, Sharding.HEADS, saves_input=True, extra_parameters=mixed * self.conv),
            self._scan(mixed),
            _head_norm(values, self.value_dim),
            ops.elementwise("gate", values, 6, 10, Sharding.HEADS, saves_input=True),
            ops.matmul("out_proj", values, hidden, Sharding.ROW),
        ]

    def _scan(self, mixed: float) -> Op:
        h, k, v, q = self.heads, self.key_dim, self.value_dim, self.chunk
        flops = h * (q * k + q * q / 2 + 2 * q * (k + v) + 6 * k * v)
        moved = 2 * 2 * mixed + 2 * 2 * 2 * h * (k + v) + 2 * h * v + 2 * FP32 * h * k * v / q
        made = scan("scan", h, v, k, self.key_heads, flops_per_row=flops, bytes_per_row=moved, in_features=mixed,
                    saved_bytes_per_row=2 * FP32 * h)  # fmt: skip
        return _with_parameters(made, 2 * h)  # decay and its bias, one per head


def _head_norm(features: float, head_dim: float) -> Op:
    """Norm of each head with one gain for all of them."""
    return ops.norm("gate_norm", features, groups=features / head_dim, sharding=Sharding.HEADS)


def _with_parameters(op: Op, parameters: float) -> Op:
    return replace(op, extra_parameters=parameters)
