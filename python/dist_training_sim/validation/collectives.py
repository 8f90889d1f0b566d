"""Collectives as measured by nccl-tests and its like, beside what the fabric model says.

`python -m dist_training_sim.validation.collectives CORPUS` prints the errors of the docs' tables, in sample and with
the fabric's constants fitted without the system that is predicted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from .. import _core
from .._convert import to_core
from ..errors import DtsError
from ..intervals import Situation, collective_situation, interval_of
from .collectives_fabric import System, cluster_of_system
from .corpus import Row
from .results import RowResult

__all__ = ["KINDS", "observation_of", "predict_collectives", "predict_row", "system_of"]

KINDS = {
    "all_reduce": _core.CollectiveKind.ALL_REDUCE,
    "all_gather": _core.CollectiveKind.ALL_GATHER,
    "reduce_scatter": _core.CollectiveKind.REDUCE_SCATTER,
    "alltoall": _core.CollectiveKind.ALL_TO_ALL,
    "all_to_all": _core.CollectiveKind.ALL_TO_ALL,
    "sendrecv": _core.CollectiveKind.SEND_RECV,
    "broadcast": _core.CollectiveKind.BROADCAST,
    "reduce": _core.CollectiveKind.REDUCE,
    "gather": _core.CollectiveKind.GATHER,
    "scatter": _core.CollectiveKind.SCATTER,
}
# What a harness adds to a collective. One process that launches for all devices: SuperBench, A100, 35 us on 8 devices
# where the kernels take 15 to 21. A framework's call: ml-engineering all_reduce_bench, H200, 40 us where nccl-tests
# takes 18.
_PROCESS_LAUNCH_s, _FRAMEWORK_CALL_s = 2.2e-6, 22e-6
_APART = {
    "misconfigured": "misconfigured system: reported, not scored",
    "tcp_fallback": "misconfigured system: reported, not scored",
}
_TARGET = re.compile(r"target value|expected value", re.IGNORECASE)


def predict_collectives(rows: Sequence[Mapping[str, Any]]) -> list[RowResult]:
    """Predict the time of every row of a corpus of collectives.

    Parameters
    ----------
    rows
        Objects with `id`, `system`, `gpu`, `gpus`, `nodes`, `gpus_per_node`, `intra`, `inter`, `library`,
        `collective`, `size_bytes`, `time_us`, `flags` and `notes`, as nccl-tests counts sizes.

    Returns
    -------
    list of RowResult
        In the order of the rows, times in seconds. A row that cannot be predicted says why.
    """
    return [predict_row(Row(str(row.get("id") or f"row {i + 1}"), row)) for i, row in enumerate(rows)]


def predict_row(row: Row) -> RowResult:
    """Predict one row of a corpus of collectives."""
    time_us = row.number("time_us")
    measured = time_us * 1e-6 if time_us and time_us > 0 else None
    reason = _unusable(row, measured)
    predicted = situation = interval = None
    fabric = ""
    if not reason:
        try:
            core, kind, span, fabric = observation_of(row)
            size_bytes = row.number("size_bytes") or 0.0
            predicted = _core.fabric_collective(core, kind, size_bytes, span).time_s + _harness_s(row)
            situation = _situation(core, span, size_bytes)
            interval = interval_of(situation, predicted, without=f"{row.text('gpu')} {row.text('system')}")
            reason = _apart(row)
        except DtsError as problem:
            reason = str(problem)
    error = predicted / measured - 1 if predicted and measured else None
    labels = {
        "id": row.id,
        "source": row.text("system"),
        "accelerator": row.text("gpu"),
        "framework": row.text("library"),
        "kind": row.text("collective"),
        "model": "",
        "grade": "",
        "profile": fabric,
    }
    return RowResult(
        *(row.id, "collectives", predicted, measured, error, not reason, reason, labels, {}),
        interval=interval,
        situation=situation,
    )


def _situation(core: Any, span: _core.GroupSpan, size_bytes: float) -> Situation:
    across = span.domains > 1
    fabric = core.scale_out.name if across else core.node.scale_up.name
    return collective_situation(fabric=fabric, across=across, size_bytes=size_bytes)


def _unusable(row: Row, measured: float | None) -> str:
    if row.text("collective") not in KINDS:
        return f"collective: got {row.text('collective')!r}, expected one of {', '.join(KINDS)}"
    if measured is None:
        return "no measured time"
    if not row.number("size_bytes"):
        return "size_bytes: no size"
    return "" if row.count("gpus") else "gpus: the number of ranks is unknown"


def _apart(row: Row) -> str:
    """Why a row that is predicted does not count."""
    for flag in row.words("flags"):
        if flag in _APART:
            return _APART[flag]
    return "a target of a test, not a measurement" if _TARGET.search(row.text("notes")) else ""


def _harness_s(row: Row) -> float:
    flags = row.words("flags")
    launch_s = _PROCESS_LAUNCH_s * (row.count("gpus") or 0) if "single_process" in flags else 0.0
    return launch_s + (_FRAMEWORK_CALL_s if "framework_overhead" in flags else 0.0)


def system_of(row: Row) -> System:
    """What the row says of its machine."""
    devices = row.count("gpus") or 1
    nodes = row.count("nodes") or 1
    # A publication's default settings are those of the library; what it tuned is a property of the system.
    inter = row.text("inter")
    if "default settings" in row.text("notes"):
        inter += ", default p2p channels"
    return System(
        row.text("system"),
        row.text("gpu"),
        row.text("intra"),
        inter,
        devices,
        nodes,
        row.count("gpus_per_node") or -(-devices // nodes),
        row.text("library"),
    )


@cache
def _cluster(system: System) -> tuple[Any, str]:
    cluster = cluster_of_system(system)
    core = to_core(cluster)
    _core.check_cluster(core)
    across = f" + {cluster.scale_out.name}" if cluster.scale_out and cluster.nodes > 1 else ""
    return core, f"{cluster.node.scale_up.name}{across}"


def observation_of(row: Row) -> tuple[Any, _core.CollectiveKind, _core.GroupSpan, str]:
    """Core cluster, collective, span and name of the fabric of a row.

    Raises
    ------
    ConfigError, MissingDataError
        If the row's texts do not describe a machine.
    """
    core, fabric = _cluster(system_of(row))
    kind = KINDS[row.text("collective")]
    span = _core.span_of(core, row.count("gpus") or 1, 1)
    # nccl-tests sends around a ring of all ranks: the pair that is farthest apart decides.
    if kind is _core.CollectiveKind.SEND_RECV and span.domains > 1:
        span = _core.GroupSpan(2, 1, 2, 1)
    return core, kind, span, fabric
