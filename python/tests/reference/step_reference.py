"""Slow plain statement of one training step's timeline. Only tests import it.

Durations are given per task; the reference says in which order each stream works and what waits for what, written from
the definitions of the schedules (Narayanan et al. arXiv:2104.04473 §2.2, Megatron-LM pipeline_parallel/schedules.py)
and of ZeRO, and finds start times as longest paths by plain recursion.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

Key = tuple[str, int, int, int]  # kind, virtual stage, micro-batch, piece (-1 = the whole pass)


@dataclass(frozen=True)
class Layout:
    """What decides order and dependencies. `units[v]`: pieces into which data-parallel work cuts stage v, 0 = none."""

    pp: int
    vpp: int
    micro_batches: int
    units: tuple[int, ...]
    zero: int = 0
    gpipe: bool = False
    overlap_reduce: bool = True
    overlap_gather: bool = True
    reduce_every_micro_batch: bool = True
    tied: bool = False


@dataclass
class Program:
    """Streams as ordered lists of tasks, and the tasks each task waits for."""

    streams: dict[tuple[str, int], list[Key]] = field(default_factory=dict)
    waits: dict[Key, list[Key]] = field(default_factory=dict)

    def put(self, key: Key, streams: list[tuple[str, int]], waits: list[Key]) -> Key:
        """Append a task to its streams."""
        for stream in streams:
            self.streams.setdefault(stream, []).append(key)
        self.waits[key] = list(waits)
        return key


def warm_up(layout: Layout, rank: int) -> int:
    """Forward chunk passes before the first backward."""
    total = layout.micro_batches * layout.vpp
    if layout.gpipe:
        return total
    behind = layout.pp - 1 - rank
    return min(total, behind if layout.vpp == 1 else 2 * behind + (layout.vpp - 1) * layout.pp)


def chunk_and_batch(layout: Layout, k: int, *, forward: bool) -> tuple[int, int]:
    """Chunk and micro-batch of the k-th forward (or backward) chunk pass, as Megatron's get_model_chunk_id counts."""
    if layout.vpp == 1:
        return 0, k
    group, inside = divmod(k, layout.pp * layout.vpp)
    chunk, member = divmod(inside, layout.pp)
    return (chunk if forward else layout.vpp - 1 - chunk), group * layout.pp + member


def passes(layout: Layout, rank: int) -> list[tuple[bool, int, int]]:
    """Order of one pipeline rank: (is forward, virtual stage, micro-batch)."""
    total, first = layout.micro_batches * layout.vpp, warm_up(layout, rank)
    kinds = [True] * first
    for _ in range(total - first):
        kinds += [True, False]
    kinds += [False] * first
    order, done = [], {True: 0, False: 0}
    for forward in kinds:
        chunk, batch = chunk_and_batch(layout, done[forward], forward=forward)
        order.append((forward, chunk * layout.pp + rank, batch))
        done[forward] += 1
    return order


