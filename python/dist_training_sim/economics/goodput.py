"""Goodput: the share of a run's time that ends in the final model, under failures and checkpoints."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import InfeasibleError

__all__ = ["Goodput", "best_interval_s", "useful_share"]


@dataclass(frozen=True)
class Goodput:
    """Failures, checkpoints and restarts of a run.

    Attributes
    ----------
    mtbf_s
        Mean time between failures of the whole job.
    checkpoint_bytes, checkpoint_s
        Size of one checkpoint, and the time that training stands still for it.
    interval_s
        Training between two checkpoints.
    restart_s
        From a failure until training goes on: detection, replacement, loading.
    share
        Useful time over all time.
    """

    mtbf_s: float
    checkpoint_bytes: float
    checkpoint_s: float
    interval_s: float
    restart_s: float
    share: float


def best_interval_s(checkpoint_s: float, mtbf_s: float) -> float:
    """Training between checkpoints that loses least.

    Daly 2006 (doi:10.1016/j.future.2004.11.016), equation 37: the perturbation solution, Young's sqrt(2 C M) to first
    order; for checkpoints longer than twice the time between failures, that time.
    """
    if checkpoint_s >= 2 * mtbf_s:
        return mtbf_s
    x = checkpoint_s / (2 * mtbf_s)
    return max(math.sqrt(2 * checkpoint_s * mtbf_s) * (1 + math.sqrt(x) / 3 + x / 9) - checkpoint_s, 0.0)


def useful_share(interval_s: float, checkpoint_s: float, restart_s: float, mtbf_s: float) -> float:
    """Useful over all time with exponential failures, Daly 2006, equation 20.

    All time per useful second is M exp(R/M) (exp((t + C)/M) - 1) / t: work since the last checkpoint is done again,
    and failures strike during checkpoints and restarts too.

    Raises
    ------
    InfeasibleError
        If less than one part in a thousand remains: such a run does not end.
    """
    exponent = (restart_s + interval_s + checkpoint_s) / mtbf_s
    share = 0.0
    if exponent < 50:
        lost = mtbf_s * math.exp(restart_s / mtbf_s) * math.expm1((interval_s + checkpoint_s) / mtbf_s)
        share = interval_s / lost
    if share < 1e-3:
        raise InfeasibleError(
            f"goodput: a failure every {mtbf_s:.4g} s leaves no time between restarts of {restart_s:.4g} s and "
            f"checkpoints of {checkpoint_s:.4g} s; use fewer devices, shorter restarts or faster checkpoints"
        )
    return share
