"""DynamoDB without a socket: tables in memory, read through connections whose transport does what a test wants."""

from __future__ import annotations

import asyncio
import base64
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from containers.serve.online.connection import Connection, Pool
from containers.serve.online.credentials import Fixed, Source
from containers.serve.online.reader import Reader
from containers.serve.online.signing import Credentials, Signer
from containers.serve.online.store import Store
from containers.serve.online.views import stored_views
from sluice.features.online_keys import EntityIds
from sluice.features.online_values import encode, event_text
from sluice.features.plan import FeaturePlan

CREDENTIALS = Credentials("AKIDEXAMPLE", "secret")


@dataclass
class Request:
    """What was asked, as it came."""

    head: str
    document: dict[str, Any]

    @property
    def keys(self) -> int:
        return sum(len(part["Keys"]) for part in self.document["RequestItems"].values())


def reply(document: Any, status: int = 200, *, crc: int | None = None) -> bytes:
    body = json.dumps(document).encode()
    return (
        f"HTTP/1.1 {status} Whatever\r\nContent-Type: application/x-amz-json-1.0\r\n"
        f"x-amz-crc32: {zlib.crc32(body) if crc is None else crc}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def error(name: str, message: str = "", status: int = 400) -> bytes:
    return reply({"__type": f"com.amazonaws.dynamodb.v20120810#{name}", "message": message}, status)


Step = Callable[["Link", bytes], None]
"""What happens instead of an answer: it is given the link, and the answer as it would have been."""


def say(answer: bytes) -> Step:
    return lambda link, _right: link.deliver(answer)


def nothing(_link: Link, _right: bytes) -> None:
    """No answer at all."""


def half_and_close(link: Link, right: bytes) -> None:
    link.deliver(right[: len(right) // 2])
    link.close()


def close(link: Link, _right: bytes) -> None:
    link.close()


def wrong_crc(link: Link, right: bytes) -> None:
    _, _, body = right.partition(b"\r\n\r\n")
    link.deliver(reply(json.loads(body), crc=zlib.crc32(body) ^ 1))


def cut_short(link: Link, right: bytes) -> None:
    """A whole reply of half a document."""
    _, _, body = right.partition(b"\r\n\r\n")
    half = body[: len(body) // 2]
    link.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(half) + half)


class Link(asyncio.Transport):
    """A connection's transport."""

    def __init__(self, dynamo: Dynamo, connection: Connection) -> None:
        super().__init__()
        self._dynamo = dynamo
        self._connection = connection
        self._is_closing = False
        self._loop = asyncio.get_running_loop()

    def write(self, data: Any) -> None:
        assert not self._is_closing
        self._dynamo.take(self, bytes(data))

    def is_closing(self) -> bool:
        return self._is_closing

    def deliver(self, data: bytes) -> None:
        if not self._is_closing:
            self._connection.data_received(data)

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._loop.call_soon(self._connection.connection_lost, None)

    abort = close


@dataclass
class Dynamo:
    """The tables, and what happens to the requests to come.

    Attributes:
        steps: one for each request; when they are used up, answers are right. `always` stays.
        unprocessed: so many keys of each request are given back unread.
    """

    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    always: Step | None = None
    unprocessed: int = 0
    refuses_connections: bool = False
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    open_requests: int = 0
    most_open_requests: int = 0

    def put(
        self, plan: FeaturePlan, store: str, view: str, keys: Mapping[str, Any], event: int, **values: Any
    ) -> None:
        """Write a row as Feast does; features that are not named are not in it."""
        of_view = next(each for each in plan.views if each.name == view)
        types = {feature.name: feature.type for feature in of_view.features}
        entity_id = EntityIds(of_view.keys).of([keys[key.name] for key in of_view.keys])
        cells = {
            name: {"B": base64.b64encode(encode(value, types[name])).decode()}
            for name, value in values.items()
        }
        item = {"entity_id": {"S": entity_id}, "event_ts": {"S": event_text(event)}, "values": {"M": cells}}
        self.tables.setdefault(f"{store}.{view}", {})[entity_id] = item

    async def connect(self) -> Connection:
        if self.refuses_connections:
            raise ConnectionRefusedError("nobody listens")
        self.connections += 1
        connection = Connection()
        connection.connection_made(Link(self, connection))
        return connection

    def take(self, link: Link, data: bytes) -> None:
        head, _, body = data.partition(b"\r\n\r\n")
        request = Request(head.decode(), json.loads(body))
        self.requests.append(request)
        self.open_requests += 1
        self.most_open_requests = max(self.most_open_requests, self.open_requests)
        step = self.steps.pop(0) if self.steps else self.always
        asyncio.get_running_loop().call_soon(self._answer, link, request, step)

    def _answer(self, link: Link, request: Request, step: Step | None) -> None:
        self.open_requests -= 1
        right = self._right(request.document["RequestItems"])
        if step is None:
            # In two pieces, as a network likes to do.
            link.deliver(right[:60])
            link.deliver(right[60:])
        else:
            step(link, right)

    def _right(self, wanted: dict[str, Any]) -> bytes:
        if sum(len(part["Keys"]) for part in wanted.values()) > 100:
            return error("ValidationException", "Too many items requested for the BatchGetItem call")
        responses: dict[str, Any] = {}
        left: dict[str, Any] = {}
        to_leave = self.unprocessed
        for table, part in wanted.items():
            if table not in self.tables:
                return error("ResourceNotFoundException", "Requested resource not found")
            ids = [key["entity_id"]["S"] for key in part["Keys"]]
            if len(set(ids)) < len(ids):
                return error("ValidationException", "Provided list of item keys contains duplicates")
            if unread := ids[:to_leave]:
                left[table] = part | {"Keys": [{"entity_id": {"S": each}} for each in unread]}
                to_leave -= len(unread)
            items = (self.tables[table].get(each) for each in reversed(ids[len(unread) :]))
            responses[table] = [_projected(item, part) for item in items if item is not None]
        return reply({"Responses": responses, "UnprocessedKeys": left})


def _projected(item: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    names = part["ExpressionAttributeNames"]
    for path in part["ProjectionExpression"].split(","):
        name, *inner = (names.get(each, each) for each in path.strip().split("."))
        if not inner:
            found[name] = item[name]
        elif inner[0] in item[name]["M"]:
            found.setdefault(name, {"M": {}})["M"][inner[0]] = item[name]["M"][inner[0]]
    return found


class Counted:
    """Counts what a store does."""

    def __init__(self) -> None:
        self.reads: list[int] = []
        self.retries = 0

    def read(self, keys: int) -> None:
        self.reads.append(keys)

    def again(self) -> None:
        self.retries += 1


def store_of(
    dynamo: Dynamo,
    plan: FeaturePlan,
    counting: Any = None,
    source: Source | None = None,
    attempt_seconds: float = 5.0,
) -> Store:
    return Store(
        stored_views(plan, "shop"),
        Pool(dynamo.connect),
        Signer("dynamodb.eu-central-1.amazonaws.com", "eu-central-1"),
        source or Fixed(CREDENTIALS),
        counting or Counted(),
        attempt_seconds,
    )


def reader_of(dynamo: Dynamo, plan: FeaturePlan, most_batches: int = 4, **given: Any) -> Reader:
    return Reader(store_of(dynamo, plan, **given), most_batches)
