"""`explain`: why a step takes as long as it does, and what would change it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..errors import DtsError
from ..frameworks import FrameworkProfile
from ..hardware import Cluster
from ..models import Model
from ..parallel import Strategy
from ..result import BREAKDOWN_LABELS, Result
from ..simulator import simulate
from ..units import format_seconds
from .critical_path import PathPart, critical_path
from .formulas import Formula, formulas_of
from .inputs import cluster_of, model_of
from .neighbours import KnobStep, knob_steps
from .resources import resources_of

__all__ = ["Cause", "Explanation", "Sensitivity", "explain"]

MORE = 1.1
_BOUND = 0.1  # share of a cause that a resource must rule to be named


@dataclass(frozen=True)
class Cause:
    """One part of the step.

    Attributes
    ----------
    name, label
        Key of `Result.breakdown`, and in words.
    seconds, share
        Its time, and as a share of the step.
    bounds
        By resource, the share of the part that is inversely proportional to it, 0 to 1, the largest first: from runs
        with 10 % more of it. What is left are latencies, floors, and waiting for others.
    """

    name: str
    label: str
    seconds: float
    share: float
    bounds: dict[str, float]


@dataclass(frozen=True)
class Sensitivity:
    """The step with 10 % more of a resource: its change as a fraction, and that of the chance to run out of memory."""

    resource: str
    step_time_s: float
    step_time_change: float
    oom_probability_change: float


@dataclass(frozen=True, repr=False)
class Explanation:
    """Answer of `explain`.

    Attributes
    ----------
    result
        The simulated step.
    causes
        Parts that sum to the step, the largest first.
    path
        The chain of tasks that the step waits for; durations sum to the step.
    formulas
        Closed forms with their numbers and sources.
    resources
        10 % more of each, the most worth first.
    knobs
        Each knob of the layout turned by one step, the most worth first; what does not fit or is not legal comes last.
    sentence
        In words.
    """

    result: Result = field(repr=False)
    causes: tuple[Cause, ...]
    path: tuple[PathPart, ...]
    formulas: tuple[Formula, ...]
    resources: tuple[Sensitivity, ...]
    knobs: tuple[KnobStep, ...]
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as printed by `dts explain --json`."""
        knobs = [knob.to_dict() for knob in self.knobs]
        rows = ("causes", "path", "formulas", "resources")
        plain = {name: [part.__dict__ for part in getattr(self, name)] for name in rows}
        ops = [op.to_dict() for op in self.result.ops or ()]
        return {"sentence": self.sentence, "result": self.result.to_dict(), **plain, "knobs": knobs, "ops": ops}

    def __repr__(self) -> str:
        return f"<{self.sentence}>"


def explain(
    model: Model | str,
    cluster: Cluster | str,
    strategy: Strategy | None = None,
    *,
    seq_len: int | None = None,
    framework: FrameworkProfile | str = "megatron-core",
    threads: int = 0,
) -> Explanation:
    """Take a step apart: time by cause, what bounds each, the critical path, formulas, and what would help.

    Parameters
    ----------
    model, cluster, strategy, seq_len, framework
        As of `simulate`.
    threads
        Of the runs of the knobs; 0 takes one per core.

    Raises
    ------
    ConfigError
        Listing every rule that the job violates.

    Examples
    --------
    >>> why = explain("llama-3.1-8b", "1xdgx-h100", Strategy(tp=2, zero=1, global_batch=32), seq_len=4096)
    >>> why.causes[0].label, why.resources[0].resource
    ('backward', 'matmul rate')
    """
    model = model_of(model) if isinstance(model, str) else model
    cluster = cluster_of(cluster) if isinstance(cluster, str) else cluster
    profile = FrameworkProfile.from_catalog(framework) if isinstance(framework, str) else framework
    result = simulate(model, cluster, strategy, seq_len=seq_len, framework=profile)
    runs = _with_more(model, cluster, profile, result)
    causes = tuple(_causes(result, runs))
    resources = tuple(sorted((_sensitivity(result, name, run) for name, run in runs.items()), key=_worth))
    knobs = knob_steps(model, cluster, result.strategy, seq_len=int(result.seq_len), framework=profile, threads=threads)
    formulas = tuple(formulas_of(model, cluster, result))
    sentence = _sentence(result, causes, resources, knobs)
    return Explanation(result, causes, tuple(critical_path(result)), formulas, resources, tuple(knobs), sentence)


def _with_more(model: Model, cluster: Cluster, profile: FrameworkProfile, result: Result) -> dict[str, Result]:
    """The step with 10 % more of every resource that the cluster states."""
    runs: dict[str, Result] = {}
    for name, richer, faster in resources_of(cluster, profile, MORE):
        seq_len = None if model.tokens_per_sample else int(result.seq_len)
        try:
            runs[name] = simulate(model, richer, result.strategy, seq_len=seq_len, framework=faster, keep_events=False)
        except DtsError:  # a resource that the cluster's other parts cannot have more of
            continue
    return runs


def _causes(result: Result, runs: dict[str, Result]) -> list[Cause]:
    parts = [(name, seconds) for name, seconds in result.breakdown.items() if seconds > 0]
    return [
        Cause(name, BREAKDOWN_LABELS[name], seconds, seconds / result.step_time_s, _bounds(name, seconds, runs))
        for name, seconds in sorted(parts, key=lambda part: -part[1])
    ]


def _bounds(name: str, seconds: float, runs: dict[str, Result]) -> dict[str, float]:
    """Share of a part that shrinks as a resource grows: all of it would lose 1 - 1 / 1.1."""
    shares = {
        resource: min(1.0, (1 - run.breakdown[name] / seconds) / (1 - 1 / MORE)) for resource, run in runs.items()
    }
    return {r: share for r, share in sorted(shares.items(), key=lambda item: -item[1]) if share >= _BOUND}


def _sensitivity(result: Result, name: str, run: Result) -> Sensitivity:
    chance = run.fullest_stage.oom_probability - result.fullest_stage.oom_probability
    return Sensitivity(name, run.step_time_s, run.step_time_s / result.step_time_s - 1, chance)


def _worth(s: Sensitivity) -> tuple[float, float, str]:
    return (s.step_time_change, s.oom_probability_change, s.resource)


def _sentence(
    result: Result, causes: tuple[Cause, ...], resources: tuple[Sensitivity, ...], knobs: list[KnobStep]
) -> str:
    largest = " and ".join(f"{cause.label} {cause.share:.0%}" for cause in causes[:2])
    first = resources[0] if resources else None
    worth = "" if first is None else f"; 10 % more {first.resource} saves {-first.step_time_change:.1%}"
    same = [k for k in knobs if not k.words.startswith("precision")]  # another trains something else
    better = next((k for k in same if k.fits and (k.step_time_change or 0) < -0.002), None)
    knob = "" if better is None else f"; the best single change is {better}"
    verdict = "" if result.fits else "; it does not fit into memory"
    return f"A step of {format_seconds(result.step_time_s)} is {largest}{worth}{knob}{verdict}."
