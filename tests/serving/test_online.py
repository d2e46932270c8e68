"""One real worker and a DynamoDB behind a real socket, plain and over TLS: predictions by id, and accidents."""

from __future__ import annotations

import datetime
import http.client
import ipaddress
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from containers.compiled import store
from containers.compiled.compile import compile_model
from sluice.features.plan import FeaturePlan, Key, Value, View
from tests.support import oracle
from tests.support.dynamo import Dynamo

ROOT = Path(__file__).resolve().parents[2]
PLAN = FeaturePlan(
    timestamp="at",
    views=(
        View(
            name="all",
            keys=(Key(name="customer_id", type="string"),),
            features=(
                Value(name="size", type="integer"),
                Value(name="weight", type="number"),
                Value(name="colour", type="string"),
                Value(name="grade", type="integer"),
                Value(name="member", type="boolean"),
            ),
        ),
    ),
    request=(Value(name="region", type="string"),),
    model=("all:size", "all:weight", "all:colour", "all:grade", "all:member", "region"),
)
STORED = {"size": 3, "weight": 0.25, "colour": "red", "grade": 2, "member": True}


class Database:
    """The fake's tables behind a socket of 127.0.0.1.

    Attributes:
        accidents: what happens to the next requests instead of an answer: "close" or "half".
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.dynamo = Dynamo()
        self.accidents: list[str] = []
        self.connections = 0
        self._tls = tls
        self.port = 0
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        database = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                database.connections += 1

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                assert self.headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=testing/")
                answer = database.dynamo._right(body["RequestItems"])
                accident = database.accidents.pop(0) if database.accidents else ""
                if accident == "half":
                    answer = answer[: len(answer) // 2]
                if accident != "close":
                    self.wfile.write(answer)
                self.close_connection = bool(accident)

            def log_message(self, *_arguments: object) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

        self._server = Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        if self._tls is not None:
            self._server.socket = self._tls.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Listen no more; connections that are kept stay."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class Worker:
    """The serving container's process."""

    def __init__(self, port: int) -> None:
        self._port = port

    def ask(self, document: Any, path: str = "/invocations") -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            body = None if document is None else json.dumps(document)
            headers = {"Content-Type": "application/json"}
            connection.request("GET" if body is None else "POST", path, body, headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def by_id(self, *customers: str) -> tuple[int, Any]:
        return self.ask({"entities": [{"customer_id": each, "region": "north"} for each in customers]})

    def until(self, status: int) -> Any:
        """Ask until the answer has this status."""
        deadline = time.monotonic() + 30
        while True:
            found, document = self.by_id("C1")
            if found == status:
                return document
            assert time.monotonic() < deadline, (found, document)


@contextmanager
def serving(base: Path, url: str, **environment: str) -> Iterator[Worker]:
    (base / "model").mkdir(parents=True)
    store.save(compile_model(oracle.pipeline(), oracle.CONTRACT), base / "model")
    oracle.CONTRACT.save(base / "model" / "contract.json")
    (base / "model" / "features.json").write_text(PLAN.model_dump_json())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    given = {
        **os.environ,
        "SAGEMAKER_BASE_DIR": str(base),
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "SAGEMAKER_MODEL_SERVER_WORKERS": "1",
        "SLUICE_ONLINE_STORE": "shop",
        "SLUICE_ONLINE_SECONDS": "1",
        "AWS_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_ENDPOINT_URL_DYNAMODB": url,
        **environment,
    }
    with (base / "log").open("wb") as log:
        command = [sys.executable, "-m", "containers.serve", "serve"]
        process = subprocess.Popen(command, cwd=ROOT, env=given, stdout=log, stderr=log)
    worker = Worker(port)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                worker.ask(None, "/ping")
                break
            except OSError:
                assert process.poll() is None, (base / "log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.02)
        yield worker
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
    text = (base / "log").read_text()
    assert "Traceback" not in text, text
    assert "ended with" not in text, "a worker died"


def filled(database: Database) -> None:
    database.dynamo.tables.clear()
    for number in range(300):
        values = STORED | {"size": number}
        now = time.time_ns() // 1000
        database.dynamo.put(PLAN, "shop", "all", {"customer_id": f"C{number}"}, now, **values)


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    database = Database()
    database.start()
    yield database
    database.stop()


@pytest.fixture(scope="module")
def worker(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    url = f"http://127.0.0.1:{database.port}"
    with serving(tmp_path_factory.mktemp("by_id"), url) as worker:
        yield worker


@pytest.fixture(autouse=True)
def all_is_there(database: Database) -> None:
    filled(database)
    database.accidents.clear()


def full(*sizes: int) -> list[dict[str, Any]]:
    return [STORED | {"size": size, "region": "north"} for size in sizes]


def test_by_id_is_answered_as_the_full_rows_are(worker: Worker) -> None:
    sizes = [7, 299, 7, *range(250)]
    by_id = worker.by_id(*(f"C{size}" for size in sizes))
    assert by_id == worker.ask(full(*sizes))
    assert by_id[0] == 200


def test_an_unknown_id_is_not_found(worker: Worker) -> None:
    status, document = worker.by_id("nobody")
    assert (status, document["error"]) == (404, "UnknownEntity")


def test_many_clients_at_once_have_each_their_own_answer(worker: Worker) -> None:
    right = worker.ask(full(*range(40)))[1]["predictions"]
    found: list[Any] = [None] * 40

    def ask(number: int) -> None:
        found[number] = worker.by_id(f"C{number}")[1]["predictions"][0]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == right


@pytest.mark.parametrize("accident", ["close", "half"])
def test_a_connection_that_ends_in_the_middle_is_no_failure(
    worker: Worker, database: Database, accident: str
) -> None:
    database.accidents = [accident, accident]
    status, _ = worker.by_id("C1", "C2")
    assert (status, database.accidents) == (200, [])


def test_a_table_that_is_deleted_and_comes_back(worker: Worker, database: Database) -> None:
    table = database.dynamo.tables.pop("shop.all")
    status, document = worker.by_id("C1")
    assert (status, document["error"]) == (503, "FeatureStoreUnavailable")
    assert "shop.all" in document["message"]
    assert worker.ask(full(1))[0] == 200
    database.dynamo.tables["shop.all"] = table
    assert worker.by_id("C1") == worker.ask(full(1))


def test_a_store_that_goes_away_and_comes_back(worker: Worker, database: Database) -> None:
    database.accidents = ["close"] * 10  # what is kept ends, and nothing new is taken
    database.stop()
    document = worker.until(503)
    assert document["error"] == "FeatureStoreUnavailable"
    assert worker.ask(full(1))[0] == 200
    database.accidents.clear()
    database.start()
    assert worker.until(200) == worker.ask(full(1))[1]


def certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """Make a certificate for 127.0.0.1 that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file, key_file = folder / "certificate.pem", folder / "key.pem"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    key_file.write_bytes(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key_file)
    return file, context


@pytest.mark.parametrize(("is_trusted", "status"), [(True, 200), (False, 503)])
def test_over_tls_the_certificate_is_checked(tmp_path: Path, *, is_trusted: bool, status: int) -> None:
    file, context = certificate(tmp_path)
    database = Database(context)
    filled(database)
    database.start()
    try:
        trusted = {"SSL_CERT_FILE": str(file)} if is_trusted else {}
        with serving(tmp_path / "base", f"https://127.0.0.1:{database.port}", **trusted) as worker:
            found, document = worker.by_id("C1")
            assert found == status, document
            if is_trusted:
                assert document == worker.ask(full(1))[1]
                worker.by_id("C2")
                assert database.connections == 1
            else:
                assert "certificate" in document["message"].lower()
    finally:
        database.stop()
