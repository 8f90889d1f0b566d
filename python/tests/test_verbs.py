"""The verbs as Python functions: typed results, callable packages, what names and paths stand for."""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import dist_training_sim as dts
import pytest
from dist_training_sim import verbs
from dist_training_sim.catalog import hardware as hardware_catalog
from dist_training_sim.catalog import models as model_catalog
from dist_training_sim.hardware import Cluster, Device, Node
from dist_training_sim.verbs import CollectiveKind, HardwareKind
from dist_training_sim.verbs.collective import bus_factor, sweep_sizes
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "examples" / "configs" / "llama-3.1-8b"


# --- models and hardware: packages that are verbs --------------------------------------------------------------------


def test_models_lists_the_catalogue() -> None:
    listed = dts.models()
    assert [m.name for m in listed] == model_catalog.names()
    assert all(m.source and m.parameters > 0 for m in listed)


def test_one_model_adds_up() -> None:
    model = dts.models("Llama 3.1 8B")
    assert model.parameters == 8_030_261_248 == model.parameters_published
    assert sum(part.count * part.parameters for part in model.parts) == model.parameters
    assert [(part.name, part.count) for part in model.parts] == [("stem", 1), ("layer", 32), ("head", 1)]


def test_neighbouring_blocks_of_one_size_are_one_part() -> None:
    """Layers of GPT-OSS alternate between full and sliding attention and weigh the same."""
    model = dts.models("gpt-oss-20b")
    assert [part.count for part in model.parts] == [1, 24, 1]


@pytest.mark.parametrize("path", [CONFIG, CONFIG / "config.json"])
def test_a_config_file_is_a_model(path: Path) -> None:
    model = dts.models(str(path))
    assert model.parameters == 8_030_261_248
    assert (model.name, model.source, model.parameters_published) == ("llama-3.1-8b", str(path), 0)


def test_packages_stay_packages() -> None:
    import dist_training_sim.hardware as hardware
    import dist_training_sim.models as models

    assert vars(dts)["models"] is models
    assert vars(dts)["hardware"] is hardware
    assert vars(dts)["models"].Block is models.Block
    assert list(inspect.signature(dts.models).parameters) == ["name"]
    assert list(inspect.signature(dts.hardware).parameters) == ["name", "kind"]


def test_packages_are_callable_before_anything_imports_them() -> None:
    code = "import dist_training_sim as dts; print(dts.hardware('dgx-h100').devices, len(dts.models()) > 50)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["8", "True"]


def test_hardware_lists_by_kind() -> None:
    everything = dts.hardware()
    assert [d.name for d in everything.devices] == list(hardware_catalog.device_names())
    assert [n.name for n in everything.nodes] == list(hardware_catalog.node_names())
    assert [n.name for n in everything.instances] == list(hardware_catalog.instance_names())
    only = dts.hardware(kind=HardwareKind.NODES)
    assert (only.devices, only.nodes, only.instances) == ((), everything.nodes, ())


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [("dgx-h100", Node, "dgx-h100"), ("H100", Device, "h100-sxm5-80gb"), ("p5.48xlarge", Node, "aws-p5")],
)
def test_hardware_by_name_or_alias(name: str, kind: type, expected: str) -> None:
    found = dts.hardware(name)
    assert isinstance(found, kind)
    assert found.name == expected


def test_hardware_of_another_kind_is_not_found() -> None:
    with pytest.raises(dts.ConfigError, match=r"'dgx-h100'.*did you mean"):
        dts.hardware("dgx-h100", kind="devices")
    with pytest.raises(dts.ConfigError, match=r"'boxes'.*nodes"):
        dts.hardware(kind="boxes")


# --- collective ------------------------------------------------------------------------------------------------------


