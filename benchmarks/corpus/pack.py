"""Pack measured rows for the package: facts and citations stay, prose that no prediction reads goes.

    python benchmarks/corpus/pack.py FOLDER

FOLDER holds runs.jsonl, fit_or_oom.jsonl, kernels.jsonl and collectives.jsonl; each becomes a gzipped file in
python/dist_training_sim/validation/data/. The bytes depend on the rows only.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from pathlib import Path
from typing import Any

FILES = ("runs", "fit_or_oom", "kernels", "collectives")
DATA = Path(__file__).parents[2] / "python" / "dist_training_sim" / "validation" / "data"
# Free text that explains how a row was read off its source, and bookkeeping of the collection.
PROSE = {"note", "flops_convention", "flops_check", "origin", "group", "step_time_method", "theoretical"}
# What the adapters of dist_training_sim.validation read in notes; the rest of a note is prose.
FACTS = re.compile(r"after_pp_fix=\w+|deterministic-mode|target value|expected value|default settings", re.IGNORECASE)
LONGEST_TEXT = 400


def facts(note: str) -> str:
    """Words of a note that a prediction reads, in order, once each."""
    return "; ".join(dict.fromkeys(FACTS.findall(note)))


def trimmed(value: Any) -> Any:
    """The value without prose; a text that is still long is cut."""
    if isinstance(value, dict):
        kept = {**value, "notes": facts(value["notes"])} if isinstance(value.get("notes"), str) else value
        return {key: trimmed(item) for key, item in kept.items() if key not in PROSE and item not in (None, "")}
    if isinstance(value, list):
        return [trimmed(item) for item in value]
    return value[:LONGEST_TEXT] if isinstance(value, str) else value


def packed(path: Path) -> tuple[bytes, int]:
    """Gzipped rows, and how many."""
    lines = [json.dumps(trimmed(json.loads(line)), ensure_ascii=False, separators=(",", ":")) for line in path.open()]
    return gzip.compress(("\n".join(lines) + "\n").encode(), 9, mtime=0), len(lines)


def main(folder: Path) -> None:
    """Pack every file."""
    DATA.mkdir(exist_ok=True)
    for name in FILES:
        data, rows = packed(folder / f"{name}.jsonl")
        (DATA / f"{name}.jsonl.gz").write_bytes(data)
        print(f"{name}: {rows} rows, {len(data):,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
