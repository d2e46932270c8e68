"""The artifacts bucket: the one place where handlers read and write what the pipeline makes."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from lambdas.adapters import storage
from sluice import naming

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class S3Artifacts:
    """A bucket as `sluice.artifacts` wants it; its client is made when first needed.

    Every method that asks S3 raises what `lambdas.adapters.storage.explained` does.
    """

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket

    @cached_property
    def _s3(self) -> S3Client:
        return storage.client()

    def uri(self, key: str) -> str:
        return naming.uri(self._bucket, key)

    def exists(self, key: str) -> bool:
        from botocore.exceptions import ClientError

        with storage.explained(self.uri(key)):
            try:
                self._s3.head_object(Bucket=self._bucket, Key=key)
            except ClientError as error:
                if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 404:
                    return False
                raise
        return True

    def upload(self, file: Path, key: str) -> None:
        with storage.explained(self.uri(key)):
            self._s3.upload_file(str(file), self._bucket, key)

    def write(self, key: str, body: bytes, media_type: str) -> None:
        with storage.explained(self.uri(key)):
            self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType=media_type)

    def create(self, key: str, body: bytes, media_type: str) -> bool:
        from botocore.exceptions import ClientError

        with storage.explained(self.uri(key)):
            try:
                self._s3.put_object(
                    Bucket=self._bucket, Key=key, Body=body, ContentType=media_type, IfNoneMatch="*"
                )
            except ClientError as error:
                if error.response["Error"]["Code"] in {"PreconditionFailed", "ConditionalRequestConflict"}:
                    return False
                raise
        return True

    def read(self, key: str) -> bytes | None:
        """Read an object; None where there is none."""
        with storage.explained(self.uri(key)):
            try:
                return self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
            except self._s3.exceptions.NoSuchKey:
                return None
