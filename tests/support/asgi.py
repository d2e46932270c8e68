"""Calls the serving application as an ASGI server does: no sockets."""

from __future__ import annotations

import asyncio
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from containers.predictions import Predictions
from containers.scoring import Scoring
from containers.serve.app import Application
from containers.serve.metrics import Totals
from containers.serve.scorer import Scorer
from containers.serve.settings import Settings
from sluice.contract import Columns, Feature, ModelContract, TargetContract

CONTRACT = ModelContract(
    features=(
        Feature(name="size", kind="number", type="integer", nullable=False),
        Feature(name="weight", kind="number", type="number", nullable=True),
        Feature(name="colour", kind="category", type="string", nullable=True),
    ),
    target=TargetContract(name="y", problem="binary", classes=("no", "yes"), positive="yes"),
)


def made(scorer: Scorer, **settings: Any) -> Application:
    given: dict[str, Any] = {"model": Path("model"), "host": "127.0.0.1", "port": 0, "workers": 1, **settings}
    return Application(scorer, Settings(**given), Totals(1).counters(0))


class FakeScorer:
    """Says 1/3 + size: enough digits to lose some on the way."""

    def __init__(self, contract: ModelContract = CONTRACT, failure: Exception | None = None) -> None:
        self.contract = contract
        self.failure = failure
        self.seen: list[Columns] = []
        self.scoring = Scoring(path="scikit-learn", why="a fake")

    def answer(self, _body: bytes, _media_type: str, _accepted: str) -> bytes | None:
        return None

    def answer_row(self, _columns: Columns, _accepted: str) -> bytes | None:
        return None

    def score(self, columns: Columns) -> Predictions:
        if self.failure:
            raise self.failure
        self.seen.append(columns)
        numbers = [float(value or 0) for value in columns["size"]]
        chance = np.array([1 / (3 + abs(number)) for number in numbers])
        return Predictions(np.column_stack([1 - chance, chance]), (chance > 0.3).astype(np.int64))


@dataclass
class Response:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def call(
    application: Application,
    body: bytes | list[bytes] = b"",
    content_type: str | None = "application/json",
    accept: str | None = None,
    *,
    method: str = "POST",
    path: str = "/invocations",
    length: int | None = None,
) -> Response:
    """Make one request; a list of bodies arrives in as many pieces."""
    pieces = body if isinstance(body, list) else [body]
    headers = [("Content-Type", content_type), ("Accept", accept)]
    headers.append(("Content-Length", None if length is None else str(length)))
    messages = [
        {"type": "http.request", "body": piece, "more_body": i + 1 < len(pieces)}
        for i, piece in enumerate(pieces)
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [(n.lower().encode(), v.encode()) for n, v in headers if v is not None],
    }
    asyncio.run(application(scope, receive, send))
    start, *bodies = sent
    return Response(
        start["status"],
        {name.decode(): value.decode() for name, value in start["headers"]},
        b"".join(message["body"] for message in bodies),
    )


ROWS: list[dict[str, Any]] = [
    {"size": 1, "weight": 0.1, "colour": "red"},
    {"size": 2, "weight": None, "colour": None},
]


def npy(array: Any) -> bytes:
    sink = io.BytesIO()
    np.save(sink, array)
    return sink.getvalue()
