"""What plans are compared by: seconds, dollars, bytes or joules, and what of each a plan at least takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..catalog import cost as catalog
from ..errors import ConfigError, Problems
from ..hardware import Cluster
from ..search.pruned import Objective

__all__ = ["Terms", "objective_of", "terms_of"]

_COMPUTING = ("forward_s", "backward_s", "recompute_s", "optimizer_s", "interference_s")


@dataclass(frozen=True)
class Terms:
    """Price, power and limits of plans.

    Attributes
    ----------
    usd_per_device_h, cap_w
        None = unknown.
    max_step_time_s, max_memory_bytes
        Infinite = no limit.
    """

    device: str
    usd_per_device_h: float | None
    cap_w: float | None
    max_step_time_s: float
    max_memory_bytes: float
    max_oom_probability: float
    notes: tuple[str, ...]

    def usd(self, step_time_s: Any, devices: int) -> Any:
        """Dollars of a step."""
        if self.usd_per_device_h is None:
            return None
        return step_time_s * devices * self.usd_per_device_h / 3600

    def joules(self, columns: Mapping[str, Any], devices: int) -> Any:
        """Joules of a step at the walls of the nodes: economics.energy.power_w over the step."""
        if self.cap_w is None:
            return None
        power, step_s = catalog.section("power"), columns["step_time_s"]
        busy_s = np.minimum(step_s, sum(columns[name] for name in _COMPUTING))
        idle = power["waiting"] + power["rest_of_node"]
        return devices * self.cap_w * (idle * step_s + (power["computing"] - power["waiting"]) * busy_s)

    def within(self, columns: Mapping[str, Any], value: Any) -> Any:
        """The value, infinite where a limit is passed."""
        inside = (columns["step_time_s"] <= self.max_step_time_s) & (columns["used_bytes"] <= self.max_memory_bytes)
        return np.where(inside, value, np.inf)

    def bound_within(self, step_s: Any, reserved: Any, value: Any) -> Any:
        """The same of bounds, memory left out: it is another one in every strategy of a cell."""
        return np.where(step_s <= self.max_step_time_s, value, np.inf)


def terms_of(
    cluster: Cluster, usd_per_device_h: float | None, limits: Mapping[str, float | None], risk: float
) -> Terms:
    """Terms of a cluster: prices and power of the catalogue where the caller gives none."""
    problems = Problems()
    if usd_per_device_h is not None:
        problems.positive("usd_per_device_h", usd_per_device_h)
    problems.raise_if_any()
    device, node = cluster.node.device, cluster.node
    source = "yours"
    if usd_per_device_h is None:
        found = catalog.price_of_device(device.name)
        if node.price is not None:
            usd_per_device_h, source = (
                node.price.usd_per_h / node.devices,
                f"{node.name}, {catalog.priced_when(node.price)}",
            )
        elif found is not None:
            usd_per_device_h, source = found.usd_per_device_h, found.source
    price = () if usd_per_device_h is None else (f"price: ${usd_per_device_h:.4g} per device-hour, {source}",)
    none = float("inf")
    return Terms(
        device=device.name,
        usd_per_device_h=usd_per_device_h,
        cap_w=device.power_w,
        max_step_time_s=limits["step_time_s"] or none,
        max_memory_bytes=limits["memory_bytes"] or none,
        max_oom_probability=risk,
        notes=price,
    )


def objective_of(kind: str, terms: Terms, devices: int) -> Objective:
    """Objective of a search over layouts of so many devices.

    Raises
    ------
    ConfigError
        If its price or power is not known.
    """
    if kind == "cost" and terms.usd_per_device_h is None:
        raise ConfigError(f"objective: got 'cost', but no price is known for {terms.device}; give usd_per_device_h")
    if kind == "energy" and terms.cap_w is None:
        raise ConfigError(f"objective: got 'energy', but the power cap of {terms.device} is not known")
    if kind == "memory":
        return Objective(
            kind,
            lambda c: terms.within(c, c["used_bytes"]),
            lambda t, m: terms.bound_within(t, m, m),
            by_memory=True,
        )
    if kind == "energy":
        power = catalog.section("power")
        least_w = devices * (terms.cap_w or 0.0) * (power["waiting"] + power["rest_of_node"])
        return Objective(
            kind,
            lambda c: terms.within(c, terms.joules(c, devices)),
            lambda t, m: terms.bound_within(t, m, t * least_w),
        )
    factor = terms.usd(1.0, devices) if kind == "cost" else 1.0
    return Objective(
        kind, lambda c: terms.within(c, c["step_time_s"] * factor), lambda t, m: terms.bound_within(t, m, t * factor)
    )
