"""Allocated bytes of the nanotron sweep: its logs give the peak of the optimizer's step on the first pipeline stage."""

from __future__ import annotations

from statistics import median

from dist_training_sim import DtsError, simulate
from dist_training_sim.validation.corpus import Row, packaged_corpus, read_rows
from dist_training_sim.validation.row_job import job_of

GIB = 2**30


def error(row: Row) -> float | None:
    """Predicted over printed bytes - 1, or None where the row states no layout that runs."""
    printed = row.number("measured.mem_allocated_gb")
    if not printed or row.text("framework") != "nanotron":
        return None
    try:
        job = job_of(row)
        result = simulate(
            job.model, job.cluster, job.strategy, seq_len=job.seq_len, framework=job.profile, keep_events=False
        )
    except DtsError:
        return None
    return abs(result.memory[0].update_bytes / GIB / printed - 1)


def test_allocated_bytes_of_the_optimizer_step() -> None:
    found = map(error, read_rows(packaged_corpus(["memory"])[0]))
    errors = sorted(e for e in found if e is not None)
    assert len(errors) > 150
    assert median(errors) < 0.005
    assert errors[int(0.9 * len(errors))] < 0.01


def test_rows_say_how_stages_were_cut() -> None:
    """The fix of the partition is in the rows' notes; packing them must keep it."""
    rows = [row for row in read_rows(packaged_corpus(["memory"])[0]) if row.number("measured.mem_allocated_gb")]
    assert {row.text("notes") for row in rows} >= {"after_pp_fix=True", "after_pp_fix=False"}