class StepReference:
    """Builds the program of a layout rank by rank."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.program = Program()
        self.last_stage = layout.pp * layout.vpp - 1
        self.reductions: list[Key] = []
        self.final_pass: dict[int, Key] = {}  # per rank, its last compute piece
        self.blocking: dict[int, Key] = {}  # per rank, the reduction that its next pass waits for
        for rank in range(layout.pp):
            self._rank(rank)
        self._tail()

    def _rank(self, rank: int) -> None:
        history: list[Key] = []  # compute pieces of the rank so far
        for forward, stage, batch in passes(self.layout, rank):
            self._one_pass(rank, forward, stage, batch, history)
        self.final_pass[rank] = history[-1]

    def _gathers(self, forward: bool, batch: int) -> bool:
        if self.layout.zero == 3:
            return True
        return self.layout.zero > 0 and self.layout.overlap_gather and forward and batch == 0

    def _reduces(self, forward: bool, batch: int) -> bool:
        last = batch == self.layout.micro_batches - 1
        if forward:
            return False
        if self.layout.zero == 3:
            return last or self.layout.reduce_every_micro_batch
        return self.layout.zero == 2 or (self.layout.overlap_reduce and last)  # shards cannot wait for the last

    def _pieces(self, forward: bool, stage: int, batch: int) -> list[int]:
        units = self.layout.units[stage]
        if not units or not (self._gathers(forward, batch) or self._reduces(forward, batch)):
            return [-1]
        return list(range(units)) if forward else list(reversed(range(units)))

    def _one_pass(self, rank: int, forward: bool, stage: int, batch: int, history: list[Key]) -> None:
        name = "forward" if forward else "backward"
        pieces = self._pieces(forward, stage, batch)
        compute, collectives = [("compute", rank)], [("dp", rank)]
        source = stage - 1 if forward else stage + 1
        arrival = [] if not 0 <= source <= self.last_stage else [(f"send_{name}", source, batch, -1)]
        gathered: dict[int, Key] = {}

        def gather(i: int, allowed_after: int) -> None:
            piece = pieces[i]
            still_there = self.layout.zero == 3 and not forward and piece == self.layout.units[stage] - 1
            if piece < 0 or not self._gathers(forward, batch) or still_there:
                return
            if self._chunks_ahead():
                gathered[i] = ("gather", stage, batch, piece)  # put by the chunk before
                return
            # Parameters arrive one unit ahead: once the one before the previous unit is done with its own.
            wait = history[-allowed_after:][:1] if len(history) >= allowed_after else []
            kind = "gather" if forward else "gather again"
            gathered[i] = self.program.put((kind, stage, batch, piece), collectives, wait)

        if forward and batch == 0 and self._chunks_ahead():
            self._gather_chunks(rank, stage // self.layout.pp)
        gather(0, 2)
        for i, piece in enumerate(pieces):
            if i + 1 < len(pieces):
                gather(i + 1, 1)
            waits = ([gathered[i]] if i in gathered else []) + (arrival if i == 0 else [])
            waits += [self.blocking[rank]] if rank in self.blocking else []
            done = self.program.put((name, stage, batch, piece), compute, waits)
            history.append(done)
            if piece >= 0 and self._reduces(forward, batch):
                self.reductions.append(self.program.put(("reduce", stage, batch, piece), collectives, [done]))
                if not self.layout.overlap_reduce:
                    self.blocking[rank] = self.reductions[-1]
        target = stage + 1 if forward else stage - 1
        if 0 <= target <= self.last_stage:
            self.program.put((f"send_{name}", stage, batch, -1), [(f"send_{name}", rank)], [history[-1]])

    def _chunks_ahead(self) -> bool:
        """Whether sharded optimizer states gather whole chunks, each before the one in front of it starts."""
        return self.layout.zero in (1, 2) and self.layout.overlap_gather and self.layout.vpp > 1

    def _gather_chunks(self, rank: int, chunk: int) -> None:
        """At the first forward of a chunk: of the first two chunks when the step starts, then of the next."""
        for ahead in (0, 1) if chunk == 0 else (chunk + 1,):
            stage = ahead * self.layout.pp + rank
            for unit in range(self.layout.units[stage] if ahead < self.layout.vpp else 0):
                self.program.put(("gather", stage, 0, unit), [("dp", rank)], [])

    def _tail(self) -> None:
        layout, last = self.layout, self.layout.micro_batches - 1
        for rank in range(layout.pp):
            for stage in range(rank, self.last_stage + 1, layout.pp):
                if layout.zero < 2 and not layout.overlap_reduce:
                    for unit in range(layout.units[stage]):
                        key = ("reduce", stage, last, unit)
                        self.reductions.append(self.program.put(key, [("dp", rank)], [self.final_pass[rank]]))
        if layout.tied and layout.pp > 1:
            ends = [self.final_pass[0], self.final_pass[layout.pp - 1]]
            key = self.program.put(("tied", 0, last, -1), [("dp", 0), ("dp", layout.pp - 1)], ends)
            self.reductions.append(key)
        everyone = [("compute", rank) for rank in range(layout.pp)]
        meeting = self.program.put(("sync", 0, last, -1), everyone, self.reductions)
        for rank in range(layout.pp):
            update = self.program.put(("update", rank, last, -1), [("compute", rank)], [meeting])
            for stage in range(rank, self.last_stage + 1, layout.pp):
                if layout.zero in (1, 2) and not layout.overlap_gather:
                    for unit in range(layout.units[stage]):
                        self.program.put(("late gather", stage, last, unit), [("dp", rank)], [update])


def start_times(program: Program, seconds: Mapping[Key, float]) -> dict[Key, float]:
    """Start of every task: the longest path to it, by recursion over everything it waits for."""
    before: dict[Key, list[Key]] = {key: list(waits) for key, waits in program.waits.items()}
    for order in program.streams.values():
        for earlier, later in itertools.pairwise(order):
            before[later].append(earlier)
    starts: dict[Key, float] = {}

    def start(key: Key) -> float:
        if key not in starts:
            starts[key] = max((start(b) + seconds.get(b, 0.0) for b in before[key]), default=0.0)
        return starts[key]

    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit + 4 * len(before))
    try:
        return {key: start(key) for key in before}
    finally:
        sys.setrecursionlimit(limit)
