"""Whole steps on shared links: alone they are the analytic step, together they slow each other, and only each other."""

from __future__ import annotations

import pickle
from itertools import pairwise
from typing import Any

import dist_training_sim as dts
import numpy as np
import pytest
from dist_training_sim import ConfigError, FlowFabric, InfeasibleError, LinkChange, Strategy
from dist_training_sim.network import StepLinks
from hypothesis import given, settings
from hypothesis import strategies as st

DENSE, EXPERTS, SEQ = "llama-3.1-8b", "mixtral-8x7b", 2048
LAYOUTS: dict[str, tuple[str, str, Strategy]] = {
    "pipeline": (DENSE, "4xdgx-h100", Strategy(tp=4, pp=4, zero=1, global_batch=32)),
    "interleaved": (DENSE, "4xdgx-h100", Strategy(tp=8, pp=2, vpp=2, global_batch=32)),
    "data": (DENSE, "4xdgx-h100", Strategy(tp=8, zero=1, global_batch=32)),
    "fsdp": (DENSE, "2xdgx-h100", Strategy(zero=3, global_batch=32)),
    "hsdp": (DENSE, "4xdgx-h100", Strategy(zero=3, dp_replicas=2, global_batch=64)),
    "experts": (EXPERTS, "4xdgx-h100", Strategy(tp=2, pp=2, ep=8, zero=1, global_batch=32)),
    "context": (DENSE, "4xdgx-h100", Strategy(tp=4, cp=4, zero=1, global_batch=16)),
    "dualpipe": (EXPERTS, "4xdgx-h100", Strategy(pp=4, ep=8, zero=1, schedule="dualpipe", global_batch=128)),
}


def run(
    layout: str | tuple[str, str, Strategy], fabric: FlowFabric | str | None = "flow", **options: Any
) -> dts.Result:
    model, cluster, strategy = LAYOUTS[layout] if isinstance(layout, str) else layout
    return dts.simulate(model, cluster, strategy, seq_len=SEQ, network=fabric, keep_events=False, **options)


ROUNDING = 1e-9


def links_of(result: dts.Result) -> StepLinks:
    assert result.links is not None
    return result.links


@pytest.mark.parametrize("layout", LAYOUTS)
def test_without_contention_a_step_is_the_analytic_one(layout: str) -> None:
    """Both ways through the engine: the same durations up to rounding, which is to 2^-40 s a task on fixed times."""
    fixed, shared = run(layout, None), run(layout)
    assert shared.uncontended_step_time_s == fixed.step_time_s
    assert shared.step_time_s >= fixed.step_time_s * (1 - ROUNDING)
    if layout in ("fsdp", "data"):  # one kind of traffic at a time
        assert shared.step_time_s == pytest.approx(fixed.step_time_s, rel=ROUNDING)
        assert shared.breakdown == pytest.approx(fixed.breakdown, rel=1e-9, abs=1e-9)
    assert sum(shared.breakdown.values()) == pytest.approx(shared.step_time_s, rel=1e-9)


def test_wide_links_are_as_good_as_none() -> None:
    """Where the network above the NICs is wider than all of them, its shape, routing and seed do not matter."""
    times = {
        run(
            "fsdp",
            FlowFabric(
                topology=shape, nodes_per_leaf=1, spines=spines, oversubscription=0.01, routing=routing, seed=seed
            ),
        ).step_time_s
        for shape in ("fat_tree", "rail_optimized")
        for spines, routing, seed in ((0, "shortest", 0), (4, "ecmp", 3), (4, "adaptive", 0))
    }
    assert all(time_s == pytest.approx(run("fsdp", None).step_time_s, rel=ROUNDING) for time_s in times)


