"""A network on which messages share links fairly, and runs of work on it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from typing import Any

from .. import _core
from ..communication import CommunicationModel
from ..errors import Problems
from ..named_enum import NamedEnum
from ..units import parse_bandwidth
from .build import ProgramBuilder
from .result import FlowResult
from .work import Work

__all__ = ["FlowNetwork", "Routing"]

Background = tuple[int, int, "str | float"]


class Routing(NamedEnum):
    """Which links a message takes. Every function that takes one also takes its name, e.g. `"ecmp"`."""

    SHORTEST = "shortest"
    """One path of fewest hops per pair; over several spines the receiver's number picks one."""
    ECMP = "ecmp"
    """One of the paths of fewest hops per pair, drawn by a hash of the pair and `seed`: pairs may collide."""
    RAIL_ALIGNED = "rail_aligned"
    """RAIL_OPTIMIZED: inside the node to the receiver's rail first, so that messages stay on their rail."""
    ADAPTIVE = "adaptive"
    """Of the paths of fewest hops, at each hop the least loaded link when the message starts."""


class FlowNetwork:
    """Messages, collectives and compute on a network, event by event, with links shared max-min fairly.

    A message alone takes the latencies of its path plus its bytes over the narrowest link. Messages that meet on a link
    share it; no rate can grow without a slower or equal one falling. Left out: packets, queues, the time congestion
    control needs to settle.

    Parameters
    ----------
    model : CommunicationModel
        The network as it is now, links set by `set_link` included; later changes of the model do not reach it.
    routing : Routing or str
        How paths are chosen.
    seed : int
        Of the ECMP hash.
    dead_links : iterable of (int, int)
        Ends (vertices as in `topology_links`) of cables that carry nothing; paths go round them.
    background : iterable of (int, int, str or float)
        Traffic of other jobs for the whole run: (from rank, to rank, `"10 GB/s"`). It shares links like any message but
        never takes more than this.

    Raises
    ------
    ConfigError
        Naming unknown links, ranks and routings.
    InfeasibleError
        If dead links leave background traffic no path; `run` raises it for messages.

    Examples
    --------
    >>> from dist_training_sim.network import Send
    >>> network = FlowNetwork(CommunicationModel(4, "switch", bandwidth="10 GB/s", latency=0))
    >>> network.run([Send(0, 1, "1 GB"), Send(2, 1, "1 GB")]).time_s  # both through the port of rank 1
    0.2
    """

    def __init__(
        self,
        model: CommunicationModel,
        *,
        routing: Routing | str = Routing.SHORTEST,
        seed: int = 0,
        dead_links: Iterable[tuple[int, int]] = (),
        background: Iterable[Background] = (),
    ) -> None:
        self._model = copy(model)
        self._routing = Routing(routing)
        problems = Problems()
        problems.count("seed", seed, 0)
        dead = [_integers(problems, f"dead_links[{i}]", ends, 2) for i, ends in enumerate(dead_links)]
        flows = list(background)
        ends = [_integers(problems, f"background[{i}]", flow[:2], 2) for i, flow in enumerate(flows)]
        problems.raise_if_any()
        self._options = {"routing": self._routing, "seed": seed, "dead_links": dead, "background": flows}
        demands = [parse_bandwidth(flow[2], f"background[{i}]") for i, flow in enumerate(flows)]
        self._core = _core.FlowNetwork(
            model._core, getattr(_core.Routing, self._routing.name), seed, [(a, b) for a, b in dead],
            [(a, b, demand) for (a, b), demand in zip(ends, demands, strict=True)],
        )  # fmt: skip
        self._links = tuple(model.topology_links())

    @property
    def routing(self) -> Routing:
        """How paths are chosen."""
        return self._routing

    def run(self, works: Sequence[Work], *, intervals: int = 0) -> FlowResult:
        """Run work from time 0 until all of it has ended.

        Parameters
        ----------
        works : sequence of Send, Collective, Compute
            In any order; `after`, `queue` and `start` say when each may start.
        intervals : int
            Follow links over time in at least this many equal intervals; 0: do not.

        Raises
        ------
        ConfigError
            Naming every piece of work with a bad rank, size, time or dependency, and the ranks that are stuck where
            work waits in a circle.
        InfeasibleError
            If dead links leave a message no path.
        """
        import numpy as np

        problems = Problems()
        problems.count("intervals", intervals, 0, 1 << 20)
        problems.raise_if_any()
        builder = ProgramBuilder(self._model, list(works))
        done = self._core.run(builder.build(), intervals, True)
        pairs = np.array(done.pair_bytes, dtype=np.float64).reshape(-1, 3)
        return FlowResult(
            tuple(builder.names), self._links, self._model.num_devices, done.flows, done.start_s, done.finish_s,
            done.link_bytes, pairs, done.interval_s, done.bytes_over_time,
        )  # fmt: skip

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (self._model, self._options)

    def __repr__(self) -> str:
        return f"FlowNetwork({self._model!r}, routing={self._routing.value!r}, {len(self._links)} links)"


def _rebuilt(model: CommunicationModel, options: dict[str, Any]) -> FlowNetwork:
    return FlowNetwork(model, **options)


def _integers(problems: Problems, where: str, values: Sequence[object], count: int) -> tuple[int, ...]:
    """Whole numbers of a tuple, or a recorded problem."""
    good = len(values) == count and all(isinstance(v, int) and not isinstance(v, bool) for v in values)
    if not good or not all(abs(v) < 2**31 for v in values if isinstance(v, int)):
        problems.add(where, values, f"{count} vertex numbers")
        return (0,) * count
    return tuple(v for v in values if isinstance(v, int))
