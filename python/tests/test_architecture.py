"""Imports point one way, the core is pure, files and functions stay small; the order stands in docs/architecture.md."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SRC, PACKAGE = ROOT / "src", ROOT / "python" / "dist_training_sim"
DOCUMENT = ROOT / "docs" / "architecture.md"
if not (SRC.is_dir() and DOCUMENT.is_file()):
    pytest.skip("no source tree beside this package", allow_module_level=True)

HEAVY = ("matplotlib", "pydantic", "yaml", "typer", "rich", "PIL")
FACADES = {"communication_model": "comm", "compute_model": "compute", "memory_model": "memory"}
FORBIDDEN = ("Python.h", "pybind11", "json", "fstream", "iostream", "filesystem", "chrono", "ctime", "thread")
LAZY_ONLY = {"catalog", "io"}  # look-ups by name and readers of files
CPP = sorted([*SRC.rglob("*.cpp"), *SRC.rglob("*.hpp")])
CORE = [path for path in CPP if "bindings" not in path.parts]
PYTHON = sorted(PACKAGE.rglob("*.py"))


def rooms(heading: str) -> list[str]:
    """Rooms of one table of the document, from the bottom up."""
    section = DOCUMENT.read_text(encoding="utf-8").split(f"## {heading}")[1].split("\n## ")[0]
    return re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)


CORE_ROOMS, PYTHON_ROOMS = rooms("Core"), rooms("Package")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def uncommented(path: Path) -> str:
    text = re.sub(r"//.*", "", path.read_text(encoding="utf-8"))
    return re.sub(r'"(?:\\.|[^"\\])*"', '""', text)


# ---- C++ -------------------------------------------------------------------------------------------------------------


def core_room(path: str) -> str:
    first = path.split("/")[0].split(".")[0]
    return FACADES.get(first, first)


def includes(path: Path) -> list[str]:
    return re.findall(r'^#include "([^"]+)"', path.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("path", CPP, ids=name_of)
def test_core_includes_point_one_way(path: Path) -> None:
    own = CORE_ROOMS.index(core_room(path.relative_to(SRC).as_posix()))
    upward = [other for other in includes(path) if CORE_ROOMS.index(core_room(other)) > own]
    assert not upward


def test_every_room_of_the_core_is_in_the_document() -> None:
    found = {core_room(path.relative_to(SRC).as_posix()) for path in CPP}
    assert found | {"version"} == set(CORE_ROOMS)


def test_headers_do_not_include_each_other_in_a_circle() -> None:
    graph = {path.relative_to(SRC).as_posix(): includes(path) for path in CPP if path.suffix == ".hpp"}
    done: set[str] = set()

    def visit(header: str, above: tuple[str, ...]) -> None:
        assert header not in above, " -> ".join((*above, header))
        if header not in done:
            for other in graph.get(header, ()):
                visit(other, (*above, header))
            done.add(header)

    for header in graph:
        visit(header, ())


def test_comments_of_the_core_name_files_that_exist() -> None:
    named = re.compile(rf"(?<![\w/])(?:{'|'.join(CORE_ROOMS)})/\w+\.[ch]pp\b")
    found = {(name_of(path), file) for path in CPP for file in named.findall(path.read_text(encoding="utf-8"))}
    assert sorted((path, file) for path, file in found if not (SRC / file).is_file()) == []


@pytest.mark.parametrize("path", CORE, ids=name_of)
def test_core_is_pure(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    included = re.findall(r'^#include [<"]([^>"]+)[>"]', text, re.MULTILINE)
    forbidden = [word for word in FORBIDDEN if word not in {"thread", "chrono"} or path.name != "parallel_for.hpp"]
    assert not [name for name in included if any(word in name for word in forbidden)]
    assert not re.search(r"\b(getenv|setenv|std::cout|std::cerr|printf|fopen|rand)\s*[(<]", uncommented(path))
    if path.name != "interrupt.hpp":  # the one state of a thread
        state = r"^(?:inline )?(?:static|thread_local) (?!const|inline|constexpr)[\w:<>]+ \w+(?: =|;|\{)"
        assert not re.search(state, text, re.M)


@pytest.mark.parametrize("path", sorted((SRC / "bindings").glob("bind*.cpp")), ids=name_of)
def test_bindings_do_no_arithmetic(path: Path) -> None:
    """No binary + - * / between two values; `++i` of a loop and pointers are conversion."""
    found = re.findall(r"[\w)\]] [-+*/] [\w(]", uncommented(path))
    assert not found


@pytest.mark.parametrize("path", CPP, ids=name_of)
def test_size_of_cpp_files(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) < (150 if path.suffix == ".hpp" else 300)
    assert path.suffix != ".hpp" or lines[0].startswith("// "), "a header opens with what it models"


# ---- Python ----------------------------------------------------------------------------------------------------------


def imported_rooms(path: Path, node: ast.AST) -> list[str]:
    """Rooms of the package that one import statement names."""
    if not isinstance(node, ast.ImportFrom) or not node.level:
        return []
    folder = list(path.parent.relative_to(PACKAGE).parts)
    base = folder[: len(folder) - node.level + 1]
    parts = [*base, *(node.module.split(".") if node.module else [])]
    return [parts[0]] if parts else [alias.name for alias in node.names]


def import_statements(path: Path) -> Iterator[tuple[ast.AST, bool]]:
    """(statement, whether it runs on first use only); imports for type checkers are left out."""
    stack: list[tuple[ast.AST, bool]] = [(ast.parse(path.read_text(encoding="utf-8")), False)]
    while stack:
        node, lazy = stack.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node, lazy
        inside = lazy or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        stack += [(child, inside) for child in ast.iter_child_nodes(node)]


MODULES = [path for path in PYTHON if path.parent != PACKAGE or path.name != "__init__.py"]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_package_imports_point_one_way(path: Path) -> None:
    parts = path.relative_to(PACKAGE).parts
    own = PYTHON_ROOMS.index(parts[0].removesuffix(".py"))
    for node, lazy in import_statements(path):
        for room in imported_rooms(path, node):
            upward = room != "__version__" and PYTHON_ROOMS.index(room) > own
            assert not upward or (lazy and room in LAZY_ONLY), f"{parts[0]} imports {room}"


def test_every_room_of_the_package_is_in_the_document() -> None:
    found = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in PYTHON} - {"__init__"}
    assert found <= set(PYTHON_ROOMS)


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = f"import sys, dist_training_sim; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("path", PYTHON, ids=name_of)
def test_size_of_functions(path: Path) -> None:
    """Bodies stay under 40 lines, docstrings not counted."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            lines = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            assert lines < 40, node.name