def test_bus_bandwidth_by_hand() -> None:
    """nccl-tests PERFORMANCE.md: an all-reduce over n ranks has busbw = S/t * 2(n-1)/n."""
    r = dts.collective("all-reduce", "64 MiB", "2xdgx-h100")
    assert (r.ranks, r.size_bytes, r.network) == (16, 64 * 2**20, "2xdgx-h100")
    assert r.algbw_Bps == pytest.approx(64 * 2**20 / r.time_s)
    assert r.busbw_Bps == pytest.approx(64 * 2**20 / r.time_s * 30 / 16)


@pytest.mark.parametrize(
    ("kind", "factor"),
    [
        ("all_reduce", 1.75),
        ("all_gather", 0.875),
        ("reduce_scatter", 0.875),
        ("all_to_all", 0.875),
        ("gather", 0.875),
        ("scatter", 0.875),
        ("broadcast", 1),
        ("reduce", 1),
        ("send_recv", 1),
    ],
)
def test_bus_factors_of_eight_ranks(kind: str, factor: float) -> None:
    assert bus_factor(CollectiveKind(kind), 8) == factor


def test_links_give_the_textbook_time() -> None:
    """Ring all-reduce: 2(n-1) rounds of latency + S/n / bandwidth."""
    ring = dts.CommunicationModel(8, "ring", bandwidth="50 GB/s", latency="5 us")
    r = dts.collective("all-reduce", 64e6, ring, algorithm="ring")
    assert r.time_s == pytest.approx(14 * (5e-6 + 8e6 / 50e9))
    assert (r.network, r.algorithm) == ("ring of 8 nodes", "ring")


@pytest.mark.parametrize("kind", list(CollectiveKind))
@pytest.mark.parametrize("network", ["2xdgx-h100", dts.CommunicationModel(8, "fully_connected")])
def test_every_collective_is_priced(kind: CollectiveKind, network: str | dts.CommunicationModel) -> None:
    barrier = kind is CollectiveKind.BARRIER
    r = dts.collective(kind, 0 if barrier else "1 MiB", network)
    assert 0 < r.time_s < 0.1
    assert (r.busbw_Bps is None) == barrier
    assert set(r.to_dict()) > {"time_s", "algbw_Bps", "busbw_Bps", "algorithm", "bound"}
    assert kind.value in repr(r)


def test_one_rank_has_nothing_to_do() -> None:
    r = dts.collective("all-reduce", "1 MiB", "1xdgx-h100", ranks=1)
    assert (r.time_s, r.algbw_Bps, r.busbw_Bps) == (0, None, None)


def test_stride_takes_one_device_of_each_node() -> None:
    near = dts.collective("send-recv", "64 MiB", "2xdgx-h100")
    far = dts.collective("send-recv", "64 MiB", "2xdgx-h100", stride=8)
    assert near.ranks == far.ranks == 2
    assert (near.bound, far.bound) == ("scale-up", "nic")
    assert far.time_s > near.time_s


def test_sweep_doubles_and_never_gets_faster() -> None:
    rows = verbs.collective_sweep("all-gather", "1xdgx-h100", largest="1 GiB")
    assert [r.size_bytes for r in rows] == [2.0**k for k in range(10, 31)]
    assert all(a.time_s <= b.time_s for a, b in pairwise(rows))
    assert rows[3] == dts.collective("all-gather", 2**13, "1xdgx-h100")


@given(st.floats(2.0**10, 2.0**60))
def test_sweep_ends_at_the_largest_size(largest: float) -> None:
    sizes = sweep_sizes(largest)
    assert sizes[-1] <= largest < 2 * sizes[-1]


