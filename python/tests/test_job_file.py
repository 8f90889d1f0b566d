"""Job files: every option has its key, the schema is the options', errors name line and key, options win."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dist_training_sim as dts
import pytest
import yaml
from dist_training_sim.cli import main
from dist_training_sim.cli.app import app
from dist_training_sim.cli.job_options import FROM_FILE, VERBS
from dist_training_sim.cli.schema import made_schema
from dist_training_sim.io.job_file import JOB_KEYS, job_schema
from dist_training_sim.units import format_seconds

Run = Callable[..., tuple[int, str, str]]
LAYOUT = {f.name for f in dataclasses.fields(dts.Strategy)}
JOB = """\
model: llama-3.1-8b   # by name
cluster: 1xdgx-h100
seq_len: 8192
strategy:
  zero: 3
  global_batch: 64
simulate: {stragglers: "lognormal:0.05", seed: 7}
fit: {expandable_segments: true}
cost: {tokens: 1e12, price: 2}
export: {to: torchtitan}
runs:
  split:
    strategy: {tp: 2, recompute: full}
    simulate: {seed: 8}
  longer: {seq_len: 4096, model: llama-3.2-1b}
"""


@pytest.fixture
def dts_cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command line in a folder with `job.yaml`; give exit code, stdout and stderr."""
    for name in ("FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "job.yaml").write_text(JOB, encoding="utf-8")

    def run(line: str, *more: str) -> tuple[int, str, str]:
        code = main([*shlex.split(line), *more])
        return (code, *capsys.readouterr())

    return run


def options_of(verb: str) -> set[str]:
    from typer.main import get_command

    parameters = get_command(app).commands[verb.replace("_", "-")].params  # type: ignore[attr-defined]
    names = {p.name for p in parameters if p.param_type_name == "option"} - set(FROM_FILE) - {"help"}
    return {"json" if name == "as_json" else str(name) for name in names}


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_option_has_its_key(verb: str) -> None:
    schema = job_schema()["properties"]
    keys = set(JOB_KEYS) - {"strategy"}
    for option in options_of(verb):
        own = option in schema[verb]["properties"]
        if own and "array" in schema[verb]["properties"][option]["type"]:  # several values: of the search, not the job
            continue
        assert (option in keys) + (option in schema["strategy"]["properties"]) + own == 1, option


def test_every_verb_of_a_job_takes_a_file() -> None:
    from typer.main import get_command

    commands = get_command(app).commands  # type: ignore[attr-defined]
    options = {name.replace("-", "_"): {p.name for p in command.params} for name, command in commands.items()}
    taking = {name for name, given in options.items() if given >= set(FROM_FILE)}
    layouts = {name for name, given in options.items() if given >= LAYOUT}
    assert taking == set(VERBS) >= {"simulate", "fit", "cost", "export"}
    assert taking - {"plan", "sweep"} <= layouts  # these two search layouts
    assert set(VERBS) <= set(job_schema()["properties"])


def test_the_packaged_schema_is_that_of_the_options() -> None:
    assert job_schema() == json.loads(json.dumps(made_schema())), "run: python docs/build_schema.py"


def test_the_schema_is_printed_and_written(dts_cli: Run, tmp_path: Path) -> None:
    code, out, err = dts_cli("schema")
    assert (code, err, json.loads(out)) == (0, "", job_schema())
    assert dts_cli("schema --out s.json") == (0, "", "")
    assert json.loads((tmp_path / "s.json").read_text(encoding="utf-8")) == job_schema()


def test_a_job_file_is_its_options(dts_cli: Run) -> None:
    line = "simulate --model llama-3.1-8b --cluster 1xdgx-h100 --zero 3 --global-batch 64 --seq-len 8192 --json"
    code, out, err = dts_cli("simulate job.yaml --json")
    assert (code, err) == (0, "")
    assert json.loads(out) == json.loads(dts_cli(line + " --stragglers lognormal:0.05 --seed 7")[1])
    split = dts_cli("simulate job.yaml --run split --json")
    assert split == dts_cli(line + " --stragglers lognormal:0.05 --seed 8 --tp 2 --recompute full")


def test_options_win_over_the_file(dts_cli: Run) -> None:
    found = json.loads(dts_cli("simulate job.yaml --zero 1 --model llama-3.2-1b --json")[1])
    assert (found["strategy"]["zero"], found["strategy"]["global_batch"], found["model"]) == (1, 64, "llama-3.2-1b")
    default = json.loads(dts_cli("simulate job.yaml --run split --tp 1 --json")[1])
    assert (default["strategy"]["tp"], default["strategy"]["recompute"].lower()) == (1, "full")


def test_settings_reach_each_verb(dts_cli: Run, tmp_path: Path) -> None:
    cost = json.loads(dts_cli("cost job.yaml --json")[1])
    assert (cost["tokens"], cost["usd_per_device_h"], cost["price_source"]) == (1e12, 2, "yours")
    code, out, _ = dts_cli("export job.yaml")
    assert code == 0
    assert "--model.flavor 8B" in out
    job = (tmp_path / "job.yaml").read_text(encoding="utf-8")
    (tmp_path / "job.yaml").write_text(job.replace("seed: 7", "seed: 7, json: true, out: r.json"), encoding="utf-8")
    code, out, _ = dts_cli("simulate job.yaml")
    assert json.loads(out) == json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))


