"""The flow network from Python: laws of sharing, custom schedules, routes, clear errors."""

from __future__ import annotations

import csv
import itertools
import pickle
from pathlib import Path
from typing import Any

import dist_training_sim as dts
import numpy as np
import pytest
from dist_training_sim.network import Collective, Compute, FlowNetwork, Routing, Send, astra_compat
from hypothesis import given, settings
from hypothesis import strategies as st

ASTRA = Path(__file__).parent / "fixtures" / "astra_unaware.csv"
TOPOLOGIES = ["ring", "tree", "switch", "fat_tree", "torus_2d", "dragonfly", "rail_optimized"]


def model_of(topology: str = "switch", nodes: int = 4, **options: Any) -> dts.CommunicationModel:
    return dts.CommunicationModel(nodes, topology, **{"bandwidth": "10 GB/s", "latency": "2 us", **options})


def network_of(topology: str = "switch", nodes: int = 4, **options: Any) -> FlowNetwork:
    return FlowNetwork(model_of(topology, nodes), **options)


# ---- laws ------------------------------------------------------------------------------------------------------------


@given(st.sampled_from(TOPOLOGIES), st.integers(2, 12), st.floats(1, 1e12), st.data())
def test_one_message_takes_the_analytic_time(topology: str, nodes: int, size: float, data: st.DataObject) -> None:
    src, dst = data.draw(st.permutations(range(nodes)))[:2]
    model = model_of(topology, nodes)
    expected = model.send_recv(src, dst, size).time_s
    assert FlowNetwork(model).run([Send(src, dst, size)]).time_s == pytest.approx(expected, rel=1e-12)


sends = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7), st.floats(0, 1e9), st.floats(0, 1e-2)), max_size=30)


@settings(max_examples=50)
@given(st.sampled_from(TOPOLOGIES), st.sampled_from(list(Routing)), sends)
def test_no_port_and_no_message_beats_its_bound(
    topology: str, routing: Routing, given_sends: list[tuple[int, int, float, float]]
) -> None:
    if routing is Routing.RAIL_ALIGNED:
        return
    model = model_of(topology, 8)
    works = [Send(src, dst, size, start=start) for src, dst, size, start in given_sends if src != dst]
    result = FlowNetwork(model, routing=routing, seed=1).run(works)
    for work, timing in zip(works, result.timings, strict=True):
        assert timing.start_s == pytest.approx(work.start, abs=1e-12)  # moments closer than that are one
        assert timing.time_s >= model.send_recv(work.src, work.dst, work.size).time_s * (1 - 1e-9) - 1e-12
    for link, moved in zip(result.links, result.link_bytes, strict=True):
        assert moved <= link.bandwidth_Bps * result.time_s * (1 + 1e-9) + 1e-6
    assert result.traffic_matrix().sum() == pytest.approx(sum(float(w.size) for w in works))


@settings(max_examples=30)
@given(st.lists(st.tuples(st.floats(1, 1e9), st.floats(0, 1e-2)), min_size=1, max_size=8), st.floats(1, 1e9))
def test_where_flows_meet_on_one_link_another_flow_speeds_nobody(
    flows: list[tuple[float, float]], extra: float
) -> None:
    network = network_of(nodes=10)
    works = [Send(i + 1, 0, size, start=start) for i, (size, start) in enumerate(flows)]
    before = network.run(works).end_s
    after = network.run([*works, Send(9, 0, extra)]).end_s[:-1]
    assert np.all(after >= before * (1 - 1e-9))


@settings(max_examples=30)
@given(sends.filter(bool), st.floats(1, 4))
def test_time_scales_with_size_and_bandwidth(flows: list[tuple[int, int, float, float]], factor: float) -> None:
    works = [Send(src, dst, size) for src, dst, size, _ in flows if src != dst]
    larger = [Send(work.src, work.dst, float(work.size) * factor) for work in works]
    thick = FlowNetwork(model_of("torus_2d", 8, latency=0, bandwidth=10e9 * factor))
    thin = FlowNetwork(model_of("torus_2d", 8, latency=0))
    base = thin.run(works).time_s
    assert thin.run(larger).time_s == pytest.approx(base * factor, rel=1e-9)
    assert thick.run(larger).time_s == pytest.approx(base, rel=1e-9)


