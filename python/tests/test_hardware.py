"""Devices, links, nodes and clusters by hand, from text and from files of users."""

from __future__ import annotations

import contextlib
import dataclasses
import pickle
import re
from pathlib import Path
from typing import Any

import pytest
from dist_training_sim import Strategy, simulate
from dist_training_sim._convert import DTYPES, to_core
from dist_training_sim.catalog import hardware
from dist_training_sim.errors import ConfigError, DtsError, FormatError, MissingDataError
from dist_training_sim.hardware import (
    Cluster,
    Device,
    DeviceKind,
    DTypeRate,
    GemmConstants,
    Link,
    Node,
    Price,
    Rates,
    ScaleOut,
    ScaleUp,
    ScaleUpKind,
)
from dist_training_sim.hardware.rates import at_power
from dist_training_sim.topology import Topology
from hypothesis import given
from hypothesis import strategies as st


def chip(**changes: Any) -> Device:
    values: dict[str, Any] = {"rates": {"bf16": "400 TFLOP/s"}, "hbm_bytes": "64 GiB", "hbm_Bps": "2 TB/s"}
    return Device("chip", **{**values, "sm_count": 100, **changes})


def box(**changes: Any) -> Node:
    values: dict[str, Any] = {"nics": 8, "nic_Bps": "400 Gb/s", "scale_out": ScaleOut("infiniband")}
    return Node("box", chip(), ScaleUp("nvlink4", "450 GB/s"), **{**values, **changes})


def test_text_becomes_si() -> None:
    device = chip(l2_bytes="50 MB", link_Bps="450 GB/s", kind="TPU")
    assert (device.hbm_bytes, device.hbm_Bps, device.l2_bytes) == (64 * 2**30, 2e12, 50e6)
    assert (device.link_Bps, device.kind) == (450e9, DeviceKind.TPU)
    assert device.peak("bf16") == 400e12


def test_all_problems_of_a_device_at_once() -> None:
    bad = {"hbm_bytes": "64 lightyears", "hbm_Bps": -1, "sm_count": 0, "power_w": float("nan"), "kind": "toaster"}
    with pytest.raises(ConfigError) as error:
        chip(rates={"bf15": 1e12, "bf16": "fast"}, gemm=GemmConstants(floor_s=-1.0), **bad)
    lines = str(error.value).splitlines()
    expected = ("kind", "rates", "rates.bf16", "sm_count", "hbm_bytes", "hbm_Bps", "power_w", "gemm.floor_s")
    assert [line.split(":")[0] for line in lines] == [f"device chip.{name}" for name in expected]
    assert "did you mean bf16" in str(error.value)


def test_unknown_peak_says_how_to_give_it() -> None:
    with pytest.raises(MissingDataError, match=r"device chip\.rates\.fp8: unknown.*known: bf16.*with_peak\('fp8'"):
        chip().peak("fp8")
    assert chip().with_peak("fp8", "800 TFLOP/s").peak("fp8") == 800e12
    h100 = Device.from_catalog("h100")
    assert h100.with_peak("bf16", h100.peak("bf16")) == h100  # the measured shares of the peak stay
    with pytest.raises(ConfigError, match="did you mean bf16"):
        chip().peak("bf15")


def test_zero_peak_is_no_support() -> None:
    with pytest.raises(MissingDataError):
        chip(rates={"bf16": 0, "fp32": 1e12}).peak("bf16")


def test_share_above_one() -> None:
    with pytest.raises(ConfigError, match=r"bf16\.burst_share: got 1\.5, expected a share of at most 1"):
        Rates({"bf16": DTypeRate(1e12, burst_share=1.5)})


