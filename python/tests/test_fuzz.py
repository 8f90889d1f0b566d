"""A short run of the fuzzers of tests/fuzz; `make deep` runs them long."""

from __future__ import annotations

import sys
from pathlib import Path

import dist_training_sim as dts
import pytest

FUZZ = Path(__file__).parents[2] / "tests" / "fuzz"
if not FUZZ.is_dir():
    pytest.skip("no source tree beside this package", allow_module_level=True)
sys.path.insert(0, str(FUZZ))
from fuzz import fuzz  # noqa: E402
from targets import FOUND, TARGETS, seeds  # noqa: E402


@pytest.mark.parametrize("name", TARGETS)
def test_changed_seeds_give_a_result_or_a_clear_error(name: str) -> None:
    assert seeds(name)
    found = fuzz(name, runs=100, seed=1)
    assert not {what: data[:300] for what, data in found.failures.items() if not what.startswith("took")}


@pytest.mark.parametrize("file", sorted(FOUND.glob("*/*")), ids=lambda file: f"{file.parent.name}-{file.name}")
def test_what_once_broke_a_reader_is_refused(file: Path, tmp_path: Path) -> None:
    with pytest.raises(dts.DtsError):
        TARGETS[file.parent.name](file.read_bytes(), tmp_path)


def test_seeds_themselves_are_understood(tmp_path: Path) -> None:
    """Each seed gives a result: a target raises what none of its readers takes."""
    for name in TARGETS:
        for data in seeds(name):
            TARGETS[name](data, tmp_path)
    with pytest.raises(dts.DtsError):
        TARGETS["units"](b"no unit at all", tmp_path)
