"""What S3 fails of for a moment, and what it refuses: through boto3's own client, against a server that is so."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from lambdas import decide_gate
from lambdas.adapters import settings, storage
from lambdas.adapters.artifacts import S3Artifacts
from lambdas.adapters.uploads import Upload
from sluice.errors import PipelineFailed, StorageUnavailable

BODY = "<Error><Code>{}</Code><Message>{}</Message></Error>"


class Broken(ThreadingHTTPServer):
    """An S3 that answers every request alike; status 0 closes the connection without a word."""

    status = 503
    code = "SlowDown"
    asked = 0


class Handler(BaseHTTPRequestHandler):
    server: Broken

    def _answer(self) -> None:
        self.server.asked += 1
        self.close_connection = True
        if self.server.status == 0:
            return
        body = b"" if self.command == "HEAD" else BODY.format(self.server.code, "because").encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_HEAD = do_PUT = do_POST = _answer  # noqa: N815 - names of http.server

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Broken]:
    # Nothing waits: the pauses between attempts are botocore's own.
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    with Broken(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield server
        server.shutdown()
        thread.join()


def calls(tmp_path: Path) -> dict[str, Any]:
    artifacts = S3Artifacts("artifacts")
    file = tmp_path / "data.parquet"
    file.write_bytes(b"x" * 100)
    return {
        "exists": lambda: artifacts.exists("reports/a"),
        "read": lambda: artifacts.read("reports/a"),
        "write": lambda: artifacts.write("reports/a", b"x", "text/plain"),
        "create": lambda: artifacts.create("reports/a", b"x", "text/plain"),
        "upload": lambda: artifacts.upload(file, "reports/a"),
        "read tagged": lambda: artifacts.read_tagged("reports/a"),
        "replace": lambda: artifacts.replace("reports/a", b"x", "text/plain", "tag"),
        "open": lambda: artifacts.open("reports/a"),
        "read a range": lambda: artifacts.read_range("reports/a", 0, 1),
        "open an upload": lambda: Upload("artifacts", "incoming/training/reports/a.csv", "v").open(),
        "open the newest": lambda: Upload("artifacts", "incoming/training/reports/a.csv", None).open(),
    }


CALLS = [
    "exists",
    "read",
    "write",
    "create",
    "upload",
    "read tagged",
    "replace",
    "open",
    "read a range",
    "open an upload",
    "open the newest",
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("status", "code"),
    [(503, "SlowDown"), (500, "InternalError"), (503, "ServiceUnavailable"), (0, "no answer")],
)
def test_what_passes_is_an_error_that_states_try_again(
    s3: Broken, tmp_path: Path, call: str, status: int, code: str
) -> None:
    s3.status, s3.code = status, code
    with pytest.raises(StorageUnavailable) as caught:
        calls(tmp_path)[call]()
    assert "reports/a" in caught.value.where
    assert s3.asked == 5


@pytest.mark.parametrize("call", ["read", "write", "create", "upload"])
def test_a_request_that_came_too_slowly_passes(s3: Broken, tmp_path: Path, call: str) -> None:
    s3.status, s3.code = 400, "RequestTimeout"
    with pytest.raises(StorageUnavailable, match="RequestTimeout"):
        calls(tmp_path)[call]()


@pytest.mark.parametrize("call", CALLS)
def test_what_is_refused_says_so_and_is_asked_once(s3: Broken, tmp_path: Path, call: str) -> None:
    s3.status, s3.code = 403, "AccessDenied"
    with pytest.raises(PipelineFailed) as caught:
        calls(tmp_path)[call]()
    assert ("AccessDenied" in caught.value.why) or ("403" in caught.value.why)
    assert "deploy the stack again" in caught.value.fix
    assert s3.asked == 1


def test_an_upload_that_breaks_while_it_is_read_passes(s3: Broken, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = Upload("uploads", "incoming/training/a.csv", "v")
    monkeypatch.setattr(upload, "etag", "e")
    monkeypatch.setattr(upload, "_size", 100)
    with pytest.raises(StorageUnavailable, match="S3 does not answer"):
        upload.open().read()


def test_a_server_that_is_not_there_passes(monkeypatch: pytest.MonkeyPatch, s3: Broken) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    with pytest.raises(StorageUnavailable):
        S3Artifacts("artifacts").read("reports/a")


def test_a_handler_that_meets_it_ends_under_the_name_that_states_try_again(
    s3: Broken, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARTIFACTS_BUCKET", "artifacts")
    monkeypatch.setenv("PROJECT_FILE", "project/project.toml")
    settings.settings.cache_clear()
    event = {"execution": "run", "evaluation_uri": "s3://artifacts/reports/run/evaluation/evaluation.json"}
    with pytest.raises(Exception, match="SlowDown") as caught:
        decide_gate.handler(event, None)
    settings.settings.cache_clear()
    assert type(caught.value).__name__ == "StorageUnavailable"


def test_what_is_no_matter_of_s3_is_left_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError), storage.explained("s3://b/k"):
        raise ZeroDivisionError
