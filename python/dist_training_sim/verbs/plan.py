"""`plan`: the best layout of a job on a cluster, found over every axis, with what it would take to run it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import ConfigError, Problems
from ..frameworks import FrameworkProfile
from ..hardware import Cluster
from ..models import Model
from ..named_enum import NamedEnum, member
from ..parallel import Recompute, Schedule, Strategy
from ..parallel.choices import Precision
from ..simulator.job import checked_seq_len
from .inputs import cluster_of, gather, model_of
from .plan_ask import Ask
from .plan_objective import Terms, terms_of
from .plan_report import PlanReport

__all__ = ["PLAN_AXES", "PlanObjective", "axis_values", "plan"]

MOST_COUNTS = 65_536  # values of one axis
PLAN_AXES = (
    "tp",
    "pp",
    "vpp",
    "cp",
    "ep",
    "etp",
    "zero",
    "micro_batch",
    "recompute",
    "schedule",
    "offload",
    "precision",
)
_ENUMS: Mapping[str, type[NamedEnum]] = {"recompute": Recompute, "schedule": Schedule, "precision": Precision}


class PlanObjective(NamedEnum):
    """What a plan makes small."""

    TIME = "time"
    """Seconds of a step."""
    COST = "cost"
    """Dollars of a step."""
    MEMORY = "memory"
    """Bytes of the fullest device."""
    ENERGY = "energy"
    """Joules of a step at the wall of the nodes."""


def plan(
    model: Model | str,
    cluster: Cluster | str,
    *,
    global_batch: int,
    seq_len: int | None = None,
    objective: PlanObjective | str = "time",
    framework: FrameworkProfile | str = "megatron-core",
    max_gpus: int | None = None,
    gpus: int | Sequence[int] | None = None,
    max_step_time_s: float | None = None,
    max_memory_bytes: float | None = None,
    max_oom_probability: float = 0.25,
    usd_per_device_h: float | None = None,
    max_usd_per_h: float | None = None,
    top: int = 5,
    threads: int = 0,
    within: float = 0.05,
    compare: Strategy | None = None,
    **axes: Any,
) -> PlanReport:
    """Find the best layout of a training job.

    Every combination of the axes is considered; those that provably cannot win are left out by bounds that hold for
    every strategy, so the winner is that of the whole space.

    Parameters
    ----------
    model, cluster, seq_len, framework
        As of `simulate`. The search stays within what the framework's launchers can express.
    global_batch
        Samples per step.
    objective
        `PlanObjective` or its name: `"time"`, `"cost"`, `"memory"` or `"energy"`, each per step.
    max_gpus, max_usd_per_h
        Use at most so many devices, or such as cost at most so much an hour.
    gpus
        Numbers of devices to consider, whole nodes each; by default all that are allowed, for cost and energy also
        halves of them down to one node.
    max_step_time_s, max_memory_bytes, max_oom_probability
        What a plan may take at most; bytes are those reserved on the fullest device.
    usd_per_device_h
        Your price; by default the catalogue's.
    top
        How many layouts to rank, each simulated in full.
    threads
        At most so many; 0 takes one per core.
    within
        The front holds layouts whose objective is at most by this share worse than the best one's, all that no other
        beats (for energy: of those priced); 0 to 1. More takes longer.
    compare
        A layout of yours, simulated on the whole cluster beside the best one; its `global_batch` is that of the plan.
    **axes
        Fix an axis to a value or to several: `tp`, `pp`, `vpp`, `cp`, `ep`, `etp`, `zero`, `micro_batch`, `recompute`,
        `schedule`, `offload` (`"none"`, `"optimizer"`, `"parameters"`, `"activations"`, `"all"`), `precision`.
        Precision is bf16 unless given, because another changes what is trained; all else is free.

    Returns
    -------
    PlanReport
        With `feasible` False, and the nearest changes that help, where no layout meets the constraints.

    Raises
    ------
    ConfigError
        Listing every argument that is not legal.

    Examples
    --------
    >>> report = plan("llama-3.1-8b", "1xdgx-h100", global_batch=64, seq_len=4096)
    >>> report.feasible, report.best.strategy.global_batch
    (True, 64)
    """
    limits = {"step_time_s": max_step_time_s, "memory_bytes": max_memory_bytes}
    kind, described, hardware, profile, _, values = gather(
        lambda: member(PlanObjective, objective, "objective"),
        lambda: model_of(model) if isinstance(model, str) else model,
        lambda: cluster_of(cluster) if isinstance(cluster, str) else cluster,
        lambda: FrameworkProfile.from_catalog(framework) if isinstance(framework, str) else framework,
        lambda: _check(global_batch, max_gpus, max_usd_per_h, limits, max_oom_probability, top, threads, within),
        lambda: axis_values(axes),
    )
    length = checked_seq_len(described, seq_len)
    terms = terms_of(hardware, usd_per_device_h, limits, max_oom_probability)
    if max_usd_per_h is not None:
        max_gpus = _within_budget(terms, max_usd_per_h, max_gpus)
    ask = Ask(
        model=described,
        cluster=hardware,
        profile=profile,
        seq_len=length,
        global_batch=global_batch,
        objective=kind.value,
        terms=terms,
        axes=values,
        top=top,
        threads=threads,
        within=within,
        compare=compare,
    )
    return ask.report(_counts(hardware, max_gpus, gpus, kind))


def _check(
    global_batch: int,
    max_gpus: int | None,
    max_usd_per_h: float | None,
    limits: dict[str, float | None],
    risk: float,
    top: int,
    threads: int,
    within: float,
) -> None:
    problems = Problems()
    problems.count("global_batch", global_batch)
    if problems.non_negative("within", within) and within > 1:
        problems.add("within", within, "at most 1: twice the best")
    problems.count("top", top, maximum=1000)
    problems.count("threads", threads, minimum=0, maximum=1024)
    if max_gpus is not None:
        problems.count("max_gpus", max_gpus)
    for name, value in {"max_usd_per_h": max_usd_per_h, **{f"max_{n}": v for n, v in limits.items()}}.items():
        if value is not None:
            problems.positive(name, value)
    if problems.positive("max_oom_probability", risk) and risk > 0.5:
        problems.add("max_oom_probability", risk, "at most 0.5: above, a plan more likely fails than not")
    problems.raise_if_any()


def _within_budget(terms: Terms, max_usd_per_h: float, max_gpus: int | None) -> int:
    if terms.usd_per_device_h is None:
        raise ConfigError(f"max_usd_per_h: no price is known for {terms.device}; give usd_per_device_h")
    affordable = int(max_usd_per_h / terms.usd_per_device_h) if terms.usd_per_device_h else 2**31 - 1
    return min(affordable, max_gpus or affordable)


def _counts(cluster: Cluster, max_gpus: int | None, gpus: int | Sequence[int] | None, kind: PlanObjective) -> list[int]:
    """Numbers of devices to consider, most first."""
    per_node, most = cluster.node.devices, min(max_gpus if max_gpus is not None else 2**31, cluster.device_count)
    if most < per_node:
        raise ConfigError(
            f"max_gpus: got {most} devices, expected at least {per_node}: one node of {cluster.node.name}; "
            "raise max_gpus or the budget"
        )
    if gpus is not None:
        problems = Problems()
        problems.few("gpus", gpus, MOST_COUNTS)
        problems.raise_if_any()
        asked = [gpus] if isinstance(gpus, int) else list(gpus)
        for count in asked:
            if problems.count("gpus", count, maximum=most) and count % per_node and count != cluster.device_count:
                problems.add("gpus", count, f"a multiple of {per_node}, the devices of a node")
        problems.raise_if_any()
        return sorted(set(asked), reverse=True)
    counts = [most if most == cluster.device_count else most // per_node * per_node]
    while kind in (PlanObjective.COST, PlanObjective.ENERGY) and counts[-1] // 2 >= per_node:
        counts.append(counts[-1] // 2 // per_node * per_node)
    return counts


def axis_values(axes: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    """Constraints of a search, each as a tuple; those that are None are free.

    Raises
    ------
    ConfigError
        If one names no axis, or holds what the axis cannot.
    """
    problems = Problems()
    for name in axes:
        if name not in PLAN_AXES:
            problems.add("axes", f"{name}=", f"an axis: {', '.join(PLAN_AXES)}")
        elif not isinstance(axes[name], str):
            problems.few(name, axes[name], MOST_COUNTS)
    problems.raise_if_any()
    return {name: _several(name, value) for name, value in axes.items() if value is not None}


def _several(name: str, value: Any) -> tuple[Any, ...]:
    """One value or several, enums by name as their members."""
    values = (value,) if isinstance(value, (str, int, NamedEnum)) else tuple(value)
    kind = _ENUMS.get(name)
    return values if kind is None else tuple(member(kind, item, name) for item in values)
