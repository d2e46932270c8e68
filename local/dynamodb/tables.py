"""Moto's tables made fit for threads: one lock, items that never change in place, and the partition of a query."""

from __future__ import annotations

import copy
import functools
import operator
import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.dynamodb.exceptions import ERROR_TYPE_PREFIX, ItemSizeTooLarge
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
from moto.dynamodb.models.table import Table

from local.dynamodb import errors, sizes
from local.dynamodb.throughput import Throughput

# One for all tables: transactions and batches take several, and the interpreter runs one thread at a time anyway.
LOCK = threading.RLock()
THROUGHPUT = Throughput()

# Moto's, which read and then write, or walk over a table while others write it.
LOCKED_IN_BACKEND = (
    *("get_item", "transact_write_items", "create_backup", "restore_table_to_point_in_time"),
    *("execute_statement", "execute_transaction", "batch_execute_statement"),
)
LOCKED_IN_TABLE = ("has_idx_items", "__len__")


def install() -> None:
    """Take moto's methods into the lock; count sizes as DynamoDB does; find a query's partition at once."""
    for owner, names in ((DynamoDBBackend, LOCKED_IN_BACKEND), (Table, LOCKED_IN_TABLE)):
        for name in names:
            setattr(owner, name, _locked(getattr(owner, name)))
    DynamoDBBackend.put_item = _writing(DynamoDBBackend.put_item)
    DynamoDBBackend.delete_item = _writing(DynamoDBBackend.delete_item)
    DynamoDBBackend.update_item = _writing(_updating_a_copy(DynamoDBBackend.update_item))
    DynamoDBBackend.query = _reading(DynamoDBBackend.query)
    DynamoDBBackend.scan = _reading(DynamoDBBackend.scan)
    Table.all_items = _all_items
    Table.query = _querying_a_partition(Table.query)
    Table.scan = _scanning_on(Table.scan)
    DynamoType.size = sizes.value_size
    Item.size = sizes.size_of
    LimitedSizeDict.__setitem__ = _set_attribute
    # Moto keeps every item that it ever made in a list for its dashboard, those of answers included.
    Item.__new__ = staticmethod(lambda cls, *_args, **_kwargs: object.__new__(cls))


