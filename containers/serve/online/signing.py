"""Signature Version 4, for POST requests to DynamoDB.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
import time
from dataclasses import dataclass, field

_CONTENT_TYPE = "application/x-amz-json-1.0"


@dataclass(frozen=True)
class Credentials:
    """Whose requests these are.

    Attributes:
        token: of credentials for a time; else empty.
        expires: seconds since 1970; None for ever.
    """

    key: str
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)
    expires: float | None = None


class Signer:
    """Writes and signs requests to one host in one region."""

    def __init__(self, host: str, region: str, service: str = "dynamodb") -> None:
        self._host = host
        self._region = region
        self._service = service
        self._made: tuple[Credentials, str, bytes] | None = None

    def request(self, target: str, body: bytes, credentials: Credentials, now: float) -> bytes:
        """Give a whole HTTP request.

        Args:
            target: the operation, as `DynamoDB_20120810.BatchGetItem`.
            body: JSON.
            credentials: to sign with.
            now: seconds since 1970.
        """
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
        day = stamp[:8]
        names = "content-type;host;x-amz-date"
        headers = f"content-type:{_CONTENT_TYPE}\nhost:{self._host}\nx-amz-date:{stamp}\n"
        if credentials.token:
            names += ";x-amz-security-token"
            headers += f"x-amz-security-token:{credentials.token}\n"
        names += ";x-amz-target"
        headers += f"x-amz-target:{target}\n"
        canonical = f"POST\n/\n\n{headers}\n{names}\n{hashlib.sha256(body).hexdigest()}"
        scope = f"{day}/{self._region}/{self._service}/aws4_request"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        signature = hmac.digest(
            self._key(credentials, day), f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}".encode(), "sha256"
        ).hex()
        head = (
            f"POST / HTTP/1.1\r\n{headers.replace(chr(10), chr(13) + chr(10))}"
            f"authorization:AWS4-HMAC-SHA256 Credential={credentials.key}/{scope}, "
            f"SignedHeaders={names}, Signature={signature}\r\n"
            f"accept-encoding:identity\r\ncontent-length:{len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def _key(self, credentials: Credentials, day: str) -> bytes:
        """Derive a day's key, or give the one that was derived for the last request."""
        if self._made is not None and self._made[0] is credentials and self._made[1] == day:
            return self._made[2]
        key = b"AWS4" + credentials.secret.encode()
        for part in (day, self._region, self._service, "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        self._made = (credentials, day, key)
        return key