def test_rates_at_their_limits() -> None:
    rates = Rates({"bf16": DTypeRate(1e21, burst_share=1.0, sustained_share=1.0), "fp8": 2e12})
    assert rates["bf16"] == DTypeRate(1e21, burst_share=1.0, sustained_share=1.0)
    assert repr(rates) == "Rates({'bf16': 1e+21, 'fp8': 2e+12})"
    with pytest.raises(ConfigError, match=r"bf16\.peak_flops: got 1\.1e\+21, expected at most 1e\+21 FLOP/s"):
        Rates({"bf16": 1.1e21})


def test_the_generic_share_is_the_cores_own() -> None:
    """A cap of the same power states what the core takes where nothing is known."""
    capped = at_power(Rates({"bf16": 1e15}), 1.0)["bf16"]
    assert capped.sustained_share == 0.85
    assert at_power(Rates({"bf16": 1e15}), 0.5)["bf16"].sustained_share == pytest.approx(0.85 * 0.5**0.6)
    assert at_power(Rates({"bf16": 1e15}), 9.0)["bf16"].sustained_share == 1


def test_values_are_immutable_hashable_and_travel() -> None:
    device = chip()
    with pytest.raises(dataclasses.FrozenInstanceError):
        device.hbm_bytes = 1.0  # type: ignore[misc]
    cluster = Cluster(box(), 4)
    again = pickle.loads(pickle.dumps(cluster))
    assert again == cluster
    assert hash(again) == hash(cluster)
    assert chip(power_w=500) != device
    assert device.replace(power_w=500) == chip(power_w=500)  # at an unknown cap the clock stays


def test_a_power_cap_lowers_the_sustained_clock() -> None:
    """H100 steps at 500 W run their matmuls at 0.69 / 0.845 of the clock at 700 W."""
    full = Device.from_catalog("h100")
    capped = full.replace(power_w=500)
    for dtype in ("bf16", "fp8"):
        before, after = full.rates[dtype], capped.rates[dtype]
        assert before.sustained_share
        assert after.sustained_share == pytest.approx(before.sustained_share * 0.69 / 0.845, rel=2e-3)
        assert (after.peak_flops, after.burst_share) == (before.peak_flops, before.burst_share)
    assert full.replace(power_w=100_000).rates["bf16"].sustained_share == 1  # no faster than the burst
    assert full.replace(power_w=500, rates=full.rates).rates == full.rates
    node = Node.from_catalog("dgx-h100")
    work: dict[str, Any] = {"strategy": Strategy(global_batch=8), "seq_len": 4096}
    fast, slow = (simulate("llama-3.2-1b", Cluster(node.replace(device=d), 1), **work) for d in (full, capped))
    assert slow.step_time_s > fast.step_time_s


def test_repr_reads_like_a_datasheet() -> None:
    assert repr(chip(power_w=500)) == "Device(chip: gpu, bf16 400 TFLOP/s, 64 GiB at 2 TB/s, 100 cores, 500 W)"
    assert repr(Device("bare", {})) == "Device(bare: gpu, no peak, memory unknown)"
    assert repr(box()) == "Node(box: 8 x chip, nvlink4, 8 NICs of 400 Gb/s)"
    assert repr(box(nics=None)) == "Node(box: 8 x chip, nvlink4, NICs unknown)"
    assert repr(Cluster(box(), 64)) == "Cluster(64xbox: 512 x chip, infiniband, fat_tree)"


def test_link() -> None:
    link = Link("400 Gb/s", "cable", latency_s="0.6 us")
    assert (link.bandwidth_Bps, link.copy_Bps, link.latency_s) == (50e9, 50e9, 0.6e-6)
    assert link.replace(achieved_Bps="46 GB/s").copy_Bps == 46e9
    with pytest.raises(ConfigError) as error:
        Link("fast", "cable", latency_s=-1)
    assert [line.split(":")[0] for line in str(error.value).splitlines()] == [
        "link cable.bandwidth_Bps",
        "link cable.latency_s",
    ]


