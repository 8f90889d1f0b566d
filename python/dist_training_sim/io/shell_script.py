"""A launch script read without running it: which programs it would start, with which words.

Understood: variables, arrays, defaults, arithmetic, `if` and `case` on them, `for` (its first pass), here-documents,
`eval` and `bash -c`. Conditions that depend on the machine count as false, and are noted. Nothing is executed.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ..errors import FormatError
from .shell_expand import Placed, Variables, arithmetic, is_open
from .shell_lexer import Token, tokens_of

__all__ = ["Script", "Word", "read_script"]

_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)(\[\d*\])?(\+?)=", re.DOTALL)
_DECLARES = ("export", "local", "declare", "readonly", "typeset")
_ENDS = frozenset((";", "\n", "&", "|", "&&", "||", ";;"))
_REDIRECTS = frozenset(("<", ">", ">>", "<<", "<<-", "<<<", "&>", ">&"))
_SHELLS = frozenset(("bash", "sh", "zsh", "sbatch", "qsub", "srun", "ssh"))  # what they are given is a script
_NUMBERS = {"-eq": "==", "-ne": "!=", "-lt": "<", "-le": "<=", "-gt": ">", "-ge": ">="}
MOST_NESTED, MOST_STATEMENTS = 8, 100_000


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a command after expansion, and the line it was written on."""

    text: str
    line: int


