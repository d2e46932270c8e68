"""The uploaded object: one version of it, read as a stream that outlives a broken connection."""

from __future__ import annotations

import io
from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from urllib.parse import unquote

from lambdas.adapters import storage
from sluice import keys, naming
from sluice.datasets import incoming
from sluice.errors import ObjectNotFound
from sluice.payloads.documents import Uploaded

if TYPE_CHECKING:
    from typing_extensions import Buffer

_PART_BYTES = 16 * 1024**2
_ATTEMPTS = 5


class Upload:
    """An object version as `sluice.datasets.reading.Source`. Every read is of the version that was first looked at.

    Nothing is asked of S3 before `open`; then `etag` and `version_id` say which version it is, and `uploaded` who
    brought it. It has to lie at `place`, which is one of `keys.INCOMING_…`.
    """

    def __init__(
        self, bucket: str, key: str, version_id: str | None, place: str = keys.INCOMING_TRAINING
    ) -> None:
        self.where = naming.uri(bucket, key)
        self.suffix = incoming.suffix(key)
        self.version_id = version_id
        self.etag: str | None = None
        self.uploaded = Uploaded()
        self._object = {"Bucket": bucket, "Key": key}
        self._place = place
        self._size = 0

    @cached_property
    def _s3(self) -> Any:
        return storage.client()

    def open(self) -> BinaryIO:
        """Open it.

        Raises:
            UploadMisplaced: the key is not one that the pipeline takes.
            ObjectNotFound: there is no such object, or it was deleted meanwhile.
            StorageUnavailable: S3 does not answer, which passes; reading raises that, too.
        """
        incoming.check_place(self._object["Bucket"], self._object["Key"], self._place)
        if self.etag is None:
            with storage.explained(self.where):
                self._look()
        return cast("BinaryIO", io.BufferedReader(_Parts(self), _PART_BYTES))

    @property
    def _version(self) -> dict[str, str]:
        return {} if self.version_id is None else {"VersionId": self.version_id}

    def _look(self) -> None:
        from botocore.exceptions import ClientError

        try:
            head = self._s3.head_object(**self._object, **self._version)
        except ClientError as error:
            # 405: the version is a delete marker; 400: no version was ever called so.
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") in (400, 404, 405):
                raise self._gone() from error
            raise
        self._size = head["ContentLength"]
        self.version_id = head.get("VersionId", self.version_id)
        self.etag = head["ETag"].strip('"')
        said = head.get("Metadata", {})
        self.uploaded = Uploaded(
            at=head.get("LastModified"),
            **{name: unquote(said[key]) for name, key in keys.SAID.items() if key in said},
        )

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
        with storage.explained(self.where):
            return self._read_part(start)

    def _read_part(self, start: int) -> bytes:
        from botocore.exceptions import ClientError, HTTPClientError, IncompleteReadError

        if start >= self._size:
            return b""
        extent = f"bytes={start}-{min(start + _PART_BYTES, self._size) - 1}"
        for attempt in range(_ATTEMPTS):
            try:
                # Of a bucket without versions the ETag tells that it is still the same object.
                same = self._version or {"IfMatch": str(self.etag)}
                answer = self._s3.get_object(**self._object, Range=extent, **same)
                body: bytes = answer["Body"].read()
                return body
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
