"""Published collectives: texts on systems to fabrics, predictions of rows, errors with a system left out."""

from __future__ import annotations

from typing import Any

import pytest
from dist_training_sim.errors import MissingDataError
from dist_training_sim.validation.collectives import predict_collectives
from dist_training_sim.validation.collectives_fabric import System, cluster_of_system, device_of, network_of
from dist_training_sim.validation.collectives_report import class_errors
from dist_training_sim.validation.corpus import Row
from hypothesis import given
from hypothesis import strategies as st

H100 = "NVLink4 NVSwitch 450 GB/s/dir"


def row(**changes: Any) -> dict[str, Any]:
    base = {
        "id": "r",
        "system": "some cluster",
        "gpu": "H100-SXM-80GB",
        "gpus": 16,
        "nodes": 2,
        "gpus_per_node": 8,
        "intra": H100,
        "inter": "InfiniBand NDR 8x400 Gb/s per node",
        "library": "NCCL",
        "collective": "all_reduce",
        "size_bytes": 2**30,
        "time_us": 4497.4,
        "flags": [],
        "notes": None,
    }
    return base | changes


@pytest.mark.parametrize(
    ("text", "nics", "gbps", "fabric"),
    [
        ("EFA 3200 Gb/s per node (32x100 Gb/s)", 32, 100, "efa"),
        ("InfiniBand NDR CX-7 8x400 Gb/s per node", 8, 400, "infiniband"),
        ("InfiniBand NDR 8x400 Gb/s per node, SHARP/CollNet enabled", 8, 400, "infiniband-sharp"),
        ("BlueField-3 8x400 GbE RoCE per node", 8, 400, "roce"),
        ("RoCE AMD Pollara 8x400 Gb/s per node", 8, 400, "roce-pollara"),
        ("GPUDirect-TCPX 4x200 Gb/s per node", 4, 200, "tcpx"),
        ("GPUDirect-TCPXO 8x200 Gb/s per node", 8, 200, "tcpxo"),
        ("Slingshot-11 4x200 Gb/s per node", 4, 200, "slingshot"),
        ("GCP RoCE with gIB, 8x400 Gb/s", 8, 400, "roce-gcp"),
        ("TCP sockets over 1x100 GbE", 1, 100, "ethernet"),
        ("default settings", None, None, None),
    ],
)
def test_networks(text: str, nics: float | None, gbps: float | None, fabric: str | None) -> None:
    found = network_of(text)
    assert (found.nics, found.fabric) == (nics, fabric)
    assert found.nic_Bps == (None if gbps is None else pytest.approx(gbps / 8 * 1e9))


@pytest.mark.parametrize(
    ("gpu", "intra", "library", "profile", "gigabytes"),
    [
        ("H200-SXM-141GB", H100, "NCCL", "nvlink4", 450),
        ("B300-SXM-288GB", "", "NCCL", "nvlink5", 900),
        ("A100-SXM4-40GB", "NVLink3 NVSwitch 300 GB/s/dir", "NCCL", "nvlink3", 300),
        ("MI300X", "xGMI full mesh 7x64 GB/s/dir", "RCCL", "xgmi", 448),
        ("MI355X", "xGMI full mesh", "RCCL", "xgmi", 535.5),
        ("L40S", "PCIe4 x16", "NCCL", "pcie4", 31.5),
        ("L40S", "PCIe4 x16, no P2P", "NCCL", "pcie4-no-p2p", 31.5),
        ("Arc Pro B60", "PCIe5", "oneCCL", "pcie5-xe", 63),
        ("GH200-96GB", "NVLink4 direct 4-GPU mesh (6 links/pair, 150 GB/s/dir)", "NCCL", "nvlink4-mesh", 450),
        ("H100-SXM-80GB", H100, "TensorRT-LLM custom allreduce", "nvlink4-one-shot", 450),
        ("Xeon", "", "Gloo", "host-memory", 12),
        ("TPU v5p", "ICI 3D torus", "XLA", "ici-3d", 540),
        ("Gaudi3", "RoCE 24x200 GbE scale-up", "HCCL", "gaudi-roce", 600),
    ],
)
def test_links_inside(gpu: str, intra: str, library: str, profile: str, gigabytes: float) -> None:
    cluster = cluster_of_system(System("s", gpu, intra, "", 4, 1, 8, library))
    assert cluster.node.scale_up.name == profile
    if profile != "gaudi-roce":
        assert cluster.node.scale_up.device_Bps == pytest.approx(gigabytes * 1e9)


