"""Names of the collective algorithms, and the result of one collective."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .named_enum import NamedEnum
from .units import format_bytes, format_seconds

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from .communication import CommunicationModel

__all__ = ["Algorithm", "CollectiveResult"]


class Algorithm(NamedEnum):
    """How a collective is carried out; `AUTO` takes the fastest that applies. Names are accepted as strings.

    Sources: Thakur, Rabenseifner, Gropp (2005); Patarasuk, Yuan (2009); Bruck et al. (1997); Barnett et al. (1993);
    Sanders, Speck, Träff (2009). Group sizes that are no power of two are folded onto the next lower one where an
    algorithm needs it.
    """

    AUTO = "auto"
    RING = "ring"
    """All-reduce, reduce-scatter, all-gather: n-1 rounds per pass along the group in the order given."""
    BIDIRECTIONAL_RING = "bidirectional_ring"
    """The ring with half of the data in each direction."""
    RECURSIVE_DOUBLING = "recursive_doubling"
    """All-reduce of whole vectors, or all-gather, in log2(n) rounds."""
    RECURSIVE_HALVING = "recursive_halving"
    """Reduce-scatter in log2(n) rounds."""
    TREE = "tree"
    """Binomial tree (also `"binary_tree"`): broadcast, reduce, gather, scatter; all-reduce as reduce and broadcast."""
    RABENSEIFNER = "rabenseifner"
    """All-reduce: recursive halving, then recursive doubling."""
    DOUBLE_BINARY_TREE = "double_binary_tree"
    """All-reduce, broadcast, reduce: two complementary binary trees, pipelined in chunks."""
    CHAIN = "chain"
    """Broadcast, reduce along the group in the order given, pipelined in chunks."""
    SCATTER_ALL_GATHER = "scatter_all_gather"
    """Broadcast: binomial scatter, then ring all-gather."""
    DIRECT = "direct"
    """Every pair at once."""
    PAIRWISE = "pairwise"
    """All-to-all: one partner per round, n-1 rounds."""
    BRUCK = "bruck"
    """All-gather, all-to-all in log2(n) rounds."""
    DISSEMINATION = "dissemination"
    """Barrier in log2(n) rounds."""
    TORUS_BUCKET = "torus_bucket"
    """All-reduce, reduce-scatter, all-gather of all ranks of a mesh or torus: rings along each dimension in turn."""
    HIERARCHICAL = "hierarchical"
    """The same inside nodes first, then across them, for groups with as many ranks on each of several nodes."""

    @classmethod
    def _missing_(cls, value: object) -> NamedEnum:
        return cls.TREE if value == "binary_tree" else super()._missing_(value)


@dataclass(frozen=True)
class CollectiveResult:
    """What one collective costs.

    Attributes
    ----------
    kind : str
        Name of the collective, e.g. `"all_reduce"`.
    size_bytes : float
        Total buffer as nccl-tests counts it: gathered size of all-gather and reduce-scatter, one rank's whole send
        buffer of all-to-all, the root's whole buffer of gather and scatter.
    ranks : tuple of int
        The group, in the order in which rings and chains run.
    time_s : float
        Seconds from start to end.
    algorithm : str
        The algorithm used (the fastest, if none was asked for).
    bound : str
        What most of the time goes to: `"latency"`, `"reduction"`, or the busiest link.
    sent_bytes_per_rank : float
        Bytes sent by the rank that sends most.
    """

    kind: str
    size_bytes: float
    ranks: tuple[int, ...]
    time_s: float
    algorithm: str
    bound: str
    sent_bytes_per_rank: float
    _model: CommunicationModel = field(repr=False, compare=False)
    _root: int = field(default=-1, repr=False)

    @property
    def time_ms(self) -> float:
        """Milliseconds from start to end."""
        return self.time_s * 1e3

    def traffic_matrix(self) -> npt.NDArray[np.float64]:
        """Bytes from each rank (row) to each rank (column), over all devices of the model."""
        return self._model._traffic(self)[0]

    def link_bytes(self) -> npt.NDArray[np.float64]:
        """Bytes on each link, in the order of `CommunicationModel.topology_links()`."""
        return self._model._traffic(self)[1]

    def __repr__(self) -> str:
        return (
            f"<{self.kind} of {format_bytes(self.size_bytes)} over {len(self.ranks)} ranks: "
            f"{format_seconds(self.time_s)} by {self.algorithm}, bound by {self.bound}>"
        )
