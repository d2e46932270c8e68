"""What the server does under load and with clients that do not behave: it answers, and says why not."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from containers.predictions import Predictions
from containers.serve.app import Application
from sluice.contract import Columns
from tests.support.asgi import ROWS, FakeScorer, call, made

BODY = json.dumps(ROWS[:1]).encode()


class SlowScorer(FakeScorer):
    """Does not answer before it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.let = threading.Event()

    def score(self, columns: Columns) -> Predictions:
        assert self.let.wait(30)
        return super().score(columns)


class QuickScorer(FakeScorer):
    """Answers one body from its bytes, and leaves the others."""

    def answer(self, body: bytes, media_type: str, accepted: str) -> bytes | None:
        return b"quick" if body == BODY and media_type == "application/json" else None


async def invoke(application: Application, body: list[bytes], *, stalls: bool = False) -> dict[str, Any]:
    """Make one request on the running loop; with `stalls` the last piece never comes."""
    pieces = list(body)
    sent: list[Any] = []

    async def receive() -> Any:
        if not pieces:
            await asyncio.Event().wait()
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces) or stalls}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/invocations", "headers": headers}
    await application(scope, receive, send)
    return {
        "status": sent[0]["status"],
        "headers": dict(sent[0]["headers"]),
        "body": json.loads(sent[1]["body"]),
    }


def metrics(application: Application) -> str:
    return call(application, method="GET", path="/metrics", content_type=None).body.decode()


def test_more_requests_than_may_wait_are_told_to_come_back() -> None:
    scorer = SlowScorer()
    application = made(scorer, queue=2)

    async def load() -> tuple[list[dict[str, Any]], dict[str, Any]]:
        waiting = [asyncio.create_task(invoke(application, [BODY])) for _ in range(3)]
        await asyncio.sleep(0)  # each has handed its body to the thread
        refused = await invoke(application, [BODY])
        scorer.let.set()
        return await asyncio.gather(*waiting), refused

    answered, refused = asyncio.run(load())
    assert [each["status"] for each in answered] == [200, 200, 200]
    assert refused["status"] == 503
    assert refused["headers"][b"retry-after"] == b"1"
    assert refused["body"]["error"] == "Overloaded"
    assert call(application, BODY).status == 200, "the queue is empty again"
    assert 'sluice_invocations_total{status="503"} 1' in metrics(application)
    application.close()


def test_a_prediction_that_takes_too_long_is_given_up_and_still_counts_as_work() -> None:
    scorer = SlowScorer()
    application = made(scorer, queue=0, seconds=0.05)

    async def load() -> list[dict[str, Any]]:
        return [await invoke(application, [BODY]), await invoke(application, [BODY])]

    late, refused = asyncio.run(load())
    assert (late["status"], late["body"]["error"]) == (503, "PredictionTimeout")
    assert (refused["status"], refused["body"]["error"]) == (503, "Overloaded")
    scorer.let.set()
    application.close()


def test_a_body_that_never_ends_is_given_up() -> None:
    application = made(FakeScorer(), seconds=0.05)
    answer = asyncio.run(invoke(application, [BODY[:5]], stalls=True))
    assert (answer["status"], answer["body"]["error"]) == (408, "RequestTimeout")
    assert "5 bytes had come" in answer["body"]["message"]
    assert answer["headers"][b"connection"] == b"close"
    application.close()


def test_ping_answers_while_a_request_is_worked_on() -> None:
    scorer = SlowScorer()
    application = made(scorer)

    async def load() -> int:
        working = asyncio.create_task(invoke(application, [BODY]))
        await asyncio.sleep(0)
        statuses: list[Any] = []

        async def send(message: Any) -> None:
            statuses.append(message.get("status"))

        async def receive() -> Any: ...

        await application({"type": "http", "method": "GET", "path": "/ping", "headers": []}, receive, send)
        assert not working.done()
        scorer.let.set()
        await working
        status: int = statuses[0]
        return status

    assert asyncio.run(load()) == 200
    application.close()


def test_what_can_be_answered_from_the_bytes_is_and_the_rest_is_not() -> None:
    scorer = QuickScorer()
    application = made(scorer)
    assert call(application, BODY).body == b"quick"
    assert scorer.seen == []
    assert call(application, json.dumps(ROWS).encode()).status == 200
    assert len(scorer.seen) == 1
    assert "sluice_quick_invocations_total 1" in metrics(application)
    assert 'sluice_invocation_seconds_bucket{le="+Inf"} 2' in metrics(application)
    application.close()


def test_ping_says_how_rows_are_scored() -> None:
    application = made(FakeScorer())
    assert call(application, method="GET", path="/ping").json["scoring"] == {
        "path": "scikit-learn",
        "engine": "",
        "why": "a fake",
    }
    application.close()


def parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def test_a_parquet_file_is_read_by_its_columns_names() -> None:
    scorer = FakeScorer()
    application = made(scorer)
    table = pa.table(
        {
            "colour": pa.array(["red", None]).dictionary_encode(),
            "weight": pa.array([0.5, None]),
            "size": pa.array([1, 2], pa.int32()),
        }
    )
    assert call(application, parquet(table), "application/x-parquet").status == 200
    assert repr(scorer.seen) == repr(
        [{"size": [1.0, 2.0], "weight": [0.5, float("nan")], "colour": ["red", None]}]
    )
    application.close()


SOUND: dict[str, Any] = {"size": [1], "weight": [0.5], "colour": ["red"]}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"no parquet", "not a Parquet file that can be read"),
        (parquet(pa.table(SOUND))[:-20], "not a Parquet file that can be read"),
        (parquet(pa.table({**SOUND, "size": ["one"]})), "column 'size': found the string 'one'"),
        (parquet(pa.table({"size": [1], "weight": [0.5]})), "missing: 'colour'"),
        (parquet(pa.table({**SOUND, "more": [1]})), "unknown: 'more'"),
        (
            parquet(pa.table([pa.array([1]), pa.array([1])], names=["size", "size"])),
            "there more than once: 'size'",
        ),
        (parquet(pa.table({name: [] for name in SOUND})), "no rows"),
        (
            parquet(pa.table({**SOUND, "size": [[1]]})),
            "column 'size': found list<element: int64>, expected numbers",
        ),
    ],
)
def test_a_parquet_body_that_breaks_the_contract_is_named(body: bytes, text: str) -> None:
    application = made(FakeScorer())
    response = call(application, body, "application/x-parquet")
    assert response.status == 400
    assert text in response.json["message"]
    application.close()
