"""The endpoint's runtime, asked by a function that somebody waits for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from typing import Any

# Here, not at the first request: while a function starts it has the whole processor, and nobody pays for it.
import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError, IncompleteReadError, ReadTimeoutError
from botocore.exceptions import ConnectionError as NotConnected

from sluice.api.proxied import JSON, Asked, Refused, by_the_model, by_the_runtime

_CONNECT_SECONDS = 1


@dataclass(frozen=True)
class InferenceSettings:
    """What the function is told by its environment."""

    endpoint_name: str
    most_bytes: int
    timeout_seconds: int


@cache
def inference_settings() -> InferenceSettings:
    return InferenceSettings(
        endpoint_name=os.environ["ENDPOINT_NAME"],
        most_bytes=int(os.environ["API_MAX_BODY_BYTES"]),
        timeout_seconds=int(os.environ["API_TIMEOUT_SECONDS"]),
    )


@cache
def runtime() -> Any:
    """Give the client, which is made once a process: its connection stays warm with it.

    It asks once. Who asks again after a time-out asks a model that is busy already, and the caller is gone by then.
    """
    # A second is left to say that it took too long.
    seconds = inference_settings().timeout_seconds - 1
    return boto3.client(
        "sagemaker-runtime",
        config=Config(
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=seconds,
            retries={"total_max_attempts": 1},
            tcp_keepalive=True,
        ),
    )


def ask(asked: Asked) -> str:
    """Give the model's answer, JSON.

    Raises:
        Refused: there is none; it says what the caller is told.
        ClientError: the function may not ask, or asks what cannot be.
    """
    client = runtime()
    try:
        answer = client.invoke_endpoint(
            EndpointName=inference_settings().endpoint_name,
            Body=asked.body,
            ContentType=JSON,
            Accept=JSON,
            InferenceId=asked.inference_id,
        )
        return str(answer["Body"].read().decode())
    except client.exceptions.ModelError as error:
        told = error.response
        raise by_the_model(
            int(told.get("OriginalStatusCode", 0)), str(told.get("OriginalMessage", ""))
        ) from error
    except ClientError as error:
        known = by_the_runtime(error.response["Error"]["Code"], error.response["Error"].get("Message", ""))
        if known is None:
            raise
        raise known from error
    except ReadTimeoutError as error:
        raise Refused(504, "ModelTimeout", "The model did not answer in time.") from error
    except (NotConnected, HTTPClientError, IncompleteReadError) as error:
        raise Refused(
            503, "EndpointUnavailable", "The endpoint cannot be reached at the moment.", retry=True
        ) from error
