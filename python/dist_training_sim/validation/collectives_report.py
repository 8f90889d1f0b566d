"""Errors of collectives by class of fabric, in sample and with each system left out of the fit it is predicted by.

`python -m dist_training_sim.validation.collectives_report CORPUS.jsonl` prints the tables of
docs/guide/communication.md.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .._convert import to_core
from ..hardware import ScaleOut, ScaleUp
from ..verbs.fabric_fit import Observation, fit_constants, predicted_s
from .collectives import observation_of, predict_collectives
from .corpus import Row, read_rows
from .summary import percentile

__all__ = ["ClassErrors", "class_errors", "left_out_errors", "main"]

_RINGS = ("all_reduce", "all_gather", "reduce_scatter")
_ACROSS = ("hop_s", "low_latency_Bps", "ll128_startup_s", "ll128_Bps", "level_startup_s", "ramp", "ring_efficiency")
_INSIDE = (
    *("launch_s", "hop_s", "ring_efficiency", "ring_ramp", "all_reduce_copy", "gather_copy"),
    *("simple_startup_s", "simple_hop_s", "ll_efficiency", "ll128_startup_s", "ll128_efficiency"),
    *("nvls_startup_s", "nvls_ramp", "nvls_efficiency"),
)
_BANDS = ((2**12, "<= 4 KiB"), (2**16, "<= 64 KiB"), (2**20, "<= 1 MiB"), (2**24, "<= 16 MiB"), (2**28, "<= 256 MiB"))


@dataclass(frozen=True)
class ClassErrors:
    """Absolute relative errors of one class of fabric: with the catalogue's constants, and with those of the others."""

    fabric: str
    systems: int
    in_sample: tuple[float, ...]
    left_out: tuple[float, ...]


@dataclass(frozen=True)
class _Used:
    id: str
    system: str
    series: tuple[str, str, int]
    level: str
    profile: str
    row: Observation


def _used(rows: Iterable[Row]) -> list[_Used]:
    found = []
    for row in rows:
        core, kind, span, _ = observation_of(row)
        level = "scale_up" if span.domains == 1 else "scale_out"
        profile = core.node.scale_up.name if level == "scale_up" else core.scale_out.name
        time_s = (row.number("time_us") or 0.0) * 1e-6
        observation = Observation(core, kind, span, row.number("size_bytes") or 0.0, time_s)
        name = row.text("system") if level == "scale_out" else f"{row.text('gpu')} {row.text('system')}"
        series = (name, row.text("collective"), row.count("gpus") or 0)
        found.append(_Used(row.id, name, series, level, profile, observation))
    return found


def class_errors(rows: Sequence[Row]) -> list[ClassErrors]:
    """In-sample and left-out errors of every class that at least two systems measured with rings and trees.

    Parameters
    ----------
    rows
        A corpus of collectives; rows that are flagged, cannot be predicted or have another collective are left out.
    """
    return [
        ClassErrors(
            f"{level} {profile}",
            len({member.system for member in members}),
            tuple(abs(p / m.row.time_s - 1) for m, p in zip(members, _predicted_s(members), strict=True)),
            tuple(abs(error) for _, error in _left_out(level, profile, members)),
        )
        for (level, profile), members in _classes(rows)
    ]


def left_out_errors(rows: Sequence[Row]) -> dict[str, float]:
    """Errors (predicted / measured - 1) by id of the rows of `class_errors`, their systems left out of the fit."""
    return {
        name: error
        for (level, profile), members in _classes(rows)
        for name, error in _left_out(level, profile, members)
    }


def _classes(rows: Sequence[Row]) -> list[tuple[tuple[str, str], list[_Used]]]:
    results = predict_collectives([row.data for row in rows])
    plain = [
        row
        for row, result in zip(rows, results, strict=True)
        if result.included and not row.words("flags") and row.text("collective") in _RINGS
    ]
    classes: dict[tuple[str, str], list[_Used]] = {}
    for used in _used(plain):
        classes.setdefault((used.level, used.profile), []).append(used)
    return [(key, members) for key, members in sorted(classes.items()) if len({m.system for m in members}) > 1]


