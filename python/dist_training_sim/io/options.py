"""Options of other frameworks, whatever their syntax: read by name and type, and each accounted for."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from ..errors import ConfigError, Problems

__all__ = ["Option", "Options"]

T = TypeVar("T")
_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
LARGEST_COUNT = 2**31 - 1


@dataclass(frozen=True)
class Option:
    """One option as written: its name, the values behind it (none of a switch), and `file:line`."""

    name: str
    values: tuple[Any, ...]
    where: str
    near: str = ""  # the known name that one not understood is most like

    @property
    def shown(self) -> str:
        """The option on one line."""
        text = " ".join([self.name, *(str(value) for value in self.values)])
        return text if len(text) <= 80 else f"{text[:77]}..."

    @property
    def complaint(self) -> str:
        """That the option was not understood, and what may have been meant."""
        meant = f"; did you mean {self.near}?" if self.near else ""
        return f"{self.where}: not understood, and not in the job: {self.shown}{meant}"


_NOTHING = ((None,), ("None",), ("null",))  # values that say: the default


class Options:
    """Options by name. Those read count as used; what is neither used nor ignored in the end is unknown.

    Parameters
    ----------
    options
        In the order written; of an option given twice the last counts, and a different first one is a conflict.
    prefix
        Of the names in messages, such as `--`.
    """

    def __init__(self, options: Iterable[Option], prefix: str = "") -> None:
        self.prefix = prefix
        self.conflicts: list[str] = []
        self.notes: list[str] = []
        self.problems = Problems()
        self._by_name: dict[str, Option] = {}
        self._used: set[str] = set()
        self._ignored: set[str] = set()
        self._names: set[str] = set()
        for option in options:
            before = self._by_name.get(option.name)
            if before is not None and before.values != option.values:
                self.conflicts.append(
                    f"{option.where}: {prefix}{option.shown} overrides {prefix}{before.shown} of {before.where}"
                )
            self._by_name[option.name] = option

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def lacks(self, name: str) -> bool:
        """Whether an option is not given, or set to nothing."""
        return name not in self or self._by_name[name].values in _NOTHING

    def has_section(self, prefix: str) -> bool:
        """Whether any option lies in a section."""
        return any(name.startswith(f"{prefix}.") for name in self._by_name)

    def get(self, *names: str) -> Option | None:
        """The first of several synonyms that is given; all of them count as used."""
        self._used.update(names)
        return next((self._by_name[name] for name in names if name in self._by_name), None)

    def reject(self, option: Option, expected: str, fix: str = "") -> None:
        """Record that an option's value is not what it should be."""
        got: object = option.values[0] if len(option.values) == 1 else " ".join(map(str, option.values))
        self.problems.add(f"{option.where}: {self.prefix}{option.name}", got, expected, fix)

    def refuse_both(self, first: str, second: str) -> None:
        """Record a contradiction where two options that exclude each other are both given."""
        one, other = self._by_name.get(first), self._by_name.get(second)
        if one is not None and other is not None and _is_on(one) and _is_on(other):
            self.problems.add(
                f"{other.where}: {self.prefix}{second}",
                f"{self.prefix}{first} at {one.where} as well",
                "one of the two",
            )

    def note(self, option: Option, text: str) -> None:
        """Record how an option was understood where that is not exact."""
        self.notes.append(f"{option.where}: {self.prefix}{option.shown}: {text}")

    def note_if(self, name: str, text: str) -> None:
        """Note an option if it is given."""
        option = self.get(name)
        if option is not None:
            self.note(option, text)

    def count(self, *names: str, default: T = None, minimum: int = 1) -> int | T:  # type: ignore[assignment]
        """A whole number."""
        option = self.get(*names)
        if option is None or option.values in _NOTHING:
            return default
        value = option.values[0] if option.values else ""
        number = int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value
        if isinstance(number, str) and re.fullmatch(r"[+-]?\d(_?\d){0,18}", number):
            number = int(number)
        if type(number) is not int or not minimum <= number <= LARGEST_COUNT:
            self.reject(option, f"a whole number from {minimum} to {LARGEST_COUNT}", _unset(value))
            return default
        return number

    def number(self, *names: str, default: T = None) -> float | T:  # type: ignore[assignment]
        """A number that is not negative."""
        option = self.get(*names)
        if option is None or option.values in _NOTHING:
            return default
        try:
            value = float(option.values[0])
        except (ValueError, TypeError, IndexError, OverflowError):
            value = math.nan
        if not 0 <= value < math.inf:
            self.reject(option, "a finite number >= 0", _unset(option.values[0] if option.values else ""))
            return default
        return value

    def flag(self, *names: str, default: bool = False) -> bool:
        """A switch: given without a value it is on."""
        option = self.get(*names)
        if option is None or option.values == (None,):
            return default
        if not option.values:
            return True
        value = option.values[0]
        if isinstance(value, bool):
            return value
        if str(value).lower() not in _WORDS:
            self.reject(option, "true or false", _unset(value))
            return default
        return _WORDS[str(value).lower()]

    def choice(self, *names: str, known: Mapping[str, T], default: T) -> T:
        """What one of the known words stands for; case does not matter."""
        option = self.get(*names)
        if option is None or option.values in _NOTHING:
            return default
        value = str(option.values[0]).lower() if option.values else ""
        if value not in known:
            self.reject(option, f"one of {', '.join(known)}", _unset(value))
            return default
        return known[value]

    def text(self, *names: str, default: str = "") -> str:
        """The value as written."""
        option = self.get(*names)
        return default if option is None or not option.values else str(option.values[0])

    def texts(self, *names: str) -> list[str]:
        """All values as written."""
        option = self.get(*names)
        return [] if option is None else [str(value) for value in option.values]

    def ignore(self, patterns: Sequence[str], names: Iterable[str] = ()) -> None:
        """Mark options that bear on neither time nor memory.

        Parameters
        ----------
        patterns
            Regular expressions of whole names.
        names
            Further ones as they are; misspelt ones are told which was meant.
        """
        self._names.update(names)
        whole = re.compile("|".join([*patterns, *map(re.escape, sorted(self._names))]))
        self._ignored.update(name for name in self._by_name if whole.fullmatch(name))

    @property
    def ignored(self) -> tuple[Option, ...]:
        """Options without bearing on time and memory."""
        return tuple(o for name, o in self._by_name.items() if name in self._ignored and name not in self._used)

    @property
    def unknown(self) -> tuple[Option, ...]:
        """Options that were neither used nor ignored; those set to nothing say nothing."""
        known = self._ignored | self._used
        rest = [o for name, o in self._by_name.items() if name not in known and o.values != (None,)]
        return tuple(replace(option, near=self._nearest(option.name)) for option in rest)

    def _nearest(self, name: str) -> str:
        """The name asked for, or one without bearing, that differs by a letter or two; empty without one."""
        return next(iter(difflib.get_close_matches(name, sorted(self._used | self._names), n=1, cutoff=0.85)), "")

    def check(self) -> None:
        """Raise for all recorded problems.

        Raises
        ------
        ConfigError
            Listing them, each with file and line.
        """
        self.problems.raise_if_any(ConfigError)


def _is_on(option: Option) -> bool:
    """Whether an option is more than switched off."""
    return not option.values or str(option.values[0]).lower() not in ("false", "none", "no", "", "0", "auto")


def _unset(value: object) -> str:
    """How to mend a value that is a variable which nobody set."""
    return "the script does not set it: give its value" if isinstance(value, str) and "$" in value else ""
