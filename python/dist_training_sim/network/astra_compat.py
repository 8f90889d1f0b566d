"""ASTRA-sim's congestion-unaware answers, to compare with; never a prediction."""

from __future__ import annotations

from collections.abc import Sequence

from .. import _core
from ..errors import Problems
from ..named_enum import member
from ..units import parse_bytes

__all__ = ["astra_compat"]


def astra_compat(
    kind: str,
    size: str | float,
    *,
    topology: Sequence[str] = ("Ring",),
    npus_count: Sequence[int] = (8,),
    bandwidth: Sequence[float] = (50.0,),
    latency: Sequence[float] = (500.0,),
    algorithm: Sequence[str] = ("ring",),
    preferred_dataset_splits: int = 1,
    local_mem_bw: float = 1600.0,
) -> int:
    """Nanoseconds that ASTRA-sim 2's congestion-unaware analytical backend answers for a collective.

    A closed form with the conventions of that simulator, under the names of its input files: GiB/s called GB/s, whole
    nanoseconds, latency per hop (two hops over a switch), three bytes of memory traffic per reduced byte, links that
    are never shared. Within 0.5 % of its published answers; see docs/guide/network.md.

    Parameters
    ----------
    kind
        `"all-reduce"`, `"reduce-scatter"`, `"all-gather"` or `"all-to-all"`.
    size
        Full buffer of a rank; of all-gather the shard that a rank puts in.
    topology, npus_count, bandwidth, latency, algorithm
        Per dimension: `"Ring"`, `"Switch"`, `"FullyConnected"`; ranks; GiB/s; ns per hop; `"ring"`, `"direct"`,
        `"halvingDoubling"` (the last two on one dimension).
    preferred_dataset_splits
        Chunks, which that backend runs side by side as if alone.
    local_mem_bw
        10^9 bytes/s.

    Raises
    ------
    ConfigError
        Naming what is not legal or has no closed form.

    Examples
    --------
    >>> astra_compat("all-reduce", "64 MiB", topology=["Ring"], npus_count=[8])  # ASTRA-sim: 2304597
    2304596
    """
    problems = Problems()
    columns = {"topology": topology, "bandwidth": bandwidth, "latency": latency, "algorithm": algorithm}
    for name, column in columns.items():
        if len(column) != len(npus_count):
            problems.add(name, column, f"one value for each of the {len(npus_count)} dimensions of npus_count")
    for i, npus in enumerate(npus_count):
        problems.count(f"npus_count[{i}]", npus, 2)
    problems.count("preferred_dataset_splits", preferred_dataset_splits)
    problems.raise_if_any()
    dims = [
        (member(_core.AstraTopology, t, "topology"), n, b, lat, member(_core.AstraAlgorithm, a, "algorithm"))
        for t, n, b, lat, a in zip(topology, npus_count, bandwidth, latency, algorithm, strict=True)
    ]
    chosen = member(_core.CollectiveKind, kind, "kind")
    return round(_core.astra_time_ns(dims, preferred_dataset_splits, local_mem_bw, chosen, parse_bytes(size)))
