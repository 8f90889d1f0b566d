"""One rank that stands for many gives what all of them give, and ranks that differ hurt only whom they meet."""

from __future__ import annotations

from typing import Any

import dist_training_sim as dts
import numpy as np
import pytest
from dist_training_sim.errors import ConfigError
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from uneven_jobs import DENSE, NODE, SEQ_LEN, cluster_of, core_result, fields, layouts

SOME = settings(max_examples=60, deadline=None)


def result(*job: Any, **options: Any) -> Any:
    try:
        return core_result(*job, **options)
    except ConfigError:  # the draw is not legal: schedule and ZeRO, say
        assume(False)


@SOME
@given(layouts())
def test_folded_is_expanded(job: Any) -> None:
    folded, expanded = (result(*job, expand=expand, keep_traffic=True) for expand in (False, True))
    assert folded.step_time_s == expanded.step_time_s
    assert [fields(stage) for stage in folded.stages] == [fields(stage) for stage in expanded.stages]
    assert [[fields(axis) for axis in s] for s in folded.communication] == [
        [fields(axis) for axis in s] for s in expanded.communication
    ]
    assert np.array_equal(folded.traffic_bytes(), expanded.traffic_bytes())
    assert [fields(m) for m in folded.memory] == [fields(m) for m in expanded.memory]
    assert folded.rank_classes == 1


@SOME
@given(layouts(), st.integers(0, 2**40), st.sampled_from([0.0, 0.02, 0.3]), st.sampled_from([1, 2, 8]))
def test_classes_are_expanded_whatever_the_stragglers(job: Any, seed: int, sigma: float, group: int) -> None:
    drawn = dts.Stragglers.lognormal(sigma, seed=seed, group=group)
    classes, each = (result(*job, stragglers=drawn, expand=expand) for expand in (False, True))
    assert classes.step_time_s == each.step_time_s
    assert classes.rank_classes <= each.rank_classes
    for a, b in zip(classes.stages, each.stages, strict=True):
        assert fields(a) == pytest.approx(fields(b), rel=1e-9, abs=1e-12 * each.step_time_s)
        assert a.total_s == pytest.approx(each.step_time_s, rel=1e-9)


@SOME
@given(layouts(), st.integers(0, 10**6), st.floats(1, 4))
def test_a_slower_rank_never_speeds_the_step(job: Any, rank: int, factor: float) -> None:
    world = job[1].device_count
    even = result(*job)
    slow = result(*job, stragglers=dts.Stragglers.of_ranks({rank % world: factor}))
    assert even.step_time_s <= slow.step_time_s <= factor * even.step_time_s * (1 + 1e-12)
    assert slow.even_step_time_s == even.step_time_s
    slower = result(*job, stragglers=dts.Stragglers.of_ranks({rank % world: factor, (rank + 1) % world: 4}))
    assert slower.step_time_s >= slow.step_time_s


@SOME
@given(layouts(), st.data())
def test_equal_ranks_may_change_places(job: Any, data: Any) -> None:
    strategy = job[2].resolved(job[1].device_count)
    grid = dts.RankGrid(strategy)
    rank = data.draw(st.integers(0, job[1].device_count - 1))
    other = data.draw(st.sampled_from([*grid.group(rank, "dp"), *grid.group(rank, "tp"), *grid.group(rank, "cp")]))
    times = {result(*job, stragglers=dts.Stragglers.of_ranks({who: 1.5})).step_time_s for who in (rank, other)}
    assert len(times) == 1


def test_one_slow_rank_of_a_thousand_is_two_classes() -> None:
    strategy = dts.Strategy(pp=8, global_batch=1024)
    job = ("llama-3.1-8b", "128xdgx-h100", strategy)
    slow = dts.simulate(*job, seq_len=2048, stragglers=dts.Stragglers.of_ranks({517: 2.0}))
    assert slow.rank_classes == 2
    assert slow.breakdown["straggler_s"] > 0
    assert len(np.unique(slow.events.columns["rank"])) == 2 * 8
    each = dts.simulate(*job, seq_len=2048, stragglers=dts.Stragglers.of_ranks({517: 2.0}), expand=True)
    assert (each.rank_classes, each.step_time_s) == (128, slow.step_time_s)
    assert len(np.unique(each.events.columns["rank"])) == 1024


def test_stragglers_stretch_kernels_and_leave_collectives() -> None:
    job = (DENSE, cluster_of(2, 2), dts.Strategy(tp=2, global_batch=4))
    even = dts.simulate(*job, seq_len=SEQ_LEN).breakdown
    slow = dts.simulate(*job, seq_len=SEQ_LEN, stragglers=dts.Stragglers.of_ranks({1: 2.0})).breakdown
    assert slow["forward_s"] == pytest.approx(2 * even["forward_s"])
    assert slow["exposed_tp_s"] == even["exposed_tp_s"] > 0


