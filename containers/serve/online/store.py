"""Reads items of several views with one BatchGetItem after the other, until all are there or the time is over."""

from __future__ import annotations

import asyncio
import random
import time
import zlib
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Protocol, TypeAlias

import orjson

from containers.serve.online.connection import Broken, Pool, Reply
from containers.serve.online.credentials import Source
from containers.serve.online.failures import FeatureStoreUnavailable, UnreadableFeatures
from containers.serve.online.signing import Credentials, Signer
from containers.serve.online.views import Row, StoredView

MOST_KEYS = 100
"""Of a BatchGetItem: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html"""

_TARGET = "DynamoDB_20120810.BatchGetItem"

# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
_PASSING = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
        "LimitExceededException",
        "InternalServerError",
        "ItemCollectionSizeLimitExceededException",
    }
)
_OF_CREDENTIALS = frozenset(
    {
        "ExpiredTokenException",
        "ExpiredToken",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "UnrecognizedClientException",
    }
)
_FIRST_PAUSE_SECONDS = 0.025
_LONGEST_PAUSE_SECONDS = 1.0

Place: TypeAlias = tuple[int, str]
"""Where an entity's row lies: the view's number, and the item's name."""

Found: TypeAlias = Callable[[Place, Row | UnreadableFeatures | None], None]
"""Is told of each row as soon as it was read; None: there is no such item."""


class Counting(Protocol):
    """What is told about reading."""

    def read(self, keys: int) -> None:
        """A BatchGetItem of so many keys was sent."""

    def again(self) -> None:
        """One has to be sent again, for some of its keys at the least."""


class _Passing(Exception):
    """It may be otherwise the next time; `at_once`: no need to wait for that."""

    def __init__(self, why: str, *, at_once: bool = False) -> None:
        self.at_once = at_once
        super().__init__(why)


