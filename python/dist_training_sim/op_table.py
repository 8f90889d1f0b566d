"""The ops of a step, one by one: FLOPs, bytes and seconds of each pass of each op, as the core prices them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, overload

from . import _core
from ._display import table_html
from .units import format_bytes, format_count, format_seconds

__all__ = ["OpTable", "StepOp"]

_KINDS = {"grouped_matmul": "expert matmul", "conv2d": "convolution", "cross_entropy": "loss"}
_SHOWN = 12


@dataclass(frozen=True, slots=True)
class StepOp:
    """One pass of one op, as a rank runs it.

    Attributes
    ----------
    block, name
        Block of the model, and op in it.
    kind
        matmul, expert matmul, attention, norm, activation, elementwise ...
    op_pass
        forward, recompute, data_grad or weight_grad.
    dtype
        Type it computes in.
    runs
        How often a device runs it in a step: layers times micro-batches, divided by the pipeline stages.
    flops, bytes, time_s
        Of one run: FLOPs (causal attention counted half), bytes its kernels read and write in device memory, and their
        seconds. Seconds include casts to narrow types; the bytes do not.
    """

    block: str
    name: str
    kind: str
    op_pass: str
    dtype: str
    runs: float
    flops: float
    bytes: float
    time_s: float

    @property
    def total_s(self) -> float:
        """Seconds of a step that a device spends on it, averaged over the pipeline stages."""
        return self.runs * self.time_s

    @property
    def intensity(self) -> float:
        """FLOPs per byte."""
        return self.flops / self.bytes if self.bytes else 0.0

    @property
    def achieved_flops(self) -> float:
        """FLOP/s."""
        return self.flops / self.time_s

    def to_dict(self) -> dict[str, Any]:
        """Plain data, what follows from it included."""
        stated = {f.name: getattr(self, f.name) for f in fields(self)}
        return stated | {name: getattr(self, name) for name in ("total_s", "intensity", "achieved_flops")}


class OpTable(Sequence[StepOp]):
    """Every pass of every op of a step, in the order of the model; priced when first read.

    Forward rows sum to the forward time of the step's breakdown, gradients to its backward time, but for casts of
    weights to narrow types and for matmuls that a framework cuts into pieces to overlap them with collectives.
    """

    def __init__(self, job: Mapping[str, Any]) -> None:
        self._job = job  # what the core takes

    @cached_property
    def _rows(self) -> tuple[StepOp, ...]:
        stages = self._job["strategy"].pp
        return tuple(_row(op, stages) for op in _core.step_ops(**self._job))

    @cached_property
    def peak_flops(self) -> dict[str, float]:
        """Peak of the device in FLOP/s, by each type that ops with FLOPs compute in."""
        device, types = self._job["device"], dict.fromkeys(op.dtype for op in self._rows if op.flops)
        return {name: device.rate(_core.DType[name.upper()]).peak_flops for name in types}

    @cached_property
    def memory_Bps(self) -> float:
        """Memory bandwidth of the device, bytes/s."""
        return float(self._job["device"].hbm_Bps)

    @overload
    def __getitem__(self, index: int) -> StepOp: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[StepOp]: ...
    def __getitem__(self, index: int | slice) -> StepOp | Sequence[StepOp]:
        return self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[StepOp]:
        return iter(self._rows)

    def longest(self, count: int) -> list[StepOp]:
        """The rows that take most of the step, the longest first."""
        return sorted(self._rows, key=lambda op: -op.total_s)[:count]

    def __getstate__(self) -> dict[str, Any]:
        """Priced rows: what the core takes cannot be pickled."""
        priced = {name: getattr(self, name) for name in ("_rows", "peak_flops", "memory_Bps")}
        return priced | {"_job": None}

    def __repr__(self) -> str:
        return f"<{len(self)} op passes, {format_seconds(sum(op.total_s for op in self))} of kernels>"

    def _repr_html_(self) -> str:
        head = ("op", "pass", "time in a step", "FLOP", "bytes", "FLOP/B", "FLOP/s")
        rows = [
            (op.name, op.op_pass, format_seconds(op.total_s), format_count(op.flops), format_bytes(op.bytes),
             f"{op.intensity:.3g}", format_count(op.achieved_flops))
            for op in self.longest(_SHOWN)
        ]  # fmt: skip
        return table_html(repr(self).strip("<>"), head, rows)


def _row(op: _core.StepOp, stages: int) -> StepOp:
    kind = op.kind.name.lower()
    return StepOp(
        block=op.block,
        name=op.name,
        kind=_KINDS.get(kind, kind),
        op_pass=op.pass_.name.lower(),
        dtype=op.dtype.name.lower(),
        runs=op.runs / stages,
        flops=op.flops,
        bytes=op.bytes,
        time_s=op.time_s,
    )
