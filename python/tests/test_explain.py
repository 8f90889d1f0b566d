"""`explain`: parts sum to the step, the path is a chain, bounds and changes are those of runs."""

from __future__ import annotations

import json
from typing import Any

import dist_training_sim as dts
import pytest
from dist_training_sim.cli.app import app
from dist_training_sim.verbs.resources import RESOURCES, changed
from typer.testing import CliRunner

LAYOUT = dts.Strategy(tp=4, pp=4, vpp=2, zero=1, global_batch=32)
JOB = ("llama-3.1-8b", "2xdgx-h100", LAYOUT)


@pytest.fixture(scope="module")
def why() -> dts.Explanation:
    return dts.explain(*JOB, seq_len=4096)


def test_causes_and_path_sum_to_the_step(why: dts.Explanation) -> None:
    step_s = dts.simulate(*JOB, seq_len=4096).step_time_s
    assert why.result.step_time_s == step_s
    assert sum(cause.seconds for cause in why.causes) == pytest.approx(step_s)
    assert sum(cause.share for cause in why.causes) == pytest.approx(1)
    assert sum(part.duration_s for part in why.path) == pytest.approx(step_s)


def test_the_path_is_a_chain(why: dts.Explanation) -> None:
    assert why.path[0].start_s == 0
    for before, after in zip(why.path, why.path[1:], strict=False):
        assert after.start_s == pytest.approx(before.start_s + before.duration_s)
        assert (before.what, before.device) != (after.what, after.device)
    assert {part.device for part in why.path if part.what == "forward"} == {0, 1, 2, 3}  # it fills the pipeline


def test_the_path_of_one_device_is_its_work() -> None:
    alone = dts.explain("llama-3.2-1b", one_device(),
                        dts.Strategy(global_batch=2), seq_len=1024)  # fmt: skip
    kinds = [part.what for part in alone.path]
    assert kinds == ["forward", "backward", "forward", "backward", "optimizer", "fixed"]
    parts = alone.result.breakdown
    forward_s = sum(part.duration_s for part in alone.path if part.what == "forward")
    assert forward_s == pytest.approx(parts["forward_s"], rel=0.1)
    assert all(formula.part in ("compute", "states") for formula in alone.formulas)


def one_device() -> dts.Cluster:
    node = dts.Cluster.from_catalog("1xdgx-h100").node
    return dts.Cluster(node.replace(name="one", devices=1), 1)


def test_resources_are_runs_with_ten_percent_more(why: dts.Explanation) -> None:
    cluster = dts.Cluster.from_catalog(JOB[1])
    by_name = {s.resource: s for s in why.resources}
    for resource in RESOURCES:
        more = changed(cluster, resource, 1.1)
        if more is None:
            assert resource.name not in by_name
            continue
        again = dts.simulate("llama-3.1-8b", more, LAYOUT, seq_len=4096)
        assert by_name[resource.name].step_time_s == again.step_time_s
        assert by_name[resource.name].step_time_change <= 1e-3  # more of anything hardly slows
    changes = [s.step_time_change for s in why.resources]
    assert changes == sorted(changes)


def test_what_bounds_a_part(why: dts.Explanation) -> None:
    by_name = {cause.name: cause for cause in why.causes}
    assert next(iter(by_name["forward_s"].bounds)) == "matmul rate"
    assert next(iter(by_name["exposed_tp_s"].bounds)) == "scale-up bandwidth"
    assert next(iter(by_name["optimizer_s"].bounds)) == "memory bandwidth"
    assert by_name["fixed_s"].bounds == {}
    assert all(0.1 <= share <= 1 for cause in why.causes for share in cause.bounds.values())


def test_a_changed_resource_changes_nothing_else() -> None:
    cluster = dts.Cluster.from_catalog("2xdgx-h100+1xdgx-a100")
    for resource in RESOURCES:
        same, more = changed(cluster, resource, 1.0), changed(cluster, resource, 2.0)
        if same is not None:
            assert same == cluster
            assert more != cluster


def test_knobs_are_runs_with_the_knob_turned(why: dts.Explanation) -> None:
    by_words = {knob.words: knob for knob in why.knobs}
    assert {"TP 4→2", "PP 4→2", "VPP 2→4", "micro-batch 1→2", "ZeRO 1→2"} <= set(by_words)
    halved = by_words["TP 4→2"]
    assert (halved.strategy.tp, halved.strategy.dp) == (2, 2)
    again = dts.simulate("llama-3.1-8b", "2xdgx-h100", halved.strategy, seq_len=4096)
    assert halved.step_time_s == again.step_time_s
    assert halved.used_bytes == again.peak_memory.used_bytes
    fitting = [knob.step_time_change or 0.0 for knob in why.knobs if knob.fits]
    assert fitting == sorted(fitting)
    text = str(halved)
    assert text.startswith("TP 4→2: ")
    assert text.endswith(" GiB")


def test_experts_have_a_knob_of_their_own() -> None:
    why = dts.explain("mixtral-8x7b", "2xdgx-h100", dts.Strategy(ep=4, zero=1, global_batch=16), seq_len=2048)
    words = {knob.words for knob in why.knobs}
    assert {"EP 4→2", "EP 4→8"} <= words
    assert not any(word.startswith("EP") for word in (k.words for k in dts.explain(*JOB, seq_len=4096).knobs))


def test_formulas_by_hand(why: dts.Explanation) -> None:
    texts = {formula.part: formula for formula in why.formulas}
    assert "(4 - 1) / (2 x 32) x" in texts["pipeline bubble"].text  # one replica, 32 micro-batches
    assert "= 32 MiB over 4 ranks" in texts["tensor parallelism"].text  # 4,096 tokens x 4,096 features x 2 bytes
    assert "(16 x 989 TFLOP/s)" in texts["compute"].text
    assert all(formula.source for formula in why.formulas)


def test_plain_data_and_sentence(why: dts.Explanation) -> None:
    plain = json.loads(json.dumps(why.to_dict()))
    assert plain["sentence"] == why.sentence
    assert plain["causes"][0]["name"] == why.causes[0].name
    assert why.sentence.startswith("A step of ")


def invoke(*extra: str) -> Any:
    return CliRunner().invoke(app, ["explain", "--model", "llama-3.1-8b", "--cluster", "1xdgx-h100", "--seq-len",
                                    "4096", "--global-batch", "16", *extra])  # fmt: skip


def test_the_command() -> None:
    done = invoke("--tp", "4", "--zero", "1")
    assert done.exit_code == 0, done.output
    assert max(map(len, done.output.splitlines())) <= 100
    assert "\x1b" not in done.output
    assert "One knob, one step" in done.output
    assert json.loads(invoke("--tp", "4", "--zero", "1", "--json").stdout)["resources"]
    full = invoke()
    assert full.exit_code == 3
    assert "does not fit" in full.output
    assert "Critical path" in full.output
    assert invoke("--tp", "3").exit_code == 2
