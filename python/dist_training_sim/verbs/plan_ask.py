"""One question to the planner: what is searched, and how its answer is made of what is found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import DtsError
from ..frameworks import FrameworkProfile
from ..hardware import Cluster
from ..io.jobs import WrittenJob, write_job
from ..models import Model
from ..parallel import Strategy
from ..search import StrategySpace
from ..search.pruned import Found, combinations_of, pruned_search
from ..search.size import MOST_TOGETHER, check_size
from ..simulator import simulate
from ..simulator.job import Job, described_job
from ..units import format_bytes, format_count, format_seconds
from .framework_axes import axes_of, base_of, completed, format_of
from .inputs import capacity_bytes
from .neighbours import KnobStep, knob_steps
from .plan_given import compared_words, given_layout
from .plan_objective import Terms, objective_of
from .plan_report import PlannedLayout, PlanReport, SearchCounts, layout_words

__all__ = ["Ask", "front_of", "sized"]

MOST_FRONT = 64
_SPACES_COUNTED = 64  # at most; their sizes stand for those of all numbers of devices
_WORTH_SAYING = 0.05  # chance of running out of memory
_OUTSIDE = "not among the values asked for"


def sized(cluster: Cluster, devices: int) -> Cluster:
    """The cluster with so many of its devices, whole nodes of its first kind."""
    if devices == cluster.device_count:
        return cluster
    return cluster.replace(nodes=devices // cluster.node.devices, others=())


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What a plan is asked for; `report` answers for some numbers of devices."""

    model: Model
    cluster: Cluster
    profile: FrameworkProfile
    seq_len: int
    global_batch: int
    objective: str
    terms: Terms
    axes: Mapping[str, tuple[Any, ...]]
    top: int
    threads: int
    within: float = 0.0
    compare: Strategy | None = None

    def space(self) -> StrategySpace:
        """The layouts that the framework can be told and the constraints allow."""
        values = axes_of(self.profile.name) | dict(self.axes)
        values.setdefault("precision", (self.profile.defaults.precision,))
        sizes = tuple(n for n in (1, 2, 4, 8, 16) if self.global_batch % n == 0)
        values.setdefault("micro_batch", sizes)
        return StrategySpace(global_batch=self.global_batch, base=base_of(self.profile), **values)

    def check_size(self, counts: Sequence[int]) -> None:
        """Refuse more searches than an hour or so can do, as soon as so many combinations are counted.

        Raises
        ------
        ConfigError
            With an estimate of what they would take.
        """
        every = -(-len(counts) // _SPACES_COUNTED)
        together = 0
        for devices in counts[::every] if len(counts) > 1 else ():
            together += every * combinations_of(self.job(devices), self.space())
            check_size(together, MOST_TOGETHER, len(counts))

    def job(self, devices: int) -> Job:
        """The job on so many devices, without a layout."""
        cluster = sized(self.cluster, devices)
        return described_job(self.model, cluster, Strategy(), self.seq_len, self.profile, None, None)

    def search(self, devices: int, *, keep: int, within: float = 0.0) -> tuple[Job, Found]:
        """What a search over layouts of so many devices finds: the best `keep`, and all so little worse, at least."""
        job = self.job(devices)
        objective = objective_of(self.objective, self.terms, devices)
        return job, pruned_search(
            job,
            self.space(),
            objective,
            keep=keep,
            slack=within,
            risk=self.terms.max_oom_probability,
            complete=lambda columns: completed(self.profile, columns),
            threads=self.threads,
        )

    def report(self, counts: list[int]) -> PlanReport:
        """The answer for some numbers of devices, most first."""
        self.check_size(counts)
        found = [self.search(devices, keep=self.top, within=self.within) for devices in counts]
        given, illegal = given_layout(self)
        layouts = [layout for job, part in found for layout in self.layouts(job, part)]
        layouts.sort(key=lambda layout: layout.value)
        searched = SearchCounts(
            *(sum(n) for n in zip(*((f.combinations, f.bounded, len(f.evaluation)) for _, f in found), strict=True))
        )
        if not layouts:
            return replace(self.infeasible(counts, found, searched), given=given, given_problem=illegal)
        best = _compared([self.in_detail(layout) for layout in layouts[: self.top]])
        launch, problem = self.launch(best[0])
        return PlanReport(
            **self.asked(),
            top=tuple(best),
            front=tuple(front_of([x for x in layouts if x.value <= best[0].value * (1 + self.within)])[:MOST_FRONT]),
            within=self.within,
            losers=tuple(self.losers(best[0])),
            given=given,
            given_problem=illegal,
            sentence=" ".join([self.sentence(best[0]), *compared_words(self, best[0], given, illegal)]),
            launch=launch,
            launch_problem=problem,
            changes=(),
            searched=searched,
            notes=self.terms.notes,
        )

    def asked(self) -> dict[str, Any]:
        """The question, as fields of the report."""
        return {
            "model": self.model.name,
            "cluster": self.cluster.title,
            "framework": self.profile.name,
            "objective": self.objective,
            "seq_len": self.seq_len,
            "global_batch": self.global_batch,
        }

    def layouts(self, job: Job, found: Found) -> list[PlannedLayout]:
        """The best and the front of what was found, best first."""
        e = found.evaluation
        rows = found.order[np.isfinite(found.values[found.order])]
        by_time = rows[np.lexsort([e["used_bytes"][rows], e["step_time_s"][rows]])]
        less = np.minimum.accumulate(e["used_bytes"][by_time])
        front = by_time[np.concatenate([[True], less[1:] < less[:-1]])] if len(rows) else rows
        wanted = set(rows[: self.top].tolist()) | set(front.tolist())
        return [self.layout(job, found, int(row)) for row in rows if int(row) in wanted]

    def layout(self, job: Job, found: Found, row: int) -> PlannedLayout:
        """One row of what was found."""
        e, devices = found.evaluation, job.cluster.device_count
        step_s = float(e["step_time_s"][row])
        return PlannedLayout(
            strategy=e.strategies[row].resolved(devices),
            devices=devices,
            step_time_s=step_s,
            low90_s=None,
            high90_s=None,
            tokens_per_s=float(e["tokens_per_s"][row]),
            mfu=float(e["mfu"][row]),
            reserved_bytes=float(e["reserved_bytes"][row]),
            used_bytes=float(e["used_bytes"][row]),
            oom_probability=float(e["oom_probability"][row]),
            usd_per_step=self.terms.usd(step_s, devices),
            joules_per_step=self.terms.joules({name: values[row] for name, values in e.columns.items()}, devices),
            value=float(found.values[row]),
        )

    def in_detail(self, layout: PlannedLayout) -> PlannedLayout:
        """The layout simulated in full."""
        cluster = sized(self.cluster, layout.devices)
        result = simulate(
            self.model, cluster, layout.strategy, seq_len=self.seq_len, framework=self.profile, keep_events=False
        )
        near = result.interval
        ends = (None, None) if near is None else (near.low90, near.high90)
        return replace(layout, low90_s=ends[0], high90_s=ends[1], result=result)

    def losers(self, best: PlannedLayout) -> list[KnobStep]:
        """The winner's neighbours; one that is faster and fits is outside the space, and says so."""
        steps = knob_steps(
            self.model,
            sized(self.cluster, best.devices),
            best.strategy,
            seq_len=self.seq_len,
            framework=self.profile,
            risk=self.terms.max_oom_probability,
            threads=self.threads,
        )
        return [
            replace(step, reason=f"{step.reason}; {_OUTSIDE}") if self._is_outside(step) else step for step in steps
        ]

    def _is_outside(self, step: KnobStep) -> bool:
        by_time = self.objective in ("time", "cost")
        return (
            by_time and step.fits and (step.step_time_change or 0.0) < 0 and self.terms.max_memory_bytes == float("inf")
        )

    def launch(self, best: PlannedLayout) -> tuple[WrittenJob | None, str]:
        """The winner in its framework's own format, or why it cannot be written."""
        target = format_of(self.profile.name)
        if target is None:
            return None, f"there is no writer of launch files for {self.profile.name}"
        cluster = sized(self.cluster, best.devices)
        try:
            return write_job(
                target, self.model, cluster, best.strategy, seq_len=self.seq_len, framework=self.profile
            ), ""
        except DtsError as error:
            return None, str(error)

    def sentence(self, best: PlannedLayout) -> str:
        """The answer in words."""
        ends = (
            ""
            if best.low90_s is None
            else (f" ({format_seconds(best.low90_s)} to {format_seconds(best.high90_s or 0.0)} with 90 % confidence)")
        )
        usd = "" if best.usd_per_step is None else f", ${best.usd_per_step:,.3g}"
        return (
            f"{self.model.name} on {best.devices:,} x {self.cluster.node.device.name}: {layout_words(best.strategy)} "
            f"is the best by {self.objective}. A step takes {format_seconds(best.step_time_s)}{ends}{usd}: "
            f"{format_count(best.tokens_per_s)} tokens/s, MFU {best.mfu:.1%}, {format_bytes(best.used_bytes)} of "
            f"{format_bytes(capacity_bytes(self.cluster))} a device{_risk(best.oom_probability)}."
        )

    def infeasible(self, counts: list[int], found: list[tuple[Job, Found]], searched: SearchCounts) -> PlanReport:
        """The answer where no layout meets the constraints."""
        from .plan_infeasible import nearest_changes, why_none

        why = why_none(self, [part for _, part in found])
        changes = tuple(nearest_changes(self, counts))
        helps = f"; {changes[0].words} would help" if changes else ""
        return PlanReport(
            **self.asked(),
            top=(),
            front=(),
            losers=(),
            sentence=f"No layout of {self.model.name} on {self.cluster.title} meets the constraints: {why}{helps}.",
            launch=None,
            launch_problem="",
            changes=changes,
            searched=searched,
            notes=self.terms.notes,
        )


def _risk(oom_probability: float) -> str:
    return "" if oom_probability < _WORTH_SAYING else f", {oom_probability:.0%} likely to run out of memory"


def _compared(top: list[PlannedLayout]) -> list[PlannedLayout]:
    """Each layout but the winner with the chance that the winner is faster."""
    winner = top[0].result
    made = [top[0]]
    for layout in top[1:]:
        pair = winner.compared_to(layout.result) if winner is not None and layout.result is not None else None
        made.append(replace(layout, winner_faster=None if pair is None else pair.probability_faster))
    return made


def front_of(layouts: Sequence[PlannedLayout]) -> list[PlannedLayout]:
    """Layouts that no other beats in step time, memory and devices (and so in dollars) at once, fastest first."""
    ordered = sorted(layouts, key=lambda layout: (layout.step_time_s, layout.used_bytes, layout.devices))
    front: list[PlannedLayout] = []
    for layout in ordered:
        beaten = any(kept.used_bytes <= layout.used_bytes and kept.devices <= layout.devices for kept in front)
        if not beaten:
            front.append(layout)
    return front
