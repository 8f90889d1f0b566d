"""Output of nccl-tests and rccl-tests, as launchers, crashes and versions leave it."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest
from dist_training_sim.errors import FormatError, MissingDataError
from dist_training_sim.io.nccl_log import Measurement, read_nccl_log
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

RANKS = "".join(f"#  Rank {i:2d} Group  0 Pid {40 + i} on node{i // 2} device {i % 2} [0x1a] H100\n" for i in range(4))
ROW = "  1048576   262144   float   sum   -1    93.41   11.23   16.84      0    91.00   11.52   17.28      0\n"
HEAD = f"# Collective test starting: all_reduce_perf\n{RANKS}"


def read(tmp_path: Path, text: str) -> tuple[tuple[Measurement, ...], tuple[str, ...]]:
    path = tmp_path / "log.txt"
    path.write_text(text, encoding="utf-8")
    log = read_nccl_log(path)
    return log.measurements, log.warnings


def test_both_columns_of_a_row(tmp_path: Path) -> None:
    found, warnings = read(tmp_path, HEAD + ROW)
    assert [(m.kind, m.ranks, m.nodes, m.size_bytes, m.in_place) for m in found] == [
        ("all_reduce", 4, 2, 1048576, False),
        ("all_reduce", 4, 2, 1048576, True),
    ]
    assert found[0].time_s == pytest.approx(93.41e-6, rel=0.005)  # kept to half a per cent
    assert found[1].time_s == pytest.approx(91.0e-6, rel=0.005)
    assert warnings == ()


@pytest.mark.parametrize("prefix", ["[1,0]<stdout>:", "[rank0]: ", "0: ", "[default0]:", "2025-01-01 12:00:00 a1 "])
def test_prefixes_of_launchers_and_noise_change_nothing(tmp_path: Path, prefix: str) -> None:
    noise = "W0101 torchrun: something\nNCCL INFO 12 34 channels\n\n"
    lines = "".join(f"{prefix}{line}\n{noise}" for line in (HEAD + ROW).splitlines())
    assert read(tmp_path, lines) == read(tmp_path, HEAD + ROW)


def test_rows_without_a_root_and_without_an_operation(tmp_path: Path) -> None:
    head = HEAD.replace("all_reduce", "all_gather")
    old = "  1048576    262144     float             93.41   11.23   16.84  0e+00    91.00   11.52   17.28  0e+00\n"
    no_root = old.replace("float     ", "float  sum")
    for row in (old, no_root):
        found, warnings = read(tmp_path, head + row)
        assert [m.time_s for m in found] == pytest.approx([93.41e-6, 91e-6], rel=0.005)
        assert not warnings


def test_several_sweeps_of_one_file_stay_apart(tmp_path: Path) -> None:
    second = HEAD.replace("all_reduce", "alltoall").replace("node1", "node0")
    found, _ = read(tmp_path, HEAD + ROW + second + ROW)
    assert {(m.kind, m.nodes) for m in found} == {("all_reduce", 2), ("alltoall", 1)}


def test_repeated_sizes_give_their_median(tmp_path: Path) -> None:
    rows = "".join(ROW.replace("93.41", time) for time in ("90.00", "100.00", "900.00"))
    found, _ = read(tmp_path, HEAD + rows)
    out_of_place = next(m for m in found if not m.in_place)
    assert out_of_place.repeats == 3
    assert out_of_place.time_s == pytest.approx(100e-6, rel=0.006)


def test_a_collective_that_no_line_names_follows_from_the_bandwidths(tmp_path: Path) -> None:
    small = ROW.replace("1048576", "8").replace("11.23   16.84", "0.00 0.00").replace("11.52   17.28", "0.00 0.00")
    found, _ = read(tmp_path, RANKS + small + ROW)  # 16.84 / 11.23 = 2 * 3 / 4
    assert {m.kind for m in found} == {"all_reduce"}
    assert {m.size_bytes for m in found} == {8, 1048576}


@pytest.mark.parametrize("end", ["-1 ", "93.41", "11.23", "16.84"])
def test_a_row_that_is_cut_off_is_named_and_left_out(tmp_path: Path, end: str) -> None:
    found, warnings = read(tmp_path, HEAD + ROW + ROW.replace("1048576", "2097152").split(end)[0] + end)
    assert {m.size_bytes for m in found} == {1048576}
    assert warnings == ("log.txt: 1 rows are cut off and were left out",)


def test_the_first_column_of_a_row_that_is_cut_off_counts(tmp_path: Path) -> None:
    found, warnings = read(tmp_path, HEAD + ROW.split("17.28")[0])
    assert [m.in_place for m in found] == [False]
    assert len(warnings) == 1


def test_a_last_row_without_a_line_end_is_whole(tmp_path: Path) -> None:
    found, warnings = read(tmp_path, HEAD + ROW.rstrip("\n"))
    assert len(found) == 2
    assert not warnings


def test_times_that_are_none_are_named_and_left_out(tmp_path: Path) -> None:
    found, warnings = read(tmp_path, HEAD + ROW.replace("93.41", "  nan") + ROW.replace("93.41", " 0.00"))
    assert [m.in_place for m in found] == [True]
    assert warnings == ("log.txt: 2 times are no numbers above 0 and were left out",)


@pytest.mark.parametrize("text", ["", "\n\n", "no rows here\n", RANKS, "{", "[]", "{}"])
def test_a_file_without_rows_says_what_is_expected(tmp_path: Path, text: str) -> None:
    with pytest.raises(FormatError, match="no row of nccl-tests"):
        read(tmp_path, text)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="expected a file"):
        read_nccl_log(tmp_path / "none")


def report() -> str:
    results = [
        {
            "size": 2**i,
            "count": 2**i // 4,
            "type": "float",
            "redop": "sum",
            "root": "    -1",
            "out_of_place": {"time": 10.0 + i, "alg_bw": 1.0, "bus_bw": 1.5, "nwrong": 0.0},
            "in_place": {"time": 20.0 + i, "alg_bw": 1.0, "bus_bw": 1.5, "nwrong": None},
            "actual_iterations": 20,
        }
        for i in range(10, 20)
    ]
    devices = [{"rank": i, "hostname": f"n{i // 2}", "device": i % 2} for i in range(4)]
    head = {"version": 2, "args": ["./all_gather_perf", "-b", "1K"], "env": ["A=1"], "nccl_version": 22705}
    return json.dumps({**head, "devices": devices, "results": results, "out_of_bounds": {"count": 0}})


def test_json_report(tmp_path: Path) -> None:
    found, warnings = read(tmp_path, report())
    assert len(found) == 20
    assert {(m.kind, m.ranks, m.nodes) for m in found} == {("all_gather", 4, 2)}
    times = {(m.size_bytes, m.in_place): m.time_s for m in found}
    assert times[1024, False] == pytest.approx(20e-6, rel=0.005)
    assert times[2**19, True] == pytest.approx(39e-6, rel=0.005)
    assert not warnings


def test_a_json_report_may_end_anywhere(tmp_path: Path) -> None:
    text = report()
    counts = [len(read(tmp_path, text[:end])[0]) for end in range(text.index("in_place"), len(text), 97)]
    assert counts == sorted(counts)
    assert counts[0] == 1
    assert counts[-1] == 20


def test_json_larger_than_a_chunk_loses_nothing(tmp_path: Path) -> None:
    body = json.loads(report())
    body["results"] = [dict(body["results"][0], size=1024 + i) for i in range(2000)]
    found, _ = read(tmp_path, json.dumps(body))
    assert len({m.size_bytes for m in found}) == 2000


def test_a_long_log_takes_the_memory_of_its_sizes(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_text(HEAD + ROW * 40_000 + "x" * 3_000_000 + "\n" + ROW, encoding="utf-8")
    tracemalloc.start()
    found = read_nccl_log(path).measurements
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [m.repeats for m in found] == [40_001, 40_001]
    assert peak < 1_000_000


@given(st.text(max_size=400))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_any_text_is_read_or_refused(tmp_path: Path, text: str) -> None:
    try:
        found, _ = read(tmp_path, text)
    except FormatError:
        return
    assert all(m.time_s > 0 and m.size_bytes > 0 for m in found)
