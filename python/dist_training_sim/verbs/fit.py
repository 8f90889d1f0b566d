"""Does a job fit, what fills its memory, and what would make it fit at the least cost in time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import combinations
from typing import Any

from .._display import table_html
from ..errors import DtsError
from ..frameworks import FrameworkProfile
from ..hardware import Cluster
from ..models import Model
from ..parallel import Strategy
from ..result import MemoryUse, Result
from ..simulator import simulate
from ..units import format_bytes, format_seconds
from .fit_changes import Change, changes_of
from .framework_axes import recomputes_modules
from .inputs import cluster_of, model_of
from .memory_timeline import StageMemory, memory_timeline

__all__ = ["FitReport", "Option", "StageFit", "fit"]

MOST_CHANGES = 3  # made together
MOST_OPTIONS = 8
_PAIRED = 10  # changes that save most, and that cost least, from which pairs are made


@dataclass(frozen=True)
class StageFit:
    """Memory of one device of a pipeline stage against what the device has, in bytes.

    Attributes
    ----------
    stage
        Pipeline stage, from 0.
    allocated_bytes, reserved_bytes
        Peak of what tensors take; of what the caching allocator takes for them.
    reserved_by
        Where reserved bytes come from: `allocator replay` of the step, or `framework factor` for compilers that plan
        memory themselves.
    context_bytes, communicator_bytes, user_buffer_bytes
        Outside the allocator: the CUDA context; the collective library's buffers by what they serve; buffers registered
        for overlapped matmuls.
    used_bytes, limit_bytes, headroom_bytes
        Reserved bytes and those outside together; device memory; what is left (negative: lacking).
    factor_used_bytes
        The used bytes by the framework's measured factor in place of the replay, as `simulate` and `plan` give them.
    offloaded_bytes
        What lies in other tiers for this device, by tier: host, nvme, remote.
    overfull_tiers
        Those in which that is more than the device's share of them.
    fragmentation
        Share of the reserved bytes that no tensor fills at the peak.
    oom_probability, verdict
        Chance of running out of device memory, from measured jobs; `fits`, `at risk` or `does not fit`, the last also
        where a tier is too small.
    categories
        Bytes by category at the peak.
    """

    stage: int
    allocated_bytes: float
    reserved_bytes: float
    reserved_by: str
    context_bytes: float
    communicator_bytes: dict[str, float]
    user_buffer_bytes: float
    used_bytes: float
    factor_used_bytes: float
    limit_bytes: float
    headroom_bytes: float
    offloaded_bytes: dict[str, float]
    overfull_tiers: tuple[str, ...]
    fragmentation: float
    oom_probability: float
    verdict: str
    categories: dict[str, float]

    @property
    def outside_bytes(self) -> float:
        """What stands outside the allocator: context, communicators and user buffers."""
        return self.context_bytes + sum(self.communicator_bytes.values()) + self.user_buffer_bytes


@dataclass(frozen=True)
class Option:
    """A changed layout beside the asked one.

    Attributes
    ----------
    changes
        What is changed, in words.
    strategy
        The fields of `Strategy` that differ.
    allocated_bytes, saved_bytes
        Peak of the fullest stage, and how much less that is.
    step_time_s, step_time_change
        Predicted step, and its change as a fraction.
    oom_probability, verdict
        As in `StageFit`, of the fullest stage.
    fits
        Whether every stage more likely fits than not, and what is offloaded stays within its tiers.
    """

    changes: str
    strategy: dict[str, Any]
    allocated_bytes: float
    saved_bytes: float
    step_time_s: float
    step_time_change: float
    oom_probability: float
    verdict: str
    fits: bool


@dataclass(frozen=True, repr=False)
class FitReport:
    """Answer of `fit`.

    Attributes
    ----------
    fits, verdict, oom_probability
        Of the fullest stage, a stage with too small a tier first: whether it more likely fits than not; in words; the
        chance that device memory runs out.
    step_time_s
        Of the asked layout.
    stages
        One entry per pipeline stage.
    fullest
        The stage that needs most, with its moment and tensors.
    remedies
        Changes after which it fits, or is no more at risk where it is, cheapest first; empty where it fits already or
        nothing was found.
    strategies
        Each single change with what it saves and costs; empty unless asked for.
    """

    model: str
    cluster: str
    framework: str
    fits: bool
    verdict: str
    oom_probability: float
    step_time_s: float
    stages: tuple[StageFit, ...]
    fullest: StageMemory
    remedies: tuple[Option, ...]
    strategies: tuple[Option, ...]

    def __repr__(self) -> str:
        chance = f"{self.oom_probability:.0%} chance of running out of memory"
        step = f"step {format_seconds(self.step_time_s)}"
        return f"<FitReport {self.model} on {self.cluster}: {self.verdict}, {chance}, {step}>"

    def _repr_html_(self) -> str:
        stages = [
            (s.stage, *(format_bytes(v) for v in (s.allocated_bytes, s.used_bytes, s.limit_bytes)), s.verdict)
            for s in self.stages
        ]
        table = table_html(repr(self).strip("<>"), ("stage", "allocated", "used", "limit", "verdict"), stages)
        changes = [(o.changes, format_seconds(o.step_time_s), format_bytes(o.allocated_bytes)) for o in self.remedies]
        return table + (table_html("Remedies", ("change", "step", "allocated"), changes) if changes else "")


def fit(
    model: Model | str,
    cluster: Cluster | str,
    strategy: Strategy | None = None,
    *,
    seq_len: int | None = None,
    framework: FrameworkProfile | str = "megatron-core",
    strategies: bool = False,
    expandable_segments: bool = False,
) -> FitReport:
    """Say whether a job fits into device memory.

    Parameters
    ----------
    model, cluster, strategy, seq_len, framework
        As of `simulate`.
    strategies
        Also list what every single change would save and cost.
    expandable_segments
        The allocator runs with `expandable_segments:True`.

    Returns
    -------
    FitReport

    Raises
    ------
    ConfigError
        Listing every rule that the job violates.

    Examples
    --------
    >>> fit("llama-3.1-8b", "1xdgx-h100", Strategy(zero=3), seq_len=4096).verdict
    'fits'
    """
    model = model_of(model) if isinstance(model, str) else model
    cluster = cluster_of(cluster) if isinstance(cluster, str) else cluster
    strategy = Strategy() if strategy is None else strategy
    job: dict[str, Any] = {"seq_len": seq_len, "framework": framework}
    result = simulate(model, cluster, strategy, **job, keep_events=False)
    memory = memory_timeline(model, cluster, strategy, **job, expandable_segments=expandable_segments)
    plans = result.reserved_factor == 1
    stages = tuple(_stage(use, timed, plans) for use, timed in zip(result.memory, memory, strict=True))
    fullest = max(range(len(stages)), key=lambda i: (bool(stages[i].overfull_tiers), stages[i].oom_probability))
    worst = stages[fullest]
    sure = worst.verdict == "fits"
    singles = _tried(model, cluster, result, job) if strategies or not sure else []
    return FitReport(
        model=model.name,
        cluster=cluster.title,
        framework=result.framework,
        fits=result.fits,
        verdict=worst.verdict,
        oom_probability=worst.oom_probability,
        step_time_s=result.step_time_s,
        stages=stages,
        fullest=memory[fullest],
        remedies=() if sure else tuple(_remedies(model, cluster, result, job, singles)),
        strategies=tuple(option for _, option in singles) if strategies else (),
    )


def _stage(use: MemoryUse, memory: StageMemory, plans_memory: bool) -> StageFit:
    """A compiler that plans memory reserves what it needs; otherwise the allocator's replay says how much that is."""
    reserved = use.reserved_bytes if plans_memory else memory.reserved_bytes
    used = reserved + use.outside_bytes
    return StageFit(
        stage=memory.stage,
        allocated_bytes=use.allocated_bytes,
        reserved_bytes=reserved,
        reserved_by=use.reserved_by if plans_memory else "allocator replay",
        context_bytes=use.context_bytes,
        communicator_bytes=use.communicator_bytes,
        user_buffer_bytes=use.user_buffer_bytes,
        used_bytes=used,
        factor_used_bytes=use.used_bytes,
        limit_bytes=use.capacity_bytes,
        headroom_bytes=use.capacity_bytes - used,
        offloaded_bytes=use.offloaded_bytes,
        overfull_tiers=use.overfull_tiers,
        fragmentation=0.0 if plans_memory else memory.fragmentation,
        oom_probability=use.oom_probability,
        verdict=_verdict(use),
        categories=use.categories,
    )


