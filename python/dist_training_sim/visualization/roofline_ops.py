"""What a roofline draws: ops as they are given, or those of a result, added up over a step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ConfigError, Problems
from ..op_table import OpTable, StepOp
from .inputs import Floats
from .records import column, read_records

__all__ = ["RooflineOps", "read_ops", "table_of"]

_PASSES = {"forward": "forward", "recompute": "forward", "data_grad": "data gradient", "weight_grad": "weight gradient"}


@dataclass(frozen=True)
class RooflineOps:
    """Names, kinds, FLOPs, bytes and seconds of ops that compute something, and the seconds of those that do not."""

    names: list[str]
    kinds: list[str]
    flops: Floats
    bytes: Floats
    time_s: Floats
    others_s: float


def table_of(given: object) -> OpTable | None:
    """The op table that was given, or that of a result; None of plain records."""
    table = given if isinstance(given, OpTable) else getattr(given, "ops", None)
    return table if isinstance(table, OpTable) else None


def read_ops(given: object) -> RooflineOps:
    """Ops to draw, checked."""
    table = table_of(given)
    rows = read_records("ops", _totals(table) if table is not None else given)  # type: ignore[arg-type]
    drawn = [row for row in rows if row.get("flops") != 0]
    if not drawn:
        raise ConfigError("ops: got none with FLOPs, expected at least one")
    amounts = {name: column("ops", drawn, name) for name in ("flops", "bytes", "time_s")}
    problems = Problems()
    for name, values in amounts.items():
        for i in np.flatnonzero(values <= 0)[:3].tolist():
            problems.add(f"ops[{i}].{name}", float(values[i]), "a finite number > 0")
    problems.raise_if_any()
    idle = [row for row in rows if row.get("flops") == 0]
    return RooflineOps(
        [str(row.get("name", "")) for row in drawn],
        [str(row.get("kind", "ops")) for row in drawn],
        **amounts,
        others_s=float(column("ops", idle, "time_s").sum()) if idle else 0.0,
    )


def _totals(table: Iterable[StepOp]) -> list[Mapping[str, Any]]:
    """Over a step; recomputation is the forward pass once more."""
    sums: dict[tuple[str, str, str], dict[str, Any]] = {}
    for op in table:
        words = _PASSES[op.op_pass]
        row = sums.setdefault(
            (op.block, op.name, words),
            {"name": f"{op.name}, {words}", "kind": op.kind, "flops": 0.0, "bytes": 0.0, "time_s": 0.0},
        )
        for name in ("flops", "bytes", "time_s"):
            row[name] += op.runs * getattr(op, name)
    return list(sums.values())
