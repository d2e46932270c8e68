"""The endpoint as it is now: what may be said of it in a report, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sluice.errors import EndpointUnavailable
from sluice.payloads.training import EndpointSeen

_OVERLOADED = 503


def look(name: str) -> EndpointSeen:
    """Describe the endpoint. That it cannot be described is part of the answer: the report goes out anyway."""
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        found = boto3.client("sagemaker").describe_endpoint(EndpointName=name)
    except ClientError as error:
        if "Could not find" in error.response["Error"].get("Message", ""):
            return EndpointSeen(name=name)
        return EndpointSeen(name=name, problem=str(error))
    except BotoCoreError as error:
        return EndpointSeen(name=name, problem=str(error))
    return EndpointSeen(name=name, status=found["EndpointStatus"], config=found["EndpointConfigName"])


@dataclass(frozen=True)
class Answered:
    """What an endpoint's model answered; `body` is its error's text where `status` is not 200."""

    status: int
    body: bytes


def ask(name: str, body: bytes, *, accept: str, inference_id: str) -> Answered:
    """Send `body`, JSON, to an endpoint. `inference_id` stands with what is captured of it.

    Raises:
        EndpointUnavailable: it is overloaded, or cannot be asked.
    """
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        answer = boto3.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=name,
            ContentType="application/json",
            Accept=accept,
            Body=body,
            InferenceId=inference_id,
        )
        return Answered(200, answer["Body"].read())
    except ClientError as error:
        # ModelError says more than the type of all errors knows.
        told: Any = error.response
        status = int(told.get("OriginalStatusCode") or 0)
        if told["Error"].get("Code") == "ModelError" and status != _OVERLOADED:
            return Answered(status, str(told.get("OriginalMessage") or error).encode())
        raise EndpointUnavailable("the endpoint does not answer", where=name, why=str(error)) from error
    except BotoCoreError as error:
        raise EndpointUnavailable("the endpoint does not answer", where=name, why=str(error)) from error
