"""Descriptions become structs by field name; what does not fit is an error, never silence."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar

import pytest
from dist_training_sim._convert import DTYPES, CoreSpec, to_core
from dist_training_sim.errors import ConfigError, MissingDataError


class Color(Enum):
    RED = 0
    DEEP_BLUE = 1


class PyColor(str, Enum):
    RED = "red"
    DEEP_BLUE = "deep_blue"


@dataclass
class RateStruct:
    peak: float = 0.0
    share: float = 0.5


@dataclass
class Struct:
    name: str = "default"
    color: Color = Color.RED
    rates: list[RateStruct] = field(default_factory=lambda: [RateStruct() for _ in DTYPES])
    shape: list[int] = field(default_factory=lambda: [0, 0, 0])
    inner: RateStruct = field(default_factory=RateStruct)
    power: float = 400.0


@dataclass(frozen=True)
class Rate:
    CORE: ClassVar[CoreSpec] = CoreSpec("RateStruct", none_keeps_default=True)
    peak: float | None = None
    share: float | None = None


@dataclass(frozen=True)
class Thing:
    CORE: ClassVar[CoreSpec] = CoreSpec("Struct", python_only=frozenset({"sources"}), unknown={"power": 0.0})
    name: str = "thing"
    color: Any = PyColor.DEEP_BLUE
    rates: Any = field(default_factory=lambda: {"bf16": Rate(7.0), "fp8": Rate(share=0.25)})
    shape: tuple[int, ...] = (4, 4, 2)
    inner: Rate = Rate(1.0, 0.75)
    power: float | None = None
    sources: tuple[str, ...] = ("somewhere",)


def test_every_kind_of_field() -> None:
    got = to_core(Thing(), Struct)
    assert (got.name, got.color, got.shape, got.power) == ("thing", Color.DEEP_BLUE, [4, 4, 2], 0.0)
    assert got.inner == RateStruct(1.0, 0.75)
    assert got.rates[DTYPES.index("bf16")] == RateStruct(7.0, 0.5)
    assert got.rates[DTYPES.index("fp8")] == RateStruct(0.0, 0.25)
    assert got.rates[0] == RateStruct()


def test_enum_by_text_and_unknown_member() -> None:
    assert to_core(Thing(color="red"), Struct).color is Color.RED
    with pytest.raises(
        ConfigError, match=r"Struct\.color: got 'green', expected a Color or its name; did you mean red"
    ):
        to_core(Thing(color="green"), Struct)


def test_field_that_the_struct_lacks() -> None:
    @dataclass
    class Old:
        peak: float = 0.0

    with pytest.raises(TypeError, match="RateStruct has no field 'share', but Rate has"):
        to_core(Rate(), Old)


def test_none_without_meaning_is_missing_data() -> None:
    with pytest.raises(MissingDataError, match=r"thing\.shape: unknown.*\.replace\(shape=\.\.\.\)"):
        to_core(Thing(shape=None), Struct)  # type: ignore[arg-type]


def test_needed_beats_default() -> None:
    @dataclass(frozen=True)
    class Strict(Rate):
        CORE: ClassVar[CoreSpec] = CoreSpec("RateStruct", none_keeps_default=True, needed=frozenset({"peak"}))

    assert to_core(Strict(1.0), RateStruct) == RateStruct(1.0, 0.5)
    with pytest.raises(MissingDataError, match="peak"):
        to_core(Strict(), RateStruct)


def test_named_fields_keep_their_default() -> None:
    @dataclass(frozen=True)
    class Partly:
        CORE: ClassVar[CoreSpec] = CoreSpec("RateStruct", none_keeps_default=frozenset({"share"}))
        peak: float | None = 2.0
        share: float | None = None

    assert to_core(Partly(), RateStruct) == RateStruct(2.0, 0.5)
    with pytest.raises(MissingDataError):
        to_core(Partly(peak=None), RateStruct)


@pytest.mark.parametrize("rates", [{"bf15": Rate(1.0)}, {"bf16": Rate(1.0), "": Rate()}])
def test_mapping_with_a_key_that_is_no_dtype(rates: dict[str, Rate]) -> None:
    with pytest.raises(TypeError, match=r"Struct\.rates: not an array over the dtypes"):
        to_core(Thing(rates=rates), Struct)
