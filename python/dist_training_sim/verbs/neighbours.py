"""Every knob of a layout turned by one step, up and down: what `plan` and `explain` compare with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..frameworks import FrameworkProfile
from ..hardware import Cluster
from ..models import Model, OpKind
from ..parallel import OffloadTier, Recompute, Strategy
from ..parallel.choices import Precision
from ..result import BREAKDOWN_LABELS, strategy_dict
from ..search import Evaluation, evaluate
from ..units import format_bytes, format_seconds
from .fit_changes import Change, recomputing
from .inputs import capacity_bytes

__all__ = ["KnobStep", "has_experts", "knob_steps", "steps_of"]

_AXES = {"tp": "TP", "pp": "PP", "cp": "CP"}
_RECOMPUTE = (Recompute.NONE, Recompute.SELECTIVE, Recompute.FULL)


@dataclass(frozen=True)
class KnobStep:
    """One knob turned by one step, beside the layout it is turned on.

    Attributes
    ----------
    words
        What is turned: `"TP 8→4"`.
    strategy
        The whole changed layout.
    step_time_s, step_time_change
        Predicted step and its change as a fraction; None where the layout is not legal.
    used_bytes, used_change_bytes
        Memory of the fullest stage, what stands outside the allocator included, and its change.
    fits
        Legal, and likely enough to fit.
    reason
        Why it is slower (or faster), or why it cannot run.
    """

    words: str
    strategy: Strategy
    step_time_s: float | None
    step_time_change: float | None
    used_bytes: float | None
    used_change_bytes: float | None
    fits: bool
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return plain | {"strategy": strategy_dict(self.strategy)}

    def __str__(self) -> str:
        if self.step_time_change is None or self.used_change_bytes is None:
            return f"{self.words}: {self.reason}"
        gibibytes = self.used_change_bytes / 2**30
        return f"{self.words}: {_signed(100 * self.step_time_change)} % step, {_signed(gibibytes)} GiB"


def _signed(value: float) -> str:
    digits = 0 if abs(value) >= 10 else 1
    return f"{value:+.{digits}f}".replace("-", "−")


def knob_steps(
    model: Model,
    cluster: Cluster,
    strategy: Strategy,
    *,
    seq_len: int,
    framework: FrameworkProfile,
    risk: float = 0.5,
    threads: int = 0,
) -> list[KnobStep]:
    """Every knob of a resolved layout turned by one step, the most worth first; what cannot run comes last.

    Parameters
    ----------
    risk
        Chance of running out of memory below which a layout fits.
    """
    changes = steps_of(strategy, model, cluster)
    layouts = [strategy, *(strategy.replace(**change.fields) for change in changes)]
    found = evaluate(model, cluster, layouts, seq_len=seq_len, framework=framework, threads=threads)
    steps = [_step(change, found, row + 1, cluster, risk) for row, change in enumerate(changes)]
    return sorted(steps, key=lambda s: (not s.fits, s.step_time_s is None, s.step_time_s or 0.0, s.words))


def _step(change: Change, found: Evaluation, row: int, cluster: Cluster, risk: float) -> KnobStep:
    layout = found.strategies[row]
    if not found.legal[row]:
        return KnobStep(change.words, layout, None, None, None, None, False, found.reason(row).splitlines()[0])
    step_s, bytes_ = float(found["step_time_s"][row]), float(found["used_bytes"][row])
    fits = bool(found.fits[row] and found["oom_probability"][row] < risk)
    reason = _cause(found, row) if fits else _overflow(found, row, cluster)
    return KnobStep(
        words=change.words,
        strategy=layout,
        step_time_s=step_s,
        step_time_change=step_s / float(found["step_time_s"][0]) - 1,
        used_bytes=bytes_,
        used_change_bytes=bytes_ - float(found["used_bytes"][0]),
        fits=fits,
        reason=reason,
    )


def _overflow(found: Evaluation, row: int, cluster: Cluster) -> str:
    needed, chance = format_bytes(float(found["used_bytes"][row])), found["oom_probability"][row]
    verdict = f"{chance:.0%} likely to run out of memory" if found.fits[row] else "does not fit"
    return f"{verdict}: {needed} of {format_bytes(capacity_bytes(cluster))}"


def _cause(found: Evaluation, row: int) -> str:
    """The cause whose seconds change most in the direction of the whole step."""
    changes = {name: float(found[name][row] - found[name][0]) for name in BREAKDOWN_LABELS if name in found.columns}
    total = float(found["step_time_s"][row] - found["step_time_s"][0])
    name = max(changes, key=lambda cause: changes[cause] * np.sign(total))
    if abs(total) < 1e-12 or changes[name] * total <= 0:
        return "no difference"
    return f"{BREAKDOWN_LABELS[name]} {'+' if changes[name] > 0 else '−'}{format_seconds(abs(changes[name]))}"


def steps_of(s: Strategy, model: Model, cluster: Cluster) -> list[Change]:
    """The changes; whether each is legal for the model is for `evaluate` to say."""
    experts = _experts(s) if has_experts(model) else ()
    return [*_degrees(s), *experts, *_chunks(s), *_batch(s), *_recompute(s), *_states(s), *_switches(s, cluster)]


def has_experts(model: Model) -> bool:
    """Whether tokens of the model choose among experts."""
    return any(op.kind is OpKind.GROUPED_MATMUL for run in model.layers for op in run.block.ops)


def _degrees(s: Strategy) -> Iterator[Change]:
    """Twice or half of an axis for data parallelism; the samples of a step stay."""
    dp = s.dp or 1
    for axis, label in _AXES.items():
        now = getattr(s, axis)
        for then in (now // 2 if now % 2 == 0 else 0, now * 2):
            if then and dp * now % then == 0:
                changed: dict[str, Any] = {axis: then, "dp": dp * now // then}
                if axis == "tp":
                    changed |= {"etp": None, "sequence_parallel": _sequence_parallel(s, then)}
                if axis == "pp":
                    changed |= {"layers_per_stage": (), **({"vpp": 1} if then == 1 else {})}
                yield Change(f"{label} {now}→{then}", changed)


def _sequence_parallel(s: Strategy, tp: int) -> bool | None:
    return None if tp == 1 or s.tp == 1 else s.sequence_parallel


def _experts(s: Strategy) -> Iterator[Change]:
    for then in (s.ep // 2 if s.ep % 2 == 0 else 0, s.ep * 2):
        if then:
            yield Change(f"EP {s.ep}→{then}", {"ep": then, "etp": None})


def _chunks(s: Strategy) -> Iterator[Change]:
    if s.pp > 1:
        for then in (s.vpp // 2 if s.vpp % 2 == 0 else 0, s.vpp * 2):
            if then:
                yield Change(f"VPP {s.vpp}→{then}", {"vpp": then, "layers_per_stage": ()})


def _batch(s: Strategy) -> Iterator[Change]:
    for then in (s.micro_batch // 2 if s.micro_batch % 2 == 0 else 0, s.micro_batch * 2):
        if then:
            yield Change(f"micro-batch {s.micro_batch}→{then}", {"micro_batch": then})


def _recompute(s: Strategy) -> Iterator[Change]:
    for then in _neighbours(_RECOMPUTE, s.recompute):
        yield Change(f"recompute {_text(s.recompute)}→{then.value}", recomputing(then))


def _states(s: Strategy) -> Iterator[Change]:
    for then in _neighbours((0, 1, 2, 3), s.zero):
        changed: dict[str, Any] = {"zero": then}
        if then < 3:
            changed |= {"reshard_after_forward": None, "offload_parameters": OffloadTier.NONE}
        yield Change(f"ZeRO {s.zero}→{then}", changed)
    if s.offload_optimizer is not OffloadTier.NONE:
        none = OffloadTier.NONE
        yield Change("optimizer on the device", {"offload_optimizer": none, "offload_parameters": none})
    elif s.zero:
        yield Change("optimizer on the host", {"offload_optimizer": OffloadTier.HOST})
    share = 0.0 if s.offload_activations else 1.0
    yield Change(f"activations on the {'host' if share else 'device'}", {"offload_activations": share})


def _switches(s: Strategy, cluster: Cluster) -> Iterator[Change]:
    if s.tp > 1:
        word = "off" if s.sequence_parallel else "on"
        yield Change(f"sequence parallelism {word}", {"sequence_parallel": not s.sequence_parallel})
    for name, words in (("overlap_grad_reduce", "gradient overlap"), ("overlap_param_gather", "weight-gather overlap")):
        yield Change(f"{words} {'off' if getattr(s, name) else 'on'}", {name: not getattr(s, name)})
    if "fp8" in cluster.node.device.rates and s.precision in (Precision.BF16, Precision.FP8):
        then = Precision.FP8 if s.precision is Precision.BF16 else Precision.BF16
        yield Change(f"precision {_text(s.precision)}→{then.value}", {"precision": then})


def _neighbours(values: Sequence[Any], value: Any) -> list[Any]:
    place = values.index(value)
    return [values[i] for i in (place - 1, place + 1) if 0 <= i < len(values)]


def _text(value: Any) -> str:
    return str(getattr(value, "value", value))