SEARCHED = """
model: llama-3.1-8b
cluster: 2xdgx-h100
seq_len: 4096
strategy: {tp: 8, zero: 1, global_batch: 32, precision: fp8}
plan: {tp: [2, 4], cp: 1, pp: "1,2", top: 2}
scale: {weak: true}
sweep: {cluster: [1xdgx-h100, 2xdgx-h100], global_batch: 32, csv: points.csv}
"""


@pytest.fixture
def searched(dts_cli: Run, tmp_path: Path) -> Run:
    """The same, with a job whose file constrains searches."""
    (tmp_path / "job.yaml").write_text(SEARCHED, encoding="utf-8")
    return dts_cli


def test_a_plan_is_set_beside_the_layout_of_the_file(searched: Run) -> None:
    found = json.loads(searched("plan job.yaml --json")[1])
    best, given = found["top"][0], found["given"]
    line = "plan --model llama-3.1-8b --cluster 2xdgx-h100 --seq-len 4096 --global-batch 32 --precision fp8"
    alone = json.loads(searched(f"{line} --tp 2,4 --cp 1 --pp 1,2 --top 2 --json")[1])
    assert (alone["top"], alone["given"]) == (found["top"], None)
    assert (given["strategy"]["tp"], given["strategy"]["precision"], len(found["top"])) == (8, "fp8", 2)
    step = json.loads(searched("simulate job.yaml --json")[1])
    assert given["step_time_s"] == step["step_time_s"] > best["step_time_s"]
    more = given["step_time_s"] / best["step_time_s"] - 1
    assert f"The layout given takes {format_seconds(given['step_time_s'])}, {more:.1%} more." in found["sentence"]
    shown = searched("plan job.yaml --tp 8 --zero 1 --micro-batch 1")[1]
    assert "As given" in shown
    other = json.loads(searched("plan job.yaml --cluster 3xdgx-h100 --global-batch 48 --tp 4 --json")[1])
    assert other["given"] is None or other["given"]["devices"] == 24
    odd = json.loads(searched("plan job.yaml --cluster 3xdgx-h100 --tp 8 --pp 3 --json")[1])
    assert odd["feasible"]
    assert "The layout given cannot run: strategy.global_batch: got 32" in odd["sentence"]


def test_a_scaled_job_searches_or_keeps_the_layout_of_the_file(searched: Run) -> None:
    best = json.loads(searched("scale 16..32 job.yaml --json")[1])
    kept = json.loads(searched("scale 16..32 job.yaml --fixed --tp 4 --json")[1])
    assert (best["mode"], best["fixed"], kept["fixed"]) == ("weak", False, True)
    assert {p["strategy"]["tp"] for p in kept["points"]} == {4}
    assert {p["strategy"]["precision"] for p in best["points"] + kept["points"]} == {"fp8"}
    held = json.loads(searched("scale 16..32 job.yaml --tp 2 --json")[1])
    assert {p["strategy"]["tp"] for p in held["points"]} == {2} != {p["strategy"]["tp"] for p in best["points"]}
    code, _, err = searched("scale 16..32 job.yaml --layers-per-stage 16,16")
    assert (code, err) == (2, "error: --layers-per-stage: got '16,16', expected it beside --fixed only\n")


