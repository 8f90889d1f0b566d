"""Days, dollars and energy of runs against published ones; goodput and scaling law against closed forms."""

from __future__ import annotations

import importlib.util
import json
import math
import random
import sys
from pathlib import Path
from typing import Any

import dist_training_sim as dts
import pytest
from dist_training_sim.catalog import cost as catalog
from dist_training_sim.catalog.cost import section
from dist_training_sim.cli import main
from dist_training_sim.economics.energy import energy_of, power_w
from dist_training_sim.economics.goodput import best_interval_s, useful_share
from dist_training_sim.economics.scaling_law import loss_of, tokens_for
from hypothesis import assume, given
from hypothesis import strategies as st

H = 3600.0


def run(**more: Any) -> dts.CostReport:
    layout = dts.Strategy(zero=3, global_batch=512)
    return dts.cost("llama-3.1-8b", "8xdgx-h100", layout, **{"seq_len": 8192, "tokens": 1e12, **more})


# --- closed forms ----------------------------------------------------------------------------------------------------


def test_youngs_interval_of_the_textbook() -> None:
    """MTBF 2 h and checkpoints of 30 s: sqrt(2 C M) = 657 s (ttsugriy/distributed-training-book, chapter 26)."""
    assert math.sqrt(2 * 30 * 2 * H) == pytest.approx(657.3, abs=0.05)
    assert best_interval_s(30, 2 * H) == pytest.approx(657.3, rel=0.05)


@given(st.floats(0.1, 600), st.floats(1e3, 1e7), st.floats(0, 2e3))
def test_the_interval_is_the_best_one(checkpoint_s: float, mtbf_s: float, restart_s: float) -> None:
    assume(checkpoint_s < mtbf_s / 20)
    assume(restart_s < mtbf_s)
    best = best_interval_s(checkpoint_s, mtbf_s)
    share = useful_share(best, checkpoint_s, restart_s, mtbf_s)
    for factor in (0.25, 0.5, 0.8, 1.25, 2, 4):
        assert useful_share(best * factor, checkpoint_s, restart_s, mtbf_s) <= share * (1 + 1e-4)


def test_the_interval_and_its_goodput_by_hand() -> None:
    """C = 60 s, M = 600 s: x = 0.05, sqrt(72,000) = 268.328, times 1 + 0.223607 / 3 + 0.05 / 9 = 1.080091, less 60."""
    assert best_interval_s(60, 600) == pytest.approx(229.819, abs=1e-3)
    assert best_interval_s(1200, 600) == best_interval_s(1300, 600) == 600
    assert best_interval_s(1199, 600) == pytest.approx(
        1199.5 * (1 + math.sqrt(0.99917) / 3 + 0.99917 / 9) - 1199, rel=1e-3
    )
    share = 229.819 / (600 * math.exp(0.5) * math.expm1(289.819 / 600))
    assert useful_share(229.819, 60, 300, 600) == pytest.approx(share, rel=1e-12)
    with pytest.raises(dts.InfeasibleError):
        useful_share(600.0, 60, 0, 60)  # exp(11): less than one part in a thousand


@given(st.floats(60, 7200), st.floats(1, 300), st.floats(60, 1200))
def test_goodput_is_that_of_rare_failures(interval_s: float, checkpoint_s: float, restart_s: float) -> None:
    """To first order (1 - (u0 + dt/2) / M) / (1 + w/dt), the formula of arXiv:2410.21680."""
    mtbf_s = 100 * (interval_s + checkpoint_s + restart_s)
    first = (1 - (restart_s + interval_s / 2) / mtbf_s) / (1 + checkpoint_s / interval_s)
    assert useful_share(interval_s, checkpoint_s, restart_s, mtbf_s) == pytest.approx(first, rel=0.01)


def test_goodput_is_that_of_a_simulated_run() -> None:
    """Exponential failures drawn one by one, work since the last checkpoint lost."""
    interval, checkpoint, restart, mtbf = 1800.0, 120.0, 600.0, 2.5 * H
    draw, wall, done = random.Random(1), 0.0, 0
    fails_at = draw.expovariate(1 / mtbf)
    while done < 20_000:
        needs = interval + checkpoint
        if fails_at > needs:
            fails_at, wall, done = fails_at - needs, wall + needs, done + 1
            continue
        wall, fails_at = wall + fails_at, draw.expovariate(1 / mtbf)
        while fails_at < restart:  # a failure during a restart
            wall, fails_at = wall + fails_at, draw.expovariate(1 / mtbf)
        wall, fails_at = wall + restart, fails_at - restart
    assert useful_share(interval, checkpoint, restart, mtbf) == pytest.approx(done * interval / wall, rel=0.01)


def test_a_job_that_never_ends_is_refused() -> None:
    with pytest.raises(dts.InfeasibleError, match="no time between restarts"):
        useful_share(100, 10, 6000, 60)
    with pytest.raises(dts.InfeasibleError, match="goodput"):
        run(device_hours_per_failure=0.5)