def test_ranks_that_do_the_same_end_together() -> None:
    result = network_of("torus_2d", 16).run([Send(i, (i + 5) % 16, "10 MB") for i in range(16)])
    shift = result.end_s.reshape(4, 4)
    assert np.ptp(shift[:, 0]) == 0  # the same column is the same place of the torus


def test_groups_on_one_uplink_slow_each_other_and_others_are_left_alone() -> None:
    model = model_of("fat_tree", 8, radix=4, oversubscription=4)
    network = FlowNetwork(model)

    def reduce(name: str, *ranks: int) -> Collective:
        return Collective("all-reduce", "100 MB", ranks, algorithm="ring", name=name)

    alone = network.run([reduce("a", 0, 4)])["a"].time_s
    shared = network.run([reduce("a", 0, 4), reduce("b", 1, 5), reduce("c", 2, 3)])
    assert shared["a"].time_s > 1.9 * alone
    assert shared["c"].time_s < 1.01 * alone  # below the leaf


# ---- custom schedules ------------------------------------------------------------------------------------------------


def ring_sends(n: int, size: float) -> list[Send]:
    """A ring all-reduce as single sends: each waits for the chunk it passes on and for its own last one."""
    works = []
    for step, rank in itertools.product(range(2 * (n - 1)), range(n)):
        after = [f"{step - 1}:{(rank - 1) % n}", f"{step - 1}:{rank}"] if step else []
        works.append(Send(rank, (rank + 1) % n, size / n, name=f"{step}:{rank}", after=after))
    return works


@pytest.mark.parametrize("n", [2, 5, 8])
def test_a_ring_written_out_equals_the_built_in_one(n: int) -> None:
    network = network_of("ring", n)
    built_in = network.run([Collective("all-reduce", 1e8, algorithm="ring")])
    written = network.run(ring_sends(n, 1e8))
    assert written.time_s == pytest.approx(built_in.time_s, rel=1e-9)
    assert written.messages == built_in.messages == 2 * n * (n - 1)
    np.testing.assert_allclose(written.traffic_matrix(), built_in.traffic_matrix())


def test_queues_keep_their_order_and_compute_overlaps() -> None:
    works = [
        Compute(0, "3 ms", queue="gpu"),
        Compute(0, "2 ms", queue="gpu", name="second"),
        Send(0, 1, "10 MB", queue="nic", after=[0]),
        Send(0, 1, "10 MB", queue="nic", start="1 ms"),
        Compute(1, 0, after=["second", 3]),
    ]
    result = network_of().run(works)
    assert [t.start_s for t in result.timings] == pytest.approx([0, 3e-3, 3e-3, 4.002e-3, 5.004e-3])


def test_collectives_take_roots_groups_and_chunks() -> None:
    result = network_of(nodes=6).run(
        [
            Collective("broadcast", "1 MB", [5, 1, 3], root=1, algorithm="direct"),
            Collective("barrier", ranks=[0, 2]),
            Collective("all-gather", "1 MB", [4]),
            Collective("send-recv", "7 MB", [0, 4]),
        ]
    )
    expected = np.zeros((6, 6))
    expected[1, [3, 5]] = 1e6
    expected[0, 4] = 7e6
    np.testing.assert_array_equal(result.traffic_matrix(), expected)
    assert result[2].time_s == 0
    chain = [Collective("broadcast", "8 MB", algorithm="chain", chunks=c) for c in (1, 8)]
    assert network_of().run(chain[1:]).time_s < 0.5 * network_of().run(chain[:1]).time_s


def test_link_utilization_adds_up_to_the_bytes() -> None:
    works = [Send(i, j, f"{i + j} MB") for i in range(4) for j in range(4) if i != j]
    result = network_of().run(works, intervals=16)
    edges_s, shares = result.link_utilization()
    rates = np.array([link.bandwidth_Bps for link in result.links])
    assert edges_s[0] == 0
    assert edges_s[-1] == result.time_s
    assert shares.min() >= 0
    assert shares.max() <= 1 + 1e-9
    np.testing.assert_allclose((shares * np.diff(edges_s)).sum(axis=1) * rates, result.link_bytes, rtol=1e-9)
    with pytest.raises(dts.ConfigError, match="intervals=50"):
        network_of().run(works).link_utilization()


# ---- routes, dead links, other jobs ----------------------------------------------------------------------------------


