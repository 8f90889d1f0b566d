"""Modules that predict further tokens: their weights, FLOPs and place on the last stage."""

from __future__ import annotations

import dist_training_sim as dts
import pytest
from dist_training_sim import ConfigError, FrameworkProfile, Strategy, _core
from dist_training_sim._convert import to_core
from dist_training_sim.models import Block, LayerRun, Model, transformer, with_prediction
from dist_training_sim.models.op import OpKind
from dist_training_sim.models.ops import matmul

HIDDEN, VOCABULARY, SEQ = 1024, 32_000, 1024
LAYER = transformer.llama_block(HIDDEN, 16, 4, 4096)
BASE = transformer.language_model("base", [LAYER] * 4, HIDDEN, VOCABULARY)
CLUSTER = dts.Cluster.from_catalog("dgx-h100")
IDEAL = FrameworkProfile.from_catalog("ideal")


def run(model: Model, **layout: object) -> dts.Result:
    return dts.simulate(model, CLUSTER, Strategy(global_batch=8, **layout), seq_len=SEQ, framework=IDEAL)  # type: ignore[arg-type]


@pytest.mark.parametrize("depth", [1, 2])
def test_weights_of_a_module(depth: int) -> None:
    """A layer, the projection from twice the width, two norms before it and one after; table and head are shared."""
    extra = LAYER.parameters + 2 * HIDDEN * HIDDEN + 3 * HIDDEN
    model = with_prediction(BASE, depth)
    assert model.parameters - BASE.parameters == depth * extra
    assert _core.parameter_count(to_core(model)) == model.parameters


def test_flops_of_a_module() -> None:
    """Logits are computed once more."""
    more = (
        _core.training_flops(to_core(with_prediction(BASE)), SEQ).causal
        - _core.training_flops(to_core(BASE), SEQ).causal
    )
    matmuls = sum(2 * op.in_features * op.out_features for op in LAYER.ops if op.kind is OpKind.MATMUL)
    attention = 2 * 16 * 2 * 64 * SEQ / 2
    head = 2 * HIDDEN * VOCABULARY
    assert more == pytest.approx(3 * SEQ * (matmuls + attention + 2 * 2 * HIDDEN * HIDDEN + head))


def test_it_runs_on_the_last_stage() -> None:
    plain, deep = run(BASE, pp=4), run(with_prediction(BASE), pp=4)
    assert deep.stage_breakdowns[-1]["forward_s"] > 1.3 * plain.stage_breakdowns[-1]["forward_s"]
    assert deep.stage_breakdowns[1]["forward_s"] == pytest.approx(plain.stage_breakdowns[1]["forward_s"])
    copy = HIDDEN * VOCABULARY
    own = LAYER.parameters + 2 * HIDDEN * HIDDEN + 3 * HIDDEN
    weights = [r.memory[-1].categories["weights"] for r in (plain, deep)]
    assert weights[1] - weights[0] == pytest.approx(2 * (own + copy))


def test_one_stage_holds_one_table() -> None:
    own = LAYER.parameters + 2 * HIDDEN * HIDDEN + 3 * HIDDEN
    weights = [run(model).peak_memory.categories["weights"] for model in (BASE, with_prediction(BASE))]
    assert weights[1] - weights[0] == pytest.approx(2 * own)


def test_its_logits_wait_beside_the_heads() -> None:
    plain, deep = run(BASE), run(with_prediction(BASE))
    logits = SEQ * VOCABULARY * 4  # fp32 softmax: the 16-bit ones are gone once the loss is known
    more = deep.peak_memory.categories["temporaries"] - plain.peak_memory.categories["temporaries"]
    assert more == pytest.approx(logits)


def test_tied_tables_are_reduced_once() -> None:
    tied = transformer.language_model("tied", [LAYER] * 4, HIDDEN, VOCABULARY, tied=True)
    deep = run(with_prediction(tied), pp=2)
    own = LAYER.parameters + 2 * HIDDEN * HIDDEN + 3 * HIDDEN
    assert deep.memory[-1].categories["weights"] - run(tied, pp=2).memory[-1].categories["weights"] == pytest.approx(
        2 * own
    )


def test_all_schedules_and_splits_run() -> None:
    deep = with_prediction(BASE, layer=transformer.llama_block(HIDDEN, 8, 8, 2048))
    for layout in ({"tp": 8}, {"pp": 2, "schedule": "zb_h1"}, {"zero": 3}, {"recompute": "full"}, {"precision": "fp8"}):
        assert run(deep, **layout).step_time_s > 0


def test_only_language_models_predict() -> None:
    block = Block("layer", (matmul("a", 8, 8),))
    bare = Model(name="bare", stem=Block("s"), layers=(LayerRun(block),), head=Block("h"), hidden=8)
    with pytest.raises(ConfigError, match="token table") as caught:
        with_prediction(bare, 0)
    assert "depth" in str(caught.value)
