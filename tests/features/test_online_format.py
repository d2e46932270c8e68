"""The online store's format against Feast's own: its keys, its values, its items."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from typing import Any

from feast.infra.key_encoding_utils import serialize_entity_key
from feast.infra.online_stores.helpers import compute_entity_id
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.type_map import feast_value_type_to_python_type, python_values_to_proto_values
from feast.utils import make_tzaware
from feast.value_type import ValueType
from hypothesis import given
from hypothesis import strategies as st

from sluice.features.online_keys import EntityIds
from sluice.features.online_values import decode, encode, event_microseconds, event_text
from sluice.features.plan import Key, Type

INT64 = st.integers(-(2**63), 2**63 - 1)
VALUES: dict[Type, tuple[ValueType, st.SearchStrategy[Any]]] = {
    "string": (ValueType.STRING, st.text()),
    "integer": (ValueType.INT64, INT64),
    "number": (ValueType.DOUBLE, st.floats(allow_nan=False)),
    "boolean": (ValueType.BOOL, st.booleans()),
}


def proto(value: Any) -> Any:
    return Value(string_val=value) if isinstance(value, str) else Value(int64_val=value)


@given(st.dictionaries(st.text("abcxyz_Ü0", min_size=1), st.text() | INT64, min_size=1, max_size=4))
def test_keys_are_those_of_feast(entity: dict[str, Any]) -> None:
    keys = [Key(name=name, type="string" if isinstance(v, str) else "integer") for name, v in entity.items()]
    ours, values = EntityIds(keys), list(entity.values())
    theirs = EntityKey(join_keys=list(entity), entity_values=[proto(value) for value in values])
    assert ours.serialized(values) == serialize_entity_key(theirs, 3)
    assert ours.of(values) == compute_entity_id(theirs, 3)


@given(st.data(), st.sampled_from(sorted(VALUES)))
def test_values_are_written_and_read_as_by_feast(data: st.DataObject, type_: Type) -> None:
    feasts, drawn = VALUES[type_]
    value = data.draw(drawn)
    (theirs,) = python_values_to_proto_values([value], feasts)
    written = theirs.SerializeToString()
    assert encode(value, type_) == written
    assert decode(written) == value
    assert feast_value_type_to_python_type(Value.FromString(encode(value, type_))) == value


@given(st.floats())
def test_a_double_is_feasts_to_the_last_bit(value: float) -> None:
    theirs = Value(double_val=value).SerializeToString()
    assert encode(value, "number") == theirs
    found = decode(theirs)
    assert isinstance(found, float)
    assert struct.pack("<d", found) == struct.pack("<d", value)


@given(st.integers(-(2**31), 2**31 - 1), st.floats(width=32, allow_nan=False), st.binary())
def test_the_types_that_only_feast_writes_are_read(integer: int, single: float, raw: bytes) -> None:
    assert decode(Value(int32_val=integer).SerializeToString()) == integer
    assert decode(Value(float_val=single).SerializeToString()) == single
    assert decode(Value(bytes_val=raw).SerializeToString()) == raw


def test_null_is_feasts() -> None:
    for feasts, _ in VALUES.values():
        (theirs,) = python_values_to_proto_values([None], feasts)
        assert decode(theirs.SerializeToString()) is None
    assert encode(None, "number") == Value().SerializeToString()
    assert feast_value_type_to_python_type(Value.FromString(encode(None, "string"))) is None
    assert decode(Value(null_val=0).SerializeToString()) is None


TIMES = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))


@given(TIMES)
def test_timestamps_are_feasts_whole_seconds(when: datetime) -> None:
    microseconds = (when - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    (theirs,) = python_values_to_proto_values([when], ValueType.UNIX_TIMESTAMP)
    assert encode(microseconds, "timestamp") == theirs.SerializeToString()
    found = decode(theirs.SerializeToString())
    assert isinstance(found, int)
    read = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=found)
    assert read == feast_value_type_to_python_type(theirs)


@given(TIMES)
def test_event_times_are_the_texts_that_feast_writes_and_reads(when: datetime) -> None:
    text = str(make_tzaware(when))
    microseconds = event_microseconds(text)
    assert event_text(microseconds) == text
    assert datetime.fromisoformat(event_text(microseconds)) == when
