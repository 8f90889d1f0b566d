"""Blocks, models and the catalogue: counts against published ones, FLOPs and saved bytes against hand formulas."""

from __future__ import annotations

import dataclasses
import doctest
import math
import re
from itertools import pairwise
from pathlib import Path

import pytest
from dist_training_sim.catalog import models as catalog
from dist_training_sim.errors import ConfigError
from dist_training_sim.models import Block, LayerRun, Model, OpKind, Rows, Sharding, layer_runs, ops, transformer
from dist_training_sim.models import model as model_module
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).parents[2]

# --- parameter counts ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", catalog.names())
def test_count_is_the_published_one(name: str) -> None:
    entry, model = catalog.entry(name), Model.from_catalog(name)
    assert abs(model.parameters - entry.parameters_published) <= entry.rounding
    if entry.active_published:
        assert abs(model.active_parameters - entry.active_published) <= entry.active_rounding
    else:
        assert model.active_parameters <= model.parameters


@pytest.mark.parametrize("name", catalog.names())
def test_every_entry_is_sourced_and_rounding_is_small(name: str) -> None:
    entry = catalog.entry(name)
    assert entry.source
    assert entry.rounding <= 0.03 * entry.parameters_published
    assert entry.active_rounding <= 0.03 * max(entry.active_published, 1)


def test_counts_that_are_exact_to_the_unit() -> None:
    # widely printed totals, typed here independently of the catalogue
    printed = {
        "gpt2": 124_439_808,
        "llama-2-70b": 68_976_648_192,
        "llama-3.1-8b": 8_030_261_248,
        "llama-3.1-405b": 405_853_388_800,
        "mixtral-8x7b": 46_702_792_704,
        "deepseek-v3": 671_026_419_200,
        "gpt-oss-120b": 116_829_156_672,
        "qwen3-235b-a22b": 235_093_634_560,
        "bloom-176b": 176_247_271_424,
        "resnet-50": 25_557_032,
        "vit-b-16": 86_567_656,
        "bert-base": 110_106_428,
    }
    assert {name: Model.from_catalog(name).parameters for name in printed} == printed


def test_exact_entries_are_most_of_the_catalogue() -> None:
    exact = [name for name, entry in catalog.entries().items() if entry.rounding == 0]
    assert len(exact) >= 59
    assert len(catalog.names()) == 86


@pytest.mark.parametrize("name", ["megatron-7.5b", "megatron-145.6b", "megatron-1t"])
def test_megatron_count_equals_the_papers_formula(name: str) -> None:
    # Narayanan et al. 2021, eq. 2: 12 l h^2 (1 + 13/(12 h) + (V + s)/(12 l h)); it leaves out the final norm's 2 h
    config = catalog.entry(name).config
    h, layers = config["n_embd"], config["n_layer"]
    formula = 12 * layers * h**2 + 13 * layers * h + (51200 + 2048) * h
    assert Model.from_catalog(name).parameters == formula + 2 * h


def test_head_dim_stated_apart_and_tied_table_counted_once() -> None:
    tied = Model.from_catalog("llama-3.2-1b")
    untied = dataclasses.replace(tied, tied_embeddings=False)
    assert untied.parameters - tied.parameters == 128256 * 2048


def test_deepseek_layers_are_three_dense_then_experts() -> None:
    model = Model.from_catalog("deepseek-v3")
    assert [run.repeat for run in model.layers] == [3, 58]
    moe = model.layers[1].block
    assert moe.op("shared_up").input == "mlp_norm" == moe.op("dispatch").input
    assert moe.op("expert_up").sharding is Sharding.EXPERT_COLUMN
    assert moe.op("expert_up").rows is moe.op("expert_act").rows is Rows.ROUTED
    assert moe.op("attention").qk_head_dim == 192
    assert moe.op("attention").v_head_dim == 128
    # routed experts: 58 layers x 256 x 3 matrices of 7168 x 2048
    experts = sum(run.repeat * op.parameters for run in model.layers for op in run.block.ops if op.experts)
    assert experts == 58 * (256 * 3 * 7168 * 2048 + 256 * (7168 + 1))


def test_sliding_windows_alternate() -> None:
    windows = [run.block.op("attention").window for run in Model.from_catalog("gemma-2-9b").layers]
    assert windows == [4096, 0] * 21
    assert [run.block.op("attention").window for run in Model.from_catalog("gpt-oss-20b").layers] == [128, 0] * 12


# --- FLOPs and sharding --------------------------------------------------------------------------------------------


