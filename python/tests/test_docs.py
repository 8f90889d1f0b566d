"""Every Python block of the README and the guide runs, page by page and in order."""

from __future__ import annotations

import importlib.util
import re
import shutil
from pathlib import Path
from types import ModuleType

import dist_training_sim as dts
import pytest
from dist_training_sim.visualization import Visualizer

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "guide").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    notebooks = shutil.ignore_patterns("*.ipynb")
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=notebooks)  # pages name files of the repository
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": page.stem}
    for block in blocks:
        exec(compile(block, str(page), "exec"), names)
    assert page.stat().st_size > 200


def test_reference_lists_every_public_name() -> None:
    page = (ROOT / "docs" / "api" / "python.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^## `(\w+)`", page, re.MULTILINE))
    assert documented == {name for name in dts.__all__ if not name.startswith("__")}


def test_links_between_pages_lead_somewhere() -> None:
    for page in [*PAGES, *(ROOT / "docs" / "api").glob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_contributing_names_files_that_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    roots = [ROOT, ROOT / "src", ROOT / "python" / "dist_training_sim", ROOT / "python" / "tests"]
    named = re.findall(r"`(?:python )?([\w./]+(?:/|\.(?:md|py|pyi|cpp|hpp|yaml|json|txt)))(?=[` ])", text)
    missing = {name for name in named if not any((root / name).exists() for root in roots)}
    assert missing == {"config.json"}  # a user's


def cpp_reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_cpp_api", ROOT / "docs" / "build_cpp_api.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_cpp_reference_shows_every_header_once(tmp_path: Path) -> None:
    cpp_reference().write(tmp_path)
    pages = "\n".join(page.read_text(encoding="utf-8") for page in tmp_path.glob("*.md"))
    headers = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src").rglob("*.hpp")}
    shown = re.findall(r"^## `([\w/]+\.hpp)`", pages, re.MULTILINE)
    assert sorted(shown) == sorted(h for h in headers if not h.startswith("bindings/"))
    assert "struct Strategy {" in pages
    index = (tmp_path / "index.md").read_text(encoding="utf-8")
    assert all(f"({page.name})" in index for page in tmp_path.glob("*.md") if page.name != "index.md")


def test_every_guide_page_is_listed_and_every_figure_method_documented() -> None:
    listed = (ROOT / "docs" / "guide" / "README.md").read_text(encoding="utf-8")
    pages = [page.name for page in (ROOT / "docs" / "guide").glob("*.md") if page.name not in ("README.md", "index.md")]
    assert [name for name in pages if f"({name})" not in listed] == []
    page = (ROOT / "docs" / "api" / "python.md").read_text(encoding="utf-8")
    methods = [name for name in dir(Visualizer) if not name.startswith("_")]
    assert [name for name in methods if f"### `Visualizer.{name}`" not in page] == []
