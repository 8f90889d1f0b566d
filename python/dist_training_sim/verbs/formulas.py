"""The closed forms behind the largest parts of a step, with their numbers and where the constants are from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import DtsError
from ..hardware import Cluster
from ..models import Model
from ..result import Result
from ..units import format_bytes, format_seconds
from .collective import CollectiveEstimate, collective

__all__ = ["Formula", "formulas_of"]


@dataclass(frozen=True)
class Formula:
    """A closed form beside what the simulation says.

    Attributes
    ----------
    part
        What it is about.
    text
        The form with its numbers.
    simulated
        What the simulation gives for it, in words.
    source
        Where form and constants are from.
    """

    part: str
    text: str
    simulated: str
    source: str


def formulas_of(model: Model, cluster: Cluster, result: Result) -> list[Formula]:
    """Formulas of a simulated step: those that apply to its layout."""
    layout = [*_bubble(result), *_tensor(model, cluster, result), *_data(model, cluster, result)]
    return [*_compute(cluster, result), *layout, *_states(model, result)]


def _compute(cluster: Cluster, result: Result) -> Iterator[Formula]:
    device, b = cluster.node.device, result.breakdown
    peak = device.peak(_text(result.strategy.precision))
    floor = result.mfu * result.step_time_s
    kernels = b["forward_s"] + b["backward_s"] + b["recompute_s"]
    flops = floor * result.devices * peak
    yield Formula(
        "compute",
        f"model FLOPs / (devices x peak) = {flops:.3g} / ({result.devices:,} x {peak / 1e12:,.0f} TFLOP/s) "
        f"= {format_seconds(floor)}",
        f"kernels {format_seconds(kernels)}: {floor / kernels:.0%} of the peak, sustained clock and shapes in",
        _first(device.sources, "catalogue of devices"),
    )


def _bubble(result: Result) -> Iterator[Formula]:
    s, b = result.strategy, result.breakdown
    if s.pp == 1 or _text(s.schedule) not in ("1f1b", "gpipe"):
        return
    passes = sum(b[name] for name in ("forward_s", "backward_s", "recompute_s", "exposed_tp_s", "exposed_cp_s"))
    bubble = (s.pp - 1) / (s.vpp * result.micro_batches) * passes
    yield Formula(
        "pipeline bubble",
        f"(pp - 1) / (vpp m) x passes = ({s.pp} - 1) / ({s.vpp} x {result.micro_batches}) x {format_seconds(passes)} "
        f"= {format_seconds(bubble)}",
        f"{format_seconds(b['pipeline_s'])}, uneven stages and transfers in",
        "Narayanan et al. arXiv:2104.04473 section 2.2",
    )


def _tensor(model: Model, cluster: Cluster, result: Result) -> Iterator[Formula]:
    s = result.strategy
    if s.tp == 1 or model.tokens_per_sample:
        return
    size = s.micro_batch * result.seq_len / s.cp * model.hidden * 2
    kind = "all-gather" if s.sequence_parallel else "all-reduce"
    estimate = _priced(kind, size, cluster, s.tp, 1)
    if estimate is None:
        return
    axis = result.communication["tp"]
    yield Formula(
        "tensor parallelism",
        f"one {kind}: micro-batch x tokens / cp x hidden x 2 bytes = {format_bytes(size)} over {s.tp} ranks "
        f"{_how(estimate)}",
        f"all of a step {format_seconds(axis['total_s'])}, {format_seconds(axis['exposed_s'])} exposed",
        _first(cluster.node.scale_up.sources, "catalogue of fabrics", "ring_efficiency"),
    )


def _data(model: Model, cluster: Cluster, result: Result) -> Iterator[Formula]:
    s, ranks = result.strategy, (result.strategy.dp or 1) * result.strategy.cp
    if ranks == 1 or s.ep > 1:  # experts are spread and reduced over fewer ranks
        return
    size = model.parameters / (s.tp * s.pp) * result.profile.grad_reduce_bytes
    kind = "reduce-scatter" if s.zero else "all-reduce"
    estimate = _priced(kind, size, cluster, ranks, s.tp)
    if estimate is None:
        return
    axis, fabric = result.communication["dp"], cluster.scale_out
    yield Formula(
        "data parallelism",
        f"{kind}: weights / (tp pp) x {result.profile.grad_reduce_bytes:g} bytes = {format_bytes(size)} over {ranks} "
        f"ranks {_how(estimate)}",
        f"all of a step {format_seconds(axis['total_s'])}, {format_seconds(axis['exposed_s'])} exposed",
        _first(() if fabric is None else fabric.sources, "catalogue of fabrics", "ring_efficiency"),
    )


def _states(model: Model, result: Result) -> Iterator[Formula]:
    s, held = result.strategy, result.fullest_stage.categories
    ranks = (s.dp or 1) * s.cp
    shards = [ranks if s.zero >= stage else 1 for stage in (3, 2, 1)]
    own = model.parameters / (s.tp * s.pp)
    parts = (("weights", 2.0), ("gradients", result.profile.main_grad_bytes), ("optimizer", 12.0))
    if (
        _text(s.optimizer) != "adam"
        or _text(s.precision) not in ("bf16", "fp16", "fp8")
        or _text(s.offload_optimizer) != "none"
        or s.ep > 1
    ):
        return
    terms = [f"{name} {size:g}/{n}" for (name, size), n in zip(parts, shards, strict=True)]
    total = sum(own * size / n for (_, size), n in zip(parts, shards, strict=True))
    yield Formula(
        "states",
        f"weights / (tp pp) x ({' + '.join(terms)}) bytes = {own:.3g} x {total / own:.3g} = {format_bytes(total)}",
        f"{format_bytes(sum(held[name] for name, _ in parts))} on the fullest stage",
        "ZeRO, Rajbhandari et al. arXiv:1910.02054 section 5; gradient bytes of the framework profile",
    )


def _priced(kind: str, size: float, cluster: Cluster, ranks: int, stride: int) -> CollectiveEstimate | None:
    try:
        return collective(kind, size, cluster, ranks=ranks, stride=stride)
    except DtsError:  # a group that the strides of this layout do not form
        return None


def _how(estimate: CollectiveEstimate) -> str:
    rate = "" if estimate.busbw_Bps is None else f", bus {estimate.busbw_Bps / 1e9:,.0f} GB/s"
    name = f"{estimate.algorithm} {estimate.protocol}".strip()
    return f"= {format_seconds(estimate.time_s)} ({name}{rate}, bound by {estimate.bound})"


def _text(value: object) -> str:
    return str(getattr(value, "value", value))


def _first(sources: tuple[str, ...], otherwise: str, about: str = "") -> str:
    """The source that speaks of a constant, else the first."""
    told = [source for source in sources if about in source.split(":")[0]]
    return (told or list(sources) or [otherwise])[0]
