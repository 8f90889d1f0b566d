"""Rows that are not step times: memory peaks, jobs that fit or not, kernels; and rows over several processes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from dist_training_sim import _core
from dist_training_sim._convert import to_core
from dist_training_sim.errors import ConfigError, MissingDataError
from dist_training_sim.hardware import Device
from dist_training_sim.validation import Row, RowResult, kernels, packaged_corpus, read_rows, validate
from dist_training_sim.validation.kernel_prices import BEST_SHAPE, PREFILL, SIMT, family_of, kernel_of
from dist_training_sim.validation.kernels import device_label
from dist_training_sim.validation.pool import available_cores, over_cores
from dist_training_sim.validation.row_gaps import filled
from dist_training_sim.validation.summary import reason_class
from hypothesis import given, settings
from hypothesis import strategies as st

GIB = 2**30
RUN: dict[str, Any] = {
    "id": "run",
    "source": {"title": "Ours"},
    "model": {"name": "Llama 8B", "kind": "dense", "layers": 32, "hidden": 4096, "heads": 32, "kv_heads": 8,
              "ffn": 14336, "gated": True, "vocab": 128256, "tied_embeddings": False},
    "seq": 4096,
    "global_batch": 64,
    "micro_batch": 1,
    "parallel": {"tp": 2, "pp": 2, "zero": "1"},
    "hardware": {"gpus": 8},
    "accelerator": "H100-SXM-80GB",
    "framework": "megatron-lm",
    "precision_family": "bf16",
    "measured": {"step_time_s": 3.0, "peak_mem_gb": 40.0, "peak_mem_kind": "allocated"},
    "use": {"step_time": "A", "memory": "A"},
}  # fmt: skip
JOB: dict[str, Any] = {
    "id": "job",
    "fits": True,
    "model": {"name": "1.34G", "layers": 16, "hidden": 2048, "heads": 32, "kv_heads": 32, "ffn": 8192, "gated": True,
              "vocab": 131072, "tied_embeddings": True},
    "seq": 4096,
    "micro_batch": 1,
    "grad_accumulation": 32.0,
    "global_batch": 256.0,
    "parallel": {"dp": 8, "tp": 1, "pp": 1, "zero": "1"},
    "accelerator": "H100-SXM-80GB",
    "gpus": 8,
}  # fmt: skip


def results(tmp_path: Path, *rows: dict[str, Any], **options: Any) -> list[RowResult]:
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return list(validate(path, **options).rows)


def measured(**values: Any) -> dict[str, Any]:
    return {**RUN, "measured": {**RUN["measured"], **values}}


# ---- memory ----------------------------------------------------------------------------------------------------------


def test_one_run_gives_time_and_memory(tmp_path: Path) -> None:
    time, memory = results(tmp_path, RUN)
    assert (time.use, memory.use) == ("step_time", "memory")
    assert memory.measured == 40 * GIB
    assert memory.error == float(memory.predicted or 0) / (40 * GIB) - 1
    (alone,) = results(tmp_path, RUN, use="memory")
    assert alone == memory
    assert [row.use for row in results(tmp_path, {**RUN, "use": {"step_time": "A"}})] == ["step_time"]


def test_kinds_of_peaks(tmp_path: Path) -> None:
    """Reserved holds what is allocated, a device holds both and its context; bytes go before GB."""
    kinds = {
        kind: float(results(tmp_path, measured(peak_mem_kind=kind), use="memory")[0].predicted or 0)
        for kind in ("allocated", "reserved", "unknown", "device")
    }
    assert kinds["allocated"] <= kinds["reserved"] == kinds["unknown"] < kinds["device"]
    (exact,) = results(tmp_path, measured(peak_mem_bytes=7e10), use="memory")
    assert exact.measured == 7e10


def test_the_last_rank_logs_in_the_test_suite(tmp_path: Path) -> None:
    """Megatron's tests log the last stage, whose peak is below that of the first, which holds more in flight."""
    ours, suite = (
        results(tmp_path, {**RUN, "software": software, "framework": "megatron-lm"}, use="memory")[0]
        for software in ("Megatron-LM 2024", "Megatron-LM CI (2024)")
    )
    assert ours.labels["profile"] != suite.labels["profile"] == "megatron-core-ci"
    assert float(suite.predicted or 0) < float(ours.predicted or 0)


