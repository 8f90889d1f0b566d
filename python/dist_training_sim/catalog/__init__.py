"""Facts as data: hardware, models and frameworks in YAML, every value with its source."""

from __future__ import annotations

__all__: list[str] = []