def test_every_problem_of_a_collective_is_named() -> None:
    with pytest.raises(dts.ConfigError) as error:
        dts.collective("all-reduse", "1 MiB", "2xdgx-h10", algorithm="rung")
    assert [line.split(":")[0] for line in str(error.value).splitlines()] == ["collective", "node", "Algorithm"]
    with pytest.raises(dts.ConfigError) as error:
        dts.collective("all-reduce", -1, "2xdgx-h100", ranks=17)
    assert [line.split(":")[0] for line in str(error.value).splitlines()] == ["size", "ranks"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": math.nan}, "size"),
        ({"size": math.inf}, "size"),
        ({"size": 2.0**61}, "1 EiB"),
        ({"size": "1 MiB", "stride": 0}, "stride"),
        ({"size": "1 MiB", "ranks": 0}, "ranks"),
        ({"size": "1 MiB", "ranks": 3, "stride": 8}, "at most 2"),
        ({"size": "1 MiB", "algorithm": "ring"}, "library chooses"),
        ({"size": "1 MiB", "kind": "send-recv", "ranks": 4}, "2 for send-recv"),
        ({"size": "1 MiB", "kind": "barrier"}, "a barrier moves nothing"),
    ],
)
def test_illegal_collectives_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(dts.ConfigError, match=message):
        dts.collective(**{"kind": "all-reduce", "network": "2xdgx-h100", **arguments})  # type: ignore[arg-type]


# --- inputs ----------------------------------------------------------------------------------------------------------


def test_cluster_from_name_or_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("cluster: {node: dgx-h100, nodes: 4, name: mine}\n", encoding="utf-8")
    assert verbs.cluster_of("2xdgx-h100").device_count == 16
    assert verbs.cluster_of(str(file)) == Cluster.from_catalog("4xdgx-h100").replace(name="mine")


def test_missing_files_are_missing_data(tmp_path: Path) -> None:
    with pytest.raises(dts.MissingDataError, match=r"nope\.json"):
        verbs.model_of(str(tmp_path / "nope.json"))
    with pytest.raises(dts.MissingDataError, match=r"nope\.yaml"):
        verbs.cluster_of(str(tmp_path / "nope.yaml"))


def test_gather_joins_problems_and_keeps_a_common_class() -> None:
    def fail(error: dts.DtsError) -> None:
        raise error

    missing = [dts.MissingDataError("one"), dts.MissingDataError("two")]
    with pytest.raises(dts.MissingDataError, match="one\ntwo"):
        verbs.gather(*(lambda e=e: fail(e) for e in missing))
    with pytest.raises(dts.ConfigError, match="one\nthree"):
        verbs.gather(lambda: fail(missing[0]), lambda: 1, lambda: fail(dts.FormatError("three")))
    assert verbs.gather(lambda: 1, lambda: "a") == [1, "a"]


def test_results_are_plain_data() -> None:
    estimate = dts.collective("all-reduce", "1 MiB", "1xdgx-h100")
    assert json.loads(json.dumps(estimate.to_dict())) == estimate.to_dict()
    assert dataclasses.is_dataclass(estimate)


def test_the_blocks_of_a_model_are_all_of_it() -> None:
    for summary in dts.models():
        blocks = sum(part.count * part.parameters for part in summary.parts)
        assert blocks == summary.parameters or (summary.tied_embeddings and blocks > summary.parameters), summary.name


@pytest.mark.parametrize("verb", ["fit", "cost", "plan"])
def test_a_mixed_cluster_is_called_by_its_nodes(verb: str) -> None:
    mixed = dts.Cluster.from_catalog("4xdgx-h100").with_nodes(3, dts.Node.from_catalog("dgx-a100-80gb"))
    model = dts.Model.from_catalog("llama-3.1-8b")
    job = (model, mixed, dts.Strategy(tp=8, dp=4, zero=1, global_batch=64))
    called: dict[str, Callable[[], str]] = {
        "fit": lambda: dts.fit(*job, seq_len=2048).cluster,
        "cost": lambda: dts.cost(*job, tokens=1e9, seq_len=2048).cluster,
        "plan": lambda: dts.plan(model, mixed, seq_len=2048, global_batch=64).cluster,
    }
    assert called[verb]() == mixed.title == "3 dgx-h100 + 1 dgx-a100-80gb"
