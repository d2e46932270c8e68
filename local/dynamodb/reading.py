"""GetItem and BatchGetItem, from moto's tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from local.dynamodb import errors, requests, sizes, tables
from local.dynamodb.errors import PassOn, invalid
from local.dynamodb.keys import Key, key_of
from local.dynamodb.paths import Projection, projection_of
from local.dynamodb.values import Json, json_of

MAX_KEYS = 100
_READ = frozenset({"ConsistentRead", "ProjectionExpression", "ExpressionAttributeNames"})
_GET = _READ | {"TableName", "Key", "ReturnConsumedCapacity"}
_BATCH_GET = frozenset({"RequestItems", "ReturnConsumedCapacity"})
_BATCH_GET_TABLE = _READ | {"Keys"}


def get_item(backend: Any, request: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to GetItem, which may hold DynamoTypes.

    Raises:
        PassOn: it is for moto to answer.
        Refused: DynamoDB refuses it.
    """
    requests.check_parameters(request, _GET)
    table = requests.table_of(backend, request.get("TableName"))
    key = key_of(table, request.get("Key"))
    consistent = requests.flag(request, "ConsistentRead")
    wanted = requests.capacity_wanted(request)
    projection = projection_of(request)
    with tables.LOCK:
        if not tables.THROUGHPUT.allows(table, "Read"):
            raise errors.throttled()
        item = key.find(table)
        units = sizes.read_units(_size(item), consistent=consistent)
        tables.THROUGHPUT.take(table, "Read", units)
    answer: dict[str, Any] = {}
    if item is not None:
        answer["Item"] = _shown(item, projection)
    if wanted != "NONE":
        answer["ConsumedCapacity"] = requests.consumed(wanted, table, units)
    return answer


def batch_get_item(backend: Any, request: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to BatchGetItem: items in the order of their keys; what is too much in UnprocessedKeys.

    Raises as `get_item`.
    """
    requests.check_parameters(request, _BATCH_GET)
    wanted = requests.capacity_wanted(request)
    reads = [_Read.parse(backend, name, each) for name, each in _by_table(request)]
    answer: dict[str, Any] = {"Responses": {}, "UnprocessedKeys": {}}
    size = 0
    with tables.LOCK:
        for read in reads:
            for key, given in zip(read.keys, read.request["Keys"], strict=True):
                if not tables.THROUGHPUT.allows(read.table, "Read"):
                    read.unprocessed.append(given)
                    continue
                item = key.find(read.table)
                bytes_read = _size(item)
                if size + bytes_read > sizes.MAX_ANSWER_BYTES:
                    read.unprocessed.append(given)
                    continue
                size += bytes_read
                units = sizes.read_units(bytes_read, consistent=read.consistent)
                tables.THROUGHPUT.take(read.table, "Read", units)
                read.units += units
                if item is not None:
                    read.items.append(item)
    if not any(read.units for read in reads):
        raise errors.throttled()
    for read in reads:
        answer["Responses"][read.table.name] = [_shown(item, read.projection) for item in read.items]
        if read.unprocessed:
            answer["UnprocessedKeys"][read.table.name] = {**read.request, "Keys": read.unprocessed}
    if wanted != "NONE":
        answer["ConsumedCapacity"] = [requests.consumed(wanted, read.table, read.units) for read in reads]
    return answer


@dataclass
class _Read:
    """What a BatchGetItem asks of one table, and finds there."""

    table: Any
    request: Mapping[str, Any]
    keys: list[Key]
    consistent: bool
    projection: Projection | None
    items: list[Any] = field(default_factory=list)
    unprocessed: list[Any] = field(default_factory=list)
    units: float = 0.0

    @classmethod
    def parse(cls, backend: Any, name: str, request: Mapping[str, Any]) -> _Read:
        requests.check_parameters(request, _BATCH_GET_TABLE)
        table = requests.table_of(backend, name)
        keys = [key_of(table, given) for given in request["Keys"]]
        if len({key.same() for key in keys}) != len(keys):
            raise invalid(errors.DUPLICATES)
        consistent = requests.flag(request, "ConsistentRead")
        return cls(table, request, keys, consistent, projection_of(request))


def _by_table(request: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    by_table = request.get("RequestItems")
    if not isinstance(by_table, dict):
        raise PassOn
    if not by_table:
        raise invalid(
            "1 validation error detected: Value '{}' at 'requestItems' failed to satisfy constraint: "
            "Member must have length greater than or equal to 1"
        )
    number = 0
    for name, each in by_table.items():
        if not isinstance(each, dict) or not isinstance(each.get("Keys"), list):
            raise PassOn
        if not each["Keys"]:
            raise invalid(
                f"1 validation error detected: Value '[]' at 'requestItems.{name}.member.keys' failed to satisfy "
                "constraint: Member must have length greater than or equal to 1"
            )
        number += len(each["Keys"])
    if number > MAX_KEYS:
        raise PassOn  # moto refuses it
    return list(by_table.items())


def _size(item: Any) -> int:
    return 0 if item is None else sizes.size_of(item)


def _shown(item: Any, projection: Projection | None) -> Mapping[str, Any] | Json:
    """What is read of an item. It is read again, and by many: one that never changes keeps its JSON."""
    asked = None if projection is None else projection.asked
    kept = getattr(item, "told", None)
    if kept is None or kept[0] != asked:
        shown = item.attrs if projection is None else projection.apply(item.attrs)
        if not sizes.is_known(item):
            return shown
        # Of one way to ask for it: who serves always asks for the same features.
        kept = item.told = asked, json_of(shown)
    told: Json = kept[1]
    return told
