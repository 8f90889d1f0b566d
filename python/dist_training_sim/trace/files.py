"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

__all__ = ["write_file", "write_folder"]


def write_file(target: Path, data: bytes) -> None:
    """Write a file beside its place, then move it there."""
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    draft = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def write_folder(target: Path, files: Mapping[str, bytes]) -> None:
    """Fill a folder beside its place, then move it there; what is there must be empty."""
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as name:
        draft = Path(name) / target.name
        draft.mkdir()
        for file, data in files.items():
            (draft / file).write_bytes(data)
        if target.is_dir():
            target.rmdir()
        draft.rename(target)
