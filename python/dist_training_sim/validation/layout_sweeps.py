"""Does the simulator choose as measurements do: layouts of one job on one cluster, ranked by both.

A sweep is a set of measured runs that differ in nothing but their layout: same source, model, devices, batch, length,
precision and framework. Of each: Kendall's tau-b between predicted and measured step times (Biometrika 33, 1945),
whether the layout measured best is among the three predicted best, and by how much the layout predicted best is slower
than the best (its regret).
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ConfigError, Problems
from .corpus import Row, packaged_corpus, read_rows
from .labels import labels_of
from .pool import Progress, available_cores, over_cores
from .runs import predict_run

__all__ = ["LayoutSweep", "RankingReport", "kendall_tau", "validate_ranking"]

FEWEST_LAYOUTS = 4
_TOP = 3
_LAYOUT = ("dp", "tp", "pp", "vpp", "cp", "ep", "etp", "sp", "zero")


@dataclass(frozen=True)
class LayoutSweep:
    """One job measured under several layouts.

    Attributes
    ----------
    source, model, accelerator, devices, global_batch, seq_len
        The job.
    ids, measured_s, predicted_s
        A row per layout, the fastest measured first.
    tau
        Kendall's tau-b of the two orders, -1 to 1.
    best_in_top
        Whether the layout measured fastest is among the three predicted fastest.
    regret
        Measured step of the layout predicted fastest over that of the fastest, minus 1.
    """

    source: str
    model: str
    accelerator: str
    devices: int
    global_batch: int
    seq_len: int
    ids: tuple[str, ...]
    measured_s: tuple[float, ...]
    predicted_s: tuple[float, ...]
    tau: float
    best_in_top: bool
    regret: float


@dataclass(frozen=True, repr=False)
class RankingReport:
    """All sweeps, the largest first, and their summary."""

    sweeps: tuple[LayoutSweep, ...]

    @property
    def median_tau(self) -> float:
        """Median of tau over sweeps."""
        return statistics.median(sweep.tau for sweep in self.sweeps)

    @property
    def best_in_top_share(self) -> float:
        """Share of sweeps whose best layout is among the three predicted best."""
        return statistics.fmean(sweep.best_in_top for sweep in self.sweeps)

    @property
    def median_regret(self) -> float:
        """Median of the regret over sweeps."""
        return statistics.median(sweep.regret for sweep in self.sweeps)

    def of_source(self, part: str) -> RankingReport:
        """The sweeps of sources with that text in their names."""
        return RankingReport(tuple(sweep for sweep in self.sweeps if part.lower() in sweep.source.lower()))

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as printed by `dts validate --use ranking --json`."""
        names = ("median_tau", "best_in_top_share", "median_regret")
        return {name: getattr(self, name) for name in names} | {"sweeps": [sweep.__dict__ for sweep in self.sweeps]}

    def __repr__(self) -> str:
        return (
            f"<{len(self.sweeps)} sweeps: median tau {self.median_tau:.2f}, best in top {_TOP} of "
            f"{self.best_in_top_share:.0%}, median regret {self.median_regret:.1%}>"
        )


def validate_ranking(
    corpus: str | Path | None = None, *, workers: int | None = 1, progress: Progress | None = None
) -> RankingReport:
    """Compare predicted with measured orders of layouts, in every sweep of a corpus.

    Parameters
    ----------
    corpus, workers, progress
        As of `validate`.

    Raises
    ------
    ConfigError
        If no job was measured under at least four layouts.
    """
    problems = Problems()
    if workers is not None:
        problems.count("workers", workers)
    problems.raise_if_any()
    paths = packaged_corpus(("step_time",)) if corpus is None else [Path(corpus)]
    groups = _groups([row for path in paths for row in read_rows(path)])
    rows = [row for group in groups for row in group]
    times = dict(over_cores(_times, rows, workers or available_cores(), progress))
    sweeps = [sweep for group in groups if (sweep := _sweep(group, times)) is not None]
    if not sweeps:
        raise ConfigError(f"corpus: no job was measured under at least {FEWEST_LAYOUTS} layouts")
    return RankingReport(tuple(sorted(sweeps, key=lambda s: (-len(s.ids), s.source, s.model, s.ids))))


def _groups(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows of jobs with enough layouts, one row per layout: the first measured."""
    jobs: dict[tuple[Any, ...], dict[tuple[Any, ...], Row]] = defaultdict(dict)
    for row in rows:
        if row.grade in ("A", "B") and row.number("measured.step_time_s"):
            jobs[_job(row)].setdefault(_layout(row), row)
    return [list(layouts.values()) for layouts in jobs.values() if len(layouts) >= FEWEST_LAYOUTS]


def _job(row: Row) -> tuple[Any, ...]:
    model = row.section("model") or {}
    shape = tuple(sorted((key, str(value)) for key, value in model.items() if key not in ("name", "note", "params_b")))
    labels = labels_of(row)
    told = ("hardware.gpus", "global_batch", "seq")
    words = ("precision_family", "software")
    return (
        labels["source"],
        labels["accelerator"],
        labels["profile"],
        shape,
        *map(row.number, told),
        *map(row.text, words),
    )


def _layout(row: Row) -> tuple[Any, ...]:
    degrees = tuple(str((row.section("parallel") or {}).get(name)) for name in _LAYOUT)
    return (*degrees, row.number("micro_batch"), row.text("recompute_kind"), row.words("features"))


def _times(rows: Sequence[Row]) -> list[tuple[str, tuple[float, float] | None]]:
    """(measured, predicted) by row; None where it is not compared."""
    found: list[tuple[str, tuple[float, float] | None]] = []
    for row in rows:
        (result,) = predict_run(row, ("step_time",), labels_of(row))
        usable = result.included and result.predicted is not None and result.measured is not None
        found.append((row.id, (float(result.measured or 0), float(result.predicted or 0)) if usable else None))
    return found


def _sweep(group: Sequence[Row], times: dict[str, tuple[float, float] | None]) -> LayoutSweep | None:
    pairs = sorted((pair, row.id) for row in group if (pair := times[row.id]) is not None)
    if len(pairs) < FEWEST_LAYOUTS:
        return None
    measured, predicted = zip(*(pair for pair, _ in pairs), strict=True)
    order = sorted(range(len(pairs)), key=lambda i: predicted[i])
    row, labels = group[0], labels_of(group[0])
    return LayoutSweep(
        source=labels["source"],
        model=labels["model"],
        accelerator=labels["accelerator"],
        devices=row.count("hardware.gpus") or 0,
        global_batch=row.count("global_batch") or 0,
        seq_len=row.count("seq") or 0,
        ids=tuple(name for _, name in pairs),
        measured_s=measured,
        predicted_s=predicted,
        tau=kendall_tau(measured, predicted),
        best_in_top=0 in order[:_TOP],
        regret=measured[order[0]] / measured[0] - 1,
    )


def kendall_tau(a: Sequence[float], b: Sequence[float]) -> float:
    """Kendall's tau-b: concordant less discordant pairs over the untied ones; 0 where all are tied."""
    agree = untied_a = untied_b = 0
    for i in range(len(a)):
        for j in range(i):
            x, y = (a[i] > a[j]) - (a[i] < a[j]), (b[i] > b[j]) - (b[i] < b[j])
            agree += x * y
            untied_a += x != 0
            untied_b += y != 0
    return float(agree / (untied_a * untied_b) ** 0.5) if untied_a and untied_b else 0.0
