"""AnswerRequest: API Gateway's events in, answers over HTTP out; every error of the endpoint has its status."""

from __future__ import annotations

import base64
import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import boto3
import jsonschema
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError
from botocore.response import StreamingBody
from botocore.stub import Stubber

from lambdas import answer_request
from lambdas.adapters import inference
from sluice.api import problem_details
from sluice.errors import RequestError

URL = "https://runtime.sagemaker.eu-central-1.amazonaws.com"
BODY = '{"age": 41, "job": "Pfleger\\u00e4"}'
ANSWER = b'{"predictions": [{"label": "yes", "probability": 0.8}]}'
CACHED = (inference.inference_settings, inference.runtime)


def event(body: str | None = BODY, **headers: str) -> dict[str, Any]:
    """An event as API Gateway makes it, as far as it is read."""
    return {
        "resource": "/invocations",
        "path": "/invocations",
        "httpMethod": "POST",
        "headers": {"Content-Type": "application/json", "Host": "a", **headers},
        "requestContext": {"requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef", "stage": "prod"},
        "body": body,
        "isBase64Encoded": False,
    }


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("ENDPOINT_NAME", "sluice-bank-prod")
    monkeypatch.setenv("API_MAX_BODY_BYTES", "2048")
    monkeypatch.setenv("API_TIMEOUT_SECONDS", "4")
    for cached in CACHED:
        cached.cache_clear()
    yield
    for cached in CACHED:
        cached.cache_clear()


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    """The runtime's client, held to the service's own model."""
    client = boto3.client(
        "sagemaker-runtime",
        region_name="eu-central-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=Config(retries={"total_max_attempts": 1}),
    )
    monkeypatch.setattr(inference, "runtime", lambda: client)
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def answers(endpoint: Stubber, inference_id: str) -> None:
    endpoint.add_response(
        "invoke_endpoint",
        {"Body": StreamingBody(io.BytesIO(ANSWER), len(ANSWER)), "ContentType": "application/json"},
        {
            "EndpointName": "sluice-bank-prod",
            "Body": BODY.encode(),
            "ContentType": "application/json",
            "Accept": "application/json",
            "InferenceId": inference_id,
        },
    )


