"""Predict what a distributed deep-learning training job will do before anyone rents the cluster."""

from __future__ import annotations

from ._core import __version__

__all__ = ["__version__"]