def forward_flops_per_token(model: Model, seq_len: int) -> float:
    """FLOP of all matmuls and of full (not causally halved) attention, from op dimensions alone."""
    total = 0.0
    runs = [(model.stem, 1), *((run.block, run.repeat) for run in model.layers), (model.head, 1)]
    for block, repeat in runs:
        for op in block.ops:
            if op.kind in (OpKind.MATMUL, OpKind.ROUTER):
                total += repeat * 2 * op.in_features * op.out_features
            elif op.kind is OpKind.GROUPED_MATMUL:
                total += repeat * 2 * op.top_k * op.in_features * op.out_features
            elif op.kind is OpKind.ATTENTION:
                total += repeat * 2 * seq_len * op.heads * (op.qk_head_dim + op.v_head_dim)
    return total


def test_llama_flops_by_hand() -> None:
    # 2 x (all weights - token table - norm gains) + 4 s h per layer
    model = Model.from_catalog("llama-3.1-8b")
    matmul_weights = 8_030_261_248 - 128256 * 4096 - 65 * 4096
    assert forward_flops_per_token(model, 8192) == 2 * matmul_weights + 32 * 4 * 8192 * 4096


def test_gpt_flops_equal_the_papers_formula() -> None:
    # Narayanan et al. 2021, appendix: a layer costs 24 h^2 + 4 s h per token forward, the logits 2 h V
    model = Model.from_catalog("megatron-145.6b")
    h, layers, s, v = 12288, 80, 2048, 51200
    assert forward_flops_per_token(model, s) == 24 * layers * h**2 + 4 * layers * s * h + 2 * h * v


def test_experts_cost_only_their_share() -> None:
    model = Model.from_catalog("mixtral-8x7b")
    matmul_weights = model.active_parameters - 32000 * 4096 - 65 * 4096
    assert forward_flops_per_token(model, 0) == 2 * matmul_weights


def test_resnet_multiply_adds() -> None:
    # torchvision prints 4.09 G multiply-adds for resnet50 at 224
    model = Model.from_catalog("resnet-50")
    macs = 0.0
    for block, repeat in [(model.stem, 1), *((run.block, run.repeat) for run in model.layers), (model.head, 1)]:
        for op in block.ops:
            area = op.kernel_area * op.output_positions if op.kind is OpKind.CONV2D else 1
            macs += repeat * op.in_features * op.out_features * area * (op.kind in (OpKind.CONV2D, OpKind.MATMUL))
    assert macs == pytest.approx(4.09e9, rel=1e-3)


def test_llama_block_sharding() -> None:
    block = transformer.llama_block(4096, 32, 8, 14336)
    assert [(op.name, op.sharding.value) for op in block.ops] == [
        ("attn_norm", "sequence"),
        ("qkv", "column"),
        ("rope", "heads"),
        ("attention", "heads"),
        ("proj", "row"),
        ("attn_add", "sequence"),
        ("mlp_norm", "sequence"),
        ("up", "column"),
        ("act", "heads"),
        ("down", "row"),
        ("mlp_add", "sequence"),
    ]
    head = transformer.language_head(4096, 128256)
    assert [op.sharding.value for op in head.ops] == ["sequence", "column", "heads"]


@pytest.mark.parametrize("name", catalog.names())
def test_tensor_parallel_features_split_and_close(name: str) -> None:
    """A row-sharded matmul must read what a column-sharded one (or heads between) produced."""
    for block in Model.from_catalog(name).blocks():
        before: Sharding | None = None
        for op in block.ops:
            if op.sharding in (Sharding.ROW, Sharding.HEADS):
                assert before in (Sharding.COLUMN, Sharding.HEADS), f"{block.name}.{op.name}"
            if op.sharding is Sharding.EXPERT_ROW:
                assert before is Sharding.EXPERT
            before = op.sharding


def saved_bytes_per_token(block: Block) -> float:
    """Bytes kept for backward at 2 bytes per element, a tensor that two ops read counted once."""
    kept: dict[str, float] = {}
    previous = "block"
    extra = 0.0
    for op in block.ops:
        source = op.input or previous
        if op.saves_input:
            kept[source] = max(kept.get(source, 0), 2 * op.in_features)
        extra += op.saved_bytes_per_row
        previous = op.name
    return sum(kept.values()) + extra


def test_gpt_block_keeps_34_bytes_per_token_and_feature() -> None:
    # Korthikanti et al. 2022, eq. 1: s b h (34 + 5 a s / h); the quadratic part is not kept by fused attention.
    # Statistics are ours: two norms of 8 B and a log-sum-exp of 4 B per head. The paper counts the attention output and
    # the q, k, v it keeps (2 + 6 h), both norm inputs and outputs (8 h), fc1 and GeLU outputs (16 h), two masks (2 h).
    hidden, heads = 12288, 96
    statistics = 2 * 8 + 4 * heads
    assert saved_bytes_per_token(transformer.gpt_block(hidden, heads)) == 34 * hidden + statistics


