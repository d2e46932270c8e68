"""An S3 client in memory: versions of objects, and connections that can be made to break."""

from __future__ import annotations

import io
import re
from typing import Any

from botocore.exceptions import ClientError, IncompleteReadError


class FakeS3:
    """Speaks as much of boto3's S3 client as the handlers do."""

    def __init__(self, versions: dict[tuple[str, str], bytes]) -> None:
        self.versions = versions
        self.broken_reads = 0
        self.reads: list[str] = []

    def head_object(self, **request: Any) -> dict[str, Any]:
        version, body = self._find(request, "HeadObject")
        return {"ETag": f'"{version}-tag"', "ContentLength": len(body), "VersionId": version}

    def get_object(self, **request: Any) -> dict[str, Any]:
        _, body = self._find(request, "GetObject")
        self.reads.append(request["Range"])
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", request["Range"])
        assert found
        part = body[int(found[1]) : int(found[2]) + 1]
        if self.broken_reads:
            self.broken_reads -= 1
            return {"Body": Broken(part)}
        return {"Body": io.BytesIO(part)}

    def _find(self, request: dict[str, Any], operation: str) -> tuple[str, bytes]:
        matching = [
            (version, body)
            for (key, version), body in self.versions.items()
            if key == request["Key"] and request.get("VersionId", version) == version
        ]
        if not matching:
            answer: Any = {
                "Error": {"Code": "404", "Message": "Not Found"},
                "ResponseMetadata": {"HTTPStatusCode": 404},
            }
            raise ClientError(answer, operation)
        return matching[-1]


class Broken(io.BytesIO):
    """A body whose connection breaks off."""

    def read(self, *_: Any) -> bytes:
        raise IncompleteReadError(actual_bytes=1, expected_bytes=len(self.getvalue()))
