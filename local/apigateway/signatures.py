"""AWS Signature Version 4 of a request to an API: whether it was made with this local AWS's own key.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local.apigateway.refusals import Refusal
from local.context import ACCESS_KEY_ID, SECRET_ACCESS_KEY

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256\s+Credential=(?P<key>[^/\s]+)/(?P<day>\d{8})/(?P<region>[a-z0-9-]+)/(?P<service>[a-z0-9-]+)"
    r"/aws4_request,\s*SignedHeaders=(?P<headers>[a-z0-9;_-]+),\s*Signature=(?P<signature>[0-9a-f]{64})"
)
_SKEW = timedelta(minutes=5)
_SERVICE = "execute-api"


def check(verb: str, url: str, headers: Mapping[str, str], body: bytes, *, now: datetime) -> None:
    """Raises Refusal where a request is not signed, or not as it came.

    `url` is the whole of what was asked for, `headers` in lower case. What the signer may do is not judged: the local
    AWS enforces no IAM.
    """
    given = headers.get("authorization", "")
    if not given:
        raise Refusal("MISSING_AUTHENTICATION_TOKEN", "Missing Authentication Token")
    found = _AUTHORIZATION.fullmatch(given.strip())
    date = headers.get("x-amz-date", "")
    if found is None or not re.fullmatch(r"\d{8}T\d{6}Z", date):
        raise Refusal(
            "INVALID_SIGNATURE",
            "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature' parameters, and an "
            "'X-Amz-Date' header has to stand beside it.",
        )
    if found["key"] != ACCESS_KEY_ID:
        raise Refusal("INVALID_SIGNATURE", "The security token included in the request is invalid.")
    if found["service"] != _SERVICE or not date.startswith(found["day"]):
        raise Refusal(
            "INVALID_SIGNATURE",
            f"Credential should be scoped to correct service: '{_SERVICE}', and to the day of X-Amz-Date.",
        )
    signed_at = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    if abs(now - signed_at) > _SKEW:
        raise Refusal("INVALID_SIGNATURE", f"Signature expired: {date} is not within five minutes of now.")
    expected = _signature(found, verb, url, headers, body, date)
    if not hmac.compare_digest(expected, found["signature"]):
        raise Refusal(
            "INVALID_SIGNATURE",
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
            "Access Key and signing method.",
        )


def _signature(
    found: re.Match[str], verb: str, url: str, headers: Mapping[str, str], body: bytes, date: str
) -> str:
    signed = {name: headers.get(name, "") for name in found["headers"].split(";")}
    request = AWSRequest(method=verb, url=url, headers=signed, data=body)
    request.context["timestamp"] = date
    auth = SigV4Auth(Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY), _SERVICE, found["region"])
    return str(auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request))
