"""Figures of the guide are those that their makers draw, by what they show; `docs/likeness.py` compares."""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
if not DOCS.is_dir():
    pytest.skip("no source tree beside this package", allow_module_level=True)
sys.path.insert(0, str(DOCS))
import likeness  # noqa: E402
import make_figures  # noqa: E402
import make_performance  # noqa: E402
import results  # noqa: E402

KEPT: dict[str, dict[str, Any]] = json.loads(likeness.FACTS.read_text(encoding="utf-8"))


def test_every_figure_is_kept_with_its_facts() -> None:
    """A file that was drawn without its facts, or the other way round, has another hash."""
    drawn = {path.name: likeness.digest(path) for path in likeness.IMAGES.glob("*.png")}
    assert drawn == {name: facts["sha256"] for name, facts in KEPT.items()}


@pytest.mark.parametrize("name", make_figures.FIGURES)
def test_predictions_are_those_of_today(name: str) -> None:
    assert likeness.stale(name, make_figures.FIGURES[name]()) == "", "python docs/make_figures.py draws it anew"


@pytest.mark.parametrize("name", make_performance.FIGURES)
def test_measurements_are_the_kept_ones(name: str) -> None:
    figure = make_performance.FIGURES[name](results.kept())
    assert likeness.stale(name, figure) == "", "python docs/make_performance.py draws it anew"


def changed(name: str, **changes: Any) -> dict[str, Any]:
    return copy.deepcopy(KEPT[name]) | changes


def test_other_words_numbers_and_data_are_seen() -> None:
    name = "pipeline_timeline.png"
    facts = KEPT[name]
    assert likeness.facts_apart(facts, copy.deepcopy(facts)) == ""
    other_texts = [text.replace("step 2.", "step 3.") for text in facts["texts"]]
    assert likeness.facts_apart(facts, changed(name, texts=other_texts)).startswith("kept 2.")
    moved = changed(name)
    moved["axes"][0]["paths"][1] *= 1.1
    assert "paths" in likeness.facts_apart(facts, moved)
    fewer = changed(name)
    fewer["axes"][0]["paths"][0] *= 0.9
    assert "paths" in likeness.facts_apart(facts, fewer)


@pytest.mark.parametrize(
    ("kept", "now", "apart"),
    [
        ("step 2.79 s", "step 2.80 s", ""),
        ("step 2.79 s", "step 2.95 s", "kept 2.79, now 2.95"),
        ("waits 3%", "waits 4%", ""),
        ("waits 3%", "waits 5%", "kept 3, now 5"),
        ("1,024 devices", "1,030 devices", ""),
        ("fastest: tp 8", "fastest: cp 8", "kept 'fastest: tp 8', now 'fastest: cp 8'"),
        ("a\n  b 1", "a b 1", ""),
        ("2e9", "2.01e9", ""),
    ],
)
def test_texts_are_compared_with_a_tolerance(kept: str, now: str, apart: str) -> None:
    assert likeness.texts_apart(kept, now) == apart
