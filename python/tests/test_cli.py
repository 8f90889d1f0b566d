"""The command line: output for people and programs, exit codes, error texts, files, every option."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dist_training_sim as dts
import pytest
from dist_training_sim.catalog import hardware as hardware_catalog
from dist_training_sim.catalog import models as model_catalog
from dist_training_sim.cli import (
    check,
    collective,
    cost,
    export,
    fit,
    hardware,
    main,
    models,
    outcome,
    schema,
    simulate,
    step,
)
from dist_training_sim.cli.app import app
from dist_training_sim.result import strategy_dict
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "examples" / "configs" / "llama-3.1-8b" / "config.json"
JOB = "simulate --model llama-3.1-8b --cluster 1xdgx-h100 --zero 3 --global-batch 64 --seq-len 8192"
TOO_LARGE = "simulate --model llama-3.1-70b --cluster 1xdgx-h100 --seq-len 8192"
SIMULATE_KEYS = {"step_time_s", "tokens_per_s_per_device", "mfu", "hfu", "breakdown", "memory", "fits", "strategy"}

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def dts_cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command line in this process, without colour; give exit code, stdout and stderr."""
    for name in ("FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)

    def run(line: str, *more: str) -> tuple[int, str, str]:
        code = main([*shlex.split(line), *more])
        return (code, *capsys.readouterr())

    return run


def process(*args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, its output piped."""
    bare = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
    command = [sys.executable, "-m", "dist_training_sim.cli", *args]
    return subprocess.run(command, capture_output=True, text=True, env=bare | environment, encoding="utf-8")


# --- simulate --------------------------------------------------------------------------------------------------------


def test_simulate_json_is_the_python_result(dts_cli: Run) -> None:
    code, out, err = dts_cli(JOB, "--json")
    assert (code, err) == (0, "")
    layout = dts.Strategy(zero=3, global_batch=64)
    expected = dts.simulate("llama-3.1-8b", "1xdgx-h100", layout, seq_len=8192).to_dict()
    assert json.loads(out) == json.loads(json.dumps(expected))
    assert json.loads(out).keys() >= SIMULATE_KEYS


def test_simulate_says_the_answer_first(dts_cli: Run) -> None:
    result = dts.simulate("llama-3.1-8b", "1xdgx-h100", dts.Strategy(zero=3, global_batch=64), seq_len=8192)
    code, out, err = dts_cli(JOB)
    assert (code, err) == (0, "")
    first = " ".join(out.split("\n\n")[0].split())
    assert first.startswith(f"llama-3.1-8b on 1xdgx-h100: a step takes {result.step_time_s:.4g} s")
    for text in (f"{result.tokens_per_s_per_device:,.0f} tokens/s", f"{result.mfu:.1%} MFU", "of 79.6 GiB of memory"):
        assert text in first
    order = [out.index(heading) for heading in ("Where the step goes", "Peak memory of a device")]
    assert order == sorted(order)


def test_simulate_shares_add_up(dts_cli: Run) -> None:
    code, out, _ = dts_cli(JOB)
    table = out.split("Where the step goes")[1].split("Communication of")[0]
    shares = [float(share) for share in re.findall(r"([\d.]+)%$", table, re.MULTILINE)]
    assert code == 0
    assert shares[-1] == 100
    assert sum(shares[:-1]) == pytest.approx(100, abs=0.1 * len(shares))


def test_equal_stages_share_a_row(dts_cli: Run) -> None:
    line = "simulate --model gpt2 --cluster 4xdgx-h100 --pp 4 --global-batch 64 --seq-len 1024 --schedule gpipe"
    _, out, _ = dts_cli(line)
    rows = out.split("Peak memory")[1].splitlines()[3:]
    assert [row.split()[0] for row in rows[:3]] == ["0", "1-2", "3"]


def test_data_parallelism_is_derived(dts_cli: Run) -> None:
    line = "simulate --model gpt2 --cluster 2xdgx-h100 --tp 2 --pp 2 --seq-len 1024 --global-batch 8 --json"
    assert json.loads(dts_cli(line)[1])["strategy"]["dp"] == 4


def test_models_without_tokens_count_samples(dts_cli: Run) -> None:
    code, out, _ = dts_cli("simulate --model resnet-50 --cluster 1xdgx-h100 --global-batch 64")
    assert code == 0
    assert "samples/s per device" in " ".join(out.split())
    assert "tokens" not in out


EVERY_OPTION: dict[str, Any] = {
    "dp": 2, "tp": 2, "pp": 2, "vpp": 2, "cp": 2, "ep": 2, "etp": 1, "zero": 1, "micro_batch": 2, "global_batch": 16,
    "recompute": "full", "precision": "fp16", "optimizer": "sgd", "schedule": "1f1b", "rank_order": "tp-ep-cp-dp-pp",
}  # fmt: skip
SWITCHED: dict[str, Any] = {"sequence_parallel": True, "overlap_grad_reduce": False, "overlap_param_gather": False}


def test_every_option_reaches_the_strategy(dts_cli: Run) -> None:
    words = [word for name, value in EVERY_OPTION.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    words += [f"--{'' if on else 'no-'}{name.replace('_', '-')}" for name, on in SWITCHED.items()]
    line = "simulate --model mixtral-8x7b --cluster 2xdgx-h100 --seq-len 4096 --framework torchtitan --json"
    code, out, err = dts_cli(line, *words, "--layers-per-stage", "7,9,9,7")
    assert code in (0, 3), err
    found = json.loads(out)
    layout = dts.Strategy(**EVERY_OPTION, **SWITCHED, layers_per_stage=(7, 9, 9, 7))
    assert found["strategy"] == json.loads(json.dumps(strategy_dict(layout)))
    assert (found["framework"], found["seq_len"]) == ("torchtitan", 4096)


def test_every_strategy_field_has_an_option() -> None:
    from dataclasses import fields

    from typer.main import get_command

    options = {parameter.name for parameter in get_command(app).commands["simulate"].params}  # type: ignore[attr-defined]
    assert options >= {f.name for f in fields(dts.Strategy)}


def test_a_file_and_a_folder_are_models(dts_cli: Run, tmp_path: Path) -> None:
    cluster = tmp_path / "cluster.yml"
    cluster.write_text("cluster: {node: dgx-h100, nodes: 1, name: mine}\n", encoding="utf-8")
    times = set()
    line = "simulate --zero 3 --global-batch 64 --seq-len 8192 --json"
    for path in (CONFIG, CONFIG.parent):
        found = json.loads(dts_cli(line, "--cluster", str(cluster), "--model", str(path))[1])
        assert found["cluster"] == "mine"
        times.add(found["step_time_s"])
    times.add(json.loads(dts_cli(JOB, "--json")[1])["step_time_s"])
    assert len(times) == 1


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_timeline_is_drawn(dts_cli: Run, tmp_path: Path, suffix: str) -> None:
    picture = tmp_path / f"step{suffix}"
    code, out, _ = dts_cli("simulate --model gpt2 --cluster 1xdgx-h100 --seq-len 1024 --json --timeline", str(picture))
    assert code == 0
    assert json.loads(out)["fits"]
    starts = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}
    assert picture.read_bytes().startswith(starts[suffix])


def test_doubtful_constants_are_a_warning_on_stderr(dts_cli: Run) -> None:
    code, out, err = dts_cli("simulate --model gpt2 --cluster 1xmi300x-8x --seq-len 1024 --json")
    assert code == 0
    assert json.loads(out)["cluster"] == "1xmi300x-8x"
    because = "generic constants of all GPUs, as none of cdna3 are known, so errors are larger"
    assert err == f"warning: no kernels were measured on mi300x: {because}\n"
    _, _, err = dts_cli("simulate --model gpt2 --cluster 1xdgx-a100-40gb --seq-len 1024 --json")
    assert err.endswith("a100-sxm4-40gb: constants of its generation, ampere, so errors are larger\n")


# --- exit codes and errors -------------------------------------------------------------------------------------------


def test_a_job_that_does_not_fit_is_printed_and_exits_3(dts_cli: Run) -> None:
    code, out, err = dts_cli(TOO_LARGE, "--json")
    found = json.loads(out)
    assert code == 3
    assert found["fits"] is False
    assert found["memory"]["reserved_bytes"] > found["memory"]["capacity_bytes"]
    assert err.startswith("error: does not fit: ")
    code, out, _ = dts_cli(TOO_LARGE)
    assert code == 3
    assert "it does not fit" in " ".join(out.split())


@pytest.mark.parametrize(
    ("line", "code", "texts"),
    [
        ("simulate --model llama-3.1-8c --cluster 1xdgx-h100 --seq-len 8", 2, ["did you mean llama-3.1-8b"]),
        ("simulate --model gpt2 --cluster 1xdgx-h10 --seq-len 8", 2, ["did you mean dgx-h100"]),
        ("simulate --model gpt2 --cluster 1xdgx-h100 --seq-len 8 --framework megatron", 2, ["megatron-core"]),
        ("simulate --model gpt2 --cluster 1xdgx-h100 --seq-len 8 --recompute ful", 2, ["none, selective, full"]),
        ("simulate --model gpt2 --cluster 1xdgx-h100 --seq-len 8 --layers-per-stage a", 2, ["3,4,4,3"]),
        ("simulate --model gpt2 --cluster 1xdgx-h100 --seq-len 0", 2, ["--seq-len"]),
        ("simulate --model gpt2 --cluster 1xdgx-h100", 2, ["--seq-len", "does not fix it"]),
        ("simulate --model vit-b-16 --cluster 1xdgx-h100 --seq-len 8", 2, ["leave --seq-len out"]),
        ("simulate --model gpt2 --cluster 1xdgx-h100 --seq-len 8 --tpp 2", 2, ["--tpp", "--tp"]),
        ("simulate --model gpt2", 2, ["--cluster"]),
        ("simulate --model gpt2 --cluster 1xdgx-h100 --tp two", 2, ["--tp"]),
        ("simulate --model ./nope.json --cluster 1xdgx-h100 --seq-len 8", 4, ["nope.json"]),
        ("simulate --model gpt2 --cluster nope.yaml --seq-len 8", 4, ["nope.yaml"]),
        ("simulate --model gpt2 --cluster 2xl4-8x --seq-len 8", 4, ["nics", "nic_Bps"]),
        ("models gtp2", 2, ["did you mean gpt2"]),
        ("models ./nope.json", 4, ["nope.json"]),
        ("hardware h1000", 2, ["did you mean h100"]),
        ("hardware --kind boxes", 2, ["nodes"]),
        ("collective all-reduse --size 1MiB --cluster 1xdgx-h100", 2, ["did you mean all-reduce"]),
        ("collective all-reduce --cluster 1xdgx-h100", 2, ["--size 64MiB"]),
        ("collective all-reduce --size 1MiB", 2, ["--cluster 2xdgx-h100", "--topology ring"]),
        ("collective all-reduce --size 1MiB --cluster 1xdgx-h100 --topology ring", 2, ["both"]),
        ("collective all-reduce --size 1MiB --cluster 1xdgx-h100 --latency 1us", 2, ["--latency", "--topology"]),
        ("collective all-reduce --size 1MiB --topology ring", 2, ["--nodes"]),
        ("collective all-reduce --size 1MiB --topology custom --nodes 4", 2, ["fat_tree"]),
        ("collective all-reduce --size 1parsec --cluster 1xdgx-h100", 2, ["parsec"]),
        ("collective all-reduce --size 1MiB --cluster 1xdgx-h100 --ranks 9", 2, ["at most 8"]),
        ("nonsense", 2, ["nonsense"]),
    ],
)  # fmt: skip
def test_user_errors_are_readable(dts_cli: Run, line: str, code: int, texts: list[str]) -> None:
    found, out, err = dts_cli(line)
    assert (found, out) == (code, "")
    assert "Traceback" not in err
    for text in texts:
        assert text in err


def test_every_problem_has_its_line(dts_cli: Run) -> None:
    line = "simulate --model gtp2 --cluster 1xdgx-h10 --tp 0 --precision bf17 --framework x --layers-per-stage 1,a"
    code, out, err = dts_cli(line)
    assert (code, out) == (2, "")
    places = [text.split(":")[1].strip() for text in err.splitlines()]
    assert places == ["--model", "node", "--tp", "--precision", "--framework", "--layers-per-stage"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ("--seq-len 0", "--seq-len: got 0, expected an integer from 1 to 1000000000"),
        ("", "--seq-len: got nothing, expected a number of tokens: gpt2 does not fix it; give --seq-len 8192, say"),
        (
            "--seq-len 1024 --global-batch 7 --micro-batch 2",
            "a multiple of dp * micro_batch = 16; use --global-batch 16",
        ),
        (
            "--seq-len 1024 --tp 8",
            "--tp: got 8, expected tp to divide attention heads=12; use --tp in {1, 2, 3, 4, 6, 12}",
        ),
        (
            "--seq-len 1024 --recompute-layers 3",
            "--recompute-layers: got 3, expected none unless recompute is full; use --recompute full",
        ),
        ("--seq-len 1024 --dp 3", "error: dp * tp * pp * cp: got 3 * 1 * 1 * 1 = 3"),
    ],
)
def test_problems_are_told_in_the_words_of_the_command_line(dts_cli: Run, options: str, problem: str) -> None:
    code, _, err = dts_cli(f"simulate --model gpt2 --cluster 1xdgx-h100 {options}")
    assert code == 2
    assert problem in err


def test_a_switch_that_would_mend_it(dts_cli: Run) -> None:
    layout = "--tp 2 --ep 2 --no-sequence-parallel"
    _, _, err = dts_cli(f"simulate --model mixtral-8x7b --cluster 1xdgx-h100 --seq-len 2048 {layout}")
    assert err.endswith("; use --sequence-parallel\n")


def test_layout_problems_are_listed_beside_a_missing_length(dts_cli: Run) -> None:
    """The length that stands in for the missing one suits every layout, so it adds no problem of its own."""
    code, _, err = dts_cli("simulate --model llama-3.1-8b --cluster 1xdgx-h100 --tp 3")
    lines = err.splitlines()
    assert code == 2
    assert lines[0].startswith("error: --seq-len: got nothing")
    assert any("--tp: got 3" in line for line in lines[1:])
    _, _, err = dts_cli("simulate --model llama-3.1-8b --cluster 1xdgx-h100 --tp 2 --cp 4")
    assert len(err.splitlines()) == 1


def test_internal_errors_exit_1_without_a_traceback(dts_cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("lost")

    monkeypatch.setattr(simulate, "run", broken)
    code, out, err = dts_cli(JOB)
    assert (code, out) == (1, "")
    assert re.fullmatch(r"error: internal: KeyError in test_cli\.py:\d+: 'lost'; please report it .*\n", err)


NUMBERS = st.one_of(st.integers(-2, 20), st.integers(-(10**20), 10**20))


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.sampled_from(["--dp", "--tp", "--pp", "--vpp", "--cp", "--ep", "--seq-len"]), NUMBERS))
def test_no_number_is_an_internal_error(options: dict[str, int]) -> None:
    words = [word for name, value in options.items() for word in (name, str(value))]
    assert main(["simulate", "--model", "mixtral-8x7b", "--cluster", "2xdgx-h100", "--json", *words]) in (0, 2, 3)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(["--model", "--cluster", "--framework", "--precision", "--rank-order"]), st.text(max_size=20))
def test_no_text_is_an_internal_error(option: str, text: str) -> None:
    line = f"{JOB} {option}="
    *words, last = line.split(" ")
    assert main([*words, last + text]) in (0, 2, 4)


# --- files -----------------------------------------------------------------------------------------------------------


def test_out_holds_the_json(dts_cli: Run, tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    file.write_text("old", encoding="utf-8")
    code, out, _ = dts_cli(JOB, "--out", str(file))
    assert code == 0
    assert "Where the step goes" in out
    _, printed, _ = dts_cli(JOB, "--json", "--out", str(file))
    assert file.read_text(encoding="utf-8") == printed
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_a_failed_write_leaves_the_old_file_and_no_output(
    dts_cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "result.json"
    file.write_text("old", encoding="utf-8")
    write = Path.write_bytes

    def full_disk(path: Path, data: bytes) -> int:
        write(path, data[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    code, out, err = dts_cli(JOB, "--json", "--out", str(file))
    assert (code, out) == (2, "")
    assert "No space left on device" in err
    assert file.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


@pytest.mark.parametrize("target", ["nowhere/result.json", "."])
def test_a_place_that_cannot_be_written_is_an_error(dts_cli: Run, tmp_path: Path, target: str) -> None:
    code, out, err = dts_cli("models gpt2 --json --out", str(tmp_path / target))
    assert (code, out) == (2, "")
    assert "--out" in err


@pytest.mark.skipif(sys.platform == "win32", reason="no fifo on Windows")
def test_a_device_is_written_to_and_not_replaced(dts_cli: Run, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert dts_cli("collective barrier --cluster 1xdgx-h100 --out", str(pipe))[0] == 0
        assert json.loads(os.read(reader, 65536))["kind"] == "barrier"
    finally:
        os.close(reader)
    assert not pipe.is_file()


# --- the other verbs -------------------------------------------------------------------------------------------------


def test_models_table_and_json(dts_cli: Run) -> None:
    _, out, _ = dts_cli("models")
    assert all(name in out for name in model_catalog.names())
    _, out, _ = dts_cli("models --json")
    listed = json.loads(out)
    assert [m["name"] for m in listed] == model_catalog.names()
    assert listed[0].keys() >= {"name", "parameters", "active_parameters", "layers", "hidden", "source", "parts"}


def test_one_model(dts_cli: Run) -> None:
    _, out, _ = dts_cli("models mixtral-8x7b")
    assert "Mixtral-8x7B-v0.1" in out
    assert "of them for a token" in out
    assert json.loads(dts_cli("models llama-3.1-8b --json")[1])["parameters"] == 8_030_261_248


def test_hardware_tables_and_json(dts_cli: Run) -> None:
    _, out, _ = dts_cli("hardware")
    assert all(heading in out for heading in ("60 devices", "45 nodes", "49 cloud instances"))
    _, out, _ = dts_cli("hardware --kind instances")
    assert "aws-p5" in out
    assert " nodes" not in out
    found = json.loads(dts_cli("hardware --kind devices --json")[1])
    assert (len(found["devices"]), found["nodes"], found["instances"], found["fabrics"]) == (60, [], [], [])
    kernels = {d["name"]: (d["measured_kernels"], d["kernels_of"]) for d in found["devices"]}
    assert kernels["h100-sxm5-80gb"] == (True, "h100-sxm5-80gb")
    assert kernels["h100-pcie-80gb"] == (False, "hopper")
    assert kernels["rubin-sxm"] == kernels["gaudi2"] == (False, "generic")


def test_fabrics_as_a_list_and_one_by_one(dts_cli: Run) -> None:
    """By the file: nvlink2 has 18 assumed values of its 24; infiniband-sharp takes `infiniband`'s, all measured."""
    _, out, _ = dts_cli("hardware --kind fabrics")
    assert re.search(r"nvlink2 +inside a domain +150 .* 18 of 24", out)
    assert re.search(r"infiniband-sharp +between nodes +- +5\.7 .* 1 of 15", out)
    names = {f["name"] for f in json.loads(dts_cli("hardware --kind fabrics --json")[1])["fabrics"]}
    used = {hardware_catalog.node(name).scale_up.name for name in hardware_catalog.node_names()}
    assert used <= names
    _, out, _ = dts_cli("hardware nvlink4")
    assert re.search(r"device_Bps +450 GB/s", out)
    assert re.search(r"hop_s +0\.836 us", out)
    assert "Sources: " in out
    assert json.loads(dts_cli("hardware infiniband --json")[1])["hop_s"] == 5.7e-6


def test_one_device_and_one_node(dts_cli: Run) -> None:
    _, out, _ = dts_cli("hardware mi300x")
    assert "MI300X" in out
    assert "Sources: " in out
    _, out, _ = dts_cli("hardware mi325x-8x")
    assert re.search(r"NICs +unknown", out)
    node = json.loads(dts_cli("hardware dgx-h100 --json")[1])
    assert (node["devices"], node["device"]["name"], node["nic_Bps"]) == (8, "h100-sxm5-80gb", 50e9)
    assert node["sources"]


def test_collective_is_that_of_python(dts_cli: Run) -> None:
    code, out, _ = dts_cli("collective all-reduce --size 64MiB --cluster 2xdgx-h100 --json")
    assert code == 0
    assert json.loads(out) == dts.collective("all-reduce", "64 MiB", "2xdgx-h100").to_dict()
    _, out, _ = dts_cli("collective all-reduce --size 64MiB --cluster 2xdgx-h100")
    estimate = dts.collective("all-reduce", "64 MiB", "2xdgx-h100")
    assert f"{(estimate.busbw_Bps or 0) / 1e9:.4g}" in out
    assert estimate.algorithm in out


def test_collective_on_links(dts_cli: Run) -> None:
    line = "collective all-reduce --size 64MB --topology ring --nodes 8 --bandwidth 50GB/s --latency 5us"
    found = json.loads(dts_cli(line, "--algorithm", "ring", "--json")[1])
    assert found["time_s"] == pytest.approx(14 * (5e-6 + 8e6 / 50e9))


def test_collective_sweep(dts_cli: Run) -> None:
    line = "collective all-gather --sweep --size 1MiB --cluster 4xdgx-h100 --ranks 4 --stride 8"
    rows = json.loads(dts_cli(line, "--json")[1])["rows"]
    assert [row["size_bytes"] for row in rows] == [2**k for k in range(10, 21)]
    assert {row["ranks"] for row in rows} == {4}
    assert len(dts_cli(line)[1].splitlines()) == 3 + len(rows)


# --- help, terminals, pipes ------------------------------------------------------------------------------------------


def test_every_option_explains_itself() -> None:
    from typer.main import get_command

    for command in get_command(app).commands.values():  # type: ignore[attr-defined]
        assert command.help
        for parameter in command.params:
            assert parameter.help, f"{command.name} {parameter.name}"


@pytest.mark.parametrize("verb", ["", "simulate", "models", "hardware", "collective"])
def test_help_has_examples(dts_cli: Run, verb: str) -> None:
    code, out, err = dts_cli(f"{verb} --help")
    assert (code, err) == (0, "")
    assert "Examples:" in out
    assert f"dts {verb}" in out
    assert dts_cli(f"{verb} -h")[1] == out


def examples(text: str) -> list[str]:
    """Command lines of a help text or guide; a backslash continues one."""
    joined = text.replace("\\\n", " ")
    return [line.strip().removeprefix("dts ") for line in joined.splitlines() if line.strip().startswith("dts ")]


MODULES = (simulate, fit, cost, check, export, schema, models, hardware, collective)
HELP_EXAMPLES = [line for module in MODULES for line in examples(module.EXAMPLES)]
GUIDES = ("cli.md", "jobs.md", "cost.md")
GUIDE_EXAMPLES = [
    line for page in GUIDES for line in examples((ROOT / "docs" / "guide" / page).read_text(encoding="utf-8"))
]


@pytest.mark.parametrize("line", sorted({*HELP_EXAMPLES, *GUIDE_EXAMPLES}))
def test_examples_run(dts_cli: Run, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(CONFIG, tmp_path)
    shutil.copytree(CONFIG.parents[1], tmp_path / "examples" / "configs")
    shutil.copytree(ROOT / "examples" / "jobs", tmp_path, dirs_exist_ok=True)
    (tmp_path / "my-cluster.yaml").write_text("cluster: {node: dgx-a100-80gb, nodes: 8}\n", encoding="utf-8")
    code, out, err = dts_cli(line.split("#")[0])
    assert code in (0, 3), err
    assert out or "--out" in line or "--file" in line
    assert max(map(len, out.splitlines()), default=0) <= 100 or "--json" in line or "export" in line


WIDE = [
    JOB,
    "simulate --model llama-3.1-405b --cluster 2048xgrand-teton-h100 --tp 8 --pp 16 --zero 1 --global-batch 2048"
    " --seq-len 8192",
    "simulate --model deepseek-v3 --cluster 256xdgx-h100 --pp 16 --ep 64 --zero 1 --global-batch 15360 --seq-len 4096",
    "models",
    "models deepseek-v3",
    "hardware",
    "hardware dgx-h100",
    "collective all-to-all --sweep --cluster 8xdgx-h100",
    "collective all-to-all --sweep --topology rail-optimized --nodes 8",
]


@pytest.mark.parametrize("line", WIDE)
def test_lines_are_at_most_100_columns(dts_cli: Run, line: str) -> None:
    code, out, err = dts_cli(line)
    assert code in (0, 3), err
    assert max(map(len, out.splitlines())) <= 100


def test_colour_only_on_a_terminal_that_wants_it() -> None:
    red = "\x1b[31m"
    words = TOO_LARGE.split()
    assert "\x1b" not in process(*words).stdout
    terminal = {"FORCE_COLOR": "1", "COLUMNS": "200", "TERM": "xterm"}
    coloured = process(*words, "--pp", "2", **terminal)
    assert red in coloured.stdout
    plain = re.sub(r"\x1b\[[\d;]*m", "", coloured.stdout)
    assert max(map(len, plain.splitlines())) <= 100
    assert red not in process(*words, "--pp", "2", NO_COLOR="1", **terminal).stdout


def test_an_old_encoding_is_no_error() -> None:
    done = process("hardware", "h100", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 0
    assert done.stdout.isascii()


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGPIPE on Windows")
@pytest.mark.parametrize("form", [["--json"], []], ids=["json", "tables"])
def test_a_reader_that_leaves_is_no_error(form: list[str]) -> None:
    command = [sys.executable, "-m", "dist_training_sim.cli", "hardware", *form]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert running.stderr.read() == b""
    assert running.returncode == outcome.ExitCode.PIPE_CLOSED


def test_the_package_is_the_command_too() -> None:
    command = [sys.executable, "-m", "dist_training_sim", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"dts {dts.__version__}\n"


def test_no_arguments_show_the_help(dts_cli: Run) -> None:
    code, out, err = dts_cli("")
    assert (code, out) == (2, "")
    assert err == dts_cli("--help")[1]


SLOW = "simulate --model gpt2 --cluster 2xdgx-h100 --tp 2 --global-batch 16 --seq-len 256"


def test_stragglers_of_the_command_line(dts_cli: Run) -> None:
    code, out, _ = dts_cli(f"{SLOW} --stragglers lognormal:0.1 --seed 3 --steps 20 --json")
    found = json.loads(out)
    assert code == 0
    assert found["spread"]["steps"] == 20
    assert found["spread"]["p99_s"] >= found["spread"]["p50_s"] > found["even_step_time_s"]
    _, out, _ = dts_cli(f"{SLOW} --stragglers ranks:3=2.0 --steps 5")
    assert "Times of 5 steps" in out
    assert "waiting for slower ranks" in out


def test_slow_links_of_the_command_line(dts_cli: Run) -> None:
    even, slow = (json.loads(dts_cli(f"{SLOW} {more} --json")[1]) for more in ("", "--slow-links 1:0.25"))
    assert slow["communication"]["dp"]["total_s"] > even["communication"]["dp"]["total_s"]
    assert slow["communication"]["tp"] == even["communication"]["tp"]
    mixed = dts_cli(SLOW.replace("2xdgx-h100", "1xdgx-h100+1xdgx-a100") + " --json")
    assert json.loads(mixed[1])["step_time_s"] > even["step_time_s"]


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ("--stragglers gamma:1", "stragglers: got 'gamma:1', expected lognormal:SIGMA"),
        ("--stragglers uniform:1", "expected lognormal:SIGMA"),
        ("--stragglers ranks:3", "expected whole numbers and values such as 3=0.5"),
        ("--stragglers ranks:99=2", "ranks from 0 to 15"),
        ("--stragglers normal:x", "stragglers: got 'normal:x'"),
        ("--stragglers normal:0.1 --steps 0", "steps: got 0"),
        ("--steps 5", "give --stragglers"),
        ("--slow-links 2:0.5", "--slow-links: got '2:0.5', expected nodes from 0 to 1 of 2xdgx-h100"),
        ("--slow-links=-1:0.5", "--slow-links: got '-1:0.5', expected nodes from 0 to 1"),
        ("--slow-links 2:0.5 --network flow", "--slow-links: got '2:0.5', expected nodes from 0 to 1"),
        ("--slow-links 1", "--slow-links: got '1'"),
        ("--slow-links 1:1.5", "--slow-links: got '1:1.5', expected what is left of the rate, a share in (0, 1]"),
    ],
)
def test_slow_ranks_that_make_no_sense(dts_cli: Run, more: str, what: str) -> None:
    code, _, err = dts_cli(f"{SLOW} {more}")
    assert code == 2
    assert what in err


def test_a_timeline_names_stages_that_stand_for_many_devices(dts_cli: Run, tmp_path: Path) -> None:
    line = "simulate --model gpt2 --cluster 1xdgx-h100 --pp 2 --global-batch 16 --seq-len 1024"
    assert dts_cli(f"{line} --timeline {tmp_path / 'step.svg'}")[0] == 0
    drawn = (tmp_path / "step.svg").read_text(encoding="utf-8")
    for text in ("8 devices, 2 pipeline stages", "stage 0", "stage 1"):
        assert f"<!-- {text}" in drawn


def test_a_scaling_figure_names_its_job(dts_cli: Run, tmp_path: Path) -> None:
    line = "scale 8..16 --model llama-3.1-8b --cluster 1xdgx-h100 --global-batch 64 --seq-len 4096 --tp 1 --zero 3"
    assert dts_cli(f"{line} --plot {tmp_path / 'scale.svg'}")[0] == 0
    drawn = (tmp_path / "scale.svg").read_text(encoding="utf-8")
    assert "<!-- llama-3.1-8b, dgx-h100, strong scaling: " in drawn
    assert "<!-- 90 % interval -->" in drawn


def test_communication_says_what_exposed_means_where_the_step_waits_for_less(dts_cli: Run) -> None:
    line = "simulate --model gpt2 --cluster 1xdgx-h100 --global-batch 16 --seq-len 1024"
    note = "exposed: while the device computes nothing"
    assert note in dts_cli(f"{line} --pp 2")[1]
    assert note not in dts_cli(line)[1]


@pytest.mark.parametrize(("value", "text"), [(396.2, "396"), (39.6, "39.6"), (1.2, "1.20"), (1234.5, "1,234")])
def test_ends_of_an_interval_have_three_digits(value: float, text: str) -> None:
    assert step._rounded(value) == text


@pytest.mark.parametrize("verb", ["simulate", "explain"])
def test_examples_are_whole_lines(dts_cli: Run, verb: str) -> None:
    examples = dts_cli(f"{verb} --help")[1].split("Examples:")[1].split("Takes")[0].split("Exit code")[0]
    assert all("   " not in line.strip() for line in examples.splitlines())


def test_the_cost_of_many_tokens_has_no_exponents(dts_cli: Run) -> None:
    line = "cost --model llama-3.1-8b --cluster 2xdgx-h100 --zero 3 --global-batch 64 --seq-len 8192 --tokens 15T"
    out = dts_cli(line)[1]
    assert re.search(r"\ntokens +15 T\n", out)
    assert "e+" not in out


def test_a_cluster_of_several_kinds_is_told_by_them(dts_cli: Run, tmp_path: Path) -> None:
    file = tmp_path / "mixed.yaml"
    slow = "{device: a100-sxm4-80gb, nics: 8, nic_Bps: 200 Gb/s}"
    kinds = "cluster: {node: dgx-h100, nodes: 4, others: [{node: old, at: [1, 3]}]}"
    file.write_text(f"nodes: {{old: {slow}}}\n{kinds}\n", encoding="utf-8")
    line = f"simulate --model llama-3.1-8b --cluster {file} --zero 3 --global-batch 32 --seq-len 2048"
    assert dts_cli(line)[1].startswith("llama-3.1-8b on 2 dgx-h100 + 2 old: a step takes ")
    assert json.loads(dts_cli(f"{line} --json")[1])["cluster"] == "4xdgx-h100"
    file.write_text(f"nodes: {{old: {slow}}}\n{kinds.replace('others', 'name: mine, others')}\n", encoding="utf-8")
    assert dts_cli(line)[1].startswith("llama-3.1-8b on mine: a step takes ")


def test_check_names_the_options_without_bearing(dts_cli: Run, tmp_path: Path) -> None:
    command = "torchrun --nproc_per_node 8 sft.py --model_name_or_path gpt2 --per_device_train_batch_size 1 "
    names = ["seed", "run_name", "epochs", "bias", "stage", "token", "eval", "streaming", "strict", "packing", "warmup"]
    script, more = tmp_path / "run.sh", ["dtype", "plugins"]
    script.write_text(command + "--max_length 1024 " + " ".join(f"--{name} 1" for name in names), encoding="utf-8")
    _, out, _ = dts_cli(f"check {script} --cluster 1xdgx-h100")
    assert f"Without bearing: {', '.join(names)}." in " ".join(out.split())
    script.write_text(script.read_text(encoding="utf-8") + " --dtype 1 --plugins 1", encoding="utf-8")
    _, out, _ = dts_cli(f"check {script} --cluster 1xdgx-h100")
    assert f"Without bearing: {', '.join(names)} and 2 more, which --verbose names." in " ".join(out.split())
    _, out, _ = dts_cli(f"check {script} --cluster 1xdgx-h100 --verbose")
    assert f"Without bearing: {', '.join(names + more)}." in " ".join(out.split())


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ("--tp two", "error: --tp: got 'two', expected a whole number\n"),
        ("--capacity-factor x", "error: --capacity-factor: got 'x', expected a number\n"),
        ("--precision nvfp4", "expected one of fp32, tf32, fp16, bf16, fp8, fp4, int8; did you mean fp4 or fp8?\n"),
        (
            "--precision fp4",
            "error: --precision: got 'fp4', expected a type that h100-sxm5-80gb computes in: "
            "fp32, tf32, fp16, bf16, fp8, int8\n",
        ),
    ],
)
def test_wrong_values_say_what_was_given_and_expected(dts_cli: Run, more: str, what: str) -> None:
    code, out, err = dts_cli(f"{JOB} {more}")
    assert (code, out) == (2, "")
    assert err.endswith(what)


def test_a_type_that_the_device_lacks_hides_no_other_problem(dts_cli: Run) -> None:
    _, _, err = dts_cli("simulate --model llama-3.1-8b --cluster 1xdgx-h100 --precision fp4 --tp 3")
    places = {line.split(": got")[0].removeprefix("error: ") for line in err.splitlines()}
    assert places == {"--precision", "--seq-len", "dp * tp * pp * cp", "--tp"}
