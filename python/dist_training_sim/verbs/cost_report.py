"""Results of `cost`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..economics.energy import Energy
from ..economics.goodput import Goodput
from ..parallel import Strategy
from ..result import strategy_dict

__all__ = ["CostReport", "DeadlineOption"]

DAY_S = 86_400.0


@dataclass(frozen=True)
class DeadlineOption:
    """One size of the cluster tried for a deadline: devices, days, device-hours and dollars (None = no price).

    `meets`: it ends in time, and `fits` into memory.
    """

    devices: int
    nodes: int
    dp: int
    days: float
    device_hours: float
    usd: float | None
    fits: bool
    meets: bool


@dataclass(frozen=True, repr=False)
class CostReport:
    """What a run takes.

    Attributes
    ----------
    model, cluster, framework, strategy, seq_len, devices
        The run.
    tokens, loss
        Tokens trained; the loss that the scaling law gives for them (None for models without tokens).
    steps, step_time_s
        Number of steps, and the predicted time of one.
    goodput
        Failures and checkpoints.
    days, days_low90, days_high90
        Wall time; its 90 % interval from that of the step (None where no measured runs are near).
    device_hours
        Devices times wall time.
    usd_per_device_h, price_source, usd
        Price of a device-hour, where it is from, and what the run costs; None = no price is known.
    energy
        None where the device's power cap is unknown.
    fits, oom_probability
        Whether the job fits into memory.
    options
        Sizes of the cluster that were tried for a deadline.
    notes
        What was assumed, and the sources of the constants.
    """

    model: str
    cluster: str
    framework: str
    strategy: Strategy
    seq_len: int
    devices: int
    tokens: float
    loss: float | None
    law: str
    steps: int
    step_time_s: float
    goodput: Goodput
    days: float
    days_low90: float | None
    days_high90: float | None
    device_hours: float
    usd_per_device_h: float | None
    price_source: str
    usd: float | None
    energy: Energy | None
    mfu: float
    fits: bool
    oom_probability: float
    options: tuple[DeadlineOption, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def failures(self) -> float:
        """Failures to expect over the run."""
        return self.days * DAY_S / self.goodput.mtbf_s

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as printed by `dts cost --json`."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        plain["goodput"], plain["strategy"] = self.goodput.__dict__, strategy_dict(self.strategy)
        plain["energy"] = None if self.energy is None else self.energy.__dict__
        plain["options"] = [option.__dict__ for option in self.options]
        return plain | {"failures": self.failures, "notes": list(self.notes)}

    def __repr__(self) -> str:
        price = "" if self.usd is None else f", ${self.usd:,.0f}"
        return f"<{self.model} on {self.cluster}: {self.days:.3g} days, {self.device_hours:,.0f} device-hours{price}>"