def _verdict(use: MemoryUse) -> str:
    return "does not fit" if use.overfull_tiers else use.verdict


def _tried(model: Model, cluster: Cluster, base: Result, job: dict[str, Any]) -> list[tuple[Change, Option]]:
    """Every legal single change with its option."""
    changes = changes_of(base.strategy, model, by_module=recomputes_modules(base.framework))
    tried = [(change, _option(model, cluster, base, job, (change,))) for change in changes]
    return [(change, option) for change, option in tried if option]


def _remedies(
    model: Model, cluster: Cluster, base: Result, job: dict[str, Any], singles: list[tuple[Change, Option]]
) -> list[Option]:
    """Single changes and pairs that suffice, the cheapest first; more at once only where no pair does."""
    alone = [option for _, option in singles if _helps(option, base)]
    rest = [pair for pair in singles if pair[1].saved_bytes > 0 and not _helps(pair[1], base)]
    saving = [change for change, _ in sorted(rest, key=lambda pair: -pair[1].saved_bytes)[:_PAIRED]]
    cheap = [change for change, _ in sorted(rest, key=lambda pair: pair[1].step_time_s)[:_PAIRED]]
    found = alone + _that_fit(model, cluster, base, job, [*saving, *(c for c in cheap if c not in saving)], 2)
    for together in range(3, MOST_CHANGES + 1):
        found = found or _that_fit(model, cluster, base, job, saving, together)
    return sorted(found, key=lambda option: option.step_time_s)[:MOST_OPTIONS]