def _locked(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def locked(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _calls_functions(self):
            return method(self, *args, **kwargs)
        with LOCK:
            return method(self, *args, **kwargs)

    return locked


def _calls_functions(owner: Any) -> bool:
    """Whether a write may call a stream's Lambda functions: moto waits for them, and they may want the lock."""
    if not isinstance(owner, DynamoDBBackend):
        return False
    return any(table.lambda_event_source_mappings for table in list(owner.tables.values()))


def _writing(write: Callable[..., Any]) -> Callable[..., Any]:
    """A write of one item: alone, and counted."""

    @functools.wraps(write)
    def locked(self: Any, table_name: str, attributes: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        table = self.get_table(table_name)
        if _calls_functions(self):
            return write(self, table_name, attributes, *args, **kwargs)
        with LOCK:
            if not THROUGHPUT.allows(table, "Write"):
                raise _throttled()
            before = _size_of(_item_of(table, attributes))
            result = write(self, table_name, attributes, *args, **kwargs)
            after = _size_of(_item_of(table, attributes))
            THROUGHPUT.take(table, "Write", sizes.write_units(before, after))
            return result

    return locked


def _reading(read: Callable[..., Any]) -> Callable[..., Any]:
    """A query or scan, counted by what it finds. It walks over items that do not change: without the lock."""

    @functools.wraps(read)
    def counted(self: Any, table_name: str, *args: Any, consistent_read: bool = False, **kwargs: Any) -> Any:
        table = self.get_table(table_name)
        with LOCK:
            if not THROUGHPUT.allows(table, "Read"):
                raise _throttled()
        result = read(self, table_name, *args, consistent_read=consistent_read, **kwargs)
        found = sum(sizes.size_of(item) for item in result[0])
        with LOCK:
            THROUGHPUT.take(table, "Read", sizes.read_units(found, consistent=bool(consistent_read)))
        return result

    return counted


def _throttled() -> Exception:
    error: Exception = JsonRESTError(
        f"{ERROR_TYPE_PREFIX}ProvisionedThroughputExceededException", errors.THROTTLED
    )
    return error


def _all_items(self: Any) -> list[Any]:
    """Moto's, which sorts with a comparison of its own for each pair of items, and skips those of earlier pages."""
    with LOCK:
        if self.range_key_attr is None:
            items = list(self.items.values())
        else:
            items = [item for partition in self.items.values() for item in partition.values()]
    after = getattr(self, "items_after", None)
    ordered = [(_order(item.hash_key, item.range_key), item) for item in items]
    if after is not None:
        ordered = [pair for pair in ordered if pair[0] > after]
    return [item for _, item in sorted(ordered, key=operator.itemgetter(0))]


def _order(hash_key: Any, range_key: Any | None) -> tuple[Any, ...]:
    return (hash_key.cast_value,) if range_key is None else (hash_key.cast_value, range_key.cast_value)


def _scanning_on(scan: Callable[..., Any]) -> Callable[..., Any]:
    """Moto looks at each item of a scan's earlier pages: give it a table of those that come after them."""

    @functools.wraps(scan)
    def scan_on(self: Any, filters: Any, limit: Any, start_key: Any, *rest: Any, **more: Any) -> Any:
        index_name = more.get("index_name", rest[1] if len(rest) > 1 else None)
        table = self
        if (
            start_key is not None
            and index_name is None
            and all(start_key.get(name) for name in self.table_key_attrs)
        ):
            table = _view(self)
            start = [DynamoType(start_key[name]) for name in self.table_key_attrs]
            table.items_after = _order(start[0], start[1] if len(start) > 1 else None)
        return scan(table, filters, limit, start_key, *rest, **more)

    return scan_on


def _view(table: Any) -> Any:
    """A table that has all that another has, and may have other items."""
    view = object.__new__(type(table))
    view.__dict__.update(table.__dict__)
    return view


def _updating_a_copy(update_item: Callable[..., Any]) -> Callable[..., Any]:
    """Moto changes an item in place, while another thread may be writing it into an answer."""

    @functools.wraps(update_item)
    def update(self: Any, table_name: str, key: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        table = self.get_table(table_name)
        before = _item_of(table, key)
        if before is not None:
            _place(table, before, copy.deepcopy(before))
        try:
            return update_item(self, table_name, key, *args, **kwargs)
        except BaseException:
            # Moto leaves what it has done until then, or an item that was not there and is only a key.
            if before is not None:
                _place(table, before, before)
            elif (made := _item_of(table, key)) is not None:
                table.delete_item(made.hash_key, made.range_key)
            raise

    return update


def _item_of(table: Any, key: dict[str, Any]) -> Any | None:
    """The item of a key in moto's own form; None where it is no key of the table, which moto finds out itself."""
    if any(not key.get(name) for name in table.table_key_attrs):
        return None
    try:
        found = table.items.get(DynamoType(key[table.hash_key_attr]))
        if table.range_key_attr is None or found is None:
            return found
        return found.get(DynamoType(key[table.range_key_attr]))
    except ArithmeticError:  # a number that is none
        return None


def _size_of(item: Any | None) -> int:
    return 0 if item is None else sizes.size_of(item)


def _place(table: Any, before: Any, item: Any) -> None:
    if before.range_key is None:
        table.items[before.hash_key] = item
    else:
        table.items[before.hash_key][before.range_key] = item


def _querying_a_partition(query: Callable[..., Any]) -> Callable[..., Any]:
    """Moto sorts the whole table and looks at each item's hash key: give it a table of those that have it."""

    @functools.wraps(query)
    def query_partition(self: Any, hash_key: Any, *args: Any, **kwargs: Any) -> Any:
        if hash_key is None or kwargs.get("index_name") or (len(args) > 6 and args[6]):
            return query(self, hash_key, *args, **kwargs)
        partition = _view(self)
        with LOCK:
            found = self.items.get(hash_key)
            partition.items = defaultdict(dict)
            if found is not None:
                partition.items[hash_key] = dict(found) if self.range_key_attr else found
        return query(partition, hash_key, *args, **kwargs)

    return query_partition


def _set_attribute(self: Any, name: str, value: Any) -> None:
    """Moto's check of an item's size, by DynamoDB's count and limit."""
    if sizes.attributes_size({**self, name: value}) > sizes.MAX_ITEM_BYTES:
        raise ItemSizeTooLarge
    dict.__setitem__(self, name, value)
