"""VerifyModel: what the endpoint is asked, and what is made of its answer."""

from __future__ import annotations

import io
import json
from typing import Any

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber

from lambdas import verify_model
from lambdas.adapters import endpoints, settings
from lambdas.adapters.endpoints import Answered
from sluice.contract import JsonValue
from sluice.errors import EndpointUnavailable
from sluice.payloads.golden import GoldenAnswers
from tests.support.bucket import Bucket

MODEL = "models/bank-dev-1-train/output/model.tar.gz"
EVENT = {"endpoint_name": "e", "model_name": "bank-dev-1", "model_uri": f"s3://artifacts/{MODEL}"}
ROWS: tuple[dict[str, JsonValue], ...] = ({"age": 41, "job": "nurse"}, {"age": 2**53 + 1, "job": None})


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Bucket:
    made = Bucket()
    monkeypatch.setenv("ARTIFACTS_BUCKET", "artifacts")
    monkeypatch.setenv("PROJECT_FILE", "project/project.toml")
    settings.settings.cache_clear()
    monkeypatch.setattr(verify_model, "S3Artifacts", lambda _name: made)
    return made


def recorded(bucket: Bucket) -> None:
    made = GoldenAnswers(instances=ROWS, answers=((0.25,), (0.75,)), exact=True)
    bucket.objects["models/bank-dev-1-train/output/golden.json"] = made.body()


def answering(monkeypatch: pytest.MonkeyPatch, answer: Answered) -> list[tuple[Any, ...]]:
    asked: list[tuple[Any, ...]] = []

    def ask(name: str, body: bytes, *, accept: str, inference_id: str) -> Answered:
        asked.append((name, json.loads(body), accept, inference_id))
        return answer

    monkeypatch.setattr(endpoints, "ask", ask)
    return asked


def test_the_rows_are_asked_as_they_were_recorded(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded(bucket)
    asked = answering(monkeypatch, Answered(200, b"0.25\n0.75\n"))

    assert verify_model.handler(EVENT, None) == {"verdict": "same", "rows": 2, "difference": None}
    assert asked == [("e", {"instances": [*ROWS]}, "text/csv", "sluice-verification")]


@pytest.mark.parametrize(
    ("answer", "difference"),
    [
        (Answered(200, b"0.25\n0.5\n"), "row 2 of 2: 0.5 for 0.75"),
        (Answered(500, b"the model raised"), "it refuses the rows with 500: the model raised"),
    ],
)
def test_another_answer_is_a_difference(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, answer: Answered, difference: str
) -> None:
    recorded(bucket)
    answering(monkeypatch, answer)

    found = verify_model.handler(EVENT, None)
    assert (found["verdict"], found["difference"]) == ("different", difference)


@pytest.mark.usefixtures("bucket")
def test_where_nothing_was_recorded_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answering(monkeypatch, Answered(200, b""))
    assert verify_model.handler(EVENT, None)["verdict"] == "unrecorded"
    assert asked == []


def test_what_the_endpoint_says_is_told_apart_from_that_it_says_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    api = boto3.client("sagemaker-runtime", region_name="eu-central-1")
    monkeypatch.setattr(boto3, "client", lambda _service: api)
    with Stubber(api) as stub:
        body = StreamingBody(io.BytesIO(b"0.5\n"), 4)
        expected = {
            "EndpointName": "e",
            "ContentType": "application/json",
            "Accept": "text/csv",
            "Body": b"{}",
            "InferenceId": "i",
        }
        stub.add_response("invoke_endpoint", {"Body": body}, expected)
        assert endpoints.ask("e", b"{}", accept="text/csv", inference_id="i") == Answered(200, b"0.5\n")

        for status, message in ((400, "unknown feature"), (500, "the model raised")):
            stub.add_client_error(
                "invoke_endpoint",
                "ModelError",
                modeled_fields={"OriginalStatusCode": status, "OriginalMessage": message},
            )
            assert endpoints.ask("e", b"{}", accept="text/csv", inference_id="i") == Answered(
                status, message.encode()
            )

        stub.add_client_error("invoke_endpoint", "ModelError", modeled_fields={"OriginalStatusCode": 503})
        with pytest.raises(EndpointUnavailable):
            endpoints.ask("e", b"{}", accept="text/csv", inference_id="i")
        stub.add_client_error("invoke_endpoint", "ValidationError", "Endpoint e of account 1 not found.")
        with pytest.raises(EndpointUnavailable, match="not found"):
            endpoints.ask("e", b"{}", accept="text/csv", inference_id="i")
