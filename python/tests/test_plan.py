"""`plan`: the winner is that of the space, constraints hold, losers say why, the launch file is the winner."""

from __future__ import annotations

import json
from typing import Any

import dist_training_sim as dts
import numpy as np
import pytest
from dist_training_sim.cli import main
from dist_training_sim.cli.app import app
from dist_training_sim.io.jobs import write_job
from dist_training_sim.parallel import Recompute
from dist_training_sim.verbs.framework_axes import axes_of, base_of, completed, format_of
from dist_training_sim.verbs.plan_ask import front_of
from typer.testing import CliRunner

JOB: dict[str, Any] = {"seq_len": 4096, "global_batch": 32}
MODEL, NODE = SMALL = ("llama-3.1-8b", "1xdgx-h100")
FEW: dict[str, Any] = {"cp": 1, "vpp": 1, "micro_batch": (1, 2)}


@pytest.fixture(scope="module")
def report() -> dts.PlanReport:
    return dts.plan(MODEL, NODE, **JOB, **FEW)


def test_the_winner_is_the_fastest_of_the_space(report: dts.PlanReport) -> None:
    axes = axes_of("megatron-core") | {"cp": (1,), "vpp": (1,), "micro_batch": (1, 2), "precision": ("bf16",)}
    base = base_of(dts.FrameworkProfile.from_catalog("megatron-core"))
    table = dts.StrategySpace(global_batch=32, base=base, **axes).table(*SMALL, seq_len=4096)
    found = dts.evaluate(*SMALL, table, seq_len=4096)
    safe = found.fits & (found["oom_probability"] < 0.25)
    assert report.best.step_time_s == found["step_time_s"][safe].min()
    assert report.searched.combinations >= len(table) > report.searched.evaluated


def test_top_layouts_are_simulated_in_full_and_ranked(report: dts.PlanReport) -> None:
    times = [layout.step_time_s for layout in report.top]
    assert times == sorted(times)
    for layout in report.top:
        result = dts.simulate(*SMALL, layout.strategy, seq_len=4096)
        assert layout.result is not None
        assert layout.step_time_s == result.step_time_s == layout.result.step_time_s
        assert layout.low90_s is not None
        assert layout.high90_s is not None
        assert layout.low90_s <= layout.step_time_s <= layout.high90_s
    assert report.top[0].winner_faster is None
    assert all(0.5 <= (layout.winner_faster or 0.5) <= 1 for layout in report.top[1:])


def test_no_layout_of_the_front_beats_another(report: dts.PlanReport) -> None:
    front = report.front
    assert front[0].step_time_s == report.best.step_time_s
    for one in front:
        for other in front:
            if one is not other:
                worse = one.step_time_s > other.step_time_s or one.used_bytes > other.used_bytes
                assert worse or one.devices > other.devices
    assert front_of(front) == list(front)


def test_the_front_is_that_of_all_layouts_so_near_the_best() -> None:
    question: dict[str, Any] = {"global_batch": 64, "seq_len": 4096, "schedule": "1f1b", "cp": 1, "vpp": (1, 2, 4)}
    every = dts.plan("llama-3.1-8b", "1xdgx-h100", top=1000, **question)
    for within in (0.0, 0.05, 0.3):
        few = dts.plan("llama-3.1-8b", "1xdgx-h100", top=1, within=within, **question)
        near = [layout for layout in every.top if layout.value <= every.best.value * (1 + within)]
        assert [(x.strategy, x.step_time_s) for x in few.front] == [(x.strategy, x.step_time_s) for x in front_of(near)]
        assert few.searched.evaluated < every.searched.evaluated
    assert len(few.front) > 3


def test_losers_say_why(report: dts.PlanReport) -> None:
    by_words = {step.words: step for step in report.losers}
    assert "precision bf16→fp8" in by_words
    assert by_words["precision bf16→fp8"].reason.endswith("not among the values asked for")
    for step in report.losers:
        assert step.reason
        if step.fits:
            again = dts.simulate(*SMALL, step.strategy, seq_len=4096)
            assert step.step_time_s == again.step_time_s
            assert str(step).startswith(f"{step.words}: ")
            assert " % step, " in str(step)
    inside = [s for s in report.losers if s.fits and "asked for" not in s.reason]
    assert all((s.step_time_change or 0) >= 0 for s in inside)


