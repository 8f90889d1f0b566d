"""Networks on which traffic shares links: messages one by one, and the links of a cluster under a training step."""

from __future__ import annotations

from .._callable import make_callable
from .astra_compat import astra_compat
from .fabric import FlowFabric, LinkChange
from .flow_network import FlowNetwork, Routing
from .result import FlowResult, Timing
from .step_links import StepLinks, TierUse
from .work import Collective, Compute, Send, Work

__all__ = [
    "Collective",
    "Compute",
    "FlowFabric",
    "FlowNetwork",
    "FlowResult",
    "LinkChange",
    "Routing",
    "Send",
    "StepLinks",
    "TierUse",
    "Timing",
    "Work",
    "astra_compat",
]

make_callable(__name__)  # dts.network(...) shows the links of a step
