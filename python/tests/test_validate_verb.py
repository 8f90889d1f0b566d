"""`dts validate`: tables, JSON, choices, errors, progress."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from dist_training_sim.cli import main
from dist_training_sim.validation import FIELDS, USES, validate

SAMPLE = Path(__file__).parent / "fixtures" / "runs_sample.jsonl"
RUNS = f"validate --corpus {SAMPLE.as_posix()} --workers 1"
Run = Callable[[str], tuple[int, str, str]]


@pytest.fixture
def dts_cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    for name in ("FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)

    def run(line: str) -> tuple[int, str, str]:
        code = main(shlex.split(line))
        return (code, *capsys.readouterr())

    return run


def test_json_is_the_python_report(dts_cli: Run) -> None:
    code, out, err = dts_cli(f"{RUNS} --use step_time --json")
    assert (code, err) == (0, "")
    assert json.loads(out) == json.loads(json.dumps(validate(SAMPLE, use="step_time").to_dict()))


def test_contract_of_the_json(dts_cli: Run, tmp_path: Path) -> None:
    path = tmp_path / "errors.json"
    code, _, _ = dts_cli(f"{RUNS} --out {path.as_posix()}")
    assert code == 0
    data = json.loads(path.read_text(encoding="utf-8"))
    assert set(data) == {"rows", "summary"}
    keys = {"id", "use", "predicted", "measured", "error", "interval", "included", "reason"}
    assert all(set(row) == keys for row in data["rows"])
    assert {row["use"] for row in data["rows"]} == {"step_time", "memory"}
    for row in data["rows"]:
        if row["included"]:
            assert row["error"] == pytest.approx(row["predicted"] / row["measured"] - 1)
            low, high = row["interval"]["p90"]
            assert low <= row["predicted"] <= high
        else:
            assert row["reason"]


def test_goals_end_the_report_on_the_packaged_measurements(dts_cli: Run) -> None:
    code, out, _ = dts_cli("validate --use kernels --workers 1")
    assert code == 0
    table = out[out.index("Goals:") :]
    assert "of 3 met" in table
    assert "attention, data-centre GPUs" in table
    assert "Goals:" not in dts_cli("validate --use kernels --where kind=attention --workers 1")[1]
    assert "Goals:" not in dts_cli(RUNS)[1]


def test_tables_for_people(dts_cli: Run) -> None:
    code, out, err = dts_cli(f"{RUNS} --by source")
    assert (code, err) == (0, "")
    report = validate(SAMPLE, by=("source",))
    for total in (group for group in report.summary if set(group.key) == {"use"}):
        title = {"step_time": "Step time", "memory": "Peak memory"}[total.key["use"]]
        assert f"{title}: {total.n} rows compared, {total.skipped} skipped" in out
        assert f"{total.median_error:.1%}" in out
        assert total.worst[0][:60] in out
    assert "grade C" in out
    assert "MAPE" in out
    assert max(map(len, out.splitlines())) <= 100
    assert "Traceback" not in out


def test_fit_shows_shares_of_wrong_answers(dts_cli: Run) -> None:
    code, out, _ = dts_cli("validate --use fit --where model=1.34G --workers 1")
    assert code == 0
    assert re.search(r"Fits or not: \d+ rows compared", out)
    assert "wrong" in out
    assert "does not" in out


def test_choices(dts_cli: Run) -> None:
    code, out, _ = dts_cli(f"{RUNS} --use step_time --where accelerator=GB300 --where kind=moe --by kind,grade --json")
    assert code == 0
    data = json.loads(out)
    assert {tuple(group["key"]) for group in data["summary"][1:]} == {("use", "kind", "grade")}
    assert len(data["rows"]) == len(
        validate(SAMPLE, use="step_time", where={"accelerator": "GB300", "kind": "moe"}).rows
    )
    code, out, _ = dts_cli(f"{RUNS} --where use=memory --json")
    assert code == 0
    assert {row["use"] for row in json.loads(out)["rows"]} == {"memory"}


@pytest.mark.parametrize(
    ("line", "code", "texts"),
    [
        ("--use times", 2, ["use: got 'times'", "did you mean step_time"]),
        ("--where accelerator", 2, ["--where: got 'accelerator', expected FIELD=VALUE"]),
        ("--where gpu=H100", 2, ["where: got 'gpu'", "known"]),
        ("--where accelerator=h100", 2, ["where accelerator: got 'h100'", "did you mean", "H100-SXM-80GB"]),
        ("--by vendor", 2, ["by: got 'vendor'"]),
        ("--by vendor --where gpu=H100", 2, ["by: got 'vendor'", "where: got 'gpu'"]),
        ("--use kernels", 2, ["no row to compare for kernels"]),
        ("--workers 0", 2, ["workers: got 0"]),
    ],
)
def test_errors_are_readable(dts_cli: Run, line: str, code: int, texts: list[str]) -> None:
    got, out, err = dts_cli(f"validate --corpus {SAMPLE.as_posix()} {line}")
    assert (got, out) == (code, "")
    for text in texts:
        assert text in err
    assert "Traceback" not in err


def test_broken_lines_do_not_hide_the_others(dts_cli: Run, tmp_path: Path) -> None:
    """Bytes, JSON, types and sizes that are wrong are skipped with a reason each; uses of one file may be mixed."""
    whole = next(row for row in SAMPLE.read_text(encoding="utf-8").splitlines() if "titan-h100-t1-0" in row[:30])
    fit = {"id": "f", "fits": True, "model": {"name": "8.86G"}, "seq": 4096, "micro_batch": 1, "grad_accumulation": 1,
           "parallel": {"dp": 8, "tp": 8, "pp": 1}, "gpus": 64, "accelerator": "H100-SXM-80GB"}  # fmt: skip
    collective = {"id": "c", "system": "mine", "gpu": "H100-SXM-80GB", "gpus": 8, "nodes": 1,
                  "collective": "all_reduce", "size_bytes": 1e6, "time_us": 50}  # fmt: skip
    kernel = {"id": "k", "kernel": "gemm", "gpu": "H100-SXM-80GB", "dtype": "bf16", "time_us": 200,
              "shape": {"m": 4096, "n": 4096, "k": 4096}}  # fmt: skip
    bare = {"id": "bare", "use": {"step_time": "A"}, "measured": {"step_time_s": 1}}
    lines = [whole, '{"id": "broken', "[1]", "42", *map(json.dumps, (bare, fit, collective, kernel))]
    path = tmp_path / "mixed.jsonl"
    path.write_bytes("\n".join(lines).encode() + b"\n\xff\xfe\n")
    code, out, err = dts_cli(f"validate --corpus {path.as_posix()} --workers 1 --json")
    assert (code, err) == (0, "")
    rows = json.loads(out)["rows"]
    assert {row["use"] for row in rows if row["included"]} >= {"step_time", "fit", "collectives", "kernels"}
    skipped = {row["id"]: row["reason"] for row in rows if not row["included"]}
    assert {"line 2", "line 3", "line 4", "line 9", "bare"} <= set(skipped)
    assert all(skipped.values())
    answer = next(row for row in rows if row["use"] == "fit")
    assert {type(answer[key]) for key in ("predicted", "measured")} == {bool}
    assert answer["interval"]["p90"] == [True, True]
    for row in rows:
        assert row["predicted"] is None or row["interval"], row


def test_missing_file_exits_4(dts_cli: Run) -> None:
    code, out, err = dts_cli("validate --corpus no-such-file.jsonl")
    assert (code, out) == (4, "")
    assert "no-such-file.jsonl" in err


def test_an_empty_file_has_no_rows(dts_cli: Run, tmp_path: Path) -> None:
    path = tmp_path / "empty.jsonl"
    path.write_text("\n", encoding="utf-8")
    assert dts_cli(f"validate --corpus {path.as_posix()}") == (0, "no rows\n", "")
    assert dts_cli(f"validate --corpus {path.as_posix()} --json")[0] == 0


def test_help_names_uses_and_fields(dts_cli: Run) -> None:
    code, out, _ = dts_cli("validate --help")
    assert code == 0
    words = set(re.findall(r"\w+", out))
    assert words >= {*USES, *FIELDS}


def test_no_progress_in_a_pipe(dts_cli: Run) -> None:
    assert dts_cli(f"{RUNS} --use step_time --json")[2] == ""
