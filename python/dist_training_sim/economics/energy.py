"""Power of a training device, its share of the node with it, from how busy the step keeps it."""

from __future__ import annotations

from dataclasses import dataclass

from ..catalog.cost import section
from ..result import Result

__all__ = ["Energy", "busy_share", "energy_of", "power_w"]

_COMPUTING = ("forward_s", "backward_s", "recompute_s", "optimizer_s", "interference_s")
JOULES_PER_KWH = 3.6e6


@dataclass(frozen=True)
class Energy:
    """Energy of a run.

    Attributes
    ----------
    busy_share
        Share of a step in which kernels compute.
    device_w, node_w
        Mean power of one device, and at the wall of its node per device.
    it_kwh, facility_kwh
        At the nodes' walls, and with cooling and conversion (times `pue`).
    pue, carbon_kg_per_kwh, carbon_kg
        Power usage effectiveness; what a kWh of the grid emits; what the run emits.
    """

    busy_share: float
    device_w: float
    node_w: float
    it_kwh: float
    facility_kwh: float
    pue: float
    carbon_kg_per_kwh: float
    carbon_kg: float


def busy_share(result: Result) -> float:
    """Share of a step in which compute kernels run, mean of the pipeline stages."""
    return min(1.0, sum(result.breakdown[name] for name in _COMPUTING) / result.step_time_s)


def power_w(cap_w: float, busy: float) -> tuple[float, float]:
    """(power of a device, power at the wall per device) for a power cap and a busy share; constants in cost.yaml."""
    c = section("power")
    device = cap_w * (c["waiting"] + (c["computing"] - c["waiting"]) * busy)
    return device, device + cap_w * c["rest_of_node"]


def energy_of(cap_w: float, busy: float, device_seconds: float, pue: float, carbon_kg_per_kwh: float) -> Energy:
    """Energy of so many device-seconds."""
    device, wall = power_w(cap_w, busy)
    it_kwh = wall * device_seconds / JOULES_PER_KWH
    facility = it_kwh * pue
    return Energy(busy, device, wall, it_kwh, facility, pue, carbon_kg_per_kwh, facility * carbon_kg_per_kwh)
