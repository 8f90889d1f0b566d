"""`scale`: one job on more and more devices: throughput, efficiency, where it bends and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import ConfigError, DtsError, Problems, shown
from ..frameworks import FrameworkProfile
from ..hardware import Cluster
from ..models import Model
from ..named_enum import NamedEnum, member
from ..parallel import Strategy
from ..result import BREAKDOWN_LABELS, Result, strategy_dict
from ..simulator import simulate
from ..simulator.job import checked_seq_len
from .inputs import cluster_of, gather, model_of
from .plan_ask import Ask, sized
from .plan_objective import terms_of
from .plan_report import layout_words

__all__ = ["ScaleMode", "ScalePoint", "ScaleReport", "parse_counts", "scale"]

MOST_POINTS = 64
BENT = 0.9  # efficiency below which scaling counts as bent


class ScaleMode(NamedEnum):
    """What grows with the devices."""

    STRONG = "strong"
    """Nothing: the global batch stays."""
    WEAK = "weak"
    """The global batch, in proportion."""


@dataclass(frozen=True)
class ScalePoint:
    """The job on some number of devices.

    Attributes
    ----------
    devices, global_batch
        Size of the cluster and of the step.
    strategy
        The layout; None where none fits.
    step_time_s, low90_s, high90_s, tokens_per_s, mfu
        Of the step, with its 90 % interval; None where none fits.
    efficiency
        Throughput per device over that of the first point.
    reason
        The cause that takes most device time per sample beyond the first point's; why there is no layout.
    result
        The simulation.
    """

    devices: int
    global_batch: int
    strategy: Strategy | None = None
    step_time_s: float | None = None
    low90_s: float | None = None
    high90_s: float | None = None
    tokens_per_s: float | None = None
    mfu: float | None = None
    efficiency: float | None = None
    reason: str = ""
    result: Result | None = field(default=None, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, without the simulation."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "result"}
        return plain | {"strategy": None if self.strategy is None else strategy_dict(self.strategy)}


@dataclass(frozen=True, repr=False)
class ScaleReport:
    """Answer of `scale`.

    Attributes
    ----------
    model, cluster, framework, mode, seq_len, fixed
        What was asked; `fixed`: one layout whose data parallelism grows, instead of the best one at each size.
    points
        In order of size.
    bend
        The first point below 90 % efficiency; None if there is none.
    sentence
        In words.
    """

    model: str
    cluster: str
    framework: str
    mode: str
    seq_len: int
    fixed: bool
    points: tuple[ScalePoint, ...]
    bend: ScalePoint | None
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as printed by `dts scale --json`."""
        names = ("model", "cluster", "framework", "mode", "seq_len", "fixed", "sentence")
        return {name: getattr(self, name) for name in names} | {
            "points": [point.to_dict() for point in self.points],
            "bend_devices": None if self.bend is None else self.bend.devices,
        }

    def __repr__(self) -> str:
        return f"<{self.sentence}>"


