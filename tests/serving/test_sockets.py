"""One real worker, and clients that do not speak HTTP, or not all of it: it lives, and answers the others right."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from containers.compiled import store
from containers.compiled.compile import compile_model
from tests.support import oracle

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="connections are counted in /proc")

RECORD = b'{"size":3,"weight":0.25,"colour":"red","grade":2,"member":true,"region":"north"}'
HEAD = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
GOOD = HEAD + b"Content-Length: %d\r\n\r\n" % len(RECORD) + RECORD
CLOSING = GOOD.replace(b"Host: x", b"Host: x\r\nConnection: close")


@dataclass(frozen=True)
class Server:
    port: int
    worker: int

    def connect(self) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.port), timeout=5)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return client

    def connections(self) -> int:
        """How many descriptors the worker holds."""
        return len(list(Path(f"/proc/{self.worker}/fd").iterdir()))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    base = tmp_path_factory.mktemp("served")
    (base / "model").mkdir()
    store.save(compile_model(oracle.pipeline(), oracle.CONTRACT), base / "model")
    oracle.CONTRACT.save(base / "model" / "contract.json")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "SAGEMAKER_BASE_DIR": str(base),
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "SAGEMAKER_MODEL_SERVER_WORKERS": "1",
        "SAGEMAKER_MODEL_SERVER_TIMEOUT": "1",  # seconds, also for what is to come of a request
    }
    with (base / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "containers.serve", "serve"],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        yield Server(port, _worker_of(process, port))
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
    text = (base / "log").read_text()
    assert "Traceback" not in text, text
    assert "ended with" not in text, "a worker died"


def _worker_of(process: subprocess.Popen[bytes], port: int) -> int:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
            continue
        (worker,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        return int(worker)
    raise AssertionError("nobody listens")


@pytest.fixture(autouse=True)
def nothing_is_left_behind(server: Server) -> Iterator[None]:
    """After each test the worker answers as before it, and holds no connection more."""
    assert exchange(server, CLOSING)[0][0] == 200
    before = settled(server, None)
    yield
    [(status, _, body)] = exchange(server, CLOSING)
    assert (status, body["predictions"]) == (200, [expected()])
    assert settled(server, before) <= before


def settled(server: Server, wanted: int | None) -> int:
    deadline = time.monotonic() + 3
    found = server.connections()
    while (wanted is None or found > wanted) and time.monotonic() < deadline:
        time.sleep(0.02)
        now = server.connections()
        if wanted is None and now == found:
            return now
        found = now
    return found


def expected() -> dict[str, Any]:
    answers = oracle.answers(oracle.read(RECORD, "application/json"))
    return {"label": answers.labels[0], "probability": answers.probabilities[0]}


Response = tuple[int, dict[str, str], Any]


def exchange(server: Server, *pieces: bytes, pause: float = 0.0, half_closed: bool = False) -> list[Response]:
    """Send the pieces and read until the server closes, or says nothing more."""
    with closing(server.connect()) as client:
        try:
            for piece in pieces:
                client.sendall(piece)
                time.sleep(pause)
            if half_closed:
                client.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the server has said what it had to say; it may still be read
        return responses(received(client, 0.5))


def received(client: socket.socket, silence: float) -> bytes:
    client.settimeout(5)
    data = b""
    try:
        while chunk := client.recv(1 << 16):
            data += chunk
            client.settimeout(silence)
    except (TimeoutError, ConnectionResetError):
        pass
    return data


def responses(data: bytes) -> list[Response]:
    """Take apart what came; it has to be whole responses with bodies of JSON, and nothing else."""
    found: list[Response] = []
    while data:
        head, _, data = data.partition(b"\r\n\r\n")
        status, *lines = head.decode("ascii").split("\r\n")
        assert status.startswith("HTTP/1.1 "), status
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        length = int(headers.get("content-length", "0"))
        body, data = data[:length], data[length:]
        found.append((int(status.split()[1]), headers, json.loads(body) if body else None))
    return found


def test_requests_on_one_connection_are_answered_in_order(server: Server) -> None:
    bad = HEAD + b"Content-Length: 1\r\n\r\n{"
    found = exchange(server, GOOD + bad + GOOD, GOOD)
    assert [status for status, _, _ in found] == [200, 400, 200, 200]
    assert [body["predictions"] for status, _, body in found if status == 200] == [[expected()]] * 3


@pytest.mark.parametrize(
    "request_",
    [
        b"GARBAGE\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),  # TLS
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /ping HTTP/9.9\r\n\r\n",
        b"G\x00T /ping HTTP/1.1\r\n\r\n",
        b"POST /invocations HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /ping HTTP/1.1\r\n: x\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nA: b\x00c\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nA: b\rSet-Cookie: c\r\n\r\n",
        b"GET /pi\xffng HTTP/1.1\r\nHost: x\r\n\r\n",
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Content-Length: 0x10\r\n\r\n",
        HEAD + b"Content-Length: 1 2\r\n\r\n",
        HEAD + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n",
        HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n123456",
        HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n{}\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}{}\r\n0\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused_and_the_connection_closed(server: Server, request_: bytes) -> None:
    found = exchange(server, request_)
    assert [(status, set(body)) for status, _, body in found] == [(400, {"error", "message"})], found
    assert found[0][1]["connection"] == "close"
    assert found[0][1]["content-type"] == "application/json"


@pytest.mark.parametrize("piece", [b"A: " + b"b" * 200_000, b"A: b\r\n" * 40_000, b"A" * 200_000])
def test_a_head_without_end_is_refused(server: Server, piece: bytes) -> None:
    for start in (HEAD, b"GET /" if b":" not in piece else HEAD):
        found = exchange(server, start, piece, b"c" * 100_000, pause=0.02)
        assert [status for status, _, _ in found] == [431], found
        assert "65,536 bytes" in found[0][2]["message"]


def test_a_head_as_large_as_it_may_be_is_read(server: Server) -> None:
    [(status, _, _)] = exchange(server, CLOSING.replace(b"Host: x", b"A: " + b"b" * 60_000))
    assert status == 200


def test_a_body_larger_than_it_may_be_is_refused_before_it_is_there(server: Server) -> None:
    for request in (
        HEAD + b"Content-Length: 100000000\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + (b"100000\r\n" + b" " * (1 << 20) + b"\r\n") * 7,
    ):
        [(status, headers, body)] = exchange(server, request)
        assert (status, headers["connection"]) == (413, "close")
        assert "6,291,456 bytes" in body["message"]


def test_a_client_may_ask_whether_to_go_on(server: Server) -> None:
    asking = HEAD + b"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n" % len(RECORD)
    found = exchange(server, asking, RECORD, pause=0.05)
    assert [status for status, _, _ in found] == [100, 200]
    refused = asking.replace(b"application/json", b"image/png")
    assert [status for status, _, _ in exchange(server, refused)] == [415]


@pytest.mark.parametrize(
    ("rest", "status"),
    [
        (b"GARBAGE\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n", 400),
        (HEAD + b"A: " + b"a" * 70_000 + b"\r\n\r\n", 431),
    ],
)
def test_a_refusal_comes_after_the_answers_before_it(server: Server, rest: bytes, status: int) -> None:
    rows = RECORD.replace(b"north", b"north ")  # for the explaining path, which takes its time
    slow = HEAD + b"Content-Length: %d\r\n\r\n" % len(rows) + rows
    for before in (slow, GOOD + slow, slow + slow + GOOD):
        found = exchange(server, before + rest)
        assert [status for status, _, _ in found] == [200] * before.count(b"POST") + [status]


def test_a_body_that_shares_a_read_with_the_next_head_is_no_part_of_it(server: Server) -> None:
    large = HEAD + b"Content-Length: %d\r\n\r\n" % (len(RECORD) + 200_000) + RECORD + b" " * 200_000
    found = exchange(server, large + GOOD[:30], GOOD[30:], pause=0.02)
    assert [status for status, _, _ in found] == [200, 200]


def test_http_1_0_is_answered_and_the_connection_closed(server: Server) -> None:
    with closing(server.connect()) as client:
        client.sendall(GOOD.replace(b"HTTP/1.1", b"HTTP/1.0"))
        [(status, headers, _)] = responses(received(client, 2))
        assert (status, headers["connection"]) == (200, "close")
        assert client.recv(1) == b"", "the connection is still open"


def test_chunks_of_every_size_are_one_body(server: Server) -> None:
    draw = random.Random(1)
    for _ in range(20):
        cuts = sorted(draw.sample(range(1, len(RECORD)), draw.randint(0, 12)))
        chunks = [RECORD[a:b] for a, b in zip([0, *cuts], [*cuts, len(RECORD)], strict=True)]
        sent = b"".join(b"%x;ext=1\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
        request = (
            HEAD + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + sent + b"0\r\nA: b\r\n\r\n"
        )
        at = draw.randrange(len(request))
        [(status, _, body)] = exchange(server, request[:at], request[at:], pause=0.002)
        assert (status, body["predictions"]) == (200, [expected()])


@pytest.mark.parametrize(
    ("begun", "text"),
    [
        (HEAD[:40], "the headers were not there after 1 s"),
        (HEAD + b"Content-Length: 50\r\n\r\n", "the body had not begun after 1 s"),
        (HEAD + b"Content-Length: 50\r\n\r\n{", "the body was not there after 1 s; 1 bytes had come"),
        (GOOD + HEAD[:40], "the headers were not there after 1 s"),
    ],
)
def test_what_does_not_come_is_given_up(server: Server, begun: bytes, text: str) -> None:
    with closing(server.connect()) as client:
        client.sendall(begun)
        (status, headers, body) = responses(received(client, 2))[-1]
    assert (status, headers["connection"], body["error"]) == (408, "close", "RequestTimeout")
    assert text in body["message"]


def test_a_connection_that_says_nothing_is_closed(server: Server) -> None:
    with closing(server.connect()) as client:
        assert client.recv(1) == b""


def test_a_client_that_stops_sending_is_still_answered(server: Server) -> None:
    """Also where the answer takes its time: the second body is one for the explaining path."""
    rows = RECORD.replace(b"north", b"north ")
    slow = HEAD + b"Content-Length: %d\r\n\r\n" % len(rows) + rows
    for request in (GOOD, slow, GOOD + slow):
        found = exchange(server, request, half_closed=True)
        assert [status for status, _, _ in found] == [200] * request.count(b"POST"), request
        assert found[-1][2]["predictions"] == [expected()]


@pytest.mark.parametrize("what", [b"h2c", b"websocket"])
def test_an_upgrade_that_is_not_spoken_is_not_made(server: Server, what: bytes) -> None:
    upgrade = b"Connection: Upgrade\r\nUpgrade: " + what
    for body in (GOOD, HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n"):
        [(status, _, answer)] = exchange(server, body.replace(b"Host: x", upgrade))
        assert status == 400
        assert "without a Connection: Upgrade header" in answer["message"]
    [(status, _, _)] = exchange(server, b"GET /ping HTTP/1.1\r\n" + upgrade + b"\r\n\r\n")
    assert status == 200


def test_nothing_of_a_request_comes_back_as_a_header(server: Server) -> None:
    [(status, headers, _)] = exchange(
        server, b"GET /a%0d%0aSet-Cookie:%20a=b HTTP/1.1\r\nConnection: close\r\n\r\n"
    )
    assert status == 404
    assert set(headers) == {"content-type", "content-length", "connection"}


def test_clients_that_go_away_leave_nothing(server: Server) -> None:
    draw = random.Random(2)
    for _ in range(60):
        client = server.connect()
        client.sendall(GOOD[: draw.randrange(len(GOOD))] if draw.random() < 0.8 else GOOD)
        if draw.random() < 0.5:  # a reset instead of an end
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()


def test_connections_that_say_nothing_do_not_keep_others_waiting(server: Server) -> None:
    idle = [server.connect() for _ in range(50)]
    try:
        [(status, _, _)] = exchange(server, CLOSING)
        assert status == 200
    finally:
        for client in idle:
            client.close()


def test_bytes_of_every_kind_are_answered_by_http_or_by_nothing(server: Server) -> None:
    """Requests with a few bytes spoilt; whatever comes back is whole responses, and no error of the server's."""
    draw = random.Random(3)
    marks = [b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\0", b" ", b":", b"\xff", b"chunked", b"0\r\n\r\n", b"-"]
    for _ in range(150):
        request = bytearray(
            draw.choice([GOOD, CLOSING, GOOD + GOOD, HEAD + b"Transfer-Encoding: chunked\r\n\r\n"])
        )
        for _ in range(draw.randint(1, 3)):
            at = draw.randrange(len(request))
            request[at : at + draw.randint(0, 3)] = draw.choice([*marks, draw.randbytes(2)])
        with closing(server.connect()) as client:
            client.sendall(bytes(request))
            client.shutdown(socket.SHUT_WR)
            for status, _, body in responses(received(client, 0.5)):
                assert status in (200, 400, 404, 405, 406, 408, 413, 415, 431), (bytes(request), body)
