"""`what_if`: a job beside the same job with something changed: hardware, network, batch, length, layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from ..errors import ConfigError, DtsError, Problems, suggest
from ..frameworks import FrameworkProfile
from ..hardware import Cluster
from ..models import Model
from ..parallel import Strategy
from ..result import BREAKDOWN_LABELS, Result
from ..simulator import simulate
from ..units import format_seconds
from .inputs import cluster_of, model_of
from .plan_ask import sized
from .resources import RESOURCES, changed

__all__ = ["WhatIfReport", "WhatIfRow", "what_if"]

MOST_CHANGES = 10_000
LAYOUT = frozenset(f.name for f in fields(Strategy))
_FACTORS = {resource.name.replace(" ", "_").replace("-", "_"): resource for resource in RESOURCES}
SETTINGS = ("cluster", "nodes", "gpus", "model", "seq_len", "framework", *_FACTORS)


@dataclass(frozen=True)
class WhatIfRow:
    """The job under one change.

    Attributes
    ----------
    change
        What is changed, in words.
    step_time_s, step_time_change
        Predicted step, and its change as a fraction; None where the job is not legal.
    tokens_per_s, throughput_change
        Of the whole job; samples for models without tokens.
    mfu, devices, reserved_bytes, oom_probability, fits
        As of `Result`; memory of the fullest stage.
    device_seconds_change
        Change of the device-seconds of a token: that of the price where the devices stay of the same kind.
    reason
        The part of the step that changes most, or why the job cannot run.
    result
        The simulation; None where it is not legal.
    """

    change: str
    step_time_s: float | None = None
    step_time_change: float | None = None
    tokens_per_s: float | None = None
    throughput_change: float | None = None
    mfu: float | None = None
    devices: int | None = None
    reserved_bytes: float | None = None
    oom_probability: float | None = None
    fits: bool = False
    device_seconds_change: float | None = None
    reason: str = ""
    result: Result | None = field(default=None, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, without the simulation."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "result"}


@dataclass(frozen=True, repr=False)
class WhatIfReport:
    """The job as it is, and under each change in the order asked."""

    base: WhatIfRow
    rows: tuple[WhatIfRow, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as printed by `dts what-if --json`."""
        return {"base": self.base.to_dict(), "changes": [row.to_dict() for row in self.rows]}

    def __repr__(self) -> str:
        best = min((r for r in self.rows if r.fits), key=lambda r: r.step_time_s or 0.0, default=self.base)
        change = "" if best.step_time_change is None else f" {best.step_time_change:+.1%}"
        step = format_seconds(self.base.step_time_s or 0.0)
        return f"<{len(self.rows)} changes of a step of {step}: {best.change}{change}>"


def what_if(
    model: Model | str,
    cluster: Cluster | str,
    strategy: Strategy | None = None,
    *,
    changes: Sequence[Mapping[str, Any]] | Mapping[str, Mapping[str, Any]],
    seq_len: int | None = None,
    framework: FrameworkProfile | str = "megatron-core",
) -> WhatIfReport:
    """Simulate a job as it is and under changes.

    Parameters
    ----------
    model, cluster, strategy, seq_len, framework
        As of `simulate`. Data parallelism that the strategy leaves open follows a changed number of devices.
    changes
        Each a mapping of settings made together, or such mappings by name. Settings: any field of `Strategy`;
        `cluster`, `nodes`, `gpus` (whole nodes), `model`, `seq_len`, `framework`; and factors of what every node has:
        `matmul_rate`, `memory_bandwidth`, `memory`, `scale_up_bandwidth`, `network_bandwidth`, `host_link`,
        `host_memory_bandwidth`.

    Raises
    ------
    ConfigError
        If the job as it is is not legal, or a change names something unknown. A change that makes it illegal is a row
        with its reason.

    Examples
    --------
    >>> report = what_if("llama-3.1-8b", "2xdgx-h100", Strategy(zero=3, global_batch=64), seq_len=4096,
    ...                  changes=[{"network_bandwidth": 2.0}, {"precision": "fp8"}])
    >>> [row.step_time_change < 0 for row in report.rows]
    [True, True]
    """
    named = _named(changes)
    job = _Job(
        model_of(model) if isinstance(model, str) else model,
        cluster_of(cluster) if isinstance(cluster, str) else cluster,
        Strategy() if strategy is None else strategy,
        seq_len,
        FrameworkProfile.from_catalog(framework) if isinstance(framework, str) else framework,
    )
    base = job.run()
    rows = [_row(words, job, change, base) for words, change in named.items()]
    return WhatIfReport(_row_of("as it is", base, base), tuple(rows))


