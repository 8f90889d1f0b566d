"""Peak rates of a device by number format: an immutable mapping that accepts text such as `"989 TFLOP/s"`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from .._convert import DTYPES
from ..errors import ConfigError, Problems, suggest
from ..units import parse_flops
from ._fields import MAX_QUANTITY
from .constants import DTypeRate

__all__ = ["Rates", "at_power", "clock_at", "read_rates"]

# log(0.69 / 0.845) / log(500 / 700): sustained shares of H100 steps under two caps (catalog/compute_constants.yaml).
_POWER_EXPONENT = 0.6
_GENERIC_SHARE = 0.85  # the core's own


class Rates(Mapping[str, DTypeRate]):
    """Mapping from dtype name to `DTypeRate`; a format that is absent is unknown or not supported.

    Parameters
    ----------
    entries
        dtype name to a `DTypeRate`, a dense peak in FLOP/s, or text with a unit.

    Raises
    ------
    ConfigError
        Listing every unknown dtype and every rate that is not physical.
    """

    __slots__ = ("_entries",)

    def __init__(self, entries: Mapping[str, DTypeRate | float | str] | None = None) -> None:
        problems = Problems()
        self._entries = read_rates(problems, "rates", entries or {})
        problems.raise_if_any()

    def __getitem__(self, dtype: str) -> DTypeRate:
        return self._entries[dtype]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __hash__(self) -> int:
        return hash(frozenset(self._entries.items()))

    def __repr__(self) -> str:
        return "Rates({" + ", ".join(f"{k!r}: {v.peak_flops:g}" for k, v in self._entries.items()) + "})"


def read_rates(problems: Problems, where: str, entries: Any) -> dict[str, DTypeRate]:
    """The legal entries of a mapping; every other one is recorded as a problem."""
    if not isinstance(entries, Mapping):
        problems.add(where, entries, 'a mapping such as {"bf16": "989 TFLOP/s"}')
        return {}
    rates: dict[str, DTypeRate] = {}
    for name, value in entries.items():
        if name not in DTYPES:
            problems.add(where, name, f"one of {', '.join(DTYPES)}", suggest(str(name), DTYPES))
            continue
        rate = _as_rate(problems, f"{where}.{name}", value)
        if rate is not None:
            rates[name] = rate
    return rates


def _as_rate(problems: Problems, where: str, value: Any) -> DTypeRate | None:
    """The rate of one format, or None after its problems were recorded."""
    if not isinstance(value, DTypeRate):
        try:
            value = DTypeRate(parse_flops(value, where) if isinstance(value, str) else value)
        except ConfigError:
            problems.add(where, value, 'a rate such as "989 TFLOP/s" or a number of FLOP/s')
            return None
    before = len(problems)
    if problems.non_negative(f"{where}.peak_flops", value.peak_flops) and value.peak_flops > MAX_QUANTITY:
        problems.add(f"{where}.peak_flops", value.peak_flops, f"at most {MAX_QUANTITY:g} FLOP/s")
    for share in ("burst_share", "sustained_share"):
        given = getattr(value, share)
        if given is not None and problems.positive(f"{where}.{share}", given) and given > 1:
            problems.add(f"{where}.{share}", given, "a share of at most 1")
    return value if len(problems) == before else None


def clock_at(ratio: float) -> float:
    """Factor on the clock of long steps under a power cap of `ratio` times the present one."""
    return float(ratio**_POWER_EXPONENT)


def at_power(rates: Rates, ratio: float) -> Rates:
    """Rates under a power cap of `ratio` times the present one: the clock of long steps follows, up to the burst's."""

    def capped(rate: DTypeRate) -> DTypeRate:
        share = _GENERIC_SHARE if rate.sustained_share is None else rate.sustained_share
        return replace(rate, sustained_share=min(1.0, share * clock_at(ratio)))

    return Rates({dtype: capped(rate) for dtype, rate in rates.items()})
