"""`dts fit`: verdicts, remedies, memory over time, exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import dist_training_sim as dts
import numpy as np
import pytest
from dist_training_sim import Strategy
from dist_training_sim._core import CachingAllocator
from dist_training_sim.cli.app import app
from dist_training_sim.verbs.fit_changes import changes_of
from dist_training_sim.verbs.memory_timeline import CATEGORIES
from dist_training_sim.visualization import Visualizer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

SMALL: dict[str, Any] = {"model": "llama-3.1-8b", "cluster": "1xdgx-h100", "seq_len": 4096}
TOO_MUCH = Strategy(dp=8, zero=1, micro_batch=8, global_batch=64)


def test_a_job_that_fits_needs_no_remedy() -> None:
    report = dts.fit(**SMALL, strategy=Strategy(zero=3, recompute="full", global_batch=8))
    assert report.fits
    assert report.verdict == "fits"
    assert not report.remedies
    stage = report.stages[0]
    assert stage.used_bytes == stage.reserved_bytes + stage.outside_bytes
    assert stage.headroom_bytes == stage.limit_bytes - stage.used_bytes > 0
    assert sum(stage.categories.values()) == pytest.approx(stage.allocated_bytes)


def test_a_job_at_risk_is_told_what_takes_it_out() -> None:
    strategy = dts.Strategy(zero=3, micro_batch=2, global_batch=32)
    report = dts.fit("llama-3.1-8b", "1xdgx-a100-80gb", strategy, seq_len=3328, framework="torchtitan-eager")
    assert (report.fits, report.verdict) == (True, "at risk")
    assert 0.25 < report.oom_probability < 0.5
    assert report.remedies
    assert {option.verdict for option in report.remedies} == {"fits"}


def test_remedies_make_it_fit_and_come_cheapest_first() -> None:
    report = dts.fit(**SMALL, strategy=TOO_MUCH)
    assert not report.fits
    assert report.verdict == "does not fit"
    assert report.remedies
    times = [option.step_time_s for option in report.remedies]
    assert times == sorted(times)
    for option in report.remedies:
        again = dts.simulate(**SMALL, strategy=TOO_MUCH.replace(**option.strategy))
        assert again.fits
        assert again.step_time_s == option.step_time_s
        assert option.step_time_change == pytest.approx(option.step_time_s / report.step_time_s - 1)
        assert option.saved_bytes > 0


def test_strategies_list_every_legal_single_change() -> None:
    asked = TOO_MUCH.resolved(8)
    report = dts.fit(**SMALL, strategy=TOO_MUCH, strategies=True)
    words = {change.words for change in changes_of(asked, dts.Model.from_catalog(SMALL["model"]), by_module=True)}
    listed = {option.changes for option in report.strategies}
    assert listed <= words
    assert {"recompute full", "micro-batch 8 -> 4", "zero 1 -> 3", "tp 1 -> 2"} <= listed
    assert not dts.fit(**SMALL, strategy=TOO_MUCH).strategies


def test_changes_keep_the_samples_of_a_step() -> None:
    for change in changes_of(TOO_MUCH.resolved(8), dts.Model.from_catalog(SMALL["model"]), by_module=True):
        assert "global_batch" not in change.fields


@pytest.mark.parametrize("layout", [{}, {"pp": 2, "tp": 2}, {"pp": 4, "vpp": 2}, {"pp": 2, "schedule": "zb_h1"}])
def test_timeline_agrees_with_the_peak_and_comes_back(layout: dict[str, Any]) -> None:
    strategy = Strategy(zero=1, global_batch=64, **layout)
    result = dts.simulate(**SMALL, strategy=strategy)
    for memory, use in zip(dts.memory_timeline(**SMALL, strategy=strategy), result.memory, strict=True):
        totals = memory.bytes.sum(axis=1)
        assert totals.max() == memory.peak_bytes == use.allocated_bytes
        assert totals[0] == totals[-1]  # everything of a step is freed in it
        assert np.all(np.diff(memory.time_s) >= 0)
        assert 0 <= memory.peak_time_s <= result.step_time_s
        assert sum(t.bytes for t in memory.tensors) == memory.peak_bytes
        assert {t.category for t in memory.tensors} <= set(CATEGORIES)
        assert memory.reserved_bytes >= memory.peak_bytes
        assert 0 <= memory.fragmentation < 1


def test_sharded_states_of_all_ranks_are_the_whole() -> None:
    whole = dts.simulate(**SMALL, strategy=Strategy(dp=8, zero=0, global_batch=8)).memory[0].categories
    for zero, shared in ((1, ["optimizer"]), (2, ["optimizer", "gradients"])):
        part = dts.simulate(**SMALL, strategy=Strategy(dp=8, zero=zero, global_batch=8)).memory[0].categories
        for name in shared:
            assert 8 * part[name] == pytest.approx(whole[name])


def test_expandable_segments_never_fragment_more() -> None:
    strategy = Strategy(zero=1, global_batch=64, micro_batch=2)
    plain = dts.memory_timeline(**SMALL, strategy=strategy)[0]
    grown = dts.memory_timeline(**SMALL, strategy=strategy, expandable_segments=True)[0]
    assert grown.peak_bytes == plain.peak_bytes
    assert grown.reserved_bytes <= plain.reserved_bytes


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(1, 2**28), st.booleans()), min_size=1, max_size=60), st.booleans())
def test_allocator_reserves_at_least_what_it_hands_out(requests: list[tuple[int, bool]], expandable: bool) -> None:
    allocator = CachingAllocator(expandable, 0.0)
    live: list[int] = []
    for number, (size, frees) in enumerate(requests):
        assert allocator.allocate(number, float(size))
        live.append(number)
        if frees:
            allocator.free(live.pop(0))
        assert allocator.reserved_bytes >= allocator.allocated_bytes
    for number in live:
        allocator.free(number)
    assert allocator.allocated_bytes == 0


def test_probability_is_half_at_the_limit_and_rises() -> None:
    results = [dts.simulate(**SMALL, strategy=TOO_MUCH.replace(micro_batch=b)).memory[0] for b in (1, 2, 4, 8)]
    chances = [use.oom_probability for use in results]
    assert chances == sorted(chances)
    for use in results:
        full = use.allocated_bytes * use.failure_factor > use.capacity_bytes - use.outside_bytes
        assert (use.oom_probability > 0.5) == full == (not use.fits)


ARGUMENTS = ["fit", "--model", "llama-3.1-8b", "--cluster", "1xdgx-h100", "--seq-len", "4096", "--zero", "1"]


def test_command_line_says_so_and_exits_3() -> None:
    run = CliRunner().invoke(app, [*ARGUMENTS, "--micro-batch", "8", "--global-batch", "64", "--strategies"])
    assert run.exit_code == 3
    for text in ("does not fit", "Changes that make it fit, cheapest first", "Each change alone", "recompute full"):
        assert text in run.output


def test_json_and_picture(tmp_path: Path) -> None:
    picture = tmp_path / "memory.png"
    run = CliRunner().invoke(app, [*ARGUMENTS, "--json", "--plot", str(picture), "--recompute", "full"])
    assert run.exit_code == 0
    data = json.loads(run.stdout)
    assert data["fits"] is True
    assert data["verdict"] == "fits"
    assert data["stages"][0]["used_bytes"] < data["stages"][0]["limit_bytes"]
    assert data["fullest"]["tensors"][0]["bytes"] > 0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_bad_input_is_named() -> None:
    run = CliRunner().invoke(app, [*ARGUMENTS, "--micro-batch", "0"])
    assert run.exit_code == 2
    assert "--micro-batch" in run.output
    with pytest.raises(dts.ConfigError, match="memory: got int"):
        Visualizer().plot_memory_timeline(3)  # type: ignore[arg-type]
    with pytest.raises(dts.ConfigError, match="limit_bytes"):
        Visualizer().plot_memory_timeline(dts.memory_timeline(**SMALL, strategy=Strategy(zero=1))[0], -1.0)


def test_figure_of_stages() -> None:
    report = dts.fit(**SMALL, strategy=Strategy(pp=2, zero=1, global_batch=64))
    figure = Visualizer().plot_fit(report)
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["stage 0", "stage 1"]


def test_a_pair_that_is_cheaper_than_any_single_change_comes_first() -> None:
    strategy = dts.Strategy(zero=1, micro_batch=8, global_batch=64)
    report = dts.fit("llama-3.1-8b", "1xdgx-h100", strategy, seq_len=8192, strategies=True)
    best, alone = report.remedies[0], [option for option in report.strategies if option.fits]
    assert alone
    assert ", " in best.changes
    assert best.step_time_s < min(option.step_time_s for option in alone)


BARE = """
devices:
  tiny: {like: h100-sxm5-80gb, hbm_bytes: 0.4 GB}
