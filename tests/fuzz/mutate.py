"""Random changes of text: bytes, lines, numbers and words are cut, doubled, swapped and replaced."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

__all__ = ["mutated"]

_WORDS = [
    b"0", b"-1", b"1e308", b"1e400", b"1" + b"0" * 400, b"9" * 5000, b"NaN", b"Infinity", b"-inf", b"true",
    b"null", b'""', b"[]", b"{}", b"~", b"\x00", b"\xff\xfe", "é".encode(), "\u2028".encode(), b"\\", b"'",
    b'"', b"`", b"$(x)", b"${A}", b"${A:-", b"$((", b"&a [*a, *a]", b"<<: *a", b"!!python/object:os.system",
    b"!!binary x", b"? ", b"- ", b": ", b"#", b"\t", b"\r\n", b"--", b"=", b"2147483648",
    b"18446744073709551616", b"0.1", b"1_000", b"0x10", b"1:30", b"2024-01-01", b"F0 B0 W0", b"[" * 2000,
    b"{\"a\":" * 500, b"(" * 1000, b"1 GiB", b"400 Gb/s", b"us", b"\x1b[31m",
]  # fmt: skip
_NUMBER, _NAME = re.compile(rb"-?\d+(?:\.\d+)?"), re.compile(rb"[A-Za-z_][\w-]*")


def mutated(choose: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """`data` after one to six changes; `others` lend pieces."""
    for _ in range(choose.randint(1, 6)):
        data = choose.choice(_CHANGES)(choose, data, others)
    return data[:100_000]


Change = Callable[[random.Random, bytes, Sequence[bytes]], bytes]


def _span(choose: random.Random, data: bytes, most: int = 200) -> tuple[int, int]:
    begin = choose.randint(0, len(data))
    return begin, min(len(data), begin + choose.randint(0, most))


def _flip(choose: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    if not data:
        return data
    at = choose.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << choose.randrange(8))]) + data[at + 1 :]


def _cut(choose: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    begin, end = _span(choose, data)
    return data[:begin] + data[end:]


def _repeat(choose: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    begin, end = _span(choose, data)
    return data[:end] + data[begin:end] * choose.choice((1, 1, 2, 50)) + data[end:]


def _insert(choose: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    at = choose.randint(0, len(data))
    return data[:at] + choose.choice(_WORDS) + data[at:]


def _replace(choose: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    found = list(choose.choice((_NUMBER, _NAME)).finditer(data))
    if not found:
        return data
    match = choose.choice(found)
    names: list[bytes] = _NAME.findall(choose.choice(others)) or _WORDS
    return data[: match.start()] + choose.choice(choose.choice((_WORDS, names))) + data[match.end() :]


def _lines(choose: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    lines = data.split(b"\n")
    i, j = choose.randrange(len(lines)), choose.randrange(len(lines))
    lines[i], lines[j] = lines[j], lines[i]
    if choose.random() < 0.3:
        del lines[i]
    return b"\n".join(lines)


def _splice(choose: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    other = choose.choice(others)
    begin, end = _span(choose, other, 1000)
    at = choose.randint(0, len(data))
    return data[:at] + other[begin:end] + data[at:]


def _truncate(choose: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    return data[: choose.randint(0, len(data))]


_CHANGES: list[Change] = [
    _flip,
    _cut,
    _repeat,
    _insert,
    _insert,
    _replace,
    _replace,
    _replace,
    _replace,
    _lines,
    _splice,
    _truncate,
]
