"""The dataset versions of a stack, as they lie in its artifacts bucket."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from cli.stack import Stack
from sluice import keys, naming
from sluice.errors import NoDataset, SluiceError
from sluice.payloads.documents import Current, Lineage, Manifest, Part

CURRENT = "current"
"""How a person calls the version that is the table now."""
_SHOWN = 5
_AT_ONCE = 8


class NotOneVersion(SluiceError):
    """A prefix that several dataset versions begin with."""


class Versions:
    """The versions of a stack. What is asked of S3 is told as `cli.failures.explain` does where it fails."""

    def __init__(self, deployed: Stack) -> None:
        self._s3 = deployed.client("s3")
        self._bucket = deployed.output("ArtifactsBucketName")

    @property
    def remote(self) -> str:
        """The DVC remote that holds the parts."""
        return self.uri(keys.DATASETS)

    def uri(self, key: str) -> str:
        return naming.uri(self._bucket, key)

    def current(self) -> str | None:
        """Give the name of the version that is the table now."""
        body = self._read(keys.current())
        return None if body is None else Current.model_validate_json(body).dataset_version

    def named(self, text: str) -> Manifest:
        """Give the version that `text` means: its name, the beginning of it, or `current`.

        Raises:
            NoDataset: there is none.
            NotOneVersion: several begin so.
        """
        version = self._current(text) if text == CURRENT else self._beginning(text.lower())
        body = self._read(keys.manifest(version))
        if body is None:
            raise self._unknown(version)
        return Manifest.model_validate_json(body)

    def newest(self, count: int | None) -> list[Manifest]:
        """Give the versions that were made last, the newest first; all of them where `count` is None."""
        made = sorted(self._listed(""), key=lambda pair: pair[1], reverse=True)
        bodies = (self._read(keys.manifest(version)) for version, _ in made[:count])
        return [Manifest.model_validate_json(body) for body in bodies if body is not None]

    def lineages(self, parts: Sequence[Part]) -> list[Lineage]:
        """Give of each part where it came from, and what it holds.

        Raises:
            NoDataset: somebody deleted that.
        """
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            return list(threads.map(self._lineage, parts))

    def _lineage(self, part: Part) -> Lineage:
        body = self._read(keys.lineage(part.name))
        if body is None:
            raise NoDataset(
                f"the lineage of the part {part.name} is not there any more",
                where=self.uri(keys.lineage(part.name)),
                why="it is written with the part, so somebody deleted it",
                fix="take its delete marker away (the bucket keeps versions), or upload the part's file again",
            )
        return Lineage.model_validate_json(body)

    def missing(self, manifest: Manifest) -> list[Part]:
        """Give the parts whose file is not there."""
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            sizes = list(threads.map(self.size, (part.key for part in manifest.parts)))
        return [part for part, size in zip(manifest.parts, sizes, strict=True) if size is None]

    def size(self, key: str) -> int | None:
        """Give the bytes of an object; None where there is none."""
        from botocore.exceptions import ClientError

        try:
            size: int = self._s3.head_object(Bucket=self._bucket, Key=key)["ContentLength"]
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return None
            raise
        return size

    def _current(self, text: str) -> str:
        version = self.current()
        if version is None:
            raise NoDataset(
                "there is no dataset version yet",
                where=text,
                why="no upload has been accepted",
                fix="`sluice upload FILE --wait`",
            )
        return version

    def _beginning(self, text: str) -> str:
        if not re.fullmatch("[0-9a-f]{1,16}", text):
            raise NoDataset(
                f"{text!r} is no dataset version",
                where="VERSION",
                why="one is named by 16 hexadecimal digits",
                fix=f"give the first few of them, or {CURRENT!r}; `sluice dataset list` lists them",
            )
        found = sorted(version for version, _ in self._listed(text))
        if not found:
            raise self._unknown(text)
        if len(found) > 1:
            more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
            raise NotOneVersion(
                f"{len(found)} dataset versions begin with {text}",
                where="VERSION",
                why=f"{', '.join(found[:_SHOWN])}{more}",
                fix="give more of its digits",
            )
        return found[0]

    def _unknown(self, version: str) -> NoDataset:
        return NoDataset(
            f"there is no dataset version {version}",
            where=self.uri(f"{keys.DATASETS}/"),
            why="no manifest lies there under a name that begins so",
            fix="`sluice dataset list` lists those there are",
        )

    def _listed(self, beginning: str) -> Iterator[tuple[str, Any]]:
        """List versions by their manifests, each with the time it was written at."""
        pattern = re.compile(keys.manifest("([0-9a-f]{16})"))
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=f"{keys.DATASETS}/{beginning}"
        )
        for page in pages:
            for each in page.get("Contents", []):
                found = pattern.fullmatch(each["Key"])
                if found:
                    yield found[1], each["LastModified"]

    def _read(self, key: str) -> bytes | None:
        try:
            body: bytes = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except self._s3.exceptions.NoSuchKey:
            return None
        return body
