"""Reader of measured runs: one JSON object a line, in the schema of docs/guide/accuracy.md.

A line that is no JSON object becomes a row with a reason instead of an error, and a field of the wrong type counts as
unknown: one bad row must not hide the others. File, lines and rows are bounded.
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from .._files import is_file
from ..errors import FormatError, MissingDataError

__all__ = ["MAX_LINE_BYTES", "MAX_ROWS", "Row", "packaged_corpus", "read_rows"]

MAX_LINE_BYTES = 2**18
MAX_ROWS = 100_000
MAX_COUNT = 2**31 - 1
_DATA = Path(__file__).parent / "data"
_FILES = {
    "step_time": "runs",
    "memory": "runs",
    "fit": "fit_or_oom",
    "collectives": "collectives",
    "kernels": "kernels",
}


@dataclass(frozen=True)
class Row:
    """One line of a corpus; look-ups return None for what is missing or of another type.

    Attributes
    ----------
    id
        Name of the row, or `"line 17"`.
    data
        The parsed object; empty for a line that could not be read.
    problem
        Why the line could not be read; empty otherwise.
    """

    id: str
    data: Mapping[str, Any] = field(repr=False)
    problem: str = ""

    def _value(self, path: str) -> Any:
        value: Any = self.data
        for key in path.split("."):
            if not isinstance(value, Mapping):
                return None
            value = value.get(key)
        return value

    def text(self, path: str) -> str:
        """Text at `"hardware.gpu"`, say; empty where there is none."""
        value = self._value(path)
        return value[:2000] if isinstance(value, str) else ""

    def number(self, path: str) -> float | None:
        """Finite number."""
        value = self._value(path)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > 1e300:
            return None
        return None if math.isnan(value) else float(value)

    def count(self, path: str) -> int | None:
        """Whole number from 0; `8.0` counts as 8."""
        value = self.number(path)
        return int(value) if value is not None and value == int(value) and 0 <= value <= MAX_COUNT else None

    def flag(self, path: str) -> bool | None:
        """True or false."""
        value = self._value(path)
        return value if isinstance(value, bool) else None

    def words(self, path: str) -> tuple[str, ...]:
        """Texts of a list; `-` in them reads as `_`, capitals as small letters."""
        value = self._value(path)
        items = value if isinstance(value, list) else []
        return tuple(item[:500].lower().replace("-", "_") for item in items[:200] if isinstance(item, str))

    def section(self, path: str) -> Mapping[str, Any] | None:
        """Nested object."""
        value = self._value(path)
        return value if isinstance(value, Mapping) else None

    @property
    def source(self) -> str:
        """Title of the source without its subtitle, and the table where one source has several.

        Sources that are one text, as those of kernels, are named by their repository.
        """
        if isinstance(self.data.get("source"), str):
            return self.text("source").split(" ")[0].split(":")[0]
        if self.of_sweep:
            return "nanotron scaling sweep"
        title = self.text("source.title").split(" results,")[0]
        table = self.text("source.url_or_repo_path").split(" ")[-1]
        return f"{title} {Path(table).stem}" if table.endswith(".csv") else title

    @property
    def of_sweep(self) -> bool:
        """Whether it is a job of the nanotron sweep, whose lines count micro-batches and state no framework."""
        counted = self.number("grad_accumulation") is not None
        return self.flag("fits") is not None and counted and not self.text("framework")

    @property
    def grade(self) -> str:
        """How complete the row is for its step time: A, B or C."""
        return self.text("use.step_time")


def packaged_corpus(uses: Iterable[str]) -> list[Path]:
    """Files of the published measurements that come with the package, for some uses."""
    return [_DATA / f"{name}.jsonl.gz" for name in dict.fromkeys(_FILES[use] for use in uses)]


def read_rows(path: str | Path) -> list[Row]:
    """Read a corpus, plain or gzipped.

    Raises
    ------
    MissingDataError
        If there is no such file.
    FormatError
        If it cannot be read, or has more than 100,000 rows.
    """
    path = Path(path)
    if not is_file(path):
        raise MissingDataError(f"corpus: got {str(path)[:200]!r}, expected a .jsonl or .jsonl.gz file of measured runs")
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as file:
            return list(_rows(file, path))  # type: ignore[arg-type]
    except (OSError, EOFError) as error:
        raise FormatError(f"{path}: cannot be read ({error})") from None


def _rows(file: IO[bytes], path: Path) -> Iterator[Row]:
    found = 0
    number = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        cut = len(line) > MAX_LINE_BYTES
        while cut and not line.endswith(b"\n") and (line := file.readline(MAX_LINE_BYTES)):
            pass
        if not cut and not line.strip():
            continue
        found += 1
        if found > MAX_ROWS:
            raise FormatError(f"{path}: more than {MAX_ROWS} rows")
        name = f"line {number}"
        yield Row(name, {}, f"longer than {MAX_LINE_BYTES} bytes") if cut else _row(line, name)


def _row(line: bytes, name: str) -> Row:
    try:
        data = json.loads(line)
    except RecursionError:
        return Row(name, {}, "nested too deeply")
    except ValueError as error:  # malformed JSON, text that is not UTF-8, a number of thousands of digits
        return Row(name, {}, f"not JSON ({str(error)[:80]})")
    if not isinstance(data, dict):
        return Row(name, {}, f"a {type(data).__name__}, expected a JSON object")
    label = data.get("id")
    return Row(label[:300] if isinstance(label, str) and label else name, data)
