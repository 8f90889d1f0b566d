"""`calibrate_nccl`: constants of a fabric fitted to the user's own nccl-tests or rccl-tests logs."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import _core
from .._convert import to_core
from ..errors import ConfigError, FormatError, MissingDataError
from ..hardware import Cluster
from ..io.nccl_log import Measurement, read_nccl_log
from .fabric_fit import Observation, fit_constants, predicted_s
from .inputs import cluster_of

__all__ = ["Calibration", "CalibrationRow", "calibrate_nccl"]

_KINDS = {
    "all_reduce": _core.CollectiveKind.ALL_REDUCE,
    "all_gather": _core.CollectiveKind.ALL_GATHER,
    "reduce_scatter": _core.CollectiveKind.REDUCE_SCATTER,
    "alltoall": _core.CollectiveKind.ALL_TO_ALL,
    "sendrecv": _core.CollectiveKind.SEND_RECV,
    "broadcast": _core.CollectiveKind.BROADCAST,
    "reduce": _core.CollectiveKind.REDUCE,
    "gather": _core.CollectiveKind.GATHER,
    "scatter": _core.CollectiveKind.SCATTER,
}
# What a sweep can tell: rings and trees the constants of both protocols, point-to-point kinds their own.
_RINGS = ("all_reduce", "all_gather", "reduce_scatter", "broadcast", "reduce")
_ACROSS = {
    "rings": (
        *("hop_s", "low_latency_Bps", "ll128_startup_s", "ll128_Bps", "level_startup_s"),
        *("ramp", "ring_efficiency", "tree_efficiency"),
    ),
    "alltoall": ("p2p_peer_s", "p2p_ramp", "p2p_efficiency"),
    "sendrecv": ("sendrecv_efficiency",),
}
_INSIDE = {
    "rings": (
        *("launch_s", "hop_s", "ll_efficiency", "ll128_startup_s", "ll128_efficiency"),
        *("simple_startup_s", "simple_hop_s", "ring_ramp", "ring_efficiency"),
    ),
    "alltoall": ("p2p_launch_s", "p2p_peer_s", "p2p_ramp", "p2p_efficiency"),
    "sendrecv": ("sendrecv_efficiency",),
}
_NVLS = ("nvls_startup_s", "nvls_ramp", "nvls_efficiency")
_FEWEST_ROWS = 6
_OUTLIER, _OUTLIER_SPREADS = 0.25, 5.0  # a row is left out beyond both


@dataclass(frozen=True)
class CalibrationRow:
    """One measured size: seconds measured, by the profile and by the fit; `used` is False for outliers."""

    kind: str
    ranks: int
    size_bytes: int
    measured_s: float
    profile_s: float
    fitted_s: float
    used: bool

    @property
    def error(self) -> float:
        """`fitted / measured - 1`."""
        return self.fitted_s / self.measured_s - 1


@dataclass(frozen=True, repr=False)
class Calibration:
    """A cluster whose fabric reproduces measured sweeps.

    Attributes
    ----------
    cluster
        The cluster with the fitted constants.
    level
        `"scale_up"` (one domain) or `"scale_out"` (several).
    profile
        Name of the profile that the fit started from.
    before, after
        Fitted constants by name, in SI units: of the profile, and fitted.
    rows
        Every measurement used or left out as an outlier.
    warnings
        What of the logs could not be used.
    """

    cluster: Cluster
    level: str
    profile: str
    before: dict[str, float]
    after: dict[str, float]
    rows: tuple[CalibrationRow, ...]
    warnings: tuple[str, ...]

    @property
    def median_error(self) -> float:
        """Median of the absolute errors of all rows, outliers among them."""
        return statistics.median(abs(row.error) for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as printed by `dts calibrate --json`."""
        return {
            "cluster": self.cluster.name,
            "level": self.level,
            "profile": self.profile,
            "before": self.before,
            "after": self.after,
            "median_error": self.median_error,
            "rows": [{**row.__dict__, "error": row.error} for row in self.rows],
            "warnings": list(self.warnings),
        }

    def to_yaml(self) -> str:
        """A cluster file that `--cluster` and `Cluster.from_yaml` read: a catalogue node, the fitted fabric."""
        from ..catalog.cluster_file import CLUSTER_VERSION

        constants = "".join(f"    {name}: {value:.6g}\n" for name, value in self.after.items())
        # YAML 1.1 reads 1e-05 as text: a mantissa needs its point.
        constants = "".join(_pointed(line) for line in constants.splitlines(keepends=True))
        used = sum(row.used for row in self.rows)
        return (
            f"# Fitted to {used} of {len(self.rows)} measurements, median error {self.median_error:.1%}.\n"
            f"version: {CLUSTER_VERSION}\ncluster:\n  node: {self.cluster.node.name}\n  nodes: {self.cluster.nodes}\n"
            f"  {self.level}:\n    profile: {self.profile}\n{constants}"
        )

    def __repr__(self) -> str:
        return f"<{self.level} of {self.cluster.name}: median error {self.median_error:.1%} of {len(self.rows)} rows>"


def _pointed(line: str) -> str:
    name, value = line.rstrip("\n").split(": ")
    mantissa, e, exponent = value.partition("e")
    return f"{name}: {mantissa if '.' in mantissa or not e else mantissa + '.0'}{e}{exponent}\n"