def _left_out(level: str, profile: str, members: Sequence[_Used]) -> list[tuple[str, float]]:
    left_out: list[tuple[str, float]] = []
    start = _start(level, profile)
    for system in sorted({member.system for member in members}):
        _reset(level, profile, members)
        others = [member for member in members if member.system != system]
        constants, _ = fit_constants(_balanced(others), level, start)
        mine = [member for member in members if member.system == system]
        for member in mine:
            owner = member.row.cluster.scale_out if level == "scale_out" else member.row.cluster.node.scale_up
            for name, value in constants.items():
                setattr(owner, name, value)
        left_out += [(m.id, p / m.row.time_s - 1) for m, p in zip(mine, _predicted_s(mine), strict=True)]
    _reset(level, profile, members)
    return left_out


def _start(level: str, profile: str) -> dict[str, float]:
    spec = _spec(level, profile)
    names = _ACROSS if level == "scale_out" else _INSIDE
    values = {name: float(getattr(spec, name)) for name in names}
    switch = level == "scale_out" or spec.nvls_min_ranks > 0
    return {k: v for k, v in values.items() if v > 0 and (switch or not k.startswith("nvls_"))}


def _spec(level: str, profile: str) -> Any:
    return to_core(ScaleOut.from_catalog(profile) if level == "scale_out" else ScaleUp.from_catalog(profile))


def _reset(level: str, profile: str, members: Sequence[_Used]) -> None:
    catalogue = _start(level, profile)
    for member in members:
        cluster = member.row.cluster
        owner = cluster.scale_out if level == "scale_out" else cluster.node.scale_up
        for name, value in catalogue.items():
            setattr(owner, name, value)


def _balanced(members: Sequence[_Used]) -> list[Observation]:
    """Rows weighted so that every sweep counts alike, however many sizes it has."""
    rows = Counter(member.series for member in members)
    return [
        Observation(m.row.cluster, m.row.kind, m.row.span, m.row.size_bytes, m.row.time_s, 1 / rows[m.series])
        for m in members
    ]


def _predicted_s(members: Sequence[_Used]) -> list[float]:
    return list(predicted_s([member.row for member in members]))


def _figures(errors: Sequence[float]) -> str:
    return f"{len(errors):5d} {100 * statistics.median(errors):6.1f} {100 * percentile(errors, 0.9):6.1f}"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _overview(rows: Sequence[Row]) -> None:
    results = predict_collectives([row.data for row in rows])
    scored = [(row, r.error) for row, r in zip(rows, results, strict=True) if r.included and r.error is not None]
    _say(f"{'rows':34s}     n median    p90   (% of time)")
    for name, across in (("one node", False), ("several nodes", True)):
        part = [(row, abs(e)) for row, e in scored if ((row.count("nodes") or 1) > 1) is across]
        _print_part(name, part)
        lower = 0.0
        for upper, label in (*_BANDS, (float("inf"), "> 256 MiB")):
            band = [(row, e) for row, e in part if lower < (row.number("size_bytes") or 0) <= upper]
            _print_part(f"- {label}", band)
            lower = upper


def _print_part(name: str, part: Sequence[tuple[Row, float]]) -> None:
    if part:
        _say(f"{name:34s} {_figures([e for _, e in part])}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(prog="python -m dist_training_sim.validation.collectives_report")
    parser.add_argument("corpus", help="measured collectives, one JSON object a line")
    rows = read_rows(parser.parse_args(arguments).corpus)
    _overview(rows)
    _say(f"\n{'class (rings and trees)':34s} systems     n median    p90 | left out    n median    p90")
    for one in class_errors(rows):
        _say(f"{one.fabric:34s} {one.systems:7d} {_figures(one.in_sample)} |          {_figures(one.left_out)}")


if __name__ == "__main__":
    main()
