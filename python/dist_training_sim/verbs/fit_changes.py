"""Changes of a layout that may save memory, one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..models import Model
from ..parallel import OffloadTier, Recompute, RecomputeMethod, Strategy

__all__ = ["Change", "changes_of", "recomputing"]


@dataclass(frozen=True)
class Change:
    """New values of fields of a `Strategy`, and what they are in words."""

    words: str
    fields: Mapping[str, Any]


_MODULES = (("layernorm",), ("layernorm", "moe_act"), ("mla_up_proj",), ("mlp",), ("moe",))


def changes_of(s: Strategy, model: Model, *, by_module: bool) -> list[Change]:
    """Changes of a resolved strategy; whether each is legal for the model is for `simulate` to say.

    `by_module`: the framework recomputes single modules, and some of the layers.
    """
    layers = sum(run.repeat for run in model.layers) // (s.pp * s.vpp)
    return [*_batch(s), *_recompute(s, layers, by_module=by_module), *_shards(s), *_degrees(s), *_offload(s)]


def _batch(s: Strategy) -> Iterator[Change]:
    if s.micro_batch > 1:
        yield Change(f"micro-batch {s.micro_batch} -> {s.micro_batch // 2}", {"micro_batch": s.micro_batch // 2})
        if s.micro_batch > 3:
            yield Change(f"micro-batch {s.micro_batch} -> 1", {"micro_batch": 1})


def recomputing(kind: Recompute, modules: tuple[str, ...] = (), layers: int | None = None) -> dict[str, Any]:
    """Every field of recomputation; `layers` are the first of each stage."""
    method = RecomputeMethod.UNIFORM if layers is None else RecomputeMethod.BLOCK
    return {"recompute": kind, "recompute_modules": modules, "recompute_method": method, "recompute_layers": layers}


def _recompute(s: Strategy, layers: int, *, by_module: bool) -> Iterator[Change]:
    order = (Recompute.NONE, Recompute.SELECTIVE, Recompute.FULL)
    for more in order[order.index(s.recompute) + 1 :]:
        yield Change(f"recompute {more.value}", recomputing(more))
    if not by_module:
        return
    if s.recompute is not Recompute.FULL and layers > 1 and s.zero < 3:
        half = layers // 2
        yield Change(f"recompute {half} of {layers} layers a stage", recomputing(Recompute.FULL, (), half))
    if s.recompute is Recompute.NONE:
        for modules in _MODULES:
            yield Change(f"recompute {', '.join(modules)}", recomputing(Recompute.SELECTIVE, modules))


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
    """To the host's memory, or its drives."""
    if s.offload_optimizer is OffloadTier.NONE and s.zero > 0:
        yield Change("optimizer states on the host", {"offload_optimizer": OffloadTier.HOST})
        yield Change("optimizer states on NVMe", {"offload_optimizer": OffloadTier.NVME})
    if s.offload_activations == 0:
        yield Change("activations on the host", {"offload_activations": 1.0})
