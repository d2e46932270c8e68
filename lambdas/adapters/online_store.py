"""The online store's table of a view: items in Feast's layout, put and deleted where no later writer has been."""

from __future__ import annotations

import random
import time
from binascii import b2a_base64
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from threading import Event, Lock
from typing import TYPE_CHECKING, Any, TypeVar

from lambdas.adapters.dynamodb_wire import PASSING, Connection, Wire
from sluice.errors import OnlineTableMissing, StorageUnavailable
from sluice.features.materialization import Entity
from sluice.features.online_values import event_microseconds, event_text
from sluice.features.skew import Item

if TYPE_CHECKING:
    from boto3 import Session
    from mypy_boto3_dynamodb import DynamoDBClient

EXPIRES = "expires_at"
"""The attribute by which DynamoDB deletes what nobody may read any more."""

_AS_OF = "as_of"
_WRITERS = 16
_MOST_KEYS = 100  # of a BatchGetItem
_MOST_STATEMENTS = 25  # of a BatchExecuteStatement
_ATTEMPTS = 8
# Of ours the later counts, whatever it says of the time of the values: it saw the whole dataset as it was.
# Feast's own writers leave no such mark; over theirs only newer values go.
_OVER_OURS = "as_of <= :as_of"
_OVER_FEASTS = "attribute_not_exists(as_of) AND event_ts <= :event"
_IS_LATER = f"attribute_not_exists(entity_id) OR {_OVER_OURS} OR ({_OVER_FEASTS})"
_T = TypeVar("_T")
_Answer = TypeVar("_Answer")