def test_llama_block_keeps_what_the_tape_says() -> None:
    # norm inputs and outputs 8 h, q k v 2 (q + 2 kv), attention output 2 q, gate/up 4 f and product 2 f
    h, kv, f = 4096, 1024, 14336
    expected = 8 * h + 2 * (h + 2 * kv) + 2 * h + 6 * f + 2 * 4 + 4 * 32
    assert saved_bytes_per_token(transformer.llama_block(h, 32, 8, f)) == expected


# --- own architectures ---------------------------------------------------------------------------------------------


def test_own_architecture_in_twenty_lines() -> None:
    hidden, inner, state, vocabulary = 2048, 4096, 16, 50_000
    block = Block(
        "state-space",
        (
            ops.norm("norm", hidden),
            ops.matmul("in", hidden, 2 * inner, "column"),
            ops.custom("scan", flops_per_row=9 * inner * state, in_features=2 * inner, out_features=inner,
                       parameters=inner * (state + 2), sharding="heads"),
            ops.matmul("out", inner, hidden, "row"),
            ops.residual("add", hidden),
        ),
    )  # fmt: skip
    model = Model(
        name="ssm",
        stem=Block("stem", (ops.embedding("tokens", vocabulary, hidden),)),
        layers=(LayerRun(block, 48),),
        head=transformer.language_head(hidden, vocabulary),
        hidden=hidden,
    )
    layer = hidden + 3 * hidden * inner + inner * (state + 2)
    assert model.parameters == 48 * layer + 2 * vocabulary * hidden + hidden
    assert repr(model) == "Model('ssm', 48 layers, 1.416 B parameters)"


def test_guide_snippets_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    snippets = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs/guide/models.md").read_text(encoding="utf-8"), re.DOTALL
    )
    built = []
    for snippet in snippets:
        scope: dict[str, object] = {}
        exec(snippet, scope)
        built.append(scope.get("model"))
    assert [repr(model) for model in built if model] == [
        "Model('mine', 32 layers, 37.7 B parameters, 6.596 B active)",
        "Model('mlp-lm', 24 layers, 367.6 M parameters)",
    ]


def test_docstring_examples_run() -> None:
    assert doctest.testmod(model_module).failed == 0
    assert doctest.testmod(model_module).attempted > 5


def test_generic_model() -> None:
    model = Model.generic(250e6, 100e6)
    (op,) = model.layers[0].block.ops
    assert model.parameters == 250_000_000
    assert (op.flops_per_row * 16, op.in_features * 16, op.rows) == (5e8, 1e8, Rows.SAMPLES)
    assert Model.generic(1, 0, layers=1).layer_count == 1


@pytest.mark.parametrize(("parameters", "activations"), [(0, 1), (-1, 1), (math.nan, 1), (1, math.inf), (True, 1)])
def test_generic_model_refuses(parameters: float, activations: float) -> None:
    with pytest.raises(ConfigError):
        Model.generic(parameters, activations)


def test_model_lists_every_problem() -> None:
    stem = Block("stem", (ops.norm("n", 8), ops.norm("n", 8)))
    bad = Block("layer", (ops.norm("norm", 8, input="nrm"), ops.matmul("up", 9, 16)))
    with pytest.raises(ConfigError) as error:
        Model(
            name="",
            stem=stem,
            layers=(LayerRun(bad, 0),),
            head=Block("head"),
            hidden=math.nan,
            tied_embeddings=True,
        )
    text = str(error.value)
    for part in ("model.name", "model.hidden", "repeat", "unique", "norm.input", "produces", "tied_embeddings"):
        assert part in text
    assert len(text.splitlines()) == 7


def test_input_must_come_earlier() -> None:
    block = Block("layer", (ops.matmul("first", 8, 8, input="second"), ops.matmul("second", 8, 8)))
    with pytest.raises(ConfigError, match=r"first\.input: got 'second'"):
        Model(name="m", stem=Block("stem"), layers=(LayerRun(block),), head=Block("head"), hidden=8)


@given(st.lists(st.sampled_from("ab"), max_size=20))
def test_layer_runs_conserve_layers(letters: list[str]) -> None:
    runs = layer_runs(Block(letter) for letter in letters)
    assert [run.block.name for run in runs for _ in range(run.repeat)] == letters
    assert all(left.block != right.block for left, right in pairwise(runs))


# --- catalogue -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", ["Llama-3.1-8B", "llama3.1-8b", "LLAMA_3.1_8B"])
def test_catalogue_forgives_case_and_dashes(spelling: str) -> None:
    assert Model.from_catalog(spelling).name == "llama-3.1-8b"


def test_catalogue_suggests() -> None:
    with pytest.raises(ConfigError, match=r"did you mean .*llama-3\.1-8b"):
        Model.from_catalog("llama-3.1-9b")
    with pytest.raises(ConfigError, match="got None"):
        Model.from_catalog(None)  # type: ignore[arg-type]


def test_catalogue_builds_once() -> None:
    assert Model.from_catalog("gpt2") is Model.from_catalog("gpt2")
