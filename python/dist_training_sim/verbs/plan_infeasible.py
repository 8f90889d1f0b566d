"""Where no layout meets the constraints: why, and the nearest changes of the question after which one does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import inf

from ..errors import DtsError
from ..parallel import Strategy
from ..search.pruned import Found
from ..simulator import simulate
from ..units import format_bytes, format_seconds
from .inputs import capacity_bytes
from .plan_ask import Ask, sized
from .plan_report import PlanChange

__all__ = ["nearest_changes", "why_none"]

_MOST_TIMES = 16  # devices tried
MOST_CHANGES = 5


def why_none(ask: Ask, found: Sequence[Found]) -> str:
    """What stands in the way, in a few words."""
    if not any(part.cells for part in found):
        return _illegal(ask)
    fastest = min(
        (float(part.evaluation["step_time_s"][part.order[0]]) for part in found if len(part.order)), default=inf
    )
    step_s, most_bytes = ask.terms.max_step_time_s, ask.terms.max_memory_bytes
    if fastest < inf or step_s < inf:
        asked = [f"a step of at most {format_seconds(step_s)}"] if step_s < inf else []
        asked += [f"at most {format_bytes(most_bytes)} a device"] if most_bytes < inf else []
        return f"none keeps to {' and '.join(asked)}"
    least = min(part.least_bytes for part in found)
    capacity = capacity_bytes(ask.cluster)
    return f"a device has {format_bytes(capacity)}, and each layout needs at least {format_bytes(least)}"


def _illegal(ask: Ask) -> str:
    """The rule that a layout of the first values of every axis breaks."""
    first = {name: values[0] for name, values in ask.axes.items() if name != "offload"}
    try:
        strategy = Strategy(global_batch=ask.global_batch, **first)
        simulate(ask.model, ask.cluster, strategy, seq_len=ask.seq_len, framework=ask.profile, keep_events=False)
    except DtsError as error:
        return f"no layout is legal, as {str(error).splitlines()[0]}"
    return "no layout of these axes divides devices, layers and batch"


def nearest_changes(ask: Ask, counts: Sequence[int]) -> Iterator[PlanChange]:
    """Changes of one thing each that help, with the best plan then; what was fixed by the asker first."""
    given = 0
    for words, changed, devices in _candidates(ask, counts):
        try:
            job, found = changed.search(devices, keep=1)
            layouts = changed.layouts(job, found)
        except DtsError:
            continue
        if layouts:
            yield PlanChange(words, layouts[0])
            given += 1
        if given == MOST_CHANGES:
            return


def _candidates(ask: Ask, counts: Sequence[int]) -> Iterator[tuple[str, Ask, int]]:
    most = counts[0]
    for name in ask.axes:
        others = {key: value for key, value in ask.axes.items() if key != name}
        yield f"{name} free", replace(ask, axes=others), most
    if len(ask.axes) > 1:
        yield "all axes free", replace(ask, axes={}), most
    if ask.terms.max_step_time_s < inf:
        yield "no limit of the step time", replace(ask, terms=replace(ask.terms, max_step_time_s=inf)), most
    if ask.terms.max_memory_bytes < inf:
        yield "no limit of memory", replace(ask, terms=replace(ask.terms, max_memory_bytes=inf)), most
    if "offload" not in ask.axes:
        everything = {**ask.axes, "offload": ("none", "optimizer", "parameters", "activations", "all")}
        yield "offloading of everything to the host", replace(ask, axes=everything), most
    times = 2
    while times <= _MOST_TIMES:
        devices = most * times
        yield f"{devices:,} devices", replace(ask, cluster=sized(ask.cluster, devices)), devices
        times *= 2
    for length in (ask.seq_len // 2, ask.seq_len // 4):
        if length and not ask.model.tokens_per_sample:
            yield f"{length:,} tokens a sample", replace(ask, seq_len=length), most
    if most > ask.global_batch:
        yield f"a global batch of {most:,}", replace(ask, global_batch=most), most