@pytest.mark.parametrize(
    ("name", "intra", "devices", "domain"),
    [
        ("GB300 x16", "MNNVL NVLink5 900 GB/s/dir", 64, 64),
        ("GB300 one rack", "MNNVL NVLink5 72-GPU domain 900 GB/s/dir", 72, 72),
        ("GB200 x32 (2 racks)", "MNNVL NVLink5", 128, 64),
        ("GB200 x32", "MNNVL NVLink5; 32 nodes across two racks", 128, 64),
        ("GB200 20 racks", "MNNVL NVLink5 72-GPU domain 900 GB/s/dir", 1440, 72),
    ],
)
def test_racks_are_filled_evenly(name: str, intra: str, devices: int, domain: int) -> None:
    cluster = cluster_of_system(System(name, "GB200", intra, "RoCE 8 NICs per node", devices, devices // 4, 4))
    assert cluster.node.domain_devices == domain
    assert cluster.node.nics == 8
    assert cluster.node.nic_Bps == 50e9  # counted, not rated: ports of 400 Gb/s


def test_peers_without_any_path_of_their_own_go_through_the_network() -> None:
    intra = "PCIe, P2P and SHM disabled (all traffic via NIC)"
    cluster = cluster_of_system(System("s", "RTX6000D", intra, "CX-8 8x400 Gb/s per node", 16, 2, 8))
    assert (cluster.nodes, cluster.node.devices, cluster.node.nic_Bps) == (16, 1, 50e9)


def test_an_unknown_accelerator_takes_the_links_that_the_text_states() -> None:
    assert cluster_of_system(System("s", "H900 Ultra", H100, "", 8, 1, 8)).node.scale_up.name == "nvlink4"
    with pytest.raises(MissingDataError, match="Mystery"):
        cluster_of_system(System("s", "Mystery 9", "", "", 8, 1, 8))


def test_longer_names_win() -> None:
    assert device_of("GB200").name.startswith("gb200")
    assert device_of("B200-SXM-180GB").name == "b200-sxm-180gb"
    assert device_of("A100-SXM4-40GB").name == "a100-sxm4-40gb"


def test_a_row_is_predicted_and_scored() -> None:
    result = predict_collectives([row()])[0]
    assert result.use == "collectives"
    assert result.included
    assert result.reason == ""
    assert result.labels["profile"] == "nvlink4 + infiniband"
    assert result.predicted is not None
    assert result.error is not None
    assert result.error == pytest.approx(result.predicted / 4497.4e-6 - 1)
    assert abs(result.error) < 0.1


@pytest.mark.parametrize(
    ("changes", "reason", "predicted"),
    [
        ({"flags": ["misconfigured"]}, "misconfigured", True),
        ({"notes": "CI target value"}, "target", True),
        ({"collective": "ib_write_bw"}, "expected one of", False),
        ({"time_us": None}, "no measured time", False),
        ({"size_bytes": None}, "no size", False),
        ({"gpu": "?", "intra": None}, "expected the name of an accelerator", False),
    ],
)
def test_rows_that_do_not_count_say_why(changes: dict[str, Any], reason: str, predicted: bool) -> None:
    result = predict_collectives([row(**changes)])[0]
    assert not result.included
    assert reason in result.reason
    assert (result.predicted is not None) is predicted


def test_what_a_harness_adds_is_added() -> None:
    plain, framework, process = (
        predict_collectives([row(size_bytes=1024, flags=flags)])[0].predicted
        for flags in ([], ["framework_overhead"], ["single_process"])
    )
    assert plain
    assert framework
    assert process
    assert framework - plain == pytest.approx(22e-6)
    assert process - plain == pytest.approx(16 * 2.2e-6)


def test_send_and_receive_across_nodes_use_one_share_of_the_nics() -> None:
    result = predict_collectives([row(collective="sendrecv")])[0]
    assert result.predicted == pytest.approx(2**30 / (0.72 * 50e9), rel=0.05)


ANYTHING = st.one_of(st.none(), st.text(max_size=30), st.integers(), st.floats())


@given(st.dictionaries(st.sampled_from(sorted(row())), ANYTHING))
def test_any_row_gives_a_result(changes: dict[str, Any]) -> None:
    result = predict_collectives([row(**changes)])[0]
    assert result.included or result.reason


def test_left_out_errors_come_from_constants_of_the_other_systems() -> None:
    sizes = [2**i for i in range(10, 34)]
    slow = {"inter": "InfiniBand NDR 8x400 Gb/s per node", "system": "slow"}
    rows = []
    for name, factor in (("fast", 1.0), ("slow", 2.0)):
        for size in sizes:
            entry = row(**slow, size_bytes=size) | {"system": name}
            predicted = predict_collectives([entry])[0].predicted
            assert predicted
            rows.append(Row(name, entry | {"time_us": predicted * 1e6 * factor}))
    (errors,) = class_errors(rows)
    assert errors.fabric == "scale_out infiniband"
    assert errors.systems == 2
    assert sorted(errors.in_sample)[: len(sizes)] == pytest.approx([0.0] * len(sizes), abs=1e-6)
    # Fitted to the other one, a system twice as slow is missed by far more than in sample.
    assert sum(errors.left_out) > 1.2 * sum(errors.in_sample)
    # The catalogue's constants are back afterwards.
    assert predict_collectives([rows[0].data])[0].error == pytest.approx(0.0, abs=1e-9)
