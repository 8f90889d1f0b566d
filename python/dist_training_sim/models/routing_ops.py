"""Constructors of the ops that route tokens to experts and back."""

from __future__ import annotations

from .op import Op, OpKind, Rows

__all__ = ["combine", "dispatch", "router"]


def router(name: str, features: float, experts: float, top_k: float, *, bias: bool = False) -> Op:
    """Expert scores and top-k per token; keeps fp32 logits, fp32 probabilities and the routing map (9 B per expert)."""
    return Op(
        name=name,
        kind=OpKind.ROUTER,
        in_features=features,
        out_features=experts,
        experts=experts,
        top_k=top_k,
        bias=bias,
        saved_bytes_per_row=9 * experts,
    )


def dispatch(name: str, features: float, experts: float, top_k: float, *, input: str) -> Op:
    """Tokens → experts: permute (read and write each routed copy) and all-to-all; keeps nothing itself."""
    return _exchange(OpKind.DISPATCH, name, features, experts, top_k, input)


def combine(name: str, features: float, experts: float, top_k: float) -> Op:
    """Experts → tokens: all-to-all, un-permute and sum.

    The routing weights are applied in the expert activation (fused path), so no input is kept.
    """
    return _exchange(OpKind.COMBINE, name, features, experts, top_k, "")


def _exchange(kind: OpKind, name: str, features: float, experts: float, top_k: float, input: str) -> Op:
    return Op(
        name=name,
        kind=kind,
        rows=Rows.ROUTED,
        input=input,
        in_features=features,
        out_features=features,
        experts=experts,
        top_k=top_k,
        saves_input=False,
    )
