"""The store's format against bytes that Feast 0.67 wrote; tests/features holds it against Feast itself."""

from __future__ import annotations

import contextlib
import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.features.online_keys import EntityIds
from sluice.features.online_values import decode, encode, event_microseconds, event_text
from sluice.features.plan import Key, Type


def ids(**keys: Any) -> EntityIds:
    return EntityIds([Key(name=name, type=type_) for name, type_ in keys.items()])


# mmh3.hash_bytes(serialize_entity_key(…, 3)).hex(), as Feast 0.67 says.
@pytest.mark.parametrize(
    ("keys", "values", "expected"),
    [
        ({"customer_id": "string"}, ["C1"], "6f37c8e97068c572ae376cb3c6cd6492"),
        ({"customer_id": "string"}, [""], "31e01ec73d5671ed71293c9f4150af0e"),
        ({"customer_id": "integer"}, [5], "9ba2779e8b53dea25f94d887659f5046"),
        ({"customer_id": "integer"}, [-(2**63)], "c9900be3b83088baf1038ff51a0b0e84"),
        ({"zone": "string", "account": "integer"}, ["grün", 7], "295141d8051ff29045d84e94c4e82793"),
    ],
)
def test_an_item_is_called_as_feast_calls_it(keys: Any, values: Any, expected: str) -> None:
    assert ids(**keys).of(values) == expected


def test_keys_are_written_in_the_order_of_their_names() -> None:
    one, other = ids(b="string", a="integer"), ids(a="integer", b="string")
    assert one.serialized(["x", 1]) == other.serialized([1, "x"])


def test_the_same_digits_as_text_and_as_number_are_two_entities() -> None:
    assert ids(k="string").of(["5"]) != ids(k="integer").of([5])


@pytest.mark.parametrize(
    ("value", "type_", "written"),
    [
        (None, "number", ""),
        (0.0, "number", "290000000000000000"),
        (1.5, "number", "29000000000000f83f"),
        (0, "integer", "2000"),
        (300, "integer", "20ac02"),
        (-1, "integer", "20ffffffffffffffffff01"),
        (-(2**63), "integer", "2080808080808080808001"),
        ("", "string", "1200"),
        ("grün", "string", "12056772c3bc6e"),
        (True, "boolean", "3801"),
        (False, "boolean", "3800"),
        (1_700_000_000_000_000, "timestamp", "4080e2cfaa06"),
        (-1_000_000, "timestamp", "40ffffffffffffffffff01"),
    ],
)
def test_a_value_is_written_in_these_bytes(value: Any, type_: Type, written: str) -> None:
    assert encode(value, type_).hex() == written
    assert decode(bytes.fromhex(written)) == value
    assert type(decode(bytes.fromhex(written))) is type(value)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("35000020c0", -2.5),  # float
        ("18ffffffffffffffffff01", -1),  # int32
        ("0a0301ff00", b"\x01\xff\x00"),
        ("980100", None),  # Feast's null_val
        ("4080808080808080808001", None),  # a NaT
    ],
)
def test_other_kinds_that_feast_writes_are_read(written: str, value: Any) -> None:
    assert decode(bytes.fromhex(written)) == value


@pytest.mark.parametrize(
    "broken", ["29", "2900", "2980", "20", "20ac", "200100", "1205", "120161ff", "12", "5a020a00", "ff"]
)
def test_what_is_no_value_is_no_null_either(broken: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        decode(bytes.fromhex(broken))


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        ("1", "number"),
        (True, "integer"),
        (1.5, "integer"),
        (2**63, "integer"),
        (1, "boolean"),
        (1, "string"),
        (1.5, "timestamp"),
    ],
)
def test_a_value_of_another_type_is_refused(value: Any, type_: Type) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        encode(value, type_)


def test_a_timestamp_is_cut_to_seconds_towards_1970_as_feast_does() -> None:
    assert decode(encode(1_999_999, "timestamp")) == 1_000_000
    assert decode(encode(-1_999_999, "timestamp")) == -1_000_000


@given(st.floats())
def test_every_double_keeps_its_bits(value: float) -> None:
    found = decode(encode(value, "number"))
    assert isinstance(found, float)
    assert struct.pack("<d", found) == struct.pack("<d", value) or (math.isnan(value) and math.isnan(found))


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_integer_is_read_as_it_was_written(value: int) -> None:
    assert decode(encode(value, "integer")) == value


@given(st.text())
def test_every_text_is_read_as_it_was_written(value: str) -> None:
    assert decode(encode(value, "string")) == value


@given(st.binary(max_size=30))
def test_any_bytes_are_a_value_or_refused(raw: bytes) -> None:
    with contextlib.suppress(ValueError):
        decode(raw)


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("1970-01-01 00:00:00+00:00", 0),
        ("2023-11-14 22:13:20.000001+00:00", 1_700_000_000_000_001),
        ("1969-12-31 23:59:59.500000+00:00", -500_000),
    ],
)
def test_an_event_time_is_the_text_of_a_datetime(text: str, microseconds: int) -> None:
    assert event_text(microseconds) == text
    assert event_microseconds(text) == microseconds


def test_an_event_time_may_be_in_any_zone_and_in_none() -> None:
    assert event_microseconds("2023-11-14T23:13:20+01:00") == 1_700_000_000_000_000
    assert event_microseconds("2023-11-14 22:13:20") == 1_700_000_000_000_000
