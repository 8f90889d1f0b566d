"""Readers and writers of other programs' file formats."""

from __future__ import annotations

__all__: list[str] = []