nodes:
  bare: {device: tiny, devices: 8, link: nvlink4, nics: 8, nic_Bps: 400 Gb/s}
cluster: {node: bare, nodes: 1, scale_out: infiniband, topology: rail_optimized}
"""
IMPOSSIBLE = [
    ("deepspeed", {"zero": 3, "pp": 2}, "at most 1 with pipeline stages"),
    ("deepspeed", {"zero": 2, "pp": 2}, "use zero=1 or pp=1"),
    ("megatron-deepspeed", {"zero": 2, "pp": 2, "schedule": "gpipe"}, "at most 1 with pipeline stages"),
    ("torchtitan", {"zero": 3, "recompute": "full", "recompute_layers": 2}, "gathers weights for one layer at a time"),
    ("megatron-core", {"zero": 1, "offload_parameters": "host", "offload_optimizer": "host"}, "use zero=3"),
    ("megatron-core", {"zero": 3, "offload_parameters": "host"}, 'use offload_optimizer="host"'),
]


@pytest.mark.parametrize(("framework", "layout", "words"), IMPOSSIBLE)
def test_states_that_cannot_be_sharded_or_moved_so(framework: str, layout: dict[str, Any], words: str) -> None:
    with pytest.raises(dts.ConfigError) as raised:
        dts.fit(**SMALL, strategy=Strategy(**layout), framework=framework)
    assert words in str(raised.value)
    options = [word for name, value in layout.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    run = CliRunner().invoke(app, [*ARGUMENTS, "--framework", framework, *options])
    assert run.exit_code == 2
    told = re.sub(r'(\w+)="?(\w+)"?', lambda mend: f"--{mend[1].replace('_', '-')} {mend[2]}", words)
    assert told in " ".join(run.output.split())


def test_offload_without_a_host_tier_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "bare.yaml"
    file.write_text(BARE, encoding="utf-8")
    with pytest.raises(dts.MissingDataError, match=r"node\.host_memory_Bps: got unknown"):
        dts.fit("llama-3.2-1b", dts.Cluster.from_yaml(file), Strategy(zero=1, offload_optimizer="host"), seq_len=1024)
    words = ["fit", "--model", "llama-3.2-1b", "--cluster", str(file), "--seq-len", "1024", "--zero", "1"]
    run = CliRunner().invoke(app, [*words, "--offload-optimizer", "host"])
    assert run.exit_code == 4
    assert "the update runs there" in run.output


def test_a_device_that_is_full_before_any_tensor(tmp_path: Path) -> None:
    """Its context alone is more than it has: the headroom is negative, the chance certain, nothing found that helps."""
    file = tmp_path / "bare.yaml"
    file.write_text(BARE, encoding="utf-8")
    report = dts.fit("llama-3.2-1b", dts.Cluster.from_yaml(file), Strategy(zero=3), seq_len=1024)
    stage = report.stages[0]
    assert stage.limit_bytes == 0.4e9 < stage.context_bytes
    assert stage.headroom_bytes == stage.limit_bytes - stage.used_bytes < 0
    assert (report.oom_probability, report.verdict, report.remedies) == (1, "does not fit", ())
    words = ["fit", "--model", "llama-3.2-1b", "--cluster", str(file), "--seq-len", "1024", "--zero", "3"]
    run = CliRunner().invoke(app, words)
    assert run.exit_code == 3
    assert "outside the allocator alone" in " ".join(run.output.split())
