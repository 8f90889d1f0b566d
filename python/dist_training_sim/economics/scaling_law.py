"""Tokens that a loss needs, by a published law of loss over parameters and tokens."""

from __future__ import annotations

from ..catalog.cost import law as constants
from ..errors import InfeasibleError
from ..units import format_count

__all__ = ["loss_of", "tokens_for"]


def loss_of(parameters: float, tokens: float, law: str = "hoffmann-2022") -> float:
    """Loss in nats per token: E + A / parameters^alpha + B / tokens^beta (arXiv:2203.15556, equation 10)."""
    c = constants(law)
    return float(c["E"] + c["A"] / parameters ** c["alpha"] + c["B"] / tokens ** c["beta"])


def tokens_for(loss: float, parameters: float, law: str = "hoffmann-2022") -> float:
    """Tokens after which a model of so many parameters reaches a loss.

    Raises
    ------
    InfeasibleError
        If no number of tokens suffices: the loss is at or below what a model of that size tends to.
    """
    c = constants(law)
    floor = c["E"] + c["A"] / parameters ** c["alpha"]
    if loss <= floor:
        raise InfeasibleError(
            f"loss: got {loss:g}, expected more than {floor:.4g}, to which {format_count(parameters)} parameters tend "
            f"with any number of tokens ({law}); take a larger model or a higher loss"
        )
    return float((c["B"] / (loss - floor)) ** (1 / c["beta"]))
