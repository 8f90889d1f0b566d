"""Rows over the cores of a machine, in order."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import active_children, get_context
from typing import TypeVar

from ..errors import ConfigError

__all__ = ["Progress", "available_cores", "over_cores", "processes"]

Item = TypeVar("Item")
Made = TypeVar("Made")
Progress = Callable[[int, int], None]
"""Called with the number of rows done and the number of all."""

CHUNK = 24
_DIED = (
    "workers: the processes that predict rows died. Each of them runs the calling script first: put what it does below "
    '`if __name__ == "__main__":`, or pass workers=1; otherwise memory may have run out'
)


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def processes(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Worker processes. Ctrl-C reaches only this one, which ends them at once, as any other error does."""
    before = set(active_children())
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    try:
        with _ctrl_c_ignored():  # as the workers inherit it
            pool.submit(int)  # starts them all
        yield pool
    except BaseException:
        pool.shutdown(wait=False)
        for process in set(active_children()) - before:
            process.terminate()
        raise
    pool.shutdown()


@contextmanager
def _ctrl_c_ignored() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # has no say over signals
        yield
        return
    usual = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)


def over_cores(
    work: Callable[[Sequence[Item]], list[Made]], items: Sequence[Item], workers: int, progress: Progress | None = None
) -> list[Made]:
    """Results of `work` on slices of the items, in their order; processes where there is more than one worker.

    Most of a prediction is Python (descriptions are built and checked), which threads would run one after another.

    Raises
    ------
    ConfigError
        If the processes die, as those of a script do that starts them outside of `if __name__ == "__main__":`.
    """
    chunks = [items[at : at + CHUNK] for at in range(0, len(items), CHUNK)]
    workers = min(workers, len(chunks))
    if workers <= 1:
        return _gathered(map(work, chunks), chunks, progress)
    try:
        with processes(workers) as pool:
            return _gathered(pool.map(work, chunks), chunks, progress)
    except BrokenProcessPool:
        raise ConfigError(_DIED) from None


def _gathered(parts: Iterator[list[Made]], chunks: Sequence[Sequence[Item]], progress: Progress | None) -> list[Made]:
    made: list[Made] = []
    done, total = 0, sum(map(len, chunks))
    for chunk, part in zip(chunks, parts, strict=True):
        made += part
        done += len(chunk)
        if progress:
            progress(done, total)
    return made
