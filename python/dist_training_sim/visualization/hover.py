"""What a reader sees who points at a part of an interactive figure: texts that travel with the artist."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["hover_of", "set_hover"]

_ATTRIBUTE = "_dts_hover"


def set_hover(artist: Any, texts: Sequence[str]) -> None:
    """Attach one text to each element of an artist (box, point, cell), in drawing order."""
    setattr(artist, _ATTRIBUTE, list(texts))


def hover_of(artist: Any) -> list[str]:
    """Texts of an artist; empty where it has none."""
    return list(getattr(artist, _ATTRIBUTE, ()))
