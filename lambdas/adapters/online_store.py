"""The online store's table of a view: items in Feast's layout, put and deleted where no later writer has been."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sluice.errors import OnlineTableMissing, StorageUnavailable
from sluice.features.materialization import Entity
from sluice.features.online_values import event_microseconds, event_text
from sluice.features.skew import Item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

EXPIRES = "expires_at"
"""The attribute by which DynamoDB deletes what nobody may read any more."""

_AS_OF = "as_of"
_WRITERS = 16
_MOST_KEYS = 100  # of a BatchGetItem
_ATTEMPTS = 8
# Of ours the later counts, whatever it says of the time of the values: it saw the whole dataset as it was.
# Feast's own writers leave no such mark; over theirs only newer values go.
_OVER_OURS = "as_of <= :as_of"
_OVER_FEASTS = "attribute_not_exists(as_of) AND event_ts <= :event"
_IS_LATER = f"attribute_not_exists(entity_id) OR {_OVER_OURS} OR ({_OVER_FEASTS})"
_BUSY = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "RequestLimitExceeded",
        "InternalServerError",
    }
)


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
    def _dynamodb(self) -> DynamoDBClient:
        import boto3
        from botocore.config import Config

        # What is busy is asked again with growing pauses; so many connections as writers.
        config = Config(max_pool_connections=_WRITERS, retries={"mode": "standard", "total_max_attempts": 10})
        return boto3.client("dynamodb", config=config)

    def id(self) -> str:
        """Give what tells the table from one of the same name that was there before. Raises as `put`."""
        with self._told():
            described = self._dynamodb.describe_table(TableName=self._name)
        # moto knows no TableId.
        return described["Table"]["CreationDateTime"].isoformat()

    def put(self, entities: Iterable[Entity]) -> int:
        """Put items; give how many were written. The others' items are of a later writer, and stay.

        Raises:
            OnlineTableMissing: there is no such table.
            StorageUnavailable: the table is too busy, or cannot be reached.
        """
        return self._all(self._put, entities)

    def delete(self, ids: Iterable[str], moment: int) -> int:
        """Delete items whose values are not of after `moment`; give how many are gone. Raises as `put`."""
        return self._all(lambda id_: self._delete(id_, moment), ids)

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

    def _all(self, write: Any, given: Iterable[Any]) -> int:
        with ThreadPoolExecutor(_WRITERS) as pool:
            return sum(pool.map(write, given))

    def _put(self, entity: Entity) -> bool:
        item: dict[str, Any] = {
            "entity_id": {"S": entity.id},
            "event_ts": {"S": event_text(entity.event)},
            "values": {"M": {name: {"B": value} for name, value in entity.values.items()}},
            _AS_OF: {"N": str(self._as_of)},
        }
        if self._ttl is not None:
            item[EXPIRES] = {"N": str((entity.event + self._ttl) // 1_000_000 + 1)}
        return self._conditional("put_item", Item=item, event=entity.event)

    def _delete(self, id_: str, moment: int) -> bool:
        return self._conditional("delete_item", Key={"entity_id": {"S": id_}}, event=moment)

    def _conditional(self, operation: str, *, event: int, **arguments: Any) -> bool:
        with self._told():
            try:
                getattr(self._dynamodb, operation)(
                    TableName=self._name,
                    ConditionExpression=_IS_LATER,
                    ExpressionAttributeValues={
                        ":as_of": {"N": str(self._as_of)},
                        ":event": {"S": event_text(event)},
                    },
                    **arguments,
                )
            except self._dynamodb.exceptions.ConditionalCheckFailedException:
                return False
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
            if code in _BUSY:
                raise StorageUnavailable(
                    f"the table {self._name} is too busy", where="DynamoDB", why=str(error)
                ) from error
            raise
        except BotoCoreError as error:
            raise StorageUnavailable(
                f"the table {self._name} cannot be reached", where="DynamoDB", why=str(error)
            ) from error
