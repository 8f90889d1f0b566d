"""Write the C++ reference from the headers of `src/`: one page per room, called by Sphinx."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SRC = ROOT / "src"
FACADES = {"communication_model": "comm", "compute_model": "compute", "memory_model": "memory"}
LEFT_OUT = {"bindings", "version"}
HEAD = """# C++ reference

The core is a C++17 library, namespace `dts`: structs in, structs out, no Python, files or globals. Another CMake
project finds it by `find_package(dist_training_sim)`, as `examples/cmake_project` does. Each page lists the headers of
a room, in the order of [architecture](../../architecture.md), with what each models and all it declares.

| room | what belongs there |
|---|---|
"""


def rooms() -> dict[str, str]:
    """Rooms of the core from the bottom up, and what belongs in each, as the architecture page has them."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = text.split("## Core")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", table, re.MULTILINE)
    return {name: what for name, what in rows if name not in LEFT_OUT}


def room_of(header: Path) -> str:
    """Room of a header: its folder; a façade belongs to the room of its topic."""
    first = header.relative_to(SRC).parts[0].removesuffix(".hpp")
    return FACADES.get(first, first)


def section(header: Path) -> str:
    """One header: its opening comment as prose, then its declarations."""
    lines = header.read_text(encoding="utf-8").splitlines()
    opening = [line.removeprefix("//").removeprefix(" ") for line in lines[: lines.index("#pragma once")]]
    body = "\n".join(line for line in lines if not line.startswith(("#pragma", "#include")))
    body = body[body.index("namespace dts") :] if "namespace dts" in body else body
    prose = "\n".join(opening)
    shown = f"```text\n{prose}\n```" if re.search(r"^ {2,}\S", prose, re.MULTILINE) else plain(prose)
    return f"## `{header.relative_to(SRC).as_posix()}`\n\n{shown}\n\n```cpp\n{body.strip()}\n```\n"


def plain(prose: str) -> str:
    """A comment as Markdown text: nothing in it is markup."""
    return re.sub(r"([\\*_<>\[\]$|`#])", r"\\\1", prose)


def write(folder: Path) -> None:
    """Write an index and a page per room into `folder`."""
    named = rooms()
    headers: dict[str, list[Path]] = {}
    for header in sorted(SRC.rglob("*.hpp")):
        headers.setdefault(room_of(header), []).append(header)
    folder.mkdir(parents=True, exist_ok=True)
    kept = [name for name in named if name in headers]
    table = "".join(f"| [{name}]({name}.md) | {named[name]} |\n" for name in kept)
    tree = "\n".join(["```{toctree}", ":hidden:", "", *kept, "```", ""])
    (folder / "index.md").write_text(f"{HEAD}{table}\n{tree}", encoding="utf-8")
    for name in kept:
        parts = [f"# `{name}`", "", f"{named[name][:1].upper()}{named[name][1:]}.", "", *map(section, headers[name])]
        (folder / f"{name}.md").write_text("\n".join(parts), encoding="utf-8")
