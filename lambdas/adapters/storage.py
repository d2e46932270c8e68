"""S3 as handlers reach it: its client, and its errors as errors of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sluice.errors import PipelineFailed, SluiceError, StorageUnavailable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_ATTEMPTS = 5
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html; what is answered with 5xx needs no name.
_PASSING = ("RequestTimeout", "Throttl", "TooManyRequests", "SlowDown")


def client() -> S3Client:
    """Make a client that repeats what fails for a moment, throttling included."""
    import boto3
    from botocore.config import Config

    return boto3.client("s3", config=Config(retries={"mode": "standard", "total_max_attempts": _ATTEMPTS}))


@contextmanager
def explained(where: str) -> Iterator[None]:
    """Give what S3 fails of, once its client has given up, as an error that says what to do.

    Args:
        where: the object, for a person.

    Raises:
        StorageUnavailable: S3 is busy, broken or cannot be reached, which passes.
        PipelineFailed: S3 refuses.
    """
    try:
        yield
    except SluiceError:
        raise
    except Exception as error:
        told = _explain(error, where)
        if told is None:
            raise
        raise told from error


def _explain(error: BaseException, where: str) -> SluiceError | None:
    from boto3.exceptions import S3UploadFailedError
    from botocore import exceptions

    if isinstance(error, S3UploadFailedError) and error.__context__ is not None:
        error = error.__context__
    if isinstance(
        error, (exceptions.ConnectionError, exceptions.HTTPClientError, exceptions.IncompleteReadError)
    ):
        return _unavailable(str(error), where)
    if not isinstance(error, exceptions.ClientError):
        return None
    code, message = str(error.response["Error"].get("Code")), error.response["Error"].get("Message", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if status >= 500 or any(each in code for each in _PASSING):
        return _unavailable(f"{code}: {message}", where)
    return PipelineFailed(
        "S3 refuses what the pipeline asks of it",
        where=where,
        why=f"{error.operation_name}: {code}: {message}",
        fix="deploy the stack again: the function's role or the bucket lacks what was deployed with it",
    )


def _unavailable(why: str, where: str) -> StorageUnavailable:
    return StorageUnavailable(
        "S3 does not answer as it should", where=where, why=why, fix="upload again in a few minutes"
    )
