"""The login for a tracking server of a team's own: read from its secret, sent, renewed, and never told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from containers.train.login import sign_in
from lambdas.adapters.mlflow import MlflowTracker
from lambdas.adapters.mlflow_wire import RestWire
from lambdas.adapters.secrets_manager import authorization
from sluice.errors import TrackingRefused, TrainingFailed
from sluice.tracking.login import Login
from tests.support.mlflow import URI, Mlflow

PASSWORD = {"username": "Aladdin", "password": "open sesame"}
NAME = "team/mlflow"


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with mock_aws():
        yield boto3.client("secretsmanager")


def test_a_password_is_sent_as_the_rfc_has_it_and_a_token_as_it_is() -> None:
    # The pair and its header are RFC 7617's own example.
    by_password = Login.of(NAME, json.dumps(PASSWORD))
    assert by_password.authorization == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    assert by_password.environment == {
        "MLFLOW_TRACKING_USERNAME": "Aladdin",
        "MLFLOW_TRACKING_PASSWORD": "open sesame",
    }
    by_token = Login.of(NAME, '{"token": "abc"}')
    assert by_token.authorization == "Bearer abc"
    assert by_token.environment == {"MLFLOW_TRACKING_TOKEN": "abc"}
    assert "sesame" not in repr(by_password)


@pytest.mark.parametrize(
    "held",
    [
        "sesame",
        "[]",
        '{"username": "sesame"}',
        '{"password": "sesame"}',
        '{"token": "sesame", "password": "x"}',
        '{"tokn": "sesame"}',
        '{"token": ["sesame"]}',
        "",
    ],
)
def test_a_secret_that_holds_something_else_is_named_and_not_quoted(held: str) -> None:
    with pytest.raises(TrackingRefused, match="cannot be used") as caught:
        Login.of(NAME, held)
    assert caught.value.where == "tracking.secret, team/mlflow"
    assert '{"token": "…"}' in caught.value.fix
    assert "sesame" not in str(caught.value)


def test_each_request_signs_in(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, str]] = []

    class Connection:
        def request(self, _method: str, _path: str, _body: bytes | None, headers: dict[str, str]) -> None:
            sent.append(headers)

        def getresponse(self) -> Any:
            return type(
                "Response", (), {"status": 200, "read": lambda _: b"3.1" if len(sent) == 1 else b"{}"}
            )()

    wire = RestWire("https://mlflow.example.com", authorization=lambda: "Bearer abc")
    monkeypatch.setattr(wire, "_connect", Connection)
    wire.call("GET", "runs/get?run_id=1")
    assert [each["Authorization"] for each in sent] == ["Bearer abc", "Bearer abc"]


def test_a_new_password_is_used_within_five_minutes(secrets: Any) -> None:
    now = 1_000.0
    secrets.create_secret(Name=NAME, SecretString='{"token": "old"}')
    current = authorization(NAME, clock=lambda: now)
    assert current() == "Bearer old"
    secrets.put_secret_value(SecretId=NAME, SecretString='{"token": "new"}')
    assert current() == "Bearer old"
    now += 301
    assert current() == "Bearer new"


def test_a_secret_that_is_not_there_is_said_to_be_missing(secrets: Any) -> None:
    with pytest.raises(TrackingRefused, match="cannot be read") as caught:
        authorization(NAME)()
    assert caught.value.where == "tracking.secret, team/mlflow"
    assert "make a secret of that name" in caught.value.fix
    with pytest.raises(TrainingFailed, match="the secret for the tracking server cannot be read"):
        sign_in({"SLUICE_TRACKING_SECRET": NAME})


def test_training_code_finds_the_login_where_mlflow_looks_for_it(secrets: Any) -> None:
    secrets.create_secret(Name=NAME, SecretString=json.dumps(PASSWORD))
    told = MlflowTracker(Mlflow(), URI, secret=NAME).environment("bank-dev", "run0")
    assert "open sesame" not in str(told)

    sign_in(told)
    assert told["MLFLOW_TRACKING_USERNAME"] == "Aladdin"
    assert told["MLFLOW_TRACKING_PASSWORD"] == "open sesame"

    unasked = MlflowTracker(Mlflow(), URI).environment("bank-dev", "run0")
    before = dict(unasked)
    sign_in(unasked)
    assert unasked == before
