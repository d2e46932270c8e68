"""PutItem, DeleteItem and BatchWriteItem, into moto's tables.

Tables with secondary indexes or a stream are written by moto.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from local.dynamodb import errors, requests, sizes, tables, values
from local.dynamodb.conditions import Condition, condition_of
from local.dynamodb.errors import PassOn, Refused, invalid
from local.dynamodb.keys import Key, key_in, key_of

MAX_WRITES = 25
_CONDITIONED = frozenset(
    {
        *("TableName", "ConditionExpression", "ExpressionAttributeNames", "ExpressionAttributeValues"),
        *("ReturnValues", "ReturnValuesOnConditionCheckFailure"),
        *("ReturnConsumedCapacity", "ReturnItemCollectionMetrics"),
    }
)
_PUT = _CONDITIONED | {"Item"}
_DELETE = _CONDITIONED | {"Key"}
_BATCH_WRITE = frozenset({"RequestItems", "ReturnConsumedCapacity", "ReturnItemCollectionMetrics"})


@dataclass(frozen=True)
class Write:
    """An item to be put, or, where it is None, deleted; `given` is what asked for it."""

    table: Any
    key: Key
    item: Any | None
    given: Mapping[str, Any]

    def apply(self) -> float:
        """Write. The capacity units that it has cost. Called with the lock held."""
        before = self.key.find(self.table)
        if self.item is None:
            self.key.remove(self.table)
        else:
            self.key.put(self.table, self.item)
        units = sizes.write_units(
            *(0 if each is None else sizes.size_of(each) for each in (before, self.item))
        )
        tables.THROUGHPUT.take(self.table, "Write", units)
        return units


def put_item(backend: Any, request: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to PutItem, which may hold DynamoTypes.

    Raises:
        PassOn: it is for moto to do; nothing has been written.
        Refused: DynamoDB refuses it, or the condition does not hold.
    """
    requests.check_parameters(request, _PUT)
    table = requests.table_of(backend, request.get("TableName"))
    return _write_one(put_of(table, request.get("Item"), request), request)


def delete_item(backend: Any, request: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to DeleteItem. Raises as `put_item`."""
    requests.check_parameters(request, _DELETE)
    table = requests.table_of(backend, request.get("TableName"))
    return _write_one(_delete(table, request.get("Key"), request), request)


def batch_write_item(backend: Any, request: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to BatchWriteItem. Raises as `put_item`."""
    requests.check_parameters(request, _BATCH_WRITE)
    wanted = requests.capacity_wanted(request)
    requests.choice(request, "ReturnItemCollectionMetrics", "SIZE", "NONE")
    by_table = {
        requests.table_of(backend, name): [_batched(backend, name, each) for each in given]
        for name, given in _by_table(request)
    }
    for writes in by_table.values():
        if len({write.key.same() for write in writes}) != len(writes):
            raise invalid(errors.DUPLICATES)
    check_is_plain(by_table)
    units = dict.fromkeys(by_table, 0.0)
    unprocessed: dict[str, list[Mapping[str, Any]]] = {}
    with tables.LOCK:
        for table, writes in by_table.items():
            for write in writes:
                if tables.THROUGHPUT.allows(table, "Write"):
                    units[table] += write.apply()
                else:
                    unprocessed.setdefault(table.name, []).append(write.given)
    if not any(units.values()):
        raise errors.throttled()
    answer: dict[str, Any] = {"UnprocessedItems": unprocessed}
    if wanted != "NONE":
        answer["ConsumedCapacity"] = [requests.consumed(wanted, table, used) for table, used in units.items()]
    return answer


def _write_one(write: Write, request: Mapping[str, Any]) -> dict[str, Any]:
    wanted = requests.capacity_wanted(request)
    returned = requests.choice(request, "ReturnValues", "ALL_OLD", "NONE")
    on_failure = requests.choice(request, "ReturnValuesOnConditionCheckFailure", "ALL_OLD", "NONE")
    requests.choice(request, "ReturnItemCollectionMetrics", "SIZE", "NONE")
    condition = condition_of(request)
    check_is_plain([write.table])
    with tables.LOCK:
        if not tables.THROUGHPUT.allows(write.table, "Write"):
            raise errors.throttled()
        before = write.key.find(write.table)
        if condition is not None:
            _check_holds(condition, write.table, before, show=on_failure == "ALL_OLD")
        units = write.apply()
    answer: dict[str, Any] = {}
    if returned == "ALL_OLD" and before is not None:
        answer["Attributes"] = before.attrs
    if wanted != "NONE":
        answer["ConsumedCapacity"] = requests.consumed(wanted, write.table, units)
    return answer


def _check_holds(condition: Condition, table: Any, before: Any | None, *, show: bool) -> None:
    if condition({} if before is None else before.attrs):
        return
    size = 0 if before is None else sizes.size_of(before)
    tables.THROUGHPUT.take(
        table, "Write", sizes.write_units(size)
    )  # a refused write costs as one that is done
    more = {"Item": before.attrs} if show and before is not None else {}
    raise Refused("ConditionalCheckFailedException", "The conditional request failed", **more)


def put_of(table: Any, given: Any, request: Mapping[str, Any]) -> Write:
    """The write of an item as it stands in a request. Raises as `put_item`."""
    attributes = values.parse_item(given)
    key = key_in(table, attributes)
    return Write(table, key, values.make_item(key.hash, key.range, attributes), request)


def _delete(table: Any, given: Any, request: Mapping[str, Any]) -> Write:
    return Write(table, key_of(table, given), None, request)


def _batched(backend: Any, name: str, request: Any) -> Write:
    table = requests.table_of(backend, name)
    match request:
        case {"PutRequest": {"Item": item, **others}, **more} if not others and not more:
            return put_of(table, item, request)
        case {"DeleteRequest": {"Key": key, **others}, **more} if not others and not more:
            return _delete(table, key, request)
    raise PassOn


def _by_table(request: Mapping[str, Any]) -> list[tuple[str, list[Any]]]:
    by_table = request.get("RequestItems")
    if not isinstance(by_table, dict) or not all(isinstance(each, list) for each in by_table.values()):
        raise PassOn
    if not by_table:
        raise invalid(
            "1 validation error detected: Value '{}' at 'requestItems' failed to satisfy constraint: "
            "Member must have length greater than or equal to 1"
        )
    for name, writes in by_table.items():
        if not 1 <= len(writes) <= MAX_WRITES:
            raise invalid(
                f"1 validation error detected: Value '{{{name}=[{'...' if writes else ''}]}}' at 'requestItems' "
                "failed to satisfy constraint: Map value must satisfy constraint: [Member must have length less "
                f"than or equal to {MAX_WRITES}, Member must have length greater than or equal to 1]"
            )
    if sum(map(len, by_table.values())) > MAX_WRITES:
        raise invalid("Too many items requested for the BatchWriteItem call")
    return list(by_table.items())


def check_is_plain(written: Iterable[Any]) -> None:
    """Raises PassOn where more than the table itself has to be written."""
    if any(table.indexes or table.global_indexes or table.stream_shard is not None for table in written):
        raise PassOn
