"""What `plan` answers: layouts with their figures, the front, why others lose, what to run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..io.jobs import WrittenJob
from ..parallel import OffloadTier, Strategy
from ..result import Result, strategy_dict
from ..units import format_seconds
from .neighbours import KnobStep

__all__ = ["PlanChange", "PlanReport", "PlannedLayout", "SearchCounts", "layout_words"]


@dataclass(frozen=True)
class PlannedLayout:
    """One layout that fits.

    Attributes
    ----------
    strategy
        The layout.
    devices
        Devices that it uses.
    step_time_s, low90_s, high90_s
        Predicted step and the ends of its 90 % interval (None: not re-simulated, or no measured runs are near).
    tokens_per_s, mfu
        Of the whole job.
    reserved_bytes, used_bytes, oom_probability
        Of the fullest stage: what the allocator holds, that and what stands outside it, the chance of running out.
    usd_per_step, joules_per_step
        None where no price, or no power cap, is known.
    value
        The objective.
    winner_faster
        Chance that the winner's step is the shorter one when both are measured, from pairs of measured runs; None for
        the winner, or where none are near.
    result
        The full simulation; None but for the top plans.
    """

    strategy: Strategy
    devices: int
    step_time_s: float
    low90_s: float | None
    high90_s: float | None
    tokens_per_s: float
    mfu: float
    reserved_bytes: float
    used_bytes: float
    oom_probability: float
    usd_per_step: float | None
    joules_per_step: float | None
    value: float
    winner_faster: float | None = None
    result: Result | None = field(default=None, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, without the full simulation."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "result"}
        return plain | {"strategy": strategy_dict(self.strategy)}


@dataclass(frozen=True)
class PlanChange:
    """A change of what was asked after which there is a plan, and the best one then."""

    words: str
    best: PlannedLayout

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {"change": self.words, "best": self.best.to_dict()}


@dataclass(frozen=True)
class SearchCounts:
    """How far the search went.

    Attributes
    ----------
    combinations
        Strategies of the space that fill the cluster and the batch.
    bounded, evaluated
        Of these: whose own bounds were taken, and which were priced in full. The others lie in cells that provably hold
        no better plan.
    """

    combinations: int
    bounded: int
    evaluated: int


@dataclass(frozen=True, repr=False)
class PlanReport:
    """Answer of `plan`.

    Attributes
    ----------
    model, cluster, framework, objective, seq_len, global_batch
        What was asked.
    top
        The best layouts, best first, each simulated in full; empty where none meets the constraints.
    front, within
        Every layout that no other beats in step time, memory, devices and cost at once, of those whose objective is at
        most by the share `within` worse than the best one's (for energy: of those priced); fastest first.
    losers
        The winner with one knob turned by one step, and why that is worse.
    sentence
        The answer in words.
    launch, launch_problem
        The winner in its framework's own format, or why it cannot be written.
    changes
        Where no layout meets the constraints: the nearest changes after which one does.
    searched
        Size of the search.
    notes
        What was assumed.
    given, given_problem
        The layout to compare with, simulated in full; None where there is none, or why it cannot run.
    """

    model: str
    cluster: str
    framework: str
    objective: str
    seq_len: int
    global_batch: int
    top: tuple[PlannedLayout, ...]
    front: tuple[PlannedLayout, ...]
    losers: tuple[KnobStep, ...]
    sentence: str
    launch: WrittenJob | None
    launch_problem: str
    changes: tuple[PlanChange, ...]
    searched: SearchCounts
    notes: tuple[str, ...] = ()
    given: PlannedLayout | None = None
    given_problem: str = ""
    within: float = 0.0

    @property
    def feasible(self) -> bool:
        """Whether any layout meets the constraints."""
        return bool(self.top)

    @property
    def best(self) -> PlannedLayout:
        """The winner.

        Raises
        ------
        InfeasibleError
            If no layout meets the constraints; `changes` says what helps.
        """
        if self.top:
            return self.top[0]
        from ..errors import InfeasibleError

        raise InfeasibleError(self.sentence)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as printed by `dts plan --json`."""
        names = ("model", "cluster", "framework", "objective", "seq_len", "global_batch", "feasible", "sentence")
        return {
            **{name: getattr(self, name) for name in names},
            "given": None if self.given is None else self.given.to_dict(),
            "given_problem": self.given_problem,
            "top": [layout.to_dict() for layout in self.top],
            "within": self.within,
            "front": [layout.to_dict() for layout in self.front],
            "losers": [loser.to_dict() for loser in self.losers],
            "launch": None if self.launch is None else self.launch.to_dict(),
            "launch_problem": self.launch_problem,
            "changes": [change.to_dict() for change in self.changes],
            "searched": self.searched.__dict__,
            "notes": list(self.notes),
        }

    def __repr__(self) -> str:
        if not self.top:
            return f"<no plan for {self.model} on {self.cluster}: {len(self.changes)} changes would help>"
        best = self.top[0]
        return f"<{self.model} on {self.cluster}: {layout_words(best.strategy)}, {format_seconds(best.step_time_s)}>"


def layout_words(s: Strategy) -> str:
    """A layout in the words of its field: `TP 8 x PP 4 x DP 16, ZeRO-1, micro-batch 1, full recomputation`."""
    axes = (("TP", s.tp), ("PP", s.pp), ("CP", s.cp), ("DP", s.dp or 1))
    words = [" x ".join(f"{name} {value}" for name, value in axes if value > 1) or "one device"]
    words += [f"EP {s.ep}"] if s.ep > 1 else []
    schedule = getattr(s.schedule, "value", s.schedule)
    words += [f"VPP {s.vpp}"] if s.vpp > 1 else []
    words += [f"schedule {schedule}"] if s.pp > 1 and schedule != "1f1b" else []
    words += [f"ZeRO-{s.zero}"] if s.zero else []
    words += [f"micro-batch {s.micro_batch}"]
    recompute = getattr(s.recompute, "value", s.recompute)
    words += [] if recompute == "none" else [f"{recompute} recomputation"]
    words += _offloaded(s)
    precision = getattr(s.precision, "value", s.precision)
    return ", ".join([*words, *([] if precision == "bf16" else [str(precision)])])


def _offloaded(s: Strategy) -> list[str]:
    """`optimizer and parameters on the host`, say."""
    activations = s.activation_tier if s.offload_activations else OffloadTier.NONE
    parts = {"optimizer": s.offload_optimizer, "parameters": s.offload_parameters, "activations": activations}
    words = []
    for tier, place in (
        (OffloadTier.HOST, "on the host"),
        (OffloadTier.NVME, "on NVMe"),
        (OffloadTier.REMOTE, "remote"),
    ):
        names = [name for name, where in parts.items() if where is tier]
        words += [f"{' and '.join(names)} {place}"] if names else []
    return words