def test_link_gives_its_rate_and_its_latency() -> None:
    link = Link("100 GB/s", "nvlink4", latency_s="2 us")
    up = ScaleUp.from_link(link, "nvlink4")
    assert (up.name, up.device_Bps, up.hop_s) == ("nvlink4", 100e9, 2e-6)
    node = Node.of(chip(), 4, link=link, nics=1, nic_Bps=Link("25 GB/s"))
    assert (node.scale_up.device_Bps, node.nic_Bps, node.name) == (100e9, 25e9, "4x chip")


def test_node_of_a_device_without_a_link() -> None:
    with pytest.raises(MissingDataError, match="device chip names no link"):
        Node.of(chip(), 4)


def test_all_problems_of_a_node_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        box(devices=0, nics=-1, nic_Bps="x", topology="star", scale_out="infiniband", price=3)
    text = str(error.value)
    for name in ("devices", "nics", "nic_Bps", "topology", "scale_out", "price"):
        assert f"node box.{name}: " in text
    with pytest.raises(ConfigError, match="a Device") as error:
        Node("box", "h100", None)  # type: ignore[arg-type]
    assert "a ScaleUp" in str(error.value)


def test_domain_is_whole_nodes() -> None:
    with pytest.raises(ConfigError, match=r"domain_devices: got 20, expected a multiple of the node's 8 devices"):
        box().replace(scale_up=ScaleUp("nvl72", "900 GB/s", domain_devices=20))


def test_price_is_a_number() -> None:
    with pytest.raises(ConfigError, match=r"price\.usd_per_h"):
        Price(float("inf"))


def test_cluster_takes_the_fabric_of_its_node() -> None:
    cluster = Cluster(box(topology="rail_optimized"), 2)
    assert (cluster.scale_out, cluster.topology, cluster.name) == (
        ScaleOut("infiniband"),
        Topology.RAIL_OPTIMIZED,
        "2xbox",
    )
    own = Cluster(box(), 2, ScaleOut("roce"), "mine", "ring")
    assert (own.scale_out, own.topology, own.name) == (ScaleOut("roce"), Topology.RING, "mine")


def test_cluster_name_follows_its_count() -> None:
    assert Cluster(box(), 2).replace(nodes=4).name == "4xbox"
    assert Cluster(box(), 2, name="mine").replace(nodes=4).name == "mine"


def test_numpy_counts() -> None:
    numpy = pytest.importorskip("numpy")
    assert Cluster(box(devices=numpy.int32(4)), numpy.int64(3)).device_count == 12


@pytest.mark.parametrize(("nodes", "devices"), [(0, 8), (-1, 8), (10**6 + 1, 8), (True, 8), (2.0, 8), (10**6, 10**4)])
def test_cluster_counts_out_of_range(nodes: Any, devices: int) -> None:
    with pytest.raises(ConfigError, match=r"cluster\.nodes"):
        Cluster(box(devices=devices), nodes)


def test_cluster_of_anything_else() -> None:
    with pytest.raises(ConfigError, match=r"expected a Node; see Node\.from_catalog"):
        Cluster("dgx-h100")  # type: ignore[arg-type]


def test_unknown_nics_matter_only_beyond_one_domain() -> None:
    lonely = box(nics=None, nic_Bps=None, scale_out=None)
    assert Cluster(lonely).device_count == 8
    rack = lonely.replace(scale_up=ScaleUp("nvl72", "900 GB/s", domain_devices=16))
    assert Cluster(rack, 2).domain_devices == 16
    with pytest.raises(MissingDataError) as error:
        Cluster(lonely, 2)
    assert [line.split(":")[0] for line in str(error.value).splitlines()] == [
        *("node box.nics", "node box.nic_Bps", "cluster.scale_out"),
    ]
    with pytest.raises(MissingDataError, match=r"cluster\.scale_out"):
        Cluster(box(scale_out=None), 2)


