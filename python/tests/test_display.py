"""Every public object shows itself in one readable line, and those that hold a table as a table in a notebook."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import dist_training_sim as dts
import pytest
from dist_training_sim._display import facts_html, table_html
from dist_training_sim.network import Send

STRATEGY = dts.Strategy(tp=2, pp=2, zero=1, global_batch=16)
JOB = ("llama-3.1-8b", "1xdgx-h100", STRATEGY)


def iteration() -> dts.IterationResult:
    return simulator().simulate_training_iteration()


def simulator() -> dts.TrainingSimulator:
    made = dts.TrainingSimulator(dts.CommunicationModel(4), dts.ComputeModel(4), dts.MemoryModel(4))
    made.set_batch_size(32)
    made.set_model_size(parameters=250e6, activations=1e6)
    return made


MAKERS: dict[str, Any] = {
    "Strategy": lambda: STRATEGY,
    "Result": lambda: dts.simulate(*JOB, seq_len=4096),
    "Interval": lambda: dts.simulate(*JOB, seq_len=4096).interval,
    "MemoryUse": lambda: dts.simulate(*JOB, seq_len=4096).memory[0],
    "EventList": lambda: iteration().events,
    "IterationResult": iteration,
    "RunResult": lambda: simulator().simulate_training(3),
    "TrainingSimulator": simulator,
    "CommunicationModel": lambda: dts.CommunicationModel(8),
    "ComputeModel": lambda: dts.ComputeModel(8),
    "MemoryModel": lambda: dts.MemoryModel(8),
    "CollectiveResult": lambda: dts.CommunicationModel(8).all_reduce("1 MiB"),
    "CollectiveEstimate": lambda: dts.collective("all-reduce", "64 MiB", "1xdgx-h100"),
    "FlowNetwork": lambda: dts.FlowNetwork(dts.CommunicationModel(8)),
    "FlowResult": lambda: dts.FlowNetwork(dts.CommunicationModel(8)).run([Send(0, 1, "1 MB")]),
    "FitReport": lambda: dts.fit(*JOB, seq_len=4096),
    "StageMemory": lambda: dts.memory_timeline(*JOB, seq_len=4096)[0],
    "Report": lambda: dts.report("gpt2", "1xdgx-h100", seq_len=1024),
    "ValidationReport": lambda: dts.validate(use="step_time", where={"source": "torchtitan H200 (Trainy/WhiteFiber)"}),
    "Cluster": lambda: dts.Cluster.from_catalog("8xdgx-h100"),
    "Device": lambda: dts.Device.from_catalog("h100"),
    "Node": lambda: dts.Node.from_catalog("dgx-h100"),
    "Link": lambda: dts.Link.from_catalog("pcie5"),
    "Model": lambda: dts.Model.from_catalog("llama-3.1-8b"),
    "Block": lambda: dts.Model.from_catalog("llama-3.1-8b").layers[0].block,
    "LayerRun": lambda: dts.Model.from_catalog("llama-3.1-8b").layers[0],
    "Op": lambda: dts.ops.matmul("a", 8, 8),
    "ModelSummary": lambda: dts.models("gpt2"),
    "HardwareList": dts.hardware,
    "FrameworkProfile": lambda: dts.FrameworkProfile.from_catalog("megatron-core"),
    "RankGrid": lambda: dts.RankGrid(STRATEGY, 8),
    "Stragglers": lambda: dts.Stragglers.lognormal(0.1),
    "ExpertLoad": lambda: dts.ExpertLoad(kind="zipf"),
}
TABLES = (
    *("Strategy", "Result", "MemoryUse", "IterationResult", "FitReport", "StageMemory", "Report", "ValidationReport"),
    *("ModelSummary", "HardwareList", "FrameworkProfile", "Stragglers"),
)


class Cells(HTMLParser):
    """Text of the cells, and a check that what opens closes."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.cells: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.cells.append(data)


def cells(html: str) -> list[str]:
    parser = Cells()
    parser.feed(html)
    assert not parser.open
    return parser.cells


@pytest.mark.parametrize("name", MAKERS)
def test_an_object_is_one_readable_line(name: str) -> None:
    thing = MAKERS[name]()
    assert name in ("EventList", type(thing).__name__)
    line = repr(thing)
    assert len(line) <= 160
    assert "\n" not in line
    assert " object at 0x" not in line


@pytest.mark.parametrize("name", TABLES)
def test_a_table_in_a_notebook(name: str) -> None:
    assert len(cells(MAKERS[name]()._repr_html_())) >= 2


def test_a_strategy_prints_what_differs_and_can_be_run() -> None:
    assert repr(dts.Strategy()) == "Strategy()"
    for strategy in (
        STRATEGY,
        dts.Strategy(zero=3, recompute="full", precision="fp8", schedule="zb_h1", pp=4, micro_batch=2),
    ):
        again = eval(repr(strategy), {"Strategy": dts.Strategy})
        assert again == strategy


def test_a_result_shows_its_breakdown() -> None:
    result = dts.simulate(*JOB, seq_len=4096)
    shown = cells(result._repr_html_())
    assert "forward" in shown
    assert sum(float(cell.removesuffix("%")) for cell in shown if cell.endswith("%")) == pytest.approx(100, abs=1)


def test_names_are_text_and_never_markup() -> None:
    html = table_html("<i>", ("<b>",), [("<script>",)]) + facts_html("&", {"<": "&"})
    assert "<script" not in html
    assert "<i>" not in html
    assert cells(html) == ["<b>", "<script>", "<", "&"]
