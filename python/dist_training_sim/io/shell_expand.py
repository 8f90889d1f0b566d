"""Expansion of shell words: variables, arrays, defaults, arithmetic. What a script does not set stays as written."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import FormatError
from .shell_lexer import closing

__all__ = ["Placed", "Variables", "arithmetic", "is_open"]

MAX_EXPANDED = 4_000_000  # characters of all expansions of a script: a variable can double itself
_WORD_COST = 32  # characters that a word counts besides its own: an array of short words can double itself too
_NAME = re.compile(r"\$([A-Za-z_]\w*|[0-9@*#?])")
_PARAMETER = re.compile(r"([A-Za-z_]\w*|[0-9]+|[@*])(\[[@*]\]|\[\d{1,6}\])?(:?[-=+?])?(.*)", re.DOTALL)
_OPEN = re.compile(r"\$[A-Za-z_0-9@*({]|`")
_PLAIN = re.compile(r"[^\"'\\$`]+")
_ARITHMETIC: Mapping[type, Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.floordiv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}


class Placed(str):
    """A text, and the line of the script that wrote it."""

    __slots__ = ("line",)
    line: int

    def __new__(cls, text: str, line: int) -> Placed:
        placed = super().__new__(cls, text)
        placed.line = line
        return placed


class _Words(list[str]):
    """Words that are split already."""


def is_open(text: str) -> bool:
    """Whether an expanded text still holds an expansion that the script does not determine."""
    return _OPEN.search(text) is not None


@dataclass
class Variables:
    """Variables and arrays of a script while it is read."""

    scalars: dict[str, str] = field(default_factory=dict)
    arrays: dict[str, list[str]] = field(default_factory=dict)
    spent: int = 0

    def text(self, word: str) -> str:
        """A word expanded to one text, as in an assignment."""
        return " ".join(self.words(word, split=False))

    def words(self, word: str, *, split: bool = True) -> list[str]:
        """A word expanded: unquoted expansions are split at spaces, `"${A[@]}"` gives the entries of an array."""
        fields: list[list[str]] = [[]]  # each with its pieces
        started, at, quoted = False, 0, False
        while at < len(word):
            char = word[at]
            if plain := _PLAIN.match(word, at):
                fields[-1].append(plain.group())
                started, at = True, plain.end()
            elif char == '"':
                quoted, started, at = not quoted, True, at + 1
            elif char == "'":
                end = -1 if quoted else word.find("'", at + 1)  # a lone one is text
                fields[-1].append("'" if end < 0 else word[at + 1 : end])
                started, at = True, at + 1 if end < 0 else end + 1
            elif char == "\\":
                fields[-1].append("" if word[at + 1 : at + 2] == "\n" else word[at + 1 : at + 2])
                started, at = True, at + 2
            else:
                splits = split and not quoted
                found, at = self._expansion(word, at, splits)
                whole = not splits or isinstance(found, _Words)
                parts = found if whole else [part for item in found for part in _split(item)]
                started = started or quoted or bool(parts)
                fields[-1] += parts[:1]
                fields += [[part] for part in parts[1:]]
        words = [_joined(pieces) for pieces in fields] if started else []
        self._spend(words)
        return words

    def _spend(self, words: Sequence[str]) -> None:
        self.spent += sum(map(len, words)) + _WORD_COST * len(words)
        if self.spent > MAX_EXPANDED:
            raise FormatError(f"script: its variables expand to more than {MAX_EXPANDED} characters")

    def _expansion(self, word: str, at: int, splits: bool) -> tuple[list[str], int]:
        """(texts, position behind) of the expansion at a `$` or backtick."""
        if word.startswith("$((", at):
            end = closing(word, at + 3, "))", 0)
            value = arithmetic(self.text(word[at + 3 : end - 2]), self.scalars)
            return [word[at:end] if value is None else str(value)], end
        if word.startswith("${", at):
            end = closing(word, at + 2, "}", 0)
            return self._parameter(word[at + 2 : end - 1], word[at:end], splits), end
        if word.startswith("$(", at):
            end = closing(word, at + 2, ")", 0)
            return _Words([word[at:end]]), end
        if word[at] == "`":
            end = word.find("`", at + 1) + 1 or len(word)
            return _Words([word[at:end]]), end
        match = _NAME.match(word, at)
        if match is None:
            return ["$"], at + 1
        return [self._value(match.group(1), match.group())], match.end()

    def _value(self, name: str, written: str) -> str:
        if name in self.arrays:
            return self.arrays[name][0] if self.arrays[name] else ""
        return self.scalars.get(name, written)

    def _parameter(self, body: str, written: str, splits: bool) -> list[str]:
        match = _PARAMETER.fullmatch(body)
        if match is None:
            return [written]
        name, index, operation, rest = match.groups()
        if index in ("[@]", "[*]") and name in self.arrays:
            self._spend(self.arrays[name])
            return list(self.arrays[name])
        if index and name in self.arrays:
            place = int(index[1:-1])
            return self.arrays[name][place : place + 1]
        known = name in self.scalars or name in self.arrays
        value = self._value(name, written)
        if not operation:
            return [value] if not rest else [written]
        empty = not known or (operation[0] == ":" and not value)
        if operation[-1] == "+":
            return [] if empty else self._other(rest, splits)
        if operation[-1] == "=" and empty:
            self.scalars[name] = self.text(rest)
        return self._other(rest, splits) if empty and operation[-1] in "-=" else [value]

    def _other(self, rest: str, splits: bool) -> list[str]:
        """The word behind an operator: quotes inside it hold where the whole is not quoted."""
        return _Words(self.words(rest)) if splits else [self.text(rest)]


def _joined(pieces: list[str]) -> str:
    """Alone, a piece keeps its line, an empty one as well."""
    kept = [piece for piece in pieces if piece] or pieces[-1:]
    return kept[0] if len(kept) == 1 else "".join(kept)


def _split(text: str) -> list[str]:
    """Words of an unquoted expansion; one that is open stays whole, so that its place is kept."""
    parts = [text] if is_open(text) and text.count(" ") == 0 else text.split()
    return [Placed(part, text.line) for part in parts] if isinstance(text, Placed) else parts


def arithmetic(text: str, variables: Mapping[str, str]) -> int | None:
    """Value of an integer expression; None where it needs something unknown."""

    def value(node: ast.expr) -> int:
        if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
            found = _ARITHMETIC[type(node.op)](value(node.left), value(node.right))
            if abs(found) < 2**63:
                return found
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -value(node.operand)
        if isinstance(node, ast.Constant) and type(node.value) is int and abs(node.value) < 2**63:
            return node.value
        if isinstance(node, ast.Name):
            return int(variables[node.id])
        raise ValueError

    if len(text) > 400:
        return None
    try:
        return value(ast.parse(text.replace("$", " ").strip(), mode="eval").body)
    except (ValueError, KeyError, SyntaxError, ZeroDivisionError, RecursionError, MemoryError):
        return None