def test_domain_is_no_larger_than_the_job() -> None:
    rack = box().replace(scale_up=ScaleUp("nvl72", "900 GB/s", domain_devices=72))
    assert [Cluster(rack, n).domain_devices for n in (2, 9, 18)] == [16, 72, 72]


# ---- the struct side -------------------------------------------------------------------------------------------------


def struct_like(description: Any) -> Any:
    """A stand-in for the core struct of a description: the same fields, with values of the core's types."""

    class Struct:
        def __init__(self) -> None:
            for f in dataclasses.fields(description):
                if f.name not in description.CORE.python_only:
                    setattr(self, f.name, _default(getattr(description, f.name)))

    return Struct


def _default(value: Any) -> Any:
    if isinstance(value, Rates):
        return [struct_like(DTypeRate())() for _ in DTYPES]
    if isinstance(value, (DeviceKind, ScaleUpKind)):
        return next(iter(type(value)))
    return struct_like(value)() if dataclasses.is_dataclass(value) else -1.0


def test_cluster_reaches_the_core_with_every_value() -> None:
    cluster = Cluster(box(host_bytes="2 TB"), 4)
    got = to_core(cluster, struct_like(cluster))
    assert (got.name, got.nodes, got.scale_out.name, got.node.devices) == ("4xbox", 4, "infiniband", 8)
    assert (got.node.scale_up.device_Bps, got.node.nic_Bps, got.node.host_bytes) == (450e9, 50e9, 2e12)
    assert got.node.host_Bps == 0
    assert got.node.device.rates[DTYPES.index("bf16")].peak_flops == 400e12
    assert got.node.device.rates[DTYPES.index("bf16")].burst_share == -1.0  # the core's own default stays
    assert got.node.device.gemm.floor_s == -1.0


@pytest.mark.parametrize("name", ["hbm_bytes", "hbm_Bps", "sm_count"])
def test_needed_value_that_is_unknown(name: str) -> None:
    device = chip(**{name: None})
    with pytest.raises(MissingDataError, match=rf"chip\.{name}: unknown"):
        to_core(device, struct_like(device))


def test_unknown_link_rate_stops_the_conversion() -> None:
    up = ScaleUp("ub")
    with pytest.raises(MissingDataError, match=r"ub\.device_Bps"):
        to_core(up, struct_like(up))


# ---- properties ------------------------------------------------------------------------------------------------------

anything = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12), st.binary(max_size=3)),
    *(st.lists(st.integers(), max_size=2), st.sampled_from([10**400, 10**5000, -(10**400)])),
    st.sampled_from(["8 GiB", "1 TB/s", "5 us", "-1 B"]),
)
DEVICE_FIELDS = [f.name for f in dataclasses.fields(Device)]
NODE_FIELDS = [f.name for f in dataclasses.fields(Node)]


@given(st.dictionaries(st.sampled_from(DEVICE_FIELDS), anything))
def test_device_is_built_or_refused(values: dict[str, Any]) -> None:
    with contextlib.suppress(DtsError):
        device = Device(**{"name": "d", "rates": {}, **values})
        assert repr(device)
        assert device.hbm_bytes is None or 0 < device.hbm_bytes <= 1e21


@given(st.dictionaries(st.sampled_from(NODE_FIELDS), anything))
def test_node_is_built_or_refused(values: dict[str, Any]) -> None:
    base = {f.name: getattr(box(), f.name) for f in dataclasses.fields(Node)}
    with contextlib.suppress(DtsError):
        assert repr(Node(**{**base, **values}))


@given(st.dictionaries(st.sampled_from(["nodes", "scale_out", "topology", "name"]), anything))
def test_cluster_is_built_or_refused(values: dict[str, Any]) -> None:
    with contextlib.suppress(DtsError):
        cluster = Cluster(box(), **values)
        assert 1 <= cluster.device_count <= 8 * 10**6
        assert repr(cluster)


