"""Fabric profiles and the collective-time model: sources, physics, and published nccl-tests measurements."""

from __future__ import annotations

import csv
import statistics
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from dist_training_sim import _core
from hypothesis import given
from hypothesis import strategies as st

CATALOG = files("dist_training_sim.catalog") / "fabrics.yaml"
SAMPLE = Path(__file__).parent / "fixtures" / "collectives_sample.csv"
PROFILES: dict[str, dict[str, dict[str, Any]]] = yaml.safe_load(CATALOG.read_text(encoding="utf-8"))
SCALE_UP, SCALE_OUT = sorted(PROFILES["scale_up"]), sorted(PROFILES["scale_out"])
OPTIONAL = ("one_shot_", "p2p_channel", "p2p_part_bytes")  # branches a fabric may lack
KINDS = list(_core.CollectiveKind)
KIND_OF = {
    "all_reduce": _core.CollectiveKind.ALL_REDUCE,
    "all_gather": _core.CollectiveKind.ALL_GATHER,
    "reduce_scatter": _core.CollectiveKind.REDUCE_SCATTER,
    "alltoall": _core.CollectiveKind.ALL_TO_ALL,
}


def fill(spec: Any, level: str, profile: str) -> Any:
    """Set every value of a profile on a spec."""
    spec.name = profile
    for field, value in PROFILES[level][profile]["values"].items():
        setattr(spec, field, _core.ScaleUpKind[value.upper()] if field == "kind" else value)
    return spec


@cache
def cluster(
    up: str, out: str, nodes: int = 1, devices: int = 8, nics: float = 8, nic_bps: float = 50e9, domain: int = 0
) -> Any:
    """Nodes of one scale-up profile joined by one scale-out profile; checked."""
    c = _core.ClusterSpec()
    node = c.node
    node.devices, node.nics, node.nic_Bps = devices, nics, nic_bps
    fill(node.scale_up, "scale_up", up).domain_devices = domain
    fill(c.scale_out, "scale_out", out)
    c.nodes = nodes
    _core.check_cluster(c)
    return c


def price(c: Any, kind: Any, size_bytes: float, ranks: int, stride: int = 1) -> float:
    """Seconds of one collective."""
    return float(_core.fabric_collective(c, kind, size_bytes, _core.span_of(c, ranks, stride)).time_s)


@pytest.mark.parametrize(("level", "name"), [("scale_up", n) for n in SCALE_UP] + [("scale_out", n) for n in SCALE_OUT])
def test_every_value_has_exactly_one_source(level: str, name: str) -> None:
    profile = PROFILES[level][name]
    sourced = [field for entry in profile.get("sources", ()) for field in entry["fields"]]
    assert sorted(sourced) == sorted(profile["values"])  # inherited ones too
    for entry in profile["sources"]:
        assert entry["source"].strip()
        assert ("reason" in entry) == entry.get("assumed", False)
    spec = _core.ScaleUpSpec() if level == "scale_up" else _core.ScaleOutSpec()
    fill(spec, level, name)


@pytest.mark.parametrize("name", SCALE_OUT)
def test_a_scale_out_profile_leaves_no_field_to_the_default(name: str) -> None:
    fields = {f for f in dir(_core.ScaleOutSpec) if not f.startswith("_") and f != "name"}
    assert fields - set(PROFILES["scale_out"][name]["values"]) <= {"group_nics"}  # without: all of a group's cards


def test_one_ring_on_omni_path_uses_one_card_of_a_node() -> None:
    c = cluster("nvlink3", "omni-path", nodes=4, nics=4, nic_bps=12.5e9)
    whole = 4e9 * 2 * 31 / 32 / price(c, KIND_OF["all_reduce"], 4e9, 32)
    assert whole == pytest.approx(0.44 * 12.5e9, rel=0.03)  # Jean Zay: 41 to 57 Gb/s of 400
    one_of_each = 4e9 * 2 * 3 / 4 / price(c, KIND_OF["all_reduce"], 4e9, 4, 8)
    assert one_of_each == pytest.approx(0.44 * 12.5e9 / 2, rel=0.03)  # two devices share a card


@pytest.mark.parametrize("name", SCALE_UP)
def test_a_scale_up_profile_leaves_only_absent_hardware_to_the_default(name: str) -> None:
    values = PROFILES["scale_up"][name]["values"]
    fields = {f for f in dir(_core.ScaleUpSpec) if not f.startswith("_")}
    left = fields - set(values) - {"name", "domain_devices", "torus_shape"}
    absent = {f for f in fields if f.startswith("nvls_")} if values["nvls_min_ranks"] == 0 else set()
    absent |= {"group_exponent"} if values["kind"] == "torus" else {"torus_axes", "torus_wrap"}
    absent |= {f for f in fields if f.startswith(OPTIONAL) and f not in values}
    assert left <= absent


