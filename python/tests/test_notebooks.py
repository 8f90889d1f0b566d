"""Every notebook of `examples/` runs, tells a finding, and is kept with its figures."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
if not EXAMPLES.is_dir():
    pytest.skip("no source tree beside this package", allow_module_level=True)
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


def test_every_topic_has_its_notebook() -> None:
    assert {path.stem for path in NOTEBOOKS} >= ASKED_FOR
    listed = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in NOTEBOOKS if path.name not in listed] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore")  # those of the notebook client are not ours
def test_notebook_runs(path: Path, tmp_path: Path) -> None:
    done = runner().run(path, tmp_path)  # raises with the cell's traceback
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