def test_a_sweep_goes_over_the_lists_of_the_file(searched: Run, tmp_path: Path) -> None:
    rows = json.loads(searched("sweep best.sqlite job.yaml --json")[1])["points"]
    assert [row["cluster"] for row in rows] == ["1xdgx-h100", "2xdgx-h100"]
    assert (tmp_path / "points.csv").read_text(encoding="utf-8").count("\n") == 3
    assert {row["strategy"]["precision"] for row in rows} == {"fp8"}
    kept = json.loads(searched("sweep kept.sqlite job.yaml --fixed --cluster 2xdgx-h100 --json")[1])["points"]
    assert [row["strategy"]["tp"] for row in kept] == [8]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("plan", "--model: got nothing"),
        ("plan --model llama-3.1-8b --cluster 1xdgx-h100", "--global-batch: got nothing"),
        ("sweep s.sqlite", "--cluster: got nothing"),
        ("sweep s.sqlite --model a --cluster b --global-batch 1 --fixed", "--fixed: got no job file"),
        ("scale 8..16 --model llama-3.1-8b --cluster dgx-h100", "--global-batch: got nothing"),
        ("plan job.yaml --tp 2,x", "--tp: got '2,x', expected whole numbers"),
    ],
)
def test_searches_say_what_lacks(searched: Run, line: str, message: str) -> None:
    code, out, err = searched(line)
    assert (code, out) == (2, "")
    assert message in err
    assert "internal" not in err


EVERY: dict[str, Any] = {
    "dp": 2, "tp": 2, "pp": 2, "vpp": 2, "cp": 2, "ep": 2, "etp": 1, "zero": 1, "micro_batch": 2, "global_batch": 16,
    "recompute": "full", "precision": "fp16", "optimizer": "sgd", "rank_order": "tp-ep-cp-dp-pp",
    "layers_per_stage": [7, 9, 9, 7], "sequence_parallel": True, "overlap_grad_reduce": False, "capacity_factor": 1.5,
    "reshard_after_forward": None, "expert_load": {"kind": "zipf", "exponent": 0.5}, "moe_dispatcher": "deepep",
}  # fmt: skip


def test_every_kind_of_value(tmp_path: Path) -> None:
    path = tmp_path / "all.yaml"
    path.write_text(json.dumps({"model": "mixtral-8x7b", "cluster": "2xdgx-h100", "strategy": EVERY}), encoding="utf-8")
    assert dts.read_job(path).strategy == dts.Strategy(**EVERY)
    order = ["F0 F1 B0 B1", "F0 B0 F1 B1"]
    job = dts.read_job(text=f"strategy: {{pp: 2, custom_order: {json.dumps(order)}, reshard_after_forward: 4}}\n")
    assert (job.strategy.custom_order, job.strategy.reshard_after_forward) == (tuple(order), 4)


def test_models_and_clusters_of_a_file(tmp_path: Path) -> None:
    config = Path(__file__).parents[2] / "examples" / "configs" / "llama-3.1-8b" / "config.json"
    (tmp_path / "m.json").write_bytes(config.read_bytes())
    (tmp_path / "c.yaml").write_text("cluster: {node: dgx-h100, nodes: 2, name: mine}\n", encoding="utf-8")
    path = tmp_path / "job.yaml"
    path.write_text("model: ./m.json\ncluster: c.yaml\n", encoding="utf-8")
    job = dts.read_job(path)
    assert job.model is not None
    assert job.cluster is not None
    assert (job.model.parameters, job.cluster.name, job.cluster.device_count) == (8_030_261_248, "mine", 16)
    inline = dts.read_job(text=f"model: {config.read_text(encoding='utf-8')}\ncluster: {{node: dgx-h100, nodes: 2}}\n")
    assert inline.model is not None
    assert inline.model.layers == job.model.layers
    assert inline.cluster == dts.Cluster.from_catalog("2xdgx-h100")


