"""Recomputation of modules and of some layers: memory and time follow together, and what cannot be is refused."""

from __future__ import annotations

from typing import Any

import dist_training_sim as dts
import pytest
from dist_training_sim import Recompute, RecomputeMethod, RecomputeModule, Strategy
from dist_training_sim.errors import ConfigError

DENSE: dict[str, Any] = {"model": "llama-3.1-8b", "cluster": "1xdgx-h100", "seq_len": 4096}
LATENT: dict[str, Any] = {"model": "deepseek-v2-lite", "cluster": "1xdgx-h100", "seq_len": 4096}
BASE = Strategy(tp=2, zero=1, global_batch=32)
ROUTED = Strategy(ep=8, zero=1, global_batch=32)


def run(job: dict[str, Any], strategy: Strategy, **changes: Any) -> dts.Result:
    return dts.simulate(**job, strategy=strategy.replace(**changes), keep_events=False)


def modules(*names: str) -> dict[str, Any]:
    return {"recompute": "selective", "recompute_modules": names}


@pytest.mark.parametrize("name", ["core_attn", "mlp", "layernorm"])
def test_a_module_saves_memory_and_costs_time(name: str) -> None:
    kept, again, full = run(DENSE, BASE), run(DENSE, BASE, **modules(name)), run(DENSE, BASE, recompute="full")
    assert full.memory[0].categories["activations"] < again.memory[0].categories["activations"]
    assert again.memory[0].categories["activations"] < kept.memory[0].categories["activations"]
    assert 0 < again.breakdown["recompute_s"] < full.breakdown["recompute_s"]
    assert kept.breakdown["recompute_s"] == 0


@pytest.mark.parametrize("name", ["moe", "moe_act", "layernorm", "mla_up_proj", "shared_experts", "mlp"])
def test_modules_of_a_model_with_experts_and_latent_attention(name: str) -> None:
    kept, again = run(LATENT, ROUTED), run(LATENT, ROUTED, **modules(name))
    assert again.memory[0].categories["activations"] < kept.memory[0].categories["activations"]
    assert again.breakdown["recompute_s"] > 0


def test_moe_runs_its_exchange_again() -> None:
    kept, act, moe = (run(LATENT, ROUTED, **changes) for changes in ({}, modules("moe_act"), modules("moe")))
    kept_s, act_s, moe_s = (r.communication["ep"]["total_s"] for r in (kept, act, moe))
    assert act_s == kept_s
    assert moe_s == pytest.approx(1.5 * kept_s, rel=1e-6)


def test_core_attention_is_megatrons_own_rule() -> None:
    rule, named = run(DENSE, BASE, recompute="selective"), run(DENSE, BASE, **modules("core_attn"))
    assert rule.step_time_s == named.step_time_s
    assert rule.memory == named.memory


def test_a_block_of_layers_lies_between_none_and_all() -> None:
    def block(layers: int) -> dts.Result:
        return run(DENSE, BASE, recompute="full", recompute_method="block", recompute_layers=layers)

    none, some, every, full = block(0), block(8), block(32), run(DENSE, BASE, recompute="full")
    assert none.memory == run(DENSE, BASE).memory
    assert every.memory == full.memory
    assert every.step_time_s == full.step_time_s
    assert some.breakdown["recompute_s"] == pytest.approx(full.breakdown["recompute_s"] / 4)
    kept, given_up = (r.memory[0].categories["activations"] for r in (none, full))
    quarter = some.memory[0].categories["activations"]
    assert quarter == pytest.approx(kept - (kept - given_up) / 4, rel=0.02)


def test_a_block_counts_the_layers_of_each_virtual_stage() -> None:
    strategy = BASE.replace(pp=2, vpp=2)  # stages of 8 layers
    half = run(DENSE, strategy, recompute="full", recompute_method="block", recompute_layers=4)
    full = run(DENSE, strategy, recompute="full")
    assert half.breakdown["recompute_s"] == pytest.approx(full.breakdown["recompute_s"] / 2)


def test_every_second_layer() -> None:
    half, full = run(DENSE, BASE, recompute="full", recompute_method="every"), run(DENSE, BASE, recompute="full")
    third = run(DENSE, BASE, recompute="full", recompute_method="every", recompute_layers=3)
    assert half.breakdown["recompute_s"] == pytest.approx(full.breakdown["recompute_s"] / 2)
    assert third.breakdown["recompute_s"] == pytest.approx(full.breakdown["recompute_s"] * 10 / 32)


