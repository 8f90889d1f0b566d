"""Predict what a distributed deep-learning training job will do before anyone rents the cluster."""

from __future__ import annotations

from ._core import __version__
from .collectives import Algorithm, CollectiveResult
from .communication import CommunicationModel
from .topology import CustomLink, Link, Topology

__all__ = [
    "Algorithm",
    "CollectiveResult",
    "CommunicationModel",
    "CustomLink",
    "Link",
    "Topology",
    "__version__",
]