class OnlineTable:
    """A view's table.

    Args:
        name: Feast's name of it.
        as_of: when the dataset was looked up that is written, in microseconds since 1970.
        ttl_microseconds: of the view.
    """

    def __init__(self, name: str, *, as_of: int, ttl_microseconds: int | None) -> None:
        self._name = name
        self._as_of = as_of
        self._ttl = ttl_microseconds

    @cached_property
    def _session(self) -> Session:
        import boto3

        return boto3.Session()

    @cached_property
    def _dynamodb(self) -> DynamoDBClient:
        from botocore.config import Config

        # What is busy is asked again with growing pauses.
        config = Config(retries={"mode": "standard", "total_max_attempts": 10})
        return self._session.client("dynamodb", config=config)

    @cached_property
    def _wire(self) -> Wire:
        return Wire.of(self._session, self._dynamodb)

    def id(self) -> str:
        """Give what tells the table from one of the same name that was there before. Raises as `put`."""
        with self._told():
            described = self._dynamodb.describe_table(TableName=self._name)
        # moto knows no TableId.
        return described["Table"]["CreationDateTime"].isoformat()

    def insert(self, entities: Sequence[Entity]) -> list[Entity]:
        """Put items that are not there yet, many with one call; give those that were not put. Raises as `put`.

        Of what was not put it is not told here why: `put` does so, or finds out that it is there.
        """
        batches = [
            entities[start : start + _MOST_STATEMENTS] for start in range(0, len(entities), _MOST_STATEMENTS)
        ]
        return [entity for left in self._each(self._insert, batches) for entity in left]

    def put(self, entities: Sequence[Entity]) -> int:
        """Put items; give how many were written. The others' items are of a later writer, and stay.

        Raises:
            OnlineTableMissing: there is no such table.
            StorageUnavailable: the table is too busy, or cannot be reached.
        """
        return sum(self._each(self._put, entities))

    def delete(self, ids: Sequence[str], moment: int) -> int:
        """Delete items whose values are not of after `moment`; give how many are gone. Raises as `put`."""
        return sum(self._each(lambda connection, id_: self._delete(connection, id_, moment), ids))

    def read(self, ids: Sequence[str]) -> dict[str, Item]:
        """Read items, consistently; of an id that is not there nothing is given. Raises as `put`."""
        found: dict[str, Item] = {}
        for start in range(0, len(ids), _MOST_KEYS):
            left: Any = [{"entity_id": {"S": id_}} for id_ in ids[start : start + _MOST_KEYS]]
            for attempt in range(_ATTEMPTS):
                asked: Any = {self._name: {"Keys": left, "ConsistentRead": True}}
                with self._told():
                    answer = self._dynamodb.batch_get_item(RequestItems=asked)
                for item in answer["Responses"].get(self._name, []):
                    values = {name: value["B"] for name, value in item["values"]["M"].items()}
                    as_of = int(item[_AS_OF]["N"]) if _AS_OF in item else None
                    event = event_microseconds(item["event_ts"]["S"])
                    found[item["entity_id"]["S"]] = Item(event, values, as_of)
                unprocessed: Any = answer["UnprocessedKeys"]
                left = unprocessed.get(self._name, {}).get("Keys")
                if not left:
                    break
                time.sleep(random.uniform(0, 0.05 * 2**attempt))  # noqa: S311 - no secret
            else:
                raise StorageUnavailable(
                    f"the table {self._name} is too busy to be read",
                    where="DynamoDB",
                    why=f"of {len(left)} keys it sent nothing in {_ATTEMPTS} attempts",
                )
        return found

    def _each(self, write: Callable[[Connection, _T], _Answer], given: Sequence[_T]) -> list[_Answer]:
        """Write by several threads, each on a connection of its own; where one fails, the others stop."""
        left, taking, failed = iter(given), Lock(), Event()

        def work() -> list[_Answer]:
            answers = []
            with self._told(), self._wire.connected() as connection:
                while not failed.is_set():
                    with taking:
                        each = next(left, None)
                    if each is None:
                        break
                    try:
                        answers.append(write(connection, each))
                    except BaseException:
                        failed.set()
                        raise
            return answers

        writers = min(_WRITERS, len(given))
        if not writers:
            return []
        with ThreadPoolExecutor(writers) as pool:
            futures = [pool.submit(work) for _ in range(writers)]
            return [answer for future in futures for answer in future.result()]

    def _insert(self, connection: Connection, entities: Sequence[Entity]) -> list[Entity]:
        """Give those that were not inserted, for whatever reason."""
        items = [self._item(entity) for entity in entities]
        # All of them have the same attributes.
        fields = ", ".join(f"'{name}': ?" for name in items[0])
        statement = f'INSERT INTO "{self._name}" VALUE {{{fields}}}'
        request = {
            "Statements": [{"Statement": statement, "Parameters": list(item.values())} for item in items]
        }
        answers = connection.call("BatchExecuteStatement", request)["Responses"]
        return [entity for entity, answer in zip(entities, answers, strict=True) if "Error" in answer]

    def _put(self, connection: Connection, entity: Entity) -> bool:
        item = self._item(entity)
        return self._conditional(connection, "PutItem", Item=item, event=entity.event)

    def _item(self, entity: Entity) -> dict[str, Any]:
        cells = {name: {"B": b2a_base64(raw, newline=False).decode()} for name, raw in entity.values.items()}
        item: dict[str, Any] = {
            "entity_id": {"S": entity.id},
            "event_ts": {"S": event_text(entity.event)},
            "values": {"M": cells},
            _AS_OF: {"N": str(self._as_of)},
        }
        if self._ttl is not None:
            item[EXPIRES] = {"N": str((entity.event + self._ttl) // 1_000_000 + 1)}
        return item

    def _delete(self, connection: Connection, id_: str, moment: int) -> bool:
        return self._conditional(connection, "DeleteItem", Key={"entity_id": {"S": id_}}, event=moment)

    def _conditional(self, connection: Connection, operation: str, *, event: int, **arguments: Any) -> bool:
        from botocore.exceptions import ClientError

        request = {
            "TableName": self._name,
            "ConditionExpression": _IS_LATER,
            "ExpressionAttributeValues": {
                ":as_of": {"N": str(self._as_of)},
                ":event": {"S": event_text(event)},
            },
            **arguments,
        }
        try:
            connection.call(operation, request)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                return False
            raise
        return True

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say in words what is wrong with the table."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "ResourceNotFoundException":
                raise OnlineTableMissing(
                    f"the table {self._name} is not there",
                    where="DynamoDB",
                    why="it was deleted, or the data stack was not deployed since the view was defined",
                    fix="deploy both stacks again: cdk deploy --all",
                ) from error
            if code in PASSING:
                raise StorageUnavailable(
                    f"the table {self._name} is too busy", where="DynamoDB", why=str(error)
                ) from error
            raise
        except BotoCoreError as error:
            raise StorageUnavailable(
                f"the table {self._name} cannot be reached", where="DynamoDB", why=str(error)
            ) from error
