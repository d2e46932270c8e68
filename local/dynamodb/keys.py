"""Primary keys: that they fit a table's schema, and the items that they name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moto.dynamodb.limits import HASH_KEY_MAX_LENGTH, RANGE_KEY_MAX_LENGTH

from local.dynamodb import sizes, values
from local.dynamodb.errors import KEY_SCHEMA, PassOn, invalid


@dataclass(frozen=True)
class Key:
    """The hash and, where the table has one, the range key of an item: DynamoTypes."""

    hash: Any
    range: Any | None

    def same(self) -> Any:
        """What two keys of one item have in common, and other keys have not."""
        return values.comparable(self.hash), None if self.range is None else values.comparable(self.range)

    def find(self, table: Any) -> Any | None:
        """The item in moto's table, None where there is none. Called with the lock held."""
        if self.range is None:
            return table.items.get(self.hash)
        # `get`: reading a hash key that is not there would make a place for it.
        return table.items.get(self.hash, {}).get(self.range)

    def put(self, table: Any, item: Any) -> None:
        """Place an item where moto would. Called with the lock held."""
        if self.range is None:
            table.items[self.hash] = item
        else:
            table.items[self.hash][self.range] = item

    def remove(self, table: Any) -> None:
        """Take the item away, if it is there. Called with the lock held."""
        if self.range is None:
            table.items.pop(self.hash, None)
        elif self.hash in table.items:
            table.items[self.hash].pop(self.range, None)


def key_of(table: Any, given: Any) -> Key:
    """The key that a request names an item by.

    Raises:
        PassOn: it is no key at all.
        Refused: it does not fit the table's schema, or is empty or too long.
    """
    if not isinstance(given, dict):
        raise PassOn
    if given.keys() != set(table.table_key_attrs):
        raise invalid(KEY_SCHEMA)
    key = Key(*(values.parse(given[name]) if name else None for name in _names(table)))
    if not _fits(table, key):
        raise invalid(KEY_SCHEMA)
    _check_lengths(table, key)
    return key


def key_in(table: Any, attributes: Mapping[str, Any]) -> Key:
    """The key of an item that is to be put.

    Raises:
        PassOn: one is missing, of another type, or an empty text; moto says so.
        Refused: one is empty or too long.
    """
    if not all(name in attributes for name in table.table_key_attrs):
        raise PassOn
    key = Key(*(attributes[name] if name else None for name in _names(table)))
    if not _fits(table, key) or "" in (key.hash.value, key.range and key.range.value):
        raise PassOn
    _check_lengths(table, key)
    return key


def _names(table: Any) -> tuple[str, str | None]:
    return table.hash_key_attr, table.range_key_attr


def _fits(table: Any, key: Key) -> bool:
    return bool(
        key.hash.type == table.hash_key_type and (key.range is None or key.range.type == table.range_key_type)
    )


def _check_lengths(table: Any, key: Key) -> None:
    for name, value in zip(_names(table), (key.hash, key.range), strict=True):
        if value is not None and len(value.value) == 0:
            what = "binary" if value.type == "B" else "string"
            raise invalid(
                "One or more parameter values are not valid. The AttributeValue for a key attribute cannot "
                f"contain an empty {what} value. Key: {name}"
            )
    if sizes.value_size(key.hash) > HASH_KEY_MAX_LENGTH:
        raise invalid(
            "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit "
            f"of{HASH_KEY_MAX_LENGTH} bytes"
        )
    if key.range is not None and sizes.value_size(key.range) > RANGE_KEY_MAX_LENGTH:
        raise invalid(
            "One or more parameter values were invalid: Aggregated size of all range keys has exceeded the "
            f"size limit of {RANGE_KEY_MAX_LENGTH} bytes"
        )
