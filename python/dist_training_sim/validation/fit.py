"""Jobs that did or did not fit into device memory, beside what the memory model says.

The packaged ones are of the nanotron sweep on 80 GB devices. A log of one of its jobs that ran out of memory states
other metadata than one of a job that lived: no MLP width, another vocabulary, untied embeddings, the batch in tokens.
These would leak the answer, so the shape follows from the model's name and the batch from the number of micro-batches,
for every row alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import DtsError
from ..intervals import interval_of_fit, memory_situation
from ..result import MemoryUse
from ..simulator import simulate
from .corpus import Row
from .results import RowResult, skipped
from .row_job import job_of

__all__ = ["predict_fit"]

_VOCABULARY = 131_072
# The same sweep's peaks of memory stand in the corpus under another title.
_MEMORY_SOURCE = {
    "nanotron scaling sweep": "nanotron scaling sweep behind the Ultra-Scale Playbook bench_final2_mod_add"
}
# name: layers, hidden, heads, MLP width, tied embeddings (configurations of the Ultra-Scale Playbook's sweep)
_SHAPES = {
    "1.34G": (16, 2048, 32, 8192, True),
    "3.57G": (28, 3072, 32, 8192, True),
    "8.86G": (32, 4096, 32, 14336, False),
    "80G": (80, 8192, 64, 28672, False),
    "469G": (126, 16384, 128, 53248, False),
}


def predict_fit(row: Row, labels: Mapping[str, str]) -> RowResult:
    """Compare whether one job fits."""
    measured = row.flag("fits")
    if row.problem:
        return skipped(row.id, "fit", measured, row.problem, labels)
    try:
        job = job_of(Row(row.id, _run(row)) if row.of_sweep else row)
        result = simulate(
            job.model, job.cluster, job.strategy, seq_len=job.seq_len, framework=job.profile, keep_events=False
        )
    except DtsError as problem:
        return skipped(row.id, "fit", measured, str(problem), labels)
    axes = {axis: getattr(job.strategy, axis) for axis in ("tp", "pp", "cp")}
    situation = memory_situation(kind=labels["kind"] or "dense", framework=job.profile.name, **axes)
    need, limit = _need(result.fullest_stage)
    apart = _MEMORY_SOURCE.get(labels["source"], labels["source"])
    return RowResult(
        *(row.id, "fit", result.fits, measured, float(result.fits != measured), True, "", labels),
        interval=interval_of_fit(situation, need, limit, without=apart),
    )


def _need(use: MemoryUse) -> tuple[float, float]:
    """Bytes that a job of this framework needs to live, and what the device has for it."""
    return use.allocated_bytes * use.failure_factor, use.capacity_bytes - use.outside_bytes


def _run(row: Row) -> dict[str, Any]:
    """A job of the sweep in the schema of a run."""
    batch, steps = row.count("micro_batch"), row.count("grad_accumulation")
    replicas = row.count("parallel.dp") or 1
    return {
        "model": _model(row),
        "seq": row.count("seq"),
        "micro_batch": batch,
        "global_batch": batch * steps * replicas if batch and steps else None,
        "parallel": dict(row.section("parallel") or {}),
        "precision_family": "bf16",
        "accelerator": row.text("accelerator"),
        "framework": "nanotron",
        "hardware": {"gpus": row.count("gpus")},
        "notes": f"after_pp_fix={row.text('after_pp_fix')}",
    }


def _model(row: Row) -> Mapping[str, Any]:
    name = row.text("model.name")
    if name not in _SHAPES:
        return row.section("model") or {}
    layers, hidden, heads, ffn, tied = _SHAPES[name]
    sizes = {"layers": layers, "hidden": hidden, "heads": heads, "kv_heads": heads, "ffn": ffn, "vocab": _VOCABULARY}
    return {"name": name, "kind": "dense", "gated": True, "tied_embeddings": tied, **sizes}
