"""Problems in the words of the command line: `--seq-len` where the library says `seq_len`, `--tp 4` for `tp=4`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from typer.models import OptionInfo

__all__ = ["in_option_words"]

_PLACE = re.compile(r"^(?:strategy\.)?(\w+)(?=: )")
_FILE = re.compile(r"^path(?=: got '([^']*)')", re.MULTILINE)
_VALUE = re.compile(r"""\b(\w+)=("[^"]*"|'[^']*'|\w+(?:\.\d+)?)""")
_NAME = re.compile(r"\b(?:(?<=use )(\w+)(?= in \{| \d)|(?<=leave )(\w+)(?= out\b))")


def in_option_words(problems: str, verb: Callable[..., Any], values: Mapping[str, Any]) -> str:
    """The lines of an error; where a value is wrong, and what would mend it, as options of the verb.

    A job from a file has its own names for what its options do not give: then only files to write are named by theirs.
    """
    options = _options(verb)
    written = {name: value for name, value in values.items() if isinstance(value, Path) and name in options}
    files = {text: options[name] for name, value in written.items() for text in (str(value), value.name)}
    problems = _FILE.sub(lambda match: files.get(match[1], "path"), problems)
    if values.get("job") is not None:
        return problems
    return "\n".join(_line(line, options) for line in problems.splitlines())


def _line(line: str, options: Mapping[str, str]) -> str:
    def named(match: re.Match[str]) -> str:
        return options.get(match[0].removeprefix("strategy."), match[0])

    def given(match: re.Match[str]) -> str:
        name, value = match[1], match[2].strip("\"'")
        if name not in options:
            return match[0]
        switches = {"True": options[name], "False": f"--no-{name.replace('_', '-')}"}
        return switches.get(value, f"{options[name]} {value}")

    wrong, separator, mend = _PLACE.sub(named, line).removeprefix("strategy.").partition("; ")
    return wrong + separator + _NAME.sub(named, _VALUE.sub(given, mend))


def _options(verb: Callable[..., Any]) -> dict[str, str]:
    """Options of a verb by the name of their parameter."""
    hints = inspect.get_annotations(verb, eval_str=True)  # typing.get_type_hints of 3.10 hides options behind Optional
    found: dict[str, str] = {}
    for name in inspect.signature(verb).parameters:
        infos = [part for part in getattr(hints.get(name), "__metadata__", ()) if isinstance(part, OptionInfo)]
        if infos:
            declared = [part.split("/")[0] for part in infos[0].param_decls or ()]
            found[name] = max(declared, key=len, default=f"--{name.replace('_', '-')}")
    return found
