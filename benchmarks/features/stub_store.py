"""A DynamoDB that answers BatchGetItem from memory and does nothing else, so that the clients are what is measured.

python -m benchmarks.features.stub_store PORT
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import orjson
import uvloop

from benchmarks.features.local_aws import ROOT, local_aws
from benchmarks.features.online_rows import TABLE, items

_READY_SECONDS = 60.0


class _Stub(asyncio.Protocol):
    def __init__(self, written: dict[str, bytes]) -> None:
        self._written = written
        self._data = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            head = self._data[:end].lower() + b"\r\n"
            at = head.find(b"content-length:")
            length = int(head[at + 15 : head.find(b"\r\n", at)]) if at >= 0 else 0
            if len(self._data) < end + 4 + length:
                return
            body = self._data[end + 4 : end + 4 + length]
            self._data = self._data[end + 4 + length :]
            self._transport.write(
                self._answer(body) if body else b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
            )

    def _answer(self, body: bytes) -> bytes:
        (table, wanted), *others = orjson.loads(body)["RequestItems"].items()
        assert table == TABLE
        assert not others
        written = self._written
        ids = [key["entity_id"]["S"] for key in wanted["Keys"]]
        found = b",".join([written[each] for each in ids if each in written])
        answer = b'{"Responses":{"%s":[%s]},"UnprocessedKeys":{}}' % (table.encode(), found)
        return (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nx-amz-crc32: %d\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (zlib.crc32(answer), len(answer), answer)
        )


async def _serve(port: int) -> None:
    written = {item["entity_id"]["S"]: orjson.dumps(item) for item in items()}
    server = await asyncio.get_running_loop().create_server(lambda: _Stub(written), "127.0.0.1", port)
    await server.serve_forever()


@contextmanager
def stub_store(port: int) -> Iterator[str]:
    """Run the stub in a process of its own; give its URL."""
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen([sys.executable, "-m", __name__, str(port)], cwd=ROOT)
    try:
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            try:
                urllib.request.urlopen(url, timeout=1).close()
                break
            except (urllib.error.URLError, ConnectionError):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(10)


def fill(url: str) -> None:
    """Write the table into another local DynamoDB."""
    import boto3

    client: Any = boto3.client(
        "dynamodb",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    if TABLE not in client.list_tables()["TableNames"]:
        client.create_table(
            TableName=TABLE,
            KeySchema=[{"AttributeName": "entity_id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "entity_id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
    import base64

    for item in items():
        item["values"]["M"] = {
            name: {"B": base64.b64decode(cell["B"])} for name, cell in item["values"]["M"].items()
        }
        client.put_item(TableName=TABLE, Item=item)


@contextmanager
def store_of(told: str) -> Iterator[tuple[str, str]]:
    """Give the URL of a store that holds the rows, and what it is called.

    Args:
        told: "stub"; "local" for the DynamoDB of a local AWS, started here; or the URL of one.
    """
    if told == "stub":
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        with stub_store(port) as url:
            yield url, told
        return
    with local_aws() if told == "local" else nullcontext(None) as aws:
        url = told if aws is None else aws.url
        fill(url)
        yield url, told


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