class Store:
    """The tables of the views.

    Args:
        pool: connections to DynamoDB.
        attempt_seconds: a reply is waited for so long before the same is asked on another connection.
    """

    def __init__(
        self,
        views: Sequence[StoredView],
        pool: Pool,
        signer: Signer,
        credentials: Source,
        counting: Counting,
        attempt_seconds: float = 2.0,
    ) -> None:
        self._views = views
        self._numbers = {view.table: number for number, view in enumerate(views)}
        self._heads = [orjson.dumps(view.table) + b':{"Keys":[' for view in views]
        self._pool = pool
        self._signer = signer
        self._credentials = credentials
        self._counting = counting
        self._attempt_seconds = attempt_seconds
        self._refused: Credentials | None = None

    async def read(self, places: Collection[Place], until: float, found: Found) -> None:
        """Read rows; `found` is told of each of them.

        Args:
            places: at most MOST_KEYS, each once.
            until: by the event loop's clock.
            found: is called for those that could be read, also where others could not.

        Raises:
            FeatureStoreUnavailable: some could not be read.
        """
        left = set(places)
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            try:
                why = self._take(await self._ask(left, until - loop.time()), left, found)
                if not left:
                    return
                at_once = False
            except _Passing as passing:
                why, at_once = str(passing), passing.at_once and failures == 0
            self._counting.again()
            pause = 0.0
            if not at_once:
                longest = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2**failures)
                pause = random.uniform(0, longest)  # noqa: S311  # of which nothing secret is made
            failures += 1
            if loop.time() + pause >= until:
                raise FeatureStoreUnavailable(
                    f"{len(left)} of {len(places)} rows of features were not read in time",
                    where=self._where(left),
                    why=why,
                    fix="come back in a second; where it stays so, look at the tables' throttled reads",
                )
            await asyncio.sleep(pause)

    async def _ask(self, places: Collection[Place], seconds: float) -> Reply:
        credentials = await self._credentials.current()
        self._counting.read(len(places))
        request = self._signer.request(_TARGET, self._body(places), credentials, time.time())
        try:
            reply = await self._pool.exchange(request, max(0.001, min(seconds, self._attempt_seconds)))
        except Broken as error:
            # A connection that was kept may have ended just now; a reading can be done twice.
            raise _Passing(str(error), at_once=True) from error
        except TimeoutError:
            raise _Passing(f"no reply after {min(seconds, self._attempt_seconds):.3g} s") from None
        if reply.status != 200:
            await self._refuse(reply, credentials, places)
        return reply

    def _body(self, places: Iterable[Place]) -> bytes:
        keys: dict[int, list[str]] = {}
        for number, entity_id in places:
            keys.setdefault(number, []).append(entity_id)
        tables = (
            self._heads[number]
            # Hex digits: nothing to be escaped.
            + ('{"entity_id":{"S":"' + '"}},{"entity_id":{"S":"'.join(ids) + '"}}').encode()
            + self._views[number].projection
            for number, ids in keys.items()
        )
        return b'{"RequestItems":{' + b",".join(tables) + b"}}"

    def _take(self, reply: Reply, left: set[Place], found: Found) -> str:
        """Hand on what a reply holds, and take it from what is left; say why something is."""
        document = _checked(reply)
        unprocessed: set[Place] = set()
        try:
            for table, part in (document.get("UnprocessedKeys") or {}).items():
                number = self._numbers[table]
                unprocessed.update((number, key["entity_id"]["S"]) for key in part["Keys"])
            for table, items in document["Responses"].items():
                number = self._numbers[table]
                view = self._views[number]
                for item in items:
                    place = (number, item["entity_id"]["S"])
                    if place in left:
                        left.remove(place)
                        found(place, _row(view, item))
        except (KeyError, TypeError, AttributeError) as error:
            raise _Passing(f"no answer of DynamoDB: {type(error).__name__}: {error}") from error
        for place in left - unprocessed:
            found(place, None)
        left &= unprocessed
        return "it gave back keys without having read them (UnprocessedKeys)"

    async def _refuse(self, reply: Reply, credentials: Credentials, places: Collection[Place]) -> None:
        name, message = _error(reply)
        told = f"{name}: {message}" if message else name
        if reply.status >= 500 or name in _PASSING:
            raise _Passing(told)
        if name in _OF_CREDENTIALS and self._refused is not credentials:
            other = await self._credentials.renewed(credentials)
            if other is not None:
                self._refused = credentials
                raise _Passing(told, at_once=True)
        where = self._where(places)
        if name == "ResourceNotFoundException":
            raise FeatureStoreUnavailable(
                "a table of the online store is not there",
                where=where,
                why=told,
                fix="deploy the project's features, or restore the table: it is read again as soon as it is there",
            )
        raise FeatureStoreUnavailable(
            "the online store refuses to be read",
            where=where,
            why=told,
            fix="look at the role of the model, and at its clock",
        )

    def _where(self, places: Iterable[Place]) -> str:
        tables = sorted({self._views[number].table for number, _ in places})
        return f"table{'s' if len(tables) > 1 else ''} {', '.join(tables)}"


def _row(view: StoredView, item: dict[str, Any]) -> Row | UnreadableFeatures:
    try:
        return view.row(item)
    except UnreadableFeatures as error:
        return error


def _checked(reply: Reply) -> dict[str, Any]:
    """Give the document of a reply that is what was sent."""
    told = reply.headers.get(b"x-amz-crc32")
    if told is not None and told != b"%d" % zlib.crc32(reply.body):
        raise _Passing("the reply is not what was sent: its CRC-32 differs")
    try:
        document = orjson.loads(reply.body)
    except ValueError as error:
        raise _Passing(f"the reply is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise _Passing("the reply is no object")
    return document


def _error(reply: Reply) -> tuple[str, str]:
    """Give the name and the text of an error."""
    try:
        document = orjson.loads(reply.body)
        name = str(document["__type"]).rpartition("#")[2]
        return name, str(document.get("message") or document.get("Message") or "")
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"HTTP {reply.status}", ""
