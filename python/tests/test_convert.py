"""Descriptions to core structs: what is kept of a conversion, and for how long."""

from __future__ import annotations

import gc
from dataclasses import dataclass, replace

import dist_training_sim as dts
import pytest
from dist_training_sim._convert import core_of, once_per_object, to_core
from dist_training_sim.simulator.workspace import profile_core


@dataclass(frozen=True)
class Named:
    name: str


def test_kept_as_long_as_its_objects() -> None:
    made: list[str] = []

    @once_per_object
    def join(first: Named, second: Named, text: str) -> str:
        made.append(first.name + second.name + text)
        return made[-1]

    a, b = Named("a"), Named("b")
    assert join(a, b, "x") == join(a, b, "x") == "abx"
    assert join(a, b, "y") == "aby"
    assert join(b, a, "x") == "bax"
    assert made == ["abx", "aby", "bax"]
    del b
    gc.collect()
    assert join(a, Named("c"), "x") == "acx"  # may lie where b lay


def test_converted_once_but_not_for_another() -> None:
    model = dts.Model.from_catalog("llama-3.1-8b")
    assert core_of(model) is core_of(model)
    other = replace(model, name="another")
    assert core_of(other).name == "another"


def test_profile_of_another_generation() -> None:
    profile = dts.FrameworkProfile.from_catalog("megatron-core")
    hopper, ampere = profile_core(profile, "hopper"), profile_core(profile, "ampere")
    assert profile_core(profile, "hopper") is hopper
    assert hopper.workspace_bytes > ampere.workspace_bytes


def test_defaults_are_not_what_was_set_before() -> None:
    first = to_core(dts.Strategy(tp=4, dp=1).resolved(4))
    second = to_core(dts.Strategy(dp=1).resolved(1))
    assert (first.tp, second.tp) == (4, 1)
    with pytest.raises(TypeError, match="has no field 'name'"):
        to_core(NotThere("x"))


@dataclass(frozen=True)
class NotThere(Named):
    CORE = dts.Strategy.CORE