def test_groups_that_share_an_uplink_slow_each_other() -> None:
    """Gradient groups of eight tensor-parallel positions leave a leaf by one uplink."""
    layout = (DENSE, "4xdgx-h100", Strategy(tp=8, zero=0, global_batch=32, overlap_grad_reduce=False))
    alone = run(layout, FlowFabric(topology="fat_tree", nodes_per_leaf=1)).breakdown["exposed_dp_s"]
    shared = run(layout, FlowFabric(topology="fat_tree", nodes_per_leaf=1, oversubscription=8)).breakdown[
        "exposed_dp_s"
    ]
    one = (DENSE, "4xdgx-h100", Strategy(tp=8, pp=4, global_batch=32, overlap_grad_reduce=False))
    pipeline = [
        run(one, FlowFabric(topology="fat_tree", nodes_per_leaf=1, oversubscription=o)).step_time_s for o in (1, 8)
    ]
    assert 4 < shared / alone < 8  # the latency of the collective is not shared
    assert 1 < pipeline[1] / pipeline[0] < 1.1  # transfers between stages are small


def test_siblings_on_one_nic_take_the_analytic_share() -> None:
    """Two tensor-parallel positions share each of four NICs: fixed prices halve it, shared links do as they meet."""
    node = dts.Node.from_catalog("dgx-h100").replace(nics=4.0)
    cluster = dts.Cluster(node, 4)
    strategy = Strategy(tp=8, global_batch=32, overlap_grad_reduce=False)
    fixed = dts.simulate(DENSE, cluster, strategy, seq_len=SEQ)
    shared = dts.simulate(DENSE, cluster, strategy, seq_len=SEQ, network="flow")
    assert shared.uncontended_step_time_s < fixed.step_time_s
    assert shared.step_time_s == pytest.approx(fixed.step_time_s, rel=1e-3)


@given(nic=st.integers(0, 31), share=st.floats(0.05, 0.9))
@settings(max_examples=10, deadline=None)
def test_a_degraded_link_moves_only_what_is_routed_over_it(nic: int, share: float) -> None:
    """The other pipelines end their last pass as before; nothing is ever faster."""
    cable = f"nic {nic // 8}.{nic % 8}"
    plain, slow = (
        run("pipeline", link_intervals=8),
        run("pipeline", FlowFabric(slow_links={cable: share}), link_intervals=8),
    )
    assert slow.step_time_s >= plain.step_time_s * (1 - 1e-12)
    assert slow.uncontended_step_time_s == plain.uncontended_step_time_s
    assert np.allclose(links_of(slow).bytes, links_of(plain).bytes)  # the same bytes on the same links
    unused = f"leaf {nic % 8} - spine 0"
    assert (
        run("pipeline", FlowFabric(slow_links={unused: share})).step_time_s == plain.step_time_s
    )  # rails do not climb


@pytest.mark.parametrize("layout", ["fsdp", "pipeline", "experts"])
def test_more_bandwidth_never_slows(layout: str) -> None:
    fabrics = [FlowFabric(topology="fat_tree", nodes_per_leaf=1, oversubscription=o) for o in (16, 8, 4, 2, 1)]
    times = [run(layout, fabric).step_time_s for fabric in fabrics]
    assert all(a >= b * (1 - 1e-9) for a, b in pairwise(times)), times
    slow = [run(layout, FlowFabric(slow_links={"nic 1.2": share})).step_time_s for share in (0.1, 0.4, 0.8, 1.0)]
    assert all(a >= b * (1 - 1e-9) for a, b in pairwise(slow)), slow


def test_longer_sequences_and_slower_nics_take_longer() -> None:
    fabric = FlowFabric(topology="fat_tree", nodes_per_leaf=1, oversubscription=4)
    model, cluster, strategy = LAYOUTS["fsdp"]
    by_length = [
        dts.simulate(model, cluster, strategy, seq_len=n, network=fabric).step_time_s for n in (1024, 2048, 4096)
    ]
    node = dts.Node.from_catalog("dgx-h100")
    by_rate = [
        dts.simulate(
            model, dts.Cluster(node.replace(nic_Bps=rate), 2), strategy, seq_len=SEQ, network=fabric
        ).step_time_s
        for rate in ("400 Gb/s", "200 Gb/s", "100 Gb/s")
    ]
    assert by_length == sorted(by_length)
    assert by_rate == sorted(by_rate)


