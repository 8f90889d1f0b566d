"""The results of `make bench` that are kept in the repository, for the pages that show them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["keep", "kept"]

KEPT = Path(__file__).with_name("results.json")


def kept() -> dict[str, Any]:
    """The results as kept."""
    found: dict[str, Any] = json.loads(KEPT.read_text(encoding="utf-8"))
    return found


def keep(file: Path) -> dict[str, Any]:
    """Keep new results: rows that they lack stay as they were."""
    new: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    if KEPT.exists():
        old = kept()
        new["rows"] = old["rows"] | new["rows"]
        new["series"] = old["series"] | new["series"]
    KEPT.write_text(json.dumps(new, indent=1) + "\n", encoding="utf-8")
    return new
