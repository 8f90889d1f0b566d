"""Files and folders that are whole or not there."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from .errors import ConfigError

__all__ = ["exists", "is_file", "is_folder", "write_folder", "write_whole"]


# Of pathlib the same questions raise where a name is too long; here such a text is no file's.


def is_file(path: str | os.PathLike[str]) -> bool:
    """Whether there is such a file."""
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether there is such a folder."""
    return os.path.isdir(path)  # noqa: PTH112


def exists(path: str | os.PathLike[str]) -> bool:
    """Whether there is anything at such a place."""
    return os.path.exists(path)  # noqa: PTH110


def write_whole(path: str | os.PathLike[str], content: str | bytes | memoryview, where: str = "path") -> Path:
    """Write a file, text as UTF-8; it appears whole or not at all, and an existing one is replaced.

    Raises
    ------
    ConfigError
        If it cannot be written: no folder, no right, no room. `where` names the argument.
    """
    target = Path(path)
    data = content.encode("utf-8") if isinstance(content, str) else content
    with _readable_errors(path, where, "file"):
        if target.exists() and not target.is_file():  # a device or a pipe is written to, never replaced
            target.write_bytes(data)
        else:
            _replace(target.resolve(), data)
    return target


def write_folder(path: str | os.PathLike[str], files: Mapping[str, bytes], where: str = "path") -> Path:
    """Write a folder of files; it appears whole or not at all, in the place of an empty one or of none.

    Raises
    ------
    ConfigError
        If it cannot be written. `where` names the argument.
    """
    target = Path(path)
    with (
        _readable_errors(path, where, "folder"),
        tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as name,
    ):
        draft = Path(name) / target.name
        draft.mkdir()
        for file, data in files.items():
            (draft / file).write_bytes(data)
        if target.is_dir():
            target.rmdir()
        draft.rename(target)
    return target


@contextmanager
def _readable_errors(path: str | os.PathLike[str], where: str, what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(
            f"{where}: got {str(path)[:200]!r}, expected a {what} that can be written ({reason})"
        ) from None


def _replace(path: Path, data: bytes | memoryview) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        draft.write_bytes(data)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