@dataclass
class Script:
    """What was read: commands in order, `#SBATCH` words, notes on what was not evaluated, and all variables."""

    commands: list[list[Word]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    variables: Variables = field(default_factory=Variables)


@dataclass
class _Frame:
    """An open `if`, `case` or loop: whether its current branch runs, and whether one did already."""

    kind: str
    outer: bool
    active: bool = False
    done: bool = False
    subject: str = ""


def read_script(text: str, variables: Mapping[str, str] | None = None) -> Script:
    """Read a script.

    Parameters
    ----------
    variables
        Values of the environment, by name.

    Raises
    ------
    FormatError
        If it is too large, its quotes or brackets do not close, or its variables explode.
    """
    script = Script(variables=Variables(dict(variables or {})))
    _Reader(script, 0).run(text, 1)
    return script


class _Reader:
    """One pass over a text; nested texts (`eval`, here-documents) get a reader of their own on the same script."""

    def __init__(self, script: Script, depth: int) -> None:
        self.script, self.depth = script, depth
        self.frames: list[_Frame] = []
        self.test: list[tuple[str, list[Token]]] | None = None  # commands between `if` and `then`
        self.status: bool | None = True
        self.statements = 0

    @property
    def active(self) -> bool:
        return not self.frames or (self.frames[-1].outer and self.frames[-1].active)

    def run(self, text: str, first_line: int) -> None:
        if self.depth > MOST_NESTED:
            raise FormatError(f"script: texts nested more than {MOST_NESTED} deep")
        joined_by = ";"
        for words, end in _statements(list(tokens_of(text, first_line))):
            self.statements += 1
            if self.statements > MOST_STATEMENTS:
                raise FormatError(f"script: more than {MOST_STATEMENTS} statements")
            self.statement(words, joined_by)
            joined_by = end

    # --- control words ---------------------------------------------------------------------------------------------

    def statement(self, words: list[Token], joined_by: str) -> None:
        """One simple command, or the control word in front of it."""
        while words and not words[0].operator and self.control(words):
            words = words[1:]
            joined_by = ";"
        if not words or self.skip_case_pattern(words):
            return
        if self.test is not None:
            self.test.append((joined_by, words))
        elif self.active:
            self.run_joined(words, joined_by)

    def control(self, words: list[Token]) -> bool:
        """Handle a control word; False where the first word is none, or takes the rest of the statement."""
        word, line = words[0].text, words[0].line
        if word in ("if", "elif", "while", "until"):
            if word == "elif" and self.frames:
                self.frames[-1].active = False
            elif word != "elif":
                self.frames.append(_Frame(word, self.active))
            self.test = []
        elif word in ("then", "do") and self.test is not None:
            self.branch(line)
        elif word == "else" and self.frames:
            frame = self.frames[-1]
            frame.active, frame.done = not frame.done, True
        elif word in ("fi", "done", "esac"):
            self.frames[-1:] = []
            self.test = None
        elif word in ("for", "case"):
            self.open_loop(words) if word == "for" else self.open_case(words)
            words[:] = words[:1] if word == "for" else [words[0], *words[4:]] if len(words) > 3 else words[:1]
        elif word not in ("do", "{", "}", "!", "time", "function", "exec"):
            return False
        return True

    def branch(self, line: int) -> None:
        frame, tests = self.frames[-1], self.test or []
        self.test = None
        value = self.condition(tests) if frame.outer and not frame.done else False
        if value is None and frame.outer:
            self.script.notes.append(f"line {line}: a condition depends on the machine, it counts as false")
        frame.active = bool(value) and frame.kind == "if"
        frame.done = frame.done or frame.active

    def open_loop(self, words: list[Token]) -> None:
        active = self.active
        frame = _Frame("for", active, active=True)
        if active and len(words) > 3 and words[2].text == "in":
            values = [value for word in words[3:] for value in self.script.variables.words(word.text)]
            frame.active = bool(values)
            if values:
                self.script.variables.scalars[words[1].text] = values[0]
                note = f"line {words[0].line}: of the loop over {words[1].text} only the first pass is read"
                self.script.notes += [note] if len(values) > 1 else []
        self.frames.append(frame)

    def open_case(self, words: list[Token]) -> None:
        subject = self.script.variables.text(words[1].text) if len(words) > 1 else ""
        self.frames.append(_Frame("case", self.active, subject=subject))

    def skip_case_pattern(self, words: list[Token]) -> bool:
        """Enter the branch of a `case` whose pattern stands here; True where nothing else does."""
        close = next((i for i, word in enumerate(words) if word.operator and word.text == ")"), -1)
        if close < 0 or not self.frames or self.frames[-1].kind != "case":
            return False
        frame = self.frames[-1]
        patterns = [self.script.variables.text(word.text) for word in words[:close] if not word.operator]
        fits = any(_fits(frame.subject, pattern) for pattern in patterns)
        frame.active = fits and not frame.done and frame.outer
        frame.done = frame.done or frame.active
        rest = words[close + 1 :]
        if rest and self.active:
            self.statement(rest, ";")
        return True

    # --- commands --------------------------------------------------------------------------------------------------

    def run_joined(self, words: list[Token], joined_by: str) -> None:
        if (joined_by == "&&" and self.status is False) or (joined_by == "||" and self.status is True):
            return
        if joined_by == "&&" and self.status is None:
            note = f"line {words[0].line}: a condition depends on the machine, it counts as false"
            self.script.notes.append(note)
            return
        self.status = self.command(words)

    def command(self, words: list[Token]) -> bool | None:
        """Run assignments, record anything else; the result of a test."""
        if words[0].text in ("[", "[[", "test", "true", "false", "(("):
            return self.condition([(";", words)])
        expand, start = self.script.variables, 0
        while start < len(words) and (taken := self.assign(words, start)):
            start += taken
        rest = words[start:]
        if rest and rest[0].text in _DECLARES:
            start = 1
            while start < len(rest):
                start += self.assign(rest, start) or 1
            return True
        bodies = {i for i, word in enumerate(rest) if word.operator and word.text in _REDIRECTS}
        plain = [word for i, word in enumerate(rest) if not (word.operator or word.body or i - 1 in bodies)]
        found = [
            Word(str(text), getattr(text, "line", word.line)) for word in plain for text in expand.words(word.text)
        ]
        if found:
            self.script.commands.append(found)
            self.nested(found, rest)
        return True

    def nested(self, found: list[Word], written: list[Token]) -> None:
        """Texts that are scripts themselves: `eval`, `bash -c`, here-documents."""
        names = [word.text for word in found]
        if names[0] == "eval":
            self.inner(" ".join(names[1:]), found[0].line)
        for i, name in enumerate(names[:-1]):
            if name.rsplit("/", 1)[-1] in ("bash", "sh"):
                place = next((j for j in range(i + 1, len(names)) if names[j] in ("-c", "-lc")), 0)
                if place and place + 1 < len(names):
                    self.inner(names[place + 1], found[place].line)
        for word in written:
            if word.body:
                self.here_document(word, {name.rsplit("/", 1)[-1] for name in names})

    def here_document(self, body: Token, programs: set[str]) -> None:
        """A script for a shell; any other text is read as one if it can be, since `cat` may write a script."""
        try:
            expand = body.body == "expanded"
            text = self.script.variables.text(_unquoted(body.text)) if expand else body.text
            self.inner(text, body.line)
        except FormatError:
            if programs & _SHELLS:
                raise
            self.script.notes.append(f"line {body.line}: a here-document is no shell text, it is not read")

    def inner(self, text: str, line: int) -> None:
        _Reader(self.script, self.depth + 1).run(text, line)

    def assign(self, words: list[Token], at: int) -> int:
        """Words taken by the assignment at a place; 0 where none stands there."""
        word = words[at]
        match = None if word.operator else _ASSIGNMENT.match(word.text)
        if match is None:
            return 0
        name, _, more = match.groups()
        value, variables = word.text[match.end() :], self.script.variables
        opens = at + 1 < len(words) and words[at + 1].operator and words[at + 1].text == "(" and words[at + 1].joined
        if value or not opens:
            text = variables.text(value)
            variables.scalars[name] = Placed((variables.scalars.get(name, "") if more else "") + text, word.line)
            variables.arrays.pop(name, None)
            return 1
        end = next((i for i in range(at + 2, len(words)) if words[i].operator and words[i].text == ")"), len(words))
        inside = [word for word in words[at + 2 : end] if not word.operator]
        entries: list[str] = [
            Placed(text, getattr(text, "line", word.line)) for word in inside for text in variables.words(word.text)
        ]
        if more:
            variables.arrays.setdefault(name, []).extend(entries)
        else:
            variables.arrays[name] = entries
        return end - at + 1

    # --- conditions ------------------------------------------------------------------------------------------------

    def condition(self, tests: list[tuple[str, list[Token]]]) -> bool | None:
        value: bool | None = True
        for i, (joined_by, words) in enumerate(tests):
            found = self.one_test(words)
            if i == 0 or joined_by not in ("&&", "||"):
                value = found
            elif joined_by == "&&":
                value = False if False in (value, found) else None if None in (value, found) else True
            else:
                value = True if True in (value, found) else None if None in (value, found) else False
        return value

    def one_test(self, words: list[Token]) -> bool | None:
        if words[0].text == "!" and not words[0].operator:
            found = self.one_test(words[1:]) if len(words) > 1 else None
            return None if found is None else not found
        if words[0].text in ("true", "false"):
            return words[0].text == "true"
        if words[0].text not in ("[", "[[", "test"):
            return None
        inside = [word for word in words[1:] if word.text not in ("]", "]]")]
        parts: list[tuple[str, list[str]]] = [(";", [])]
        for word in inside:
            if word.text in ("&&", "||", "-a", "-o"):
                parts.append(({"-a": "&&", "-o": "||"}.get(word.text, word.text), []))
            elif not word.operator:
                parts[-1][1].extend(self.script.variables.words(word.text, split=False) or [""])
        value = _compare(parts[0][1])
        for joined_by, terms in parts[1:]:
            found = _compare(terms)
            if joined_by == "&&":
                value = False if False in (value, found) else None if None in (value, found) else True
            else:
                value = True if True in (value, found) else None if None in (value, found) else False
        return value


def _fits(text: str, pattern: str) -> bool:
    """Whether a shell pattern fits. Brackets that nothing closes are characters: `fnmatch` seeks the end of each."""
    closed, bracket, rest = pattern.rpartition("]")
    return fnmatch.fnmatchcase(text, closed + bracket + rest.replace("[", "[[]"))


def _compare(terms: list[str]) -> bool | None:
    """Value of the words of a test; None where it depends on something unknown."""
    if terms and terms[0] == "!":
        found = _compare(terms[1:])
        return None if found is None else not found
    if len(terms) == 2 and terms[0] in ("-n", "-z"):
        return (not terms[1] or is_open(terms[1])) == (terms[0] == "-z")
    if len(terms) == 1:
        return bool(terms[0]) and not is_open(terms[0])
    if len(terms) != 3 or is_open(terms[0]) or is_open(terms[2]):
        return None
    left, sign, right = terms
    if sign in ("=", "==", "!="):
        return _fits(left, right) == (sign != "!=")
    values = arithmetic(left, {}), arithmetic(right, {})
    if sign not in _NUMBERS or values[0] is None or values[1] is None:
        return None
    difference = values[0] - values[1]
    return {"==": difference == 0, "!=": difference != 0, "<": difference < 0, "<=": difference <= 0,
            ">": difference > 0, ">=": difference >= 0}[_NUMBERS[sign]]  # fmt: skip


def _unquoted(text: str) -> str:
    """A here-document as the inside of double quotes: a backslash stays unless it is before $, ` or itself."""
    return '"' + re.sub(r"\\(?![$`\\\n])", r"\\\\", text).replace('"', '\\"') + '"'


def _statements(tokens: list[Token]) -> Iterator[tuple[list[Token], str]]:
    """Simple commands with the operator that ends each; brackets of arrays and `[[ ]]` keep theirs inside."""
    words: list[Token] = []
    depth, double = 0, False
    for token in tokens:
        if token.operator and token.text == "(":
            depth += 1
        elif token.operator and token.text == ")":
            depth = max(0, depth - 1)
        double = (double or token.text == "[[") and token.text != "]]"
        if token.operator and token.text in _ENDS and depth == 0 and not (double and token.text in ("&&", "||")):
            if words:
                yield words, token.text
            words = []
        elif not (token.operator and token.text == "\n"):
            words.append(token)
    if words:
        yield words, ";"
