"""A request to an API as it comes over HTTP, as the event that Lambda gets, and back from what Lambda answers.

https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import parse_qs

from local.apigateway.refusals import Refusal, Response
from local.apigateway.snapshots import Found

_MALFORMED = "Malformed Lambda proxy response"


@dataclass(frozen=True)
class Request:
    """What was asked; `path` is below the stage, `named` are the headers as HTTP has their names."""

    verb: str
    path: str
    url: str
    query: str
    named: Mapping[str, str]
    body: bytes
    address: str

    @property
    def headers(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.named.items()}

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "application/json").partition(";")[0].strip().lower()

    @classmethod
    def of(cls, environ: Mapping[str, Any], path: str, body: bytes) -> Self:
        named = {
            name.removeprefix("HTTP_").replace("_", "-").title(): value
            for name, value in environ.items()
            if name.startswith("HTTP_") or (name in ("CONTENT_TYPE", "CONTENT_LENGTH") and value)
        }
        query = environ.get("QUERY_STRING", "")
        # As it came: what was signed is not unquoted.
        raw = environ["REQUEST_URI"]
        return cls(
            verb=environ["REQUEST_METHOD"],
            path=path,
            url=f"http://{named.get('Host', 'localhost')}{raw}",
            query=query,
            named=named,
            body=body,
            address=environ.get("REMOTE_ADDR", ""),
        )


@dataclass(frozen=True)
class Place:
    """The stage of an API that was asked, and which account and region it is in."""

    account: str
    region: str
    api: str
    stage: str
    deployment: str
    variables: Mapping[str, str]


def event(
    request: Request, found: Found, place: Place, request_id: str, now: datetime, key: Mapping[str, str]
) -> dict[str, Any]:
    """The event of an AWS_PROXY integration; `key` is the API key's id and value, if one was asked for."""
    query = parse_qs(request.query, keep_blank_values=True)
    return {
        "resource": found.route.path,
        "path": request.path,
        "httpMethod": request.verb,
        "headers": dict(request.named),
        "multiValueHeaders": {name: [value] for name, value in request.named.items()},
        "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
        "multiValueQueryStringParameters": query or None,
        "pathParameters": dict(found.parameters) or None,
        "stageVariables": dict(place.variables) or None,
        "requestContext": {
            "accountId": place.account,
            "apiId": place.api,
            "deploymentId": place.deployment,
            "domainName": f"{place.api}.execute-api.{place.region}.amazonaws.com",
            "domainPrefix": place.api,
            "extendedRequestId": request_id,
            "httpMethod": request.verb,
            "identity": {
                **dict.fromkeys(
                    ("accessKey", "accountId", "apiKey", "apiKeyId", "caller", "user", "userArn")
                ),
                "sourceIp": request.address,
                "userAgent": request.headers.get("user-agent"),
                **key,
            },
            "path": f"/{place.stage}{request.path}",
            "protocol": "HTTP/1.1",
            "requestId": request_id,
            "requestTime": now.astimezone(UTC).strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "requestTimeEpoch": int(now.timestamp() * 1000),
            "resourceId": found.route.resource_id,
            "resourcePath": found.route.path,
            "stage": place.stage,
        },
        # An API without binary media types takes every body for text.
        "body": request.body.decode("utf-8", "replace") if request.body else None,
        "isBase64Encoded": False,
    }


def response(payload: bytes) -> Response:
    """What Lambda answered, over HTTP. Raises Refusal where it is no answer of a proxy integration."""
    try:
        told = json.loads(payload)
    except ValueError:
        raise _malformed("it is no JSON") from None
    if not isinstance(told, dict):
        raise _malformed("it is no object")
    unknown = set(told) - {"statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded"}
    if unknown:
        raise _malformed(f"unknown keys: {', '.join(sorted(unknown))}")
    try:
        status = int(told.get("statusCode", 200))
    except (TypeError, ValueError):
        raise _malformed("statusCode is no number") from None
    body = "" if told.get("body") is None else told["body"]
    if not isinstance(body, str):
        raise _malformed("body is no text")
    headers = [(name, _text(value)) for name, value in (told.get("headers") or {}).items()]
    for name, values in (told.get("multiValueHeaders") or {}).items():
        headers = [pair for pair in headers if pair[0].lower() != name.lower()]
        headers += [(name, _text(value)) for value in values]
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", "application/json"))
    content = base64.b64decode(body) if told.get("isBase64Encoded") else body.encode()
    return Response(status, tuple(headers), content)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _malformed(why: str) -> Refusal:
    # The caller is not told; on AWS the API's log is.
    return Refusal("DEFAULT_5XX", "Internal server error", detail=f"{_MALFORMED}: {why}")
