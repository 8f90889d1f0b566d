"""Lists of work → programs of the core, with every problem of the list in one error."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral

from .. import _core
from ..collectives import Algorithm
from ..communication import CommunicationModel
from ..errors import ConfigError, DtsError, Problems, suggest
from ..named_enum import member
from ..units import parse_bytes, parse_seconds
from .work import Collective, Compute, Send, Work

__all__ = ["ProgramBuilder"]


class ProgramBuilder:
    """Turns a list of work into a core program.

    Parameters
    ----------
    model
        The network, which also plans collectives.
    works
        The list; `names` are those of its entries afterwards.

    Raises
    ------
    ConfigError
        If something in the list is no work.
    """

    def __init__(self, model: CommunicationModel, works: Sequence[Work]) -> None:
        strange = [work for work in works if not isinstance(work, Work)]
        if strange:
            raise ConfigError(f"works: got a {type(strange[0]).__name__}, expected Sends, Collectives and Computes")
        self._model = model
        self._works = works
        self.names = [work.name or str(i) for i, work in enumerate(works)]
        queues = dict.fromkeys(work.queue for work in works if work.queue is not None)
        self._queues = {queue: i for i, queue in enumerate(queues)}
        self._patterns: dict[tuple[object, ...], int] = {}
        self._groups: dict[tuple[int, ...], int] = {}
        self._program = _core.FlowProgram(len(self._queues))

    def build(self) -> _core.FlowProgram:
        """The program.

        Raises
        ------
        ConfigError
            Naming every piece of work with a bad rank, size, time or dependency.
        """
        problems: list[str] = []
        after = self._dependencies(problems)
        for i, work in enumerate(self._works):
            try:
                self._add(work)
                self._program.set_name(i, self.names[i])
            except DtsError as error:
                problems += [f"work {self.names[i]!r}: {line}" for line in str(error).splitlines()]
                self._program.compute(0, 0.0)  # keeps later positions right
        if problems:
            raise ConfigError("\n".join(problems[:20]))
        for task, before in after:
            self._program.depend(task, before)
        return self._program

    def _dependencies(self, problems: list[str]) -> list[tuple[int, int]]:
        places: dict[str | int, int] = {name: i for i, name in enumerate(self.names)}
        if len(places) < len(self.names):
            twice = sorted({name for name in self.names if self.names.count(name) > 1})
            problems.append(f"name: got {twice[0]!r} more than once, expected names that differ")
        places.update({i: i for i in range(len(self.names))})
        pairs = []
        for i, work in enumerate(self._works):
            for other in (work.after,) if isinstance(work.after, (str, int)) else work.after:
                if other in places:
                    pairs.append((i, places[other]))
                else:
                    fix = suggest(str(other), self.names)
                    problems.append(f"work {self.names[i]!r}: after: got {other!r}, expected work of the list; {fix}")
        return pairs

    def _add(self, work: Work) -> None:
        queues = [] if work.queue is None else [self._queues[work.queue]]
        start_s = parse_seconds(work.start, "start")
        if isinstance(work, Send):
            self._ranks("src", (work.src, work.dst))
            pattern = self._pattern(_core.CollectiveKind.SEND_RECV, _core.Algorithm.DIRECT, _size(work.size), 2)
            self._program.communicate(pattern, self._group((work.src, work.dst)), queues, start_s)
        elif isinstance(work, Compute):
            self._ranks("rank", (work.rank,))
            self._program.compute(work.rank, parse_seconds(work.duration, "duration"), queues, start_s)
        elif isinstance(work, Collective):
            self._add_collective(work, queues, start_s)

    def _add_collective(self, work: Collective, queues: list[int], start_s: float) -> None:
        kind = member(_core.CollectiveKind, work.kind, "kind")
        ranks = tuple(range(self._model.num_devices)) if work.ranks is None else tuple(work.ranks)
        self._ranks("ranks", ranks)
        chosen = getattr(_core.Algorithm, Algorithm(work.algorithm).name)
        size = _size(work.size)
        root, chunks = -1 if work.root is None else work.root, work.chunks or 0
        algorithm, chunks, members, dims = self._model._core.plan(kind, size, ranks, chosen, root, chunks)
        if len(members) == 1:
            self._program.compute(members[0], 0.0, queues, start_s)
            return
        pattern = self._pattern(kind, algorithm, size, len(members), tuple(dims), work.fused, chunks)
        self._program.communicate(pattern, self._group(tuple(members)), queues, start_s)

    def _pattern(
        self,
        kind: _core.CollectiveKind,
        algorithm: _core.Algorithm,
        size: float,
        members: int,
        dims: tuple[int, ...] = (),
        fused: bool = False,
        chunks: int = 1,
    ) -> int:
        key = (kind, algorithm, size, members, dims, fused, chunks)
        if key not in self._patterns:
            self._patterns[key] = self._program.add_classic(*key)
        return self._patterns[key]

    def _group(self, ranks: tuple[int, ...]) -> int:
        if ranks not in self._groups:
            self._groups[ranks] = self._program.add_group(ranks)
        return self._groups[ranks]

    def _ranks(self, where: str, ranks: Sequence[int]) -> None:
        problems = Problems()
        devices = self._model.num_devices
        for rank in ranks:
            if not isinstance(rank, Integral) or isinstance(rank, bool) or not 0 <= rank < devices:
                problems.add(where, rank, f"ranks from 0 to {devices - 1}")
        problems.raise_if_any()


def _size(size: str | float) -> float:
    amount = parse_bytes(size)
    problems = Problems()
    problems.non_negative("size", amount)
    problems.raise_if_any()
    return amount
