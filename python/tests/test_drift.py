"""The descriptions of Python and the structs of the core state the same fields, defaults and enum members."""

from __future__ import annotations

import dataclasses
import re
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from dist_training_sim import _core, events
from dist_training_sim._convert import DTYPES, to_core
from dist_training_sim.collectives import Algorithm
from dist_training_sim.communication import CommunicationModel
from dist_training_sim.errors import ConfigError
from dist_training_sim.frameworks import FrameworkProfile
from dist_training_sim.hardware import (
    AttentionConstants,
    Cluster,
    Device,
    DeviceKind,
    DTypeRate,
    GemmConstants,
    MemoryConstants,
    Node,
    OtherNodes,
    QuantiseConstants,
    ScaleOut,
    ScaleUp,
    ScaleUpKind,
)
from dist_training_sim.memory_plan import BlockShares, MemoryPlan
from dist_training_sim.models import Block, LayerRun, Model, Op, OpKind, Rows, Sharding
from dist_training_sim.parallel import Dispatcher, ExpertLoad, LoadKind, StragglerKind, Stragglers
from dist_training_sim.parallel.choices import Optimizer, Precision, Recompute, Schedule
from dist_training_sim.parallel.strategy import Strategy
from dist_training_sim.result import _MEMORY, BREAKDOWN_LABELS
from dist_training_sim.topology import Topology

SOURCES = Path(__file__).parents[2] / "src"
DESCRIPTIONS: list[Any] = [
    *(Device, DTypeRate, GemmConstants, AttentionConstants, MemoryConstants, QuantiseConstants),
    *(ScaleUp, ScaleOut, Node, OtherNodes, Stragglers, Cluster, Op, Block, LayerRun, Model, Strategy, ExpertLoad),
    FrameworkProfile,
]
FOLLOWS = {FrameworkProfile: {"communication"}}  # fields that follow from one of another kind (`communication_library`)
# Names of `MemoryPlan` that differ from those of the core's struct.
PLAN_TIERS = {f"offload_{what}": f"{core}_tier" for what, core in
              (("optimizer", "optimizer"), ("parameters", "parameter"), ("activations", "activation"))}  # fmt: skip


def writable(struct: type) -> set[str]:
    """Fields of a struct: its properties with a setter."""
    return {name for name in dir(struct) if getattr(getattr(struct, name), "fset", None) is not None}


def plain(value: Any) -> Any:
    """A default in a form that both sides share: enums by name, structs as their fields, sequences as lists."""
    if isinstance(value, Enum):
        return value.name
    if dataclasses.is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if type(value).__module__ == _core.__name__:
        return {name: plain(getattr(value, name)) for name in writable(type(value))}
    return list(value) if isinstance(value, (list, tuple)) else value


def differs(stated: Any, core: Any) -> bool:
    """Whether two defaults differ; None, and the empty name that is derived, state nothing."""
    if stated is None or stated == "":
        return False
    if isinstance(stated, dict):
        return any(differs(value, core[name]) for name, value in stated.items())
    if isinstance(stated, str) and isinstance(core, str):
        return stated.lower() != core.lower()
    return bool(stated != core)


@pytest.mark.parametrize("description", DESCRIPTIONS, ids=lambda d: d.__name__)
def test_fields_are_those_of_the_struct(description: Any) -> None:
    spec = description.CORE
    names = {f.name for f in dataclasses.fields(description)}
    assert spec.python_only <= names
    assert spec.unknown.keys() | spec.needed <= names
    assert isinstance(spec.none_keeps_default, bool) or spec.none_keeps_default <= names
    assert names - spec.python_only == writable(getattr(_core, spec.struct)) - FOLLOWS.get(description, set())


@pytest.mark.parametrize("description", DESCRIPTIONS, ids=lambda d: d.__name__)
def test_defaults_are_those_of_the_struct(description: Any) -> None:
    core = plain(getattr(_core, description.CORE.struct)())
    for f in dataclasses.fields(description):
        if f.default is not dataclasses.MISSING and f.name not in description.CORE.python_only:
            assert not differs(plain(f.default), core[f.name]), (f.name, f.default, core[f.name])


