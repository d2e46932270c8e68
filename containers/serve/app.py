"""The ASGI application: /ping, /invocations and /metrics, and every refusal as JSON."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
import orjson

from containers.predictions import Predictions, joined
from containers.serve.encoding import DEFAULT, ENCODERS, choose, encode
from containers.serve.metrics import Counters, prometheus
from containers.serve.online.failures import FeatureStoreUnavailable
from containers.serve.scorer import Scorer
from containers.serve.settings import Settings
from sluice.contract import Columns
from sluice.decoding.bodies import DECODERS, decode, looks_like
from sluice.errors import RequestError, SluiceError

if TYPE_CHECKING:
    from containers.serve.online.by_id import ById, Wanted

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

# The event loop itself answers bodies up to this size, and of up to so many rows: a few milliseconds' work by the
# native engine, in which nobody else is answered.
_AT_ONCE_BYTES = 512 * 1024
_AT_ONCE_ROWS = 8192
_BLOCK_ROWS = 8192
"""Rows that a thread scores before it looks whether anybody still waits for them."""
_MOST_REMEMBERED = 256
_CHARSETS = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})

_FEW_ENTITIES_BYTES = 16 * 1024
"""Of a body that asks by id; its rows are read in a millisecond."""
_PARQUET = "application/x-parquet"

_T = TypeVar("_T")

logger = logging.getLogger(__name__)


# Not frozen: one is made for each request, and to freeze it costs more than all else of its making.
@dataclass(slots=True)
class Answer:
    """A whole HTTP response."""

    status: int
    body: bytes
    media_type: str = DEFAULT
    headers: dict[str, str] = field(default_factory=dict)


class _Refusal(Exception):
    """The request ends here, with this answer."""

    def __init__(self, status: int, error: str, message: str, **headers: str) -> None:
        body = orjson.dumps({"error": error, "message": message})
        self.answer = Answer(status, body, headers=headers)
        super().__init__(message)


class _Disconnected(Exception):
    """The client is gone: nobody waits for an answer."""


class _Work:
    """What a thread does for one request, which has to stop when its client was told that it took too long.

    Attributes:
        is_quick: the scorer was not asked yet for an answer from the bytes.
        may_ask: it was not looked at yet whether the body asks by id.
    """

    def __init__(self, body: bytes, media_type: str, accepted: str, *, is_quick: bool, may_ask: bool) -> None:
        self.body = body
        self.media_type = media_type
        self.accepted = accepted
        self.is_quick = is_quick
        self.may_ask = may_ask
        self.is_wanted = True

    def go_on(self) -> None:
        """Raise _Disconnected where nobody waits any more."""
        if not self.is_wanted:
            raise _Disconnected


class Application:
    """Answers for one scorer.

    What the scorer can answer from the bytes alone is answered on the event loop. The rest is decoded and scored in a
    thread, one request at a time, so that /ping answers meanwhile; when more of them wait than the queue holds, the
    next one is told to come back. What entities are asked for by id is read on the event loop, before it is scored.

    Args:
        by_id: answers for entities; None where the model has no feature plan.
    """

    def __init__(
        self, scorer: Scorer, settings: Settings, counters: Counters, by_id: ById | None = None
    ) -> None:
        self._scorer = scorer
        self._by_id = by_id
        self._quick = scorer.answer if by_id is None or not by_id.may_look_like_rows else self._quick_but_ids
        self._settings = settings
        self._counters = counters
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="scoring")
        self._in_thread = 0
        self._length_digits = len(str(settings.max_body_bytes))
        self._types: dict[tuple[bytes, bytes], tuple[str, str]] = {}
        contract = scorer.contract
        # A value takes a byte at the least: so long a body cannot hold too many rows.
        self._few_rows_bytes = min(_AT_ONCE_BYTES, len(contract.features) * _AT_ONCE_ROWS)
        self._ping = orjson.dumps(
            {
                "status": "Healthy",
                "problem": contract.target.problem,
                "target": contract.target.name,
                "features": len(contract.features),
                "dataset_version": contract.dataset_version,
                "versions": contract.versions,
                "scoring": scorer.scoring.model_dump(exclude={"rows", "exact"}),
            }
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # lifespan and websockets are not spoken here
            raise RuntimeError(f"unsupported ASGI scope {scope['type']!r}")
        if scope["path"] == "/invocations" and scope["method"] == "POST":
            await self._answer_invocation(scope, receive, send)
            return
        try:
            answer = self._answer_other(scope)
        except _Refusal as refusal:
            answer = refusal.answer
        await _send(answer, send, with_body=scope["method"] != "HEAD")

    async def _answer_invocation(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        quick = False
        try:
            media_type, accepted = self._negotiate(scope["headers"])
            body = await self._read(receive)
            media_type = media_type or looks_like(body)
            found = None
            at_once = len(body) <= self._few_rows_bytes or self._holds_few_rows(body, media_type)
            if at_once:
                found = self._quick(body, media_type, accepted)
            if found is not None:
                answer, quick = Answer(200, found, accepted), True
            else:
                answer = await self._answer_slowly(body, media_type, accepted, started, at_once=at_once)
        except _Refusal as refusal:
            answer = refusal.answer
        except _Disconnected:
            return
        except Exception as error:
            logger.exception("unforeseen error")
            answer = _Refusal(500, "InternalError", f"{type(error).__name__}: {error}").answer
        self._counters.request(answer.status, time.perf_counter() - started, quick=quick)
        await _send(answer, send, with_body=True)

    def _holds_few_rows(self, body: bytes, media_type: str) -> bool:
        """Tell whether a body is short enough to be answered at once, by what begins or ends its rows."""
        if len(body) > _AT_ONCE_BYTES:
            return False
        # In JSON a value takes two bytes, with what divides it from the next, and a row another two.
        if media_type != "text/csv" and len(body) <= 2 * self._few_rows_bytes:
            return True
        characters = np.frombuffer(body, np.uint8)
        return sum(int(np.count_nonzero(characters == mark)) for mark in b"\n[{") <= _AT_ONCE_ROWS

    def _answer_other(self, scope: Scope) -> Answer:
        path = scope["path"]
        if path == "/ping":
            _require_method(scope, "GET", "HEAD")
            return Answer(200, self._ping)
        if path == "/metrics":
            _require_method(scope, "GET", "HEAD")
            return Answer(200, prometheus(self._counters.totals.sums()), "text/plain; version=0.0.4")
        if path == "/invocations":
            _require_method(scope, "POST")
        raise _Refusal(404, "NotFound", f"no such path: {path}; there are /ping, /invocations and /metrics")

    def _negotiate(self, headers: list[tuple[bytes, bytes]]) -> tuple[str, str]:
        """Choose the body's and the answer's type; what was asked for before is looked up."""
        content_type = accept = b""
        for name, value in headers:
            if name == b"content-type":
                # Two that contradict each other are none of ours; so are two that agree.
                content_type = value if not content_type else content_type + b", " + value
            elif name == b"accept":
                accept = value if not accept else accept + b"," + value
            elif name == b"content-length" and len(value) >= self._length_digits:
                self._refuse_length(value)
        known = self._types.get((content_type, accept))
        if known is None:
            known = _negotiated(content_type.decode("latin-1"), accept.decode("latin-1"))
            if len(self._types) < _MOST_REMEMBERED:
                self._types[content_type, accept] = known
        return known

    def _refuse_length(self, value: bytes) -> None:
        # Python reads no number of thousands of digits; twenty are too many anyway.
        length = value.lstrip(b"0")[:20]
        if length.isdigit() and int(length) > self._settings.max_body_bytes:
            raise self._too_large(f"{int(length):,} bytes")

    async def _read(self, receive: Receive) -> bytes:
        # Not timed: that costs as much as an answer. Whether a body begins at all is what protocol.py looks after.
        message = await receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            body: bytes = message.get("body", b"")
            if len(body) <= self._settings.max_body_bytes:
                return body
            raise self._too_large("more")
        return await self._read_on(message, receive)

    async def _read_on(self, message: Message, receive: Receive) -> bytes:
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._settings.seconds):
                while True:
                    if message["type"] == "http.disconnect":
                        raise _Disconnected
                    chunk = message.get("body", b"")
                    size += len(chunk)
                    if size > self._settings.max_body_bytes:
                        raise self._too_large("more")
                    chunks.append(chunk)
                    if not message.get("more_body", False):
                        return b"".join(chunks)
                    message = await receive()
        except TimeoutError:
            raise _Refusal(
                408,
                "RequestTimeout",
                f"the body was not there after {self._settings.seconds:g} s; {size:,} bytes had come",
                connection="close",
            ) from None

    def _too_large(self, found: str) -> _Refusal:
        limit = self._settings.max_body_bytes
        message = f"the body may hold {limit:,} bytes, found {found}; send the rows in several requests"
        # The rest of the body was not read: the connection cannot be used again.
        return _Refusal(413, "RequestTooLarge", message, connection="close")

    def _quick_but_ids(self, body: bytes, media_type: str, accepted: str) -> bytes | None:
        """Answer like the scorer; but a header of join keys may look like a row of texts, and is none."""
        if media_type == "text/csv" and self._by_id is not None and self._by_id.ask(body, media_type):
            return None
        return self._scorer.answer(body, media_type, accepted)

    async def _answer_slowly(
        self, body: bytes, media_type: str, accepted: str, started: float, *, at_once: bool
    ) -> Answer:
        """Answer what the scorer does not answer from the bytes alone."""
        by_id = self._by_id
        # A Parquet file is for the thread, however small: that is where its reader is imported.
        looks_here = at_once and len(body) <= _FEW_ENTITIES_BYTES and media_type != _PARQUET
        if looks_here and by_id is not None and by_id.ask(body, media_type):
            try:
                wanted = by_id.read(body, media_type)
            except RequestError as error:
                raise _Refusal(400, error.name, str(error)) from error
            return await self._answer_by_id(by_id, wanted, accepted, started)
        may_ask = by_id is not None and not looks_here
        work = _Work(body, media_type, accepted, is_quick=not at_once, may_ask=may_ask)
        found = await self._in_the_thread(lambda: self._answer_for(work), work, started)
        if isinstance(found, Answer):
            return found
        assert by_id is not None
        return await self._answer_by_id(by_id, found, accepted, started)

    async def _answer_by_id(self, by_id: ById, wanted: Wanted, accepted: str, started: float) -> Answer:
        left = self._settings.seconds - (time.perf_counter() - started)
        try:
            found = await by_id.find(wanted, left)
            if by_id.is_quick(wanted):
                told = by_id.answer(wanted, found, accepted)
            else:
                work = _Work(b"", "", accepted, is_quick=False, may_ask=False)
                told = await self._in_the_thread(lambda: by_id.answer(wanted, found, accepted), work, started)
        except SluiceError as error:
            if isinstance(error, FeatureStoreUnavailable):
                self._counters.store_failure()
                raise _Refusal(503, error.name, str(error), **{"retry-after": "1"}) from error
            logger.error("prediction failed: %s", error)
            raise _Refusal(500, error.name, str(error)) from error
        self._counters.entities(*told.counts)
        is_refusal = told.status != 200
        return Answer(told.status, told.body, DEFAULT if is_refusal else accepted, told.headers)

    async def _in_the_thread(self, do: Callable[[], _T], work: _Work, started: float) -> _T:
        if self._in_thread > self._settings.queue:
            raise _Refusal(
                503,
                "Overloaded",
                f"{self._in_thread} requests are being worked on, as many as may wait; come back in a second",
                **{"retry-after": "1"},
            )
        loop = asyncio.get_running_loop()
        self._in_thread += 1
        job = loop.run_in_executor(self._worker, do)
        # Counted until the thread is done with it, which may be later than anybody waits for.
        job.add_done_callback(self._leave_thread)
        left = self._settings.seconds - (time.perf_counter() - started)
        try:
            return await asyncio.wait_for(asyncio.shield(job), left)
        except TimeoutError:
            work.is_wanted = False
            raise _Refusal(
                503,
                "PredictionTimeout",
                f"no prediction after {self._settings.seconds:g} s; send fewer rows in a request",
                **{"retry-after": "1"},
            ) from None

    def _leave_thread(self, job: asyncio.Future[Any]) -> None:
        self._in_thread -= 1
        if not job.cancelled():
            job.exception()  # looked at, also where nobody waited for it any more

    def _answer_for(self, work: _Work) -> Answer | Wanted:
        contract, by_id = self._scorer.contract, self._by_id
        work.go_on()
        if work.is_quick:
            found = self._quick(work.body, work.media_type, work.accepted)
            if found is not None:
                return Answer(200, found, work.accepted)
        try:
            if work.may_ask and by_id is not None and by_id.ask(work.body, work.media_type):
                return by_id.read(work.body, work.media_type)
            predictions = self._predict(decode(work.body, work.media_type, contract), work)
        except RequestError as error:
            hint = by_id.why_not(work.media_type) if by_id is not None else ""
            raise _Refusal(400, error.name, f"{error}{hint}") from error
        except SluiceError as error:
            logger.error("prediction failed: %s", error)
            raise _Refusal(500, error.name, str(error)) from error
        return Answer(200, encode(predictions, work.accepted, contract), work.accepted)

    def _predict(self, columns: Columns, work: _Work) -> Predictions:
        rows = len(columns[self._scorer.contract.names[0]])
        if rows <= _BLOCK_ROWS:
            work.go_on()
            return self._scorer.score(columns)
        blocks = []
        for first in range(0, rows, _BLOCK_ROWS):
            work.go_on()
            block = {name: values[first : first + _BLOCK_ROWS] for name, values in columns.items()}
            try:
                blocks.append(self._scorer.score(block))
            except RequestError:
                # It names a row by its number in the block: ask for all, to have the number that the client knows.
                self._scorer.score(columns)
                raise
        work.go_on()
        return joined(blocks)

    def close(self) -> None:
        """Wait for the request that is worked on."""
        self._worker.shutdown()


def _negotiated(content_type: str, accept: str) -> tuple[str, str]:
    """Give the body's type, "" where the client says none, and the answer's."""
    media_type, *parameters = (part.strip().lower() for part in content_type.split(";"))
    if media_type and media_type not in DECODERS:
        raise _Refusal(
            415, "UnsupportedMediaType", f"content type: found {media_type!r}, expected {', '.join(DECODERS)}"
        )
    if media_type in ("text/csv", ""):
        _refuse_charset(parameters)
    accepted = choose(accept)
    if accepted is None:
        raise _Refusal(406, "NotAcceptable", f"accept: found {accept!r}, there are {', '.join(ENCODERS)}")
    return media_type, accepted


def _refuse_charset(parameters: list[str]) -> None:
    """Text of another encoding would be read as other categories. For JSON it means nothing (RFC 8259)."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip().strip('"') not in _CHARSETS:
            raise _Refusal(415, "UnsupportedMediaType", f"charset: found {value!r}, expected utf-8")


def _require_method(scope: Scope, *allowed: str) -> None:
    if scope["method"] not in allowed:
        message = f"{scope['path']} takes {' or '.join(allowed)}, found {scope['method']}"
        raise _Refusal(405, "MethodNotAllowed", message, allow=", ".join(allowed))


async def _send(answer: Answer, send: Send, *, with_body: bool) -> None:
    headers = [
        (b"content-type", answer.media_type.encode()),
        (b"content-length", b"%d" % len(answer.body)),
    ]
    if answer.headers:
        headers += [(name.encode(), value.encode()) for name, value in answer.headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body if with_body else b""})