@given(st.sets(st.sampled_from(["hbm_bytes", "hbm_Bps", "l2_bytes", "power_w", "sm_count"]), min_size=1))
def test_every_bad_field_has_its_line(names: set[str]) -> None:
    with pytest.raises(ConfigError) as error:
        chip(**dict.fromkeys(names, -1))
    assert {line.split(":")[0] for line in str(error.value).splitlines()} == {f"device chip.{n}" for n in names}


@given(st.text(max_size=30))
def test_cluster_names_never_crash(name: str) -> None:
    with contextlib.suppress(DtsError):  # Hypothesis also tries texts it finds in the code, real names among them
        assert Cluster.from_catalog(name).device_count >= 1


# ---- files of users --------------------------------------------------------------------------------------------------

FILE = """
devices:
  my-gpu:
    peak_tflops: {bf16: 500, fp8: 1000}
    hbm_bytes: 96 GiB
    hbm_Bps: 3 TB/s
    sm_count: 120
    host_link: pcie5
nodes:
  my-node: {device: my-gpu, devices: 4, link: nvlink4, link_Bps: 200 GB/s, nics: 2, nic_Bps: 400 Gb/s}
cluster: {node: my-node, nodes: 16, scale_out: infiniband, topology: fat_tree}
"""


def read(tmp_path: Path, text: str) -> Cluster:
    path = tmp_path / "cluster.yaml"
    path.write_text(text, encoding="utf-8")
    return Cluster.from_yaml(path)


def test_cluster_of_a_file(tmp_path: Path) -> None:
    cluster = read(tmp_path, FILE)
    device = cluster.node.device
    assert (cluster.name, cluster.device_count, cluster.topology) == ("16xmy-node", 64, Topology.FAT_TREE)
    assert (device.peak("fp8"), device.hbm_bytes, device.measured_kernels) == (1e15, 96 * 2**30, False)
    assert (cluster.node.scale_up.device_Bps, cluster.node.nic_Bps, cluster.node.host_Bps) == (200e9, 50e9, 55.43e9)


def test_device_like_another(tmp_path: Path) -> None:
    text = """
devices: {capped: {like: h100, power_w: 500, peak_tflops: {bf16: 900}, clock_mhz: 1700}}
nodes: {n: {device: capped, devices: 8}}
cluster: {node: n}
"""
    device = read(tmp_path, text).node.device
    h100 = Device.from_catalog("h100")
    assert (device.name, device.power_w, device.peak("bf16"), device.clock_hz) == ("capped", 500, 900e12, 1.7e9)
    assert (
        device.rates["bf16"].sustained_share
        == Device.from_catalog("h100").replace(power_w=500).rates["bf16"].sustained_share
    )
    assert (device.peak("fp8"), device.gemm, device.rates["bf16"].burst_share) == (
        *(h100.peak("fp8"), h100.gemm, h100.rates["bf16"].burst_share),
    )


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("hbm_bytes: []", "hbm_bytes: got [], expected a number or text"),
        ("kind: gpuu", "kind: got 'gpuu', expected 'gpu', 'cpu', 'tpu' or 'accelerator'"),
        ("peak_tflops: {bf17: 1}", "peak_tflops: got 'bf17', expected a key of 'fp64', 'fp32', 'tf32'"),
        ("peak_tflops: {bf16: .nan}", "peak_tflops.bf16: got nan, expected a finite number"),
        ("announced: maybe", "announced: got 'maybe', expected true or false"),
        ("aliases: x", "aliases: got 'x', expected a list"),
        ("label: 3", "label: got 3, expected text"),
    ],
)
def test_wrong_values_of_a_file_in_plain_words(tmp_path: Path, entry: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f": devices.d.{problem}")):
        read(tmp_path, f"devices: {{d: {{{entry}}}}}\ncluster: {{node: dgx-h100}}")
    with pytest.raises(
        ConfigError, match=r"version: got 0, expected a number >= 1\n.*: cluster: got 3, expected a mapping"
    ):
        read(tmp_path, "version: 0\ncluster: 3")