def test_chinchilla() -> None:
    """Equation 10 of arXiv:2203.15556 at its own model: 70 billion parameters, 1.4 trillion tokens."""
    by_hand = 1.69 + 406.4 / 70e9**0.34 + 410.7 / 1.4e12**0.28
    assert loss_of(70e9, 1.4e12) == pytest.approx(by_hand, rel=1e-12)
    assert tokens_for(by_hand, 70e9) == pytest.approx(1.4e12, rel=1e-6)
    c = catalog.law("hoffmann-2022")
    with pytest.raises(dts.InfeasibleError, match="take a larger model"):
        tokens_for(c["E"] + c["A"] / 70e9 ** c["alpha"], 70e9)  # what any number of tokens tends to


@given(st.floats(1e8, 1e12), st.floats(1e9, 1e14), st.sampled_from(["hoffmann-2022", "besiroglu-2024"]))
def test_laws_are_inverted(parameters: float, tokens: float, law: str) -> None:
    assert tokens_for(loss_of(parameters, tokens, law), parameters, law) == pytest.approx(tokens, rel=1e-4)


def test_a_loss_below_the_floor_names_the_floor() -> None:
    with pytest.raises(dts.InfeasibleError, match=r"expected more than 1\.864, to which 8\.03 B parameters tend"):
        run(tokens=None, loss=1.8)
    assert run(tokens=None, loss=2.1).tokens == pytest.approx(tokens_for(2.1, 8_030_261_248), rel=1e-6)


# --- published runs --------------------------------------------------------------------------------------------------

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "corpus" / "cost_anchors.py"


