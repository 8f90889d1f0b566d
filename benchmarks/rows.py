"""What `make bench` measures: each row, what it is compared with, and how fast it is meant to be.

Figures of other simulators were measured on one core of a machine like this one, CPU seconds unless said; each names
its job. A reference that begins with `row:` is another row of the same run.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["REFERENCES", "ROWS", "SERIES", "Reference", "Row", "Series"]


@dataclass(frozen=True)
class Reference:
    """Another's speed: `value` in the unit of the rows that name it."""

    name: str
    value: float
    what: str


REFERENCES = {
    "calculon": Reference("Calculon", 271, "GPT-175B, one evaluation 3.7 ms"),
    "llm-analysis": Reference("llm-analysis", 1950, "GPT-175B, one evaluation 0.5 ms"),
    "simumax": Reference("SimuMax", 12.8, "GPT-175B; 8.7 for 22B"),
    "simumax-step": Reference("SimuMax (175B)", 0.078, "GPT-175B, one evaluation"),
    "simumax-vpp": Reference("SimuMax (530B)", 86, "GPT-530B with virtual stages, event by event; wall, up to 137"),
    "astra-start": Reference("ASTRA-sim (4,096 ranks)", 25.5, "4,096 ranks that only compute, 5.7 GB"),
    "astra-1024": Reference("ASTRA-sim", 50.2, "the same trace, 434 MB"),
    "astra-4096": Reference("ASTRA-sim (killed)", 308, "the same trace, no answer after 420 s of wall time"),
    "astra-smaller": Reference("ASTRA-sim (32 layers, killed)", 308, "the trace of `flow_4096`, which has no pipeline"),
    "astra-ring": Reference("ASTRA-sim", 2_095_104 / 3.96, "the same all-reduce on 1,024 ranks, 354 MB"),
    "astra-ring-4096": Reference("ASTRA-sim", 33_546_240 / 139, "the same all-reduce on 4,096 ranks, 5.4 GB"),
    "loggopsim": Reference("LogGOPSim", 2.3e6, "882,688 events of GOAL schedules"),
}


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes
    ----------
    key
        Name in the results.
    what
        Text of the line.
    run
        Where it is measured: `cpp:NAME` of a Google Benchmark, else `FILE::TEST` of pytest-benchmark.
    unit
        `s` for the time of one run, else what is counted, per second.
    references
        Keys of `REFERENCES`, or `row:KEY`.
    target, most_bytes
        What it is meant to reach: a time or rate, and peak memory or size of the file.
    quick
        Whether it runs with `BENCH=quick`.
    short
        Its name as a reference.
    idle
        Measures wall time, so that it is left out while the machine does something else.
    """

    key: str
    what: str
    run: str
    unit: str = "s"
    references: tuple[str, ...] = ()
    target: float | None = None
    most_bytes: float | None = None
    quick: bool = False
    short: str = ""
    idle: bool = False

    @property
    def is_rate(self) -> bool:
        """Whether more is better."""
        return self.unit != "s"


@dataclass(frozen=True)
class Series:
    """Rows over a growing size, whose cost is fitted as size to the power of an exponent."""

    key: str
    what: str
    run: str
    size: str
    most: float  # exponent
    above: float = 0  # sizes from which the exponent is fitted


_SEARCH, _STEP, _TRACE, _GROWTH = (f"bench_{name}.py::test_" for name in ("search", "step", "trace", "growth"))
_OTHERS = ("calculon", "llm-analysis", "simumax")

ROWS = (
    Row("search", "layouts settled in a search, bounded or timed (70B, 512 H100)", _SEARCH + "bounded", "strategies/s",
        _OTHERS, target=1e5, quick=True),
    Row("timed", "layouts timed in full, with memory (batch API, one core)", _SEARCH + "timed", "strategies/s",
        (*_OTHERS, "row:one_by_one"), target=2e4, quick=True),
    Row("one_by_one", "the same layouts by `simulate`, one by one", _SEARCH + "one_by_one", "strategies/s",
        ("calculon", "simumax"), quick=True, short="one by one"),
    Row("wall_1", "the batch, one thread, wall time", _SEARCH + "wall[1]", "strategies/s", short="one thread",
        idle=True),
    Row("wall_2", "the batch, two threads, wall time", _SEARCH + "wall[2]", "strategies/s", ("row:wall_1",),
        idle=True),
    Row("folded", "a step of 405B on 16,384 H100 with its full breakdown", _STEP + "folded",
        references=("simumax-step",), target=2e-3, quick=True),
    Row("events", "the same with the events of one rank per stage", _STEP + "events",
        references=("simumax-step",), target=20e-3, quick=True),
    Row("interleaved", "interleaved 1F1B, pp 64, vpp 8, 1,024 micro-batches", _STEP + "interleaved",
        references=("simumax-vpp", "row:plain_python"), target=5e-3, quick=True),
    Row("plain_python", "an eighth of its passes as a plain Python longest path", _STEP + "plain_python",
        short="plain Python (an eighth)"),
    Row("expanded_16384", "a step of 405B, 16,384 ranks each at its own pace", _STEP + "expanded[16384]",
        references=("astra-start",), target=1.5, most_bytes=1e9, quick=True),
    Row("expanded_131072", "the same, 131,072 ranks", _STEP + "expanded[131072]",
        references=("astra-start",), target=12, most_bytes=8e9, quick=True),
    Row("expanded_fsdp", "a step of 70B under FSDP, 16,384 ranks, no two alike", _STEP + "expanded_fsdp",
        references=("astra-start",)),
    Row("flow_1024", "flow network: transformer iteration, 1,024 ranks", "cpp:flow_transformer/1024",
        references=("astra-1024",), quick=True),
    Row("flow_4096", "flow network: the same, 4,096 ranks", "cpp:flow_transformer/4096",
        references=("astra-4096",), target=1, quick=True),
    Row("flow_ring", "flow network: ring all-reduce of 1,024 ranks, message by message", "cpp:flow_ring_messages/1024",
        "messages/s", ("astra-ring", "loggopsim"), quick=True),
    Row("flow_ring_4096", "flow network: the same, 4,096 ranks", "cpp:flow_ring_messages/4096",
        "messages/s", ("astra-ring-4096",)),
    Row("flow_hierarchical", "flow network: hierarchical all-reduce, 4,096 ranks, 16 chunks",
        "cpp:flow_hierarchical/4096"),
    Row("flow_pairs", "flow network: random pairs and sizes, 1,024 nodes, fat tree",
        "cpp:flow_random_pairs/oversubscription:1", "messages/s"),
    Row("flow_pairs_4", "flow network: the same, oversubscribed 4:1",
        "cpp:flow_random_pairs/oversubscription:4", "messages/s"),
    Row("shared_links", "a step of 70B on shared links, TP 8, PP 8, DP 64: 4,096 ranks", _STEP + "shared_links[plain]",
        references=("astra-smaller",), target=1, quick=True),
    Row("shared_hashed", "the same, fat tree 2:1 of 16 spines, ECMP", _STEP + "shared_links[hashed]"),
    Row("shared_16384", "a step of 405B on shared links, TP 8, PP 16, DP 128: 16,384 ranks",
        _STEP + "shared_links_large"),
    Row("sweep", "timeline sweep of a million tasks", "cpp:timeline_sweep", "tasks/s", ("loggopsim", "row:memory"),
        quick=True),
    Row("memory", "as many bytes copied, nothing worked out: the limit", "cpp:timeline_memory", "tasks/s",
        quick=True, short="copy"),
    Row("prices", "price of one collective on a real fabric", "cpp:collective_price", "prices/s", target=5e6,
        quick=True),
    Row("perfetto", "a million events to Perfetto", _TRACE + "export[.pftrace]",
        references=("row:plain_json",), target=1, most_bytes=50e6, quick=True),
    Row("chrome", "a million events to Chrome JSON, compressed", _TRACE + "export[.json.gz]",
        references=("row:plain_json",)),
    Row("plain_json", "the same events by Python's json, uncompressed", _TRACE + "plain_json", short="plain JSON",
        quick=True),
)  # fmt: skip

SERIES = (
    Series("replicas", "folded step, data parallelism grows", _GROWTH + "replicas", "replicas", 0.1),
    Series("micro_batches", "folded step, gradient accumulation grows", _GROWTH + "micro_batches", "micro-batches",
           0.1, above=128),
    Series("ranks", "every rank by itself", _GROWTH + "ranks", "ranks", 1.1),
)  # fmt: skip
