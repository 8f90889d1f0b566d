"""Small changes of source text, each of which a test should notice: an operator, a number, a minimum for a maximum."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_SWAPS = {
    "+": "-", "-": "+", "*": "/", "/": "*", "<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==",
    "&&": "||", "||": "&&", "//": "/", "and": "or", "or": "and", "min": "max", "max": "min",
}  # fmt: skip
_LEFT_ALONE = {
    "cpp": re.compile(
        r"//[^\n]*|/\*.*?\*/|^[ \t]*#[^\n]*"
        r'|"(?:\\.|[^"\\\n])*"'
        r"|'(?:\\.|[^'\\\n])*'",
        re.DOTALL | re.MULTILINE,
    ),
    "py": re.compile(
        r'"""(?:.|\n)*?"""|#[^\n]*|f?r?"(?:\\.|[^"\\\n])*"'
        r"|f?r?'(?:\\.|[^'\\\n])*'",
        re.MULTILINE,
    ),
}
# Lines that say no more than how errors read or how much room is reserved.
_NO_COST = re.compile(
    r"static_assert|reserve\(|poll_interrupt|\bthrow\b|raise |^\s*(import|from) |fmt: |kMax|^template|noqa"
)
_TOKEN = re.compile(
    r"(?<= )(?:[-+*/<>]|//|<=|>=|==|!=|&&|\|\||and|or)(?= )"
    r"|\b(?:min|max)(?=\()"
    r'|(?<![\w."])\d+(?:\.\d+)?(?:e-?\d+)?(?![\w.])'
)


@dataclass(frozen=True)
class Mutant:
    """A file with one change."""

    text: str
    line: int
    was: str
    now: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.was} -> {self.now}"


def mutants(text: str, language: str) -> Iterator[Mutant]:
    """Every change of a file of `"cpp"` or `"py"`, in order of places."""
    skipped = [match.span() for match in _LEFT_ALONE[language].finditer(text)]
    for match in _TOKEN.finditer(text):
        start, end = match.span()
        if any(a <= start < b for a, b in skipped) or _NO_COST.search(_line(text, start)):
            continue
        now = _SWAPS.get(match[0]) or _other_number(match[0])
        yield Mutant(text[:start] + now + text[end:], text.count("\n", 0, start) + 1, match[0], now)


def _line(text: str, place: int) -> str:
    return text[text.rfind("\n", 0, place) + 1 : (text.find("\n", place) + 1 or len(text) + 1) - 1]


def _other_number(number: str) -> str:
    value = float(number)
    return str(int(number) + 1) if number.isdigit() else repr(value * 2 if value else 1.0)
