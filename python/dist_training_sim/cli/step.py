"""One training step as text: a sentence, where the time goes, what each stage holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..parallel import Strategy
from ..parallel.choices import Recompute, RecomputeMethod
from ..result import BREAKDOWN_LABELS, MemoryUse, Result
from ..units import format_seconds
from .render import gib, headed, new_table, sentence, spans

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Group, RenderableType
    from rich.table import Table

    from ..simulator.distribution import StepDistribution
    from ..verbs.fit import StageFit

__all__ = [
    "breakdown_table",
    "headline",
    "layout_text",
    "memory_of_limit",
    "memory_table",
    "outside_text",
    "step_tables",
    "tier_of_limit",
]

_EXPOSED = (
    "exposed: while the device computes nothing, whatever it waits for; the table above has the part that the step "
    "waits for"
)
_UNITS = (("s", 1.0), ("ms", 1e-3), ("us", 1e-6))
_SHORT = {
    "weights": "weights",
    "gradients": "grads",
    "optimizer": "optim.",
    "activations": "activ.",
    "temporaries": "temp.",
    "gathered_parameters": "gath.",
    "communication_buffers": "bufs.",
    "workspace": "works.",
}


def step_tables(result: Result, spread: StepDistribution | None = None) -> list[RenderableType]:
    """Everything that `dts simulate` prints."""
    text = sentence(headline(result), "bold")
    text.append(f"\n{layout_text(result)}", style="not bold")
    text.append(f"\n{interval_text(result)}", style="not bold")
    tables: list[RenderableType] = [text]
    if spread is not None:
        tables.append(spread_table(spread))
    tables.append(breakdown_table(result))
    if any(times["total_s"] > 0 for times in result.communication.values()):
        tables.append(communication_table(result))
    return [*tables, memory_table(result)]


def interval_text(result: Result) -> str:
    """Range of the step time and what stands behind it."""
    near = result.interval
    if near is None:
        return "no interval: no measured runs are near this job"
    unit, scale = _unit(result.step_time_s)
    pairs = ((near.low50, near.high50), (near.low90, near.high90))
    ends = [f"{_rounded(low / scale)} to {_rounded(high / scale)} {unit}" for low, high in pairs]
    sources = f"{near.sources} source{'' if near.sources == 1 else 's'}"
    nearest = "is 1 run" if near.rows == 1 else f"are {near.rows} runs"
    return (
        f"Measured steps should lie in {ends[0]} (50 %) and {ends[1]} (90 %); {near.badge}: nearest {nearest} of "
        f"{sources} ({near.stratum})."
    )


def _rounded(value: float) -> str:
    """Three digits, those behind the point included."""
    return f"{value:,.0f}" if value >= 999.5 else f"{value:#.3g}".removesuffix(".")


def spread_table(spread: StepDistribution) -> Group:
    """Step times over the draws of the stragglers, beside the step of equal ranks."""
    unit, scale = _unit(spread.even_step_time_s)
    table = new_table(("", unit, "of equal ranks"))
    for name, seconds in spread.to_dict().items():
        if name.endswith("_s"):
            label = name.removesuffix("_s").replace("even_step_time", "equal ranks")
            table.add_row(label, f"{seconds / scale:.3f}", f"{seconds / spread.even_step_time_s:.1%}")
    return headed(f"Times of {len(spread.step_times_s):,} steps", table)


def communication_table(result: Result) -> Group:
    """Collectives and transfers by axis: in all, hidden behind compute, exposed; unused axes are left out."""
    used = {axis: times for axis, times in result.communication.items() if times["total_s"] > 0}
    unit, scale = _unit(result.step_time_s)
    table = new_table(("axis", f"total {unit}", "overlapped", "exposed", "exposed share"))
    for axis, times in used.items():
        values = (f"{times[name] / scale:.3f}" for name in ("total_s", "overlapped_s", "exposed_s"))
        table.add_row(axis, *values, f"{times['exposed_s'] / times['total_s']:.1%}")
    mean = ", mean of the pipeline stages" if result.strategy.pp > 1 else ""
    differs = any(
        times["exposed_s"] - result.breakdown.get(f"exposed_{axis}_s", 0) > scale / 2e3 for axis, times in used.items()
    )
    return headed(f"Communication of a device{mean}", table, _EXPOSED if differs else "")


def _unit(seconds: float) -> tuple[str, float]:
    return next((u, s) for u, s in _UNITS if seconds >= s or u == "us")


def headline(result: Result) -> str:
    """The answer in one sentence."""
    fits = "" if result.fits else ": it does not fit"
    return (
        f"{result.model} on {result.cluster_title}: a step takes {format_seconds(result.step_time_s)}, "
        f"{throughput(result)} per device, {result.mfu:.1%} MFU, {memory_of_limit(result.peak_memory)}{fits}."
    )


def throughput(result: Result) -> str:
    """Tokens per second of a device, or samples where a sample has no tokens."""
    if result.seq_len == 1:
        return f"{result.samples_per_s / result.devices:,.4g} samples/s"
    return f"{result.tokens_per_s_per_device:,.0f} tokens/s"


def memory_of_limit(use: MemoryUse) -> str:
    """Memory of a device beside what it has."""
    return f"{gib(use.used_bytes, 1)} of {gib(use.capacity_bytes, 1)} GiB of memory"


def outside_text(use: MemoryUse | StageFit) -> str:
    """What stands on a device outside the allocator, in GiB."""
    parts = [f"context {gib(use.context_bytes) or 0}"]
    if use.communicator_bytes:
        each = ", ".join(f"{name.replace('_', ' ')} {gib(held)}" for name, held in use.communicator_bytes.items())
        parts.append(f"communicators {gib(sum(use.communicator_bytes.values()))} ({each})")
    if use.user_buffer_bytes:
        parts.append(f"user buffers {gib(use.user_buffer_bytes)}")
    return f"{gib(use.outside_bytes) or 0} GiB outside the allocator: {', '.join(parts)}"


_TIERS = {"host": "host memory", "nvme": "NVMe", "remote": "the remote tier"}


def tier_of_limit(result: Result, tier: str) -> str:
    """What the fullest stage keeps in a tier for each device, beside the device's share of that."""
    most = max(use.offloaded_bytes[tier] for use in result.memory)
    known = result.tier_capacity_bytes[tier]
    return f"{gib(most, 1)}{'' if known is None else f' of {gib(known, 1)}'} GiB of {_TIERS[tier]} per device"


