"""Results of a sweep in a SQLite file: one row per point, written as it is done; what is there stays there."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._files import is_file, write_whole
from ..errors import ConfigError, FormatError, MissingDataError
from .sweep_space import SweepSpace

if TYPE_CHECKING:
    import pandas

__all__ = ["COLUMNS", "SweepResult", "need_parquet", "open_file", "pending", "save"]

_VERSION = "1"
_MISSING = "{} is not installed; pip install 'dist_training_sim[scale]' brings it"
COLUMNS = {
    "place": "INTEGER PRIMARY KEY",
    "model": "TEXT",
    "cluster": "TEXT",
    "framework": "TEXT",
    "seq_len": "INTEGER",
    "global_batch": "INTEGER",
    "usd_per_device_h": "REAL",
    "objective": "TEXT",
    "devices": "INTEGER",
    "fits": "INTEGER",
    "step_time_s": "REAL",
    "low90_s": "REAL",
    "high90_s": "REAL",
    "tokens_per_s": "REAL",
    "mfu": "REAL",
    "reserved_bytes": "REAL",
    "oom_probability": "REAL",
    "usd_per_step": "REAL",
    "strategy": "TEXT",
    "reason": "TEXT",
}


def need_parquet() -> None:
    """Nothing where Parquet can be written.

    Raises
    ------
    MissingDataError
        If pandas or pyarrow is not installed.
    """
    for package in ("pandas", "pyarrow"):
        _need(package)


def _need(package: str) -> None:
    if find_spec(package) is None:
        raise MissingDataError(_MISSING.format(package))


def open_file(path: Path, space: SweepSpace) -> sqlite3.Connection:
    """The file of a sweep, new or begun.

    Raises
    ------
    ConfigError
        If the file holds another sweep, or its folder cannot be written.
    FormatError
        If it is no file of a sweep.
    """
    made_here = _made(path)
    with _readable_errors(path):
        connection = sqlite3.connect(path, timeout=60)
    try:
        _begin(connection, path, space)
    except BaseException:
        connection.close()
        if made_here and not path.stat().st_size:
            path.unlink()
        raise
    return connection


def _made(path: Path) -> bool:
    """Whether the file was not there, and now is, empty. What forbids that, SQLite says better."""
    try:
        path.touch(exist_ok=False)
    except OSError:
        return False
    return True


def _begin(connection: sqlite3.Connection, path: Path, space: SweepSpace) -> None:
    with _readable_errors(path):
        connection.execute("PRAGMA synchronous = NORMAL")
        with connection:
            connection.execute("CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT)")
            columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
            connection.execute(f"CREATE TABLE IF NOT EXISTS points ({columns})")
            begun = dict(connection.execute("SELECT name, value FROM meta"))
            if not begun:
                values = [("version", _VERSION), ("space", space.key)]
                connection.executemany("INSERT INTO meta VALUES (?, ?)", values)
    if begun and begun.get("version") != _VERSION:
        raise FormatError(f"file: {path} is of version {begun.get('version')} of sweeps, expected {_VERSION}")
    if begun and begun.get("space") != space.key:
        raise ConfigError(f"file: {path} holds the sweep of another space; give another file, or remove it")


@contextmanager
def _readable_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:  # no folder, no right, no room, or locked
        if str(error).startswith("no such"):  # table or column
            what = "is no file of a sweep, or one that has just been begun"
            raise FormatError(f"file: {path} {what} ({error})") from None
        raise ConfigError(f"file: got {str(path)!r}, expected a file that can be written ({error})") from None
    except sqlite3.DatabaseError as error:
        raise FormatError(f"file: {path} is no file of a sweep ({error})") from None


def pending(connection: sqlite3.Connection, space: SweepSpace) -> list[int]:
    """Places of the points that are not done."""
    done = {place for (place,) in connection.execute("SELECT place FROM points")}
    return [place for place in range(len(space)) if place not in done]


def save(connection: sqlite3.Connection, rows: Iterable[dict[str, Any]], path: Path) -> None:
    """Write rows at once; one that is there already stays as it is."""
    marks = ", ".join("?" * len(COLUMNS))
    values = [[row.get(name) for name in COLUMNS] for row in rows]
    with _readable_errors(path), connection:
        connection.executemany(f"INSERT OR IGNORE INTO points VALUES ({marks})", values)


class SweepResult:
    """The rows of a sweep's file, in the order of its points.

    Iterating gives mappings with the columns: the axes of the point; `devices`, `fits`, `step_time_s` with the ends of
    its 90 % interval, `tokens_per_s`, `mfu`, `reserved_bytes`, `oom_probability`, `usd_per_step` of the plan or the
    layout; `strategy`, its fields as JSON; `reason`, why there is none.

    Parameters
    ----------
    path
        File that `sweep` wrote.

    Raises
    ------
    MissingDataError
        If there is no such file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not is_file(self.path):
            raise MissingDataError(f"file: got {str(path)!r}, expected a file that dts.sweep wrote")

    def __len__(self) -> int:
        ((count,),) = self._query("SELECT COUNT(*) FROM points")
        return int(count)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        rows = self._query(f"SELECT {', '.join(COLUMNS)} FROM points ORDER BY place")
        return (self._row(row) for row in rows)

    def _query(self, text: str) -> list[tuple[Any, ...]]:
        with _readable_errors(self.path), closing(sqlite3.connect(self.path, timeout=60)) as connection:
            return connection.execute(text).fetchall()

    @staticmethod
    def _row(values: tuple[Any, ...]) -> dict[str, Any]:
        row = dict(zip(COLUMNS, values, strict=True))
        strategy = None if row["strategy"] is None else json.loads(row["strategy"])
        return row | {"fits": bool(row["fits"]), "strategy": strategy}

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as printed by `dts sweep --json`."""
        return {"file": str(self.path), "points": list(self)}

    def to_csv(self, path: str | Path) -> Path:
        """Write a table of commas, whole or not at all; the strategy as JSON."""
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(COLUMNS))
        writer.writeheader()
        writer.writerows(row | {"strategy": json.dumps(row["strategy"])} for row in self)
        return write_whole(path, text.getvalue())

    def to_pandas(self) -> pandas.DataFrame:
        """A data frame; needs pandas.

        Raises
        ------
        MissingDataError
            If pandas is not installed.
        """
        _need("pandas")
        import pandas

        return pandas.DataFrame(
            [row | {"strategy": json.dumps(row["strategy"])} for row in self], columns=list(COLUMNS)
        )

    def to_parquet(self, path: str | Path) -> Path:
        """Write a Parquet file, whole or not at all; needs pandas and pyarrow.

        Raises
        ------
        MissingDataError
            If either is not installed.
        """
        need_parquet()
        content: bytes = self.to_pandas().to_parquet()
        return write_whole(path, content)

    def __repr__(self) -> str:
        return f"<{len(self):,} points in {self.path.name}>"
