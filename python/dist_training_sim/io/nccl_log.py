"""Reader of nccl-tests and rccl-tests output: text logs and `-J` JSON, whole or cut off, with launcher noise around.

A file may hold several sweeps. It is read as a stream: repeated measurements of one size are kept as counts on a
logarithmic scale of 0.5 %, so a log of any length takes the memory of its distinct sizes.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from .._files import is_file
from ..errors import FormatError, MissingDataError

__all__ = ["Measurement", "NcclLog", "read_nccl_log"]

MAX_LINE_CHARS = 4096
MAX_MEASUREMENTS = 20_000
_CHUNK_CHARS = 1 << 16
_BINS = 200.0  # per factor e: 0.5 %
_PROGRAM = re.compile(
    r"\b(all_reduce|all_gather|alltoallv?|reduce_scatter|sendrecv|broadcast|reduce|gather|scatter)_perf"
)
_RANK = re.compile(r"#\s*Rank\s+(\d+)\s+(?:Group\s+\d+\s+)?Pid\s+\d+\s+on\s+(\S+)\s+device")
_VERSION = re.compile(r"\b(?:NCCL|RCCL) version\s*:?\s*([\d.+\w-]{3,24})")
_TYPE = r"(?:u?int(?:8|32|64)|half|float|double|bfloat16|fp?8\w*|f8\w*|float8\w*)"
_NUMBER = r"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|nan|inf)"
_ROW = re.compile(rf"(?<!\S)(\d+)\s+(\d+)\s+{_TYPE}(?:\s+(?!{_NUMBER}\s)([A-Za-z]\w*))?((?:\s+(?:{_NUMBER}|N/A))+)")
_JSON_START = re.compile(r"[\ufeff\s]*(?:\{|\[\s*\{)")  # "[1,0]<stdout>:" is the prefix of a launcher
_TOKEN = re.compile(
    r'"(size|redop|rank|hostname|time|cpu_time|out_of_place|in_place|args|nccl_version)"\s*:\s*'
    r'("(?:[^"\\]|\\.)*"|[-+\d.eE]+|\{|\[|null)'
    rf"|{_PROGRAM.pattern}"
)


@dataclass(frozen=True)
class Measurement:
    """Median time of one collective, size and placement, over all repetitions in a log.

    Attributes
    ----------
    kind
        Name of the test, `"all_reduce"`; empty where the log does not say.
    ranks, nodes
        Processes or devices and hosts of the sweep; 0 where the log does not say.
    size_bytes
        As nccl-tests counts it.
    in_place
        Which of the two columns.
    time_s
        Median; repeats: how many rows it stands for; spread: relative distance of the 10th to the 90th percentile.
    """

    kind: str
    ranks: int
    nodes: int
    size_bytes: int
    in_place: bool
    time_s: float
    repeats: int
    spread: float


@dataclass(frozen=True)
class NcclLog:
    """What a file holds: measurements in order of appearance, and what could not be used."""

    path: str
    version: str
    measurements: tuple[Measurement, ...]
    warnings: tuple[str, ...]


@dataclass
class _Sweep:
    kind: str = ""
    ranks: set[int] = field(default_factory=set)
    hosts: set[str] = field(default_factory=set)
    started: bool = False


@dataclass
class _Reader:
    name: str
    sweep: _Sweep = field(default_factory=_Sweep)
    version: str = ""
    times: dict[tuple[str, int, int, int, bool], Counter[int]] = field(default_factory=dict)
    cut: int = 0
    unreadable: int = 0
    crowded: int = 0

    def header(self, text: str) -> None:
        """What a line that is no row says of the sweep."""
        if match := _RANK.search(text):
            if self.sweep.started:
                self.sweep = _Sweep(kind=self.sweep.kind)
            self.sweep.ranks.add(int(match.group(1)))
            self.sweep.hosts.add(match.group(2))
        if match := _PROGRAM.search(text):
            self.program(match.group(1))
        if not self.version and (match := _VERSION.search(text)):
            self.version = match.group(1)

    def program(self, kind: str) -> None:
        kind = "alltoall" if kind == "alltoallv" else kind
        if self.sweep.started and kind != self.sweep.kind:
            self.sweep = _Sweep()
        self.sweep.kind = kind

    def add(self, size: int, in_place: bool, time_us: float, kind: str = "") -> None:
        """One measurement; times that are no time are counted as unreadable."""
        self.sweep.started = True
        if size <= 0:
            return
        if not (math.isfinite(time_us) and time_us > 0):
            self.unreadable += 1
            return
        key = (self.sweep.kind or kind, len(self.sweep.ranks), len(self.sweep.hosts), size, in_place)
        if key not in self.times and len(self.times) >= MAX_MEASUREMENTS:
            self.crowded += 1
            return
        self.times.setdefault(key, Counter())[round(math.log(time_us * 1e-6) * _BINS)] += 1

    def result(self) -> NcclLog:
        self._name_the_nameless()
        found = tuple(_measurement(key, bins) for key, bins in self.times.items())
        warnings = []
        if self.cut:
            warnings.append(f"{self.name}: {self.cut} rows are cut off and were left out")
        if self.unreadable:
            warnings.append(f"{self.name}: {self.unreadable} times are no numbers above 0 and were left out")
        if self.crowded:
            warnings.append(f"{self.name}: {self.crowded} rows beyond {MAX_MEASUREMENTS} sizes were left out")
        if not found:
            raise FormatError(
                f"{self.name}: no row of nccl-tests found (size, count, type, redop, root, time, algbw, busbw); "
                "give the output of all_reduce_perf and its like, or their -J file"
            )
        return NcclLog(self.name, self.version, found, tuple(warnings))

    def _name_the_nameless(self) -> None:
        """Small sizes do not give the collective away; they take the one that the large sizes of their group did."""
        named: dict[tuple[int, int], set[str]] = {}
        for kind, ranks, nodes, _, _ in self.times:
            if kind:
                named.setdefault((ranks, nodes), set()).add(kind)
        for key in [key for key in self.times if not key[0]]:
            kinds = named.get((key[1], key[2]), set())
            if len(kinds) == 1:
                self.times.setdefault((next(iter(kinds)), *key[1:]), Counter()).update(self.times.pop(key))


def _measurement(key: tuple[str, int, int, int, bool], bins: Counter[int]) -> Measurement:
    total = sum(bins.values())

    def quantile(share: float) -> float:
        seen = 0
        for place in sorted(bins):
            seen += bins[place]
            if seen >= share * total:
                return math.exp(place / _BINS)
        return math.exp(max(bins) / _BINS)

    kind, ranks, nodes, size, in_place = key
    median = quantile(0.5)
    return Measurement(kind, ranks, nodes, size, in_place, median, total, (quantile(0.9) - quantile(0.1)) / median)


def read_nccl_log(path: str | Path) -> NcclLog:
    """Read one file of nccl-tests or rccl-tests output.

    Raises
    ------
    MissingDataError
        If there is no such file.
    FormatError
        If it cannot be read or holds no measurement.
    """
    path = Path(path)
    if not is_file(path):
        raise MissingDataError(f"log: got {str(path)[:200]!r}, expected a file with the output of nccl-tests")
    reader = _Reader(path.name)
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            is_json = _JSON_START.match(file.read(4096)) is not None
            file.seek(0)
            (_read_json if is_json else _read_text)(file, reader)
    except OSError as error:
        raise FormatError(f"{path}: cannot be read ({error})") from None
    return reader.result()


def _lines(file: IO[str]) -> Iterator[str]:
    """Lines, the rest of an endless one left out."""
    while line := file.readline(MAX_LINE_CHARS):
        yield line
        while not line.endswith("\n") and len(line) == MAX_LINE_CHARS and (line := file.readline(MAX_LINE_CHARS)):
            pass


def _read_text(file: IO[str], reader: _Reader) -> None:
    for line in _lines(file):
        match = _ROW.search(line)
        if match is None:
            reader.header(line)
        else:
            _add_row(match, reader, complete=line.endswith("\n"))


def _add_row(match: re.Match[str], reader: _Reader, complete: bool) -> None:
    """Columns after the type: [root] time algbw busbw errors, once or twice (out of place, in place)."""
    values = match.group(4).split()
    has_root = values[0] == "-1" or len(values) % 4 == 1
    if has_root or (len(values) > 4 and re.fullmatch(r"\d+", values[0]) and len(values) % 4):
        values = values[1:]
    # The last number of a file that ends within a line may lack digits, and a bandwidth is no count of errors.
    ends_row = len(values) % 4 == 0 and bool(values) and "." not in values[-1]
    whole = len(values) // 4 if complete or ends_row else max(len(values) - 1, 0) // 4
    reader.cut += whole * 4 != len(values) or not whole
    size = _count(match.group(1))
    for place in range(min(whole, 2)):
        time_us, algbw, busbw, _ = values[4 * place : 4 * place + 4]
        kind = "" if reader.sweep.kind else _kind_by_factor(algbw, busbw, match.group(3) or "", reader.sweep)
        reader.add(size, place == 1, _float(time_us), kind)


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _count(text: str) -> int:
    """A whole number of 64 bits; 0 of anything else."""
    number = _float(text)
    return int(number) if 0 <= number < 2**63 else 0


def _kind_by_factor(algbw: str, busbw: str, redop: str, sweep: _Sweep) -> str:
    """The collective that bus bandwidth and reduction give away, where no line names the program."""
    n, alg, bus = len(sweep.ranks), _float(algbw), _float(busbw)
    if n < 3 or not alg > 0.5 or not bus > 0:
        return ""
    factor, share = bus / alg, (n - 1) / n
    if abs(factor / (2 * share) - 1) < 0.02:
        return "all_reduce"
    if abs(factor / share - 1) < 0.02 and redop not in ("", "none"):
        return "reduce_scatter"
    return ""


def _read_json(file: IO[str], reader: _Reader) -> None:
    """Keys in order of appearance; nothing is needed of what closes, so a file may be cut anywhere."""
    size, in_place = 0, False
    for key, value, program in _tokens(file):
        if program:
            reader.program(program)
        elif key == "size":
            size = _count(value)
        elif key in ("out_of_place", "in_place"):
            in_place = key == "in_place"
        elif key == "time" or key == "cpu_time":
            reader.add(size, in_place, _float(value.strip('"')))
        elif key == "args" and reader.sweep.started:
            reader.sweep = _Sweep()
        elif key == "rank":
            reader.sweep.ranks.add(_count(value.strip('"')))
        elif key == "hostname":
            reader.sweep.hosts.add(value)
        elif key == "nccl_version" and not reader.version:
            reader.version = value.strip('"')


def _tokens(file: IO[str]) -> Iterable[tuple[str, str, str]]:
    kept = ""
    while chunk := file.read(_CHUNK_CHARS):
        text = kept + chunk
        end = 0
        # A token that touches the end of the chunk may go on in the next one.
        for match in _TOKEN.finditer(text):
            if match.end() > len(text) - 256 and len(chunk) == _CHUNK_CHARS:
                break
            end = match.end()
            yield match.group(1) or "", match.group(2) or "", match.group(3) or ""
        kept = text[max(end, len(text) - 4096) :]