@pytest.mark.parametrize(
    ("level", "name", "spec"),
    [("scale_up", "nvlink4", _core.ScaleUpSpec()), ("scale_out", "infiniband", _core.ScaleOutSpec())],
)
def test_defaults_of_the_core_are_catalogue_profiles(level: str, name: str, spec: Any) -> None:
    values = dict(PROFILES[level][name]["values"])
    if level == "scale_up":
        assert spec.kind is _core.ScaleUpKind[values.pop("kind").upper()]
    assert {field: getattr(spec, field) for field in values} == pytest.approx(values)


@given(
    up=st.sampled_from(SCALE_UP),
    out=st.sampled_from(SCALE_OUT),
    kind=st.sampled_from(KINDS),
    group=st.sampled_from([(2, 1), (4, 1), (8, 1), (2, 8), (16, 1), (8, 8), (32, 2), (64, 1)]),
    size_bytes=st.floats(0, 1e12),
    factor=st.floats(1, 1e3),
)
def test_monotone_in_bytes_on_every_fabric(
    up: str, out: str, kind: Any, group: tuple[int, int], size_bytes: float, factor: float
) -> None:
    c = cluster(up, out, nodes=8)
    cost = price(c, kind, size_bytes, *group)
    assert 0 < cost < float("inf")
    assert price(c, kind, size_bytes * factor, *group) >= cost


@given(
    up=st.sampled_from(SCALE_UP),
    kind=st.sampled_from(KINDS),
    ranks=st.sampled_from([2, 8, 16, 64]),
    size_bytes=st.floats(1, 1e11),
    factor=st.floats(1, 100),
)
def test_monotone_in_nic_bandwidth(up: str, kind: Any, ranks: int, size_bytes: float, factor: float) -> None:
    slow = cluster(up, "infiniband", nodes=8, nic_bps=1e9)
    fast = cluster.__wrapped__(up, "infiniband", nodes=8, nic_bps=1e9 * factor)
    assert price(fast, kind, size_bytes, ranks) <= price(slow, kind, size_bytes, ranks)


@pytest.mark.parametrize("kind", KINDS)
def test_one_rank_costs_nothing(kind: Any) -> None:
    assert price(cluster("nvlink5", "infiniband"), kind, 1e9, 1) == 0


def test_a_mesh_group_owns_the_links_between_its_members() -> None:
    c = cluster("xgmi", "roce", devices=8)
    two, eight = (price(c, KIND_OF["all_reduce"], 4 * 2**30, n) for n in (2, 8))
    busbw = [4 * 2**30 * 2 * (n - 1) / n / t for n, t in ((2, two), (8, eight))]
    assert busbw[0] == pytest.approx(47.7e9, rel=0.07)  # MI300X, 2 of 8 GPUs, ml-engineering all_reduce_bench
    assert busbw[1] / busbw[0] == pytest.approx(7, rel=0.05)


def test_nvls_speeds_all_reduce_only() -> None:
    c = cluster("nvlink4", "infiniband")
    span = _core.span_of(c, 8)
    assert _core.fabric_collective(c, KIND_OF["all_reduce"], 2**30, span).algorithm == "nvls"
    assert _core.fabric_collective(c, KIND_OF["all_gather"], 2**30, span).algorithm == "ring"


def test_bad_cluster_names_every_problem() -> None:
    c = _core.ClusterSpec()
    c.nodes, c.node.nics, c.scale_out.ring_efficiency = 2, -1, 2
    with pytest.raises(_core.ConfigError) as error:
        _core.check_cluster(c)
    assert "cluster.node.nics: got -1" in str(error.value)
    assert "cluster.scale_out.ring_efficiency: got 2" in str(error.value)


def measured_errors() -> list[tuple[str, float]]:
    """Signed relative error of every row of the sample."""
    errors = []
    with SAMPLE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            ranks, devices = int(row["ranks"]), int(row["node_devices"])
            c = cluster.__wrapped__(
                row["scale_up"],
                row["scale_out"],
                nodes=-(-ranks // devices),
                devices=devices,
                nics=float(row["nics"]),
                nic_bps=float(row["nic_Bps"]),
                domain=int(row["domain_devices"]),
            )
            c.node.scale_up.device_Bps = float(row["device_Bps"])
            time_us = price(c, KIND_OF[row["collective"]], float(row["bytes"]), ranks) * 1e6
            label = f"{row['system']} {row['collective']} n={ranks} {row['bytes']} B"
            errors.append((label, time_us / float(row["time_us"]) - 1))
    return errors


def test_published_measurements_within_tolerance() -> None:
    # Rows picked by size (4 KiB, 1 MiB, 1 GiB or the largest), not by how well they fit.
    errors = measured_errors()
    assert len(errors) == 57
    absolute = sorted(abs(e) for _, e in errors)
    assert statistics.median(absolute) < 0.06
    assert absolute[int(0.9 * len(absolute))] < 0.20
    assert not [(label, e) for label, e in errors if abs(e) > 0.51]