def handle(asked: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
    told = answer_request.handler(asked, None)
    assert told.keys() == {"statusCode", "headers", "body", "isBase64Encoded"}
    document = json.loads(told["body"])
    if told["statusCode"] >= 400:
        jsonschema.validate(document, problem_details.SCHEMA)
        assert told["headers"]["Content-Type"] == "application/problem+json"
        assert document["status"] == told["statusCode"]
        assert document["request_id"] == asked["requestContext"]["requestId"]
    return told["statusCode"], told["headers"], document


def test_the_models_answer_goes_out_with_the_id_of_the_request(endpoint: Stubber) -> None:
    answers(endpoint, "c6af9ac6-7b61-11e6-9a41-93e8deadbeef")
    status, headers, document = handle(event())
    assert (status, document) == (200, json.loads(ANSWER))
    assert headers == {
        "Content-Type": "application/json",
        "X-Inference-Id": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
    }


def test_the_callers_own_inference_id_is_the_predictions(endpoint: Stubber) -> None:
    answers(endpoint, "order-7")
    _, headers, _ = handle(event(**{"x-inference-id": "order-7"}))
    assert headers["X-Inference-Id"] == "order-7"


def test_a_body_that_comes_as_base64_is_read(endpoint: Stubber) -> None:
    answers(endpoint, "c6af9ac6-7b61-11e6-9a41-93e8deadbeef")
    encoded = base64.b64encode(BODY.encode()).decode()
    assert handle({**event(encoded), "isBase64Encoded": True})[0] == 200


@pytest.mark.parametrize("wrong", ["", "x" * 65, "é", "a b"])
def test_an_id_that_cannot_be_one_is_refused(wrong: str, endpoint: Stubber) -> None:
    status, headers, document = handle(event(**{"X-Inference-Id": wrong}))
    assert (status, document["code"]) == (400, "InvalidInferenceId")
    assert "1 to 64 visible ASCII characters" in document["detail"]
    assert "X-Inference-Id" not in headers


def test_only_json_is_taken(endpoint: Stubber) -> None:
    status, _, document = handle(event(**{"Content-Type": "text/csv; header=present"}))
    assert (status, document["code"]) == (415, "UnsupportedMediaType")
    assert document["detail"] == "Send application/json as Content-Type; this request has 'text/csv'."


def test_a_body_beyond_the_limit_never_reaches_the_endpoint(endpoint: Stubber) -> None:
    # Two bytes each: what counts is what is sent, not its letters.
    status, _, document = handle(event(json.dumps("é" * 1024, ensure_ascii=False)))
    assert (status, document["code"]) == (413, "BodyTooLarge")
    assert document["detail"] == "The body is 2,050 bytes long; 2,048 are taken at most."


ADVICE = json.dumps(
    {"error": "RequestError", "message": str(RequestError("no rows", fix="send at least one"))}
)
REFUSAL = json.dumps({"error": "RequestError", "message": "row 1, column 'age': found null"})


@pytest.mark.parametrize(
    ("original", "text", "status", "code", "detail"),
    [
        (400, REFUSAL, 400, "RequestError", "row 1, column 'age': found null"),
        (404, '{"error": "UnknownEntity", "message": "no C1"}', 404, "UnknownEntity", "no C1"),
        (400, ADVICE, 400, "RequestError", "no rows; to do: send at least one"),
        (413, "too large", 413, "BodyTooLarge", "too large"),
        (415, '{"error": "X", "message": "m"}', 415, "UnsupportedMediaType", "m"),
        (400, "", 400, "RequestError", "The model refused this request, and did not say why."),
        (
            500,
            "Traceback: /opt/ml/secret",
            502,
            "ModelError",
            "The model failed over this request, with status 500.",
        ),
        (418, "teapot", 502, "ModelError", "The model failed over this request, with status 418."),
        (503, '{"error": "FeatureStoreUnavailable", "message": "t"}', 503, "FeatureStoreUnavailable", None),
        (503, "busy", 503, "ModelBusy", None),
        (0, "timed out while waiting for a response", 504, "ModelTimeout", None),
        (408, "slow", 504, "ModelTimeout", None),
    ],
)
def test_an_answer_of_the_model_that_is_an_error_has_its_status(
    endpoint: Stubber, original: int, text: str, status: int, code: str, detail: str | None
) -> None:
    endpoint.add_client_error(
        "invoke_endpoint",
        "ModelError",
        "Received client error from primary",
        http_status_code=424,
        modeled_fields={"OriginalStatusCode": original, "OriginalMessage": text, "LogStreamArn": "arn"},
    )
    found, headers, document = handle(event(**{"X-Inference-Id": "order-7"}))
    assert (found, document["code"]) == (status, code)
    assert document["inference_id"] == headers["X-Inference-Id"] == "order-7"
    if detail is not None:
        assert document["detail"] == detail
    assert ("Retry-After" in headers) == (status == 503)
    assert "secret" not in json.dumps(document)


@pytest.mark.parametrize(
    ("code", "message", "status", "told"),
    [
        ("ValidationError", "Endpoint sluice-bank-prod of account 1 not found.", 503, "NoModel"),
        ("ThrottlingException", "Rate exceeded", 429, "Throttled"),
        ("ServiceUnavailable", "", 503, "EndpointUnavailable"),
        ("InternalFailure", "", 503, "EndpointUnavailable"),
        ("ModelNotReadyException", "", 503, "EndpointUnavailable"),
    ],
)
def test_an_endpoint_that_cannot_be_asked(
    endpoint: Stubber, code: str, message: str, status: int, told: str
) -> None:
    endpoint.add_client_error("invoke_endpoint", code, message)
    found, _, document = handle(event())
    assert (found, document["code"]) == (status, told)


@pytest.mark.parametrize("code", ["AccessDeniedException", "ValidationError", "UnrecognizedClientException"])
def test_a_mistake_of_the_deployment_is_the_functions_error(endpoint: Stubber, code: str) -> None:
    # It is an alarm, and API Gateway tells the caller without saying what.
    endpoint.add_client_error("invoke_endpoint", code, "User is not authorized")
    with pytest.raises(ClientError, match=code):
        answer_request.handler(event(), None)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ReadTimeoutError(endpoint_url=URL), 504, "ModelTimeout"),
        (ConnectTimeoutError(endpoint_url=URL), 503, "EndpointUnavailable"),
        (EndpointConnectionError(endpoint_url=URL), 503, "EndpointUnavailable"),
    ],
)
def test_an_endpoint_that_does_not_answer(
    endpoint: Stubber, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, code: str
) -> None:
    client = inference.runtime()

    def fail(**_: Any) -> None:
        raise error

    monkeypatch.setattr(client, "invoke_endpoint", fail)
    found, _, document = handle(event())
    assert (found, document["code"]) == (status, code)


def test_the_client_is_made_once_asks_once_and_leaves_time_to_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    made = inference.runtime()
    assert made is inference.runtime()
    assert made.meta.config.read_timeout == 3
    assert made.meta.config.retries["total_max_attempts"] == 1


def test_values_of_a_request_are_in_no_log(endpoint: Stubber, caplog: pytest.LogCaptureFixture) -> None:
    endpoint.add_client_error(
        "invoke_endpoint",
        "ModelError",
        http_status_code=424,
        modeled_fields={"OriginalStatusCode": 400, "OriginalMessage": "found 'Ada Lovelace'"},
    )
    with caplog.at_level(logging.DEBUG, logger="sluice"):
        assert "Ada Lovelace" in handle(event())[2]["detail"]
    (record,) = (each for each in caplog.records if each.name == "sluice")
    assert "Ada" not in str(vars(record))
    assert (vars(record)["status"], vars(record)["code"]) == (400, "RequestError")


def test_a_function_that_starts_imports_nothing_that_it_does_not_need() -> None:
    code = (
        "import sys, lambdas.answer_request\n"
        "print(sorted(each for each in ('pydantic', 'pyarrow', 'pandas', 'numpy', 'jinja2') if each in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
