"""Words and operators of a shell script, with their lines; quotes and expansions stay inside the words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ..errors import FormatError

__all__ = ["MAX_SCRIPT_BYTES", "Token", "closing", "tokens_of"]

MAX_SCRIPT_BYTES = 1_000_000
_DEEPEST = 100
_OPERATOR = re.compile(r";;|&&|\|\||<<<|<<-|<<|>>|&>|>&|[\n;&|()<>]")
_SPACES = re.compile(r"(?:[ \t\r]|\\\r?\n)+")
_BRACKETS = {"$((": "))", "$(": ")", "${": "}"}
_OPENING = re.compile(r"\$\(\(|\$\(|\$\{")
# Runs of characters that mean nothing where they stand: in a word, between double quotes, inside brackets.
_PLAIN = re.compile(r"[^ \t\r\n;|&<>()\\'\"`$]+")
_QUOTED = re.compile(r'[^"\\`$]+')
_INSIDE = re.compile(r"[^'\"`\\(){}]+")


@dataclass(frozen=True, slots=True)
class Token:
    """A word as written, an operator, or the body of a here-document. `joined`: no space stands before it."""

    text: str
    line: int
    operator: bool = False
    joined: bool = False
    body: Literal["", "expanded", "as written"] = ""


def tokens_of(text: str, first_line: int = 1) -> Iterator[Token]:
    """Tokens of a script in order; the body of a here-document is the last one of its line.

    Raises
    ------
    FormatError
        If the script is too large, or a quote or bracket is not closed.
    """
    if len(text) > MAX_SCRIPT_BYTES:
        raise FormatError(f"script: got {len(text)} characters, expected at most {MAX_SCRIPT_BYTES}")
    line, at, joined, awaits = first_line, 0, False, False
    marks: list[str] = []
    while at < len(text):
        char = text[at]
        if spaces := _SPACES.match(text, at):
            line, at, joined = line + text.count("\n", at, spaces.end()), spaces.end(), False
        elif char == "#" and not joined:
            at = _end_of_line(text, at)
        elif match := _OPERATOR.match(text, at):
            operator = match.group()
            ended, at, awaits = line, match.end(), operator in ("<<", "<<-")
            line += operator == "\n"
            for mark in marks if operator == "\n" else ():
                name = mark.strip("'\"\\")
                body, at = _here_document(text, at, name)
                yield Token(body, line, body="expanded" if mark == name else "as written")
                line += body.count("\n")
            marks = [] if operator == "\n" else marks
            yield Token(operator, ended, operator=True, joined=joined)
            joined = operator != "\n"
        else:
            end = _end_of_word(text, at, line)
            word = text[at:end]
            if awaits:
                marks.append(word)
                awaits = False
            yield Token(word, line, joined=joined)
            line, at, joined = line + word.count("\n"), end, True


def _end_of_line(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _here_document(text: str, at: int, mark: str) -> tuple[str, int]:
    """Body up to the line that is the mark, and where the text goes on."""
    start = at
    while at < len(text):
        end = _end_of_line(text, at)
        if text[at:end].strip() == mark:
            return text[start:at], end
        at = end + 1
    return text[start:], len(text)


def _end_of_word(text: str, at: int, line: int) -> int:
    start = at
    while at < len(text):
        if text[at] in " \t\r\n;|&<>()":
            break
        plain = _PLAIN.match(text, at)
        at = plain.end() if plain else _past(text, at, line)
    return max(at, start + 1)


def _past(text: str, at: int, line: int, depth: int = 0) -> int:
    """Position behind the quoted text, expansion or character at a position."""
    char = text[at]
    if char == "\\":
        return at + (3 if text.startswith("\\\r\n", at) else 2)
    if char in "'`":
        return _find(text, char, at + 1, line)
    if char == '"':
        return _past_double(text, at + 1, line, depth)
    opening = _OPENING.match(text, at)
    return closing(text, opening.end(), _BRACKETS[opening.group()], line, depth + 1) if opening else at + 1


def _past_double(text: str, at: int, line: int, depth: int) -> int:
    while at < len(text) and text[at] != '"':
        plain = _QUOTED.match(text, at)
        at = plain.end() if plain else _past(text, at, line, depth)
    return _find(text, '"', at, line)


def _find(text: str, mark: str, at: int, line: int) -> int:
    end = text.find(mark, at)
    if end < 0:
        raise FormatError(f"script line {line}: got a {mark} without its end, expected it closed")
    return end + 1


def closing(text: str, at: int, mark: str, line: int, depth: int = 0) -> int:
    """Position behind the bracket that closes, quotes and inner brackets skipped.

    Raises
    ------
    FormatError
        If there is none, or brackets are nested too deeply.
    """
    inner, level = {"}": "{", ")": "(", "))": "("}[mark], 0
    while at < len(text):
        if plain := _INSIDE.match(text, at):
            at = plain.end()
            continue
        if level == 0 and text.startswith(mark, at):
            return at + len(mark)
        char = text[at]
        level += (char == inner) - (char == mark[0])
        if level + depth > _DEEPEST:
            raise FormatError(f"script line {line}: got brackets nested more than {_DEEPEST} deep, expected fewer")
        if char in "'\"`\\":
            at = _past(text, at, line, depth) if char != "'" or mark != "}" else at + 1
        else:
            at += 1
    raise FormatError(f"script line {line}: got an expansion without its {mark}, expected it closed")