def calibrate_nccl(
    logs: Sequence[str | Path], cluster: Cluster | str, *, kind: str | None = None, ranks: int | None = None
) -> Calibration:
    """Fit the constants of a cluster's fabric to logs.

    Parameters
    ----------
    logs
        Files of nccl-tests or rccl-tests output, text or `-J` JSON.
    cluster
        What they ran on: its node and NICs are taken as they are, its profile is where the fit starts. Groups inside
        one scale-up domain fit that fabric, larger ones the network.
    kind, ranks
        Collective and group of logs that do not say; by default the cluster's devices.

    Raises
    ------
    MissingDataError
        If a file does not exist, or a log does not name its collective and `kind` is not given.
    FormatError
        If a file holds no measurement, or all logs together too few.
    ConfigError
        If a group is larger than the cluster.
    """
    where = cluster_of(cluster) if isinstance(cluster, str) else cluster
    if kind is not None and kind not in _KINDS:
        raise ConfigError(f"kind: got {kind!r}, expected one of {', '.join(_KINDS)}")
    found, warnings = _measurements(logs)
    core = to_core(where)
    _core.check_cluster(core)
    named = [_complete(m, kind, ranks or m.ranks or where.device_count) for m in found]
    level, chosen, notes = _one_level(core, _preferred(named))
    rows = [_observation(core, m, level) for m in chosen]
    if len(rows) < _FEWEST_ROWS:
        raise FormatError(f"logs: got {len(rows)} sizes of one fabric, expected at least {_FEWEST_ROWS} to fit it")
    return _fit(where, core, level, chosen, rows, (*warnings, *notes))


def _measurements(logs: Sequence[str | Path]) -> tuple[list[Measurement], list[str]]:
    if not logs:
        raise ConfigError("logs: got none, expected at least one file")
    found: list[Measurement] = []
    warnings: list[str] = []
    for path in logs:
        log = read_nccl_log(path)
        found += log.measurements
        warnings += log.warnings
    return found, warnings


def _complete(m: Measurement, kind: str | None, ranks: int) -> Measurement:
    name = m.kind or kind
    if name is None:
        raise MissingDataError("logs: no line names the collective; give kind='all_reduce' (--kind all_reduce)")
    return Measurement(name, m.ranks or ranks, m.nodes, m.size_bytes, m.in_place, m.time_s, m.repeats, m.spread)


def _preferred(found: Sequence[Measurement]) -> list[Measurement]:
    """Out of place where both were measured: what frameworks do, and what the profiles are fitted to."""
    best: dict[tuple[str, int, int], Measurement] = {}
    for m in sorted(found, key=lambda m: m.in_place):
        best.setdefault((m.kind, m.ranks, m.size_bytes), m)
    return list(best.values())


def _one_level(core: Any, found: Sequence[Measurement]) -> tuple[str, list[Measurement], list[str]]:
    """The fabric level that most rows cross, and its rows; the others are named."""
    levels = ["scale_up" if _core.span_of(core, m.ranks, 1).domains == 1 else "scale_out" for m in found]
    level = Counter(levels).most_common(1)[0][0]
    chosen = [m for m, where in zip(found, levels, strict=True) if where == level and m.ranks > 1]
    left = len(found) - len(chosen)
    return level, chosen, [f"{left} rows are not of the {level} fabric and were left out"] if left else []


def _observation(core: Any, m: Measurement, level: str) -> Observation:
    kind = _KINDS[m.kind]
    span = _core.span_of(core, m.ranks, 1)
    if kind is _core.CollectiveKind.SEND_RECV and level == "scale_out":
        span = _core.GroupSpan(2, 1, 2, 1)
    return Observation(core, kind, span, float(m.size_bytes), m.time_s)


def _free_constants(core: Any, level: str, found: Sequence[Measurement]) -> dict[str, float]:
    """Constants that the kinds among the rows can tell, at the profile's values; those that are 0 stay out."""
    table, spec = (_INSIDE, core.node.scale_up) if level == "scale_up" else (_ACROSS, core.scale_out)
    groups = {"rings" if m.kind in _RINGS else m.kind for m in found}
    names = [name for group, members in table.items() if group in groups for name in members]
    nvls = level == "scale_up" and spec.nvls_min_ranks > 0
    if nvls and any(m.kind == "all_reduce" and m.ranks >= spec.nvls_min_ranks for m in found):
        names += _NVLS
    values = {name: float(getattr(spec, name)) for name in names}
    return {name: value for name, value in values.items() if value > 0}


def _fit(
    where: Cluster,
    core: Any,
    level: str,
    found: Sequence[Measurement],
    rows: list[Observation],
    warnings: tuple[str, ...],
) -> Calibration:
    before = _free_constants(core, level, found)
    profile_s = predicted_s(rows)
    after, errors = fit_constants(rows, level, before)
    spread = 1.4826 * statistics.median(abs(e) for e in errors)
    limit = max(_OUTLIER, _OUTLIER_SPREADS * spread)
    used = [abs(math.log1p(float(e))) <= limit for e in errors]
    if not all(used) and sum(used) >= _FEWEST_ROWS:
        after, _ = fit_constants([row for row, keep in zip(rows, used, strict=True) if keep], level, after)
    fitted_s = predicted_s(rows)
    table = tuple(
        CalibrationRow(m.kind, m.ranks, m.size_bytes, m.time_s, float(old), float(new), keep)
        for m, old, new, keep in zip(found, profile_s, fitted_s, used, strict=True)
    )
    profile = (where.node.scale_up if level == "scale_up" else where.scale_out).name  # type: ignore[union-attr]
    return Calibration(_with(where, level, after), level, profile, before, after, table, warnings)


def _with(where: Cluster, level: str, constants: dict[str, float]) -> Cluster:
    if level == "scale_up":
        return where.replace(node=where.node.replace(scale_up=where.node.scale_up.replace(**constants)))
    assert where.scale_out is not None  # a cluster of several domains has one
    return where.replace(scale_out=where.scale_out.replace(**constants))
