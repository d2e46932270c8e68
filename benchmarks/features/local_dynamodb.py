"""How fast the local DynamoDB reads and writes feature rows, beside moto alone in the same run: prints JSON.

    python benchmarks/features/local_dynamodb.py [--seconds 3] [--rounds 3]

An item is a feature row as Feast stores it: a key, a time, and a map of 20 binary values, written to a table on
demand. One client with one connection sends ready-made requests and reads the answers, without signing and without
boto3: what is measured is the server; the client's part and the HTTP before both are stated (`client_and_http_us`, of
a server that answers at once). Moto alone is moto as released, behind the same HTTP. The two take turns, round by
round, and a figure is the best round's, as the machine may be busy with other things: `load` says how busy it was.
Bars: BatchGetItem of 100 keys 10 times as fast as moto; GetItem in at most twice the time of the HTTP alone.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60.0
FEATURES = 20
ITEMS = 1000
MIN_CALLS = 10
RATIO_BAR, HTTP_BAR = 10.0, 2.0
TABLE = "benchmark.rows"

_SERVER = """
import os, sys
os.environ["MOTO_DISABLE_GLOBAL_CORS"] = "1"
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
from local.http_server import RequestHandler
def nothing(environ, start_response):
    environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    start_response("200 OK", [("Content-Type", "application/x-amz-json-1.0")])
    return [b"{}"]
