"""Devices, links, nodes and clusters, by hand or from the catalogue."""

from __future__ import annotations

from .._callable import make_callable
from .cluster import Cluster, OtherNodes
from .constants import AttentionConstants, DTypeRate, GemmConstants, MemoryConstants, QuantiseConstants
from .device import Device, DeviceKind
from .fabric import ScaleOut, ScaleUp, ScaleUpKind
from .link import Link
from .node import Node, Price
from .rates import Rates

__all__ = [
    "AttentionConstants",
    "Cluster",
    "DTypeRate",
    "Device",
    "DeviceKind",
    "GemmConstants",
    "Link",
    "MemoryConstants",
    "Node",
    "OtherNodes",
    "Price",
    "QuantiseConstants",
    "Rates",
    "ScaleOut",
    "ScaleUp",
    "ScaleUpKind",
]

make_callable(__name__)  # dts.hardware() lists the catalogue
