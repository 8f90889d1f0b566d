"""The flow-level network: messages that share links fairly, event by event."""

from __future__ import annotations

from .astra_compat import astra_compat
from .flow_network import FlowNetwork, Routing
from .result import FlowResult, Timing
from .work import Collective, Compute, Send, Work

__all__ = ["Collective", "Compute", "FlowNetwork", "FlowResult", "Routing", "Send", "Timing", "Work", "astra_compat"]
