"""Small jobs for tests of ranks that differ: layouts drawn at random, and what the core says of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from dist_training_sim import _core
from dist_training_sim._convert import to_core
from dist_training_sim.hardware import Cluster, Node
from dist_training_sim.models import Model
from dist_training_sim.parallel import Stragglers, Strategy
from dist_training_sim.simulator.job import described_job
from hypothesis import strategies as st

NODE = Node.from_catalog("dgx-h100")
DENSE = Model.from_catalog("llama-3.2-1b")
EXPERTS = Model.from_catalog("mixtral-8x7b")
SEQ_LEN = 512
# schedule: (virtual stages, micro-batches as multiples of pp)
SCHEDULES = {
    "1f1b": ((1, 2), (1, 2, 3)),
    "gpipe": ((1,), (1, 2)),
    "looped_bfs": ((1, 2), (1, 2)),
    "zb_h1": ((1,), (1, 2)),
    "zb_2p": ((1,), (2,)),
    "zb_v": ((2,), (2,)),
    "v_half": ((2,), (1, 2)),
    "dualpipe": ((1,), (2, 4)),
    "dualpipe_v": ((2,), (2,)),
    "hanayo": ((2,), (1,)),
}


def cluster_of(ranks: int, per_node: int) -> Cluster:
    return Cluster(NODE.replace(devices=per_node, nics=per_node), ranks // per_node)


@st.composite
def layouts(draw: Any) -> tuple[Model, Cluster, Strategy]:

    def pick(*values: Any) -> Any:
        return draw(st.sampled_from(values))

    pp = pick(1, 1, 2, 4)
    schedule = pick(*SCHEDULES) if pp > 1 else "1f1b"
    chunks, rounds = SCHEDULES[schedule]
    tp, dp, cp = pick(1, 2), pick(1, 2, 3, 4), pick(1, 1, 2)
    experts = dp % 2 == 0 and pick(False, False, True)
    strategy = Strategy(
        tp=tp, dp=dp, pp=pp, cp=cp, ep=2 if experts else 1, vpp=pick(*chunks) if pp > 1 else 1, schedule=schedule,
        zero=pick(0, 1, 2, 3), global_batch=dp * pp * pick(*rounds), recompute=pick("none", "full"),
        overlap_grad_reduce=pick(True, True, False), overlap_param_gather=pick(True, True, False),
        rank_order=pick("tp-cp-ep-dp-pp", "tp-cp-ep-dp-pp", "tp-cp-pp-ep-dp"),
    )  # fmt: skip
    ranks = tp * dp * pp * cp
    per_node = pick(*(n for n in (1, 2, 4, 8) if ranks % n == 0))
    return EXPERTS if experts else DENSE, cluster_of(ranks, per_node), strategy


def core_result(
    model: Model | str, cluster: Cluster | str, strategy: Strategy, *, seq_len: int = SEQ_LEN,
    stragglers: Stragglers | None = None, framework: Any = "megatron-core", **options: Any,
) -> _core.StepResult:  # fmt: skip
    job = described_job(model, cluster, strategy, seq_len, framework, None, stragglers)
    spec = None if stragglers is None else to_core(stragglers)
    return _core.simulate(**job.core_arguments(), stragglers=spec, **options)


def traffic(*job: Any, **options: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Bytes from rank (row) to rank."""
    return core_result(*job, keep_events=False, keep_traffic=True, **options).traffic_bytes()


def fields(struct: Any) -> dict[str, float]:
    return {name: getattr(struct, name) for name in dir(struct) if name[0] != "_"}