def test_memory_of_a_flagged_network_counts(tmp_path: Path) -> None:
    time, memory = results(tmp_path, {**RUN, "flags": ["degraded_fabric"]})
    assert (time.included, memory.included) == (False, True)
    time, memory = results(tmp_path, {**RUN, "flags": ["defect"]})
    assert (time.included, memory.included) == (False, False)


def test_gaps_of_a_memory_row(tmp_path: Path) -> None:
    """Without devices and batch: one node of 8 for tp * pp = 4, so dp = 2, and a micro-batch per replica and stage."""
    bare = {key: value for key, value in RUN.items() if key not in ("hardware", "global_batch")}
    bare |= {"use": {"step_time": "C", "memory": "B"}}
    assert filled(Row("sharded", bare)).count("hardware.gpus") is None  # ZeRO-1 shards over an unknown number
    bare["parallel"] = {"tp": 2, "pp": 2, "zero": "0"}
    full = filled(Row("bare", bare))
    assert full.count("hardware.gpus") == 8
    assert full.count("global_batch") == 2 * 1 * 2
    assert filled(Row("wide", {**bare, "parallel": {"tp": 8, "pp": 4}})).count("hardware.gpus") == 32
    time, memory = results(tmp_path, bare)
    assert time.predicted is None
    assert memory.included


def test_missing_peak(tmp_path: Path) -> None:
    bare = {**RUN, "measured": {"step_time_s": 3.0}}
    assert results(tmp_path, bare)[1].reason == "no measured memory"


# ---- reported, not scored --------------------------------------------------------------------------------------------


def test_jobs_whose_times_are_not_scored(tmp_path: Path) -> None:
    suite = {**RUN, "software": "Megatron-LM CI (2024)"}
    wide = {**RUN, "framework": "nanotron", "hardware": {"gpus": 16}, "parallel": {"tp": 16}}
    narrow = {**wide, "parallel": {"tp": 8}}
    rows = results(tmp_path, suite, {**wide, "id": "wide"}, {**narrow, "id": "narrow"}, use="step_time")
    assert all(row.predicted for row in rows)
    assert [row.included for row in rows] == [False, False, True]


# ---- fits or not -----------------------------------------------------------------------------------------------------


def test_a_job_that_fits(tmp_path: Path) -> None:
    right, wrong = results(tmp_path, JOB, {**JOB, "id": "wrong", "fits": False})
    assert (right.use, right.predicted, right.measured, right.error) == ("fit", True, True, 0.0)
    assert (wrong.predicted, wrong.measured, wrong.error) == (True, False, 1.0)
    (huge,) = results(tmp_path, {**JOB, "micro_batch": 512})
    assert huge.predicted is False


def test_metadata_that_tells_the_answer_is_not_used(tmp_path: Path) -> None:
    """Logs of jobs that ran out of memory have these fields otherwise; the prediction must not move."""
    leaky = {
        **JOB,
        "model": {**JOB["model"], "ffn": None, "vocab": 49152, "tied_embeddings": False},
        "global_batch": 1048576.0,
        "after_pp_fix": "True",
        "grad_accum_fp32": False,
    }
    for micro_batch in (1, 8, 24, 32, 64):
        plain, same = results(
            tmp_path, {**JOB, "micro_batch": micro_batch}, {**leaky, "id": "leaky", "micro_batch": micro_batch}
        )
        assert plain.predicted == same.predicted


