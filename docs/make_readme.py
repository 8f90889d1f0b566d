"""Write the tables of published runs and of speed into README.md: `python docs/make_readme.py`."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import dist_training_sim as dts

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"


def published() -> str:
    """The runs of `python/tests/test_published_runs.py`, predicted beside measured."""
    sys.path.insert(0, str(ROOT / "python" / "tests"))
    from test_published_runs import RUNS, predict

    lines = ["| published run | what it exercises | measured | predicted | error |", "|---|---|--:|--:|--:|"]
    for run in RUNS:
        step = predict(run).step_time_s
        error = f"{100 * (step / run.measured_s - 1):+.1f} %"
        source = run.source.partition(",")[0]
        numbers = f"{run.measured_s:#.4g} s | {step:#.4g} s | {error}"
        lines.append(f"| {run.name} ({source}) | {run.kind} | {numbers} |")
    return "\n".join(lines)


def best(work: Callable[[], object], seconds: float = 1.0) -> float:
    """Least processor time of several runs, all threads together: other work on the machine does not count."""
    times, end = [], time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def text_of(seconds: float) -> str:
    """Readable time."""
    return f"{seconds:.2g} s" if seconds >= 1 else f"{1e3 * seconds:.2g} ms"


def simulated(model: str, cluster: str, strategy: dts.Strategy, **options: object) -> Callable[[], object]:
    """A call of `simulate` with everything described beforehand."""
    described, hardware = dts.Model.from_catalog(model), dts.Cluster.from_catalog(cluster)
    return lambda: dts.simulate(described, hardware, strategy, seq_len=8192, **options)  # type: ignore[arg-type]


def speed() -> str:
    """What takes how long here."""
    large = dts.Strategy(tp=8, pp=16, vpp=8, zero=1, global_batch=2048)
    middle = dts.Strategy(tp=8, pp=4, vpp=2, zero=1, global_batch=1024)
    ranks = dts.Stragglers.lognormal(0.05)
    work = {
        "a step of Llama-3.1-70B on 512 H100": text_of(
            best(simulated("llama-3.1-70b", "64xdgx-h100", middle, keep_events=False))),
        "the same with every event": text_of(best(simulated("llama-3.1-70b", "64xdgx-h100", middle))),
        "a step of Llama-3.1-405B on 16,384 H100": text_of(
            best(simulated("llama-3.1-405b", "2048xdgx-h100", large, keep_events=False))),
        "the same, every rank at its own pace (stragglers)": text_of(
            best(simulated("llama-3.1-405b", "2048xdgx-h100", large, keep_events=False, stragglers=ranks))),
        "the best of all layouts of 70B on 512 H100 (`dts plan`)": text_of(
            best(lambda: dts.plan("llama-3.1-70b", "64xdgx-h100", seq_len=8192, global_batch=1024))),
    }  # fmt: skip
    lines = ["| what | core time |", "|---|--:|", *(f"| {name} | {took} |" for name, took in work.items())]
    return "\n".join(lines)


def main() -> None:
    """Replace what stands between the markers."""
    text = README.read_text(encoding="utf-8")
    for name, table in (("published", published()), ("speed", speed())):
        marks = f"<!-- {name}: docs/make_readme.py -->", f"<!-- end of {name} -->"
        between = re.compile(f"{re.escape(marks[0])}.*?{re.escape(marks[1])}", re.DOTALL)
        text = between.sub(lambda _, m=marks, t=table: f"{m[0]}\n\n{t}\n\n{m[1]}", text)
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
