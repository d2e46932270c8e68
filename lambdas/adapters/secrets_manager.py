"""The secret by which functions sign in to a tracking server of a team's own."""

from __future__ import annotations

import time
from collections.abc import Callable

from sluice.errors import TrackingRefused, TrackingUnavailable
from sluice.tracking.login import Login

# A password that was changed is used by then; a function may live for hours.
_KEPT_SECONDS = 300.0


def authorization(secret: str, clock: Callable[[], float] = time.monotonic) -> Callable[[], str]:
    """Give what gives the header `Authorization`: it reads the secret when it has not done so for five minutes.

    It raises TrackingRefused where there is no such secret, it may not be read or holds something else, and
    TrackingUnavailable where Secrets Manager does not answer.
    """
    read: tuple[float, str] | None = None

    def current() -> str:
        nonlocal read
        if read is None or clock() - read[0] > _KEPT_SECONDS:
            read = clock(), Login.of(secret, _text(secret)).authorization
        return read[1]

    return current


def _text(secret: str) -> str:
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        answer = boto3.client("secretsmanager").get_secret_value(SecretId=secret)
        return str(answer.get("SecretString", ""))
    except ClientError as error:
        if error.response["Error"]["Code"] in ("InternalServiceError", "ThrottlingException"):
            raise _unavailable(secret, error) from error
        raise TrackingRefused(
            "the secret for the tracking server cannot be read",
            where=f"tracking.secret, {secret}",
            why=str(error),
            fix="make a secret of that name in this account and region, with the default key, or one that lets the "
            "pipeline's roles decrypt by it",
        ) from error
    except BotoCoreError as error:
        raise _unavailable(secret, error) from error


def _unavailable(secret: str, error: Exception) -> TrackingUnavailable:
    return TrackingUnavailable(
        "the secret for the tracking server could not be read now",
        where=f"tracking.secret, {secret}",
        why=str(error),
        fix="start the execution again in a few minutes",
    )