def test_other_models_fit_by_their_own_shape(tmp_path: Path) -> None:
    (known,) = results(tmp_path, {**JOB, "model": {**JOB["model"], "name": "mine", "kind": "dense"}})
    assert known.predicted is True
    (unknown,) = results(tmp_path, {**JOB, "model": {"name": "mine"}})
    assert "model.layers" in unknown.reason


# ---- kernels ---------------------------------------------------------------------------------------------------------


def kernel(name: str, shape: dict[str, Any], **more: Any) -> dict[str, Any]:
    row = {
        "id": name,
        "gpu": "H100-SXM-80GB",
        "dtype": "bf16",
        "kernel": name,
        "source": "Us/repo file",
        "shape": shape,
    }
    return {**row, "time_us": 100.0, **more}


GEMM = kernel("gemm (torch)", {"m": 4096, "n": 4096, "k": 4096})
H100 = to_core(Device.from_catalog("h100-sxm5-80gb"))


def test_a_matmul_by_the_formula(tmp_path: Path) -> None:
    (row,) = results(tmp_path, GEMM)
    shape = _core.GemmShape(4096, 4096, 4096)
    burst, sustained = (
        _core.gemm_time_s(H100, _core.DType.BF16, shape, _core.GemmPass.FORWARD, 2.0, clock)
        for clock in (_core.Clock.BURST, _core.Clock.SUSTAINED)
    )
    assert burst <= float(row.predicted or 0) < burst + 0.02 * (sustained - burst)  # 0.2 ms, far below 5 ms
    assert row.measured == pytest.approx(100e-6)
    assert (row.labels["source"], row.labels["kind"]) == ("Us/repo", "matmul")
    assert row.interval


def test_long_calls_run_at_the_sustained_clock(tmp_path: Path) -> None:
    shape = {"m": 65536, "n": 65536, "k": 16384}
    (row,) = results(tmp_path, kernel("gemm (torch)", shape))
    product = _core.GemmShape(65536, 65536, 16384)
    device = kernels.kernel_device("h100-sxm5-80gb", "")  # without the factor that was fitted to whole steps
    sustained = _core.gemm_time_s(device, _core.DType.BF16, product, _core.GemmPass.FORWARD, 2.0, _core.Clock.SUSTAINED)
    assert float(row.predicted or 0) == pytest.approx(sustained, rel=0.01)


def test_times_from_rates(tmp_path: Path) -> None:
    """A source that prints TFLOP/s: 2 m n k; causal attention half of 4 s² d h b, forward and backward 3.5 times."""
    rate = {"time_us": None, "tflops": 500.0}
    (matmul,) = results(tmp_path, {**GEMM, **rate})
    assert matmul.measured == pytest.approx(2 * 4096**3 / 500e12)
    shape = {"seqlen": 4096, "head_dim": 128, "heads": 16, "batch": 4, "causal": True}
    (attention,) = results(tmp_path, kernel("FlashAttention-2", shape, **rate, **{"pass": "fwd+bwd"}))
    assert attention.measured == pytest.approx(3.5 * 0.5 * 4 * 4096**2 * 128 * 16 * 4 / 500e12)
    assert results(tmp_path, {**GEMM, "time_us": None})[0].reason == "no measured time"


def test_what_is_priced_but_not_scored(tmp_path: Path) -> None:
    prefill = {"batch": 1, "seqlen": 4096, "heads": 16, "kv_heads": 16, "head_dim": 128, "causal": True}
    rows = results(
        tmp_path,
        kernel("matmul (best shape found)", {"m": 4096, "n": 4096, "k": 4096}),
        kernel("linear (PyTorch 2.1)", {"b": 2, "m": 1024, "n": 1024, "k": 1024}, dtype="fp32"),
        kernel("context attention fwd (TRT-LLM)", prefill),
    )
    assert [row.reason for row in rows] == [BEST_SHAPE, SIMT, PREFILL]
    assert all(row.predicted and not row.included for row in rows)


