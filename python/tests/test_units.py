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


@pytest.mark.parametrize(("prefix", "power"), [("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)])
def test_decimal_prefixes(prefix: str, power: int) -> None:
    assert units.parse_bytes(f"3 {prefix}B") == 3 * 10.0**power
    assert units.parse_bandwidth(f"24 {prefix}bps") == units.parse_bandwidth(f"3 {prefix}B/s") == 3 * 10.0**power
    assert units.parse_flops(f"3 {prefix}FLOP/s") == units.parse_flops(f"3 {prefix}FLOPs") == 3 * 10.0**power


@pytest.mark.parametrize(("prefix", "power"), [("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40), ("Pi", 50)])
def test_binary_prefixes(prefix: str, power: int) -> None:
    assert units.parse_bytes(f"3 {prefix}B") == units.parse_bytes(f"3{prefix.lower()}B") == 3 * 2.0**power
    assert units.parse_bandwidth(f"24{prefix.lower()}b/s") == 3 * 2.0**power


@pytest.mark.parametrize(
    ("text", "mended"),
    [("64Mib", "64 MiB if bytes are meant, else 8 MiB"), ("8 Gb", "8 GB if bytes are meant, else 1 GB")],
)
def test_sizes_in_bits_are_refused(text: str, mended: str) -> None:
    with pytest.raises(
        dts.ConfigError, match=f"size: got '{text}', which is in bits, expected bytes: .*; write {mended}"
    ):
        units.parse_bytes(text)


@pytest.mark.parametrize(
    ("unit", "seconds"),
    [("", 1), ("s", 1), ("ms", 1e-3), ("us", 1e-6), ("µs", 1e-6), ("ns", 1e-9), ("min", 60), ("h", 3600)],
)
def test_times(unit: str, seconds: float) -> None:
    assert units.parse_seconds(f"2 {unit}") == pytest.approx(2 * seconds, rel=1e-15)


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (units.parse_bytes, "3 Zb"),
        (units.parse_bytes, "3 GX"),
        (units.parse_bandwidth, "3 GB"),
        (units.parse_bandwidth, "3 /s"),
        (units.parse_flops, "3 ZFLOPS"),
        (units.parse_seconds, "3 d"),
        (units.parse_seconds, "1e999 s"),
        (units.parse_bytes, "0" * 101),
    ],
)
def test_units_that_are_none(parse: Callable[..., float], text: str) -> None:
    with pytest.raises(dts.ConfigError, match="expected"):
        parse(text)
    assert units.parse_bytes("0" * 100) == 0


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (units.format_bytes(1023), "1023 B"),
        (units.format_bytes(1024), "1 KiB"),
        (units.format_bytes(-1.5 * 2**20), "-1.5 MiB"),
        (units.format_bytes(2**30), "1 GiB"),
        (units.format_bytes(2**40), "1 TiB"),
        (units.format_seconds(1), "1 s"),
        (units.format_seconds(0.0123), "12.3 ms"),
        (units.format_seconds(1e-3), "1 ms"),
        (units.format_seconds(1e-6), "1 us"),
        (units.format_seconds(5e-9), "5 ns"),
        (units.format_count(999), "999"),
        (units.format_count(1000), "1 k"),
        (units.format_count(1e6), "1 M"),
        (units.format_count(1e9), "1 B"),
        (units.format_count(2.5e12), "2.5 T"),
    ],
)
def test_readable_numbers(shown: str, text: str) -> None:
    assert shown == text