def struct_members(source: str, struct: str) -> set[str]:
    """Data members of a struct, read from its header."""
    body = re.sub(r"//.*", "", source.split(f"struct {struct} {{")[1].split("\n};")[0])
    body = re.sub(r"\([^()]*\)[^;{]*\{[^{}]*\}", "();", body)  # bodies of methods
    statements = [re.sub(r"\{[^{}]*\}|<[^<>]*>", "", part).strip() for part in body.split(";")]
    names: set[str] = set()
    for statement in statements:
        if statement and "(" not in statement:
            names |= {re.split(r"\s*=", item)[0].split()[-1] for item in statement.split(",")}
    return names


@pytest.mark.parametrize("description", DESCRIPTIONS, ids=lambda d: d.__name__)
def test_bindings_show_every_member_of_the_struct(description: Any) -> None:
    if not SOURCES.is_dir():
        pytest.skip("no C++ sources beside this package")
    struct = description.CORE.struct
    headers = [path.read_text(encoding="utf-8") for path in SOURCES.rglob("*.hpp")]
    (header,) = (text for text in headers if f"struct {struct} {{" in text)
    assert struct_members(header, struct) == writable(getattr(_core, struct))


def test_memory_plan() -> None:
    names = {PLAN_TIERS.get(f.name, f.name): f for f in dataclasses.fields(MemoryPlan)}
    core = plain(_core.MemoryPlan())
    assert names.keys() == writable(_core.MemoryPlan)
    for name, f in names.items():
        assert f.default is dataclasses.MISSING or not differs(plain(f.default), core[name]), name
    assert {f.name for f in dataclasses.fields(BlockShares)} == {n for n in dir(_core.BlockShares) if n[0] != "_"}


@pytest.mark.parametrize(
    ("python", "core"),
    [
        *((Topology, _core.TopologyKind), (Algorithm, _core.Algorithm), (DeviceKind, _core.DeviceKind)),
        *((ScaleUpKind, _core.ScaleUpKind), (OpKind, _core.OpKind), (Sharding, _core.Sharding), (Rows, _core.Rows)),
        *((Dispatcher, _core.Dispatcher), (LoadKind, _core.LoadKind)),
        (StragglerKind, _core.StragglerKind),
        *((Recompute, _core.Recompute), (Schedule, _core.PipelineSchedule), (Optimizer, _core.Optimizer)),
    ],
    ids=lambda kind: kind.__name__,
)
def test_enums_have_the_same_members(python: type[Enum], core: type[Enum]) -> None:
    assert [item.name for item in python] == [item.name for item in core]
    assert all(isinstance(item.value, str) and item.value == item.value.lower() for item in python)
    assert all(python(item.value) is item for item in python)


def test_number_formats() -> None:
    assert {item.name for item in Precision} <= set(_core.DType.__members__)
    assert [_core.DType[name.upper()].value for name in DTYPES] == list(range(len(DTYPES)))
    assert len(_core.DeviceSpec().rates) == len(DTYPES)


def test_every_collective_has_its_method() -> None:
    for kind in _core.CollectiveKind:
        assert callable(getattr(CommunicationModel, kind.name.lower()))


def test_every_selective_rule_is_accepted() -> None:
    for rule in _core.SelectiveRule:
        profile = FrameworkProfile(selective=rule.name.lower())
        assert to_core(profile).selective is rule
    with pytest.raises(ConfigError, match="selective"):
        FrameworkProfile(selective="core_attentions")


def test_every_task_kind_has_a_name() -> None:
    assert len(events._NAMES) == len(events._KINDS) == len(_core.TaskKind)
    names = {"GRAD_REDUCE", "SYNC", "OPTIMIZER"}
    constants = {**{name: name for name in names}, "TIED": "TIED_REDUCE", "COPIES": "COPY_REDUCE"}
    assert all(getattr(events, f"_{name}") == _core.TaskKind[kind].value for name, kind in constants.items())


def test_results_show_every_part() -> None:
    reported = {name for name in dir(_core.Breakdown) if name.endswith("_s")} - {"total_s"}
    assert reported == set(BREAKDOWN_LABELS)
    apart = {
        "allocated",
        "communicators",
        "context",
        "user_buffers",
        "update",
        "tiers",
        "host_bytes",
        "nvme_bytes",
        "remote_bytes",
    }  # shown beside the categories
    held = {name for name in dir(_core.MemoryReport) if name[0] != "_"} - apart
    assert held == set(_MEMORY)