def _named(changes: Sequence[Mapping[str, Any]] | Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    problems = Problems()
    given = changes.values() if isinstance(changes, Mapping) else changes
    problems.few("changes", given, MOST_CHANGES)
    problems.raise_if_any()
    for change in problems.listed("changes", given, "a list of changes, each a mapping"):
        if not isinstance(change, Mapping):
            problems.add("changes", change, "a mapping of settings to values")
    problems.raise_if_any()
    named = dict(changes) if isinstance(changes, Mapping) else {_words(change): change for change in changes}
    if not named:
        problems.missing("changes", "at least one change")
    for change in named.values():
        for name, value in change.items():
            if name not in LAYOUT and name not in SETTINGS:
                problems.add("changes", name, "a setting", suggest(name, [*LAYOUT, *SETTINGS]))
            elif name in _FACTORS:
                problems.positive(f"changes.{name}", value)
            elif name in ("nodes", "gpus", "seq_len"):
                problems.count(f"changes.{name}", value, maximum=10**9)
    problems.raise_if_any()
    return named


def _words(change: Mapping[str, Any]) -> str:
    def text(name: str, value: Any) -> str:
        shown = getattr(value, "name", None) if isinstance(value, (Model, Cluster, FrameworkProfile)) else value
        plain = getattr(shown, "value", shown)
        label = name.replace("_", " ")
        return f"{label} x {plain:g}" if name in _FACTORS else f"{label} {plain}"

    return ", ".join(text(name, value) for name, value in change.items())


@dataclass(frozen=True)
class _Job:
    model: Model
    cluster: Cluster
    strategy: Strategy
    seq_len: int | None
    profile: FrameworkProfile

    def run(self) -> Result:
        return simulate(
            self.model,
            self.cluster,
            self.strategy,
            seq_len=self.seq_len,
            framework=self.profile,
            keep_events=False,
        )

    def changed(self, change: Mapping[str, Any]) -> _Job:
        """The job with settings made; those of the layout last."""
        job = self
        for name, value in change.items():
            if name not in LAYOUT:
                job = job._set(name, value)
        layout = {name: value for name, value in change.items() if name in LAYOUT}
        if {"tp", "ep"} & set(layout):
            layout = {"etp": None, **layout}
        return replace(job, strategy=job.strategy.replace(**layout)) if layout else job

    def _set(self, name: str, value: Any) -> _Job:
        if name == "cluster":
            return replace(self, cluster=cluster_of(value) if isinstance(value, str) else value)
        if name == "model":
            return replace(self, model=model_of(value) if isinstance(value, str) else value)
        if name == "framework":
            profile = FrameworkProfile.from_catalog(value) if isinstance(value, str) else value
            return replace(self, profile=profile)
        if name == "seq_len":
            return replace(self, seq_len=value)
        if name == "nodes":
            return replace(self, cluster=sized(self.cluster, value * self.cluster.node.devices))
        if name == "gpus":
            if value % self.cluster.node.devices:
                raise ConfigError(f"gpus: got {value}, expected a multiple of {self.cluster.node.devices}, a node's")
            return replace(self, cluster=sized(self.cluster, value))
        new = changed(self.cluster, _FACTORS[name], value)
        if new is None:
            raise ConfigError(f"{name}: {self.cluster.node.name} does not say how much it has")
        return replace(self, cluster=new)


def _row(words: str, job: _Job, change: Mapping[str, Any], base: Result) -> WhatIfRow:
    try:
        return _row_of(words, job.changed(change).run(), base)
    except DtsError as error:
        return WhatIfRow(change=words, reason=str(error).splitlines()[0])


def _row_of(words: str, result: Result, base: Result) -> WhatIfRow:
    before, after = (r.devices / r.tokens_per_s for r in (base, result))
    return WhatIfRow(
        change=words,
        step_time_s=result.step_time_s,
        step_time_change=result.step_time_s / base.step_time_s - 1,
        tokens_per_s=result.tokens_per_s,
        throughput_change=result.tokens_per_s / base.tokens_per_s - 1,
        mfu=result.mfu,
        devices=result.devices,
        reserved_bytes=result.peak_memory.reserved_bytes,
        oom_probability=result.fullest_stage.oom_probability,
        fits=result.fits,
        device_seconds_change=after / before - 1,
        reason=_cause(result, base),
        result=result,
    )


def _cause(result: Result, base: Result) -> str:
    """The part of the step that changes most."""
    changes = {name: result.breakdown[name] - base.breakdown[name] for name in BREAKDOWN_LABELS}
    name = max(changes, key=lambda part: abs(changes[part]))
    if abs(changes[name]) < 1e-9 * base.step_time_s:
        return ""
    return f"{BREAKDOWN_LABELS[name]} {'+' if changes[name] > 0 else '−'}{format_seconds(abs(changes[name]))}"
