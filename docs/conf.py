"""Sphinx: the guide and references as a site; `make docs` builds it with warnings as errors."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS))

import build_cpp_api  # noqa: E402

project = "dist_training_sim"
author = "the dist_training_sim authors"
copyright = "the dist_training_sim authors, MIT licence"
extensions = ["myst_nb"]
exclude_patterns = ["build", "guide/README.md"]
html_theme = "furo"
html_title = "dist_training_sim"
html_theme_options: dict[str, list[str]] = {"top_of_page_buttons": []}
nb_execution_mode = "off"  # notebooks are kept as run
myst_heading_anchors = 3
myst_enable_extensions = ["dollarmath"]
suppress_warnings = ["myst.header"]  # pages written for people begin where they like


def prepare() -> None:
    """Pages that come from elsewhere: the notebooks of `examples/`, the C++ reference."""
    notebooks = DOCS / "notebooks"
    notebooks.mkdir(exist_ok=True)
    for path in sorted((DOCS.parent / "examples").glob("*.ipynb")):
        shutil.copyfile(path, notebooks / path.name)
    build_cpp_api.write(DOCS / "api" / "cpp")


prepare()
