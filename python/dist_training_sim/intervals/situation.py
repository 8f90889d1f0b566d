"""Where a prediction stands among the measured ones: coordinates, the most telling first.

A stratum is the set of measurements that agree in the first so many coordinates; going one coordinate back widens it.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BADGES", "Situation", "kernel_situation", "memory_situation", "step_situation"]

SHORT_STEP_S = 0.3
_SCALES = (8, 64, 512)
# What a prediction is called when so many coordinates had to be given up to find measurements.
BADGES = {
    "step_time": ("validated", "validated", "calibrated", "extrapolated", "extrapolated", "extrapolated"),
    "memory": ("validated", "validated", "calibrated", "extrapolated"),
    "kernels": ("validated", "extrapolated", "extrapolated"),
}


@dataclass(frozen=True)
class Situation:
    """Coordinates of a prediction.

    Attributes
    ----------
    use
        What is predicted: step_time, memory or kernels.
    coordinates
        Words, the most telling first.
    """

    use: str
    coordinates: tuple[str, ...]

    def stratum(self, given_up: int = 0) -> tuple[str, ...]:
        """Coordinates that remain when the last ones are given up."""
        return self.coordinates[: len(self.coordinates) - given_up]


def step_situation(
    step_time_s: float, *, kind: str, generation: str, devices: int, tp: int = 1, pp: int = 1, cp: int = 1
) -> Situation:
    """Situation of a step time.

    A step of less than 0.3 s stands apart: host and launch costs, which differ most between frameworks, rule it.

    Parameters
    ----------
    step_time_s
        The prediction.
    kind
        dense, moe, vision or other.
    generation
        Of the device, such as `"hopper"`.
    """
    length = "short step" if step_time_s < SHORT_STEP_S else "long step"
    return Situation("step_time", (kind, length, generation, _layout(tp, pp, cp), _scale(devices)))


def memory_situation(*, kind: str, framework: str, tp: int = 1, pp: int = 1, cp: int = 1) -> Situation:
    """Situation of a peak of memory, which depends on what the framework keeps more than on the device."""
    return Situation("memory", (kind, framework, _layout(tp, pp, cp)))


def kernel_situation(*, family: str, generation: str) -> Situation:
    """Situation of one kernel's time."""
    return Situation("kernels", (family, generation))


def _layout(tp: int, pp: int, cp: int) -> str:
    return "pipeline" if pp > 1 else "tensor or context" if tp > 1 or cp > 1 else "data"


def _scale(devices: int) -> str:
    bound = next((bound for bound in _SCALES if devices <= bound), None)
    return f"up to {bound} devices" if bound else f"over {_SCALES[-1]} devices"
