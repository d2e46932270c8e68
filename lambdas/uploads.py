"""The uploaded object: one version of it, read as a stream that outlives a broken connection."""

from __future__ import annotations

import io
from functools import cached_property
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, cast

from sluice import keys, naming
from sluice.errors import ObjectNotFound, UploadMisplaced

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from typing_extensions import Buffer

_PART_BYTES = 16 * 1024**2
_ATTEMPTS = 5


class Upload:
    """An object version as `sluice.datasets.reading.Source`. Every read is of the version that was first looked at.

    Raises:
        UploadMisplaced: the key is not one that the pipeline takes.
        ObjectNotFound: there is no such object, or it was deleted meanwhile.
    """

    def __init__(self, bucket: str, key: str, version_id: str | None) -> None:
        self.where = naming.uri(bucket, key)
        self.suffix = PurePosixPath(key).suffix.lower()
        self._bucket = bucket
        self._key = key
        _check_place(self.where, key, self.suffix)
        self.version_id = version_id
        self.etag, self._size, self.version_id = self._head()

    @cached_property
    def _s3(self) -> S3Client:
        import boto3

        return boto3.client("s3")

    def open(self) -> BinaryIO:
        return cast("BinaryIO", io.BufferedReader(_Parts(self), _PART_BYTES))

    def _head(self) -> tuple[str, int, str | None]:
        from botocore.exceptions import ClientError

        try:
            if self.version_id is None:
                head = self._s3.head_object(Bucket=self._bucket, Key=self._key)
            else:
                head = self._s3.head_object(Bucket=self._bucket, Key=self._key, VersionId=self.version_id)
        except ClientError as error:
            # 405: the version is a delete marker; 400: no version was ever called so.
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") in (400, 404, 405):
                raise self._gone() from error
            raise
        return head["ETag"].strip('"'), head["ContentLength"], head.get("VersionId", self.version_id)

    def _gone(self) -> ObjectNotFound:
        version = f" in the version {self.version_id}" if self.version_id else ""
        return ObjectNotFound(
            f"there is no such object{version}",
            where=self.where,
            why="it was deleted between the upload and its validation, or the name is misspelt",
            fix="upload the file again",
        )

    def read_part(self, start: int) -> bytes:
        """Read up to 16 MB from `start` on; b"" at the end. A connection that breaks is made anew."""
        from botocore.exceptions import ClientError, HTTPClientError, IncompleteReadError

        if start >= self._size:
            return b""
        extent = f"bytes={start}-{min(start + _PART_BYTES, self._size) - 1}"
        for attempt in range(_ATTEMPTS):
            try:
                if self.version_id is None:
                    answer = self._s3.get_object(
                        Bucket=self._bucket, Key=self._key, Range=extent, IfMatch=self.etag
                    )
                else:
                    answer = self._s3.get_object(
                        Bucket=self._bucket, Key=self._key, Range=extent, VersionId=self.version_id
                    )
                return answer["Body"].read()
            except (HTTPClientError, IncompleteReadError):
                # boto3 repeats a request that fails, but not the reading of an answer that breaks off.
                if attempt + 1 == _ATTEMPTS:
                    raise
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] in (404, 405, 412):
                    raise self._gone() from error
                raise
        raise AssertionError("unreachable")


class _Parts(io.RawIOBase):
    """The object part by part."""

    def __init__(self, upload: Upload) -> None:
        self._upload = upload
        self._position = 0
        self._part = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        if not self._part:
            self._part = memoryview(self._upload.read_part(self._position))
            self._position += len(self._part)
        target = memoryview(buffer)
        count = min(len(target), len(self._part))
        target[:count] = self._part[:count]
        self._part = self._part[count:]
        return count


def _check_place(where: str, key: str, suffix: str) -> None:
    expected = f"{keys.INCOMING_TRAINING}<name>{{{','.join(keys.TRAINING_SUFFIXES)}}}"
    if not key.startswith(keys.INCOMING_TRAINING):
        raise UploadMisplaced(
            "the upload is not where training data is expected",
            where=where,
            why=f"its key does not begin with {keys.INCOMING_TRAINING}",
            fix=f"upload it as {expected}",
        )
    if suffix not in keys.TRAINING_SUFFIXES:
        raise UploadMisplaced(
            f"the upload is of no format that can be read: {suffix or 'no ending'}",
            where=where,
            why=f"its ending says what it is; known: {', '.join(keys.TRAINING_SUFFIXES)}",
            fix=f"upload it as {expected}",
        )
