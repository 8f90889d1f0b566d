"""`fitted.yaml`: constants fitted to whole training steps, as factors on the catalogue's own; written by `refit`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from ._yaml import packaged_entry

__all__ = ["GROUPS", "Fitted"]

GROUPS = ("sustained", "host", "step", "attention")
_Factors = Mapping[str, tuple[float, int]]


@dataclass(frozen=True)
class Fitted:
    """Factors with the number of rows behind each.

    Attributes
    ----------
    every_device
        On the sustained clock of every device that is not one systolic program.
    sustained
        On that of one device besides, by catalogue name.
    host, step
        On host seconds per kernel, and on the fixed seconds per step, by framework profile.
    attention
        On the rate of an attention kernel that nobody measured alone, by its name and the generation: `triton-hopper`.
    """

    every_device: tuple[float, int] = (1.0, 0)
    sustained: _Factors = field(default_factory=dict)
    host: _Factors = field(default_factory=dict)
    step: _Factors = field(default_factory=dict)
    attention: _Factors = field(default_factory=dict)

    @staticmethod
    @cache
    def packaged() -> Fitted:
        """What the package ships."""

        def pairs(group: str) -> _Factors:
            entries = packaged_entry("fitted.yaml", group) or {}
            return {name: (entry["factor"], entry["rows"]) for name, entry in entries.items()}

        every = packaged_entry("fitted.yaml", "every_device")
        return Fitted((every["factor"], every["rows"]), *map(pairs, GROUPS))

    def sustained_of(self, device: str, systolic: bool) -> float:
        """Factor on the sustained clock of a device."""
        return (1.0 if systolic else self.every_device[0]) * self.sustained.get(device, (1.0, 0))[0]

    def host_of(self, profile: str) -> float:
        """Factor on the host costs of a profile."""
        return self.host.get(profile, (1.0, 0))[0]

    def step_of(self, profile: str) -> float:
        """Factor on the fixed cost of a step."""
        return self.step.get(profile, (1.0, 0))[0]

    def attention_of(self, kernel: str, generation: str) -> float:
        """Factor on the rate of an attention kernel on devices of a generation."""
        return self.attention.get(f"{kernel}-{generation}", (1.0, 0))[0]

    def to_yaml(self) -> str:
        """Text of the file."""
        lines = [_HEAD, f"every_device: {_entry(self.every_device)}"]
        for name in GROUPS:
            group: _Factors = getattr(self, name)
            lines.append(f"{name}:" if group else f"{name}: {{}}")
            lines += [f"  {key}: {_entry(value)}" for key, value in sorted(group.items())]
        return "\n".join(lines) + "\n"


_HEAD = """\
# Factors on the catalogue's constants, fitted to whole training steps by `dts validate --refit`; do not edit by hand.
# sustained: on the clock of a device in a long step (compute_constants.yaml holds what kernels show); host, step: on a
# framework profile's host seconds per kernel and fixed seconds per step; attention: on the rate of a kernel that nobody
# measured alone. rows: measured runs behind each."""


def _entry(value: tuple[float, int] | Any) -> str:
    return f"{{factor: {value[0]:g}, rows: {value[1]}}}"
