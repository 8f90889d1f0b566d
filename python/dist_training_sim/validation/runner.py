"""`validate`: predict every row of a corpus and compare with what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from ..errors import ConfigError, Problems, suggest
from .corpus import Row, packaged_corpus, read_rows
from .fit import predict_fit
from .kernels import predict_kernel
from .labels import FIELDS, labels_of
from .measured_collectives import predict_collective_rows
from .pool import Progress, available_cores, over_cores
from .results import USES, RowResult, ValidationReport
from .runs import predict_run, run_uses
from .summary import summarise

__all__ = ["validate"]


def validate(
    corpus: str | Path | None = None,
    *,
    use: str | Sequence[str] = "all",
    where: Mapping[str, str] | None = None,
    by: Sequence[str] = ("source", "accelerator"),
    workers: int | None = 1,
    progress: Progress | None = None,
) -> ValidationReport:
    """Predict every row of a corpus and compare with what was measured.

    Parameters
    ----------
    corpus
        File of measurements, one JSON object a line (`.jsonl`, or `.jsonl.gz`); schema: docs/guide/accuracy.md. By
        default the published measurements that come with the package.
    use
        What to compare: one or several of step_time, memory, fit, collectives, kernels, or `"all"`.
    where
        Rows to take: values by name of a field of `FIELDS`, such as `{"accelerator": "H100-SXM-80GB"}`.
    by
        Fields to group the summary by, within each use.
    workers
        Processes; None for one a core. More than one start with a fresh interpreter each, so a script that asks for
        them needs the usual `if __name__ == "__main__":`.
    progress
        Called with the number of rows done and of all, now and then.

    Raises
    ------
    MissingDataError, FormatError
        If there is no such file, or it cannot be read. A bad row is no error: it is reported with its reason.
    ConfigError
        If `use`, `where` or `by` names something unknown.
    """
    chosen = dict(where or {})
    uses = _uses(use)
    _check(workers, chosen, by)
    rows = [row for path in _paths(corpus, uses) for row in read_rows(path)]
    uses = tuple(name for name in uses if chosen.get("use", name) == name)
    taken = [row for row in rows if set(_uses_of(row, uses)) & set(uses) and _is_chosen(row, chosen)]
    if rows and not taken:
        _explain_emptiness(rows, uses, chosen)
    predicted = over_cores(partial(_predict, uses=uses), taken, workers or available_cores(), progress)
    return ValidationReport(tuple(predicted), tuple(summarise(predicted, by)))


def _uses(use: str | Sequence[str]) -> tuple[str, ...]:
    asked = USES if use == "all" else (use,) if isinstance(use, str) else tuple(use)
    problems = Problems()
    for name in asked:
        if name not in USES:
            problems.add("use", name, f"all, or one of {', '.join(USES)}", suggest(str(name), USES))
    problems.raise_if_any()
    return asked


def _check(workers: int | None, where: Mapping[str, str], by: Sequence[str]) -> None:
    problems = Problems()
    if workers is not None:
        problems.count("workers", workers)
    for argument, names in (("where", where), ("by", by)):
        for name in names:
            if name not in FIELDS:
                problems.add(argument, name, "the name of a field", suggest(str(name), FIELDS))
    problems.raise_if_any()


def _paths(corpus: str | Path | None, uses: tuple[str, ...]) -> list[Path]:
    return packaged_corpus(uses) if corpus is None else [Path(corpus)]


def _is_chosen(row: Row, where: Mapping[str, str]) -> bool:
    labels = labels_of(row) if where else {}
    return all(labels[name] == value for name, value in where.items() if name != "use")


def _explain_emptiness(rows: Sequence[Row], uses: tuple[str, ...], where: Mapping[str, str]) -> None:
    """Name the choice that no row meets."""
    problems = Problems()
    for name, value in where.items():
        known = USES if name == "use" else {labels_of(row)[name] for row in rows}
        if value not in known:
            problems.add(f"where {name}", value, "a value that occurs in the corpus", _nearest(value, sorted(known)))
    problems.raise_if_any()
    if not where:
        raise ConfigError(f"use: the corpus has no row to compare for {', '.join(uses) or 'nothing'}")


def _nearest(value: str, known: Sequence[str]) -> str:
    parts = [name for name in known if value.lower() in name.lower()] if value else []
    return f"did you mean {' or '.join(parts[:4])}?" if parts else suggest(value, known)


def _uses_of(row: Row, asked: tuple[str, ...]) -> tuple[str, ...]:
    """What a row can be compared for, by the keys that only such rows have; a line that cannot be read counts once."""
    if row.problem:
        return asked[:1]
    if row.text("kernel"):
        return ("kernels",)
    if row.text("collective"):
        return ("collectives",)
    return ("fit",) if row.flag("fits") is not None else run_uses(row)


def _predict(rows: Sequence[Row], uses: tuple[str, ...]) -> list[RowResult]:
    return [result for row in rows for result in _row_results(row, uses)]


def _row_results(row: Row, uses: tuple[str, ...]) -> list[RowResult]:
    labels, wanted = labels_of(row), tuple(use for use in _uses_of(row, uses) if use in uses)
    if wanted == ("kernels",):
        return [predict_kernel(row, labels)]
    if wanted == ("fit",):
        return [predict_fit(row, labels)]
    if wanted == ("collectives",):
        return predict_collective_rows([row], labels)
    return predict_run(row, wanted, labels)