def test_spines_collide_under_ecmp_and_not_under_adaptive_routing() -> None:
    model = model_of("fat_tree", 16, radix=4, spines=4)
    works = [Send(i, (i + 4) % 16, "100 MB") for i in range(16)]
    free = FlowNetwork(model).run(works).time_s
    assert FlowNetwork(model, routing="adaptive").run(works).time_s == pytest.approx(free)
    hashed = [FlowNetwork(model, routing="ecmp", seed=seed).run(works).time_s for seed in range(8)]
    assert max(hashed) > 1.9 * free
    assert hashed == [FlowNetwork(model, routing="ecmp", seed=seed).run(works).time_s for seed in range(8)]


def test_dead_links_are_gone_round_or_said_to_cut() -> None:
    ring = network_of("ring", 6, dead_links=[(0, 1)])
    assert ring.run([Send(0, 1, "10 MB")]).time_s == pytest.approx(1e-3 + 5 * 2e-6)
    with pytest.raises(dts.InfeasibleError, match="a path from rank 0 to rank 2"):
        network_of("ring", 6, dead_links=[(0, 1), (5, 0)]).run([Send(0, 2, 1)])


def test_background_traffic_slows_what_it_meets() -> None:
    network = network_of(background=[(2, 1, "4 GB/s")])
    result = network.run([Send(0, 1, "6 MB"), Send(0, 3, 0)])
    assert result[0].time_s == pytest.approx(1e-3 + 2e-6)
    assert result.traffic_matrix()[2].sum() == 0


def test_a_changed_link_counts_from_the_moment_of_building() -> None:
    model = model_of("ring")
    before = FlowNetwork(model)
    model.set_link(0, 1, bandwidth="1 GB/s")
    assert before.run([Send(0, 1, "10 MB")]).time_s == pytest.approx(1e-3 + 2e-6)
    assert FlowNetwork(model).run([Send(0, 1, "10 MB")]).time_s == pytest.approx(10e-3 + 2e-6)


# ---- the flow mode of CommunicationModel -----------------------------------------------------------------------------


def test_collectives_of_a_flow_model_need_not_wait_for_the_slowest_of_a_round() -> None:
    options: dict[str, Any] = {"nodes": 4, "devices_per_node": 8, "intra_node_latency": "1 us"}
    rounds = model_of("rail_optimized", **options)
    flow = model_of("rail_optimized", network="flow", **options)
    assert flow.network == "flow"
    ring: dict[str, Any] = {"size": "8 KiB", "algorithm": "ring"}
    assert flow.all_reduce(**ring).time_s < 0.9 * rounds.all_reduce(**ring).time_s
    assert flow.all_reduce("1 MiB", [3]).time_s == 0
    alike = model_of("ring", network="flow").all_reduce("1 GiB", algorithm="ring").time_s
    assert alike == pytest.approx(model_of("ring").all_reduce("1 GiB", algorithm="ring").time_s)
    simulator = dts.TrainingSimulator(flow, dts.ComputeModel(num_devices=32), dts.MemoryModel(num_devices=32))
    simulator.set_batch_size(32)
    simulator.set_model_size(parameters=1e6, activations=1e6)
    with pytest.raises(dts.ConfigError, match="'rounds' for a training simulator"):
        simulator.simulate_training_iteration()
    with pytest.raises(dts.ConfigError, match="'rounds' or 'flow'"):
        model_of(network="packets")


# ---- errors ----------------------------------------------------------------------------------------------------------


def test_every_problem_of_a_list_is_named_at_once() -> None:
    works: list[Any] = [
        Send(0, 4, 1, name="far"),
        Send(1, 1, 1, name="loop"),
        Send(0, 1, -5, name="less"),
        Send(0, 1, 1, name="lost", after=["lop"]),
        Collective("all-reduce", 1, [0, 1, 0], name="twice"),
        Collective("all-redoce", 1, name="typo"),
        Compute(9, "1 ms", name="who"),
    ]
    with pytest.raises(dts.ConfigError) as caught:
        network_of().run(works)
    text = str(caught.value)
    for expected in ("far", "loop", "less", "did you mean loop", "twice", "all_reduce", "who"):
        assert expected in text
    assert len(text.splitlines()) >= 7


def test_only_work_runs() -> None:
    nonsense: list[Any] = [Send(0, 1, 1), "not work"]
    with pytest.raises(dts.ConfigError, match="got a str, expected Sends"):
        network_of().run(nonsense)


