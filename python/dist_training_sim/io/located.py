"""Scripts and configurations as text; YAML, JSON and TOML as options: leaves by dotted name, with file and line."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .._files import is_file
from ..errors import DtsError, FormatError, MissingDataError
from .options import Option

__all__ = ["MAX_CONFIG_BYTES", "compose", "config_text", "flat_toml", "flat_yaml", "value_of"]

MAX_CONFIG_BYTES = 1_000_000
MOST_NESTED = 50


def config_text(path: Path) -> str:
    """Text of a script or configuration.

    Raises
    ------
    MissingDataError
        If there is no such file.
    FormatError
        If it is too large, is no UTF-8 text or cannot be read.
    """
    try:
        if not is_file(path):
            raise MissingDataError(f"job: got {str(path)[:200]!r}, expected an existing script or configuration")
        with path.open("rb") as file:
            data = file.read(MAX_CONFIG_BYTES + 1)
        if len(data) > MAX_CONFIG_BYTES:
            raise FormatError(f"{path}: larger than {MAX_CONFIG_BYTES} bytes, expected a script or a configuration")
        return data.decode("utf-8-sig")
    except (OSError, ValueError) as error:
        if isinstance(error, DtsError):
            raise
        reason = "it is no UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)
        raise FormatError(f"{str(path)[:200]}: cannot be read: {reason}") from None


def compose(text: str, where: str) -> Any:
    """Nodes of a YAML or JSON text, each with its line; None of an empty one.

    Raises
    ------
    FormatError
        If it is too large or nested too deeply, is no YAML, repeats a key or uses aliases.
    """
    import yaml

    if len(text) > MAX_CONFIG_BYTES:
        raise FormatError(f"{where}: got {len(text)} characters, expected at most {MAX_CONFIG_BYTES}")
    if text.lstrip().startswith("{"):
        text = text.replace("\t", "  ")  # JSON may be indented with tabs, YAML not; inside JSON texts none can stand
    try:
        depth = 0
        for event in yaml.parse(text, Loader=_loader()):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent):
                mark = event.start_mark
                place = where if mark is None else f"{where}:{mark.line + 1}"
                raise FormatError(f"{place}: aliases (*{event.anchor}) are not accepted; write the value out")
            if depth > MOST_NESTED:
                raise FormatError(f"{where}: nested more than {MOST_NESTED} deep")
        node = yaml.compose(text, Loader=_loader())
    except (yaml.YAMLError, ValueError) as error:
        if isinstance(error, FormatError):
            raise
        mark = getattr(error, "problem_mark", None)
        place = where if mark is None else f"{where}:{mark.line + 1}"
        problem = getattr(error, "problem", None) or str(error)
        raise FormatError(f"{place}: no valid YAML: {str(problem)[:160]}") from None
    _refuse_repeated(node, where)
    return node


def _loader() -> Any:
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's takes a tenth of the time


def _refuse_repeated(node: Any, where: str) -> None:
    import yaml

    nodes = [node]
    while nodes:
        found = nodes.pop()
        if isinstance(found, yaml.MappingNode):
            seen: dict[str, int] = {}
            for key, value in found.value:
                line = key.start_mark.line + 1
                if str(key.value) in seen:
                    raise FormatError(f"{where}:{line}: {key.value} was given at line {seen[str(key.value)]} already")
                seen[str(key.value)] = line
                nodes.append(value)
        elif isinstance(found, yaml.SequenceNode):
            nodes += found.value


def value_of(node: Any) -> Any:
    """Plain value of a node."""
    import yaml

    if isinstance(node, yaml.MappingNode):
        return {str(value_of(key)): value_of(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [value_of(item) for item in node.value]
    try:
        value = yaml.constructor.SafeConstructor().construct_object(node)
    except (yaml.YAMLError, ValueError, OverflowError):
        return node.value
    # YAML 1.1 takes 1e-5 for a text: a number needs its point there, though not in JSON.
    number = isinstance(value, str) and not node.style and re.fullmatch(r"[+-]?\d+[eE][+-]?\d{1,3}", value)
    if number:
        return float(value)
    return value if isinstance(value, (str, int, float, bool)) or value is None else str(value)


def flat_yaml(text: str, where: str) -> list[Option]:
    """Leaves of a YAML or JSON mapping.

    Raises
    ------
    FormatError
        If it is no mapping, or cannot be read.
    """
    import yaml

    node = compose(text, where)
    if not isinstance(node, yaml.MappingNode):
        raise FormatError(f"{where}: got {'nothing' if node is None else type(value_of(node)).__name__}, "
                          "expected a mapping of options")  # fmt: skip
    return list(_leaves(node, "", where))


def _leaves(node: Any, prefix: str, where: str) -> Iterator[Option]:
    import yaml

    for key, value in node.value:
        name = f"{prefix}{key.value}"
        if isinstance(value, yaml.MappingNode):
            yield from _leaves(value, f"{name}.", where)
        else:
            found = value_of(value)
            values = tuple(found) if isinstance(found, list) else (found,)
            yield Option(name, values, f"{where}:{key.start_mark.line + 1}")


def flat_toml(text: str, where: str) -> list[Option]:
    """Leaves of a TOML file.

    Raises
    ------
    FormatError
        If it is too large or no TOML.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    if len(text) > MAX_CONFIG_BYTES:
        raise FormatError(f"{where}: got {len(text)} characters, expected at most {MAX_CONFIG_BYTES}")
    try:
        content = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise FormatError(f"{where}: no valid TOML: {str(error)[:160]}") from None
    lines = _toml_lines(text)
    return [Option(name, values, f"{where}:{lines.get(name, 1)}") for name, values in _toml_leaves(content, "")]


def _toml_leaves(content: dict[str, Any], prefix: str) -> Iterator[tuple[str, tuple[Any, ...]]]:
    for key, value in content.items():
        if isinstance(value, dict):
            yield from _toml_leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", tuple(value) if isinstance(value, list) else (value,)


def _toml_lines(text: str) -> dict[str, int]:
    """Line of every plain `key = value`, by dotted name."""
    lines: dict[str, int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        if match := re.match(r"\s*\[([\w.\- ]+)\]", line):
            section = match.group(1).strip() + "."
        elif match := re.match(r"\s*([\w.\-]+)\s*=", line):
            lines.setdefault(section + match.group(1), number)
    return lines