BAD = """\
model: llama-3.1-7b
cluster: {node: dgx-h10, nodes: 4}
seq_length: 10
seq_len: 0
strategy:
  tp: eight
  ttp: 8
  recompute: some
  zero: 7
  layers_per_stage: [1, x]
simulate: {timeline: 3}
runs: {a: {strategy: {pp: -1}}}
"""


def test_all_errors_at_once_with_line_and_key() -> None:
    with pytest.raises(dts.ConfigError) as error:
        dts.read_job(text=BAD)
    lines = str(error.value).splitlines()
    expected = [
        "command line:3: got 'seq_length', expected a known key: cluster, cost",
        "command line:4: seq_len: got 0, expected a whole number >= 1",
        "command line:6: strategy.tp: got 'eight', expected a whole number >= 1",
        "command line:7: strategy: got 'ttp', expected a known key: ",
        "command line:8: strategy.recompute: got 'some', expected one of none, selective, full",
        "command line:9: strategy.zero: got 7, expected a whole number from 0 to 3",
        "command line:10: strategy.layers_per_stage[1]: got 'x', expected a whole number >= 0",
        "command line:11: simulate.timeline: got 3, expected a text",
        "command line:12: runs.a.strategy.pp: got -1, expected a whole number >= 1",
    ]
    assert [line[: len(start)] for line, start in zip(lines, expected, strict=True)] == expected
    assert "did you mean seq_len?" in lines[0]


def test_problems_of_values_have_lines_too() -> None:
    text = "model: llama-3.1-7b\ncluster: {node: dgx-h10, nodes: 4}\nstrategy:\n  offload_activations: 3.0\n"
    with pytest.raises(dts.ConfigError) as error:
        dts.read_job(text=text)
    starts = [line.split(": got")[0] for line in str(error.value).splitlines()]
    offload = "command line:4: strategy.offload_activations"
    assert starts == ["command line:1: model", "command line:2: cluster: cluster.node", offload]


@pytest.mark.parametrize(
    ("line", "code", "part"),
    [
        ("simulate job.yaml --run nope", 2, "expected one of its runs; known: longer, split"),
        ("simulate nope.yaml", 4, "nope.yaml"),
        ("simulate --run a --model gpt2 --cluster 1xdgx-h100 --seq-len 8", 2, "--run: got 'a', expected a job file"),
        ("simulate job.yaml --set 8", 2, "NAME=VALUE"),
        ("simulate --seq-len 8", 2, "--model: got nothing"),
        ("export job.yaml --to none", 2, "expected one of dts, megatron-lm"),
        ("export --model gpt2 --cluster 1xdgx-h100 --seq-len 8", 2, "--to: got nothing"),
        ("cost job.yaml --tokens many", 2, "15T, 300B or 1.5e12"),
        ("fit job.yaml --run longer", 0, ""),
    ],
)
def test_exit_codes(dts_cli: Run, line: str, code: int, part: str) -> None:
    found, _, err = dts_cli(line)
    assert found == code, err
    assert part in err


def test_a_script_stands_in_for_a_job_file(dts_cli: Run, tmp_path: Path) -> None:
    assert dts_cli("export job.yaml --to megatron-lm --zero 1 --tp 2 --file train.sh --out r.json")[0] == 0
    text = (tmp_path / "train.sh").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["text"] == text
    code, out, err = dts_cli("simulate train.sh --cluster 1xdgx-h100 --json")
    assert (code, err) in ((0, ""), (3, err))
    found = json.loads(out)
    assert (found["model"], found["strategy"]["tp"], found["seq_len"]) == ("llama-3.1-8b", 2, 8192)
    (tmp_path / "train.sh").write_text(text.replace("--bf16", "--bf16 --brand-new 1 --tensor-model-parallel-size $T"))
    code, out, err = dts_cli("simulate train.sh --cluster 1xdgx-h100 --set T=4 --json")
    assert json.loads(out)["strategy"]["tp"] == 4
    assert "warning: train.sh:" in err
    assert "not in the job: brand-new 1" in err
    assert "--tensor-model-parallel-size 4 overrides --tensor-model-parallel-size 2 of train.sh:" in err