def test_a_circle_names_the_stuck_ranks() -> None:
    works = [Send(0, 1, 1, name="a", after=["b"]), Send(2, 3, 1, name="b", after=["a"]), Send(1, 0, 1)]
    with pytest.raises(dts.ConfigError, match=r"ranks 0, 1, 2, 3.*'[ab]' waits for '[ab]' waits for"):
        network_of().run(works)
    with pytest.raises(dts.ConfigError, match="more than once"):
        network_of().run([Send(0, 1, 1, name="x"), Send(0, 1, 1, name="x")])


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"routing": "rail_aligned"}, "has rails"),
        ({"routing": "psychic"}, "psychic"),
        ({"dead_links": [(0, 2)]}, "a link of the topology"),
        ({"dead_links": [(0,)]}, "2 vertex numbers"),
        ({"background": [(0, 0, "1 GB/s")]}, "two different ranks"),
        ({"background": [(0, 1, 0)]}, "finite number > 0"),
        ({"background": [(0, 9, "1 GB/s")]}, "ranks from 0 to 3"),
        ({"seed": -1}, "seed"),
    ],
)
def test_bad_networks_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(dts.ConfigError, match=text):
        network_of("ring", **options)


def test_topologies_that_cannot_be_are_refused() -> None:
    cases: list[tuple[list[Any], str]] = [
        ([(0, 1)], "no way"), ([(0, 0)], "self-link"), ([(0, 1, 0), (1, 2)], "finite number > 0"),
    ]  # fmt: skip
    for links, text in cases:
        with pytest.raises(dts.ConfigError, match=text):
            dts.CommunicationModel(3, "custom", links=links)
    with pytest.raises(dts.ConfigError, match="spines"):
        model_of("ring", spines=2)


def test_networks_and_results_survive_pickling() -> None:
    network = pickle.loads(pickle.dumps(network_of("ring", 6, dead_links=[(0, 1)], background=[(2, 3, "1 GB/s")])))
    result = network.run([Send(0, 1, "10 MB", name="x")])
    again = pickle.loads(pickle.dumps(result))
    assert again["x"] == result["x"]
    assert repr(again) == repr(result)
    with pytest.raises(dts.ConfigError, match="work of the run"):
        again["y"]


# ---- ASTRA-sim -------------------------------------------------------------------------------------------------------


def astra_rows() -> list[dict[str, str]]:
    with ASTRA.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def answered(row: dict[str, str]) -> int:
    columns = {name: row[name].split("x") for name in ("topology", "npus_count", "bandwidth", "latency", "algorithm")}
    return astra_compat(
        row["collective"],
        int(row["bytes"]),
        topology=columns["topology"],
        npus_count=[int(n) for n in columns["npus_count"]],
        bandwidth=[float(b) for b in columns["bandwidth"]],
        latency=[float(t) for t in columns["latency"]],
        algorithm=columns["algorithm"],
        preferred_dataset_splits=int(row["splits"]),
    )


def test_astra_compat_is_within_half_a_percent_of_every_answer() -> None:
    rows = astra_rows()
    errors = [abs(answered(row) / int(row["time_ns"]) - 1) for row in rows]
    assert len(rows) == 156
    assert max(errors) < 0.005


def test_astra_answers_may_lie_below_the_injection_bound() -> None:
    """Why they are no prediction: 64 ranks on a switch, each with one 50 GiB/s port."""
    bound_ns = 63 / 64 * 2**26 / (50 * 2**30) * 1e9
    dims: dict[str, Any] = {"topology": ["Switch"], "npus_count": [64]}
    assert astra_compat("all-to-all", "64 MiB", algorithm=["direct"], **dims) < 0.02 * bound_ns


def test_astra_compat_refuses_what_it_has_no_form_for() -> None:
    with pytest.raises(dts.ConfigError, match="npus_count"):
        astra_compat("all-reduce", 1, topology=["Ring", "Ring"])
    assert astra_compat("all-reduce", "1 MiB", topology=["Ring"], npus_count=[2]) > 0
    with pytest.raises(dts.ConfigError, match=r"npus_count\[0\]: got 1"):
        astra_compat("all-reduce", 1, topology=["Ring"], npus_count=[1])
    with pytest.raises(dts.ConfigError, match="halving-doubling"):
        astra_compat("all-reduce", 1, npus_count=[6], algorithm=["halvingDoubling"])
    with pytest.raises(dts.ConfigError, match="all_to_all"):
        astra_compat("broadcast", 1)