def test_fabric_with_changes(tmp_path: Path) -> None:
    fabric = read(tmp_path, "cluster: {node: dgx-h100, nodes: 2, scale_out: {profile: roce, hop_s: 9 us}}").scale_out
    assert fabric is not None
    assert (fabric.name, fabric.hop_s) == ("roce", 9e-6)
    with pytest.raises(ConfigError, match=r"scale_out\.hops") as error:
        read(tmp_path, "cluster: {node: dgx-h100, nodes: 2, scale_out: {hops: 9}}")
    assert "scale_out.profile" in str(error.value)


def test_all_problems_of_a_file_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        read(tmp_path, "devices: {d: {hbm: 80}}\nnodes: {n: {devices: many}}\ncluster: {nodes: 2.5}\ntypo: 1")
    where = tmp_path / "cluster.yaml"
    assert str(error.value).splitlines() == [
        f"{where}: devices.d: got 'hbm', expected a known key; did you mean hbm_Bps or hbm_bytes?",
        f"{where}: nodes.n.device: got nothing, expected a value",
        f"{where}: nodes.n.devices: got 'many', expected a whole number",
        f"{where}: cluster.node: got nothing, expected a value",
        f"{where}: cluster.nodes: got 2.5, expected a whole number",
        f"{where}: got 'typo', expected a known key; known: cluster, devices, nodes, version",
    ]
    with pytest.raises(ConfigError) as error:
        read(tmp_path, "devices: {a: {hbm_bytes: 0 GiB}, b: {sm_count: -1}}\ncluster: {node: dgx-h100}")
    assert str(error.value).splitlines() == [
        f"{where}: devices.a.hbm_bytes: got 0.0, expected a finite number > 0",
        f"{where}: devices.b.sm_count: got -1, expected an integer from 1 to 1000000",
    ]


def test_units_and_names_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        read(
            tmp_path,
            "devces: {}\n"
            "nodes: {n: {device: h100, link: nvlnk4, link_Bps: 450 GB, nic_Bps: 400, host_bytes: 1 Tb}}\n"
            "cluster: {node: n, nodes: sixteen, scale_out: infinband, topolgy: ring, remote_Bps: 0 B/s}",
        )
    where, rate = tmp_path / "cluster.yaml", "expected a rate such as 400 Gb/s (bits) or 50 GB/s (bytes)"
    links = "nvlink4 or nvlink5 or nvlink3"
    fabrics = "infiniband or infiniband-sharp or infiniband-default-p2p"
    assert str(error.value).splitlines() == [
        f"{where}: nodes.n.link: got 'nvlnk4', expected a scale_up profile; did you mean {links}?",
        f"{where}: nodes.n.link_Bps: got '450 GB', {rate}",
        f"{where}: nodes.n.nic_Bps: got 400, {rate}; a plain number is bytes per second, for Gb/s write 400 Gb/s",
        f"{where}: nodes.n.host_bytes: got '1 Tb', expected a size such as 80 GiB or 80 GB (B: bytes)",
        f"{where}: cluster.nodes: got 'sixteen', expected a whole number",
        f"{where}: cluster.scale_out: got 'infinband', expected a scale_out profile; did you mean {fabrics}?",
        f"{where}: cluster.remote_Bps: got '0 B/s', expected a rate above zero",
        f"{where}: cluster: got 'topolgy', expected a known key; did you mean topology?",
        f"{where}: got 'devces', expected a known key; did you mean devices or nodes?",
    ]


