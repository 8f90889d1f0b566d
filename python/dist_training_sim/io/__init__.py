"""Readers and writers of other programs' file formats."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .jobs import WrittenJob, read_job, write_job
    from .training_job import TrainingJob

__all__ = ["TrainingJob", "WrittenJob", "read_job", "write_job"]

# Loaded on first use: a catalogue look-up needs the reader of model configs alone.
_HOMES = {"TrainingJob": "training_job", "WrittenJob": "jobs", "read_job": "jobs", "write_job": "jobs"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