def _that_fit(
    model: Model, cluster: Cluster, base: Result, job: dict[str, Any], changes: list[Change], together: int
) -> list[Option]:
    options = (_option(model, cluster, base, job, chosen) for chosen in _compatible(changes, together))
    return [option for option in options if option and _helps(option, base)]


def _helps(option: Option, base: Result) -> bool:
    """Whether a job that does not fit does so then, or one at risk is no more."""
    return option.verdict == "fits" if base.fits else option.fits


def _compatible(changes: list[Change], together: int) -> Iterator[tuple[Change, ...]]:
    """Choices of changes of different fields."""
    for chosen in combinations(changes, together):
        names = [name for change in chosen for name in change.fields if name != "dp"]
        if len(names) == len(set(names)):
            yield chosen


def _option(
    model: Model, cluster: Cluster, base: Result, job: dict[str, Any], changes: tuple[Change, ...]
) -> Option | None:
    """The job with some changes; None where it is not legal."""
    changed = {name: value for change in changes for name, value in change.fields.items()}
    try:
        result = simulate(model, cluster, base.strategy.replace(**changed), **job, keep_events=False)
    except DtsError:
        return None
    before, use = base.fullest_stage, next((u for u in result.memory if u.overfull_tiers), result.fullest_stage)
    differs = {
        f.name: getattr(result.strategy, f.name)
        for f in fields(Strategy)
        if getattr(result.strategy, f.name) != getattr(base.strategy, f.name)
    }
    return Option(
        changes=", ".join(change.words for change in changes),
        strategy=differs,
        allocated_bytes=use.allocated_bytes,
        saved_bytes=before.allocated_bytes - use.allocated_bytes,
        step_time_s=result.step_time_s,
        step_time_change=result.step_time_s / base.step_time_s - 1,
        oom_probability=use.oom_probability,
        verdict=_verdict(use),
        fits=result.fits,
    )