# --- check -----------------------------------------------------------------------------------------------------------

SCRIPT = """\
torchrun --nproc_per_node 8 --nnodes {nodes} pretrain_gpt.py --num-layers 32 --hidden-size 4096 --swiglu --bf16 \\
  --ffn-hidden-size 14336 --num-attention-heads 32 --num-query-groups 8 --group-query-attention --seq-length 8192 \\
  --max-position-embeddings 8192 --position-embedding-type rope --normalization RMSNorm --disable-bias-linear \\
  --untie-embeddings-and-output-weights --vocab-size 128256 --attention-dropout 0 --hidden-dropout 0 \\
  --micro-batch-size 1 --global-batch-size 64 --train-iters 1000 --use-distributed-optimizer {more}
"""


def test_check_gives_the_verdict_of_simulate(dts_cli: Run, tmp_path: Path) -> None:
    (tmp_path / "t.sh").write_text(SCRIPT.format(nodes=2, more="--tensor-model-parallel-size 2"), encoding="utf-8")
    code, out, err = dts_cli("check t.sh --cluster 2xdgx-h100 --json")
    found = json.loads(out)
    strategy = dts.Strategy(
        tp=2, zero=1, global_batch=64, sequence_parallel=False, overlap_grad_reduce=False, overlap_param_gather=False
    )
    result = dts.simulate("llama-3.1-8b", "2xdgx-h100", strategy, seq_len=8192)
    assert (found["step_time_s"], found["fits"]) == (result.step_time_s, result.fits)
    assert found["days"] == pytest.approx(1000 * result.step_time_s / 86400)
    assert (code, err) == (0 if result.fits else 3, err)
    report = dts.check(tmp_path / "t.sh", "2xdgx-h100")
    assert json.loads(json.dumps(report.to_dict())) == found | {"job": found["job"]}


def test_check_exits_3_where_memory_runs_out(dts_cli: Run, tmp_path: Path) -> None:
    (tmp_path / "t.sh").write_text(SCRIPT.format(nodes=1, more="--tensor-model-parallel-size 1"), encoding="utf-8")
    code, out, err = dts_cli("check t.sh --cluster 1xdgx-a100-40gb --json")
    assert (code, json.loads(out)["fits"], json.loads(out)["verdict"]) == (3, False, "does not fit")
    assert "dts fit says what helps" in err
    code, out, _ = dts_cli("check t.sh --cluster 1xdgx-a100-40gb")
    assert code == 3
    assert max(map(len, out.splitlines())) <= 100


def test_check_warns_and_is_strict(dts_cli: Run, tmp_path: Path) -> None:
    (tmp_path / "t.sh").write_text(
        SCRIPT.format(nodes=4, more="--tensor-model-parallel-size 4 --shiny 2"), encoding="utf-8"
    )
    code, _, err = dts_cli("check t.sh --cluster 2xdgx-h100 --json")
    assert code == 0
    assert "warning: t.sh:5: not understood, and not in the job: shiny 2" in err
    assert "the file starts 32 devices, 2xdgx-h100 has 16" in err
    assert dts_cli("check t.sh --cluster 2xdgx-h100 --json --strict")[0] == 2


@pytest.mark.parametrize(
    ("line", "code", "part"),
    [
        ("check nope.sh --cluster 1xdgx-h100", 4, "nope.sh"),
        ("check ds.json --cluster 1xdgx-h100", 2, "give model (--model)"),
        ("check ds.json --cluster 1xdgx-h100 --model llama-3.1-8b", 2, "give seq_len (--seq-len)"),
        ("check ds.json --model llama-3.1-8b --seq-len 4096", 2, "give cluster (--cluster)"),
        ("check ds.json --cluster 1xdgx-h100 --model llama-3.2-1b --seq-len 4096", 0, ""),
        ("check ds.json --cluster 1xdgx-h100 --model llama-3.2-1b --seq-len 4096 --format nanotron", 2, "required"),
        ("check job.yaml", 0, ""),
        ("check job.yaml --run longer", 0, ""),
    ],
)
def test_check_exit_codes(dts_cli: Run, tmp_path: Path, line: str, code: int, part: str) -> None:
    content = {"train_batch_size": 8, "zero_optimization": {"stage": 3}, "bf16": {"enabled": True}}
    (tmp_path / "ds.json").write_text(json.dumps(content), encoding="utf-8")
    found, _, err = dts_cli(line)
    assert found == code, err
    assert part in err


