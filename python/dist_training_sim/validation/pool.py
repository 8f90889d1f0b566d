"""Rows over the cores of a machine, in order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

__all__ = ["Progress", "available_cores", "over_cores"]

Item = TypeVar("Item")
Made = TypeVar("Made")
Progress = Callable[[int, int], None]
"""Called with the number of rows done and the number of all."""

CHUNK = 24


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def over_cores(
    work: Callable[[Sequence[Item]], list[Made]], items: Sequence[Item], workers: int, progress: Progress | None = None
) -> list[Made]:
    """Results of `work` on slices of the items, in their order; processes where there is more than one worker.

    Most of a prediction is Python (descriptions are built and checked), which threads would run one after another.
    """
    chunks = [items[at : at + CHUNK] for at in range(0, len(items), CHUNK)]
    workers = min(workers, len(chunks))
    if workers <= 1:
        return _gathered(map(work, chunks), chunks, progress)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return _gathered(pool.map(work, chunks), chunks, progress)


def _gathered(parts: Iterator[list[Made]], chunks: Sequence[Sequence[Item]], progress: Progress | None) -> list[Made]:
    made: list[Made] = []
    done, total = 0, sum(map(len, chunks))
    for chunk, part in zip(chunks, parts, strict=True):
        made += part
        done += len(chunk)
        if progress:
            progress(done, total)
    return made
