"""The load generator against small servers: it counts what is right, and words what is not."""

import asyncio
from collections.abc import Callable

import pytest
import uvloop

from benchmarks.serving.load import Load, Outcome, run

RIGHT = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
REQUEST = b"POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n"

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], asyncio.Future[None]]


def loaded(answers: list[bytes], *, close_after: int | None = None) -> Outcome:
    """Put a short load on a server that gives these answers in turn on each connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        count = 0
        while await reader.read(4096):
            if close_after is not None and count >= close_after:
                break
            writer.write(answers[count % len(answers)])
            count += 1
        writer.close()

    async def both() -> Outcome:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            return await run(Load(port, [REQUEST], [b"ok"], 2, 0.02, 0.1, None))
        finally:
            server.close()

    return uvloop.run(both())


def test_right_answers_are_counted() -> None:
    outcome = loaded([RIGHT])
    assert outcome.wrong_count == 0
    assert len(outcome.latencies) > 10
    assert 0 < outcome.seconds < 5
    assert 0 < min(outcome.latencies) < 1
    assert outcome.load_cpu_seconds > 0


@pytest.mark.parametrize(
    "wrong",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno",
        b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 2\r\n\r\nok",
    ],
)
def test_a_wrong_answer_is_told(wrong: bytes) -> None:
    outcome = loaded([RIGHT, wrong])
    assert outcome.wrong_count > 0
    assert "right: b'ok'" in outcome.wrong[0]
    assert len(outcome.wrong) <= 3


def test_a_closed_connection_is_told() -> None:
    outcome = loaded([RIGHT], close_after=3)
    assert outcome.wrong_count == 2
    assert "closed the connection" in outcome.wrong[0]


def test_an_answer_of_another_kind_is_told() -> None:
    outcome = loaded([b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"])
    assert "no content length" in outcome.wrong[0]