class TestNodes:
    def test_equal_nodes_by_another_name_change_nothing(self) -> None:
        cluster = cluster_of(16, 4)
        renamed = cluster.with_nodes([1, 3], cluster.node.replace(name="twin"))
        for strategy in (dts.Strategy(tp=4, zero=1, global_batch=8), dts.Strategy(tp=2, pp=4, global_batch=8)):
            a, b = core_result(DENSE, cluster, strategy), core_result(DENSE, renamed, strategy)
            assert a.step_time_s == b.step_time_s
            for even, twin in zip(a.stages, b.stages, strict=True):  # means over other numbers of classes
                assert fields(even) == pytest.approx(fields(twin), rel=1e-12, abs=1e-10)  # each share on the grid

    @SOME
    @given(layouts(), st.data())
    def test_classes_are_expanded_on_mixed_nodes(self, job: Any, data: Any) -> None:
        model, cluster, strategy = job
        a100 = dts.Node.from_catalog("dgx-a100").replace(devices=cluster.node.devices, nics=cluster.node.devices)
        some = st.sets(st.integers(0, cluster.nodes - 1), max_size=3)
        mixed = cluster.with_nodes(data.draw(some), a100)
        slow = mixed.with_slow_links(data.draw(some), nic=0.5, scale_up=0.7)
        drawn = dts.Stragglers.slow_fraction(0.2, 1.3, seed=data.draw(st.integers(0, 99)))
        classes, each = (result(model, slow, strategy, expand=e, stragglers=drawn) for e in (False, True))
        assert classes.step_time_s == each.step_time_s
        for stage in classes.stages:
            assert stage.total_s == pytest.approx(classes.step_time_s, rel=1e-9)
        assert result(model, slow, strategy).step_time_s >= result(model, mixed, strategy).step_time_s
        assert result(model, mixed, strategy).step_time_s >= result(model, cluster, strategy).step_time_s

    def test_a_mixed_cluster_runs_at_the_pace_of_its_slower_devices(self) -> None:
        strategy = dts.Strategy(tp=8, global_batch=16)
        h100, a100, mixed = (
            dts.simulate("llama-3.1-8b", name, strategy, seq_len=2048)
            for name in ("4xdgx-h100", "4xdgx-a100", "3xdgx-h100+1xdgx-a100")
        )
        assert h100.step_time_s < mixed.step_time_s <= a100.step_time_s * 1.01
        assert mixed.breakdown["straggler_s"] > 0
        assert mixed._core_result.peak_flops == pytest.approx(
            0.75 * h100._core_result.peak_flops + 0.25 * a100._core_result.peak_flops
        )

    def test_a_stage_must_fit_its_own_devices(self) -> None:
        small = dts.Node.from_catalog("dgx-a100").replace(device=dts.Device.from_catalog("a100-sxm4-40gb"))
        cluster = dts.Cluster.from_catalog("2xdgx-h100").with_nodes(1, small)
        found = dts.simulate("llama-3.1-8b", cluster, dts.Strategy(tp=8, pp=2, global_batch=8), seq_len=2048)
        assert [use.capacity_bytes for use in found.memory] == [NODE.device.hbm_bytes, small.device.hbm_bytes]
        assert found.capacity_bytes == small.device.hbm_bytes

    def test_a_slow_nic_slows_only_those_that_touch_it(self) -> None:
        # Stages 0 to 3 on nodes 0 to 3; data parallelism inside a node: only transfers leave it.
        cluster, strategy = dts.Cluster.from_catalog("4xdgx-h100"), dts.Strategy(tp=4, dp=2, pp=4, global_batch=16)
        even = dts.simulate("llama-3.1-8b", cluster, strategy, seq_len=2048)
        slow = dts.simulate("llama-3.1-8b", cluster.with_slow_links(3, nic=0.1), strategy, seq_len=2048)
        assert slow.step_time_s > even.step_time_s
        stages = list(zip(even.stage_communication, slow.stage_communication, strict=True))
        pp = [(a["pp"]["total_s"], b["pp"]["total_s"]) for a, b in stages]
        assert pp[0][0] == pytest.approx(pp[0][1])
        assert pp[1][0] == pytest.approx(pp[1][1])
        assert pp[2][0] < pp[2][1]  # from node 3, backward
        assert pp[3][0] < pp[3][1]
        for axis in ("tp", "dp"):
            for a, b in stages:
                assert a[axis]["total_s"] == pytest.approx(b[axis]["total_s"])

    def test_nodes_of_one_kind_are_listed_once(self) -> None:
        cluster, a100 = dts.Cluster.from_catalog("64xdgx-h100"), dts.Node.from_catalog("dgx-a100")
        mixed = cluster.with_nodes(5, a100).with_nodes([7, 5], a100)
        assert [other.at for other in mixed.others] == [(7, 5)]
        assert mixed.with_nodes(range(64), cluster.node) == cluster
        slow = mixed
        for node in range(40):
            slow = slow.with_slow_links(node, nic=0.5)
        assert len(slow.others) == 2  # slow H100 nodes, slow A100 nodes

    def test_a_slow_node_of_many_makes_few_classes(self) -> None:
        cluster = dts.Cluster.from_catalog("64xdgx-h100").with_slow_links(9, scale_up=0.5)
        found = dts.simulate("llama-3.1-70b", cluster, dts.Strategy(tp=8, pp=4, global_batch=256), seq_len=4096)
        assert found.rank_classes == 2


class TestErrors:
    def test_nodes_that_do_not_match(self) -> None:
        cluster = dts.Cluster.from_catalog("2xdgx-h100")
        with pytest.raises(ConfigError, match="devices: got 4, expected the 8 of dgx-h100"):
            cluster.with_nodes(1, NODE.replace(devices=4))
        with pytest.raises(ConfigError, match="at: got 2, expected nodes from 0 to 1"):
            cluster.with_nodes(2, NODE)
        with pytest.raises(ConfigError, match="nic: got 2"):
            cluster.with_slow_links(0, nic=2)
        with pytest.raises(ConfigError, match="the name counts"):
            dts.Cluster.from_catalog("2xdgx-h100+2xdgx-a100", nodes=3)

    def test_a_link_level_network_knows_one_kind(self) -> None:
        with pytest.raises(ConfigError, match="several kinds of nodes"):
            dts.simulate(DENSE, "1xdgx-h100+1xdgx-a100", seq_len=64, network=dts.CommunicationModel(16))
