"""Framework profiles: what a training framework of a given era really does."""

from __future__ import annotations

from .defaults import FrameworkDefaults
from .profile import FrameworkProfile

__all__ = ["FrameworkDefaults", "FrameworkProfile"]
