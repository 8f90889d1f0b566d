"""Ranks and their groups."""

from __future__ import annotations

from .. import _core
from .._convert import to_core
from ..errors import ConfigError
from ..named_enum import member
from .strategy import Strategy

__all__ = ["RankGrid"]


class RankGrid:
    """Which ranks form the groups of each axis.

    Dense axes (`tp`, `cp`, `dp`, `pp`) factor the world; experts re-factor the non-pipeline ranks as (`etp`, `ep`,
    `edp`) in the same order, as Megatron-LM does.

    Parameters
    ----------
    strategy
        A layout; `dp` must be given, or `devices`.
    devices
        Size of the world, to derive `dp`.

    Examples
    --------
    >>> RankGrid(Strategy(tp=2, pp=2, dp=2)).groups("tp")
    [[0, 1], [2, 3], [4, 5], [6, 7]]
    """

    def __init__(self, strategy: Strategy, devices: int | None = None) -> None:
        if devices is None:
            if strategy.dp is None:
                raise ConfigError("strategy.dp: got None, expected a number, or `devices` to derive it from")
            devices = strategy.dp * strategy.tp * strategy.pp * strategy.cp
        self._strategy = strategy.resolved(devices)
        self._grid = _core.RankGrid(to_core(self._strategy))

    @property
    def world(self) -> int:
        """Number of ranks."""
        return self._grid.world

    def group(self, rank: int, axis: str) -> list[int]:
        """Ranks that differ from `rank` only along the axis."""
        if not 0 <= rank < self.world:
            raise ConfigError(f"rank: got {rank}, expected 0 to {self.world - 1}")
        return self._grid.group(rank, member(_core.Axis, axis, "axis"))

    def groups(self, axis: str) -> list[list[int]]:
        """Every group of an axis, ordered by first rank."""
        return self._grid.groups(member(_core.Axis, axis, "axis"))

    def __reduce__(self) -> tuple[type[RankGrid], tuple[Strategy]]:
        return RankGrid, (self._strategy,)

    def __repr__(self) -> str:
        return f"RankGrid({self.world} ranks)"
