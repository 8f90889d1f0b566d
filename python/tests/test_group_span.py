"""Where groups lie on clusters, and who shares their links."""

from __future__ import annotations

import dist_training_sim as dts
import pytest
from dist_training_sim import ConfigError, FlowFabric, group_span
from dist_training_sim.hardware import Cluster, Node


def test_inside_a_node_only_ports_are_taken() -> None:
    span = group_span("2xdgx-h100", [0, 1, 2, 3])
    assert span.tiers == ("scale-up",)
    assert (span.nodes, span.domains, span.ranks_per_node, span.ranks_per_domain) == (1, 1, (4, 4), (4, 4))
    assert span.nics == ()
    assert span.nic_share_Bps == span.nic_alone_Bps == 0
    assert span.links == tuple(f"port {rank} {way}" for rank in range(4) for way in ("out", "in"))


def test_a_rail_crosses_one_leaf() -> None:
    span = group_span("4xdgx-h100", [3, 11, 19, 27])
    assert span.tiers == ("NIC",)
    assert span.nics == ("0.3", "1.3", "2.3", "3.3")
    assert span.rails == (3,)
    assert span.leaves == 1
    assert span.nic_share_Bps == span.nic_alone_Bps == 50e9


def test_whole_nodes_drive_all_of_their_nics() -> None:
    span = group_span("2xdgx-h100", range(16), fabric=FlowFabric(topology="fat_tree", nodes_per_leaf=1))
    assert span.tiers == ("scale-up", "NIC", "leaf - spine")
    assert len(span.nics) == 16
    assert span.leaves == 2
    assert span.nic_share_Bps == 8 * 50e9


def test_uneven_groups_say_so() -> None:
    span = group_span("2xdgx-h100", [0, 1, 2, 8])
    assert span.ranks_per_node == (1, 3)
    assert span.nic_share_Bps == 50e9  # the node with the fewest decides


def test_siblings_share_nics_where_there_are_fewer_than_devices() -> None:
    cluster = Cluster(Node.from_catalog("dgx-h100").replace(nics=4.0), 4)
    groups = dts.RankGrid(dts.Strategy(tp=8), devices=32).groups("dp")
    span = group_span(cluster, groups[0], among=groups)
    assert span.siblings == 1  # the other device of each pair
    assert span.siblings_at_most == 1
    assert span.nic_alone_Bps == 2 * span.nic_share_Bps


def test_siblings_meet_on_uplinks() -> None:
    fabric = FlowFabric(topology="fat_tree", nodes_per_leaf=1)
    groups = dts.RankGrid(dts.Strategy(tp=8), devices=32).groups("dp")
    span = group_span("4xdgx-h100", groups[0], among=groups, fabric=fabric)
    assert span.siblings == 7
    assert group_span("4xdgx-h100", groups[0], among=groups).siblings == 0  # on rails they do not


def test_order_does_not_matter() -> None:
    a, b = group_span("4xdgx-h100", [0, 8, 16, 24]), group_span("4xdgx-h100", [24, 0, 16, 8])
    assert a.links == b.links


def test_bad_groups_are_refused() -> None:
    with pytest.raises(ConfigError, match="twice"):
        group_span("1xdgx-h100", [0, 0])
    with pytest.raises(ConfigError, match="ranks from 0 to 7"):
        group_span("1xdgx-h100", [0, 8])
    with pytest.raises(ConfigError, match="device numbers"):
        group_span("1xdgx-h100", [0, 1.5])  # type: ignore[list-item]
