"""What API Gateway answers itself: gateway responses, as it has them or as an API changes them.

https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
"""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.apigateway.snapshots import Snapshot

STATUSES = {
    "ACCESS_DENIED": 403,
    "API_CONFIGURATION_ERROR": 500,
    "BAD_REQUEST_BODY": 400,
    "BAD_REQUEST_PARAMETERS": 400,
    "DEFAULT_5XX": 502,
    "INTEGRATION_FAILURE": 504,
    "INTEGRATION_TIMEOUT": 504,
    "INVALID_API_KEY": 403,
    "INVALID_SIGNATURE": 403,
    "MISSING_AUTHENTICATION_TOKEN": 403,
    "QUOTA_EXCEEDED": 429,
    "REQUEST_TOO_LARGE": 413,
    "THROTTLED": 429,
}
_EXCEPTIONS = {
    "ACCESS_DENIED": "AccessDeniedException",
    "BAD_REQUEST_BODY": "BadRequestException",
    "BAD_REQUEST_PARAMETERS": "BadRequestException",
    "INVALID_API_KEY": "ForbiddenException",
    "INVALID_SIGNATURE": "InvalidSignatureException",
    "MISSING_AUTHENTICATION_TOKEN": "MissingAuthenticationTokenException",
    "QUOTA_EXCEEDED": "LimitExceededException",
    "REQUEST_TOO_LARGE": "RequestTooLargeException",
    "THROTTLED": "TooManyRequestsException",
}
_VARIABLE = re.compile(r"\$(context\.[A-Za-z.]+[A-Za-z])")
_AS_IT_IS = '{"message":$context.error.messageString}'
_HEADER = "gatewayresponse.header."


class Refusal(Exception):
    """A request that no integration gets to see, or whose integration has no answer."""

    def __init__(self, response_type: str, message: str, *, detail: str = "") -> None:
        self.response_type = response_type
        self.message = message
        self.detail = detail
        super().__init__(f"{response_type}: {message}")


class UnknownMapping(Exception):
    """A gateway response is made of something that the local AWS does not know."""


@dataclass(frozen=True)
class Response:
    """What goes out over HTTP."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def phrase(self) -> str:
        return http.client.responses.get(self.status, "Unknown")


def answer(
    refusal: Refusal, snapshot: Snapshot | None, context: Mapping[str, str], headers: Mapping[str, str]
) -> Response:
    """The gateway response of a refusal, by the API's own, or by its DEFAULT_4XX or DEFAULT_5XX.

    `context` are the request's variables ($context.requestId), `headers` its headers in lower case.
    """
    status = STATUSES[refusal.response_type]
    own = snapshot.responses if snapshot else {}
    named = own.get(refusal.response_type)
    found = named or own.get("DEFAULT_4XX" if status < 500 else "DEFAULT_5XX")
    if named is not None and named.status_code:
        status = int(named.status_code)
    variables = {
        **{f"context.{name}": value for name, value in context.items()},
        "context.error.message": refusal.message,
        "context.error.messageString": json.dumps(refusal.message),
        "context.error.responseType": refusal.response_type,
        "context.error.validationErrorString": refusal.detail,
    }
    template = (found.response_templates or {}).get("application/json", _AS_IT_IS) if found else _AS_IT_IS
    sent = {
        "Content-Type": "application/json",
        "x-amzn-ErrorType": _EXCEPTIONS.get(refusal.response_type, "InternalServerErrorException"),
        **_parameters(found, variables, headers),
    }
    return Response(status, tuple(sent.items()), _filled(template, variables).encode())


def _filled(template: str, variables: Mapping[str, str]) -> str:
    """Variables replaced as they are: AWS does not put gateway responses through its template language either."""

    def value(found: re.Match[str]) -> str:
        if found[1] not in variables:
            raise UnknownMapping(f"a gateway response says ${found[1]}, which the local AWS does not know")
        return variables[found[1]]

    return _VARIABLE.sub(value, template)


def _parameters(found: Any, variables: Mapping[str, str], headers: Mapping[str, str]) -> dict[str, str]:
    sent = {}
    for name, source in ((found.response_parameters or {}) if found else {}).items():
        if source.startswith("'") and source.endswith("'"):
            value: str | None = source[1:-1]
        elif source.startswith("context.") and source in variables:
            value = variables[source]
        elif source.startswith("method.request.header."):
            value = headers.get(source.removeprefix("method.request.header.").lower())
        else:
            raise UnknownMapping(
                f"a gateway response sets {name} to {source}, which the local AWS does not know"
            )
        if value is not None:
            sent[name.removeprefix(_HEADER)] = value
    return sent