def test_what_cannot_be_priced(tmp_path: Path) -> None:
    rows = results(
        tmp_path,
        kernel("geglu (liger)", {"x": "T", "value": 1024}),
        kernel("gemm (torch)", {"m": 4096, "n": -1}),
        kernel("gemm (torch)", {"m": 1, "n": 1, "k": 1}, gpu="Tesla P100-PCIE-16GB"),
        kernel("layer_norm (liger)", {"x": "N", "value": 1024, "cfg": "{}"}, **{"pass": "backward"}),
        kernel("softmax (liger)", {"x": "T", "value": 1024, "cfg": "no json"}, **{"pass": "forward"}),
    )
    parts = ("the compute model prices", "shape.n: got -1", "of the catalogue", "bound by its host", "not known")
    for row, part in zip(rows, parts, strict=True):
        assert part in row.reason
        assert row.predicted is None
    assert "shape.k" in rows[1].reason


def test_conventions_of_training_loops() -> None:
    """Layouts name the pass; a weight gradient that adds to fp32 sums moves 8 bytes per element."""
    shape = {"b": 1, "m": 4096, "n": 5120, "k": 1536, "accumulate": "False", "out_dtype": "bf16", "layout": "TN"}
    times = {
        layout: kernel_of(Row("r", kernel("simumax matmul", {**shape, "layout": layout}))).price(H100)
        for layout in ("TN", "NN", "NT")
    }
    assert times["TN"] == times["NN"] < times["NT"]
    summed = {**shape, "layout": "NT", "accumulate": "True", "out_dtype": "fp32"}
    assert kernel_of(Row("r", kernel("simumax matmul", summed))).price(H100) > times["NT"]
    with pytest.raises(MissingDataError, match="layout"):
        kernel_of(Row("r", kernel("simumax matmul", {**shape, "layout": "XX"})))
    sizes = {"total_m": 4096, "n": 512, "k": 512, "groups": 4}
    with pytest.raises(ConfigError, match="mxfp8"):
        kernel_of(Row("r", kernel("grouped_gemm fwd+bwd", sizes, dtype="mxfp8 (incl. quantisation)")))


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("NVIDIA H100 80GB HBM3", "H100-SXM-80GB"),
        ("NVIDIA A100-SXM4-80GB", "A100-SXM-80GB"),
        ("NVIDIA GeForce RTX 3090", "RTX3090"),
        ("B200 (1000 W)", "B200-SXM"),
        ("NVIDIA GB200 SXM", "GB200"),
        ("Intel Gaudi 2", "Gaudi2"),
        ("AMD MI300X", "MI300X"),
        ("Tesla T4", "T4"),
        ("H800-SXM", "H800-SXM"),
    ],
)
def test_names_of_devices(name: str, label: str) -> None:
    assert device_label(name) == label
    assert Device.from_catalog(label)


def test_families() -> None:
    names = ["gemm (torch)", "simumax group_matmul", "cuDNN", "pytorch_unfused", "softmax (liger)", "rope (liger)"]
    expected = ["matmul", "grouped matmul", "attention", "unfused attention", "memory-bound", "other"]
    assert [family_of(name) for name in names] == expected


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from([row["kernel"] for row in (GEMM,)] + ["cuDNN", "softmax (liger)", "simumax sdp_bwd", "?"]),
    shape=st.dictionaries(
        st.sampled_from(["m", "n", "k", "b", "seqlen", "heads", "batch", "head_dim", "causal", "x", "value", "cfg"]),
        st.one_of(st.none(), st.integers(-2, 2**40), st.floats(), st.text(max_size=9), st.booleans()),
    ),
    time_us=st.one_of(st.none(), st.floats(), st.text(max_size=3)),
)
def test_no_kernel_row_raises(tmp_path_factory: pytest.TempPathFactory, name: str, shape: Any, time_us: Any) -> None:
    (row,) = results(tmp_path_factory.mktemp("rows"), kernel(name, shape, time_us=time_us))
    assert (row.predicted is None) <= bool(row.reason)