def layout_text(result: Result) -> str:
    """What was simulated, and the utilisation by the other conventions."""
    s = result.strategy
    degrees = [f"{axis} {getattr(s, axis):,}" for axis in ("dp", "tp", "pp", "vpp", "cp", "ep") if getattr(s, axis) > 1]
    replicas = f" in {s.dp_replicas:,} replicas" if s.zero and s.dp_replicas > 1 else ""
    layout = ", ".join([*degrees, f"zero {s.zero}{replicas}"])
    batches = f"{result.micro_batches} micro-batch{'' if result.micro_batches == 1 else 'es'} of {s.micro_batch}"
    tokens = f", {result.seq_len:,.0f} tokens per sample" if result.seq_len > 1 else ""
    return (
        f"{result.devices:,} device{'' if result.devices == 1 else 's'} ({layout}), {batches}{tokens}, "
        f"{s.precision.value}, recompute {_recompute(s)}, {_profile_name(result)}. "
        f"MFU with full attention {result.mfu_full_attention:.1%}, HFU {result.hfu:.1%}, "
        f"{result.model_tflops_per_device:,.0f} model TFLOP/s per device."
    )


def _recompute(s: Strategy) -> str:
    kind = getattr(s.recompute, "value", s.recompute)
    every = s.recompute is Recompute.FULL and s.recompute_method is RecomputeMethod.EVERY
    return f"{kind}, one layer in {s.recompute_layers or 2}" if every else str(kind)


def _profile_name(result: Result) -> str:
    return f"{result.framework}{' (unvalidated)' if result.profile.unvalidated else ''}"


def breakdown_table(result: Result) -> Group:
    """Time and share of the step by cause; causes that cost nothing are left out."""
    unit, scale = _unit(result.step_time_s)
    table = new_table(("cause", unit, "share"))
    for name, seconds in result.breakdown.items():
        if seconds > 0:
            table.add_row(BREAKDOWN_LABELS[name], f"{seconds / scale:.3f}", f"{seconds / result.step_time_s:.1%}")
    table.add_section()
    table.add_row("step", f"{result.step_time_s / scale:.3f}", "100.0%")
    mean = ", mean of the pipeline stages" if result.strategy.pp > 1 else ""
    return headed(f"Where the step goes{mean}", table)


def memory_table(result: Result) -> Group:
    """GiB of one device at its peak by category; equal pipeline stages share a row, empty categories are left out."""
    stages = spans(result.memory)
    names = [name for name in _SHORT if any(use.categories[name] for use in result.memory)]
    table = _one_stage(stages[0][1], names) if len(stages) == 1 else _stages(stages, names)
    fullest = result.peak_memory
    context = f"total = reserved ({fullest.reserved_by}) + {outside_text(fullest)}"
    used = [tier for tier in _TIERS if any(use.offloaded_bytes[tier] for use in result.memory)]
    if used:
        context += f"; besides, up to {', '.join(tier_of_limit(result, tier) for tier in used)}"
    return headed(f"Peak memory of a device, GiB of {gib(result.capacity_bytes, 1)}", table, context)


def _one_stage(use: MemoryUse, names: Sequence[str]) -> Table:
    table = new_table(("category", "GiB", "of limit"))
    totals = {
        "allocated": use.allocated_bytes,
        "reserved": use.reserved_bytes,
        "total": use.used_bytes,
    }
    for amounts in ({name: use.categories[name] for name in names}, totals):
        for name, amount in amounts.items():
            table.add_row(name.replace("_", " "), gib(amount), f"{amount / use.capacity_bytes:.1%}")
        table.add_section()
    return table


def _stages(stages: Sequence[tuple[str, MemoryUse]], names: Sequence[str]) -> Table:
    table = new_table(("stage", *(_SHORT[name] for name in names), "alloc.", "resv.", "total", "share"))
    for label, use in stages:
        total = use.used_bytes
        sums = (gib(use.allocated_bytes), gib(use.reserved_bytes), gib(total), f"{total / use.capacity_bytes:.1%}")
        style = "" if use.fits else "red"
        table.add_row(label, *(gib(use.categories[name]) for name in names), *sums, style=style)
    return table
