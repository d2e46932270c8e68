"""Writes to DynamoDB, on connections that are kept.

A client of boto3 takes six times the processor time for each, and a share has up to a million: at its pace a
function would be at the end of its fifteen minutes before it was through. What is AWS's business stays botocore's:
the endpoint, the credentials, the signature, the errors' types.
"""

from __future__ import annotations

import http.client
import json
import random
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sluice.errors import StorageUnavailable

if TYPE_CHECKING:
    from boto3 import Session
    from botocore.credentials import ReadOnlyCredentials
    from mypy_boto3_dynamodb import DynamoDBClient

# As botocore's standard mode tries: https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
_ATTEMPTS = 10
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 20.0
_ANSWER_SECONDS = 10.0
_CONTENT_TYPE = "application/x-amz-json-1.0"

# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
PASSING = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "RequestLimitExceeded",
        "InternalServerError",
    }
)
"""Errors after which the same may be asked again."""

Connect = Callable[[], http.client.HTTPConnection]


class Wire:
    """A way to one DynamoDB.

    Args:
        url: its endpoint.
        credentials: gives those to sign with; asked for each request, for they expire.
        connect: makes a connection, which is opened when it is first used.
    """

    def __init__(
        self, url: str, region: str, credentials: Callable[[], ReadOnlyCredentials], connect: Connect
    ) -> None:
        self._url = url
        self._region = region
        self._credentials = credentials
        self._connect = connect

    @classmethod
    def of(cls, session: Session, client: DynamoDBClient) -> Wire:
        """Go where a client of boto3 goes, as whom its session does.

        Raises:
            botocore.exceptions.NoCredentialsError: the session has none.
        """
        from botocore.exceptions import NoCredentialsError
        from botocore.httpsession import get_cert_path

        url = client.meta.endpoint_url
        parts = urlsplit(url)
        assert parts.hostname is not None
        host, port = parts.hostname, parts.port
        credentials = session.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=get_cert_path(True))

            def connect() -> http.client.HTTPConnection:
                return http.client.HTTPSConnection(host, port, timeout=_ANSWER_SECONDS, context=context)
        else:

            def connect() -> http.client.HTTPConnection:
                return http.client.HTTPConnection(host, port, timeout=_ANSWER_SECONDS)

        return cls(url, client.meta.region_name, credentials.get_frozen_credentials, connect)

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        """Give a connection, for one thread."""
        connection = self._connect()
        try:
            yield Connection(connection, self._signed)
        finally:
            connection.close()

    def _signed(self, operation: str, body: bytes) -> dict[str, str]:
        """Give the headers of a request."""
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest

        headers = {"Content-Type": _CONTENT_TYPE, "X-Amz-Target": f"DynamoDB_20120810.{operation}"}
        request = AWSRequest("POST", self._url, headers=headers, data=body)
        SigV4Auth(self._credentials(), "dynamodb", self._region).add_auth(request)
        return dict(request.headers.items())


class Connection:
    """A connection that is made again where it has ended."""

    def __init__(
        self, connection: http.client.HTTPConnection, signed: Callable[[str, bytes], dict[str, str]]
    ) -> None:
        self._connection = connection
        self._signed = signed

    def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Write, and give the answer; what passes is tried again, with growing pauses: the same may be done twice.

        Args:
            operation: as "PutItem".
            request: what DynamoDB's JSON holds, binaries in base64.

        Raises:
            botocore.exceptions.ClientError: DynamoDB refuses, or is too busy for too long.
            StorageUnavailable: it cannot be reached.
        """
        body = json.dumps(request, separators=(",", ":")).encode()
        for attempt in range(_ATTEMPTS):
            if attempt:
                longest = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2**attempt)
                time.sleep(random.uniform(0, longest))  # noqa: S311 - no secret
            failure: Exception
            try:
                self._connection.request("POST", "/", body, self._signed(operation, body))
                with self._connection.getresponse() as response:
                    status, answer = response.status, response.read()
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()  # the next request opens it again
                failure = StorageUnavailable(
                    "DynamoDB cannot be reached", where=operation, why=f"{type(error).__name__}: {error}"
                )
                failure.__cause__ = error
                continue
            if status == 200:
                told: dict[str, Any] = json.loads(answer)
                return told
            name, failure = _error(operation, status, answer)
            if status < 500 and name not in PASSING:
                break
        raise failure


def _error(operation: str, status: int, answer: bytes) -> tuple[str, Exception]:
    from botocore.exceptions import ClientError

    try:
        document = json.loads(answer)
        name = str(document["__type"]).rpartition("#")[2]
        message = str(document.get("message") or document.get("Message") or "")
    except (ValueError, KeyError, TypeError, AttributeError):
        name, message = f"HTTP {status}", answer[:200].decode(errors="replace")
    response: Any = {
        "Error": {"Code": name, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return name, ClientError(response, operation)
