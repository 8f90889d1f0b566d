"""Where the core spends its instructions, by room: `python benchmarks/where.py WORK [--build DIR]` (needs valgrind).

Counted by callgrind, so that the load of the machine does not matter. The compiled module must keep its symbols:

    cmake -S . -B build/profile -DCMAKE_BUILD_TYPE=Release -DCMAKE_STRIP= -DDTS_BUILD_PYTHON=ON -DDTS_BUILD_TESTS=OFF
    cmake --build build/profile
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
SIMULATE = "dts::simulate(dts::Job const&, dts::SimulateOptions const&, dts::PriceBook&)"
EVALUATE = "dts::evaluate(dts::Job const&, dts::StrategyTable const&, dts::EvaluateOptions const&, dts::BookShelf&)"
# Work, the function inside which instructions count, what runs it.
WORKS = {
    "timed": (EVALUATE, "from bench_search import *; t = SPACE.table(LLAMA_70B, CLUSTER, seq_len=SEQ_LEN);"
                        "evaluate(slices(t, 64), 1)"),
    "folded": (SIMULATE, "from jobs import *; step(LLAMA_405B, 16384, large())()"),
    "interleaved": (SIMULATE, "from bench_step import *; step(DEEP_MODEL, 512, DEEP)()"),
    "expanded": (SIMULATE, "from jobs import *; step(LLAMA_405B, 16384, large(), stragglers=UNEQUAL, expand=True)()"),
}  # fmt: skip
ALLOCATION = re.compile(
    r"malloc|calloc|realloc|free\b|_int_free|operator (new|delete)|unlink_chunk|(__)?mem(cpy|move|set)|_mid_memalign"
)


CLONE = re.compile(r" \[clone .*|\.(isra|part|constprop|cold|lto_priv)\b.*|'\d+$")


def rooms_of_functions(build: Path) -> dict[str, str]:
    """Room of `src/` by function, from the objects that the core is linked of."""
    rooms = {}
    folder = next(build.rglob("dts_core.dir"))
    for file in folder.rglob("*.o*"):
        room = file.relative_to(folder).parts[0] if file.parent != folder else "façades"
        listed = subprocess.run(["nm", "-C", "--defined-only", file], capture_output=True, text=True, check=True).stdout
        for line in listed.splitlines():
            kind, name = line.split(maxsplit=2)[1:]
            if kind in "tTwW" and "dts::" in name and not name.startswith(("std::", "void std::")):
                rooms[CLONE.sub("", name)] = room
    return rooms


def room_of(function: str, rooms: Mapping[str, str]) -> str:
    """The room that a function stands in; else what it is."""
    known = rooms.get(CLONE.sub("", function))
    if known is not None:
        return known
    if ALLOCATION.search(function) and "dts::" not in function:
        return "allocation and copying of memory"
    return "standard library" if "std::" in function else "rest"


def counted(lines: Iterable[str], rooms: Mapping[str, str]) -> Counter[str]:
    """Own instructions by room, of a callgrind file: what is inlined counts for the function it is in."""
    functions: dict[str, str] = {}
    sums: Counter[str] = Counter()
    function, skip = "", False
    for line in lines:
        if named := re.match(r"(c?fn)=(\(\d+\))(?: (.*))?", line):
            kind, number, name = named.groups()
            functions[number] = functions.get(number, "") if name is None else name
            function = functions[number] if kind == "fn" else function
        elif line.startswith("calls="):
            skip = True  # the next line is what the call costs, its own functions have it
        elif re.match(r"[+\-*\d]", line):
            if not skip and len(line.split()) > 1:
                sums[room_of(function, rooms)] += int(line.split()[1])
            skip = False
    return sums


def profile(work: str, core: Path, rooms: Mapping[str, str]) -> Counter[str]:
    """Run it under callgrind."""
    function, code = WORKS[work]
    with tempfile.TemporaryDirectory() as folder:
        out, package = Path(folder) / "out", Path(folder) / "dist_training_sim"
        package.mkdir()
        for part in (ROOT / "python" / "dist_training_sim").iterdir():
            if not part.name.startswith("_core."):
                (package / part.name).symlink_to(part)
        (package / core.name).symlink_to(core.resolve())
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--collect-atstart=no",
                   f"--toggle-collect={function}", sys.executable, "-c", code]  # fmt: skip
        path = os.pathsep.join([folder, str(HERE), str(ROOT / "python" / "tests")])
        done = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr)
        return counted(out.read_text(encoding="utf-8").splitlines(), rooms)


def main() -> int:
    """Profile each work, print shares, write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("works", nargs="*", default=tuple(WORKS), metavar="WORK", help=", ".join(WORKS))
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "profile", help="folder of the build")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench" / "where.json")
    options = parser.parse_args()
    core = next((path for path in options.build.rglob("_core.*") if path.suffix in (".so", ".pyd")), None)
    if core is None:
        sys.exit(f"no compiled module below {options.build}: see the head of this file")
    found, rooms = {}, rooms_of_functions(options.build)
    for work in options.works:
        sums = profile(work, core, rooms)
        total = sum(sums.values())
        if total == 0:
            sys.exit(f"{work}: {WORKS[work][0]} was never called; is it still declared so?")
        found[work] = {"instructions": total, "shares": {room: n / total for room, n in sums.most_common()}}
        print(f"{work}: {total / 1e6:.1f} M instructions; "
              + ", ".join(f"{room} {n / total:.0%}" for room, n in sums.most_common(8)))  # fmt: skip
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({"where": found}, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
