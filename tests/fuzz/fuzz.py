"""Fuzz the readers: `python tests/fuzz/fuzz.py [--runs N] [--seconds 60] [target ...]`.

Each target's seeds are changed at random; without `--runs` 10^6 times, 10^5 where a YAML or JSON library does the
parsing. A reader may give a result or raise a DtsError; anything else, a second of
work or a gigabyte of memory is a finding, printed and kept under build/fuzz.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
import traceback
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import dist_training_sim as dts

sys.path.insert(0, str(Path(__file__).parent))
from mutate import mutated
from targets import OVER_LIBRARIES, TARGETS, seeds

MOST_SECONDS, MOST_BYTES = 1.0, 1 << 30
HANGS_AFTER_S = 10.0  # of processor time: then the input is given up


@dataclass
class Found:
    """What a run of one target met."""

    runs: int = 0
    accepted: int = 0
    failures: dict[str, bytes] = field(default_factory=dict)
    slowest_s: float = 0.0


def fuzz(name: str, runs: int, seed: int, seconds: float = float("inf")) -> Found:
    """Run one target on changed seeds; failures by their kind and place."""
    choose, kept, found = random.Random(f"{name}-{seed}"), seeds(name), Found()
    short_first = [(100 + len(data)) ** -2 for data in kept]  # many short inputs find more than few long ones
    until = time.monotonic() + seconds
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # a disk would take most of the time
    with tempfile.TemporaryDirectory(dir=memory) as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(runs):
            if time.monotonic() > until:
                break
            (start,) = choose.choices(kept, short_first)
            _one(name, mutated(choose, start, kept), Path(folder), found)
    return found


def _one(name: str, data: bytes, folder: Path, found: Found) -> None:
    found.runs += 1
    _watch(HANGS_AFTER_S)
    begin = time.process_time()
    try:
        TARGETS[name](data, folder)
        found.accepted += 1
    except dts.DtsError:
        pass
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        found.failures.setdefault(
            f"{type(error).__name__} in {Path(place.filename).name}:{place.lineno}: {error}"[:200], data
        )
    finally:
        _watch(0)
    took = time.process_time() - begin
    found.slowest_s = max(found.slowest_s, took)
    if took > MOST_SECONDS:
        found.failures.setdefault(f"took more than {MOST_SECONDS} s", data)


def _watch(seconds: float) -> None:
    """End what runs then with an error; 0: nothing is watched any more."""
    if hasattr(signal, "setitimer"):  # not on Windows
        signal.signal(signal.SIGVTALRM, _give_up)
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds)


def _give_up(*_: object) -> None:
    raise TimeoutError("hangs")


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    used = (
        int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        if Path("/proc/self/statm").exists()
        else 0
    )
    if used:
        resource.setrlimit(resource.RLIMIT_AS, (used + MOST_BYTES, resource.RLIM_INFINITY))


def main() -> int:
    """Fuzz the targets named, or all; 1 if anything was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", choices=[[], *TARGETS])
    parser.add_argument("--runs", type=int, help="per target")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="at most, per target")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    _limit_memory()
    kept = Path("build/fuzz")
    bad = 0
    for name in asked.targets or TARGETS:
        runs = asked.runs or (100_000 if name in OVER_LIBRARIES else 1_000_000)
        found = fuzz(name, runs, asked.seed, asked.seconds)
        print(f"{name}: {found.runs:,} runs, {found.accepted:,} accepted, slowest {found.slowest_s:.2f} s", flush=True)
        for i, (what, data) in enumerate(found.failures.items()):
            kept.mkdir(parents=True, exist_ok=True)
            file = kept / f"{name}-{i}"
            file.write_bytes(data)
            print(f"  {what}  ({file})")
        bad += len(found.failures)
    return min(bad, 1)


if __name__ == "__main__":
    sys.exit(main())
