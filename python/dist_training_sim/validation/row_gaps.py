"""What a row whose memory was measured may leave out: sizes that its peak hardly depends on."""

from __future__ import annotations

from typing import Any

from .corpus import Row

__all__ = ["filled"]

_NODE_DEVICES = 8


def filled(row: Row) -> Row:
    """Copy of a row with the devices and the batch that are not stated.

    The devices of the fewest nodes of 8 that hold the layout, as test suites and benchmarks run on, unless optimizer
    state is sharded over them: then they stay unknown. One micro-batch per replica and pipeline stage.
    """
    parallel = dict(row.section("parallel") or {})
    ranks = 1
    for axis in ("tp", "pp", "cp"):
        ranks *= row.count(f"parallel.{axis}") or 1
    hardware = dict(row.section("hardware") or {})
    devices = row.count("hardware.gpus")
    if not devices and row.text("parallel.zero") in ("", "0"):
        devices = -(-ranks // _NODE_DEVICES) * _NODE_DEVICES
    if not devices:
        return row
    hardware["gpus"] = devices
    data: dict[str, Any] = {**row.data, "hardware": hardware, "parallel": parallel}
    if not row.count("global_batch"):
        replicas = row.count("parallel.dp") or max(1, devices // ranks)
        data["global_batch"] = replicas * (row.count("micro_batch") or 1) * (row.count("parallel.pp") or 1)
    return Row(row.id, data)
