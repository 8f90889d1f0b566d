"""The jobs that are timed, described once so that a benchmark times the work alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dist_training_sim as dts
import numpy as np

LLAMA_70B = dts.Model.from_catalog("llama-3.1-70b")
LLAMA_405B = dts.Model.from_catalog("llama-3.1-405b")
UNEQUAL = dts.Stragglers.lognormal(0.05)  # every rank at a pace of its own
SEQ_LEN = 8192


def cluster(devices: int) -> dts.Cluster:
    """So many H100 in nodes of eight."""
    return dts.Cluster.from_catalog(f"{devices // 8}xdgx-h100")


def step(model: dts.Model, devices: int, strategy: dts.Strategy, **options: Any) -> Callable[[], dts.Result]:
    """A call of `simulate`."""
    hardware = cluster(devices)
    options = {"keep_events": False} | options
    return lambda: dts.simulate(model, hardware, strategy, seq_len=SEQ_LEN, **options)


def large(devices: int = 16384, micro_batches: int = 16) -> dts.Strategy:
    """405B as Meta trained it, on more or fewer replicas: TP 8, PP 16, eight layers a chunk."""
    return dts.Strategy(tp=8, pp=16, vpp=8, zero=1, global_batch=devices // 128 * micro_batches)


def slices(table: dts.StrategyTable, count: int, pieces: int = 16) -> dts.StrategyTable:
    """So many rows in pieces from all over a table, neighbours staying neighbours as in a search."""
    if count >= len(table):
        return table
    long = count // pieces
    starts = np.linspace(0, len(table) - long, pieces).astype(int)
    return table.take((starts[:, None] + np.arange(long)).ravel())
