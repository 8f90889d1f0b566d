"""Threads and processes that use the package at the same time get what one caller gets alone."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import Any

import dist_training_sim as dts
import numpy as np
import pytest
from dist_training_sim.network import Collective, FlowNetwork

THREADS = 8
MODEL, CLUSTER = dts.Model.from_catalog("gpt2"), dts.Cluster.from_catalog("2xdgx-h100")
LAYOUTS = [
    dts.Strategy(tp=tp, pp=pp, zero=zero, global_batch=64)
    for tp, pp, zero in ((1, 1, 0), (2, 1, 1), (1, 2, 1), (2, 2, 2), (1, 1, 3), (4, 1, 0), (1, 4, 1), (4, 4, 1))
]


def facts_of(strategy: dts.Strategy) -> dict[str, Any]:
    return dts.simulate(MODEL, CLUSTER, strategy, seq_len=1024).to_dict()


def together(call: Callable[[int], Any]) -> list[Any]:
    """Results of threads that begin at the same moment."""
    gate = Barrier(THREADS)

    def wait_and_call(index: int) -> Any:
        gate.wait()
        return call(index)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(wait_and_call, range(THREADS)))


def test_threads_share_descriptions() -> None:
    alone = [facts_of(strategy) for strategy in LAYOUTS]
    assert together(lambda i: [facts_of(LAYOUTS[(i + k) % len(LAYOUTS)]) for k in range(len(LAYOUTS))]) == [
        alone[i:] + alone[:i] for i in range(THREADS)
    ]


@pytest.mark.parametrize("method", ["spawn", "fork"] if sys.platform == "linux" else ["spawn"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_processes_take_descriptions_and_give_results(method: str) -> None:
    alone = [facts_of(strategy) for strategy in LAYOUTS]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
        simulated = pool.map(partial(dts.simulate, MODEL, CLUSTER, seq_len=1024), LAYOUTS)
        assert [result.to_dict() for result in simulated] == alone
        done = pool.submit(dts.simulate, MODEL, CLUSTER, LAYOUTS[3], seq_len=1024).result()
    assert list(done.events) == list(dts.simulate(MODEL, CLUSTER, LAYOUTS[3], seq_len=1024).events)


def test_a_process_forked_after_a_search_with_threads_can_search() -> None:
    """Threads of a search end with it: none is missing in a child."""
    script = """
import os
import dist_training_sim as dts
def search():
    return dts.plan("gpt2", "1xdgx-h100", global_batch=64, seq_len=1024, threads=4).best.step_time_s
before = search()
child = os.fork()
if child == 0:
    os._exit(0 if search() == before else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    if sys.platform == "win32":
        pytest.skip("no fork")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "0\n"


def test_the_first_use_may_come_from_many_threads() -> None:
    """Modules, catalogues and constants are loaded on first use; here by all threads at once, in a new process."""
    script = """
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
import sys
sys.setswitchinterval(1e-5)
import dist_training_sim as dts
gate = Barrier(8)
def first(i):
    gate.wait()
    if i % 2:
        return dts.simulate("gpt2", "1xdgx-h100", dts.Strategy(zero=1, global_batch=64), seq_len=1024).step_time_s
    return dts.plan("gpt2", "1xdgx-h100", global_batch=64, seq_len=1024).best.step_time_s
with ThreadPoolExecutor(8) as pool:
    times = list(pool.map(first, range(8)))
assert len(set(times[0::2])) == len(set(times[1::2])) == 1, times
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_threads_search_at_the_same_time() -> None:
    table = dts.StrategySpace(global_batch=64, micro_batch=(1, 2), zero=(0, 1), recompute=("none",)).table(
        MODEL, CLUSTER, seq_len=1024
    )
    alone = dts.evaluate(MODEL, CLUSTER, table, seq_len=1024, threads=1)
    for found in together(lambda i: dts.evaluate(MODEL, CLUSTER, table, seq_len=1024, threads=1 + i % 3)):
        for name, column in alone.columns.items():
            assert np.array_equal(found[name], column, equal_nan=column.dtype.kind == "f"), name


def test_threads_share_one_network() -> None:
    network = FlowNetwork(dts.CommunicationModel(16, dts.Topology.TORUS_2D), routing="ecmp")
    works = [[Collective("all-to-all", 1e6 * (1 + i))] for i in range(THREADS)]
    alone = [network.run(work).time_s for work in works]
    assert together(lambda i: network.run(works[i]).time_s) == alone


def test_threads_share_one_communication_model() -> None:
    comm = dts.CommunicationModel(64, dts.Topology.DRAGONFLY)
    alone = [comm.all_reduce(10.0**i).time_s for i in range(THREADS)]
    assert together(lambda i: comm.all_reduce(10.0**i).time_s) == alone


def test_threads_count_in_one_ledger() -> None:
    memory = dts.MemoryModel(num_devices=THREADS, devices_per_node=THREADS, hbm="1 TB")

    def work(device: int) -> list[int]:
        handles = []
        for step in range(200):
            handles.append(memory.allocate(device, 1000 + step, name=f"{device}.{step}"))
            if step % 2:
                memory.transfer(handles[-1], "cpu")
            if step % 5 == 4:
                memory.free(handles.pop())
        return handles

    held = together(work)
    everything = [handle for handles in held for handle in handles]
    assert len(set(everything)) == len(everything) == THREADS * 160
    assert sorted(everything) == [a.handle for a in memory.allocations()]
    by_device = [memory.usage(device).used_bytes for device in range(THREADS)]
    kept = [1000 + step for step in range(200) if step % 5 != 4]
    assert by_device == [sum(size for size in kept if size % 2 == 0)] * THREADS
    assert memory.usage(0, "cpu").used_bytes == THREADS * sum(size for size in kept if size % 2)


def test_threads_with_simulators_of_their_own() -> None:
    def step(devices: int) -> tuple[float, float]:
        simulator = dts.TrainingSimulator(
            dts.CommunicationModel(devices), dts.ComputeModel(devices), dts.MemoryModel(devices)
        )
        simulator.set_batch_size(32 * devices)
        simulator.set_model_size(parameters=1e8, activations=1e6)
        done = simulator.simulate_training_iteration()
        return done.total_time_ms, sum(map(sum, done.comm_adjacency))

    assert together(lambda i: step(i + 1)) == [step(i + 1) for i in range(THREADS)]