def scale(
    model: Model | str,
    cluster: Cluster | str,
    devices: str | Sequence[int],
    *,
    global_batch: int,
    seq_len: int | None = None,
    mode: ScaleMode | str = "strong",
    strategy: Strategy | None = None,
    framework: FrameworkProfile | str = "megatron-core",
    threads: int = 0,
    **axes: Any,
) -> ScaleReport:
    """Predict how a job scales.

    Parameters
    ----------
    model, seq_len, framework
        As of `simulate`.
    cluster
        Gives the kind of node; its number of nodes does not count.
    devices
        Numbers of devices, whole nodes each, or text: `"64..16384"` doubles from the first to the last.
    global_batch
        Samples per step: at every size (`mode="strong"`), or at the first, in proportion afterwards (`"weak"`).
    strategy
        A layout to keep, whose data parallelism grows. By default the best layout is found at each size.
    threads
        Of the searches; 0 takes one per core.
    **axes
        Constraints of the searches, as of `plan`.

    Raises
    ------
    ConfigError
        Listing every argument that is not legal.

    Examples
    --------
    >>> report = scale("llama-3.1-8b", "1xdgx-h100", "8..32", global_batch=64, seq_len=4096, mode="weak")
    >>> [point.devices for point in report.points], report.points[0].efficiency
    ([8, 16, 32], 1.0)
    """
    kind, described, hardware, profile, _ = gather(
        lambda: member(ScaleMode, mode, "mode"),
        lambda: model_of(model) if isinstance(model, str) else model,
        lambda: cluster_of(cluster) if isinstance(cluster, str) else cluster,
        lambda: FrameworkProfile.from_catalog(framework) if isinstance(framework, str) else framework,
        lambda: _check(global_batch, threads),
    )
    length = checked_seq_len(described, seq_len)
    counts = _counts(parse_counts(devices) if isinstance(devices, str) else devices, hardware.node.devices)
    job = _Scaled(described, hardware, profile, length, strategy, _axes(axes, strategy), threads)
    batches = [global_batch * count // counts[0] if kind is ScaleMode.WEAK else global_batch for count in counts]
    if strategy is None:
        job.ask(hardware, global_batch).check_size(counts)
    points = [job.point(count, batch) for count, batch in zip(counts, batches, strict=True)]
    compared = _compared(points)
    bend = next((p for p in compared if p.efficiency is not None and p.efficiency < BENT), None)
    return ScaleReport(
        model=described.name,
        cluster=hardware.node.name,
        framework=profile.name,
        mode=kind.value,
        seq_len=length,
        fixed=strategy is not None,
        points=tuple(compared),
        bend=bend,
        sentence=_sentence(described, hardware, kind, compared, bend),
    )


def _check(global_batch: int, threads: int) -> None:
    problems = Problems()
    problems.count("global_batch", global_batch)
    problems.count("threads", threads, minimum=0, maximum=1024)
    problems.raise_if_any()


def _axes(axes: dict[str, Any], strategy: Strategy | None) -> dict[str, tuple[Any, ...]]:
    from .plan import axis_values

    if strategy is not None and axes:
        raise ConfigError(f"scale: got {', '.join(axes)} beside a fixed strategy, expected one of the two")
    return axis_values(axes)


def parse_counts(text: str) -> list[int]:
    """`"64..1024"` doubled, or `"8,24,64"`.

    Raises
    ------
    ConfigError
        If it has another form.
    """
    ends = text.split("..")
    parts = ends if len(ends) == 2 else text.split(",")
    try:
        numbers = [int(part.strip()) for part in parts]
    except ValueError:
        numbers = []
    if not numbers or (len(ends) == 2 and not 0 < numbers[0] <= numbers[1]):
        raise ConfigError(
            f"devices: got {shown(text)}, expected two ends such as 64..16384, or numbers such as 8,24,64"
        )
    if len(ends) != 2:
        return numbers
    counts = [numbers[0]]
    while counts[-1] * 2 <= numbers[1]:
        counts.append(counts[-1] * 2)
    return counts


def _counts(counts: Sequence[int], per_node: int) -> list[int]:
    problems = Problems()
    if problems.few("devices", counts, MOST_POINTS) and not counts:
        problems.missing("devices", "at least one number")
    problems.raise_if_any()
    for count in counts:
        if problems.count("devices", count, maximum=2**20) and count % per_node:
            problems.add("devices", count, f"a multiple of {per_node}, the devices of a node")
    problems.raise_if_any()
    return sorted(set(counts))


@dataclass(frozen=True)
class _Scaled:
    """The job without its size."""

    model: Model
    cluster: Cluster
    profile: FrameworkProfile
    seq_len: int
    strategy: Strategy | None
    axes: dict[str, tuple[Any, ...]]
    threads: int

    def point(self, devices: int, global_batch: int) -> ScalePoint:
        cluster = sized(self.cluster, devices)
        try:
            layout = self._best(cluster, global_batch) if self.strategy is None else self._kept(global_batch)
            if layout is None:
                return ScalePoint(devices, global_batch, reason="no layout fits or divides the batch")
            seq_len = None if self.model.tokens_per_sample else self.seq_len
            result = simulate(self.model, cluster, layout, seq_len=seq_len, framework=self.profile, keep_events=False)
        except DtsError as error:
            return ScalePoint(devices, global_batch, reason=str(error).splitlines()[0])
        near = result.interval
        return ScalePoint(
            devices=devices,
            global_batch=global_batch,
            strategy=result.strategy,
            step_time_s=result.step_time_s,
            low90_s=None if near is None else near.low90,
            high90_s=None if near is None else near.high90,
            tokens_per_s=result.tokens_per_s,
            mfu=result.mfu,
            reason="" if result.fits else "does not fit into memory",
            result=result,
        )

    def _kept(self, global_batch: int) -> Strategy:
        assert self.strategy is not None
        return self.strategy.replace(dp=None, global_batch=global_batch)

    def ask(self, cluster: Cluster, global_batch: int) -> Ask:
        """The question for the best layout."""
        return Ask(
            model=self.model,
            cluster=cluster,
            profile=self.profile,
            seq_len=self.seq_len,
            global_batch=global_batch,
            objective="time",
            terms=terms_of(cluster, None, {"step_time_s": None, "memory_bytes": None}, 0.25),
            axes=self.axes,
            top=1,
            threads=self.threads,
        )

    def _best(self, cluster: Cluster, global_batch: int) -> Strategy | None:
        ask = self.ask(cluster, global_batch)
        layouts = ask.layouts(*ask.search(cluster.device_count, keep=1))
        return layouts[0].strategy if layouts else None


def _compared(points: list[ScalePoint]) -> list[ScalePoint]:
    """Points with efficiency and cause beside the first that runs."""
    first = next((point.result for point in points if point.result is not None), None)
    if first is None:
        return points
    compared = []
    for point in points:
        if point.result is None:
            compared.append(point)
            continue
        efficiency = point.result.tokens_per_s_per_device / first.tokens_per_s_per_device
        reason = "; ".join(text for text in (point.reason, _cause(point.result, first)) if text)
        compared.append(replace(point, efficiency=efficiency, reason=reason))
    return compared


def _cause(result: Result, first: Result) -> str:
    """The part that takes most device time per sample beyond the first point's."""
    per_sample, before = (r.devices / (r.samples_per_s * r.step_time_s) for r in (result, first))
    more = {name: result.breakdown[name] * per_sample - first.breakdown[name] * before for name in BREAKDOWN_LABELS}
    name = max(more, key=lambda part: more[part])
    whole = first.step_time_s * before
    return f"{BREAKDOWN_LABELS[name]} +{more[name] / whole:.0%}" if more[name] > 0.005 * whole else ""


def _sentence(
    model: Model, cluster: Cluster, kind: ScaleMode, points: list[ScalePoint], bend: ScalePoint | None
) -> str:
    runs = [point for point in points if point.efficiency is not None]
    if not runs:
        return f"No layout of {model.name} fits on any of these numbers of {cluster.node.device.name}"
    last = runs[-1]
    assert last.efficiency is not None
    text = (
        f"{model.name} on {runs[0].devices:,} to {last.devices:,} x {cluster.node.device.name}, {kind.value} scaling: "
        f"{last.efficiency:.0%} efficiency at the end"
    )
    if bend is None or bend.strategy is None:
        return f"{text}, never below {BENT:.0%}"
    return f"{text}; below {BENT:.0%} from {bend.devices:,} devices on ({bend.reason}; {layout_words(bend.strategy)})"
