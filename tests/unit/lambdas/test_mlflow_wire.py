"""How a server of MLflow is asked, and what becomes of answers that are none: without sockets."""

from __future__ import annotations

import http.client
import json
from typing import Any

import pytest

from lambdas.adapters.mlflow_wire import Refused, RestWire
from sluice.errors import TrackingRefused, TrackingUnavailable

APP = "arn:aws:sagemaker:eu-central-1:123456789012:mlflow-app/app-0A1B"
SERVER = "arn:aws:sagemaker:eu-central-1:123456789012:mlflow-tracking-server/bank"
URL = "https://mlflow.example.com/team"


class Answers:
    """A connection that answers in order, or fails; what it was asked is kept."""

    def __init__(self, *answers: tuple[int, bytes] | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str, bytes, dict[str, str]]] = []
        self.closed = 0

    def request(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> None:
        self.asked.append((method, path, body or b"", headers))

    def getresponse(self) -> Any:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return type("Response", (), {"status": answer[0], "read": lambda _self: answer[1]})()

    def close(self) -> None:
        self.closed += 1


def wire(
    monkeypatch: pytest.MonkeyPatch, *answers: tuple[int, bytes] | Exception, uri: str = URL
) -> tuple[RestWire, Answers]:
    made, connection = RestWire(uri), Answers(*answers)
    monkeypatch.setattr(made, "_connect", lambda: connection)
    return made, connection


OK = (200, b"3.17.2")


def test_a_request_goes_to_the_url_and_says_what_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    made, connection = wire(monkeypatch, OK, (200, b'{"run": {}}'), (200, b"{}"))

    assert made.call("POST", "runs/create", {"a": 1}) == {"run": {}}
    made.call("GET", "runs/get?run_id=1")

    assert [each[:2] for each in connection.asked] == [
        ("GET", "/team/version"),
        ("POST", "/team/api/2.0/mlflow/runs/create"),
        ("GET", "/team/api/2.0/mlflow/runs/get?run_id=1"),
    ]
    assert json.loads(connection.asked[1][2]) == {"a": 1}
    assert connection.asked[1][3] == {"Content-Type": "application/json"}


@pytest.mark.parametrize("version", [b"2.2.9", b"1.30.0", b"4.0.0"])
def test_a_server_of_a_wrong_version_is_refused(monkeypatch: pytest.MonkeyPatch, version: bytes) -> None:
    made, _ = wire(monkeypatch, (200, version))

    with pytest.raises(TrackingRefused) as caught:
        made.call("GET", "runs/get?run_id=1")

    assert str(caught.value) == (
        "the MLflow server is of a version that cannot be used\n"
        f"  where  {URL}\n"
        f"  why    it is MLflow {version.decode()}; aliases need 2.3, and after 3 nothing was tried\n"
        "  to do  use a server of MLflow 2.3 to 3, or leave tracking.uri out of project.toml"
    )


@pytest.mark.parametrize("version", [b"2.3.0", b"3.99.1"])
def test_a_server_of_a_known_version_is_asked(monkeypatch: pytest.MonkeyPatch, version: bytes) -> None:
    made, _ = wire(monkeypatch, (200, version), (200, b"{}"))

    assert made.call("GET", "runs/get?run_id=1") == {}


@pytest.mark.parametrize("answer", [(404, b"<html>"), (200, b"<html>hello")])
def test_what_is_no_mlflow_is_said_to_be_none(
    monkeypatch: pytest.MonkeyPatch, answer: tuple[int, bytes]
) -> None:
    made, _ = wire(monkeypatch, answer)

    with pytest.raises(TrackingRefused, match="what answers is no MLflow server") as caught:
        made.call("GET", "runs/get?run_id=1")
    assert "tracking.uri" in caught.value.fix


@pytest.mark.parametrize(
    "answer", [(503, b"busy"), (429, b"slow down"), TimeoutError("timed out"), ConnectionRefusedError("no")]
)
def test_a_server_that_is_down_is_unavailable(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    made, _ = wire(monkeypatch, answer, answer)

    with pytest.raises(TrackingUnavailable, match="does not answer as it should") as caught:
        made.call("GET", "runs/get?run_id=1")
    assert 'tracking.on_failure = "continue"' in caught.value.fix


def test_a_server_that_lets_nobody_in_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = wire(monkeypatch, (403, b"no"))

    with pytest.raises(TrackingRefused, match="does not let the pipeline in"):
        made.call("GET", "runs/get?run_id=1")


def test_mlflows_own_refusal_keeps_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    told = json.dumps({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such run"}).encode()
    made, _ = wire(monkeypatch, OK, (404, told))

    with pytest.raises(Refused, match="no such run") as caught:
        made.call("GET", "runs/get?run_id=1")
    assert caught.value.code == "RESOURCE_DOES_NOT_EXIST"


def test_a_kept_connection_that_has_ended_is_made_again_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = http.client.RemoteDisconnected("ended")
    made, connection = wire(monkeypatch, OK, ended, (200, b"{}"))

    assert made.call("GET", "runs/get?run_id=1") == {}
    assert connection.closed == 1


@pytest.mark.parametrize(
    ("arn", "header", "service"),
    [
        (APP, "x-sm-mlflow-app-arn", "sagemaker"),
        (SERVER, "x-mlflow-sm-tracking-server-arn", "sagemaker-mlflow"),
    ],
)
def test_requests_to_an_arn_are_signed_and_name_it(
    monkeypatch: pytest.MonkeyPatch, arn: str, header: str, service: str
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    # A managed app need not say its version.
    made, connection = wire(monkeypatch, (404, b""), (200, b"{}"), uri=arn)

    made.call("POST", "runs/create", {})

    headers = connection.asked[-1][3]
    assert headers[header] == arn
    assert f"/eu-central-1/{service}/aws4_request" in headers["Authorization"]
    assert connection.asked[-1][1] == "/api/2.0/mlflow/runs/create"


def test_an_arn_of_something_else_is_refused() -> None:
    with pytest.raises(TrackingRefused, match="a model is no tracking server"):
        RestWire("arn:aws:sagemaker:eu-central-1:123456789012:model/bank")
