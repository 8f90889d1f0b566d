"""A layout of the asker's beside the best one of a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ..errors import DtsError
from ..parallel import Strategy
from ..result import Result
from ..simulator import simulate
from ..units import format_bytes, format_seconds
from .plan_report import PlannedLayout

if TYPE_CHECKING:
    from .plan_ask import Ask

__all__ = ["compared_words", "given_layout"]

_WORDS: Mapping[str, Callable[[float], str]] = {  # what an objective makes small, as text
    "time": format_seconds,
    "cost": lambda usd: f"${usd:,.3g} a step",
    "memory": format_bytes,
    "energy": lambda joules: f"{joules / 3.6e6:,.3g} kWh a step",
}


def given_layout(ask: Ask) -> tuple[PlannedLayout | None, str]:
    """The layout to compare with, simulated in full on the whole cluster; or why it cannot run there."""
    if ask.compare is None:
        return None, ""
    strategy = ask.compare.replace(global_batch=ask.global_batch)
    try:
        result = simulate(
            ask.model, ask.cluster, strategy, seq_len=ask.seq_len, framework=ask.profile, keep_events=False
        )
    except DtsError as error:
        return None, "; ".join(str(error).splitlines())
    return _figures(ask, strategy, result), ""


def _figures(ask: Ask, strategy: Strategy, result: Result) -> PlannedLayout:
    """The figures of a layout on the whole cluster."""
    devices = ask.cluster.device_count
    memory, near, step_s = result.peak_memory, result.interval, result.step_time_s
    usd = ask.terms.usd(step_s, devices)
    joules = ask.terms.joules({"step_time_s": step_s, **result.breakdown}, devices)
    values = {"time": step_s, "cost": usd, "memory": memory.used_bytes, "energy": joules}
    return PlannedLayout(
        strategy=strategy.resolved(devices),
        devices=devices,
        step_time_s=step_s,
        low90_s=None if near is None else near.low90,
        high90_s=None if near is None else near.high90,
        tokens_per_s=result.tokens_per_s,
        mfu=result.mfu,
        reserved_bytes=memory.reserved_bytes,
        used_bytes=memory.used_bytes,
        oom_probability=memory.oom_probability,
        usd_per_step=usd,
        joules_per_step=joules,
        value=values[ask.objective],
        result=result,
    )


def compared_words(ask: Ask, best: PlannedLayout, given: PlannedLayout | None, problem: str) -> list[str]:
    """What the best layout gains over the one to compare with, in words."""
    if given is None:
        return [f"The layout given cannot run: {problem}"] if problem else []
    if given.oom_probability > 0.5:
        return [f"The layout given does not fit: {given.oom_probability:.0%} likely to run out of memory."]
    if given.strategy == best.strategy:
        return ["It is the layout given."]
    more, own = given.value / best.value - 1, _WORDS[ask.objective](given.value)
    return [f"The layout given takes {own}, {abs(more):.1%} {'more' if more >= 0 else 'less'}."]
