"""No part of the sources stands in two places: the same lines of code, whatever their indent and comments."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ALIKE = {"core": 6, "package": 8}  # lines of code one after the other
SOURCES = {"core": (ROOT / "src", ".[ch]pp", "//"), "package": (ROOT / "python" / "dist_training_sim", ".py", "#")}
# Says nothing by itself: brackets, includes and imports, declarations of a namespace, one name or text of a list.
_PLAIN = re.compile(r"""^[\W_]*$|^(#include|#pragma|import|from|namespace|using|\} *// namespace)\b|^["\w.]+,?$""")


def code_lines(path: Path, comment: str) -> list[tuple[int, str]]:
    """Lines that say something, without comments and docstrings."""
    text = path.read_text(encoding="utf-8")
    text = re.sub(r'"""(?:.|\n)*?"""', lambda match: "\n" * match[0].count("\n"), text)
    lines = ((number, line.split(comment)[0].strip()) for number, line in enumerate(text.splitlines(), 1))
    return [(number, line) for number, line in lines if not _PLAIN.match(line)]


def repeated(paths: list[Path], comment: str, alike: int) -> Iterator[str]:
    """Places that begin with the same lines as another."""
    seen: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for path in paths:
        lines = code_lines(path, comment)
        for i in range(len(lines) - alike + 1):
            part = tuple(line for _, line in lines[i : i + alike])
            seen[part].append(f"{path.name}:{lines[i][0]}")
    return (" = ".join(places) for places in seen.values() if len(places) > 1)


@pytest.mark.parametrize("name", SOURCES)
def test_no_part_stands_twice(name: str) -> None:
    folder, suffix, comment = SOURCES[name]
    if not folder.is_dir():
        pytest.skip("no source tree beside this package")
    assert not list(repeated(sorted(folder.rglob(f"*{suffix}")), comment, ALIKE[name]))


def test_a_copy_is_found(tmp_path: Path) -> None:
    lines = [f"value_{i} = compute({i})" for i in range(8)]
    (tmp_path / "one.py").write_text("\n".join(lines), encoding="utf-8")
    copy = "\n    # why\n".join(f"    {line}" for line in lines)
    (tmp_path / "two.py").write_text(f"first = 1\n{copy}", encoding="utf-8")
    assert list(repeated(sorted(tmp_path.glob("*.py")), "#", 8)) == ["one.py:1 = two.py:2"]
