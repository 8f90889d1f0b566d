"""Enum arguments: members, their names in any spelling, and one error for everything else."""

from __future__ import annotations

import contextlib
from enum import Enum

import pytest
from dist_training_sim import _core
from dist_training_sim.device_types import DeviceType
from dist_training_sim.errors import ConfigError
from dist_training_sim.hardware import DeviceKind
from dist_training_sim.named_enum import NamedEnum, member
from dist_training_sim.parallel.choices import Precision, Schedule
from dist_training_sim.topology import Topology
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize("text", ["fat_tree", "fat-tree", "FAT_TREE", " Fat-Tree "])
def test_names_in_any_spelling(text: str) -> None:
    assert Topology(text) is Topology.FAT_TREE
    assert member(_core.TopologyKind, text, "topology") is _core.TopologyKind.FAT_TREE


def test_name_and_value_both_count() -> None:
    assert Schedule("1f1b") is Schedule("one_f_one_b") is Schedule.ONE_F_ONE_B


def test_member_of_another_enum_stands_for_its_name() -> None:
    assert member(_core.DType, Precision.BF16, "dtype") is _core.DType.BF16
    assert member(DeviceKind, DeviceType.TPU, "kind") is DeviceKind.TPU
    with pytest.raises(ConfigError, match="kind: got"):
        member(DeviceKind, DeviceType.CUSTOM, "kind")


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (Topology, "torus2d", "where: got 'torus2d', expected a Topology or its name; did you mean torus_2d"),
        (_core.DType, "bf15", "where: got 'bf15', expected a DType or its name; did you mean bf16"),
        (_core.DType, None, "where: got None, .*known: fp64, fp32"),
        (_core.DType, 4, "where: got 4,"),  # positions are no names
        (Schedule, "backwards", "known: 1f1b, dualpipe"),
    ],
)
def test_one_error_for_everything_else(kind: type[Enum], value: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        member(kind, value, "where")


@given(st.one_of(st.text(max_size=8), st.integers(), st.none(), st.binary(max_size=3), st.just(10**6000)))
def test_anything_is_a_member_or_a_config_error(value: object) -> None:
    for kind in (Topology, Precision, _core.MemoryTier):
        with contextlib.suppress(ConfigError):
            assert isinstance(member(kind, value, "x"), kind)


def test_enum_call_and_lookup_agree() -> None:
    class Mood(NamedEnum):
        CALM = "calm"

    assert Mood("CALM") is member(Mood, "calm", "mood") is Mood.CALM
    with pytest.raises(ConfigError, match=r"Mood: got 'calmer'.*did you mean calm"):
        Mood("calmer")
