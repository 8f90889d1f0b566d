"""What ops keep for backward against real PyTorch: saved-tensor hooks on tiny layers, tensor by tensor.

Storages are counted once, parameters and rotary tables left out. The kernels are those that the ledger describes: flash
attention of `scaled_dot_product_attention`, byte masks of `native_dropout`, norms as `torch.nn.functional` has them
(RMSNorm on the CPU is the eager form that keeps two fp32 copies).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from dist_training_sim import _core
from dist_training_sim._convert import core_of
from dist_training_sim.models import Block, transformer
from dist_training_sim.models.parts import RMS, Attention, Experts, LatentAttention, Mlp

torch = pytest.importorskip("torch", reason="needs PyTorch: .ci/torch_saved_tensors.sh installs a CPU build")
functional = torch.nn.functional

BATCH, SEQ, HIDDEN, HEADS, FFN = 2, 8, 64, 4, 96
TOKENS = BATCH * SEQ
BF16 = torch.bfloat16


CONSTANTS: list[Any] = []  # parameters and tables, kept alive so that their addresses stay theirs


def weight(*shape: int) -> Any:
    CONSTANTS.append(torch.nn.Parameter(torch.randn(*shape, dtype=torch.float32).to(BF16) / 8))
    return CONSTANTS[-1]


def address(tensor: Any) -> int:
    return int(tensor.untyped_storage().data_ptr())


def saved_by_torch(run: Callable[[Any], Any]) -> Counter[int]:
    """Bytes of each storage that autograd keeps, parameters and constants left out."""
    storages: dict[int, int] = {}
    held: list[Any] = []  # a storage freed meanwhile must not lend its address to another

    def pack(tensor: Any) -> Any:
        held.append(tensor)
        storages[address(tensor)] = tensor.untyped_storage().nbytes()
        return tensor

    hidden = torch.randn(BATCH, SEQ, HIDDEN, dtype=torch.float32).to(BF16).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = run(hidden)
    out.sum().backward()
    constants = {address(tensor) for tensor in CONSTANTS}
    return Counter(size for place, size in storages.items() if place not in constants)


def saved_by_ledger(block: Block, *, flash: bool = True, eager_norm: bool = True) -> dict[str, float]:
    listed = _core.saved_tensors(core_of(block), SEQ, flash, eager_norm=eager_norm, eager_gate=True)
    kept = {f"{op} {tensor}": bytes_ * TOKENS for op, tensor, bytes_ in listed}
    if flash and "attention q" in kept:  # the CPU's kernel writes head by head: the projection reads a copy
        kept["attention output copy"] = kept["attention q"]
    return kept


def linear(x: Any, features: int) -> Any:
    return functional.linear(x, weight(features, x.shape[-1]))


def rms_norm(x: Any) -> Any:
    return functional.rms_norm(x, x.shape[-1:], weight(x.shape[-1]))


def rotated(x: Any) -> Any:
    """Rotary embedding by complex multiplication keeps only its table."""
    table = torch.polar(torch.ones(x.shape[-2], x.shape[-1] // 2), torch.ones(x.shape[-2], x.shape[-1] // 2))
    CONSTANTS.append(table)
    pairs = torch.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * table).flatten(-2).to(BF16)


def heads_of(x: Any, heads: int) -> Any:
    return x.unflatten(-1, (heads, -1)).transpose(1, 2).contiguous()  # the packed projection dies


def flash(q: Any, k: Any, v: Any) -> Any:
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.FLASH_ATTENTION):
        out = functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=q.shape[1] != k.shape[1])
    return out.transpose(1, 2).flatten(-2)


def attention(x: Any, kv_heads: int, dim: int = 16) -> Any:
    q, k, v = linear(x, (HEADS + 2 * kv_heads) * dim).split([HEADS * dim, kv_heads * dim, kv_heads * dim], -1)
    out = flash(rotated(heads_of(q, HEADS)), rotated(heads_of(k, kv_heads)), heads_of(v, kv_heads))
    return linear(out, HIDDEN)


def swiglu(x: Any, features: int) -> Any:
    gate, up = linear(x, 2 * features).chunk(2, -1)
    return functional.silu(gate) * up


def llama_layer(kv_heads: int) -> Callable[[Any], Any]:
    def run(x: Any) -> Any:
        x = x + attention(rms_norm(x), kv_heads)
        return x + linear(swiglu(rms_norm(x), FFN), HIDDEN)

    return run


def agree(measured: Counter[int], ledger: dict[str, float]) -> None:
    """Tensor by tensor: the same sizes, equally often. Statistics of a norm are one entry of the ledger."""
    expected = Counter(int(size) for size in ledger.values())
    assert measured == expected, (measured - expected, expected - measured, ledger)


@pytest.mark.parametrize("kv_heads", [HEADS, 2, 1])
def test_llama_layer_with_grouped_queries(kv_heads: int) -> None:
    block = transformer.llama_block(HIDDEN, HEADS, kv_heads, FFN)
    agree(saved_by_torch(llama_layer(kv_heads)), saved_by_ledger(block))


def gpt_layer(x: Any) -> Any:
    """LayerNorm, unfused attention with dropout, GELU, hidden dropout."""

    def layer_norm(y: Any) -> Any:
        return functional.layer_norm(y, (HIDDEN,), weight(HIDDEN), weight(HIDDEN))

    def dropped(y: Any) -> Any:
        return torch.native_dropout(y, 0.1, True)[0]

    q, k, v = (heads_of(part, HEADS) for part in linear(layer_norm(x), 3 * HIDDEN).chunk(3, -1))
    scores = torch.softmax(q @ k.transpose(-1, -2) * 0.25, -1)
    x = x + dropped(linear((dropped(scores) @ v).transpose(1, 2).flatten(-2), HIDDEN))
    return x + dropped(linear(functional.gelu(linear(layer_norm(x), 4 * HIDDEN)), HIDDEN))


def test_gpt_layer_with_unfused_attention_and_dropout() -> None:
    ledger = saved_by_ledger(transformer.gpt_block(HIDDEN, HEADS), flash=False, eager_norm=False)
    statistics = [name for name in ledger if name.endswith("statistics") and "dropout" not in name]
    assert len(statistics) == 2
    for name in statistics:  # mean and 1/sigma of 4 bytes on a GPU; the CPU's kernel keeps them in the input's type
        assert ledger.pop(name) == 2 * 4 * TOKENS
        ledger |= {f"{name} mean": 2 * TOKENS, f"{name} deviation": 2 * TOKENS}
    agree(saved_by_torch(gpt_layer), ledger)


EXPERTS, TOP_K, WIDTH = 8, 2, 40


def routed_experts(x: Any) -> Any:
    """Rows sorted by expert, one matmul per expert; the routing weight scales the activation, as fused layers do."""
    flat = x.flatten(0, 1)
    logits = functional.linear(flat, weight(EXPERTS, HIDDEN)).float()
    chosen = torch.topk(torch.softmax(logits.detach(), -1), TOP_K).indices
    order = chosen.flatten().argsort()
    rows = flat.repeat_interleave(TOP_K, 0)[order]
    up, down = weight(EXPERTS, 2 * WIDTH, HIDDEN), weight(EXPERTS, HIDDEN, WIDTH)
    counts = torch.bincount(chosen.flatten(), minlength=EXPERTS).tolist()
    hidden = torch.cat([functional.linear(part, w) for part, w in zip(rows.split(counts), up, strict=True)])
    gate, linear_part = hidden.chunk(2, -1)
    product = functional.silu(gate) * linear_part
    out = torch.cat([functional.linear(part, w) for part, w in zip(product.split(counts), down, strict=True)])
    return out[order.argsort()].unflatten(0, (TOKENS, TOP_K)).sum(1).view_as(x)


def test_experts_keep_rows_fc1_output_gate_and_product() -> None:
    def run(x: Any) -> Any:
        return x + routed_experts(rms_norm(x))

    block = transformer.mixer_block("moe", HIDDEN, Experts(EXPERTS, TOP_K, WIDTH))
    ledger = saved_by_ledger(block)
    router = ledger.pop("router statistics")  # held against the router's own test below
    assert router == 9 * EXPERTS * TOKENS
    measured = saved_by_torch(run)
    order = TOKENS * TOP_K * 8  # int64 row numbers: 8 bytes a routed row, which the ledger leaves out
    for size in [size for size in measured if size == order]:
        del measured[size]
    agree(measured, ledger)


def test_router_with_auxiliary_loss_keeps_logits_probabilities_and_map() -> None:
    """Softmax of the chosen scores, softmax for the balancing loss, and the byte map of what was chosen."""

    def run(x: Any) -> Any:
        logits = functional.linear(x.flatten(0, 1).detach(), weight(EXPERTS, HIDDEN)).float()
        probabilities, balance = torch.softmax(logits, -1), torch.softmax(logits * 1, -1)
        chosen = torch.zeros(TOKENS, EXPERTS, dtype=torch.bool)
        chosen[:, :TOP_K] = True
        return (torch.where(chosen, probabilities, torch.zeros(()))).sum() + balance.sum() + 0 * x.float().sum()

    measured = saved_by_torch(run)
    per_expert = {4 * EXPERTS * TOKENS: 2, EXPERTS * TOKENS: 1}
    assert {size: measured[size] for size in per_expert} == per_expert


def test_latent_attention() -> None:
    q_rank, kv_rank, nope, rope, v_dim = 48, 40, 16, 8, 16

    def run(x: Any) -> Any:
        y = rms_norm(x)
        q = heads_of(linear(rms_norm(linear(y, q_rank)), HEADS * (nope + rope)), HEADS)
        latent, k_rope = linear(y, kv_rank + rope).split([kv_rank, rope], -1)
        kv = heads_of(linear(rms_norm(latent.contiguous()), HEADS * (nope + v_dim)), HEADS)
        k = torch.cat([kv[..., :nope], rotated(k_rope.unsqueeze(1)).expand(-1, HEADS, -1, -1)], -1)
        q = torch.cat([q[..., :nope], rotated(q[..., nope:])], -1)
        scores = torch.softmax(q @ k.transpose(-1, -2), -1)
        out = (scores @ kv[..., nope:].contiguous()).transpose(1, 2).flatten(-2)
        return x + linear(out, HIDDEN)

    part = LatentAttention(HEADS, q_rank, kv_rank, nope, rope, v_dim)
    agree(saved_by_torch(run), saved_by_ledger(transformer.mixer_block("mla", HIDDEN, part), flash=False))


def test_plain_mlp_and_norm() -> None:
    def run(x: Any) -> Any:
        return x + linear(swiglu(rms_norm(x), FFN), HIDDEN)

    agree(saved_by_torch(run), saved_by_ledger(transformer.mixer_block("mlp", HIDDEN, Mlp(FFN), norm=RMS)))


def test_attention_block_alone() -> None:
    def run(x: Any) -> Any:
        return x + attention(rms_norm(x), 2)

    block = transformer.mixer_block("attention", HIDDEN, Attention(HEADS, 2, 16))
    agree(saved_by_torch(run), saved_by_ledger(block))
