"""InvokeEndpoint: forwards a request to the model's process and answers as the SageMaker runtime does."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from local.sagemaker.capture import Exchange
from local.sagemaker.connections import Answer, ModelTimeout, ModelUnreachable
from local.sagemaker.endpoints import Endpoints
from local.sagemaker.fleet import Fleet, Variant
from local.sagemaker.instance import Instance
from local.sagemaker.metrics import EndpointMetrics

MAX_BODY_BYTES = 6_291_456
MAX_HEADER_CHARACTERS = 1024
MAX_INFERENCE_ID = 64
MAX_MESSAGE = 2048
INVOCATION_TIMEOUT_SECONDS = 60.0
# A process that dies of a request takes no more than another one along.
_MOST_TRIES = 2
CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
INFERENCE_ID = "X-Amzn-SageMaker-Inference-Id"
TARGET_VARIANT = "X-Amzn-SageMaker-Target-Variant"
FORWARDED = ("Content-Type", "Accept", CUSTOM_ATTRIBUTES, INFERENCE_ID)
UNSUPPORTED = {
    "X-Amzn-SageMaker-Target-Model": "TargetModel",
    "X-Amzn-SageMaker-Target-Container-Hostname": "TargetContainerHostname",
    "X-Amzn-SageMaker-Inference-Component": "InferenceComponentName",
    "X-Amzn-SageMaker-Session-Id": "SessionId",
    "X-Amzn-SageMaker-Enable-Explanations": "EnableExplanations",
}

Response = tuple[int, dict[str, str], bytes]


class RuntimeRefusal(Exception):
    """An answer other than the model's: its status, its error code and the members of its body."""

    def __init__(self, status: int, code: str | None, **members: Any) -> None:
        super().__init__(members.get("Message", ""))
        self.status = status
        self.code = code
        self.members = members

    def response(self) -> Response:
        headers = {"Content-Type": "application/json"}
        if self.code is not None:
            headers["x-amzn-ErrorType"] = self.code
        return self.status, headers, json.dumps(self.members).encode()


@dataclass(frozen=True)
class Invocation:
    """One InvokeEndpoint request."""

    account: str
    region: str
    endpoint: str
    headers: Mapping[str, str]
    body: bytes


class Runtime:
    """Answers InvokeEndpoint out of the endpoints' processes."""

    def __init__(self, endpoints: Endpoints, metrics: EndpointMetrics) -> None:
        self._endpoints = endpoints
        self._metrics = metrics

    def invoke(self, invocation: Invocation) -> Response:
        """The model's answer, or AWS's error, as (status, headers, body)."""
        started = time.perf_counter()
        try:
            _check(invocation)
            variant, answer = self._answered(invocation, started)
        except RuntimeRefusal as refusal:
            return refusal.response()
        headers = {
            "Content-Type": answer.headers.get("content-type", "application/octet-stream"),
            "x-Amzn-Invoked-Production-Variant": variant.plan.name,
        }
        attributes = answer.headers.get(CUSTOM_ATTRIBUTES.lower())
        if attributes is not None:
            headers[CUSTOM_ATTRIBUTES] = attributes
        return 200, headers, answer.body

    def _answered(self, invocation: Invocation, started: float) -> tuple[Variant, Answer]:
        """Ask an instance; where its process is gone before it has answered, another one, once."""
        tried: list[Instance] = []
        failure: RuntimeRefusal | None = None
        while len(tried) < _MOST_TRIES and (found := self._acquire(invocation, tried)):
            fleet, variant, instance = found
            tried.append(instance)
            try:
                answer = self._forward(invocation, found, started)
                if fleet.capture is not None:
                    fleet.capture.note(_exchange(invocation, variant, answer))
                return variant, answer
            except ModelUnreachable as error:
                failure = _model_error(invocation, 0, str(error))
            finally:
                variant.release(instance)
        if failure is None:
            text = "The service is currently unavailable: the model's process is being replaced."
            failure = RuntimeRefusal(503, "ServiceUnavailable", Message=text)
        raise failure

    def _acquire(
        self, invocation: Invocation, tried: Sequence[Instance]
    ) -> tuple[Fleet, Variant, Instance] | None:
        """Take a ready instance of the fleet that is drawn; where it has none, of the other that has traffic."""
        fleets = self._endpoints.fleets(invocation.account, invocation.region, invocation.endpoint)
        if not fleets:
            text = f"Endpoint {invocation.endpoint} of account {invocation.account} not found."
            raise RuntimeRefusal(400, "ValidationError", Message=text)
        target = invocation.headers.get(TARGET_VARIANT)
        for fleet in fleets:
            variant = fleet.choose(target)
            if variant is None:
                text = f"Variant {target} not found for Request with endpoint {invocation.endpoint}."
                raise RuntimeRefusal(400, "ValidationError", Message=text)
            instance = variant.acquire(tried)
            if instance is not None:
                return fleet, variant, instance
        return None

    def _forward(self, invocation: Invocation, to: tuple[Fleet, Variant, Instance], started: float) -> Answer:
        fleet, variant, instance = to
        headers = {name: invocation.headers[name] for name in FORWARDED if name in invocation.headers}
        headers.setdefault("Content-Type", "application/octet-stream")
        headers["Content-Length"] = str(len(invocation.body))
        pool = instance.pool
        status, sent = 0, time.perf_counter()
        try:
            if pool is None:
                raise ModelUnreachable("the process is being replaced")
            answer = pool.request(
                "POST",
                "/invocations",
                body=invocation.body,
                headers=headers,
                timeout=INVOCATION_TIMEOUT_SECONDS,
            )
            status = answer.status
        except ModelTimeout:
            raise _model_error(
                invocation,
                0,
                "Your invocation timed out while waiting for a response from container primary. Review the "
                "latency metrics for each container in Amazon CloudWatch, resolve the issue, and try again.",
            ) from None
        finally:
            taken = time.perf_counter() - sent
            self._record(invocation, fleet, variant, status, taken, sent - started)
        if not 200 <= status < 300:
            raise _model_error(invocation, status, answer.body.decode("utf-8", "replace"))
        return answer

    def _record(
        self,
        invocation: Invocation,
        fleet: Fleet,
        variant: Variant,
        status: int,
        model: float,
        overhead: float,
    ) -> None:
        self._metrics.record(
            invocation.region,
            invocation.endpoint,
            variant.plan.name,
            fleet.config_name,
            {
                "Invocations": 1,
                "InvocationsPerInstance": 1 / max(1, len(variant.instances)),
                "Invocation4XXErrors": float(400 <= status < 500),
                "Invocation5XXErrors": float(status >= 500 or status == 0),
                "InvocationModelErrors": float(not 200 <= status < 300),
                "ModelLatency": model * 1e6,
                "OverheadLatency": overhead * 1e6,
            },
        )