def test_names_that_a_file_lacks_are_told_beside_wrong_values(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        read(
            tmp_path,
            "devices: {mine: {like: h100, hbm_bytes: 0}}\nnodes: {n-one: {device: mine}, other: {device: mime}}\n"
            "cluster: {node: n_one, others: [{node: dgx-h10, at: [0]}]}",
        )
    where, own = tmp_path / "cluster.yaml", "expected a name of this file or the catalogue"
    lines = str(error.value).splitlines()
    assert lines[:3] == [
        f"{where}: devices.mine.hbm_bytes: got 0.0, expected a finite number > 0",
        f"{where}: cluster.node: got 'n_one', {own}; did you mean n-one?",
        f"{where}: cluster.others.0.node: got 'dgx-h10', expected a name of the catalogue; "
        "did you mean dgx-h100 or dgx-1 or hgx-h100?",
    ]
    assert lines[3:] == [f"{where}: nodes.other.device: got 'mime', {own}; did you mean mine?"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("cluster: {node: a, node: b}", "node given twice"),
        ("a: &x [1]\nb: *x", "aliases"),
        ("cluster: {", "no valid YAML"),
        ("- 1", "expected a mapping"),
        ("", "expected a mapping"),
        ("[" * 5000, "no valid YAML|nested"),
        ("#" * 1_000_001, "at most 1000000"),
        ("a: \x00", "no valid YAML"),
    ],
)
def test_file_that_is_no_description(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(FormatError, match=why):
        read(tmp_path, text)


def test_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="cannot be read"):
        Cluster.from_yaml(tmp_path / "none.yaml")
    (tmp_path / "latin").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(FormatError, match="cannot be read"):
        Cluster.from_yaml(tmp_path / "latin")


# ---- the guide -------------------------------------------------------------------------------------------------------

GUIDE = (Path(__file__).parents[2] / "docs" / "guide" / "hardware.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)


def test_snippets_of_the_guide_run(tmp_path: Path) -> None:
    (code,) = blocks("python")
    exec(compile(code, "hardware.md", "exec"), {})
    (text,) = blocks("yaml")
    assert len(text.splitlines()) <= 12
    assert read(tmp_path, text).device_count == 128


@pytest.mark.parametrize("kind", ["device", "link", "node", "instance"])
def test_guide_counts_the_catalogue(kind: str) -> None:
    names = getattr(hardware, f"{kind}_names")()
    assert f"| `{kind}s.yaml` | {len(names)} |" in GUIDE


def test_a_newer_cluster_file_is_read_without_what_is_not_known(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text("version: 2\ncluster: {node: dgx-h100, nodes: 2, cooling: wet}\nracks: 1\n", encoding="utf-8")
    message = r"version 2 of cluster files, read as version 1 without cluster\.cooling"
    with pytest.warns(UserWarning, match=rf"{message}, racks"):
        assert Cluster.from_yaml(path) == Cluster.from_catalog("2xdgx-h100")
    for version in ("1", "0", "new"):
        path.write_text(f"version: {version}\ncluster: {{node: dgx-h100, nodes: 2, cooling: wet}}\n", encoding="utf-8")
        with pytest.raises(ConfigError, match="cooling"):
            Cluster.from_yaml(path)
    path.write_text("version: 2\ncluster: {node: dgx-h100, nodes: none, cooling: wet}\n", encoding="utf-8")
    with pytest.warns(UserWarning, match=message), pytest.raises(ConfigError, match="nodes"):
        Cluster.from_yaml(path)


def test_copies_name_fields_that_do_not_exist() -> None:
    with pytest.raises(ConfigError, match=r"Node\.replace: got 'nicz=', expected a field; did you mean nics"):
        Cluster.from_catalog("2xdgx-h100", nicz=2)
    with pytest.raises(ConfigError) as error:
        box().replace(devicez=1, fabric=2)
    assert len(str(error.value).splitlines()) == 2


def test_memory_without_a_unit_is_told(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text("devices:\n  g:\n    peak_tflops: {bf16: 500}\n    hbm_bytes: 96\n    hbm_Bps: 3 TB/s\n", "utf-8")
    with pytest.raises(ConfigError, match="for GiB write 96 GiB"):
        Cluster.from_yaml(path)
