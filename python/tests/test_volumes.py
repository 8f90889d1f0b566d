"""Bytes that every parallel axis sends, against formulas written down by hand; and how much of its time is exposed."""

from __future__ import annotations

from typing import Any

import dist_training_sim as dts
import numpy as np
import pytest
from dist_training_sim.errors import ConfigError
from hypothesis import assume, given, settings
from uneven_jobs import DENSE, SEQ_LEN, layouts, traffic

# Ring all-reduce, no in-network reduction: a member sends 2 (n-1)/n of the buffer, of a gather or scatter (n-1)/n.
A100 = dts.Node.from_catalog("dgx-a100")
LLAMA = dts.Model.from_catalog("llama-3.1-8b")
LAYERS, HIDDEN, KV, SEQ = 32, 4096, 1024, 2048
STREAM = SEQ * HIDDEN * 2  # the residual stream of one sample, 2 bytes an element
LOSS = 3 * SEQ * 4  # three fp32 scalars a token: maximum, target logit, sum (Megatron-LM, vocab-parallel cross entropy)
MICRO_BATCHES = 3


def nodes(ranks: int, per_node: int = 8) -> dts.Cluster:
    per_node = min(ranks, per_node)
    return dts.Cluster(A100.replace(devices=per_node), ranks // per_node)


def sent(model: dts.Model, ranks: int, strategy: dts.Strategy, **options: Any) -> np.ndarray[Any, Any]:
    """Bytes that each rank sends in a step; what is sent is received."""
    matrix = traffic(model, nodes(ranks), strategy, seq_len=SEQ, **options)
    assert matrix.sum(0).sum() == pytest.approx(matrix.sum(1).sum())
    assert not matrix.diagonal().any()
    by_rank: np.ndarray[Any, Any] = matrix.sum(1)
    return by_rank


def only(value: float, ranks: int) -> Any:
    return pytest.approx(np.full(ranks, value), rel=1e-12)


@pytest.mark.parametrize("tp", [2, 4, 8])
def test_tensor_parallel(tp: int) -> None:
    # Per layer: the row matmuls reduce forward, the column matmuls backward, twice each. Embedding forward, head
    # backward.
    strategy = dts.Strategy(tp=tp, sequence_parallel=False, global_batch=MICRO_BATCHES)
    ring = 2 * (tp - 1) / tp
    assert sent(LLAMA, tp, strategy) == only(MICRO_BATCHES * ring * (4 * LAYERS * STREAM + 2 * STREAM + LOSS), tp)


@pytest.mark.parametrize("tp", [2, 4, 8])
def test_sequence_parallel(tp: int) -> None:
    # Per layer: two gathers and two scatters forward; backward two of each, and both inputs gathered again for weights.
    # Ends: the embedding scatters, its gradient is gathered; the head gathers twice and scatters its input gradient.
    strategy = dts.Strategy(tp=tp, sequence_parallel=True, global_batch=MICRO_BATCHES)
    share = (tp - 1) / tp
    streams = (4 + 6) * LAYERS + 2 + 3
    assert sent(LLAMA, tp, strategy) == only(MICRO_BATCHES * share * (streams * STREAM + 2 * LOSS), tp)


def gradient_bytes(ranks: int) -> float:
    """All-reduce of every gradient in fp32."""
    return 2 * (ranks - 1) / ranks * LLAMA.parameters * 4


@pytest.mark.parametrize("cp", [2, 4])
def test_context_parallel_ring(cp: int) -> None:
    # Keys and values of a rank's share go around in cp - 1 steps; backward starts with those that forward ended with,
    # so cp - 1 steps of them and of their gradients bring those home (Transformer Engine, context_parallel.py).
    strategy = dts.Strategy(cp=cp, global_batch=MICRO_BATCHES)
    keys_values = 2 * SEQ / cp * KV * 2
    steps = (cp - 1) + 2 * (cp - 1)
    assert sent(LLAMA, cp, strategy) == only(MICRO_BATCHES * LAYERS * steps * keys_values + gradient_bytes(cp), cp)


@pytest.mark.parametrize("cp", [2, 4])
def test_context_parallel_exchange(cp: int) -> None:
    # Ulysses: queries, keys, values and the output change between heads and sequence; all of it again backward.
    strategy = dts.Strategy(cp=cp, cp_comm="a2a", global_batch=MICRO_BATCHES)
    exchanged = SEQ / cp * (HIDDEN + 2 * KV + HIDDEN) * 2
    volume = MICRO_BATCHES * LAYERS * 2 * (cp - 1) / cp * exchanged
    assert sent(LLAMA, cp, strategy) == only(volume + gradient_bytes(cp), cp)


@pytest.mark.parametrize("dp", [2, 8])
@pytest.mark.parametrize("zero", [0, 1, 2, 3])
def test_data_parallel(dp: int, zero: int) -> None:
    parameters, share = LLAMA.parameters, (dp - 1) / dp
    strategy = dts.Strategy(dp=dp, zero=zero, global_batch=dp * MICRO_BATCHES, overlap_param_gather=True)
    last = _head_parameters()
    volume = {
        0: 2 * share * 4 * parameters,
        1: share * (4 + 2) * parameters,
        2: share * (4 * MICRO_BATCHES + 2) * parameters,
        # Gathered for forward and backward of every micro-batch, but the last unit, which is still there, once.
        3: share * (4 * reductions(strategy) * parameters + 2 * MICRO_BATCHES * (2 * parameters - last)),
    }[zero]
    assert sent(LLAMA, dp, strategy) == only(volume, dp)


def reductions(strategy: dts.Strategy) -> int:
    """Of gradients per step under ZeRO-3."""
    every = dts.FrameworkProfile.from_catalog("megatron-core").fsdp_reduce_every_micro_batch
    return MICRO_BATCHES if every else 1


def _head_parameters() -> float:
    return 128256 * HIDDEN + HIDDEN  # output matrix and final norm


@pytest.mark.parametrize(("pp", "vpp"), [(2, 1), (4, 1), (4, 2)])
def test_pipeline(pp: int, vpp: int) -> None:
    matrix = traffic(LLAMA, nodes(pp), dts.Strategy(pp=pp, vpp=vpp, global_batch=2 * pp), seq_len=SEQ)
    expected = np.zeros((pp, pp))
    for stage in range(pp * vpp - 1):  # activations on, gradients back
        here, there = stage % pp, (stage + 1) % pp
        expected[here, there] += 2 * pp * STREAM
        expected[there, here] += 2 * pp * STREAM
    assert matrix == pytest.approx(expected)


@pytest.mark.parametrize("ep", [2, 4, 8])
def test_expert_parallel(ep: int) -> None:
    # Mixtral: 2 of 8 experts a token. Dispatch and combine forward, both again backward; gradients of the shared part
    # over all ranks, of the experts over none (edp = 1).
    model = dts.Model.from_catalog("mixtral-8x7b")
    strategy = dts.Strategy(dp=ep, ep=ep, moe_dispatcher="alltoall", global_batch=ep * MICRO_BATCHES)
    rows = SEQ * 2 * 4096 * 2
    experts = 32 * 8 * 3 * 4096 * 14336
    dense = 2 * (ep - 1) / ep * (model.parameters - experts) * 4
    assert sent(model, ep, strategy) == only(MICRO_BATCHES * 32 * 4 * (ep - 1) / ep * rows + dense, ep)


def overlaps(events: Any, rank: int, tasks: Any) -> tuple[float, float]:
    """Seconds of some tasks, and those during which the rank computes; straight from the events."""
    c = events.columns
    busy = (c["stream"] == 0) & (c["rank"] == rank)
    total = overlapped = 0.0
    for start, end in zip(c["start_s"][tasks], c["end_s"][tasks], strict=True):
        total += end - start
        shared = np.minimum(c["end_s"][busy], end) - np.maximum(c["start_s"][busy], start)
        overlapped += shared[shared > 0].sum()
    return total, overlapped


@settings(max_examples=40, deadline=None)
@given(layouts())
def test_exposed_and_overlapped_are_all_there_is(job: Any) -> None:
    model, cluster, strategy = job
    try:
        found = dts.simulate(model, cluster, strategy, seq_len=SEQ_LEN)
    except ConfigError:
        assume(False)
    for times in (*found.stage_communication, found.communication):
        for axis in times.values():
            assert axis["exposed_s"] + axis["overlapped_s"] == pytest.approx(axis["total_s"], abs=1e-15)
            assert -1e-12 <= axis["exposed_s"] <= axis["total_s"] * (1 + 1e-9)
            assert axis["overlapped_s"] >= -1e-12
    if strategy.vpp > 1 or strategy.schedule != dts.Schedule("1f1b"):
        return
    c = found.events.columns
    for rank, stage in enumerate(found.stage_communication):
        reductions = (c["stream"] == 1) & (c["rank"] == rank)
        arriving = ((c["stream"] == 2) & (c["rank"] == rank - 1)) | ((c["stream"] == 3) & (c["rank"] == rank + 1))
        for name, tasks in (("dp", reductions), ("pp", arriving)):
            total, overlapped = overlaps(found.events, rank, tasks)
            assert stage[name]["total_s"] == pytest.approx(total, rel=1e-9, abs=1e-12)
            assert stage[name]["overlapped_s"] == pytest.approx(overlapped, rel=1e-6, abs=1e-9)


def test_inside_passes_the_breakdown_and_the_totals_agree() -> None:
    strategy = dts.Strategy(tp=2, cp=2, global_batch=4)
    found = dts.simulate(DENSE, "1xdgx-h100", strategy, seq_len=SEQ_LEN)
    for axis in ("tp", "cp"):
        assert found.communication[axis]["exposed_s"] == pytest.approx(found.breakdown[f"exposed_{axis}_s"])
        assert found.communication[axis]["total_s"] > 0
