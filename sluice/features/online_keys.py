"""An entity's key as Feast writes it: the name of its item in the online store."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TypeAlias

import mmh3

from sluice.features.plan import Key

KeyValue: TypeAlias = str | int

# Feast's ValueType, https://github.com/feast-dev/feast/blob/v0.67.0/protos/feast/types/Value.proto
_STRING, _INT64 = 2, 4


class EntityIds:
    """Names the items of a view's entities.

    The layout is version 3 of Feast's entity keys: how many keys, their names in order, and then their values in that
    same order, each with its type and its length. The item's name is the MurmurHash3 (x64, 128 bits) of it, in hex.

    Args:
        keys: the join keys, in any order.
    """

    def __init__(self, keys: Sequence[Key]) -> None:
        order = sorted(range(len(keys)), key=lambda place: keys[place].name)
        names = [keys[place].name.encode() for place in order]
        self._places = [(place, keys[place].type == "string") for place in order]
        self._head = struct.pack("<I", len(keys)) + b"".join(
            struct.pack("<II", _STRING, len(name)) + name for name in names
        )
        self._is_one_text = len(keys) == 1 and keys[0].type == "string"
        self._head_of_text = self._head + struct.pack("<I", _STRING)

    def serialized(self, values: Sequence[KeyValue]) -> bytes:
        """Write a key.

        Args:
            values: a text or an int64 by each join key's type, in the order of `keys`.
        """
        if self._is_one_text:
            (text,) = values
            assert isinstance(text, str)
            raw = text.encode()
            return self._head_of_text + len(raw).to_bytes(4, "little") + raw
        parts = [self._head]
        for place, is_text in self._places:
            value = values[place]
            if is_text:
                assert isinstance(value, str)
                raw = value.encode()
                parts.append(struct.pack("<II", _STRING, len(raw)))
                parts.append(raw)
            else:
                parts.append(struct.pack("<IIq", _INT64, 8, value))
        return b"".join(parts)

    def of(self, values: Sequence[KeyValue]) -> str:
        """Give the item's `entity_id`, 32 hex digits; see `serialized`."""
        return mmh3.hash_bytes(self.serialized(values)).hex()
