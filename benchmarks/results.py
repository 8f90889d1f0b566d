"""The results of `make bench` that are kept in the repository, for the pages that show them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["keep", "kept"]

KEPT = Path(__file__).with_name("results.json")


def kept() -> dict[str, Any]:
    """The results as kept."""
    found: dict[str, Any] = json.loads(KEPT.read_text(encoding="utf-8"))
    return found


def keep(files: Sequence[Path]) -> dict[str, Any]:
    """Keep new results of `run.py` and `where.py`: rows that they lack stay as they were."""
    found = kept() if KEPT.exists() else {}
    for file in files:
        for part, new in json.loads(file.read_text(encoding="utf-8")).items():
            found[part] = found.get(part, {}) | new if isinstance(new, dict) else new
    KEPT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return found
