"""Ctrl-C on the command line: inside a verb Python raises KeyboardInterrupt, before and after it the process ends."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["CODE", "ends_at_once", "raises_interrupt", "was_interrupted"]

CODE = 130  # as shells report SIGINT


@contextmanager
def ends_at_once() -> Iterator[None]:
    """While modules load and options are read: no file is open, and a module may make another error of an interrupt."""
    with _handled_by(_end):
        yield


@contextmanager
def raises_interrupt() -> Iterator[None]:
    """While a verb runs, which cleans up behind itself."""
    with _handled_by(signal.default_int_handler):
        yield


def was_interrupted(error: BaseException | None) -> bool:
    """Whether an error is what a module made of a KeyboardInterrupt while it loaded."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextmanager
def _handled_by(handler: Any) -> Iterator[None]:
    mine = signal.getsignal(signal.SIGINT) in (signal.default_int_handler, _end)  # not ignored, nor a caller's own
    if not mine or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _end(_signal: int, _frame: object) -> None:
    os.write(2, b"stopped\n")
    os._exit(CODE)
