"""What API Gateway says where no function of ours is asked: problems, like all that the API refuses.

A template knows variables and nothing else; `$context.error.messageString` is a JSON string with its quotes.
https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from sluice.api.problem_details import CONTENT_TYPE, problem
from sluice.api.proxied import RETRY_SECONDS
from sluice.api.schemas import FORMS
from sluice.api_table import Api

_AS_AWS_SAYS = "$context.error.messageString"
_REQUEST_ID = "$context.requestId"


@dataclass(frozen=True)
class GatewayResponse:
    """One answer. Without a status AWS's own stands, which depends on what happened."""

    status: int | None
    template: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def parameters(self) -> dict[str, str]:
        """The headers, as API Gateway takes them: a value that is no variable stands in quotes."""
        # The template is the one of application/json, which it takes for any request; what it is stands here.
        headers = {"Content-Type": CONTENT_TYPE, **self.headers}
        return {f"gatewayresponse.header.{name}": f"'{value}'" for name, value in headers.items()}


def gateway_responses(api: Api) -> dict[str, GatewayResponse]:
    """Give the answers by their type."""
    retry = {"Retry-After": RETRY_SECONDS}
    if api.authorization == "iam":
        nobody = _says(
            403,
            "MissingAuthenticationToken",
            "The request is not signed (AWS Signature Version 4, service execute-api), or there is no such path: "
            "POST /invocations is what there is.",
        )
    else:
        nobody = _says(404, "NotFound", "There is no such path: POST /invocations is what there is.")
    return {
        "MISSING_AUTHENTICATION_TOKEN": nobody,
        "INVALID_API_KEY": _says(403, "InvalidApiKey", "Send the API key as x-api-key."),
        "INVALID_SIGNATURE": _says(403, "InvalidSignature", _AS_AWS_SAYS),
        "EXPIRED_TOKEN": _says(403, "ExpiredToken", _AS_AWS_SAYS),
        "ACCESS_DENIED": _says(403, "AccessDenied", _AS_AWS_SAYS),
        "BAD_REQUEST_BODY": _says(
            400,
            "InvalidBody",
            f"The body is no request: send {FORMS}, with 1 to {api.max_rows:,} rows, as JSON.",
        ),
        "REQUEST_TOO_LARGE": _says(413, "BodyTooLarge", f"A body has at most {api.max_body_bytes:,} bytes."),
        "THROTTLED": _says(429, "Throttled", "More requests came than this API takes: ask again.", retry),
        "QUOTA_EXCEEDED": _says(429, "QuotaExceeded", "This API key has no requests left today."),
        "INTEGRATION_TIMEOUT": _says(504, "ModelTimeout", "The model did not answer in time."),
        "INTEGRATION_FAILURE": _says(504, "IntegrationFailure", "The request could not be handed on."),
        "DEFAULT_4XX": _default("Client Error", _AS_AWS_SAYS),
        "DEFAULT_5XX": _default("Server Error", "This service failed over the request."),
    }


def _says(status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> GatewayResponse:
    made = json.dumps(problem(status, code, detail, request_id=_REQUEST_ID))
    return GatewayResponse(status, _unquoted(made), headers or {})


def _default(title: str, detail: str) -> GatewayResponse:
    """Answer what has no answer of its own; its status is AWS's, and not told to templates."""
    made = {
        "type": "about:blank",
        "title": title,
        "code": "$context.error.responseType",
        "detail": detail,
        "request_id": _REQUEST_ID,
    }
    return GatewayResponse(None, _unquoted(json.dumps(made)))


def _unquoted(template: str) -> str:
    return template.replace(json.dumps(_AS_AWS_SAYS), _AS_AWS_SAYS)
