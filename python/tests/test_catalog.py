"""The packaged hardware catalogue: every entry loads, has sources and is physically sane; joins and look-ups."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from dist_training_sim.catalog import _yaml, constants, fabrics, hardware
from dist_training_sim.catalog.fitted import Fitted
from dist_training_sim.errors import ConfigError, FormatError, MissingDataError
from dist_training_sim.hardware import Cluster, Device, DeviceKind, Link, Node, ScaleUpKind, schema

FILES: dict[str, Any] = {
    "devices.yaml": schema.DeviceEntry,
    "links.yaml": schema.LinkEntry,
    "nodes.yaml": schema.NodeEntry,
    "instances.yaml": schema.InstanceEntry,
}


def words(text: str) -> list[str]:
    return text.split()


# Accelerators that the catalogue promises, by form; the tabled link rates of every generation stand in links.yaml.
ACCELERATORS = words("""
v100-sxm2-16gb v100-sxm2-32gb v100-pcie-16gb a100-sxm4-40gb a100-sxm4-80gb a100-pcie-40gb a100-pcie-80gb
a800-sxm4-80gb h100-sxm5-80gb h100-pcie-80gb h100-nvl-94gb h800-sxm5-80gb h800-pcie-80gb h20-96gb h200-sxm-141gb
h200-nvl-141gb gh200-96gb gh200-141gb b200-sxm-180gb b300-sxm-288gb gb200-186gb gb300-288gb rubin-sxm rtx3090 rtx4090
rtx5090 rtx6000-ada a6000 l4 l40s l40 a10g t4 mi250x mi250 mi300x mi325x mi350x mi355x mi455x tpu-v2 tpu-v3 tpu-v4
tpu-v5e tpu-v5p tpu-v6e tpu-v7x gaudi2 gaudi3 trainium1 trainium2 trainium3 ascend-910b ascend-910c ascend-950dt
h100-sxm5-96gb rtx-pro-6000 mi250x-gcd trainium1-neuroncore epyc-9554
""")

# Names under which published runs state their accelerator.
RUN_NAMES = words("""
H100-SXM-80GB A100-SXM-80GB GB200 B200-SXM GB300 A100-SXM-40GB Trainium1-NeuronCore MI300X V100-SXM-32GB B300-SXM
TPU-v7 H200-SXM-141GB TPU-v5p H100-SXM-96GB-HBM2e TPU-v5e A100-PCIe-80GB TPU-v6e Gaudi2 TPU-v4 MI325X L40S
H100-PCIe-80GB V100-SXM-16GB H800-SXM-80GB GH200-96GB MI250X-GCD MI350X
""")


def entries(file: str) -> Iterator[tuple[str, Any]]:
    for name in _yaml.packaged_names(file):
        yield name, _yaml.packaged_entry(file, name)


def test_every_accelerator_is_there() -> None:
    assert sorted(hardware.device_names()) == sorted(ACCELERATORS)
    assert len(hardware.instance_names()) == 49


@pytest.mark.parametrize("name", RUN_NAMES)
def test_names_of_published_runs_resolve(name: str) -> None:
    assert Device.from_catalog(name).name in ACCELERATORS


@pytest.mark.parametrize("file", FILES)
def test_schema_and_sources_of_every_entry(file: str) -> None:
    for name, entry in entries(file):
        checked = FILES[file].model_validate(entry)
        assert checked.sources, name
        keys = {*checked.sources, *checked.value_sources.values()}
        assert keys <= set(_yaml.packaged_names("sources.yaml")), name
        assert set(checked.value_sources) <= set(entry), name


def test_every_source_is_used_and_is_text() -> None:
    used = {
        k for file in FILES for _, e in entries(file) for k in (*e["sources"], *e.get("value_sources", {}).values())
    }
    assert used == set(_yaml.packaged_names("sources.yaml"))
    assert all(isinstance(citation, str) for _, citation in entries("sources.yaml"))


@pytest.mark.parametrize("files", [("devices.yaml",), ("links.yaml",), ("nodes.yaml", "instances.yaml")])
def test_no_name_stands_for_two_things(files: tuple[str, ...]) -> None:
    names = [n.lower() for file in files for name, e in entries(file) for n in (name, *e.get("aliases", ()))]
    assert len(names) == len(set(names))


def test_name_given_twice_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / "two.yaml").write_text("a: 1\nb: 2\na: 3\n", encoding="utf-8")
    monkeypatch.setattr(importlib.resources, "files", lambda _: tmp_path)
    with pytest.raises(FormatError, match=r"two\.yaml: a stands there twice"):
        _yaml.packaged_text("two.yaml")


@pytest.mark.parametrize("name", hardware.device_names())
def test_device_is_physically_sane(name: str) -> None:
    device = hardware.device(name)
    peaks = {dtype: rate.peak_flops for dtype, rate in device.rates.items()}
    assert device.sources
    assert device.label
    assert device.vendor
    assert peaks
    assert all(1e11 <= peak <= 1e17 for peak in peaks.values())
    for narrow, wide in (("fp8", "bf16"), ("fp4", "fp8"), ("bf16", "fp32"), ("fp32", "fp64"), ("int8", "bf16")):
        if narrow in peaks and wide in peaks and (name, narrow) != ("rubin-sxm", "int8"):  # Rubin cut int8
            assert peaks[narrow] >= peaks[wide]
    assert device.hbm_bytes is not None
    assert 2**33 <= device.hbm_bytes <= 2**40
    assert device.hbm_Bps is None or 1e11 <= device.hbm_Bps <= 1e14
    assert device.power_w is None or 50 <= device.power_w <= 3000
    assert device.link_Bps is None or 1e10 <= device.link_Bps <= 3e12
    if device.kind is DeviceKind.GPU and not device.announced:
        assert device.sm_count is not None
        assert 40 <= device.sm_count <= 400


@pytest.mark.parametrize("name", hardware.node_names() + hardware.instance_names())
def test_node_is_physically_sane(name: str) -> None:
    node = hardware.node(name)
    assert node.sources
    assert node.label
    assert 1 <= node.devices <= 32
    assert node.domain_devices % node.devices == 0
    assert node.scale_up.device_Bps is not None
    assert 1e10 <= node.scale_up.device_Bps <= 2e12
    assert node.scale_out is not None
    assert node.nic_Bps is None or 1e9 <= node.nic_Bps <= 1.5e11
    assert node.host_bytes is None or 1e11 <= node.host_bytes <= 1e13
    assert node.host_Bps is None or 1e10 <= node.host_Bps <= 1e12
    if node.nics is not None and node.nic_Bps is not None:  # no node injects more than its devices could exchange
        assert node.nics * node.nic_Bps <= node.devices * max(node.scale_up.device_Bps, 5e10) * 2


def test_values_that_results_hang_on() -> None:
    h100, capped = Device.from_catalog("h100"), Device.from_catalog("h100-96gb-hbm2e-500w")
    assert (h100.peak("bf16"), h100.hbm_Bps, h100.hbm_bytes, h100.power_w) == (989e12, 3.35e12, 81559 * 2**20, 700)
    assert (capped.peak("bf16"), capped.hbm_Bps, capped.hbm_bytes, capped.power_w) == (989e12, 2.4e12, 96 * 2**30, 500)
    assert h100.clock_hz == 1.83e9
    # the datasheet peak is the clock times 4096 FLOP per SM and cycle (dense bf16)
    assert h100.peak("bf16") == pytest.approx(1.83e9 * 4096 * 132, rel=1e-3)
    assert Device.from_catalog("mi300x").peak("bf16") == pytest.approx(2.1e9 * 2048 * 304, rel=1e-3)
    assert Device.from_catalog("gaudi3").peak("bf16") == pytest.approx(1.6e9 * 256 * 256 * 2 * 8, rel=1e-3)
    meta = Cluster.from_catalog("grand-teton-h100", nodes=2048)
    assert (meta.device_count, meta.node.nic_Bps, meta.node.nics) == (16384, 50e9, 8)
    assert Node.from_catalog("torchtitan-h100-96gb").device == capped
    assert Cluster.from_catalog("18xgb200-nvl72").domain_devices == 72
    assert Cluster.from_catalog("16xtpu-v5p-host").domain_devices == 64


def test_half_packages_are_half() -> None:
    for half, whole in (("mi250x-gcd", "mi250x"), ("trainium1-neuroncore", "trainium1")):
        a, b = Device.from_catalog(half), Device.from_catalog(whole)
        assert {d: 2 * r.peak_flops for d, r in a.rates.items()} == {d: r.peak_flops for d, r in b.rates.items()}
        assert (2 * (a.hbm_bytes or 0), 2 * (a.hbm_Bps or 0), 2 * (a.sm_count or 0)) == (
            b.hbm_bytes,
            b.hbm_Bps,
            b.sm_count,
        )
        assert 2 * (a.link_Bps or 0) == b.link_Bps


def test_unknown_stays_unknown() -> None:
    assert Device.from_catalog("ascend-910b").hbm_Bps is None
    assert Device.from_catalog("v100").power_w is None
    assert Node.from_catalog("gcp-a4").nics is None
    with pytest.raises(MissingDataError, match=r"device t4\.rates\.bf16"):
        Device.from_catalog("t4").peak("bf16")
    with pytest.raises(MissingDataError, match=r"node gcp-a3-ultra\.nic_Bps"):
        Cluster.from_catalog("2xa3-ultragpu-8g")
    assert Cluster.from_catalog("2xa3-ultragpu-8g", nic_Bps="400 Gb/s").device_count == 16


def test_instance_is_its_node_with_its_own_network_and_price() -> None:
    p5, dgx = Node.from_catalog("p5.48xlarge"), Node.from_catalog("dgx-h100")
    assert (p5.name, p5.device, p5.devices, p5.scale_up) == ("aws-p5", dgx.device, dgx.devices, dgx.scale_up)
    assert (p5.nics, p5.nic_Bps, p5.host_bytes) == (32, 12.5e9, 2048 * 2**30)
    assert p5.scale_out is not None
    assert p5.scale_out.name == "efa"
    assert p5.price is not None
    assert (p5.price.usd_per_h, p5.price.date) == (39.33, "2024-12")
    assert Node.from_catalog("gpu_2x_h100_sxm5").devices == 2


@pytest.mark.parametrize("name", hardware.instance_names())
def test_instance_aliases_resolve(name: str) -> None:
    for alias in hardware.names_of(name):
        assert Node.from_catalog(alias.upper()) == hardware.node(name)


@pytest.mark.parametrize(
    ("text", "nodes"),
    [("64xdgx-h100", 64), ("64 x DGX-H100", 64), ("dgx-h100", 1), (" dgx-h100 ", 1), ("1Xdgx-h100", 1)],
)
def test_counted_names(text: str, nodes: int) -> None:
    cluster = Cluster.from_catalog(text)
    assert (cluster.nodes, cluster.node.name) == (nodes, "dgx-h100")


def test_count_twice_or_too_large() -> None:
    with pytest.raises(ConfigError, match="expected the count once"):
        Cluster.from_catalog("8xdgx-h100", nodes=8)
    for count in ("0", "9" * 7, "9" * 5000):
        with pytest.raises(ConfigError, match=r"cluster\.nodes"):
            Cluster.from_catalog(f"{count}xdgx-h100")


@pytest.mark.parametrize(
    ("call", "wrong", "near"),
    [
        (Device.from_catalog, "h10O", "h100"),
        (Node.from_catalog, "dgx-h10", "dgx-h100"),
        (Node.from_catalog, "p5.48xlarg", "p5.48xlarge"),
        (Link.from_catalog, "pcie9", "pcie"),
        (Cluster.from_catalog, "8xdgx-h10", "dgx-h100"),
    ],
)
def test_misspelt_names_get_a_suggestion(call: Any, wrong: str, near: str) -> None:
    with pytest.raises(ConfigError, match=f"expected a name of the catalogue; .*{near}"):
        call(wrong)


def test_a_device_named_as_a_node_gets_the_nodes_that_hold_it() -> None:
    with pytest.raises(ConfigError, match=r"it is a device, of nodes .*\bdgx-h100\b"):
        Cluster.from_catalog("2xh100")


def test_tables_are_plain_and_whole() -> None:
    rows = {row.name: row for row in hardware.device_table()}
    assert tuple(rows) == hardware.device_names()
    assert (rows["h100-sxm5-80gb"].bf16_tflops, rows["h100-sxm5-80gb"].hbm_GBps) == (989, 3350)
    assert (rows["t4"].bf16_tflops, rows["rubin-sxm"].announced) == (None, True)
    nodes = {row.name: row for row in hardware.node_table()}
    assert (nodes["dgx-h100"].nics, nodes["dgx-h100"].nic_gbps, nodes["dgx-h100"].usd_per_h) == (8, 400, None)
    assert {r.name: r.usd_per_h for r in hardware.node_table(instances=True)}["aws-p4d"] == 14.75


def test_links_of_the_table() -> None:
    assert Link.from_catalog("nvlink5").bandwidth_Bps == 900e9
    assert Link.from_catalog("pcie5").copy_Bps == 55.43e9
    assert (Link.from_catalog("ib-hdr").bandwidth_Bps, Link.from_catalog("ib-hdr").latency_s) == (25e9, 0.6e-6)
    assert len(hardware.link_names()) >= 20


def test_one_lookup_parses_only_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    import yaml

    parsed: list[str] = []
    load = yaml.load

    def counted(text: str, Loader: Any) -> Any:
        parsed.append(text)
        return load(text, Loader=Loader)

    monkeypatch.setattr(yaml, "load", counted)
    for cached in (_yaml.packaged_text, _yaml.packaged_entry, hardware.device, hardware.link, hardware.node):
        cached.cache_clear()
    Cluster.from_catalog("64xdgx-h100")
    entries = set(_yaml.packaged_text("devices.yaml").values()) | set(_yaml.packaged_text("nodes.yaml").values())
    assert {text.partition(":")[0] for text in parsed if text in entries} == {"h100-sxm5-80gb", "dgx-h100"}
    catalogue = sum(path.stat().st_size for path in Path(_yaml.__file__).parent.glob("*.yaml"))
    assert sum(map(len, parsed)) < catalogue / 2


# ---- joins, on small tables so that they do not depend on fitted values ----------------------------------------------

TABLES: dict[str, dict[str, Any]] = {
    "generations": {
        "generic": {
            "source": "fit",
            "gemm": {"floor_s": 2e-6, "prologue_k": 100},
            "shares": {"bf16": [0.7, 0.8]},
            "attention": {"kernel": "fa2", "like": "hopper"},
        },
        "hopper": {
            "source": "tables",
            "gemm": {"floor_s": 1e-6},
            "shares": {"bf16": [0.8, 0.85], "fp8": [0.75, 0.9]},
            "attention": {"kernel": "cudnn", "like": "hopper"},
        },
    },
    "devices": {
        "h100-sxm5-80gb": {"generation": "hopper", "measured": True},
        "tpu-v4": {"generation": "nowhere", "systolic": True, "shares": {"bf16": [0.6, 1.0]}, "source": "steps"},
    },
    "attention_kernels": {
        "fa2": {"hopper": {"forward": {"rate_d64": 0.3}, "backward": {"rate_d64": 0.2}}},
        "cudnn": {"hopper": {"forward": {"rate_d64": 0.4}, "backward": {"rate_d64": 0.3}}},
        "fa4": {"blackwell_dc": {"forward": {}, "backward": {}}},
    },
}
FABRICS: dict[str, dict[str, Any]] = {
    "scale_up": {
        "ici-3d": {
            "values": {"kind": "torus", "torus_axes": 3, "torus_shape": [4, 4, 4], "device_Bps": 5e11, "hop_s": 1e-6},
            "sources": [
                {"fields": ["kind", "hop_s"], "source": "a book"},
                {"fields": ["device_Bps"], "source": "a rule", "assumed": True, "reason": "none is published"},
            ],
        }
    },
    "scale_out": {"dcn": {"values": {"hop_s": 2e-5}, "sources": [{"fields": ["hop_s"], "source": "a test"}]}},
}


@pytest.fixture
def small_tables(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    real = _yaml.packaged_entry

    def entry(file: str, name: str) -> Any:
        tables: Mapping[str, Any] = {"compute_constants.yaml": TABLES, "fabrics.yaml": FABRICS}
        return tables[file].get(name) if file in tables else real(file, name)

    caches = (hardware.device, hardware.node, fabrics.scale_up, fabrics.scale_out)
    for cached in caches:
        cached.cache_clear()
    monkeypatch.setattr(constants, "packaged_entry", entry)
    for module in (hardware, fabrics):
        monkeypatch.setattr(module, "packaged_entry", entry)
    yield
    for cached in caches:
        cached.cache_clear()


@pytest.mark.usefixtures("small_tables")
def test_device_takes_its_generation_then_its_own() -> None:
    h100 = Device.from_catalog("h100")
    assert (h100.gemm.floor_s, h100.gemm.prologue_k, h100.measured_kernels) == (1e-6, 100, True)
    assert [h100.rates[d].burst_share for d in ("fp32", "bf16", "fp8", "int8")] == [None, 0.8, 0.75, 0.75]
    assert (h100.attention_forward.rate_d64, h100.attention_backward.rate_d64) == (0.4, 0.3)
    assert h100.sources[-2:] == ("kernel constants: tables", "kernel constants: fit")


@pytest.mark.usefixtures("small_tables")
def test_device_without_constants_takes_the_generic_set() -> None:
    t4, tpu = Device.from_catalog("t4"), Device.from_catalog("tpu-v4")
    clock = pytest.approx(0.8 * Fitted.packaged().every_device[0])
    assert t4.rates["fp16"].sustained_share == clock
    assert (t4.gemm.floor_s, t4.measured_kernels) == (2e-6, False)
    assert (tpu.systolic, tpu.rates["int8"].burst_share, tpu.gemm.floor_s) == (True, 0.6, 2e-6)


@pytest.mark.usefixtures("small_tables")
def test_stand_in_is_not_measured() -> None:
    capped = Device.from_catalog("h100-96gb")
    assert (capped.gemm.floor_s, capped.rates["fp8"].burst_share, capped.measured_kernels) == (1e-6, 0.75, False)


@pytest.mark.usefixtures("small_tables")
def test_other_attention_kernels() -> None:
    fa2 = constants.attention_constants("h100-sxm5-80gb", "hopper", "fa2")
    assert (fa2["attention_forward"].rate_d64, fa2["attention_backward"].rate_d64) == (0.3, 0.2)
    with pytest.raises(MissingDataError, match="fa4 on h100-sxm5-80gb: not measured; measured on blackwell_dc"):
        constants.attention_constants("h100-sxm5-80gb", "hopper", "fa4")
    with pytest.raises(MissingDataError, match="did you mean fa2"):
        constants.attention_constants("h100-sxm5-80gb", "hopper", "fa22")


@pytest.mark.usefixtures("small_tables")
def test_node_takes_its_fabric_profile() -> None:
    node = Node.from_catalog("tpu-v5p-host")
    assert (node.scale_up.kind, node.scale_up.torus_shape, node.scale_up.domain_devices) == (
        *(ScaleUpKind.TORUS, (4, 4, 4), 8960),
    )
    assert node.scale_up.device_Bps == 540e9  # the device's own rate, not the profile's
    assert node.scale_out is not None
    assert node.scale_out.hop_s == 2e-5
    assert node.scale_up.sources == ("kind, hop_s: a book", "device_Bps: a rule (assumed: none is published)")


@pytest.mark.usefixtures("small_tables")
def test_profile_that_does_not_exist() -> None:
    with pytest.raises(MissingDataError, match="scale_out: no profile 'infiniband'; known: dcn"):
        Node.from_catalog("dgx-h100")
    with pytest.raises(MissingDataError, match="scale_up: no profile 'nvlink4'; known: ici-3d"):
        Node.of("h100")