def test_units_keep_fewer_inputs_and_rebuild_more() -> None:
    one, four = (run(DENSE, BASE, pp=2, recompute="full", recompute_layers=layers) for layers in (None, 4))
    assert four.step_time_s == one.step_time_s
    assert four.memory[0].categories["activations"] < 0.4 * one.memory[0].categories["activations"]
    assert four.memory[0].categories["temporaries"] > 2 * one.memory[0].categories["temporaries"]


@pytest.mark.parametrize("changes", [{"recompute_layers": 3}, {"recompute_layers": 64}, {"pp": 2, "schedule": "zb_h1"}])
def test_whatever_the_unit_all_of_a_step_is_freed(changes: dict[str, Any]) -> None:
    strategy = BASE.replace(recompute="full", **{"recompute_layers": 4, **changes})
    for stage in dts.memory_timeline(**DENSE, strategy=strategy):
        assert stage.bytes.sum(axis=1)[0] == stage.bytes.sum(axis=1)[-1]


def test_evaluate_says_what_simulate_says() -> None:
    rows = [
        BASE,
        BASE.replace(recompute="full", recompute_method="block", recompute_layers=3),
        BASE.replace(recompute="full", recompute_method="block", recompute_layers=3, pp=2, dp=2),
        BASE.replace(recompute="full", recompute_layers=4),
        BASE.replace(recompute="full", recompute_layers=4, pp=2, dp=2),
        BASE.replace(**modules("mlp")),
        BASE.replace(**modules("layernorm")),
    ]
    found = dts.evaluate(**DENSE, strategies=rows)
    for i, row in enumerate(rows):
        alone = dts.simulate(**DENSE, strategy=row, keep_events=False)
        assert found["step_time_s"][i] == alone.step_time_s
        assert found["allocated_bytes"][i] == max(use.allocated_bytes for use in alone.memory)


def test_modules_are_a_text_or_members() -> None:
    text = Strategy(recompute="selective", recompute_modules="layernorm, mlp")
    assert text.recompute_modules == (RecomputeModule.LAYERNORM, RecomputeModule.MLP)
    assert text == Strategy(recompute=Recompute.SELECTIVE, recompute_modules=(RecomputeModule.LAYERNORM, "mlp"))
    assert text.recompute_method is RecomputeMethod.UNIFORM


def message(job: dict[str, Any], strategy: Strategy) -> str:
    with pytest.raises(ConfigError) as raised:
        dts.simulate(**job, strategy=strategy)
    return str(raised.value)


def test_a_module_that_the_model_lacks() -> None:
    text = message(DENSE, BASE.replace(**modules("moe_act", "mla_up_proj", "mlp")))
    assert "got moe_act" in text
    assert "got mla_up_proj" in text
    assert "got mlp" not in text
    assert "llama-3.1-8b has: core_attn, mlp, layernorm" in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"recompute": "full", "recompute_modules": ("mlp",)}, 'use recompute="selective"'),
        ({"recompute_layers": 4}, 'use recompute="full"'),
        ({"recompute_method": "block"}, 'use recompute="full"'),
        ({"recompute": "full", "recompute_layers": 0}, 'use recompute_method="block"'),
        ({"recompute": "full", "recompute_layers": 2, "zero": 3}, "gathers weights for one layer at a time"),
        ({"recompute": "full", "recompute_layers": 2, "offload_activations": 1.0}, "offloaded"),
        (modules("layernorm") | {"precision": "fp8", "fp8_recipe": "delayed"}, "delayed scaling"),
    ],
)
def test_what_cannot_be(changes: dict[str, Any], words: str) -> None:
    assert words in message(DENSE, BASE.replace(**changes))


def test_parts_that_already_run_beside_something() -> None:
    assert "overlap_shared_experts" in message(
        LATENT, ROUTED.replace(overlap_shared_experts=True, **modules("shared_experts"))
    )
    assert "overlap_moe_1f1b" in message(LATENT, ROUTED.replace(overlap_moe_1f1b=True, **modules("moe")))


def test_an_unknown_module_names_the_known() -> None:
    with pytest.raises(ConfigError, match=r"recompute_modules\[1\].*'attn'.*core_attn"):
        Strategy(recompute="selective", recompute_modules=("mlp", "attn"))
