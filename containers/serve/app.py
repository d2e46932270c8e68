"""The ASGI application: /ping and /invocations as SageMaker calls them, and every refusal as JSON."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import orjson

from containers.serve.decoding import DECODERS, decode
from containers.serve.encoding import DEFAULT, ENCODERS, choose, encode
from containers.serve.scorer import Scorer
from sluice.errors import RequestError, SluiceError

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
MAX_BODY_BYTES = 6 * 1024 * 1024

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
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


class Application:
    """Answers for one scorer. Scoring runs beside the event loop, one request at a time, so that /ping answers
    while a large request is worked on.
    """

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="scoring")
        contract = scorer.contract
        self._ping = orjson.dumps(
            {
                "status": "Healthy",
                "problem": contract.target.problem,
                "target": contract.target.name,
                "features": len(contract.features),
                "dataset_version": contract.dataset_version,
                "versions": contract.versions,
            }
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # lifespan and websockets are not spoken here
            raise RuntimeError(f"unsupported ASGI scope {scope['type']!r}")
        try:
            answer = await self._answer(scope, receive)
        except _Refusal as refusal:
            answer = refusal.answer
        except _Disconnected:
            return
        except Exception as error:
            logger.exception("unforeseen error")
            answer = _Refusal(500, "InternalError", f"{type(error).__name__}: {error}").answer
        await _send(answer, send, with_body=scope["method"] != "HEAD")

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        path = scope["path"]
        if path == "/ping":
            _require_method(scope, "GET", "HEAD")
            return Answer(200, self._ping)
        if path == "/invocations":
            _require_method(scope, "POST")
            return await self._invoke(scope, receive)
        raise _Refusal(404, "NotFound", f"no such path: {path}; there are /ping and /invocations")

    async def _invoke(self, scope: Scope, receive: Receive) -> Answer:
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        media_type = headers.get("content-type", "").split(";")[0].strip().lower()
        if media_type not in DECODERS:
            found = repr(media_type) if media_type else "none"
            raise _Refusal(
                415, "UnsupportedMediaType", f"content type: found {found}, expected {', '.join(DECODERS)}"
            )
        accepted = choose(headers.get("accept", ""))
        if accepted is None:
            raise _Refusal(
                406, "NotAcceptable", f"accept: found {headers['accept']!r}, there are {', '.join(ENCODERS)}"
            )
        body = await _read(headers, receive)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._worker, self._predict, body, media_type, accepted)

    def _predict(self, body: bytes, media_type: str, accepted: str) -> Answer:
        contract = self._scorer.contract
        try:
            columns = decode(body, media_type, contract)
            predictions = self._scorer.score(columns)
        except RequestError as error:
            raise _Refusal(400, error.name, str(error)) from error
        except SluiceError as error:
            logger.error("prediction failed: %s", error)
            raise _Refusal(500, error.name, str(error)) from error
        return Answer(200, encode(predictions, accepted, contract), accepted)

    def close(self) -> None:
        """Wait for the request that is worked on."""
        self._worker.shutdown()


def _require_method(scope: Scope, *allowed: str) -> None:
    if scope["method"] not in allowed:
        message = f"{scope['path']} takes {' or '.join(allowed)}, found {scope['method']}"
        raise _Refusal(405, "MethodNotAllowed", message, allow=", ".join(allowed))


async def _read(headers: dict[str, str], receive: Receive) -> bytes:
    declared = headers.get("content-length", "")
    if declared.isdigit() and int(declared) > MAX_BODY_BYTES:
        raise _too_large(f"{int(declared):,} bytes")
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Disconnected
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise _too_large("more")
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def _too_large(found: str) -> _Refusal:
    message = f"the body may hold {MAX_BODY_BYTES:,} bytes, found {found}; send the rows in several requests"
    # The rest of the body was not read: the connection cannot be used again.
    return _Refusal(413, "RequestTooLarge", message, connection="close")


async def _send(answer: Answer, send: Send, *, with_body: bool) -> None:
    headers = {
        "content-type": answer.media_type,
        "content-length": str(len(answer.body)),
        **answer.headers,
    }
    await send(
        {
            "type": "http.response.start",
            "status": answer.status,
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }
    )
    await send({"type": "http.response.body", "body": answer.body if with_body else b""})