def _exchange(invocation: Invocation, variant: Variant, answer: Answer) -> Exchange:
    return Exchange(
        variant=variant.plan.name,
        content_type=invocation.headers.get("Content-Type", "application/octet-stream"),
        body=invocation.body,
        answer_type=answer.headers.get("content-type", "application/octet-stream"),
        answer=answer.body,
        inference_id=invocation.headers.get(INFERENCE_ID),
        at=datetime.now(UTC),
    )


def _check(invocation: Invocation) -> None:
    size = len(invocation.body)
    if size > MAX_BODY_BYTES:
        # AWS answers a bare 413 here, without an error type.
        raise RuntimeRefusal(413, None, message=f"HTTP content length exceeded {MAX_BODY_BYTES} bytes.")
    for header, member in UNSUPPORTED.items():
        if header in invocation.headers:
            text = f"The local AWS does not support {member} of InvokeEndpoint. Remove it locally."
            raise RuntimeRefusal(400, "ValidationError", Message=text)
    limits = {INFERENCE_ID: MAX_INFERENCE_ID, CUSTOM_ATTRIBUTES: MAX_HEADER_CHARACTERS}
    for header, limit in limits.items():
        if len(invocation.headers.get(header, "")) > limit:
            text = (
                f"1 validation error detected: Value at '{header}' failed to satisfy constraint: "
                f"Member must have length less than or equal to {limit}"
            )
            raise RuntimeRefusal(400, "ValidationError", Message=text)


def _model_error(invocation: Invocation, status: int, message: str) -> RuntimeRefusal:
    side = "client" if 400 <= status < 500 else "server"
    region, account, endpoint = invocation.region, invocation.account, invocation.endpoint
    message = message[:MAX_MESSAGE]
    group = f"/aws/sagemaker/Endpoints/{endpoint}"
    console = f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}"
    text = (
        f'Received {side} error ({status}) from primary with message "{message}". See '
        f"{console}#logEventViewer:group={group} in account {account} for more information."
    )
    return RuntimeRefusal(
        424,
        "ModelError",
        Message=text,
        OriginalStatusCode=status,
        OriginalMessage=message,
        LogStreamArn=f"arn:aws:logs:{region}:{account}:log-group:{group}",
    )