@pytest.mark.parametrize("layout", ["fsdp", "pipeline", "experts"])
def test_symmetric_jobs_load_links_symmetrically(layout: str) -> None:
    links = links_of(run(layout, link_intervals=16))
    ports = np.array([name.startswith("port") for name in links.names])
    busy = links.bytes[ports & np.array([name.endswith("out") for name in links.names])]
    assert np.allclose(busy, links.bytes[ports & np.array([name.endswith("in") for name in links.names])])
    if layout == "fsdp":
        assert np.ptp(busy) < 1e-6 * busy.max()
        nics = np.array([name.startswith("nic") for name in links.names])
        assert np.ptp(links.bytes[nics]) < 1e-6 * links.bytes[nics].max()
        assert np.allclose(links.shares[nics], links.shares[nics][0])


def test_permuted_replicas_change_nothing() -> None:
    """Swapping whole data-parallel replicas, node by node, leaves every group as it lies."""
    layout = (DENSE, "4xdgx-h100", Strategy(tp=8, zero=1, global_batch=32))
    swapped = [*range(8, 16), *range(8), *range(16, 32)]
    assert run(layout, placement=swapped).step_time_s == run(layout).step_time_s
    scattered = [8 * (rank % 4) + rank // 4 for rank in range(32)]  # tensor parallelism across nodes
    assert run(layout, placement=scattered).step_time_s > 1.5 * run(layout).step_time_s
    assert run(layout, None, placement=scattered).step_time_s > 1.5 * run(layout, None).step_time_s


def test_placements_that_are_none_are_named() -> None:
    with pytest.raises(ConfigError, match=r"placement\[1\]: got 0, expected each device once"):
        run("fsdp", placement=[0, 0, *range(2, 16)])
    with pytest.raises(ConfigError, match="one per rank"):
        run("fsdp", placement=[0, 1])
    with pytest.raises(ConfigError, match="a device number"):
        run("fsdp", placement=["0"] * 16)


def test_bytes_are_conserved() -> None:
    """What pairs exchange over NICs is what NICs carry, out and in, and what the uplinks do."""
    result = run("experts", FlowFabric(topology="fat_tree", nodes_per_leaf=1), link_intervals=4)
    links = links_of(result)
    src, dst, moved = links.pair_bytes.T
    far = moved[src // 8 != dst // 8].sum()
    by = {kind: links.bytes[[name.startswith(kind[0]) and name.endswith(kind[1]) for name in links.names]].sum()
          for kind in (("nic", "up"), ("nic", "down"), ("leaf", "up"), ("leaf", "down"), ("port", "out"))}  # fmt: skip
    for kind in (("nic", "up"), ("nic", "down"), ("leaf", "up"), ("leaf", "down")):
        assert by[kind] == pytest.approx(far, rel=1e-9), kind
    assert by[("port", "out")] == pytest.approx(moved.sum() - far, rel=1e-9)
    matrix = links.traffic_matrix()
    assert matrix.sum() == pytest.approx(moved.sum())
    assert not matrix.diagonal().any()


def test_no_link_carries_more_than_it_has() -> None:
    for fabric in (
        FlowFabric(topology="fat_tree", nodes_per_leaf=1, spines=2, oversubscription=4, routing="ecmp"),
        FlowFabric(),
    ):
        shares = links_of(run("experts", fabric, link_intervals=64)).shares
        assert shares.max() <= 1 + 1e-9
        assert shares.min() >= 0


def test_dead_spines_are_gone_round() -> None:
    fabric = {"topology": "fat_tree", "nodes_per_leaf": 1, "spines": 2}
    plain = run("fsdp", FlowFabric(**fabric), link_intervals=4)  # type: ignore[arg-type]
    dead = run("fsdp", FlowFabric(**fabric, dead_links=["leaf 0 - spine 1"]), link_intervals=4)  # type: ignore[arg-type]
    links = links_of(dead)
    assert links.bytes[links.index("leaf 0 - spine 1 up")] == 0
    assert links.bytes[links.index("leaf 0 - spine 0 up")] > links_of(plain).bytes[links.index("leaf 0 - spine 0 up")]
    assert dead.step_time_s > plain.step_time_s
    with pytest.raises(InfeasibleError, match=r"nic 0\.3 up is dead.*from rank 3"):
        run("fsdp", FlowFabric(dead_links=["nic 0.3"]))
    with pytest.raises(InfeasibleError, match="every path from leaf 0 to leaf 1"):
        run("fsdp", FlowFabric(**fabric, dead_links=["leaf 0 - spine 1", "leaf 1 - spine 0"]))  # type: ignore[arg-type]


def test_links_that_change_during_the_step() -> None:
    """A cable that dies later costs less; one that never worked, most; a change after the end, nothing."""
    fabric = {"topology": "fat_tree", "nodes_per_leaf": 1, "spines": 2}
    whole = run("fsdp", FlowFabric(**fabric)).step_time_s  # type: ignore[arg-type]
    dead = run("fsdp", FlowFabric(**fabric, dead_links=["leaf 0 - spine 1"])).step_time_s  # type: ignore[arg-type]

    def dies(at: float) -> float:
        changes = [LinkChange("leaf 0 - spine 1", 0, at)]
        return run("fsdp", FlowFabric(**fabric, changes=changes)).step_time_s  # type: ignore[arg-type]

    assert whole < dies(0.5 * whole) < dead
    assert dies(10 * whole) == pytest.approx(whole, rel=1e-12)
    assert dies(1e-9) == pytest.approx(dead, rel=1e-6)
    comes_back = [LinkChange("nic 0.0", 0.5, 0.2 * whole), LinkChange("nic 0.0", 1, 0.4 * whole)]
    slow = run("fsdp", FlowFabric(**fabric, slow_links={"nic 0.0": 0.5})).step_time_s  # type: ignore[arg-type]
    assert whole < run("fsdp", FlowFabric(**fabric, changes=comes_back)).step_time_s < slow  # type: ignore[arg-type]


def test_other_jobs_take_their_part() -> None:
    plain = run("fsdp").step_time_s
    times = [
        run("fsdp", FlowFabric(background=[(0, 8, rate)])).step_time_s for rate in ("5 GB/s", "20 GB/s", "50 GB/s")
    ]
    assert plain < times[0] < times[1] < times[2]
    assert run("fsdp", FlowFabric(background=[(0, 1, "1 GB/s")])).step_time_s == plain  # inside the node, room enough


def test_pass_collectives_that_meet_others_are_charged() -> None:
    """Expert exchanges across nodes beside another job's traffic on the same NICs."""
    layout = (EXPERTS, "2xdgx-h100", Strategy(ep=8, tp=2, etp=2, zero=1, global_batch=32))
    busy = [(device, device + 8, "40 GB/s") for device in range(8)]
    plain, slowed = run(layout), run(layout, FlowFabric(background=busy))
    assert slowed.breakdown["contention_s"] > 0.01 * slowed.step_time_s
    assert plain.breakdown["contention_s"] == 0
    assert sum(slowed.breakdown.values()) == pytest.approx(slowed.step_time_s, rel=1e-9)


def test_stragglers_and_shared_links_together() -> None:
    slow = dts.Stragglers(ranks=(3,), factors=(1.5,))
    fabric = FlowFabric(topology="fat_tree", nodes_per_leaf=1, oversubscription=4)
    both, links, ranks = run("fsdp", fabric, stragglers=slow), run("fsdp", fabric), run("fsdp", None, stragglers=slow)
    assert both.step_time_s >= max(links.step_time_s, ranks.step_time_s)
    spread = dts.step_distribution(
        *LAYOUTS["fsdp"], stragglers=dts.Stragglers.lognormal(0.05), steps=4, seq_len=SEQ, network=fabric, threads=2
    )
    assert spread.step_times_s.min() > links.step_time_s


def test_compute_slowed_by_collectives_works_as_without_links() -> None:
    """Frameworks whose profile has interference: alone on the links, the same slowdowns."""
    for framework in ("megatron-core", "torchtitan"):
        profile = dts.FrameworkProfile.from_catalog(framework)
        assert profile.interference
        for on in (True, False):
            chosen = profile.replace(interference=on)
            fixed, shared = (
                dts.simulate(*LAYOUTS["fsdp"], seq_len=SEQ, framework=chosen, network=network)
                for network in (None, FlowFabric(oversubscription=0.01))
            )
            assert shared.step_time_s == pytest.approx(fixed.step_time_s, rel=1e-9)
            assert (fixed.breakdown["interference_s"] > 0) == on


def test_same_input_same_output_and_pickled() -> None:
    fabric = FlowFabric(topology="fat_tree", nodes_per_leaf=1, spines=4, oversubscription=2, routing="ecmp", seed=5)
    first, second = (run("experts", fabric, link_intervals=10) for _ in range(2))
    assert first.step_time_s == second.step_time_s
    again = pickle.loads(pickle.dumps(first))
    assert again.step_time_s == first.step_time_s
    assert np.array_equal(links_of(again).shares, links_of(first).shares)
    assert pickle.loads(pickle.dumps(fabric)) == fabric


def test_seeds_of_ecmp_differ() -> None:
    fabrics = [
        FlowFabric(topology="fat_tree", nodes_per_leaf=1, spines=8, routing="ecmp", seed=seed) for seed in range(6)
    ]
    times = {run("fsdp", fabric).step_time_s for fabric in fabrics}
    assert len(times) > 1
    assert min(times) >= run("fsdp", None).step_time_s


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"routing": "fastest"}, "did you mean shortest"),
        ({"topology": "ring"}, "fat_tree or rail_optimized"),
        ({"oversubscription": 0}, "oversubscription"),
        ({"spines": -1}, "spines"),
        ({"slow_links": {"nic 0.0": 0}}, "dead_links"),
        ({"background": [(0, "8", "1 GB/s")]}, "background"),
        ({"changes": ["nic 0.0"]}, "LinkChange"),
    ],
)
def test_bad_fabrics_are_refused_at_once(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        FlowFabric(**options)


def test_what_a_fabric_does_not_know_is_named() -> None:
    with pytest.raises(ConfigError) as error:
        run("fsdp", FlowFabric(dead_links=["nic 7.0", "leaf 9 - spine 0", "wire"]))
    assert all(name in str(error.value) for name in ("nic 7.0", "leaf 9", "wire", "nodes 0 to 1"))
    with pytest.raises(ConfigError, match="equal nodes"):
        dts.simulate(
            DENSE, dts.Cluster.from_catalog("2xdgx-h100").with_slow_links(0, nic=0.5), seq_len=SEQ, network="flow"
        )
    with pytest.raises(ConfigError, match="link_intervals"):
        run("fsdp", None, link_intervals=5)
    with pytest.raises(ConfigError, match="'flow', a FlowFabric"):
        run("fsdp", "flows")
    with pytest.raises(ConfigError, match="two different ranks from 0 to 15"):
        run("fsdp", FlowFabric(background=[(0, 99, "1 GB/s")]))
    with pytest.raises(ConfigError, match="form a dragonfly"):
        dts.simulate(
            DENSE,
            dts.Cluster(dts.Node.from_catalog("dgx-h100").replace(topology="dragonfly"), 2),
            seq_len=SEQ,
            network="flow",
        )


def test_report_names_tiers_and_busiest_links() -> None:
    model, cluster, strategy = LAYOUTS["pipeline"]
    report = dts.network(
        model, cluster, strategy, seq_len=SEQ, fabric=FlowFabric(slow_links={"nic 1.2": 0.1}), intervals=20, top=3
    )
    assert [tier.tier for tier in report.tiers] == ["scale-up", "NIC", "leaf - spine"]
    assert len(report.busiest) == 3
    assert report.slowdown > 0
    plain = report.to_dict()
    assert len(plain["links"]) == len(report.links.names)
    assert sum(link["bytes"] for link in plain["links"]) == pytest.approx(report.links.bytes.sum())


def test_steps_too_large_are_refused_with_what_helps() -> None:
    layout = (DENSE, "2048xdgx-h100", Strategy(tp=8, pp=16, vpp=2, zero=1, global_batch=128 * 1024))
    with pytest.raises(InfeasibleError, match=r"task instances.*fewer micro-batches"):
        run(layout)


def test_a_nic_that_dies_during_the_step_names_who_is_cut_off() -> None:
    with pytest.raises(InfeasibleError, match=r"nic 0\.3 .* is dead.*rank"):
        run("fsdp", FlowFabric(changes=[LinkChange("nic 0.3", 0, "50 ms")]))
