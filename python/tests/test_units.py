"""Quantities at the edge: text and numbers in, SI numbers or one clear error out."""

from __future__ import annotations

import math
from collections.abc import Callable

import dist_training_sim as dts
import pytest
from dist_training_sim import units
from hypothesis import given
from hypothesis import strategies as st

PARSERS: list[Callable[..., float]] = [
    units.parse_bytes,
    units.parse_bandwidth,
    units.parse_flops,
    units.parse_seconds,
]


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (units.parse_bytes, "64 MiB", 64 * 2**20),
        (units.parse_bytes, "8 Gb", 1e9),
        (units.parse_bandwidth, "400 Gb/s", 50e9),
        (units.parse_bandwidth, "100 Gbps", 12.5e9),
        (units.parse_flops, "1.3 PFLOPS", 1.3e15),
        (units.parse_seconds, "5 us", 5e-6),
        (units.parse_seconds, "2 min", 120),
    ],
)
def test_text_with_units_becomes_si(parse: Callable[..., float], text: str, value: float) -> None:
    assert parse(text) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize("value", [10**400, -(10**400), None, [1], {}], ids=str)
def test_numbers_no_quantity_can_hold_are_refused_by_name(parse: Callable[..., float], value: object) -> None:
    with pytest.raises(dts.ConfigError, match=r"knob: got .*, expected a number that a float holds"):
        parse(value, "knob")


@pytest.mark.parametrize("parse", PARSERS)
@given(value=st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53))
def test_plain_numbers_stay_as_they_are(parse: Callable[..., float], value: float) -> None:
    assert parse(value) == value


@pytest.mark.parametrize("parse", PARSERS)
@given(text=st.text(max_size=20))
def test_any_text_is_a_number_or_a_clear_error(parse: Callable[..., float], text: str) -> None:
    try:
        number = parse(text)
    except dts.ConfigError as error:
        message = str(error)
        number = 0.0
    else:
        message = "expected"
    assert math.isfinite(number)
    assert "expected" in message


@given(value=st.floats(1e-9, 1e15))
def test_formatted_bytes_read_back_within_their_digits(value: float) -> None:
    assert units.parse_bytes(units.format_bytes(value)) == pytest.approx(value, rel=1e-3)
