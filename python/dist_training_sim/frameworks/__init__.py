"""Framework profiles: what a training framework of a given era really does."""

from __future__ import annotations

from .profile import FrameworkProfile

__all__ = ["FrameworkProfile"]