def test_a_newer_file_is_read_without_what_is_not_known() -> None:
    text = "version: 2\nmodel: gpt2\ncluster: 1xdgx-h100\nstrategy: {dp: 8, fold: 3}\nnew: {a: 1}\n"
    job = dts.read_job(text=text, format="dts")
    assert [option.name for option in job.unknown] == ["strategy.fold", "new"]
    assert "version 2 of job files, read as version 1" in job.notes[0]
    assert job.strategy == dts.Strategy(dp=8)
    with pytest.raises(dts.ConfigError, match=r"(?s)strategy: got 'fold'.*'new'"):
        dts.read_job(text=text.replace("version: 2", "version: 1"), format="dts")
    with pytest.raises(dts.ConfigError, match=r"seq_len: got 'long'"):
        dts.read_job(text=text + "seq_len: long\n", format="dts")
    for wrong in ("0", "true", "new"):
        with pytest.raises(dts.ConfigError, match=r"version: got .*, expected a whole number >= 1"):
            dts.read_job(text=text.replace("version: 2", f"version: {wrong}"), format="dts")
    written = dts.write_job("dts", "gpt2", "1xdgx-h100", dts.Strategy(dp=8), seq_len=1024).text
    assert "\nversion: 1\n" in written


FAMILIES = {
    "gpt2": "gpt2",
    "llama-3.1-8b": "llama",
    "qwen2.5-7b": "qwen2",
    "qwen3-8b": "qwen3",
    "mixtral-8x7b": "mixtral",
    "qwen3-30b-a3b": "qwen3_moe",
    "deepseek-v3": "deepseek_v3",
    "deepseek-v2": "deepseek_v2",
}


@pytest.mark.parametrize(("name", "family"), FAMILIES.items())
def test_a_model_of_no_catalogue_travels_as_its_config(name: str, family: str) -> None:
    model = dataclasses.replace(dts.Model.from_catalog(name), name="mine")
    strategy = dts.Strategy(dp=8, zero=1, global_batch=16, layers_per_stage=(), rank_order="tp-cp-ep-dp-pp")
    text = dts.write_job("dts", model, "1xdgx-h100", strategy, seq_len=1024).text
    assert yaml.safe_load(text)["model"]["model_type"] == family
    job = dts.read_job(text=text, format="dts")
    assert job.model is not None
    assert (job.model.layers, job.model.stem, job.model.head) == (model.layers, model.stem, model.head)
    assert (job.strategy, job.seq_len, job.unknown, job.conflicts) == (strategy, 1024, (), ())


@pytest.mark.parametrize("name", ["bloom-176b", "gpt-oss-120b", "resnet-50"])
def test_what_no_job_file_can_say_is_refused(name: str) -> None:
    mine = dataclasses.replace(dts.Model.from_catalog(name), name="mine")
    with pytest.raises(dts.ConfigError, match="model: got 'mine', expected"):
        dts.write_job("dts", mine, "1xdgx-h100", dts.Strategy(), seq_len=None if name == "resnet-50" else 1024)
    other = dts.Cluster.from_catalog("1xdgx-h100")
    slower = dataclasses.replace(other, node=other.node.replace(nic_Bps=1e9))
    profile = dts.FrameworkProfile.from_catalog("megatron-core").replace(step_cost_s=1.0)
    with pytest.raises(dts.ConfigError) as error:
        dts.write_job("dts", "gpt2", slower, dts.Strategy(), seq_len=1024, framework=profile)
    assert [line.split(":")[0] for line in str(error.value).splitlines()] == ["cluster", "framework"]
