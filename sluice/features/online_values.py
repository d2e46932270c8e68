"""Feature values and event times as Feast writes them into the online store: protobuf bytes, and a text."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from sluice.features.plan import Type

StoredValue: TypeAlias = float | int | str | bool | bytes | None
"""A value; a timestamp is microseconds since 1970 in UTC."""

NULL = b""
"""A message none of whose fields is set."""

# Tags of the fields of Feast's Value: their number and how they are written.
# https://github.com/feast-dev/feast/blob/v0.67.0/protos/feast/types/Value.proto
_BYTES, _STRING, _INT32, _INT64 = 0x0A, 0x12, 0x18, 0x20
_DOUBLE, _FLOAT, _BOOL, _TIMESTAMP = 0x29, 0x35, 0x38, 0x40
_NULL_FIELD = b"\x98\x01"
# What Feast writes for a timestamp that is none.
_NO_TIMESTAMP = -(2**63)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MOST_VARINT_BYTES = 10

_double = struct.Struct("<d")
_float = struct.Struct("<f")


def encode(value: StoredValue, type_: Type) -> bytes:
    """Write a value of a feature of this type; None is null.

    A timestamp loses its fraction of a second, towards 1970: Feast's store holds whole seconds.

    Raises:
        ValueError: there is no such value of this type.
    """
    if value is None:
        return NULL
    if type_ == "string":
        if not isinstance(value, str):
            raise ValueError(f"{value!r} is no text")
        text = value.encode()
        return bytes([_STRING]) + _varint(len(text)) + text
    if type_ == "boolean":
        if not isinstance(value, bool):
            raise ValueError(f"{value!r} is no boolean")
        return bytes([_BOOL, value])
    if isinstance(value, str | bytes | bool):
        raise ValueError(f"{value!r} is no number")
    if type_ == "number":
        return bytes([_DOUBLE]) + _double.pack(value)
    if not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise ValueError(f"{value!r} is no integer of 64 bits")
    if type_ == "integer":
        return bytes([_INT64]) + _varint(value)
    seconds = value // 1_000_000 if value >= 0 else -(-value // 1_000_000)
    return bytes([_TIMESTAMP]) + _varint(seconds)


def decode(raw: bytes) -> StoredValue:
    """Read a value; null is None, whichever way it is written.

    Raises:
        ValueError: it is none, or of a type that no feature of a plan has (a list, a map).
    """
    if not raw:
        return None
    tag = raw[0]
    if tag == _DOUBLE and len(raw) == 9:
        value: float = _double.unpack_from(raw, 1)[0]
        return value
    if tag in _INTEGERS:
        return _INTEGERS[tag](_whole_varint(raw))
    if tag in (_STRING, _BYTES):
        size, start = _varint_at(raw, 1)
        if start + size != len(raw):
            raise ValueError(f"{len(raw) - start} bytes of a text of {size}")
        return raw[start:].decode() if tag == _STRING else raw[start:]
    if tag == _FLOAT and len(raw) == 5:
        single: float = _float.unpack_from(raw, 1)[0]
        return single
    if raw.startswith(_NULL_FIELD):
        return None
    raise ValueError(f"a value of Feast of a kind that is not read here: {raw[:8].hex()}")


def event_text(microseconds: int) -> str:
    """Write an event's time, microseconds since 1970 in UTC, as `str` does a datetime: that is what Feast reads."""
    return str(_EPOCH + timedelta(microseconds=microseconds))


def event_microseconds(text: str) -> int:
    """Read an event's time; one without a time zone is in UTC.

    Raises:
        ValueError: it is none.
    """
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    return (found - _EPOCH) // _MICROSECOND


def _signed(number: int) -> int:
    return number - 2**64 if number >= 2**63 else number


def _timestamp(number: int) -> int | None:
    seconds = _signed(number)
    return None if seconds == _NO_TIMESTAMP else seconds * 1_000_000


def _boolean(number: int) -> bool:
    return number != 0


# An int32 below zero is written as if it had 64 bits.
_INTEGERS = {_INT64: _signed, _INT32: _signed, _BOOL: _boolean, _TIMESTAMP: _timestamp}


def _varint(number: int) -> bytes:
    number &= 2**64 - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _whole_varint(raw: bytes) -> int:
    if len(raw) == 2 and raw[1] < 0x80:  # as most are
        return raw[1]
    number, end = _varint_at(raw, 1)
    if end != len(raw):
        raise ValueError(f"{len(raw) - end} bytes behind a number")
    return number


def _varint_at(raw: bytes, at: int) -> tuple[int, int]:
    """Read a number; give it, and where it ends."""
    number = 0
    for place, byte in enumerate(raw[at : at + _MOST_VARINT_BYTES]):
        number |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return number & (2**64 - 1), at + place + 1
    raise ValueError("a number that has no end")
