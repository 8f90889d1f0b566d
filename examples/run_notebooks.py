"""Run the notebooks of this folder and keep their outputs in them: `python examples/run_notebooks.py [NAME ...]`.

Notebooks are kept with their figures, so that they can be read where no kernel runs. `python/tests/test_notebooks.py`
runs them all and fails where an output is no longer what is kept.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent


def run(path: Path, folder: Path = FOLDER) -> nbformat.NotebookNode:
    """Execute one notebook in `folder` and return it with its outputs and nothing that changes from run to run."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, record_timing=False, resources={"metadata": {"path": str(folder)}}).execute()
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"], "language_info": {"name": "python"}}
    return notebook


def main() -> None:
    """Run the named notebooks, or all."""
    for path in [FOLDER / f"{Path(name).stem}.ipynb" for name in sys.argv[1:]] or sorted(FOLDER.glob("*.ipynb")):
        nbformat.write(run(path), path)
        sys.stderr.write(f"{path.name}\n")


if __name__ == "__main__":
    main()
