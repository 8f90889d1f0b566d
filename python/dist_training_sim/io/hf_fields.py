"""Typed, bounded access to the fields of a Hugging Face config; every bad field is recorded, none raises by itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..errors import Problems

__all__ = ["Fields"]

# Bounds some ten times above the largest published model: what lies beyond is a damaged or hostile file.
WIDEST = 2**20
MOST_LAYERS = 4096
LARGEST_VOCABULARY = 2**25

_ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": "gelu",
    "gelu_fast": "gelu",
    "gelu_pytorch_tanh": "gelu",
    "quick_gelu": "gelu",
    "silu": "silu",
    "swish": "silu",
    "relu": "relu",
    "relu2": "relu2",
}


class Fields:
    """One config. A bad value is recorded and replaced by a harmless one; `check` raises for all of them at once.

    Parameters
    ----------
    config
        The parsed JSON object.
    where
        Name used in messages.
    """

    def __init__(self, config: Mapping[str, Any], where: str) -> None:
        self._config = config
        self._where = where
        self._reported: set[str] = set()
        self.problems = Problems()

    def check(self) -> None:
        """Raise `ConfigError` listing every problem found so far."""
        self.problems.raise_if_any()

    def report(self, name: str, got: object, expected: str) -> None:
        """Record a problem of a field, once however often the field is read."""
        if name not in self._reported:
            self._reported.add(name)
            self.problems.add(f"{self._where}.{name}", _short(got), expected)

    def value(self, *names: str) -> Any:
        """Return the first of the fields that is present and not null, else None."""
        return next((self._config[name] for name in names if self._config.get(name) is not None), None)

    def count(self, *names: str, default: int | None = None, minimum: int = 1, maximum: int = WIDEST) -> int:
        """Return an integer field; the names are synonyms. Required unless a default is given."""
        value = self.value(*names)
        if value is None:
            if default is None:
                self.report(names[0], None, "a number: the field is required")
            return minimum if default is None else default
        if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
            value = int(value)  # JSON written by other tools has 4096.0
        if type(value) is int and minimum <= value <= maximum:
            return value
        self.report(names[0], value, f"an integer from {minimum} to {maximum}")
        return minimum

    def layers(self, *names: str) -> int:
        """Return the number of layers."""
        return self.count(*names, maximum=MOST_LAYERS)

    def vocabulary(self, default: int | None = None) -> int:
        """Return the vocabulary size."""
        return self.count("vocab_size", default=default, maximum=LARGEST_VOCABULARY)

    def heads(self, hidden: int, *names: str) -> int:
        """Return the number of heads, checked to divide `hidden` unless the config states `head_dim`."""
        heads = self.count(*names)
        if self.value("head_dim") is None and self._does_not_divide(heads, hidden):
            self.report(names[0], heads, f"a divisor of the hidden size {hidden}")
            return 1
        return heads

    def kv_heads(self, heads: int, default: int | None = None) -> int:
        """Return the number of key/value heads, a divisor of `heads`."""
        kv_heads = self.count("num_key_value_heads", default=default or heads)
        if self._does_not_divide(kv_heads, heads):
            self.report("num_key_value_heads", kv_heads, f"a divisor of {heads} heads")
            return 1
        return kv_heads

    def _does_not_divide(self, part: int, whole: int) -> bool:
        """Whether `part` fails to divide; not judged once a problem was found, since `whole` may stand in for it."""
        return not len(self.problems) and whole % part != 0

    def flag(self, name: str, default: bool) -> bool:
        """Return a true/false field."""
        value = self.value(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.report(name, value, "true or false")
            return default
        return value

    def probability(self, name: str, default: float = 0.0) -> bool:
        """Return whether a dropout probability is above zero."""
        value = self.value(name)
        value = default if value is None else value
        ok = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1
        if not ok:
            self.report(name, value, "a probability from 0 to 1")
        return ok and value > 0

    def activation(self, name: str, default: str, *, gated: bool = False) -> str:
        """Return the activation in this package's words; the gated forms are `swiglu` and `geglu`."""
        value = self.value(name) or default
        if not isinstance(value, str) or value not in _ACTIVATIONS:
            self.report(name, value, f"one of {', '.join(_ACTIVATIONS)}")
            value = default
        known = _ACTIVATIONS[value]
        gates = {"gelu": "geglu", "silu": "swiglu", "relu": "reglu"}
        if gated and known not in gates:
            self.report(name, value, "an activation with a gated form")
        return gates.get(known, "swiglu") if gated else known

    def section(self, name: str) -> Fields:
        """Return a nested object, empty where absent, that records into the same list of problems."""
        value = self.value(name)
        if value is not None and not isinstance(value, Mapping):
            self.report(name, value, "an object")
        nested = Fields(value if isinstance(value, Mapping) else {}, f"{self._where}.{name}")
        nested.problems = self.problems
        return nested

    def integers(self, name: str, maximum: int, *, required: bool = False) -> list[int]:
        """Return a list of integers from 0 to `maximum`; empty where absent."""
        value = self.value(name)
        value = [] if value is None else value
        fits = isinstance(value, (list, tuple)) and required <= len(value) <= MOST_LAYERS
        if not fits or not all(type(item) is int and 0 <= item <= maximum for item in value):
            self.report(name, value, f"a list of integers from 0 to {maximum}")
            return []
        return list(value)

    def windows(self, layers: int, window: int, default: list[bool]) -> list[int]:
        """Return each layer's sliding window (0 = full): as `layer_types` says, else by the `default` pattern."""
        types = self.value("layer_types")
        if types is None:
            return [window if sliding else 0 for sliding in default]
        known = ("full_attention", "sliding_attention")
        if not isinstance(types, list) or len(types) != layers or any(item not in known for item in types):
            self.report("layer_types", types, f"{layers} entries, each of {known}")
            return [0] * layers
        return [window if item == "sliding_attention" else 0 for item in types]


def _short(value: object) -> object:
    """Keep a bad value readable in a message."""
    if isinstance(value, (int, float, bool)) or value is None:
        return value if not isinstance(value, int) or abs(value) < 10**30 else math.inf
    text = value if isinstance(value, str) else type(value).__name__
    return text[:60]
