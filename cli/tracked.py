"""Uploading a file that DVC tracks: its bytes are copied within S3 where they are in this project's remote."""

from __future__ import annotations

import hashlib
from pathlib import Path

from cli import executions, pointers
from cli.executions import Upload
from cli.pointers import Tracked
from cli.stack import Stack
from cli.versions import Versions
from sluice import keys
from sluice.errors import SluiceError

_COPY_LIMIT = 5 * 1024**3  # https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html


class OtherRemote(SluiceError):
    """A pointer whose bytes are kept in a remote that is not this project's."""


class NotTracked(SluiceError):
    """The bytes that a pointer names are neither in the remote nor in the working tree."""


def upload(deployed: Stack, pointer: Path, key: str | None, place: str, said: dict[str, str]) -> Upload:
    """Put the file that a pointer tracks where the pipeline picks it up, by default `<place><file name>`.

    What the object says of itself (`said`) comes to hold the pointer's path and MD5.

    Raises:
        BrokenPointer: it is no pointer to one file.
        OtherRemote: its bytes are kept in another remote.
        NotTracked: they are not in the remote, and the file is not there, or not as it was tracked.
    """
    tracked = pointers.read(pointer)
    versions = Versions(deployed)
    stored = keys.part(tracked.md5)
    size = versions.size(stored)
    said = {**said, "tracked_as": str(pointer), "tracked_md5": tracked.md5}
    if size is None:
        _check_remote(tracked, deployed, versions)
        _check_file(tracked, versions)
        return executions.upload(deployed, tracked.file, key, place, said)
    if tracked.size not in (None, size):
        raise pointers.BrokenPointer(
            f"{pointer} does not name the file that it says",
            where=versions.uri(stored),
            why=f"the pointer says {tracked.size:,} bytes, and the object of this MD5 has {size:,}",
            fix=f"`dvc add {tracked.file}` writes it anew",
        )
    return _copied(deployed, tracked, stored, size, key, place, said)


def _copied(
    deployed: Stack,
    tracked: Tracked,
    stored: str,
    size: int,
    key: str | None,
    place: str,
    said: dict[str, str],
) -> Upload:
    s3 = deployed.client("s3")
    bucket, source = deployed.output("UploadsBucketName"), deployed.output("ArtifactsBucketName")

    def start() -> bytes:
        body: bytes = s3.get_object(Bucket=source, Key=stored, Range="bytes=0-3")["Body"].read()
        return body

    key = key or place + executions.name_with_format(tracked.file.name, start)
    more = {"Metadata": executions.metadata(said), "MetadataDirective": "REPLACE"}
    origin = {"Bucket": source, "Key": stored}
    if size <= _COPY_LIMIT:
        version_id = s3.copy_object(Bucket=bucket, Key=key, CopySource=origin, **more)["VersionId"]
    else:
        s3.copy(origin, bucket, key, ExtraArgs=more)
        version_id = s3.head_object(Bucket=bucket, Key=key)["VersionId"]
    return Upload(bucket, key, version_id)


def _check_remote(tracked: Tracked, deployed: Stack, versions: Versions) -> None:
    remote = pointers.remote_of(tracked)
    if remote is None or remote.url.rstrip("/") == versions.remote:
        return
    raise OtherRemote(
        f"{tracked.pointer} keeps its bytes in another DVC remote",
        where=f"the remote {remote.name!r}: {remote.url or 'not configured in this repository'}",
        why=f"its MD5 {tracked.md5} is not in this project's, {versions.remote}",
        fix=f"`dvc pull {tracked.pointer}`, then `sluice upload {tracked.file}`; or keep it here: "
        f"`dvc remote add {deployed.name} {versions.remote}`, `dvc push --remote {deployed.name} {tracked.pointer}`",
    )


def _check_file(tracked: Tracked, versions: Versions) -> None:
    gone = f"its MD5 {tracked.md5} is not in this project's remote, {versions.remote}"
    if not tracked.file.is_file():
        raise NotTracked(
            f"the file that {tracked.pointer} tracks is nowhere",
            where=str(tracked.file),
            why=f"it is not in the working tree, and {gone}",
            fix=f"`dvc pull {tracked.pointer}` from where it is kept, and try again",
        )
    with tracked.file.open("rb") as file:
        md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if md5 != tracked.md5:
        raise NotTracked(
            f"{tracked.file} is not as {tracked.pointer} tracks it",
            where=str(tracked.file),
            why=f"it was changed, and has the MD5 {md5}; {gone}",
            fix=f"`dvc add {tracked.file}` to track it as it is, or `dvc checkout {tracked.pointer}`",
        )
