"""What stands before moto: answers the item operations that are done here, and gives moto all else as it came."""

from __future__ import annotations

import binascii
import io
import json
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from moto.core.responses import BaseResponse
from moto.dynamodb.models import dynamodb_backends
from moto.iam.models import get_account_id_from, mark_account_as_visited

from local.dynamodb import moto_actions, partiql, reading, values, writing
from local.dynamodb.errors import PassOn, Refused

Environ: TypeAlias = dict[str, Any]
StartResponse: TypeAlias = Callable[..., Any]
Application: TypeAlias = Callable[[Environ, StartResponse], Iterable[bytes]]
Operation: TypeAlias = Callable[[Any, Mapping[str, Any]], dict[str, Any]]

OPERATIONS: Mapping[str, Operation] = {
    "DynamoDB_20120810.GetItem": reading.get_item,
    "DynamoDB_20120810.BatchGetItem": reading.batch_get_item,
    "DynamoDB_20120810.PutItem": writing.put_item,
    "DynamoDB_20120810.DeleteItem": writing.delete_item,
    "DynamoDB_20120810.BatchWriteItem": writing.batch_write_item,
    "DynamoDB_20120810.BatchExecuteStatement": partiql.batch_execute_statement,
    "DynamoDB_20120810.UpdateItem": moto_actions.action("update_item", moto_actions.UPDATE),
    "DynamoDB_20120810.Query": moto_actions.action("query", moto_actions.QUERY),
    "DynamoDB_20120810.Scan": moto_actions.action("scan", moto_actions.SCAN),
}
CONTENT_TYPE = "application/x-amz-json-1.0"
_SCOPE = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/\s]+)/\d+/([a-z0-9-]+)/dynamodb/aws4_request,")


class Front:
    """A WSGI application before another."""

    def __init__(self, behind: Application) -> None:
        self._behind = behind

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        operation = OPERATIONS.get(environ.get("HTTP_X_AMZ_TARGET", ""))
        if operation is None or not _is_plain(environ):
            return self._behind(environ, start_response)
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        try:
            status, payload = _answer(operation, environ, body)
        except PassOn:
            environ["wsgi.input"] = io.BytesIO(body)
            return self._behind(environ, start_response)
        headers = [
            ("Content-Type", CONTENT_TYPE),
            ("Content-Length", str(len(payload))),
            ("x-amzn-requestid", secrets.token_hex(26).upper()),
            ("x-amz-crc32", str(binascii.crc32(payload))),
        ]
        start_response(status, headers)
        return [payload]


def _answer(operation: Operation, environ: Environ, body: bytes) -> tuple[str, bytes]:
    """Status and body of the answer. Raises PassOn where it is for moto to give."""
    try:
        return "200 OK", values.encode(operation(_backend(environ), _request(body)))
    except Refused as refused:
        return "400 Bad Request", values.encode(refused.body())


def _request(body: bytes) -> dict[str, Any]:
    try:
        request = json.loads(body)
    except ValueError as error:
        raise Refused("SerializationException", f"The request is no JSON: {error}") from error
    if not isinstance(request, dict):
        raise Refused("SerializationException", "The request is no JSON object")
    return request


def _is_plain(environ: Environ) -> bool:
    """Whether a request is sent as SDKs send it: in one piece, not packed, to the root."""
    return (
        environ["REQUEST_METHOD"] == "POST"
        and environ.get("PATH_INFO") == "/"
        and environ.get("CONTENT_LENGTH", "").isdecimal()
        and not environ.get("wsgi.input_terminated")
        and "HTTP_CONTENT_ENCODING" not in environ
        and "HTTP_X_MOTO_ACCOUNT_ID" not in environ
        and environ.get("CONTENT_TYPE", "").startswith(CONTENT_TYPE)
    )


def _backend(environ: Environ) -> Any:
    """The tables of who asks: moto takes the account from the access key, the region from who asks."""
    scope = _SCOPE.match(environ.get("HTTP_AUTHORIZATION", ""))
    if scope is None:
        raise PassOn
    access_key, region = scope.groups()
    told = BaseResponse.region_from_useragent_regex.search(environ.get("HTTP_USER_AGENT", ""))
    if told is not None:
        region = told["region"]
    account = get_account_id_from(access_key)
    mark_account_as_visited(account_id=account, access_key=access_key, service="dynamodb", region=region)
    return dynamodb_backends[account][region]
