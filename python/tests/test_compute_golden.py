"""Published kernel times against the formulas at burst clock; each row carries its citation."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from dist_training_sim import _core
from dist_training_sim._convert import to_core
from dist_training_sim.hardware import Device

ROWS: list[dict[str, Any]] = [
    json.loads(line)
    for line in (Path(__file__).parent / "fixtures" / "compute_golden.jsonl").read_text(encoding="utf-8").splitlines()
]
BURST = _core.Clock.BURST


def _gemm_s(spec: _core.DeviceSpec, shape: dict[str, Any]) -> float:
    product = _core.GemmShape(shape["m"], shape["n"], shape["k"])
    return _core.gemm_time_s(spec, _core.DType.BF16, product, _core.GemmPass.FORWARD, 2.0, BURST)


def _attention_s(spec: _core.DeviceSpec, row: dict[str, Any]) -> float:
    given, shape = row["shape"], _core.AttentionShape()
    shape.batch, shape.heads, shape.kv_heads = given["batch"], given["heads"], given["heads"]
    shape.q_len = shape.kv_len = given["seqlen"]
    shape.qk_dim = shape.v_dim = given["head_dim"]
    shape.causal = given["causal"]
    passes = (False, True) if row["pass"] == "fwd+bwd" else (False,)
    return sum(
        _core.flash_attention_time_s(spec, _core.DType.BF16, shape, backward, True, BURST) for backward in passes
    )


def _error(row: dict[str, Any]) -> float:
    device = Device.from_catalog(row["device"])
    if row["op"] == "gemm":
        predicted_s = _gemm_s(to_core(device), row["shape"])
    else:
        predicted_s = _attention_s(to_core(device.with_attention_kernel(row["op"])), row)
    return float(predicted_s * 1e6 / row["time_us"] - 1)


@pytest.mark.parametrize(
    "row", ROWS, ids=lambda r: f"{r['device']}-{r['op']}-{'x'.join(map(str, r['shape'].values()))}"
)
def test_each_row_is_near(row: dict[str, Any]) -> None:
    assert abs(_error(row)) < (0.20 if row["op"] == "gemm" else 0.12), row


def test_median_error_per_group() -> None:
    groups: dict[str, list[float]] = defaultdict(list)
    for row in ROWS:
        groups[row["device"] if row["op"] == "gemm" else "attention"].append(abs(_error(row)))
    medians = {group: statistics.median(errors) for group, errors in groups.items()}
    assert len(ROWS) >= 40
    assert medians.pop("attention") < 0.03
    assert all(median < 0.08 for median in medians.values()), medians
