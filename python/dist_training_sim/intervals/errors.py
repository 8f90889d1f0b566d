"""Errors of the published measurements, by use, source and stratum: what intervals are made of.

An error is the size of log(measured / predicted). That of a step time is of a prediction by constants fitted without
the row's source, that of a collective by constants fitted without its system, where such a fit exists (`validation`).
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

__all__ = ["FILE", "Errors", "Factors", "Table", "packaged_table"]

FILE = Path(__file__).parent / "errors.json.gz"

Factors = Mapping[str, tuple[float, float]]
"""Of each badge, what the half-widths of the 50 % and 90 % interval are multiplied by."""


@dataclass(frozen=True)
class Errors:
    """Errors of one source in one stratum, sorted; many are thinned to quantiles, `rows` counts them all."""

    source: str
    stratum: tuple[str, ...]
    rows: int
    values: tuple[float, ...]


@dataclass(frozen=True)
class Table:
    """All errors of one use."""

    use: str
    errors: tuple[Errors, ...]
    factors: Factors


@lru_cache(maxsize=1)
def packaged_table() -> Mapping[str, Table]:
    """Errors of the published measurements that come with the package, by use."""
    with gzip.open(FILE, "rt", encoding="utf-8") as file:
        content: dict[str, Any] = json.load(file)
    return {use: _table(use, entry) for use, entry in content["uses"].items()}


def _table(use: str, entry: dict[str, Any]) -> Table:
    errors = (
        Errors(item["source"], tuple(item["stratum"]), item["rows"], tuple(item["errors"])) for item in entry["errors"]
    )
    return Table(use, tuple(errors), {badge: (low, high) for badge, (low, high) in entry["factors"].items()})
