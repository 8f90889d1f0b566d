"""Structure of the figures: how many artists, where, in which colour and unit, and what each says about bad input."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dist_training_sim.errors import ConfigError
from dist_training_sim.visualization import Visualizer
from dist_training_sim.visualization.events import read_events
from dist_training_sim.visualization.heatmap import in_blocks
from dist_training_sim.visualization.selection import select_devices
from dist_training_sim.visualization.style import (
    KINDS,
    MEMORY,
    THEMES,
    colour_of_kind,
    colour_of_part,
    ink_on,
    memory_colours,
)
from dist_training_sim.visualization.ticks import byte_ticks, device_ticks, seconds_text, time_unit
from dist_training_sim.visualization.timeline import busy_share
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

GIB = 2.0**30


@dataclass(frozen=True)
class Event:
    name: str
    kind: str
    device: int
    stream: str
    start_s: float
    duration_s: float
    micro_batch: int = -1


def stages(count: int, alike: int = 1, delay_s: float = 1e-3) -> list[Event]:
    """`count` pipeline stages, each on `alike` devices: two forward and backward passes, a send and a reduction."""
    events = []
    for device in range(count * alike):
        start = delay_s * (device // alike)
        for i in range(2):
            events.append(Event(f"f{i}", "forward", device, "compute", start + i * 4e-3, 4e-3, i))
            events.append(Event(f"b{i}", "backward", device, "compute", start + 8e-3 + i * 8e-3, 8e-3, i))
        events.append(Event("send", "send_recv", device, "pp", start + 4e-3, 5e-5))
        events.append(Event("grads", "all_reduce", device, "dp", start + 20e-3, 6e-3))
    return events


def boxes(figure: Figure) -> dict[str, np.ndarray[Any, Any]]:
    """Corners of the boxes of each kind, shape (events, corners, 2)."""
    found = [c for c in figure.axes[0].collections if isinstance(c, PolyCollection)]
    return {str(c.get_gid()): np.array([np.asarray(path.vertices)[:4] for path in c.get_paths()]) for c in found}


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def ticks(figure: Figure, axis: str = "y", axes: int = 0) -> list[str]:
    chosen = figure.axes[axes]
    return [label.get_text() for label in (chosen.get_yticklabels() if axis == "y" else chosen.get_xticklabels())]


def title(figure: Figure) -> str:
    return figure.axes[0].get_title(loc="left")


def assert_nothing_is_cut(figure: Figure) -> None:
    """All text lies within the canvas, and no two tick labels of one axis overlap."""
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    tight = figure.get_tightbbox(renderer).transformed(figure.dpi_scale_trans)
    assert tight.x0 >= -1
    assert tight.y0 >= -1
    assert tight.x1 <= figure.bbox.x1 + 1
    assert tight.y1 <= figure.bbox.y1 + 1
    for axes in figure.axes:
        for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
            shown = [label for label in labels if label.get_text() and label.get_rotation() == 0]
            extents = [label.get_window_extent(renderer) for label in shown]
            for first, second in itertools.pairwise(extents):
                assert not first.overlaps(second), [label.get_text() for label in shown]


# --- timeline ---------------------------------------------------------------------------------------------------------


def test_timeline_draws_every_event_with_its_duration() -> None:
    events = stages(8)
    drawn = boxes(Visualizer().plot_training_timeline(events))
    assert set(drawn) == {"forward", "backward", "send_recv", "all_reduce"}
    for kind, corners in drawn.items():
        widths_ms = np.ptp(corners[:, :, 0], axis=1)
        expected_ms = [1e3 * e.duration_s for e in events if e.kind == kind]
        np.testing.assert_allclose(widths_ms, expected_ms, rtol=1e-9)
    starts_ms = sorted(drawn["all_reduce"][:, :, 0].min(axis=1))
    np.testing.assert_allclose(starts_ms, [20 + i for i in range(8)])


def test_timeline_axes_speak_of_units_devices_and_streams() -> None:
    figure = Visualizer().plot_training_timeline(stages(8))
    axes = figure.axes[0]
    assert axes.get_xlabel() == "Time (ms)"
    np.testing.assert_allclose(axes.get_xlim(), (0, 33))  # the last stage starts at 7 ms and reduces until 7 + 26
    assert ticks(figure) == [f"device {i}" for i in range(8)]
    assert [t.get_text() for t in axes.get_yticklabels(minor=True)] == ["dp", "pp"] * 8
    assert [t.get_text() for t in figure.legends[0].get_texts()] == [
        "Forward",
        "Backward",
        "All-reduce",
        "Send / receive",
    ]
    assert title(figure) == "8 devices: 33 ms from first to last event"


def test_lanes_do_not_overlap_and_device_zero_is_on_top() -> None:
    figure = Visualizer().plot_training_timeline(stages(3))
    low, high = figure.axes[0].get_ylim()
    assert low > high
    strips = sorted({(c[:, 1].min(), c[:, 1].max()) for corners in boxes(figure).values() for c in corners})
    assert len(strips) == 9  # three lanes on each of three devices
    assert all(upper[1] <= lower[0] + 1e-9 for upper, lower in itertools.pairwise(strips))


def test_micro_batch_numbers_show_where_they_fit() -> None:
    roomy = texts(Visualizer().plot_training_timeline(stages(2)))
    assert sorted(t for t in roomy if t.isdigit()) == ["0"] * 4 + ["1"] * 4
    tight = [Event("f", "forward", 0, "compute", i * 1e-3, 1e-3, i) for i in range(1000)]
    assert texts(Visualizer().plot_training_timeline(tight)) == ["100%", "stream\nbusy"]


def test_timeline_says_how_busy_each_device_computes() -> None:
    events = [Event("f", "forward", 0, "compute", 0.0, 0.5), Event("f", "forward", 1, "compute", 0.0, 2.0)]
    assert [t for t in texts(Visualizer().plot_training_timeline(events)) if "%" in t] == ["25%", "100%"]


def test_alike_devices_fold_into_one_row() -> None:
    figure = Visualizer().plot_training_timeline(stages(8, alike=64))
    assert ticks(figure) == [f"device {64 * i} (+63)" for i in range(8)]
    assert "512 devices in 8 groups that do exactly the same" in " ".join(texts(figure)).replace("\n", " ")
    assert len(boxes(figure)["forward"]) == 16


def test_too_many_different_devices_show_a_spread_with_the_slowest() -> None:
    events = stages(512, delay_s=1e-6)
    late = Event("late", "all_reduce", 300, "dp", 0.03, 0.05)
    figure = Visualizer().plot_training_timeline([*events, late])
    rows = ticks(figure)
    assert len(rows) == 16
    assert {"device 0", "device 300", "device 511"} <= set(rows)
    assert any("16 of 512 devices shown" in text for text in texts(figure))


def test_devices_can_be_chosen() -> None:
    figure = Visualizer().plot_training_timeline(stages(20), devices=[3, 17])
    assert ticks(figure) == ["device 3", "device 17"]
    assert any("2 of 20 devices shown" in text for text in texts(figure))
    with pytest.raises(ConfigError, match=r"devices: got 20, expected a device that has events \(0 to 19\)"):
        Visualizer().plot_training_timeline(stages(20), devices=[20])
    with pytest.raises(ConfigError, match="max_devices: got 0"):
        Visualizer().plot_training_timeline(stages(2), max_devices=0)


def test_rounding_noise_does_not_split_groups() -> None:
    noisy = [
        Event(e.name, e.kind, e.device, e.stream, e.start_s * (1 + 1e-13 * e.device), e.duration_s)
        for e in stages(2, alike=20)
    ]
    assert select_devices(read_events(noisy), None, 16).stands_for == {0: 20, 20: 20}


def test_mappings_and_enums_are_events_too() -> None:
    class Kind(Enum):
        ALL_REDUCE = 1

    as_mapping = {
        "name": "x",
        "kind": Kind.ALL_REDUCE,
        "device": np.int64(0),
        "stream": "DP",
        "start_s": 0,
        "duration_s": np.float32(2.0),
    }
    figure = Visualizer().plot_training_timeline([as_mapping])
    assert list(boxes(figure)) == ["all_reduce"]
    assert figure.axes[0].get_xlabel() == "Time (s)"


def test_unknown_kinds_are_drawn_as_other_and_named() -> None:
    figure = Visualizer().plot_training_timeline([Event("x", "data_load", 0, "host", 0.0, 1e-5)])
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["Other (data load)"]
    assert figure.axes[0].get_xlabel() == "Time (µs)"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"start_s": math.nan}, r"events\[1\].start_s: got nan"),
        ({"duration_s": -1.0}, r"events\[1\].duration_s: got -1.0, expected a finite number >= 0"),
        ({"duration_s": math.inf}, r"events\[1\].duration_s: got inf"),
        ({"duration_s": "1"}, r"events\[1\].duration_s: got '1'"),
        ({"device": -3}, r"events\[1\].device: got -3"),
        ({"device": True}, r"events\[1\].device: got True"),
        ({"kind": 7}, r"events\[1\].kind: got 7, expected a name"),
        ({"micro_batch": 1.5}, r"events\[1\].micro_batch: got 1.5"),
        ({"start_s": 1e308, "duration_s": 1e308}, "events: got a span of inf"),
    ],
)
def test_bad_events_are_named(change: dict[str, object], message: str) -> None:
    good = {"name": "x", "kind": "forward", "device": 0, "stream": "compute", "start_s": 0.0, "duration_s": 1.0}
    with pytest.raises(ConfigError, match=message):
        Visualizer().plot_training_timeline([good, {**good, **change}])


def test_all_problems_of_events_are_reported_together() -> None:
    bad = [Event("a", "forward", 0, "compute", -1.0, math.nan)] * 5
    with pytest.raises(ConfigError) as error:
        Visualizer().plot_training_timeline(bad)
    lines = str(error.value).splitlines()
    assert len(lines) == 8  # three entries and a count, for the start and for the duration
    assert "2 more such entries" in lines[3]
    with pytest.raises(ConfigError, match=r"events\[0\] and 1 more: got 'dict', expected an attribute or key 'device'"):
        Visualizer().plot_training_timeline([{"name": "a"}, {"name": "b"}])
    nothing: list[Any] = [[], "forward", 3, {}]
    for empty in nothing:
        with pytest.raises(ConfigError, match="events: got"):
            Visualizer().plot_training_timeline(empty)
    with pytest.raises(ConfigError, match="span of 0"):
        Visualizer().plot_training_timeline([Event("a", "forward", 0, "compute", 1.0, 0.0)])


def test_a_hundred_thousand_events_are_few_artists(tmp_path: Path) -> None:
    events = [
        Event(
            "x",
            ("forward", "backward", "all_reduce")[i % 3],
            i % 512,
            ("compute", "compute", "dp")[i % 3],
            i * 1e-5,
            9e-4,
        )
        for i in range(100_000)
    ]
    vis = Visualizer()
    fig = vis.plot_training_timeline(events)
    assert len(fig.findobj()) < 600  # boxes of a kind are one collection
    vis.save_figure(fig, tmp_path / "many.png")
    vis.save_figure(vis.plot_training_timeline(events, devices=range(200)), tmp_path / "many.svg")
    assert (tmp_path / "many.svg").stat().st_size < 2e6  # boxes by the ten thousand are embedded as an image


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from(list(KINDS)), st.floats(0, 1e3), st.floats(1e-6, 1e3)),
        min_size=1,
        max_size=30,
    )
)
def test_drawn_time_equals_event_time(rows: list[tuple[int, str, float, float]]) -> None:
    events = [Event("x", kind, device, "compute", start, duration) for device, kind, start, duration in rows]
    figure = Visualizer().plot_training_timeline(events)
    low, high = figure.axes[0].get_xlim()
    scale, _ = time_unit(max(e.start_s + e.duration_s for e in events) - min(e.start_s for e in events))
    drawn = sum(np.ptp(corners[:, :, 0], axis=1).sum() for corners in boxes(figure).values()) * scale
    assert drawn == pytest.approx(sum(e.duration_s for e in events), rel=1e-6)
    assert all(low <= x <= high for corners in boxes(figure).values() for x in corners[:, :, 0].ravel())


def test_busy_share_counts_overlaps_once() -> None:
    start, end = np.array([4.0, 0.0, 1.0]), np.array([5.0, 3.0, 2.0])
    assert busy_share(start, end, 8.0) == pytest.approx(0.5)


# --- communication ----------------------------------------------------------------------------------------------------


def ring(count: int, amount: float = GIB) -> list[list[float]]:
    return [[amount if column == (row + 1) % count else 0.0 for column in range(count)] for row in range(count)]


def arrows(figure: Figure) -> dict[str, FancyArrowPatch]:
    return {str(p.get_gid()): p for p in figure.axes[0].patches if isinstance(p, FancyArrowPatch)}


def test_ring_has_an_arrow_and_a_label_per_pair() -> None:
    figure = Visualizer().plot_communication_graph(ring(8))
    assert set(arrows(figure)) == {f"edge-{i}-{(i + 1) % 8}" for i in range(8)}
    assert texts(figure).count("1 GiB") == 8
    assert [t for t in texts(figure) if t.isdigit()] == [str(i) for i in range(8)]
    assert title(figure) == "8 devices exchange 8 GiB"
    assert len(figure.axes) == 1  # equal amounts need no colour bar


def test_arrows_grow_with_bytes() -> None:
    traffic = np.zeros((3, 3))
    traffic[0, 1], traffic[1, 2], traffic[2, 0] = 1e6, 2e6, 4e6
    figure = Visualizer().plot_communication_graph(traffic)
    widths = [arrows(figure)[edge].get_linewidth() for edge in ("edge-0-1", "edge-1-2", "edge-2-0")]
    assert widths == sorted(widths)
    assert len(set(widths)) == 3
    assert figure.axes[1].get_ylabel() == "Bytes sent"


@pytest.mark.parametrize("count", [1, 8, 64, 512])
def test_no_traffic_is_a_figure_too(count: int) -> None:
    figure = Visualizer().plot_communication_graph(np.zeros((count, count)))
    assert title(figure).startswith("No traffic")
    assert not arrows(figure)


def test_many_devices_become_a_heat_map_of_the_same_bytes() -> None:
    traffic = np.array(ring(64, 3e9)) + np.eye(64) * 5.0
    figure = Visualizer().plot_communication_graph(traffic)
    (image,) = figure.axes[0].images
    cells: np.ma.MaskedArray[Any, Any] = np.ma.asarray(image.get_array())
    assert float(cells.sum()) == pytest.approx(64 * 3e9)
    assert np.ma.getmaskarray(cells).sum() == 64 * 63
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == ("Receiving device", "Sending device")
    assert any("within devices not drawn" in text for text in texts(figure))


def test_layout_can_be_forced_and_is_checked() -> None:
    assert Visualizer().plot_communication_graph(ring(4), layout="matrix").axes[0].images
    assert len(arrows(Visualizer().plot_communication_graph(ring(40), layout="graph"))) == 40
    with pytest.raises(ConfigError, match="layout: got 'tree', expected one of auto, graph, circle, grid"):
        Visualizer().plot_communication_graph(ring(4), layout="tree")
    with pytest.raises(ConfigError, match="at most 128 devices, not 129; use 'matrix'"):
        Visualizer().plot_communication_graph(ring(129), layout="graph")


def test_blocks_conserve_bytes() -> None:
    traffic = np.random.default_rng(0).random((1500, 1500))
    cells, block = in_blocks(traffic)
    assert (block, cells.shape) == (3, (500, 500))
    assert cells.sum() == pytest.approx(traffic.sum())
    assert cells[0, 1] == pytest.approx(traffic[:3, 3:6].sum())


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([], "comm_adjacency: got an empty sequence"),
        ([[0.0, 1.0]], r"comm_adjacency\[0\]: got '2 entries in the row', expected 1"),
        ([[0.0, 1.0], [1.0]], r"comm_adjacency\[1\]: got '1 entries in the row', expected 2"),
        ([[0.0, math.nan], [-1.0, 0.0]], r"\[0\]\[1\]: got nan.*\n.*\[1\]\[0\]: got -1.0"),
        (np.array([1.0, 2.0]), r"comm_adjacency\[0\]: got float64, expected a sequence"),
        ([[0.0, 1.7e308], [1.7e308, 0.0]], "sum overflows"),
        ("ring", "comm_adjacency: got str"),
        (None, "comm_adjacency: got NoneType"),
    ],
)
def test_bad_matrices_are_named(bad: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Visualizer().plot_communication_graph(bad)


# --- scaling, breakdown, memory ---------------------------------------------------------------------------------------


def test_scaling_shows_throughput_ideal_and_efficiency() -> None:
    figure = Visualizer().plot_scaling_efficiency(
        num_devices=[1, 2, 4, 8, 16, 32], throughput=[100, 195, 380, 740, 1400, 2600]
    )
    left, right = figure.axes
    ideal, measured = left.get_lines()
    np.testing.assert_allclose(np.asarray(ideal.get_ydata()), [100, 200, 400, 800, 1600, 3200])
    np.testing.assert_allclose(np.asarray(measured.get_ydata()), [100, 195, 380, 740, 1400, 2600])
    np.testing.assert_allclose(np.asarray(right.get_lines()[1].get_ydata()), [100, 97.5, 95, 92.5, 87.5, 81.25])
    assert [t.get_text() for t in right.texts] == ["100%", "97.5%", "95%", "92.5%", "87.5%", "81.2%"]
    for axes in (left, right):
        assert axes.get_xscale() == "log"
        assert [t.get_text() for t in axes.get_xticklabels()] == ["1", "2", "4", "8", "16", "32"]
    assert figure.texts[0].get_text() == "81.2% efficient at 32 devices, relative to 1"


def test_scaling_sorts_and_keeps_superlinear_points_in_view() -> None:
    figure = Visualizer().plot_scaling_efficiency([16, 8], [300, 100], unit="tokens/s", title="Cache effect")
    assert np.asarray(figure.axes[1].get_lines()[1].get_ydata()).tolist() == [100, 150]
    assert figure.axes[1].get_ylim()[1] > 150
    assert figure.axes[0].get_ylabel() == "Throughput (tokens/s)"
    assert figure.texts[0].get_text() == "Cache effect"


def test_scaling_names_every_problem() -> None:
    with pytest.raises(ConfigError) as error:
        Visualizer().plot_scaling_efficiency([0, 2.5, 4, 4], [1.0, math.nan, -2.0])
    message = str(error.value)
    for part in (
        "throughput: got '3 values', expected 4",
        "num_devices[0]: got 0",
        "num_devices[1]: got 2.5",
        "each device count once",
        "throughput[1]: got nan",
        "throughput[2]: got -2.0",
    ):
        assert part in message
    with pytest.raises(ConfigError, match="num_devices: got an empty sequence"):
        Visualizer().plot_scaling_efficiency([], [])


def rectangles(figure: Figure) -> list[Rectangle]:
    return [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]


def test_breakdown_bars_are_a_chain_that_ends_at_the_step() -> None:
    parts = {"forward": 0.1, "backward": 0.2, "exposed_dp": 0.06, "exposed_cp": 0.0, "pipeline_s": 0.04}
    figure = Visualizer().plot_step_breakdown(parts)
    bars = rectangles(figure)
    assert [bar.get_width() for bar in bars] == pytest.approx([100, 200, 60, 40])  # ms
    assert [bar.get_x() for bar in bars] == pytest.approx([0, 100, 300, 360])
    assert [to_hex(bar.get_facecolor()).upper() for bar in bars] == [colour_of_part(n) for n, v in parts.items() if v]
    assert ticks(figure) == ["forward", "backward", "exposed dp", "pipeline bubble"]
    assert title(figure) == "400 ms step: 50% is backward"
    assert texts(figure)[1] == "200 ms  ·  50.0%"


def test_memory_stacks_to_the_total_and_judges_the_fit() -> None:
    per_stage = {
        f"stage {i}": {"activations": (4 - i) * 10 * GIB, "weights": 30 * GIB, "kv_cache": i * GIB} for i in range(4)
    }
    figure = Visualizer().plot_memory(per_stage, 64 * GIB)
    axes = figure.axes[0]
    tops = np.zeros(4)
    for bar in rectangles(figure):
        index = round(bar.get_x() + bar.get_width() / 2)
        assert bar.get_y() == pytest.approx(tops[index])
        tops[index] += bar.get_height()
    np.testing.assert_allclose(tops, [70, 61, 52, 43])
    assert np.asarray(axes.get_lines()[0].get_ydata())[0] == 64
    assert axes.get_ylabel() == "Memory per device (GiB)"
    assert title(figure) == "Does not fit: 70 GiB at most (stage 0), 109% of 64 GiB"
    assert "70 GiB\ntoo much" in texts(figure)
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["Weights", "Activations", "kv cache"]
    assert title(Visualizer().plot_memory(per_stage, 80 * GIB)).startswith("Fits: 70 GiB")


@pytest.mark.parametrize(
    "amounts",
    [{}, {"a": math.nan}, {"a": -1}, {"a": "1"}, {"a": 0}, {1: 1.0}, [1.0], {"a": True}, {"a": 1e308, "b": 1e308}],
)
def test_bad_amounts_are_named(amounts: Any) -> None:
    with pytest.raises(ConfigError, match="breakdown"):
        Visualizer().plot_step_breakdown(amounts)
    with pytest.raises(ConfigError, match=r"stages\['s'\]"):
        Visualizer().plot_memory({"s": amounts})


def test_bad_stages_and_capacities_are_named() -> None:
    with pytest.raises(ConfigError, match=r"stages: got \{\}, expected a mapping"):
        Visualizer().plot_memory({})
    with pytest.raises(ConfigError, match="capacity_bytes: got nan"):
        Visualizer().plot_memory({"s": {"weights": 1.0}}, math.nan)


# --- style, layout, files ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", list(THEMES))
@pytest.mark.parametrize("count", [1, 8, 64, 512])
def test_no_label_is_cut_or_overlaps(theme: str, count: int) -> None:
    vis = Visualizer(theme)
    figures = [
        vis.plot_training_timeline(stages(count)),
        vis.plot_communication_graph(np.array(ring(count)) * np.arange(1, count + 1)[:, None]),
        vis.plot_scaling_efficiency(range(1, count + 1), [100 * n**0.9 for n in range(1, count + 1)]),
        vis.plot_step_breakdown({f"part_{i}": 1e-3 * (i + 1) for i in range(min(count, 12))}),
        vis.plot_memory({f"stage {i}": {"weights": GIB, "activations": GIB * (i + 1)} for i in range(count)}, 99 * GIB),
    ]
    for figure in figures:
        assert to_hex(figure.get_facecolor()).upper() == THEMES[theme].background
        assert_nothing_is_cut(figure)


def test_names_are_drawn_literally_and_long_titles_wrap() -> None:
    vis = Visualizer()
    figure = vis.plot_step_breakdown({"cost $x_1$": 1.0, "$": 2.0}, title="A $\\bad title$ " * 20)
    assert_nothing_is_cut(figure)
    assert title(figure).count("\n") >= 2


def _seen(colour: str, matrix: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """CIELAB of a colour after a linear-RGB vision-deficiency matrix."""
    srgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.clip(matrix @ np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4), 0, 1)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = to_xyz @ linear / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("palette", [KINDS, MEMORY])
def test_colours_keep_apart_for_colour_blind_readers(palette: dict[str, tuple[str, str]]) -> None:
    vision = {  # Machado, Oliveira, Fernandes 2009, severity 1
        "normal": np.eye(3),
        "deuteranope": np.array(
            [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
        ),
        "protanope": np.array(
            [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
        ),
    }
    for (name, matrix), (one, other) in itertools.product(vision.items(), itertools.combinations(palette, 2)):
        distance = np.linalg.norm(_seen(palette[one][0], matrix) - _seen(palette[other][0], matrix))
        assert distance > 12, f"{one} and {other} look alike to a {name} reader"


def test_one_category_has_one_colour_in_every_figure() -> None:
    vis = Visualizer()
    timeline = vis.plot_training_timeline(stages(1)).axes[0].collections[0]
    breakdown = vis.plot_step_breakdown({str(timeline.get_gid()): 1.0}).axes[0].patches[0]
    assert to_hex(np.asarray(timeline.get_facecolor())[0]) == to_hex(breakdown.get_facecolor())
    assert colour_of_kind("no such kind") == KINDS["other"][0]
    assert colour_of_part("exposed_tp") == colour_of_part("communication") != colour_of_part("pipeline")


def test_unknown_memory_categories_take_free_colours() -> None:
    colours = memory_colours(["weights", "kv_cache", "scratch"])
    assert colours["weights"] == MEMORY["weights"][0]
    assert len(set(colours.values())) == 3


def test_ink_reads_on_dark_and_light() -> None:
    assert (ink_on("#0B3C6F"), ink_on("#F4E04D")) == ("#FFFFFF", "#000000")


def test_units_and_ticks() -> None:
    assert [time_unit(s)[1] for s in (2.0, 0.5, 5e-5, 1e-8)] == ["s", "ms", "µs", "ns"]
    assert seconds_text(3e-4) == "300 µs"
    assert byte_ticks(0.0, 4 * GIB) == [i * GIB for i in range(5)]
    assert byte_ticks(1.0, 16.0) == pytest.approx([1, 2, 4, 8, 16])
    assert device_ticks(512) == list(range(0, 512, 64))
    assert device_ticks(8) == list(range(8))


def test_unknown_theme_lists_the_known() -> None:
    with pytest.raises(ConfigError, match="theme: got 'blue', expected one of light, dark"):
        Visualizer("blue")


@pytest.mark.parametrize(
    ("suffix", "magic"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF"), (".PNG", b"\x89PNG")]
)
def test_save_writes_the_format_of_the_suffix_the_same_each_time(tmp_path: Path, suffix: str, magic: bytes) -> None:
    vis = Visualizer()
    contents = []
    for name in ("one", "two"):
        figure = vis.plot_scaling_efficiency([1, 2], [10, 19])
        assert vis.save_figure(figure, str(tmp_path / (name + suffix))) == tmp_path / (name + suffix)
        contents.append((tmp_path / (name + suffix)).read_bytes())
    assert contents[0].startswith(magic)
    assert contents[0] == contents[1]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one" + suffix, "two" + suffix]


def test_save_refuses_unknown_suffixes_folders_and_objects(tmp_path: Path) -> None:
    vis = Visualizer()
    figure = vis.plot_scaling_efficiency([1, 2], [10, 19])
    with pytest.raises(ConfigError, match=r"got '[^']*jpg', expected a name that ends in .png or .svg or .pdf"):
        vis.save_figure(figure, tmp_path / "a.jpg")
    with pytest.raises(ConfigError, match="existing folder; create"):
        vis.save_figure(figure, tmp_path / "none" / "a.png")
    with pytest.raises(ConfigError, match="fig: got str, expected a figure of Visualizer"):
        vis.save_figure("figure", tmp_path / "a.png")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_a_failed_save_leaves_the_old_file_and_no_draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vis = Visualizer()
    figure = vis.plot_scaling_efficiency([1, 2], [10, 19])
    (tmp_path / "a.png").write_bytes(b"old")

    def fail(self: Figure, target: object, **_: object) -> None:
        target.write(b"half")  # type: ignore[attr-defined]
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        vis.save_figure(figure, tmp_path / "a.png")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a.png", b"old")]


def test_importing_the_package_does_not_import_matplotlib() -> None:
    code = "import sys, dist_training_sim.visualization as v; v.Visualizer(); assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_figures_leave_pyplot_alone() -> None:
    code = (
        "import sys; from dist_training_sim.visualization import Visualizer as V; "
        "V().plot_scaling_efficiency([1, 2], [1, 2]); assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(("name", "bars"), [("16xgb200-nvl72", ["nvl72: 64 devices of 16 nodes"]), ("2xdgx-h100", [])])
def test_fabrics_that_join_nodes_are_drawn_along_them(name: str, bars: list[str]) -> None:
    shown = texts(Visualizer().plot_topology(name))
    assert [text for text in shown if "devices of" in text and "domain" not in text] == bars
