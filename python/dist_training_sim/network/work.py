"""What runs on a flow network: messages, collectives, and compute between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass

from ..collectives import Algorithm

__all__ = ["Collective", "Compute", "Send", "Work"]


@dataclass(frozen=True)
class Work:
    """What every piece of work has.

    Attributes
    ----------
    name : str
        For `after`, results and messages; by default its position in the list, as text.
    after : sequence of str or int
        Names or positions, earlier or later in the list, of work that must have ended before this starts.
    queue : str, optional
        Work of one queue runs one after the other, in the order of the list.
    start : str or float
        Not before this time: `"1 ms"` or seconds.
    """

    _: KW_ONLY
    name: str = ""
    after: Sequence[str | int] = ()
    queue: str | None = None
    start: str | float = 0.0


@dataclass(frozen=True)
class Send(Work):
    """One message.

    Attributes
    ----------
    src, dst : int
        Ranks.
    size : str or float
        `"64 MiB"` or bytes.
    """

    src: int
    dst: int
    size: str | float


@dataclass(frozen=True)
class Collective(Work):
    """One collective, message by message: a rank goes on to its next round as soon as its own messages allow.

    Attributes
    ----------
    kind : str
        `"all-reduce"`, `"all-gather"`, `"reduce-scatter"`, `"all-to-all"`, `"broadcast"`, `"reduce"`, `"gather"`,
        `"scatter"`, `"barrier"`.
    size : str or float
        The buffer as in `CommunicationModel`.
    ranks : sequence of int, optional
        The group in the order in which rings run; by default all ranks.
    algorithm : Algorithm or str
        `AUTO`: the one that is fastest alone, round by round.
    root : int, optional
        Of broadcast, reduce, gather and scatter: by default the first rank.
    chunks : int, optional
        Of pipelined algorithms: by default the number that is fastest alone.
    fused : bool
        One flow per neighbour pair for all steps of a ring: exact where hops are equal, else at most the truth, and the
        way to run thousands of ranks.
    """

    kind: str
    size: str | float = 0.0
    ranks: Sequence[int] | None = None
    _: KW_ONLY
    algorithm: Algorithm | str = Algorithm.AUTO
    root: int | None = None
    chunks: int | None = None
    fused: bool = False


@dataclass(frozen=True)
class Compute(Work):
    """Work of a rank that takes a fixed time and no link.

    Attributes
    ----------
    rank : int
        Where it runs, for messages.
    duration : str or float
        `"2 ms"` or seconds.
    """

    rank: int
    duration: str | float
