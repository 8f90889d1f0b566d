"""What a collective library takes of device memory, per era; the catalogue holds the values (`libraries.yaml`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .._convert import CoreSpec

__all__ = ["CommunicationLibrary"]


@dataclass(frozen=True)
class CommunicationLibrary:
    """Sizes of a collective library's buffers, in bytes of device memory; all 0: a library that has none.

    Attributes
    ----------
    simple_bytes, ll_bytes, ll128_bytes
        Of a connection between two ranks on one channel, for each protocol.
    granularity_bytes
        Device allocations are multiples of it.
    shared_steps, network_chunk_bytes, switch_chunk_bytes, local_chunk_bytes
        Chunks of a pool for each channel of sends and receives; a chunk between domains, behind a switch, elsewhere.
    switch_buffer_bytes
        Of a reduction in the switch, for each of its channels, rank of the domain and direction.
    point_to_point_Bps
        What one channel to a peer is to carry of the network, bytes/s.
    ring_Bps
        Rate of one ring within a domain, bytes/s: the links hold as many as fill `link_share` of their rate.
    link_share
        Share of a link's datasheet rate that rings may fill.
    pool_of_sends
        The pool of sends stands with every communicator; otherwise with those that have peers in other domains.
    connects_on_use
        An algorithm's buffers appear when it first runs; otherwise all of them with the communicator.
    """

    CORE: ClassVar[CoreSpec] = CoreSpec("CommunicationLibrary")

    simple_bytes: float = 0.0
    ll_bytes: float = 0.0
    ll128_bytes: float = 0.0
    granularity_bytes: float = 0.0
    shared_steps: float = 0.0
    network_chunk_bytes: float = 0.0
    switch_chunk_bytes: float = 0.0
    local_chunk_bytes: float = 0.0
    switch_buffer_bytes: float = 0.0
    point_to_point_Bps: float = 0.0
    ring_Bps: float = 0.0
    link_share: float = 0.0
    pool_of_sends: bool = False
    connects_on_use: bool = True