def test_the_launch_file_is_the_winner(report: dts.PlanReport) -> None:
    assert report.launch is not None
    job = dts.read_job(text=report.launch.text)
    for name in ("tp", "pp", "vpp", "cp", "zero", "micro_batch", "global_batch", "recompute"):
        assert getattr(job.strategy, name) == getattr(report.best.strategy, name), name
    assert job.devices == 8


def test_the_sentence_and_plain_data(report: dts.PlanReport) -> None:
    assert report.sentence.startswith("llama-3.1-8b on 8 x h100")
    assert json.loads(json.dumps(report.to_dict()))["top"][0]["step_time_s"] == report.best.step_time_s
    assert repr(report).startswith("<llama-3.1-8b on")


@pytest.mark.parametrize("objective", ["memory", "energy", "cost"])
def test_other_objectives_win_by_their_own_measure(objective: str, report: dts.PlanReport) -> None:
    other = dts.plan(MODEL, NODE, **JOB, **FEW, objective=objective, top=1).best
    measures = {"memory": "used_bytes", "energy": "joules_per_step", "cost": "usd_per_step"}
    assert getattr(other, measures[objective]) <= getattr(report.best, measures[objective])
    assert other.value == pytest.approx(getattr(other, measures[objective]))


def test_fewer_devices_may_cost_less() -> None:
    report = dts.plan("llama-3.1-8b", "2xdgx-h100", **JOB, **FEW, objective="cost", usd_per_device_h=2.0)
    assert {layout.devices for layout in report.front} == {8, 16}
    best = report.best
    assert best.usd_per_step == pytest.approx(best.step_time_s * best.devices * 2.0 / 3600)
    capped = dts.plan("llama-3.1-8b", "2xdgx-h100", **JOB, **FEW, max_usd_per_h=20, usd_per_device_h=2.0, top=1)
    assert capped.best.devices == 8


def test_constraints_are_kept(report: dts.PlanReport) -> None:
    fixed = dts.plan(MODEL, NODE, **JOB, **FEW, tp=2, recompute="full", zero=(1, 3), max_memory_bytes=40 * 2**30, top=3)
    for layout in fixed.top:
        assert layout.strategy.tp == 2
        assert layout.strategy.recompute is Recompute.FULL
        assert layout.strategy.zero in (1, 3)
        assert layout.used_bytes <= 40 * 2**30
    assert fixed.best.step_time_s >= report.best.step_time_s


def test_nothing_fits_and_the_nearest_changes_help() -> None:
    none = dts.plan("llama-3.1-70b", "1xdgx-h100", seq_len=4096, global_batch=8, zero=1, tp=8, offload="none")
    assert not none.feasible
    assert none.launch is None
    assert "a device has 79.65 GiB, and each layout needs at least" in none.sentence
    words = [change.words for change in none.changes]
    assert "16 devices" in words or "32 devices" in words
    times = next(change for change in none.changes if change.words.endswith("devices")).best.devices // 8
    found = dts.plan("llama-3.1-70b", f"{times}xdgx-h100", seq_len=4096, global_batch=8, zero=1, tp=8, offload="none")
    assert found.feasible
    with pytest.raises(dts.InfeasibleError, match="No layout"):
        _ = none.best


def test_an_illegal_constraint_is_named_with_what_helps() -> None:
    none = dts.plan(MODEL, NODE, **JOB, tp=3)
    assert "no layout is legal" in none.sentence
    assert none.changes[0].words == "tp free"
    late = dts.plan(MODEL, NODE, **JOB, **FEW, max_step_time_s=1e-3)
    assert "a step of at most 1 ms" in late.sentence
    assert "no limit of the step time" in [change.words for change in late.changes]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cluster": "1xdgx-h900"}, "dgx-h900.*did you mean"),
        ({"model": "lama-3"}, "lama-3"),
        ({"max_gpus": 0}, "max_gpus: got 0"),
        ({"max_gpus": 4}, "expected at least 8: one node"),
        ({"max_usd_per_h": 0}, "max_usd_per_h: got 0"),
        ({"max_usd_per_h": 1e-3}, "raise max_gpus or the budget"),
        ({"usd_per_device_h": -1.0}, "usd_per_device_h"),
        ({"global_batch": 0}, "global_batch: got 0"),
        ({"objective": "joy"}, "joy.*known: cost"),
        ({"recompute": "some"}, "some"),
        ({"offload": "disk"}, "space.offload: got 'disk'"),
        ({"tensor": 4}, "tensor="),
        ({"max_oom_probability": 0.9}, "at most 0.5"),
        ({"gpus": (12,)}, "multiple of 8|from 1 to 8"),
        ({"seq_len": None}, "seq_len"),
    ],
)
def test_bad_questions(arguments: dict[str, Any], message: str) -> None:
    asked: dict[str, Any] = {"model": MODEL, "cluster": NODE, **JOB} | arguments
    with pytest.raises(dts.DtsError, match=message):
        dts.plan(asked.pop("model"), asked.pop("cluster"), **asked)


