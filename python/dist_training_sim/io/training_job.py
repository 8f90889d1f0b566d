"""`TrainingJob`: a job as a file describes it, with what of the file was not used."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..hardware import Cluster
from ..models import Model
from ..parallel import Strategy
from .options import Option, Options

__all__ = ["READ_FORMATS", "WRITE_FORMATS", "TrainingJob"]

WRITE_FORMATS = ("dts", "megatron-lm", "megatron-bridge", "torchtitan", "deepspeed", "nanotron")
READ_FORMATS = (*WRITE_FORMATS, "accelerate", "hf-trainer")


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """A training job read from a file.

    Attributes
    ----------
    format
        What it was written in: `"megatron-lm"`, `"torchtitan"`, ..., `"dts"`.
    strategy
        The layout.
    model, cluster, seq_len
        None where the file does not say.
    framework
        Name of the framework profile that suits the file.
    devices, devices_per_node
        As its launcher says; None = it does not.
    train_tokens
        Tokens of the whole training; None = not stated.
    unknown
        Options that were not understood: none of them entered the job.
    ignored
        Options that bear on neither time nor memory.
    conflicts
        Options given twice with different values; the last one counts, as in the framework.
    notes
        What was understood only roughly, or assumed.
    settings, runs
        Of a job file: settings of the verbs (`simulate`, `fit`, `cost`, `export`) by option, names of its runs.
    """

    format: str
    strategy: Strategy
    model: Model | None = None
    cluster: Cluster | None = None
    seq_len: int | None = None
    framework: str = "megatron-core"
    devices: int | None = None
    devices_per_node: int | None = None
    train_tokens: float | None = None
    unknown: tuple[Option, ...] = ()
    ignored: tuple[Option, ...] = ()
    conflicts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    runs: tuple[str, ...] = ()

    @classmethod
    def of_options(cls, *read: Options, **values: Any) -> TrainingJob:
        """Job with what the options of a file, and of files that it names, leave over; their problems raise here."""
        for options in read:
            options.check()
        notes = (*values.pop("notes", ()), *(note for options in read for note in options.notes))
        return cls(
            unknown=tuple(option for options in read for option in options.unknown),
            ignored=tuple(option for options in read for option in options.ignored),
            conflicts=tuple(text for options in read for text in options.conflicts),
            notes=notes,
            **values,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data: names, the strategy field by field, and what was left over."""
        from ..result import strategy_dict

        return {
            "format": self.format,
            "model": None if self.model is None else self.model.name,
            "cluster": None if self.cluster is None else self.cluster.name,
            "framework": self.framework,
            "seq_len": self.seq_len,
            "devices": self.devices,
            "train_tokens": self.train_tokens,
            "strategy": strategy_dict(self.strategy),
            "unknown": [{"option": option.shown, "where": option.where} for option in self.unknown],
            "ignored": [{"option": option.shown, "where": option.where} for option in self.ignored],
            "conflicts": list(self.conflicts),
            "notes": list(self.notes),
        }