def anchors() -> list[Any]:
    """Published figures of the script that prints the table of the guide."""
    if not SCRIPT.is_file():
        return []
    spec = importlib.util.spec_from_file_location("cost_anchors", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return list(module.ANCHORS)


@pytest.mark.parametrize("anchor", anchors(), ids=lambda anchor: anchor.what.replace(" ", "-"))
def test_published_figures(anchor: Any) -> None:
    assert anchor.predicted() == pytest.approx(anchor.published, rel=anchor.tolerance)


def test_llama_405b_trained_more_than_90_percent_of_the_time() -> None:
    """arXiv:2407.21783, section 3.3.4: more than 90 % effective training time."""
    layout = dts.Strategy(tp=8, pp=16, vpp=4, global_batch=2048, zero=1, embedding_as_layer=True, loss_as_layer=True)
    report = dts.cost("llama-3.1-405b", "2048xdgx-h100", layout, seq_len=8192, tokens=15.6e12)
    assert 0.90 < report.goodput.share < 0.97
    assert report.goodput.checkpoint_bytes == pytest.approx(405.85e9 * 14, rel=1e-3)


def test_power_is_bounded_by_the_cap_and_grows_with_use() -> None:
    idle, _ = power_w(700, 0.0)
    busy, wall = power_w(700, 1.0)
    assert 0 < idle < busy < 700 < wall
    assert power_w(700, 0.87)[0] / 700 == pytest.approx(0.76, abs=0.01)  # typical of a GPU that trains


def test_power_and_energy_by_hand() -> None:
    """Between waiting and computing by the busy share; the node's rest beside it; 3.6 MJ a kWh."""
    c = section("power")
    device_w = 700 * (c["waiting"] + (c["computing"] - c["waiting"]) * 0.25)
    wall_w = device_w + 700 * c["rest_of_node"]
    assert power_w(700, 0.25) == pytest.approx((device_w, wall_w), rel=1e-12)
    used = energy_of(700, 0.25, 7.2e6, 1.5, 0.4)
    assert (used.device_w, used.node_w) == power_w(700, 0.25)
    assert (used.it_kwh, used.facility_kwh, used.carbon_kg) == pytest.approx((2 * wall_w, 3 * wall_w, 1.2 * wall_w))


# --- the report ------------------------------------------------------------------------------------------------------


def test_parts_of_a_report_agree() -> None:
    report = run(usd_per_device_h=3.0, pue=1.1, carbon_kg_per_kwh=0.2)
    result = dts.simulate("llama-3.1-8b", "8xdgx-h100", dts.Strategy(zero=3, global_batch=512), seq_len=8192)
    assert report.steps == math.ceil(1e12 / (512 * 8192))
    assert report.step_time_s == result.step_time_s
    wall = report.steps * report.step_time_s / report.goodput.share
    assert report.days * 86400 == pytest.approx(wall)
    assert report.device_hours == pytest.approx(wall * 64 / H)
    assert report.usd == pytest.approx(3.0 * report.device_hours)
    assert report.failures == pytest.approx(wall / report.goodput.mtbf_s)
    energy = report.energy
    assert energy is not None
    assert energy.it_kwh == pytest.approx(energy.node_w * report.device_hours / 1e3)
    assert energy.facility_kwh == pytest.approx(1.1 * energy.it_kwh)
    assert energy.carbon_kg == pytest.approx(0.2 * energy.facility_kwh)
    assert report.days_low90 is not None
    assert report.days_high90 is not None
    assert report.days_low90 < report.days < report.days_high90


def test_more_of_everything_costs_more() -> None:
    base = run()
    assert run(tokens=2e12).days == pytest.approx(2 * base.days, rel=1e-4)
    assert run(restart_s=3600).days > base.days
    assert run(device_hours_per_failure=5000).days > base.days
    assert run(checkpoint_s=600).days > base.days
    assert run(async_checkpoint=True).goodput.checkpoint_s < base.goodput.checkpoint_s
    assert run(checkpoint_interval_s=20_000).goodput.share < base.goodput.share


def test_prices_have_a_source_and_a_date() -> None:
    assert run().price_source.startswith("aws-p5, 2024-12")
    own = dts.cost("llama-3.1-8b", "8xaws-p5e", dts.Strategy(zero=3), seq_len=8192, tokens=1e9)
    assert own.usd_per_device_h == pytest.approx(43.26 / 8)
    assert "2024-12" in own.price_source
    none = dts.cost("llama-3.2-1b", "1xhgx-h800", dts.Strategy(zero=3), seq_len=8192, tokens=1e9)
    assert (none.usd, none.price_source) == (None, "none known for h800-sxm5-80gb")


def test_every_constant_has_a_source() -> None:
    import yaml
    from dist_training_sim.catalog._yaml import packaged_file

    content = packaged_file("cost.yaml")
    assert yaml.safe_dump(content)
    for entry in (*content["failures"].values(), *content["scaling_laws"].values(), content["pue"], content["carbon"]):
        assert len(entry["source"]) > 10
    assert {"storage_source", "weight_source", "async_source"} <= set(content["checkpoint"])
    assert {"device_source", "rest_source"} <= set(content["power"])


# --- deadlines -------------------------------------------------------------------------------------------------------


def test_a_deadline_finds_the_least_nodes() -> None:
    layout = dts.Strategy(tp=8, pp=4, zero=1, global_batch=1024)
    job: dict[str, Any] = {"seq_len": 8192, "tokens": 1e12}
    report = dts.cost("llama-3.1-70b", "1xdgx-h100", layout, **job, days=30)
    assert report.days <= 30
    assert [option.meets for option in report.options] == [False] * (len(report.options) - 1) + [True]
    assert report.devices == report.options[-1].devices
    before = report.options[-2]
    smaller = dts.cost("llama-3.1-70b", f"{before.nodes}xdgx-h100", layout, **job)
    assert smaller.days == pytest.approx(before.days)
    assert smaller.days > 30


def test_impossible_deadlines_say_what_is_possible() -> None:
    layout = dts.Strategy(tp=8, zero=1, global_batch=16)
    with pytest.raises(dts.InfeasibleError, match=r"days: got 0\.01, expected at least .* on 128 devices"):
        dts.cost("llama-3.1-8b", "1xdgx-h100", layout, seq_len=4096, tokens=1e12, days=0.01)
    with pytest.raises(dts.ConfigError, match="global_batch"):
        dts.cost("llama-3.1-8b", "1xdgx-h100", dts.Strategy(), seq_len=4096, tokens=1e12, days=1)


@pytest.mark.parametrize(
    ("more", "parts"),
    [
        ({"tokens": None}, ["tokens: got nothing"]),
        ({"loss": 2.0}, ["none beside a loss"]),
        ({"tokens": 0.0}, ["tokens"]),
        ({"tokens": math.nan, "pue": 0.5, "usd_per_device_h": -1}, ["tokens", "pue", "usd_per_device_h"]),
        ({"days": 0}, ["days"]),
        ({"law": "hofmann"}, ["did you mean hoffmann-2022"]),
        ({"restart_s": math.inf, "checkpoint_s": -1.0}, ["restart_s", "checkpoint_s"]),
    ],
)
def test_bad_terms_are_listed(more: dict[str, Any], parts: list[str]) -> None:
    with pytest.raises(dts.ConfigError) as error:
        run(**more)
    assert all(part in str(error.value) for part in parts)


def test_the_help_lists_the_laws(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "--help"]) == 0
    assert "|".join(catalog.law_names()) in capsys.readouterr().out


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    line = "cost --model llama-3.1-8b --cluster 8xdgx-h100 --zero 3 --global-batch 512 --seq-len 8192 --tokens 1T"
    assert main(line.split()) == 0
    out = capsys.readouterr().out
    assert "1 T tokens take" in " ".join(out.split())
    assert max(map(len, out.splitlines())) <= 100
    assert main([*line.split(), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads(json.dumps(run().to_dict(), default=lambda v: v.value))
    assert main([*line.split(), "--days", "0.1"]) == 3
    assert "error: --days: got 0.1" in capsys.readouterr().err
    terms = ["--restart-time", "1h", "--checkpoint-time", "2min", "--checkpoint-interval", "30min", "--price", "2"]
    assert main([*line.split(), *terms, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    expected = run(restart_s=3600, checkpoint_s=120, checkpoint_interval_s=1800, usd_per_device_h=2)
    assert (found["usd"], found["goodput"]["share"]) == (expected.usd, expected.goodput.share)
