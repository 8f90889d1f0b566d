"""Where a prediction stands among the measured ones: coordinates, the most telling first.

A stratum is the set of measurements that agree in the first so many coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = [
    "BADGES",
    "RULES",
    "Rule",
    "Situation",
    "collective_situation",
    "kernel_situation",
    "memory_situation",
    "pair_situation",
    "scale_of",
    "step_situation",
]

BADGES = ("validated", "calibrated", "extrapolated")
_SCALES = (8, 64, 512)
_SMALL_BYTES, _LARGE_BYTES = 2**16, 2**24


@dataclass(frozen=True)
class Rule:
    """How a use weighs near and far measurements.

    Attributes
    ----------
    prior
        A stratum of n sources counts n / (n + prior) against the wider one around it.
    validated, calibrated
        Sources that the strata of so many coordinates must have for the badge.
    """

    prior: float
    validated: tuple[tuple[int, int], ...]
    calibrated: tuple[tuple[int, int], ...]


# Priors: the narrowest intervals whose coverage holds, sources left out (benchmarks/corpus/refresh.py prints both).
RULES = {
    "step_time": Rule(12, ((3, 2), (4, 1)), ((2, 1),)),
    "comparison": Rule(6, ((3, 2),), ((1, 1),)),
    "memory": Rule(6, ((2, 1),), ((1, 1),)),
    "kernels": Rule(3, ((2, 1),), ((1, 1),)),
    "collectives": Rule(6, ((2, 2),), ((1, 1),)),
}


@dataclass(frozen=True)
class Situation:
    """Coordinates of a prediction.

    Attributes
    ----------
    use
        What is predicted: a key of `RULES`.
    coordinates
        Words, the most telling first.
    device, model
        What comparisons of two predictions ask for; empty where unknown.
    """

    use: str
    coordinates: tuple[str, ...]
    device: str = field(default="", compare=False)
    model: str = field(default="", compare=False)


def step_situation(
    *,
    kind: str,
    generation: str,
    devices: int,
    tp: int = 1,
    pp: int = 1,
    cp: int = 1,
    device: str = "",
    model: str = "",
) -> Situation:
    """Situation of a step time.

    Parameters
    ----------
    kind
        dense, moe, vision or other.
    generation
        Of the device, such as `"hopper"`.
    """
    return Situation("step_time", (kind, generation, _layout(tp, pp, cp), scale_of(devices)), device, model)


def pair_situation(one: Situation, other: Situation) -> Situation:
    """Situation of a comparison of two step times: the more two jobs share, the more of their errors cancels."""
    equal = {
        "device": one.device == other.device,
        "model": one.model == other.model,
        "layout": one.coordinates[2:] == other.coordinates[2:],
    }
    return Situation("comparison", tuple(f"{'same' if same else 'another'} {name}" for name, same in equal.items()))


def memory_situation(*, kind: str, framework: str, tp: int = 1, pp: int = 1, cp: int = 1) -> Situation:
    """Situation of a peak of memory: what the framework keeps counts more than the device, how it launches does not."""
    return Situation("memory", (kind, framework.removesuffix("-blocking"), _layout(tp, pp, cp)))


def kernel_situation(*, family: str, generation: str) -> Situation:
    """Situation of one kernel's time."""
    return Situation("kernels", (family, generation))


def collective_situation(*, fabric: str, across: bool, size_bytes: float) -> Situation:
    """Situation of one collective's time.

    Parameters
    ----------
    across
        Whether it leaves the scale-up domain.
    """
    band = "small" if size_bytes <= _SMALL_BYTES else "medium" if size_bytes <= _LARGE_BYTES else "large"
    return Situation("collectives", ("across nodes" if across else "inside a node", fabric, f"{band} messages"))


def _layout(tp: int, pp: int, cp: int) -> str:
    return "pipeline" if pp > 1 else "tensor or context" if tp > 1 or cp > 1 else "data"


def scale_of(devices: int) -> str:
    """Number of devices in words, as summaries group it."""
    bound = next((bound for bound in _SCALES if devices <= bound), None)
    return f"up to {bound} devices" if bound else f"over {_SCALES[-1]} devices"
