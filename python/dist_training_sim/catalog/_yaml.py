"""YAML reading: packaged files entry by entry, files of users with care.

A packaged file is cut at its top-level keys, and only the entries asked for are parsed: the first look-up of a device
takes 15 ms, 34 ms without libyaml. A user's file may not repeat a key (YAML would silently keep the last), use aliases
(a few lines can expand to gigabytes) or be larger than 1 MB.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from ..errors import FormatError

__all__ = ["MAX_FILE_BYTES", "packaged_entry", "packaged_file", "packaged_names", "packaged_text", "read_user_yaml"]

MAX_FILE_BYTES = 1_000_000
_ENTRY = re.compile(r"^([A-Za-z0-9_.-]+):", re.MULTILINE)


def _loader() -> Any:
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _read(file: str) -> str:
    return resources.files(__package__).joinpath(file).read_text(encoding="utf-8")


@cache
def packaged_file(file: str) -> Any:
    """A whole parsed catalogue file, for those whose entries share anchors. Do not change the result: it is shared."""
    import yaml

    return yaml.load(_read(file), Loader=_loader())


@cache
def packaged_text(file: str) -> dict[str, str]:
    """Entries of a catalogue file as text, by name, in file order.

    Raises
    ------
    FormatError
        If a name occurs twice.
    """
    text = _read(file)
    starts = list(_ENTRY.finditer(text))
    ends = [m.start() for m in starts[1:]] + [len(text)]
    entries: dict[str, str] = {}
    for match, end in zip(starts, ends, strict=True):
        if match.group(1) in entries:
            raise FormatError(f"{file}: {match.group(1)} stands there twice")
        entries[match.group(1)] = text[match.start() : end]
    return entries


def packaged_names(file: str) -> tuple[str, ...]:
    """Names of the entries of a catalogue file, in file order."""
    return tuple(packaged_text(file))


@cache
def packaged_entry(file: str, name: str) -> Any:
    """One parsed entry of a catalogue file; None if there is no such entry. Do not change the result: it is shared."""
    import yaml

    text = packaged_text(file).get(name)
    return None if text is None else yaml.load(text, Loader=_loader())[name]


def read_user_yaml(path: Path) -> Any:
    """Parsed content of a user's file.

    Raises
    ------
    FormatError
        If it cannot be read, is too large, is no YAML, repeats a key or uses aliases.
    """
    import yaml

    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise FormatError(f"{path}: {path.stat().st_size} bytes, expected at most {MAX_FILE_BYTES}")
        text = path.read_text(encoding="utf-8")
    except FormatError:
        raise
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, or no path
        raise FormatError(f"{path}: cannot be read: {error}") from error
    try:
        _refuse_surprises(path, text)
        return yaml.load(text, Loader=_loader())
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"{path}: no valid YAML: {str(error) or 'nested too deeply'}") from error


def _refuse_surprises(path: Path, text: str) -> None:
    """Refuse aliases and repeated keys, both legal to the parser."""
    import yaml

    for event in yaml.parse(text, Loader=_loader()):
        if isinstance(event, yaml.AliasEvent):
            raise FormatError(f"{path}: aliases (*{event.anchor}) are not accepted; write the value out")
    nodes = [yaml.compose(text, Loader=_loader())]
    while nodes:
        node = nodes.pop()
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
            twice = sorted({k for k in keys if keys.count(k) > 1})
            if twice:
                raise FormatError(f"{path}: {', '.join(twice)} given twice in one mapping")
            nodes += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            nodes += node.value