# ---- collectives -----------------------------------------------------------------------------------------------------

COLLECTIVE = {"id": "c", "source": "Us/repo: file", "gpu": "H100-SXM-80GB", "gpus": 8, "nodes": 1, "gpus_per_node": 8,
              "collective": "all_reduce", "size_bytes": 1e9, "time_us": 4000.0, "flags": []}  # fmt: skip


def test_collectives_are_priced_on_their_fabric(tmp_path: Path) -> None:
    (row,) = results(tmp_path, COLLECTIVE)
    # NVSwitch sums in the switch: 0.6 of 450 GB/s and a start-up, no less than the buffer over the link once.
    assert row.predicted is not None
    assert 1e9 / 450e9 < row.predicted < 1e9 / 200e9
    assert row.error == pytest.approx(row.predicted / 4e-3 - 1)
    assert row.included
    assert (row.labels["source"], row.labels["kind"], row.labels["profile"]) == ("Us/repo", "all_reduce", "nvlink4")


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"collective": "shuffle"}, "collective: got 'shuffle'"), ({"time_us": None}, "no measured time"),
     ({"size_bytes": None}, "no size"), ({"gpus": None}, "gpus")],
)  # fmt: skip
def test_collectives_without_facts_say_why(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    (row,) = results(tmp_path, {**COLLECTIVE, **change})
    assert row.predicted is None
    assert reason in row.reason


# ---- the corpus of the package, processes ----------------------------------------------------------------------------


def test_packaged_rows_are_cited() -> None:
    """Every row names its source, or (the sweep) shares one; texts are facts, not sentences."""
    for path in packaged_corpus(["step_time", "kernels", "collectives"]):
        rows = read_rows(path)
        assert len(rows) > 1000
        assert all(row.source for row in rows)
        assert all(len(text) <= 400 for row in rows for text in row.data.values() if isinstance(text, str))
        assert not any({"note", "flops_convention"} & set(row.data) for row in rows)
        assert all(len(row.text("notes").split()) <= 4 for row in rows)
    assert {row.source for row in read_rows(packaged_corpus(["fit"])[0])} == {"nanotron scaling sweep"}
    assert packaged_corpus(["step_time", "memory"]) == packaged_corpus(["memory"])


def doubled(items: Any) -> list[int]:
    return [2 * item for item in items]


def test_order_and_progress_of_chunks() -> None:
    seen: list[tuple[int, int]] = []
    made = over_cores(doubled, list(range(100)), 1, lambda done, total: seen.append((done, total)))
    assert made == [2 * i for i in range(100)]
    assert seen[-1] == (100, 100)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert over_cores(doubled, [], 4) == []
    assert available_cores() >= 1


def test_processes_give_the_same_rows() -> None:
    chosen: dict[str, Any] = {"use": "kernels", "where": {"source": "Dao-AILab/flash-attention"}}
    alone, together = validate(**chosen), validate(**chosen, workers=2)
    assert len(alone.rows) > 100
    assert alone.to_dict() == together.to_dict()


def test_bad_lines_count_once(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("{\n" + json.dumps(GEMM), encoding="utf-8")
    report = validate(path, use=("kernels", "fit"))
    assert [(row.use, bool(row.reason)) for row in report.rows] == [("kernels", True), ("kernels", False)]


def test_reasons_of_one_cause_count_together() -> None:
    assert reason_class("hardware.gpus: got 12, expected a multiple of 8") == reason_class(
        "hardware.gpus: got 20, expected a multiple of 16"
    )
    assert reason_class("kernel: 'a' is not one op") == reason_class("kernel: 'b' is not one op")
    assert reason_class("one\ntwo") == "one"
