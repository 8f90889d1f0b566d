"""The exception family of the package, and a collector that reports every problem of an input at once."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable, Mapping, Sized
from typing import Any

import numpy as np

from ._core import ConfigError, DtsError, FormatError, InfeasibleError, MissingDataError

__all__ = [
    "ConfigError",
    "DtsError",
    "FormatError",
    "InfeasibleError",
    "MissingDataError",
    "Problems",
    "shown",
    "suggest",
]


def suggest(name: str, known: Iterable[str]) -> str:
    """Say which known names are nearest to a misspelt one, as the tail of an error message."""
    names = sorted(known)
    near = difflib.get_close_matches(str(name).lower(), names, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"known: {', '.join(names[:12])}{' ...' if len(names) > 12 else ''}"


def shown(value: object) -> str:
    """A value as an error message shows it: never longer than a line."""
    try:
        text = repr(value)
    except ValueError:  # Python refuses to print integers of more than 4,300 digits
        text = f"a very large {type(value).__name__}"
    return text if len(text) <= 120 else f"{text[:100]}... ({len(text)} characters)"


class Problems:
    """Collects violations of one input; `raise_if_any` reports all of them in one error.

    Examples
    --------
    >>> problems = Problems()
    >>> problems.add("nodes", 0, "an integer >= 1")
    >>> len(problems)
    1
    """

    def __init__(self) -> None:
        self._lines: list[str] = []

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, where: str, got: object, expected: str, fix: str = "") -> None:
        """Record that `where` got a value other than expected, and how to mend it."""
        self._lines.append(f"{where}: got {shown(got)}, expected {expected}" + (f"; {fix}" if fix else ""))

    def carry(self, where: str, error: DtsError, inside: str = "") -> None:
        """Record the problems of another error at `where`; `inside` is how that error calls the same place."""
        for line in str(error).splitlines():
            rest = line.removeprefix(inside) if inside else line
            self._lines.append(f"{where}{rest}" if rest != line else f"{where}: {line}")

    def missing(self, where: str, expected: str) -> None:
        """Record that nothing was given for `where`."""
        self._lines.append(f"{where}: got nothing, expected {expected}")

    def positive(self, where: str, value: object) -> bool:
        """Record a problem unless `value` is a finite number above zero; return whether it is."""
        return self._number(where, value, "a finite number > 0", 0.0, strict=True)

    def non_negative(self, where: str, value: object) -> bool:
        """Record a problem unless `value` is a finite number not below zero; return whether it is."""
        return self._number(where, value, "a finite number >= 0", 0.0, strict=False)

    def at_least_one(self, where: str, value: object) -> bool:
        """Record a problem unless `value` is a finite number of at least one; return whether it is."""
        return self._number(where, value, "a finite number >= 1", 1.0, strict=False)

    def count(self, where: str, value: object, minimum: int = 1, maximum: int = 2**31 - 1) -> bool:
        """Record a problem unless `value` is an integer between the bounds; return whether it is."""
        ok = isinstance(value, int) and not isinstance(value, bool) and minimum <= value <= maximum
        if not ok:
            self.add(where, value, f"an integer from {minimum} to {maximum}")
        return ok

    def few(self, where: str, values: object, most: int) -> bool:
        """Record a problem if a list has more than `most` items, before any is read; return whether it has not."""
        try:
            count = len(values) if isinstance(values, Sized) else 0
        except OverflowError:  # a range longer than any list
            count = sys.maxsize
        if count > most:
            self.add(where, f"{count:,} values", f"at most {most:,}")
        return count <= most

    def listed(self, where: str, value: object, expected: str) -> tuple[Any, ...]:
        """The items of a list, a tuple or the like; record a problem and give none for anything else, text too."""
        if isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping)):
            return tuple(value)
        self.add(where, value, expected)
        return ()

    def flag(self, where: str, value: object) -> bool:
        """Record a problem unless `value` is True or False; return whether it is."""
        if not isinstance(value, (bool, np.bool_)):
            self.add(where, value, "True or False")
            return False
        return True

    def _number(self, where: str, value: object, expected: str, bound: float, *, strict: bool) -> bool:
        # Comparing with the largest float refuses NaN, infinities and integers that no float holds.
        ok = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
        ok = ok and (value > bound if strict else value >= bound)  # type: ignore[operator]
        if not ok:
            self.add(where, value, expected)
        return ok

    def raise_if_any(self, error: type[DtsError] = ConfigError) -> None:
        """Raise `error` with one line per recorded problem, if there is any."""
        if self._lines:
            raise error("\n".join(self._lines))
