"""A deployed stack as commands see it: its two buckets in memory."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from cli.stack import Stack

UPLOADS, ARTIFACTS = "uploads", "artifacts"
ARN = "arn:aws:sts::123456789012:assumed-role/science/ada"


class NoSuchKey(ClientError):
    """What boto3 raises for an object that is not there."""


@dataclass
class S3:
    """As much of boto3's client as the commands ask for. An object that was written later is newer."""

    buckets: dict[str, dict[str, bytes]] = field(default_factory=lambda: {UPLOADS: {}, ARTIFACTS: {}})
    said: dict[str, dict[str, str]] = field(default_factory=dict)
    moved: list[str] = field(default_factory=list)
    """How many bytes were sent or copied, and by which request."""

    class exceptions:  # noqa: N801 - as boto3 has it
        NoSuchKey = NoSuchKey

    def head_object(self, **request: Any) -> dict[str, Any]:
        return {"ContentLength": len(self._find(request, "HeadObject"))}

    def get_object(self, **request: Any) -> dict[str, Any]:
        body = self._find(request, "GetObject")
        return {"Body": io.BytesIO(body[:4] if request.get("Range") == "bytes=0-3" else body)}

    def put_object(self, **request: Any) -> dict[str, Any]:
        body = request["Body"].read()
        self.moved.append(f"sent {len(body)}")
        return self._put(request, body)

    def copy_object(self, **request: Any) -> dict[str, Any]:
        assert request["MetadataDirective"] == "REPLACE"
        body = self._find(request["CopySource"], "CopyObject")
        self.moved.append(f"copied {len(body)}")
        return self._put(request, body)

    def get_paginator(self, name: str) -> S3:
        assert name == "list_objects_v2"
        return self

    def paginate(self, *, Bucket: str, Prefix: str) -> Iterator[dict[str, Any]]:  # noqa: N803
        began = datetime(2026, 1, 1, tzinfo=UTC)
        found = [
            {"Key": key, "LastModified": began + timedelta(seconds=number)}
            for number, key in enumerate(self.buckets[Bucket])
            if key.startswith(Prefix)
        ]
        yield {"Contents": sorted(found, key=lambda each: str(each["Key"]))} if found else {}

    def _put(self, request: dict[str, Any], body: bytes) -> dict[str, Any]:
        self.buckets[request["Bucket"]][request["Key"]] = body
        self.said[request["Key"]] = request["Metadata"]
        return {"VersionId": "v1"}

    def _find(self, request: dict[str, Any], operation: str) -> bytes:
        body = self.buckets[request["Bucket"]].get(request["Key"])
        if body is None:
            answer: Any = {"Error": {"Code": "404"}, "ResponseMetadata": {"HTTPStatusCode": 404}}
            raise NoSuchKey(answer, operation)
        return body


class Sts:
    def get_caller_identity(self) -> dict[str, str]:
        return {"Arn": ARN}


class Deployed(Stack):
    """A stack on AWS, for all that a command can tell."""

    s3: S3

    @classmethod
    def of(cls, s3: S3) -> Deployed:
        region = "arn:aws:states:eu-central-1:123456789012:stateMachine:"
        outputs = {
            "UploadsBucketName": UPLOADS,
            "ArtifactsBucketName": ARTIFACTS,
            "TrainingArn": f"{region}training",
            "EventsArn": f"{region}events",
            "BatchArn": f"{region}batch",
        }
        made = cls(outputs, {}, name="sluice-shop-dev")
        object.__setattr__(made, "s3", s3)
        return made

    def client(self, service: str) -> Any:
        return {"s3": self.s3, "sts": Sts()}[service]


def md5_of(body: bytes) -> str:
    return hashlib.md5(body).hexdigest()
