"""What wheels and sdists hold: `python .ci/check_wheel.py dist/*`.

Prints what is missing or too much; exit code 1 if anything is.
"""

from __future__ import annotations

import re
import sys
import tarfile
import zipfile
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "python" / "dist_training_sim"
ROOT = "dist_training_sim/"
NEEDED_IN_SDIST = ("CMakeLists.txt", "pyproject.toml", "LICENSE", "README.md", "src/training_simulator.cpp")


def expected() -> set[str]:
    """Files of the package that belong into a wheel, the compiled module aside."""
    kept = (path for path in PACKAGE.rglob("*") if path.is_file())
    return {
        ROOT + path.relative_to(PACKAGE).as_posix()
        for path in kept
        if path.suffix not in {".so", ".pyd", ".pyc"} and "__pycache__" not in path.parts
    }


def problems_of_wheel(file: Path) -> list[str]:
    """What is wrong with a wheel."""
    with zipfile.ZipFile(file) as archive:
        names = set(archive.namelist())
    inside = {name for name in names if name.startswith(ROOT)}
    compiled = {name for name in inside if re.fullmatch(ROOT + r"_core\..*(so|pyd)", name)}
    info = {name for name in names if ".dist-info/" in name}
    found = [f"missing: {name}" for name in sorted(expected() - inside)]
    found += [f"too much: {name}" for name in sorted(names - info - compiled - expected())]
    found += [] if len(compiled) == 1 else [f"compiled modules: {sorted(compiled)}, expected one"]
    for needed in ("METADATA", "entry_points.txt", "licenses/LICENSE"):
        found += [] if any(name.endswith(needed) for name in info) else [f"missing: {needed}"]
    return found


def problems_of_sdist(file: Path) -> list[str]:
    """What is wrong with an sdist: it must build a wheel by itself."""
    with tarfile.open(file) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    needed = {*NEEDED_IN_SDIST, *("python/" + name for name in expected())}
    found = [f"missing: {name}" for name in sorted(needed - names)]
    built = re.compile(r"(^|/)(__pycache__|build|\.venv)(/|$)|\.(so|pyd|pyc)$")
    return found + [f"too much: {name}" for name in sorted(names) if built.search(name)]


def main() -> int:
    """Check the files named; 1 if anything is wrong."""
    bad = 0
    for file in map(Path, sys.argv[1:]):
        found = problems_of_wheel(file) if file.suffix == ".whl" else problems_of_sdist(file)
        lines = "".join(f"  {line}\n" for line in found)
        sys.stdout.write(f"{file.name}: {lines or 'as expected'}\n")
        bad += len(found)
    return min(bad, 1)


if __name__ == "__main__":
    sys.exit(main())
