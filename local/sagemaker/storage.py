"""Moves data between S3 and a container's /opt/ml, as SageMaker's data agent does."""

from __future__ import annotations

import gzip
import json
import tarfile
from pathlib import Path, PurePosixPath
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.sagemaker.errors import JobFailed


def parse_s3_uri(uri: str) -> tuple[str, str]:
    """`s3://bucket/key` as (bucket, key); raise ValueError for anything else."""
    scheme, separator, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not separator or not bucket:
        raise ValueError(f"{uri!r} is not an S3 URI (s3://bucket/key)")
    return bucket, key


def join_s3_uri(base: str, *parts: str) -> str:
    return "/".join([base.rstrip("/"), *parts])


def download_prefix(s3: Any, uri: str, target: Path) -> int:
    """Download every object whose key begins with the URI's key below `target`; return how many.

    Paths are kept relative to the prefix, as SageMaker does: `…/train/a/b.csv` under `…/train` arrives as
    `a/b.csv`; a URI that names one object arrives as that object's file name.
    Raises JobFailed, in SageMaker's words, where nothing matches or S3 refuses.
    """
    try:
        bucket, prefix = parse_s3_uri(uri)
        target.mkdir(parents=True, exist_ok=True)
        count = 0
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for entry in page.get("Contents", []):
                key: str = entry["Key"]
                if key.endswith("/"):  # a folder marker of the console, not data
                    continue
                path = _place(target, _relative(key, prefix), uri)
                path.parent.mkdir(parents=True, exist_ok=True)
                s3.download_file(bucket, key, str(path))
                count += 1
    except (ClientError, BotoCoreError, ValueError, OSError) as error:
        raise JobFailed(f"ClientError: Data download failed: {uri}: {error}") from error
    if not count:
        raise JobFailed(
            f'ClientError: Data download failed: No S3 objects found under S3 URL "{uri}" given in input '
            "data source. Please ensure that the bucket exists in the selected region, that objects exist "
            "under that S3 prefix, and that the role has s3:ListBucket permissions on the bucket."
        )
    return count


def download_manifest(s3: Any, uri: str, target: Path) -> int:
    """Download the objects that a manifest lists, below `target` as they lie below its prefix; return how many.

    The manifest is JSON, `[{"prefix": "s3://bucket/some/prefix/"}, "relative/path/a", "relative/path/b"]`:
    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3DataSource.html
    Raises JobFailed where it is none, or an object is not there.
    """
    try:
        bucket, key = parse_s3_uri(uri)
        first, *listed = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        bucket, prefix = parse_s3_uri(first["prefix"])
        for name in listed:
            path = _place(target, name, uri)
            path.parent.mkdir(parents=True, exist_ok=True)
            s3.download_file(bucket, prefix + name, str(path))
    except (ClientError, BotoCoreError, ValueError, TypeError, KeyError, OSError) as error:
        raise JobFailed(f"ClientError: Data download failed: {uri}: {error!r}") from error
    if not listed:
        raise JobFailed(f"ClientError: Data download failed: {uri}: the manifest lists no objects")
    return len(listed)


def _relative(key: str, prefix: str) -> str:
    if key == prefix:
        return PurePosixPath(key).name
    if not prefix or prefix.endswith("/"):
        return key[len(prefix) :]
    if key.startswith(prefix + "/"):
        return key[len(prefix) + 1 :]
    # The prefix ends inside a name (`data/part-` of `data/part-0.csv`): relative to the folder it is in.
    return key[prefix.rfind("/") + 1 :]


def _place(target: Path, relative: str, uri: str) -> Path:
    path = target.joinpath(relative.lstrip("/"))
    if ".." in PurePosixPath(relative).parts:
        raise JobFailed(
            f"ClientError: Data download failed: {uri}: the key leads outside its folder: {relative}"
        )
    return path


def upload_folder(s3: Any, folder: Path, uri: str) -> int:
    """Upload every file below `folder` under the URI, keeping relative paths; return how many."""
    try:
        bucket, prefix = parse_s3_uri(uri)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        for path in files:
            key = "/".join(filter(None, [prefix.rstrip("/"), path.relative_to(folder).as_posix()]))
            s3.upload_file(str(path), bucket, key)
    except (ClientError, BotoCoreError, ValueError, OSError) as error:
        raise JobFailed(f"ClientError: Data upload failed: {uri}: {error}") from error
    return len(files)


def upload_archive(s3: Any, folder: Path, uri: str, scratch: Path) -> None:
    """Upload `folder` as a .tar.gz whose bytes depend only on its files' names, modes and contents."""
    archive = scratch / PurePosixPath(uri).name
    write_archive(folder, archive)
    try:
        bucket, key = parse_s3_uri(uri)
        s3.upload_file(str(archive), bucket, key)
    except (ClientError, BotoCoreError, ValueError, OSError) as error:
        raise JobFailed(f"ClientError: Artifact upload failed: {uri}: {error}") from error
    finally:
        archive.unlink()


def write_archive(folder: Path, archive: Path) -> None:
    """Write a deterministic .tar.gz: sorted names, no owners, no times."""
    with (
        archive.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w") as tar,
    ):
        for path in sorted(folder.rglob("*")):
            tar.add(path, arcname=path.relative_to(folder).as_posix(), recursive=False, filter=_anonymous)


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = 0
    entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
    return entry


def download_model(s3: Any, uri: str, target: Path) -> None:
    """Fetch a model.tar.gz and unpack it below `target`; members that lead outside are refused.

    Raises JobFailed in SageMaker's words when the object is not there, or is no gzipped tar.
    """
    target.mkdir(parents=True, exist_ok=True)
    archive = target.with_name("model-download.tar.gz")
    try:
        bucket, key = parse_s3_uri(uri)
        s3.download_file(bucket, key, str(archive))
    except (ClientError, BotoCoreError, ValueError, OSError) as error:
        raise JobFailed(
            f'Failed to download model data for container "container_1" from URL: "{uri}". Please '
            "ensure that there is an object located at the URL and that the role passed to CreateModel has "
            f"permissions to download the object. ({error})"
        ) from error
    try:
        with tarfile.open(archive, "r:gz") as tar:
            tar.extractall(target, filter="data")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise JobFailed(
            f'Failed to extract model data archive from URL "{uri}". Please ensure that the object '
            f"located at the URL is a valid tar.gz archive. ({error})"
        ) from error
    finally:
        archive.unlink(missing_ok=True)