app = nothing if sys.argv[1] == "nothing" else DomainDispatcherApplication(create_backend_app)
server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=RequestHandler)
print(server.server_port, flush=True)
server.serve_forever()
"""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="to an operation, server and round")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    load = [os.getloadavg()[0]]
    with _local_aws() as ours, _plain("moto") as moto, _plain("nothing") as nothing:
        servers = {"local": Connection(ours), "moto": Connection(moto)}
        for connection in servers.values():
            _fill(connection)
        figures: dict[str, Any] = {name: {} for name in _operations()}
        for _ in range(arguments.rounds):
            for name, make in _operations().items():
                for server, connection in servers.items():
                    found = _measure(connection, name, make, arguments.seconds)
                    best = figures[name].setdefault(server, found)
                    if found["p50_ms"] < best["p50_ms"]:
                        figures[name][server] = found
        for each in figures.values():
            each["times"] = round(each["moto"]["p50_ms"] / each["local"]["p50_ms"], 1)
        empty = _measure(Connection(nothing), "GetItem", _operations()["GetItem"], 1.0)
    of_http = figures["GetItem"]["local"]["p50_ms"] / empty["p50_ms"]
    load.append(os.getloadavg()[0])
    result = {
        "benchmark": "local_dynamodb",
        "features": FEATURES,
        "seconds": arguments.seconds,
        "rounds": arguments.rounds,
        "load": [round(each, 1) for each in load],
        "cpus": os.cpu_count(),
        "client_and_http_us": round(1000 * empty["p50_ms"]),
        "get_item_of_http": round(of_http, 2),
        "operations": figures,
        "bars": {"times_at_100_keys": RATIO_BAR, "get_item_of_http": HTTP_BAR},
    }
    print(json.dumps(result, indent=2))
    return 0 if figures["BatchGetItem 100"]["times"] >= RATIO_BAR and of_http <= HTTP_BAR else 1


class Connection:
    """One keep-alive connection that speaks as little HTTP as there has to be. The local AWS checks no signature."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._answers = self._socket.makefile("rb")

    def message(self, operation: str, request: dict[str, Any]) -> bytes:
        body = json.dumps(request).encode()
        head = (
            "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"X-Amz-Target: DynamoDB_20120810.{operation}\r\nContent-Type: application/x-amz-json-1.0\r\n"
            "Authorization: AWS4-HMAC-SHA256 Credential=LOCALAWSHASNOSECRETS/20260101/us-east-1/dynamodb/"
            "aws4_request, SignedHeaders=host;x-amz-date;x-amz-target, Signature=0\r\n"
            f"X-Amz-Date: 20260101T000000Z\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def exchange(self, message: bytes) -> tuple[int, bytes]:
        """Send a request and read its answer: status and body."""
        self._socket.sendall(message)
        status = int(self._answers.readline().split()[1])
        length = 0
        while (line := self._answers.readline()) != b"\r\n":
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return status, self._answers.read(length)

    def call(self, operation: str, request: dict[str, Any]) -> Any:
        status, body = self.exchange(self.message(operation, request))
        if status != 200:
            raise SystemExit(f"{operation} was answered {status}: {body.decode()}")
        return json.loads(body)


def _operations() -> dict[str, Callable[[int], dict[str, Any]]]:
    """By name, the request of a turn; the first word of a name is the operation."""
    projection = {
        "ProjectionExpression": "entity_id, event_ts, "
        + ", ".join(f"#v.f{number}" for number in range(FEATURES)),
        "ExpressionAttributeNames": {"#v": "values"},
    }

    def batch_of(keys: int) -> Callable[[int], dict[str, Any]]:
        def request(turn: int) -> dict[str, Any]:
            chosen = [_key((turn * keys + number) % ITEMS) for number in range(keys)]
            return {"RequestItems": {TABLE: {"Keys": chosen, **projection}}}

        return request

    def put(turn: int) -> dict[str, Any]:
        """Feature rows are put where none is, or an older one."""
        return {
            "TableName": TABLE,
            "Item": _item(turn % ITEMS, f"2026-01-02T{turn:06}"),
            "ConditionExpression": "attribute_not_exists(entity_id) OR event_ts <= :t",
            "ExpressionAttributeValues": {":t": {"S": f"2026-01-02T{turn:06}"}},
        }

    return {
        "GetItem": lambda turn: {"TableName": TABLE, "Key": _key(turn % ITEMS), **projection},
        "BatchGetItem 1": batch_of(1),
        "BatchGetItem 10": batch_of(10),
        "BatchGetItem 100": batch_of(100),
        "BatchWriteItem 25": lambda turn: _writes(range(turn * 25, turn * 25 + 25)),
        "PutItem conditional": put,
    }


def _measure(
    connection: Connection, name: str, make: Callable[[int], dict[str, Any]], seconds: float
) -> dict[str, Any]:
    operation = name.split()[0]
    messages = [connection.message(operation, make(turn)) for turn in range(200)]
    found: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(found) < MIN_CALLS:
        message = messages[len(found) % len(messages)]
        before = time.perf_counter()
        status, body = connection.exchange(message)
        found.append(1000 * (time.perf_counter() - before))
        if status != 200 and b"ConditionalCheckFailed" not in body:
            raise SystemExit(f"{name} was answered {status}: {body.decode()}")
    found.sort()
    return {
        "calls": len(found),
        "p50_ms": round(statistics.median(found), 3),
        "p99_ms": round(found[int(0.99 * (len(found) - 1))], 3),
        "calls_per_s": round(1000 * len(found) / sum(found)),
    }


def _key(number: int) -> dict[str, Any]:
    return {"entity_id": {"S": f"{number:040x}"}}


def _item(number: int, time_text: str) -> dict[str, Any]:
    chance = random.Random(number)
    values = {
        f"f{each}": {"B": base64.b64encode(b"\x29" + chance.randbytes(8)).decode()}
        for each in range(FEATURES)
    }
    return {**_key(number), "event_ts": {"S": time_text}, "values": {"M": values}}


def _writes(numbers: range) -> dict[str, Any]:
    items = [_item(number % ITEMS, "2026-01-01T000000") for number in numbers]
    return {"RequestItems": {TABLE: [{"PutRequest": {"Item": item}} for item in items]}}


def _fill(connection: Connection) -> None:
    connection.call(
        "CreateTable",
        {
            "TableName": TABLE,
            "KeySchema": [{"AttributeName": "entity_id", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "entity_id", "AttributeType": "S"}],
            "BillingMode": "PAY_PER_REQUEST",
        },
    )
    for start in range(0, ITEMS, 25):
        connection.call("BatchWriteItem", _writes(range(start, start + 25)))


@contextmanager
def _local_aws() -> Iterator[int]:
    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder) / "ready.json"
        argv = [sys.executable, "-m", "local", "serve", "--until-stdin-closes", f"--state-dir={folder}"]
        with _process(argv) as process:
            deadline = time.monotonic() + START_SECONDS
            while not ready.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit("the local AWS did not start; see above")
                time.sleep(0.01)
            yield int(json.loads(ready.read_text())["endpoint_url"].rpartition(":")[2])


@contextmanager
def _plain(application: str) -> Iterator[int]:
    with _process([sys.executable, "-c", _SERVER, application]) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())


@contextmanager
def _process(argv: list[str]) -> Iterator[subprocess.Popen[str]]:
    quiet = subprocess.DEVNULL if "-c" in argv else sys.stderr
    stdout = subprocess.PIPE if "-c" in argv else sys.stderr
    process = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=stdout, stderr=quiet, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


if __name__ == "__main__":
    sys.exit(main())
