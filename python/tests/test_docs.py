"""Every Python block of the README and the guide runs, page by page and in order."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import dist_training_sim as dts
import pytest

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
