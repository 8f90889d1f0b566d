"""Every notebook of `examples/` runs, tells a finding, and is kept with the outputs and figures of today's model."""

from __future__ import annotations

import base64
import importlib.util
import io
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from figure_gallery import DRAWS_ALIKE
from PIL import Image

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
if not EXAMPLES.is_dir():
    pytest.skip("no source tree beside this package", allow_module_level=True)
sys.path.insert(0, str(EXAMPLES.parent / "docs"))
from likeness import texts_apart  # noqa: E402

nbformat = pytest.importorskip("nbformat", reason="the test extra brings nbformat, nbclient and ipykernel")
pytest.importorskip("nbclient", reason="the test extra brings nbformat, nbclient and ipykernel")
pytest.importorskip("ipykernel", reason="the test extra brings nbformat, nbclient and ipykernel")

NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
ASKED_FOR = {
    "basic_simulation_workflow",
    "communication_optimization",
    "compare_pipeline_schedules",
    "custom_model_configuration",
    "memory_optimization_strategies",
    "plan_a_70b_run",
    "reproduce_megatron_sc21_table_1",
    "scaling_analysis",
}


def runner() -> ModuleType:
    spec = importlib.util.spec_from_file_location("run_notebooks", EXAMPLES / "run_notebooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def code(notebook: object) -> list[object]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]  # type: ignore[attr-defined]


def pictures(notebook: object) -> int:
    outputs = [output for cell in code(notebook) for output in cell.outputs]  # type: ignore[attr-defined]
    return sum("image/png" in output.get("data", {}) for output in outputs)


def shown(cell: object) -> tuple[str, list[np.ndarray]]:
    """Text and pictures of a cell's outputs; addresses of objects are no text."""
    texts, images = [], []
    for output in cell.outputs:  # type: ignore[attr-defined]
        data = output.get("data", {})
        texts.append(output.get("text", "") or ("" if "image/png" in data else data.get("text/plain", "")))
        if "image/png" in data:
            image = Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).convert("RGB")
            images.append(np.asarray(image.resize((60, 40)), dtype=float))
    return "\n".join(texts), images


def stale(kept: object, now: object) -> list[str]:
    """Cells whose kept outputs are not those of today, with what sets them apart."""
    found = []
    for i, (then, new) in enumerate(zip(code(kept), code(now), strict=True), start=1):
        (old_text, old_images), (new_text, new_images) = shown(then), shown(new)
        apart = texts_apart(old_text, new_text)
        if not apart and len(old_images) != len(new_images):
            apart = f"kept {len(old_images)} figures, now {len(new_images)}"
        if DRAWS_ALIKE and not apart:
            pairs = zip(old_images, new_images, strict=True)
            apart = "".join("a figure looks other" for a, b in pairs if np.abs(a - b).mean() > 4.0)
        if apart:
            found.append(f"cell {i}: {apart}")
    return found


def test_stale_outputs_are_seen() -> None:
    kept = nbformat.read(NOTEBOOKS[0], as_version=4)
    assert stale(kept, kept) == []
    other = nbformat.read(NOTEBOOKS[0], as_version=4)
    printing = next(cell for cell in code(other) if shown(cell)[0])
    text = next(output for output in printing.outputs if output.get("text"))  # type: ignore[attr-defined]
    text["text"] = text["text"].replace("1", "7")
    drawing = next(cell for cell in code(other) if shown(cell)[1])
    drawing.outputs = [o for o in drawing.outputs if "image/png" not in o.get("data", {})]  # type: ignore[attr-defined]
    assert len(stale(kept, other)) == 2


def test_every_topic_has_its_notebook() -> None:
    assert {path.stem for path in NOTEBOOKS} >= ASKED_FOR
    listed = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in NOTEBOOKS if path.name not in listed] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore")  # those of the notebook client are not ours
def test_notebook_runs(path: Path, tmp_path: Path) -> None:
    kept = nbformat.read(path, as_version=4)
    done = runner().run(path, tmp_path)  # raises with the cell's traceback
    assert stale(kept, done) == [], "make notebooks runs them anew"
    assert pictures(done) >= 2
    printed = "".join(output.get("text", "") for output in code(done)[-1].outputs)  # type: ignore[attr-defined]
    assert len(printed.split()) >= 10, "the last cell states the finding"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_kept_as_run(path: Path) -> None:
    """In order, with every figure, without errors or anything that changes from run to run."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = code(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))  # type: ignore[attr-defined]
    assert pictures(notebook) >= 2
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.cells[0].source.startswith("# ")
    assert any(cell.source.startswith("## Finding") for cell in notebook.cells)
    assert path.stat().st_size < 600_000
