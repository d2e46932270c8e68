"""What API Gateway hands a function of a request, what the endpoint says, and what is answered over HTTP.

Only the standard library is imported: a function that starts anew has somebody waiting.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from sluice.api.problem_details import CONTENT_TYPE, problem

JSON = "application/json"
INFERENCE_ID = "X-Inference-Id"
RETRY_SECONDS = "1"

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
_AN_INFERENCE_ID = re.compile(r"[\x21-\x7e]{1,64}")
_LABELLED = re.compile(r"  (where|why|to do) +(.*)")
# What the model may say of a request itself; any other status of 400 and above is a failure of this service.
_OF_THE_REQUEST = (400, 404, 409, 413, 415, 422)
_CODES = {413: "BodyTooLarge", 415: "UnsupportedMediaType"}


class Refused(Exception):
    """A request that gets no prediction."""

    def __init__(self, status: int, code: str, detail: str, *, retry: bool = False) -> None:
        self.status = status
        self.code = code
        self.detail = detail
        self.retry = retry
        super().__init__(f"{status} {code}: {detail}")


@dataclass(frozen=True)
class Asked:
    """A request for predictions; its inference id is the caller's, or API Gateway's id of the request."""

    body: bytes
    inference_id: str
    request_id: str

    @classmethod
    def of(cls, event: Mapping[str, Any], most_bytes: int) -> Self:
        """Read the event of a proxy integration.

        https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html

        Raises:
            Refused: the body is too large or no JSON by its type, or the inference id cannot be one.
        """
        request_id = request_id_of(event)
        headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
        inference_id = headers.get(INFERENCE_ID.lower(), request_id)
        if not _AN_INFERENCE_ID.fullmatch(inference_id):
            raise Refused(
                400,
                "InvalidInferenceId",
                f"{INFERENCE_ID} is 1 to 64 visible ASCII characters; this one has {len(inference_id)}.",
            )
        media_type = headers.get("content-type", JSON).partition(";")[0].strip().lower()
        if media_type != JSON:
            raise Refused(
                415, _CODES[415], f"Send {JSON} as Content-Type; this request has {media_type[:60]!r}."
            )
        text = event.get("body") or ""
        body = base64.b64decode(text) if event.get("isBase64Encoded") else text.encode()
        if len(body) > most_bytes:
            raise Refused(
                413, _CODES[413], f"The body is {len(body):,} bytes long; {most_bytes:,} are taken at most."
            )
        return cls(body, inference_id, request_id)


def request_id_of(event: Mapping[str, Any]) -> str:
    return str(event["requestContext"]["requestId"])


def predicted(asked: Asked, body: str) -> dict[str, Any]:
    """Answer with what the model said."""
    return _answer(200, JSON, body, {INFERENCE_ID: asked.inference_id})


def refused(why: Refused, request_id: str, inference_id: str = "") -> dict[str, Any]:
    """Answer with a problem; `inference_id` where the request had got one."""
    headers = {INFERENCE_ID: inference_id} if inference_id else {}
    if why.retry:
        headers["Retry-After"] = RETRY_SECONDS
    made = problem(why.status, why.code, why.detail, request_id=request_id, inference_id=inference_id)
    return _answer(why.status, CONTENT_TYPE, json.dumps(made, ensure_ascii=False), headers)


def by_the_model(status: int, text: str) -> Refused:
    """Say what it means that the container answered with `status` and `text`.

    Its 400 is the caller's, with the model's own words; its 500 is nobody's business but ours, so of those only the
    status is told.
    """
    error, message = _words(text)
    if status in _OF_THE_REQUEST:
        return Refused(status, _CODES.get(status, error or "RequestError"), message)
    if status in (429, 503):
        return Refused(
            503, error or "ModelBusy", "The model takes no more requests at the moment.", retry=True
        )
    if status in (0, 408, 504):  # 0: SageMaker had no answer of the container in its own time
        return Refused(504, "ModelTimeout", "The model did not answer in time.")
    return Refused(502, "ModelError", f"The model failed over this request, with status {status}.")


def by_the_runtime(code: str, message: str) -> Refused | None:
    """Say what another error of InvokeEndpoint means; None for one that is a mistake of the deployment."""
    if code == "ValidationError" and "not found" in message:
        return Refused(503, "NoModel", "No model is in service here yet.")
    if code in ("ThrottlingException", "Throttling", "TooManyRequestsException"):
        return Refused(429, "Throttled", "The endpoint takes no more requests at the moment.", retry=True)
    if code in (
        "ServiceUnavailable",
        "ModelNotReadyException",
        "InternalFailure",
        "InternalDependencyException",
    ):
        return Refused(503, "EndpointUnavailable", "The endpoint cannot be asked at the moment.", retry=True)
    return None


def _words(text: str) -> tuple[str, str]:
    """Take the error's name and message out of a container's answer, which may be any text."""
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if isinstance(document, dict) and isinstance(document.get("message"), str):
        return str(document.get("error", "")), _in_one_line(document["message"])
    return "", text.strip()[:500] or "The model refused this request, and did not say why."


def _in_one_line(message: str) -> str:
    """Write an error of ours, which has its reasons in lines of their own, as a sentence."""
    what, *more = message.splitlines() or [""]
    labelled = (_LABELLED.fullmatch(line) for line in more)
    return "; ".join([what, *(f"{found[1]}: {found[2]}" for found in labelled if found)])


def _answer(status: int, content_type: str, body: str, headers: Mapping[str, str]) -> dict[str, Any]:
    return {
        "statusCode": status,
        "headers": {"Content-Type": content_type, **headers},
        "body": body,
        "isBase64Encoded": False,
    }
