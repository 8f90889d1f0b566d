"""Changes of a layout that may save memory, one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..parallel import Recompute, Strategy

__all__ = ["Change", "changes_of"]


@dataclass(frozen=True)
class Change:
    """New values of fields of a `Strategy`, and what they are in words."""

    words: str
    fields: Mapping[str, Any]


def changes_of(s: Strategy) -> list[Change]:
    """Changes of a resolved strategy; whether each is legal for the model is for `simulate` to say."""
    return [*_batch(s), *_recompute(s), *_shards(s), *_degrees(s), *_offload(s)]


def _batch(s: Strategy) -> Iterator[Change]:
    if s.micro_batch > 1:
        yield Change(f"micro-batch {s.micro_batch} -> {s.micro_batch // 2}", {"micro_batch": s.micro_batch // 2})
        if s.micro_batch > 3:
            yield Change(f"micro-batch {s.micro_batch} -> 1", {"micro_batch": 1})


def _recompute(s: Strategy) -> Iterator[Change]:
    order = (Recompute.NONE, Recompute.SELECTIVE, Recompute.FULL)
    for more in order[order.index(s.recompute) + 1 :]:
        yield Change(f"recompute {more.value}", {"recompute": more})


def _shards(s: Strategy) -> Iterator[Change]:
    for stage in range(s.zero + 1, 4):
        yield Change(f"zero {s.zero} -> {stage}", {"zero": stage})
    if s.tp > 1 and not s.sequence_parallel:
        yield Change("sequence parallelism", {"sequence_parallel": True})
    if s.vpp > 1:
        yield Change(f"vpp {s.vpp} -> 1", {"vpp": 1})


def _degrees(s: Strategy) -> Iterator[Change]:
    """More of an axis for less data parallelism; the samples of a step stay."""
    dp = s.dp or 1
    for axis in ("tp", "pp", "cp"):
        for factor in (2, 4, 8):
            if dp % factor == 0:
                before = getattr(s, axis)
                changed: dict[str, Any] = {axis: before * factor, "dp": dp // factor}
                if axis == "tp":
                    changed |= {"etp": None, "sequence_parallel": None} if s.tp == 1 else {"etp": None}
                if axis == "pp":
                    changed |= {"layers_per_stage": ()}
                yield Change(f"{axis} {before} -> {before * factor}", changed)


def _offload(s: Strategy) -> Iterator[Change]:
    """To the host's memory."""
    if not s.offload_optimizer and s.zero > 0:
        yield Change("optimizer states on the host", {"offload_optimizer": True})
    if s.offload_activations == 0:
        yield Change("activations on the host", {"offload_activations": 1.0})
