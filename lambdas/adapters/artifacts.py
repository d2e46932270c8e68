"""The artifacts bucket: the one place where handlers read and write what the pipeline makes."""

from __future__ import annotations

import io
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from lambdas.adapters import storage
from sluice import naming
from sluice.artifacts import Tagged

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_ATTEMPTS = 5
# What a conditional write is refused with: another tag, another write under way, nothing there to have a tag.
_NOT_AS_SEEN = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"})


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

    def listed(self, prefix: str) -> list[tuple[str, datetime]]:
        with storage.explained(self.uri(prefix)):
            pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
            return [
                (found["Key"], found["LastModified"]) for page in pages for found in page.get("Contents", [])
            ]

    def sizes(self, prefix: str) -> dict[str, int]:
        with storage.explained(self.uri(prefix)):
            pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
            return {found["Key"]: found["Size"] for page in pages for found in page.get("Contents", [])}

    def upload(self, file: Path, key: str) -> None:
        with storage.explained(self.uri(key)):
            self._s3.upload_file(str(file), self._bucket, key)

    def write(self, key: str, body: bytes, media_type: str) -> None:
        with storage.explained(self.uri(key)):
            self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType=media_type)

    def read_tagged(self, key: str) -> Tagged | None:
        with storage.explained(self.uri(key)):
            try:
                answer = self._s3.get_object(Bucket=self._bucket, Key=key)
                return Tagged(answer["Body"].read(), answer["ETag"])
            except self._s3.exceptions.NoSuchKey:
                return None

    def open(self, key: str) -> BinaryIO:
        with storage.explained(self.uri(key)):
            size = self._s3.head_object(Bucket=self._bucket, Key=key)["ContentLength"]
        return cast("BinaryIO", _Ranges(self, key, size))

    def read_range(self, key: str, start: int, count: int) -> bytes:
        """Read `count` bytes from `start` on; a connection that breaks is made anew."""
        from botocore.exceptions import HTTPClientError, IncompleteReadError

        extent = f"bytes={start}-{start + count - 1}"
        with storage.explained(self.uri(key)):
            for attempt in range(_ATTEMPTS):
                # boto3 repeats a request that fails, but not the reading of an answer that breaks off.
                body = self._s3.get_object(Bucket=self._bucket, Key=key, Range=extent)["Body"]
                try:
                    return body.read()
                except (HTTPClientError, IncompleteReadError):
                    if attempt + 1 == _ATTEMPTS:
                        raise
        raise AssertionError("unreachable")

    def replace(self, key: str, body: bytes, media_type: str, tag: str) -> bool:
        from botocore.exceptions import ClientError

        with storage.explained(self.uri(key)):
            try:
                self._s3.put_object(
                    Bucket=self._bucket, Key=key, Body=body, ContentType=media_type, IfMatch=tag
                )
            except ClientError as error:
                if error.response["Error"]["Code"] in _NOT_AS_SEEN:
                    return False
                raise
        return True

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


class _Ranges(io.RawIOBase):
    """An object that is fetched by the pieces that are read of it."""

    def __init__(self, artifacts: S3Artifacts, key: str, size: int) -> None:
        self._artifacts = artifacts
        self._key = key
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = (
            offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        )
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, self._size - self._position)
        count = left if size is None or size < 0 else min(size, left)
        if not count:
            return b""
        piece = self._artifacts.read_range(self._key, self._position, count)
        self._position += len(piece)
        return piece