@pytest.mark.parametrize("framework", ["megatron-core", "megatron-bridge", "torchtitan", "deepspeed", "nanotron"])
def test_axes_of_a_framework_are_those_its_writer_takes(framework: str) -> None:
    """Every value of every axis is written; values that were left out are refused."""
    profile, target = dts.FrameworkProfile.from_catalog(framework), format_of(framework)
    assert target is not None
    axes, everything = axes_of(framework), axes_of("ideal")

    def written(**changes: Any) -> bool:
        base = base_of(profile).replace(global_batch=64, **changes)
        try:
            write_job(target or "", "llama-3.1-8b", "1xdgx-h100", base, seq_len=4096, framework=profile)
        except dts.ConfigError:
            return False
        return True

    for stage in everything["zero"]:
        overlaps = {n: bool(v[0]) for n, v in completed(profile, {"zero": np.array([stage])}).items() if n != "zero"}
        assert written(zero=stage, **overlaps) == (stage in axes["zero"]), stage
        for kind in everything["recompute"] if stage in axes["zero"] else ():
            assert written(zero=stage, recompute=kind, **overlaps) == (kind in axes["recompute"]), kind


@pytest.mark.parametrize("framework", ["megatron-bridge", "torchtitan", "deepspeed", "nanotron"])
def test_the_winner_of_a_framework_can_be_launched(framework: str) -> None:
    report = dts.plan("llama-3.1-8b", "1xdgx-h100", **JOB, framework=framework, cp=1, micro_batch=1, top=1)
    assert report.launch is not None, report.launch_problem
    read = dts.read_job(text=report.launch.text, devices=8)
    assert read.strategy.zero == report.best.strategy.zero
    assert read.strategy.tp == report.best.strategy.tp


# --- command ------------------------------------------------------------------------------------------------------

ARGUMENTS = ["plan", "--model", MODEL, "--cluster", NODE, "--seq-len", "4096", "--global-batch", "32",
             "--cp", "1", "--vpp", "1", "--micro-batch", "1"]  # fmt: skip


def test_the_command_prints_within_100_columns() -> None:
    done = CliRunner().invoke(app, ARGUMENTS)
    assert done.exit_code == 0, done.output
    table = done.output.split("Run it")[0]
    assert max(map(len, table.splitlines())) <= 100
    assert "\x1b" not in done.output
    assert "pretrain_gpt.py" in done.output


def test_the_printed_script_is_the_launch_file(tmp_path: Any) -> None:
    launch = tmp_path / "train.sh"
    assert CliRunner().invoke(app, [*ARGUMENTS, "--launch", str(launch)]).exit_code == 0
    printed = CliRunner().invoke(app, ARGUMENTS).output
    assert launch.read_text(encoding="utf-8").strip() in "\n".join(line.rstrip() for line in printed.splitlines())


def test_the_command_prints_json_alone(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    file, launch = tmp_path / "plan.json", tmp_path / "train.sh"
    assert main([*ARGUMENTS, "--json", "--out", str(file), "--launch", str(launch)]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(file.read_text(encoding="utf-8"))
    assert dts.read_job(launch).strategy.global_batch == 32


def test_exit_code_3_with_the_result(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ARGUMENTS, "--max-step-time", "1ms", "--json"]) == 3
    out, err = capsys.readouterr()
    assert json.loads(out)["feasible"] is False
    assert "error: No layout" in err
    assert main([*ARGUMENTS, "--tp", "two"]) == 2


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(dts.ConfigError) as caught:
        dts.plan("llama-9", "1xdgx", global_batch=0, objective="speed", recompute="partly", seq_len=8192)
    starts = ("objective:", "model:", "node:", "global_batch:", "recompute:")
    assert all(line.startswith(start) for line, start in zip(str(caught.value).splitlines(), starts, strict=True))
