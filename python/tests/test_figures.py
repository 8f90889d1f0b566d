"""What the figures say: structure, notes, layouts, bad input, interactive form, files and their rights."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path
from typing import Any

import dist_training_sim as dts
import numpy as np
import pytest
from dist_training_sim.errors import ConfigError, MissingDataError
from dist_training_sim.visualization import Visualizer
from dist_training_sim.visualization.events import read_events
from dist_training_sim.visualization.pareto import on_front
from dist_training_sim.visualization.places import circle, grid, grid_shape, nodes
from figure_gallery import BREAKDOWN, GIB, OPS, choices, figures, passes, traffic
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.patches import FancyArrowPatch
from test_visualization import assert_nothing_is_cut

NAMES = sorted(figures(Visualizer()))
VIS = Visualizer()
NAN = math.nan


def heading(figure: Any) -> str:
    return str(figure.axes[0].get_title(loc="left"))


def texts(figure: Any) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def legend(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


# --- pipeline and timeline --------------------------------------------------------------------------------------------


def test_pipeline_shows_passes_by_chunk_and_the_share_of_waiting() -> None:
    figure = VIS.plot_pipeline(passes(devices=4, chunks=2, micro_batches=4))
    assert legend(figure) == [
        *("Forward, chunk 0", "Forward, chunk 1", "Backward, chunk 0", "Backward, chunk 1", "Optimizer", "Waiting")
    ]
    kinds = {str(c.get_gid()) for c in figure.axes[0].collections if isinstance(c, PolyCollection)}
    assert kinds == {"forward", "backward", "optimizer"}  # no collectives
    busy_s, span_s = 4 * 2 * 3e-3 + 1e-3, 3e-3 + 4 * 2 * 3e-3 + 3e-3 + 1e-3
    assert f"wait {1 - busy_s / span_s:.0%}" in heading(figure)
    assert heading(figure).startswith("4 micro-batches in 31 ms")


def test_chunks_are_told_by_the_virtual_stages_of_a_device() -> None:
    table = read_events(passes(devices=2, chunks=3, micro_batches=1))
    assert set(table.chunk[table.device == 1].tolist()) == {0, 1, 2}
    v_shape = [{**event, "stage": {0: 0, 2: 3}.get(event["stage"], event["stage"])} for event in passes(2, 2, 1)
               if "stage" in event]  # fmt: skip
    assert read_events(v_shape).chunk.max() == 1


def test_pipeline_takes_a_result_and_matches_its_bubble() -> None:
    strategy = dts.Strategy(pp=4, tp=2, global_batch=8, zero=1)
    result = dts.simulate("llama-3.1-8b", "1xdgx-h100", strategy, seq_len=4096)
    figure = VIS.plot_pipeline(result)
    assert heading(figure).startswith("8 micro-batches")
    with pytest.raises(ConfigError, match="expected the passes of a pipeline"):
        VIS.plot_pipeline([event for event in passes() if event["kind"] == "all_reduce"])


def test_a_window_cuts_events_at_its_ends() -> None:
    table = read_events(passes()).within((4e-3, 6.5e-3))
    assert table.start_s.min() == pytest.approx(4e-3)
    assert table.end_s.max() == pytest.approx(6.5e-3)
    axes = VIS.plot_training_timeline(passes(), window_s=(4e-3, 6.5e-3)).axes[0]
    np.testing.assert_allclose(axes.get_xlim(), (4, 6.5))


@pytest.mark.parametrize("window", [(2.0, 1.0), (1.0,), "ab", (NAN, 1.0), (-1.0, 0.01), (50.0, 60.0), None.__class__])
def test_bad_windows_are_named(window: Any) -> None:
    with pytest.raises(ConfigError, match="window_s"):
        VIS.plot_training_timeline(passes(), window_s=window)


# --- traffic and networks ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["circle", "grid", "nodes"])
def test_every_layout_draws_the_same_arrows(layout: str) -> None:
    axes = VIS.plot_communication_graph(traffic(), layout=layout).axes[0]
    drawn = {str(p.get_gid()) for p in axes.patches if isinstance(p, FancyArrowPatch)}
    assert drawn == {f"edge-{i}-{j}" for i, j in np.argwhere(traffic() > 0)}


def test_devices_stand_apart_in_every_layout() -> None:
    for places in (circle(64), grid(8, 8), grid(3, 3, 3), grid(4, 4, 4), nodes(64, 8), nodes(16, 8), nodes(6, 1)):
        apart = np.linalg.norm(places[:, None] - places[None], axis=2) + 9 * np.eye(len(places))
        assert apart.min() > 0.02


def test_devices_per_node_must_divide_the_devices() -> None:
    with pytest.raises(ConfigError, match="devices_per_node: got 3, expected a divisor of the 8 devices"):
        VIS.plot_communication_graph(traffic(), layout="nodes", devices_per_node=3)
    with pytest.raises(ConfigError, match=r"layout: got 'x'.*\ndevices_per_node: got 0"):
        VIS.plot_communication_graph(traffic(), layout="x", devices_per_node=0)


@pytest.mark.parametrize(
    ("topology", "shape"), [("torus_2d", (4, 4, 1)), ("mesh_2d", (4, 4, 1)), ("torus_3d", (2, 2, 4))]
)
def test_the_shape_of_a_grid_is_read_off_its_links(topology: str, shape: tuple[int, int, int]) -> None:
    links = dts.CommunicationModel(16, topology).topology_links()
    found = grid_shape(16, ((link.a, link.b) for link in links))
    assert sorted(found) == sorted(shape)
    assert math.prod(found) == 16


@pytest.mark.parametrize("topology", [t for t in dts.Topology if t.name != "CUSTOM"])
@pytest.mark.parametrize("count", [1, 8, 27, 64])
def test_a_topology_draws_every_cable_and_vertex(topology: dts.Topology, count: int) -> None:
    model = dts.CommunicationModel(count, topology)
    figure = VIS.plot_topology(model)
    links = model.topology_links()
    vertices = max([count, *(max(link.a, link.b) + 1 for link in links)])
    dots = [c for c in figure.axes[0].collections if isinstance(c, PathCollection)]
    assert sum(len(np.asarray(c.get_offsets())) for c in dots) == vertices
    cables = {(min(link.a, link.b), max(link.a, link.b)) for link in links}
    lines = sum(len(c.get_segments()) for c in figure.axes[0].collections if isinstance(c, LineCollection))
    assert lines >= len(cables)  # a link round a torus is two stubs
    assert all(np.isfinite(c.get_offsets()).all() for c in dots)


def test_a_cluster_is_drawn_with_its_facts() -> None:
    figure = VIS.plot_topology("64xdgx-h100")
    said = texts(figure)
    assert heading(figure).startswith("64xdgx-h100: 512 x h100")
    assert "8 NICs x 400 Gb/s" in said
    assert "... and\n60 more" in said
    mixed = VIS.plot_topology(dts.Cluster.from_catalog("1xdgx-h100+1xdgx-a100"))
    assert {"8 NICs x 400 Gb/s", "8 NICs x 200 Gb/s"} <= set(texts(mixed))


@pytest.mark.parametrize("network", [3, "no-such-node", dts.CommunicationModel(5000, "ring")])
def test_networks_that_cannot_be_drawn_are_named(network: Any) -> None:
    with pytest.raises(ConfigError):
        VIS.plot_topology(network)


def test_collectives_take_estimates_and_pairs() -> None:
    swept = dts.verbs.collective_sweep("all-reduce", "2xdgx-h100", largest="1 MiB")
    figure = VIS.plot_collectives({"H100": swept}, {"H100": [(2.0**20, 5e9)]})
    line, points = figure.axes[0].get_lines()
    assert np.asarray(line.get_ydata())[-1] == pytest.approx(swept[-1].busbw_Bps / 1e9)
    assert line.get_color() == points.get_color()
    assert (line.get_marker(), points.get_linestyle()) == ("None", "None")
    times = VIS.plot_collectives({"H100": swept}, bandwidth=False).axes[0].get_lines()[0]
    assert np.asarray(times.get_ydata())[0] == pytest.approx(swept[0].time_s)


@pytest.mark.parametrize(("predicted", "message"), [
    ({}, "series: got nothing"),
    ([1], "predicted: got list, expected a mapping"),
    ({"a": []}, r"predicted\['a'\]: got an empty sequence"),
    ({"a": [3]}, r"predicted\['a'\]\[0\]: got 3, expected a pair"),
    ({"a": [(1.0, NAN)]}, r"predicted\['a'\]\[0\].value: got nan"),
    ({"a": [(0, 1.0)]}, r"predicted\['a'\]\[0\].size_bytes: got 0"),
])  # fmt: skip
def test_bad_collectives_are_named(predicted: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        VIS.plot_collectives(predicted)


def test_scaling_shows_its_interval() -> None:
    figure = VIS.plot_scaling_efficiency([4, 1, 2], [380, 100, 195], low=[350, 90, 180], high=[400, 120, 210])
    band = next(c for c in figure.axes[0].collections if isinstance(c, PolyCollection)).get_paths()[0].vertices
    corners = np.asarray(band)
    assert {(1.0, 90.0), (1.0, 120.0), (4.0, 350.0)} <= {(float(x), float(y)) for x, y in corners}
    band = next(c for c in figure.axes[1].collections if isinstance(c, PolyCollection)).get_paths()[0].vertices
    ends = {float(y) for x, y in np.asarray(band) if x == 1.0}
    assert ends == {100.0}, "the efficiency of the reference has no error"
    assert {round(float(y), 6) for x, y in np.asarray(band) if x == 4.0} == {87.5, 100.0}
    named = VIS.plot_scaling_efficiency([1, 2], [1, 2], low=[1, 2], high=[1, 2], interval="90 % interval")
    assert named.axes[0].get_legend_handles_labels()[1] == ["Perfect scaling", "Throughput", "90 % interval"]
    for low, high, message in (([1], [2], "low: got '1 values'"), ([90, 200], [120, 210], "an interval around 195"),
                               (None, [1, 2], "low: got None, expected values beside high")):  # fmt: skip
        with pytest.raises(ConfigError, match=message):
            VIS.plot_scaling_efficiency([1, 2], [100, 195], low=low, high=high)


# --- choices ----------------------------------------------------------------------------------------------------------


def test_tornado_is_ordered_by_span_and_coloured_by_worth() -> None:
    figure = VIS.plot_sensitivity(4.0, {"small": (3.9, 4.1), "large": (3.5, 5.0), "one-sided": 3.6})
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["large", "one-sided", "small"]
    assert {"-12.5%", "+25.0%", "-10.0%"} <= set(texts(figure))
    up = VIS.plot_sensitivity(100.0, {"more": (90.0, 120.0)}, higher_is_better=True, quantity="Throughput", unit="")
    left = axes.patches[0].get_facecolor()
    assert left != up.axes[0].patches[0].get_facecolor()  # lower is better in one, worse in the other


@pytest.mark.parametrize(("base", "effects", "message"), [
    (4.0, {}, "effects: got an empty mapping"),
    (4.0, [1.0], "effects: got list"),
    (NAN, {"a": 1.0}, "base: got nan"),
    (4.0, {"a": (1.0, 2.0, 3.0)}, r"effects\['a'\]: got .* expected one number or a pair"),
    (4.0, {"a": (1.0, NAN), "b": "x"}, r"(?s)effects\['a'\].*effects\['b'\]"),
])  # fmt: skip
def test_bad_effects_are_named(base: float, effects: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        VIS.plot_sensitivity(base, effects)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=40))
def test_front_is_what_no_other_choice_beats(pairs: list[tuple[int, int]]) -> None:
    cost = np.array(pairs, dtype=float)
    beaten = [any((other <= own).all() and (other < own).any() for other in cost) for own in cost]
    assert on_front(cost).tolist() == [not one for one in beaten]


def test_pareto_front_can_be_maximised() -> None:
    rows = [{"rate": 10.0, "cost": 1.0}, {"rate": 20.0, "cost": 2.0}, {"rate": 5.0, "cost": 3.0}]
    assert heading(VIS.plot_pareto_front(rows, "cost", "rate", maximise="rate")).startswith("2 of 3 choices")
    assert heading(VIS.plot_pareto_front(rows, "cost", "rate")).startswith("2 of 3 choices")
    with pytest.raises(ConfigError, match="maximise: got"):
        VIS.plot_pareto_front(rows, "cost", "rate", maximise="speed")


@pytest.mark.parametrize(("records", "message"), [
    ([], "records: got an empty sequence"),
    (5, "records: got int"),
    ([3], r"records\[0\]: got 3"),
    ([{"x": 1.0}], r"records\[0\]: got no 'step_time_s'"),
    ([{"step_time_s": NAN, "reserved_bytes": 1.0}], r"records\[0\].step_time_s: got nan"),
    ([{"step_time_s": "slow", "reserved_bytes": 1.0}], r"records\[0\].step_time_s: got 'slow'"),
])  # fmt: skip
def test_bad_records_are_named(records: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        VIS.plot_pareto_front(records, "step_time_s", "reserved_bytes")
    if records != [{"x": 1.0}]:
        with pytest.raises(ConfigError):
            VIS.plot_search(records, "step_time_s")


def test_search_draws_every_choice_and_marks_the_best() -> None:
    rows = choices()
    figure = VIS.plot_search(rows, "step_time_s", fields=["tp", "pp", "recompute"])
    lines = next(c for c in figure.axes[0].collections if isinstance(c, LineCollection))
    assert len(lines.get_segments()) == len(rows)
    best = min(rows, key=lambda row: row["step_time_s"])
    assert any(f"tp {best['tp']}, pp {best['pp']}, recompute {best['recompute']}" in text for text in texts(figure))
    most = VIS.plot_search(rows, "step_time_s", fields=["tp"], maximise=True)
    assert any("tp 8" in text for text in texts(most))


def test_roofline_places_ops_by_intensity_and_rate() -> None:
    figure = VIS.plot_roofline(OPS, {"bf16": 989e12}, 3.35e12)
    dots = np.concatenate([c.get_offsets() for c in figure.axes[0].collections if isinstance(c, PathCollection)])
    expected = [(op["flops"] / op["bytes"], op["flops"] / op["time_s"]) for op in OPS]
    np.testing.assert_allclose(sorted(map(tuple, dots.tolist())), sorted(expected))
    bound = sum(op["time_s"] for op in OPS if op["flops"] / op["bytes"] < 989e12 / 3.35e12)
    assert heading(figure).startswith(f"{bound / sum(op['time_s'] for op in OPS):.0%} of the time")


@pytest.mark.parametrize(("ops", "peak", "rate", "message"), [
    ([], 1e12, 1e12, "ops: got an empty sequence"),
    ([{"name": "a", "flops": 0, "bytes": 1, "time_s": 1}], 1e12, 1e12, "got none with FLOPs"),
    (OPS, {}, 1e12, "peak_flops"),
    (OPS, -1.0, NAN, r"(?s)peak_flops: got -1.0.*memory_Bps: got nan"),
    ([{"name": "a", "flops": 1.0, "bytes": 0, "time_s": 1}], 1e12, 1e12, r"ops\[0\].bytes: got 0"),
    ([{"flops": 1.0, "bytes": 1.0}], 1e12, 1e12, "got no 'time_s'"),
])  # fmt: skip
def test_bad_ops_are_named(ops: Any, peak: Any, rate: float, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        VIS.plot_roofline(ops, peak, rate)


def test_agreement_counts_what_lies_in_the_band() -> None:
    figure = VIS.plot_predicted_vs_measured([1.0, 1.1, 2.0], [1.0, 1.0, 1.0], groups=["a", "a", "b"])
    assert heading(figure) == "Step time of 3 runs: median error 10.0%"
    assert any(text.startswith("67% lie in the grey band") for text in texts(figure))
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert [t.get_text() for t in legend.get_texts()] == ["a (2)", "b (1)"]


@pytest.mark.parametrize(("predicted", "measured", "groups"), [
    ([], [], None), ([1.0], [1.0, 2.0], None), ([NAN], [1.0], None), ([1.0], [0.0], None), ([1.0], [1.0], ["a", "b"]),
])  # fmt: skip
def test_bad_pairs_are_named(predicted: Any, measured: Any, groups: Any) -> None:
    with pytest.raises(ConfigError, match=r"predicted|measured|groups"):
        VIS.plot_predicted_vs_measured(predicted, measured, groups=groups)


# --- results as input -------------------------------------------------------------------------------------------------


def test_figures_take_results_as_they_are() -> None:
    result = dts.simulate("llama-3.1-8b", "1xdgx-h100", dts.Strategy(pp=2, zero=1, global_batch=16), seq_len=4096)
    assert len(VIS.plot_memory(result).axes[0].get_xticks()) == 2
    assert heading(VIS.plot_step_breakdown(result)) == heading(VIS.plot_step_breakdown(result.breakdown))
    simulator = dts.TrainingSimulator(dts.CommunicationModel(4), dts.ComputeModel(4), dts.MemoryModel(4))
    simulator.set_batch_size(32)
    simulator.set_model_size(parameters=250e6, activations=10e6)
    iteration = simulator.simulate_training_iteration()
    for figure in (VIS.plot_training_timeline(iteration), VIS.plot_communication_graph(iteration),
                   VIS.plot_step_breakdown(iteration), VIS.plot_memory(iteration)):  # fmt: skip
        assert heading(figure)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_cut_in_any_figure(name: str) -> None:
    assert_nothing_is_cut(figures(VIS)[name]())


def test_parts_of_a_step_carry_their_names() -> None:
    axes = VIS.plot_step_breakdown(BREAKDOWN).axes[0]
    assert [t.get_text() for t in axes.get_yticklabels()][:3] == ["forward", "backward", "recomputation"]
    assert len({tuple(bar.get_facecolor()) for bar in axes.patches}) >= 7  # not one grey


# --- interactive ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_has_an_interactive_form(name: str) -> None:
    go = pytest.importorskip("plotly.graph_objects", reason="the extra [interactive] brings plotly")
    still, moving = figures(VIS)[name](), figures(Visualizer(interactive=True))[name]()
    assert isinstance(moving, go.Figure)
    shown = " ".join(annotation.text for annotation in moving.layout.annotations)
    title = heading(still) or still.texts[0].get_text()
    assert title.split()[0] in shown
    numbers = [value for trace in moving.data for value in (trace.x if trace.x is not None else ())]
    assert numbers
    assert all(value is None or math.isfinite(value) for value in numbers)


def test_interactive_axes_keep_range_scale_and_ticks() -> None:
    pytest.importorskip("plotly", reason="the extra [interactive] brings plotly")
    still = VIS.plot_training_timeline(passes())
    moving: Any = Visualizer("dark", interactive=True).plot_training_timeline(passes())
    assert tuple(moving.layout.xaxis.range) == pytest.approx(still.axes[0].get_xlim())
    assert tuple(moving.layout.yaxis.range) == pytest.approx(still.axes[0].get_ylim())
    assert "device 7" in moving.layout.yaxis.ticktext
    assert moving.layout.paper_bgcolor.upper() == "#1B1F24"
    told = [text for trace in moving.data for text in (trace.hovertext or ())]
    assert "forward mb 0, device 0, compute: 0 ns + 1 ms" in told
    log: Any = Visualizer(interactive=True).plot_roofline(OPS, 1e15, 3e12)
    assert log.layout.xaxis.type == log.layout.yaxis.type == "log"


def test_without_plotly_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plotly", None)
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    with pytest.raises(MissingDataError, match=r"pip install 'dist-training-sim\[interactive\]'"):
        Visualizer(interactive=True).plot_step_breakdown(BREAKDOWN)
    with pytest.raises(ConfigError, match="interactive: got 'yes'"):
        Visualizer(interactive="yes")  # type: ignore[arg-type]


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("interactive", [False, True])
def test_pages_need_no_network(tmp_path: Path, interactive: bool) -> None:
    if interactive:
        pytest.importorskip("plotly", reason="the extra [interactive] brings plotly")
    vis = Visualizer(interactive=interactive)
    page = vis.save_figure(vis.plot_step_breakdown(BREAKDOWN), tmp_path / "step.html").read_text(encoding="utf-8")
    head = page.split("<svg")[0] if not interactive else page.split("<script")[0]
    assert "<html" in page
    assert 'src="http' not in page
    assert "http" not in head
    again = vis.save_figure(vis.plot_step_breakdown(BREAKDOWN), tmp_path / "again.html")
    assert again.read_text(encoding="utf-8") == page
    if interactive:
        with pytest.raises(
            ConfigError, match=r"got '[^']*png', expected a name that ends in .html; an interactive figure is a page"
        ):
            vis.save_figure(vis.plot_step_breakdown(BREAKDOWN), tmp_path / "step.png")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077])
def test_saved_figures_obey_the_umask(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        saved = VIS.save_figure(VIS.plot_step_breakdown(BREAKDOWN), tmp_path / "step.png")
    finally:
        os.umask(before)
    assert saved.stat().st_mode & 0o777 == 0o666 & ~mask


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.png").write_bytes(b"old")
    try:
        (tmp_path / "link.png").symlink_to(tmp_path / "real.png")
    except OSError:
        pytest.skip("no right to make links here")
    VIS.save_figure(VIS.plot_step_breakdown(BREAKDOWN), tmp_path / "link.png")
    assert (tmp_path / "link.png").is_symlink()
    assert (tmp_path / "real.png").read_bytes().startswith(b"\x89PNG")


def test_figures_show_themselves_in_a_notebook() -> None:
    picture = VIS.plot_memory({"s": {"weights": GIB}})._repr_png_()  # type: ignore[attr-defined]
    assert picture.startswith(b"\x89PNG")
    assert repr(Visualizer("dark", interactive=True)) == "Visualizer('dark', interactive=True)"
